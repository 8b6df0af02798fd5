"""Train the small encoder-decoder: one seed, one thread, examples that are drawn while it trains."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

import torch
from transformers import MarianMTModel

from models.encoder_decoder import small, tasks
from models.encoder_decoder.batches import IGNORED, labels_of, sources_of
from models.encoder_decoder.tasks import Exercise
from models.training.initial import parameter_groups


@dataclass(frozen=True, slots=True)
class ToyRecipe:
    """Everything that decides a training besides the grammar."""

    steps: int = 8000
    batch: int = 64  # examples of a step
    lr: float = 2e-3  # at its peak
    lr_end: float = 0.02  # of the peak, at the last step
    warmup: int = 200
    weight_decay: float = 0.01  # matrices only
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    seed: int = 0


def batches(recipe: ToyRecipe) -> Iterator[list[Exercise]]:
    """Yield the examples of every step; none of them is held out."""
    drawn = tasks.examples(recipe.seed, held=False)
    for _ in range(recipe.steps):
        yield list(islice(drawn, recipe.batch))


def train(recipe: ToyRecipe, *, log: TextIO | None = None) -> MarianMTModel:
    """Train from seeded weights, writing a JSON line to log every 100 steps; returned in evaluation mode."""
    model = small.build(seed=recipe.seed).train()
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe.weight_decay), lr=recipe.lr, betas=recipe.betas)
    started = time.monotonic()
    for step, examples in enumerate(batches(recipe)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * factor(step, recipe)
        loss, right = _loss(model, examples)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if log is not None and (step % 100 == 0 or step == recipe.steps - 1):
            row = {"step": step, "loss": round(loss.item(), 4), "accuracy": round(right, 4)}
            log.write(json.dumps(row | {"seconds": round(time.monotonic() - started, 1)}) + "\n")
            log.flush()
    done: MarianMTModel = model.eval()
    return done


def _loss(model: MarianMTModel, examples: list[Exercise]) -> tuple[torch.Tensor, float]:
    """Return the mean loss in nats per token and the share of tokens that are most likely."""
    found, mask = sources_of([example.source for example in examples])
    labels = labels_of(examples)
    logits = model(input_ids=found, attention_mask=mask, labels=labels, use_cache=False).logits
    here = labels != IGNORED
    loss = torch.nn.functional.cross_entropy(logits[here], labels[here])
    return loss, (logits[here].argmax(-1) == labels[here]).float().mean().item()


def factor(step: int, recipe: ToyRecipe) -> float:
    """Return the learning rate's share of its peak: a linear warm-up, level to half, then down to lr_end."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    down = max(0.0, 2 * step / recipe.steps - 1)
    return 1 - (1 - recipe.lr_end) * down
