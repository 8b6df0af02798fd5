"""Train the small encoder-decoder, measure what is saved of it, and write it with its card and its log."""

import sys
import time
from pathlib import Path

from models.encoder_decoder import card, evaluation, small, training
from models.encoder_decoder.evaluation import Measured
from models.encoder_decoder.training import ToyRecipe

LOG = "log.jsonl"


def make(recipe: ToyRecipe, folder: Path, *, inputs: int) -> list[Measured]:
    """Write model, vocabulary, log and cards into a folder; return what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"training {recipe.steps} steps of {recipe.batch} examples", file=sys.stderr, flush=True)
    started = time.monotonic()
    with (folder / LOG).open("w", encoding="utf-8") as log:
        model = training.train(recipe, log=log)
    seconds = time.monotonic() - started
    small.save(model, folder)
    saved = small.load(folder).model
    print(f"measuring {inputs} held-out inputs per task", file=sys.stderr, flush=True)
    measured = evaluation.evaluate(saved, inputs=inputs)
    card.write(folder, saved, recipe, measured, seconds)
    return measured
