"""Train the small models: equal sequences in equal order, equal steps and optimiser for all four."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from models.recall import micro
from models.recall.curriculum import Task
from models.recall.tasks import NOTHING, Sequences
from models.training.initial import parameter_groups
from models.training.loss import load_balance


@dataclass(frozen=True, slots=True)
class Budget:
    """Everything that decides a run besides task, architecture, seed and learning rate."""

    steps: int
    tokens: int = 1024  # per step: as many whole sequences as fit
    warmup: int = 40
    lr_end: float = 0.1  # of the peak, at the last step
    weight_decay: float = 0.01  # matrices only
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


def training_batches(task: Task, budget: Budget, *, seed: int) -> Iterator[Sequences]:
    """Yield the sequences of every step; they depend on task, budget and seed, never on the architecture."""
    rng = np.random.default_rng([seed, 1])
    for step in range(budget.steps):
        cell = task.lesson(step / budget.steps, rng)
        yield cell.draw(max(1, budget.tokens // cell.length), seed=[seed, 2, step])


def train(task: Task, architecture: str, budget: Budget, *, lr: float, seed: int, log: Any = None) -> PreTrainedModel:
    """Train one model from seeded weights, writing a JSON line to log every 20 steps; returned in evaluation mode."""
    model = micro.build(architecture, task.vocab, seed=seed).train()
    optimizer = torch.optim.AdamW(parameter_groups(model, budget.weight_decay), lr=lr, betas=budget.betas)
    started = time.monotonic()
    for step, drawn in enumerate(training_batches(task, budget, seed=seed)):
        for group in optimizer.param_groups:
            group["lr"] = lr * _factor(step, budget)
        loss, right = _loss(model, drawn)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), budget.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if log is not None and (step % 20 == 0 or step == budget.steps - 1):
            said = {"loss": round(loss.item(), 4), "accuracy": round(right, 4), "length": drawn.ids.shape[1]}
            row = {"step": step, **said, "seconds": round(time.monotonic() - started, 1)}
            log.write(json.dumps(row) + "\n")
            log.flush()
    done: PreTrainedModel = model.eval()
    return done


def _loss(model: PreTrainedModel, drawn: Sequences) -> tuple[Tensor, float]:
    """Return the mean loss in nats over the questions, with the load-balancing loss of experts, and the share right."""
    here = drawn.targets != NOTHING
    moe = hasattr(model.config, "router_aux_loss_coef") and hasattr(model.config, "num_experts")
    out = model(input_ids=drawn.ids, use_cache=False, **({"output_router_logits": True} if moe else {}))
    logits, targets = out.logits[here], drawn.targets[here]  # (questions, vocab)
    loss = torch.nn.functional.cross_entropy(logits, targets)
    if moe:
        loss = loss + model.config.router_aux_loss_coef * load_balance(out.router_logits, model.config)
    return loss, (logits.argmax(-1) == targets).float().mean().item()


def _factor(step: int, budget: Budget) -> float:
    """Return the learning rate's share of its peak: a linear warm-up, level to two thirds, then down to lr_end."""
    if step < budget.warmup:
        return (step + 1) / budget.warmup
    down = max(0.0, 3 * step / budget.steps - 2)
    return 1 - (1 - budget.lr_end) * down
