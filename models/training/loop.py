"""One training run: resumable at any step, logged row by row, saved with a card that states everything."""

import json
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from models.bench import environment
from models.errors import SettingError
from models.training import card, corpus, evaluation
from models.training.initial import parameter_groups
from models.training.loss import losses
from models.training.recipe import Recipe
from models.training.shapes import BUILDERS

UNFINISHED = "unfinished.safetensors"  # in the checkpoint's folder while a run lasts
SAVE_EVERY_S = 120.0
LOG_EVERY = 10  # steps

Rows = npt.NDArray[np.int32]


@dataclass(slots=True)
class Run:
    """A model in training and how far it is."""

    model: PreTrainedModel
    optimizer: torch.optim.AdamW
    step: int = 0  # steps done
    seconds: float = 0.0  # of training, over every session of the run


def train(
    name: str,
    recipe: Recipe,
    rows: Rows,
    texts: tuple[corpus.Text, ...],
    shared: PreTrainedTokenizerFast,
    folder: Path,
    *,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train one architecture to its last step and save it in transformers format, half precision, with card and log.

    A run that was interrupted goes on where it was saved: the log and the weights are those of an uninterrupted one.
    Raises SettingError when what lies in the folder was begun with another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _begun(name, recipe, len(shared), folder, device)
    try:
        _steps(name, run, recipe, rows, folder)
    except KeyboardInterrupt:
        _keep(run, recipe, folder)
        raise
    model = run.model.half().eval()
    model.save_pretrained(folder, safe_serialization=True)
    shared.save_pretrained(folder)
    facts = _facts(name, run, recipe, rows, texts, shared)
    card.write(folder, facts)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return facts


def batch_of(rows: Rows, step: int, size: int) -> Rows:
    """Return the rows of a step, (size, context + 1): every architecture gets the same ones, epoch after epoch."""
    return rows[np.arange(step * size, (step + 1) * size) % len(rows)]


def _steps(name: str, run: Run, recipe: Recipe, rows: Rows, folder: Path) -> None:
    device = run.model.device
    precise = torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()
    started, saved, before = time.monotonic(), time.monotonic(), run.seconds
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        for step in range(run.step, recipe.steps):
            for group in run.optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            batch = torch.from_numpy(batch_of(rows, step, recipe.batch)).long().to(device)
            with precise:
                loss = losses(run.model, batch)
            loss.total.backward()
            norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), recipe.clip)
            run.optimizer.step()
            run.optimizer.zero_grad(set_to_none=True)
            run.step, run.seconds = step + 1, before + time.monotonic() - started
            if step % LOG_EVERY == 0 or run.step == recipe.steps:
                row = {
                    "step": step,
                    "tokens": run.step * batch[:, 1:].numel(),
                    "loss": round(loss.next_token.item(), 4),
                    "lr": recipe.rate(step),
                    "grad_norm": round(float(norm), 3),
                    "seconds": round(run.seconds, 1),
                }
                log.write(json.dumps(row) + "\n")
                log.flush()
                _report(name, run, recipe, row["loss"])
            if time.monotonic() - saved > SAVE_EVERY_S:
                _keep(run, recipe, folder)
                saved = time.monotonic()


def _report(name: str, run: Run, recipe: Recipe, loss: float) -> None:
    left = run.seconds / run.step * (recipe.steps - run.step)
    speed = run.step * recipe.batch * recipe.context / run.seconds
    text = f"{name} step {run.step}/{recipe.steps} loss {loss:.3f} {speed:,.0f} tokens/s {left / 60:.1f} min left"
    print(text, file=sys.stderr, flush=True)


def _begun(name: str, recipe: Recipe, vocab: int, folder: Path, device: str) -> Run:
    """Build the model of a run, or take up the one that was interrupted here; the log ends where it goes on."""
    torch.manual_seed(recipe.seed)
    model: Any = BUILDERS[name](recipe.shape, vocab).train().to(device)
    run = Run(model, torch.optim.AdamW(parameter_groups(model, recipe.weight_decay), lr=recipe.lr, betas=recipe.betas))
    log, kept = folder / "log.jsonl", folder / UNFINISHED
    if not kept.is_file():
        log.write_text("", encoding="utf-8")
        return run
    tensors = load_file(kept, device=device)
    with safe_open(kept, framework="pt") as file:
        known = file.metadata()
    if known["recipe"] != repr(recipe):
        message = f"{kept} was begun with another recipe: finish it with that one, or delete the file"
        raise SettingError("setting_value", message, name="recipe", value=str(kept))
    model.load_state_dict({name[6:]: x for name, x in tensors.items() if name.startswith("model.")}, strict=False)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, x in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = x
    groups = run.optimizer.state_dict()["param_groups"]
    run.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    run.step, run.seconds = int(known["step"]), float(known["seconds"])
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(line for line in lines if json.loads(line)["step"] < run.step), encoding="utf-8")
    return run


def _keep(run: Run, recipe: Recipe, folder: Path) -> None:
    """Save a run so that it can go on; a process killed while writing leaves the save before."""
    tensors = {f"model.{name}": x for name, x in run.model.named_parameters()}
    for index, moments in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": x for name, x in moments.items()}
    known = {"step": str(run.step), "seconds": str(run.seconds), "recipe": repr(recipe)}
    unwritten = folder / f"{UNFINISHED}.part"
    save_file({name: x.detach().contiguous() for name, x in tensors.items()}, unwritten, metadata=known)
    unwritten.replace(folder / UNFINISHED)


def _facts(
    name: str,
    run: Run,
    recipe: Recipe,
    rows: Rows,
    texts: tuple[corpus.Text, ...],
    shared: PreTrainedTokenizerFast,
) -> dict[str, Any]:
    model = run.model.float()  # what is judged are the half-precision weights that were saved
    judged = {text.language: evaluation.judge(model, shared, text, context=recipe.context) for text in texts}
    tokens = recipe.steps * recipe.batch * recipe.context
    known = environment.environment()
    return {
        "architecture": name,
        "recipe": asdict(recipe),
        "tokens_seen": tokens,
        "epochs": round(tokens / (len(rows) * recipe.context), 3),
        "seconds": round(run.seconds, 1),
        "validation_bits_per_byte": {language: found.bits_per_byte for language, found in judged.items()},
        "validation": {language: asdict(found) for language, found in judged.items()},
        "expert_shares": evaluation.expert_shares(model, shared, texts, context=recipe.context)
        if hasattr(model.config, "num_experts")
        else None,
        "corpus_sha256": {text.language: text.sha256 for text in texts},
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": environment.device_name(str(run.model.device)),
        "host_cpu": known.get("host_cpu"),
    }
