"""The card of the small encoder-decoder: card.json for programs, card.md for readers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import MarianMTModel

from models import units
from models.encoder_decoder import evaluation, small, tasks
from models.encoder_decoder.evaluation import Measured
from models.encoder_decoder.grammar import PATH
from models.encoder_decoder.training import ToyRecipe
from models.encoder_decoder.vocabulary import tokens
from models.machine import facts as machine_facts
from models.machine.paths import ASSETS, ROOT

TEMPLATE = ASSETS / "encoder_decoder_card.md"


def write(folder: Path, model: MarianMTModel, recipe: ToyRecipe, measured: Sequence[Measured], seconds: float) -> None:
    """Write both cards into the folder of a trained model."""
    facts = card(model, recipe, measured, seconds)
    (folder / "card.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "card.md").write_text(page(facts), encoding="utf-8")


def card(model: MarianMTModel, recipe: ToyRecipe, measured: Sequence[Measured], seconds: float) -> dict[str, Any]:
    """State everything about a trained model: its sizes, its training, and what it answers."""
    parameters = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return {
        "class": type(model).__name__,
        "layers": {"encoder": small.LAYERS, "decoder": small.LAYERS},
        "heads": small.HEADS,
        "d_model": small.WIDTH,
        "ffn": small.FFN,
        "vocab": len(tokens()),
        "parameters": parameters,
        "recipe": asdict(recipe),
        "examples_seen": recipe.steps * recipe.batch,
        "grammar": PATH.relative_to(ROOT).as_posix(),
        "list_lengths": list(tasks.LENGTHS),
        "held_out": f"1 of {tasks.PARTS} inputs, by the SHA-256 of its words",
        "held_out_seed": evaluation.SEED,
        "weights": "measured as rounded to float16 and run in float32",
        "accuracy": [asdict(one) for one in measured],
        "training_s": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "environment": machine_facts.environment(),
    }


def page(facts: Mapping[str, Any]) -> str:
    """Write the card for readers."""
    rows = "\n".join(_row(one) for one in facts["accuracy"])
    return TEMPLATE.read_text(encoding="utf-8").format(
        **{name: facts[name] for name in ("heads", "d_model", "ffn", "vocab", "held_out", "grammar", "threads")},
        layers=facts["layers"]["encoder"],
        parameters=f"{facts['parameters']:,}",
        examples=f"{facts['examples_seen']:,}",
        longest=facts["list_lengths"][1],
        rows=rows,
        time=units.duration(facts["training_s"], digits=2, length="long"),
        torch=facts["environment"]["torch"],
        **facts["recipe"],
    )


def _row(one: Mapping[str, Any]) -> str:
    at = "" if one["lengths"] is None else f", lists of {one['lengths'][0]} to {one['lengths'][1]} words"
    share, low, high = (f"{100 * one[name]:.1f} %" for name in ("accuracy", "low", "high"))
    return f"| {one['task']}{at} | {share} | {low} to {high} | {one['count']:,} |"
