"""Run the study: choose learning rates, train each task, architecture and seed once, record the accuracy."""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from models.counting import accounting
from models.machine import facts as machine_facts
from models.machine.paths import ASSETS
from models.recall import curriculum, evaluation, micro
from models.recall.curriculum import TASKS, Task
from models.recall.training import Budget, train
from models.records.recall import Accuracy

RESULTS = ASSETS / "recall"
RULE = (
    "4e-3, halved until a pilot run outside the study, of at most the study's tokens on lessons of mqar, "
    "leaves the plateau of guessing among the values present; the rate found there serves every task"
)
RATES: Mapping[str, float] = {"transformer": 2e-3, "mamba": 4e-3, "rwkv": 4e-3, "jamba": 4e-3}
SEEDS = (0, 1, 2)


def run(
    task: Task, architecture: str, budget: Budget, *, lr: float, seed: int, queries: int = evaluation.QUERIES,
    results: Path = RESULTS, checkpoints: Path = micro.FOLDER,
) -> dict[str, Any]:  # fmt: skip
    """Train and measure one run, or return what is recorded of it; seed 0 also saves the model.

    A recorded run of seed 0 whose model is missing is made again.
    """
    path = log_path(task.name, architecture, seed, results=results)
    settings = {"budget": _plain(budget), "lr": lr, "queries": queries}
    place = checkpoints / task.name / architecture
    known = finished(path) if seed != 0 or micro.saved(place) else None
    if known is not None and all(known[name] == value for name, value in settings.items()):
        return known
    path.parent.mkdir(parents=True, exist_ok=True)
    _say(f"{task.name} {architecture} seed {seed}: {budget.steps} steps at {lr:g}")
    started = time.monotonic()
    with path.open("w", encoding="utf-8") as log:
        model = train(task, architecture, budget, lr=lr, seed=seed, log=log)
        trained_s = round(time.monotonic() - started, 1)
        model = model.half().float()  # what the saved file holds
        cells = [rounded(cell) for cell in evaluation.evaluate(model, task, queries=queries)]
        record = {
            "finished": True, "task": task.name, "architecture": architecture, "seed": seed, **settings,
            "training_s": trained_s, "threads": torch.get_num_threads(), "load_average": machine_facts.load_average(),
            "cells": cells,
        }  # fmt: skip
        if seed == 0:
            _save(model, task, record, place)
        log.write(json.dumps(record) + "\n")
    mean = sum(cell["accuracy"] for cell in cells) / len(cells)
    _say(f"{task.name} {architecture} seed {seed}: mean accuracy {mean:.3f} after {trained_s} s")
    return record


def assemble(task: Task, *, results: Path = RESULTS) -> dict[str, Any] | None:
    """Gather the finished runs of a task into results/<task>.json; None when there is none."""
    found: dict[str, Any] = {}
    for name in micro.BUILDERS:
        runs = [r for p in sorted((results / task.name).glob(f"{name}-*.jsonl")) if (r := finished(p)) is not None]
        if runs:
            found[name] = {**sizes(micro.build(name, task.vocab, seed=0)), "lr": runs[0]["lr"], "runs": runs}
    if not found:
        return None
    whole = {
        "task": task.name, "axes": task.axes, "vocab": task.vocab, "chance": task.chance,
        "trained_to": task.trained_to, "lessons": task.lesson.__doc__, "held_out_seed": evaluation.SEED,
        "rate_rule": RULE,
        "weights": "measured as rounded to float16 and run in float32",
        "environment": machine_facts.environment(), "architectures": found,
    }  # fmt: skip
    _write(results / f"{task.name}.json", whole)
    return whole


def recorded(name: str, *, results: Path = RESULTS) -> dict[str, Any] | None:
    """Read what is recorded of a task; None when nothing is."""
    path = results / f"{curriculum.task(name).name}.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def measure_far(name: str, *, queries: int = evaluation.QUERIES, results: Path = RESULTS) -> dict[str, Any]:
    """Measure the trained models (seed 0) in the far cells of a task and write results/<task>_far.json.

    SourceError where a model is missing.
    """
    task = curriculum.task(name)
    found: dict[str, list[dict[str, Any]]] = {}
    for architecture in micro.BUILDERS:
        model = micro.load(name, architecture).model
        _say(f"{name} {architecture}: {len(task.far)} distances to {task.far[-1].length} tokens")
        found[architecture] = [rounded(cell) for cell in evaluation.evaluate(model, task, task.far, queries=queries)]
    whole = {
        "task": name, "axis": task.axes[0], "trained_to": task.trained_to, "held_out_seed": evaluation.SEED,
        "queries": queries, "environment": machine_facts.environment(), "architectures": found,
    }  # fmt: skip
    _write(far_path(name, results=results), whole)
    return whole


def far_path(name: str, *, results: Path = RESULTS) -> Path:
    """Return the path of what is recorded of the far cells of a task."""
    return results / f"{curriculum.task(name).name}_far.json"


def recorded_far(name: str, *, results: Path = RESULTS) -> dict[str, Any] | None:
    """Read what is recorded of the far cells of a task; None when nothing is."""
    path = far_path(name, results=results)
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def log_path(task: str, architecture: str, seed: int, *, results: Path = RESULTS) -> Path:
    """Return the path of a run's log; its last line is the result."""
    return results / task / f"{architecture}-{seed}.jsonl"


def training_log(task: str, architecture: str, seed: int, *, results: Path = RESULTS) -> list[tuple[int, float]]:
    """Read (step, loss in nats per question) of a run, as it was logged; empty when there is no log."""
    path = log_path(task, architecture, seed, results=results)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [(row["step"], row["loss"]) for row in map(json.loads, lines) if "loss" in row]


def finished(path: Path) -> dict[str, Any] | None:
    """Read the result of a run from its log; None when it did not end."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    try:
        last: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    except ValueError:  # cut off while it was written
        return None
    return last if last.get("finished") else None


def sizes(model: PreTrainedModel) -> dict[str, int]:
    """Count a model: all parameters, those one token uses, and bytes in float16."""
    shape = accounting.shape_of(model.config)
    return {
        "parameters": accounting.params_total(shape),
        "parameters_active": accounting.params_active(shape),
        "bytes_float16": accounting.weight_bytes(shape, dtype="float16"),
    }


def rounded(cell: Accuracy) -> dict[str, Any]:
    """Return a measured cell as JSON, shares to four digits."""
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(cell).items()}


def study(
    tasks: Iterable[str] = tuple(TASKS), architectures: Iterable[str] = tuple(micro.BUILDERS),
    seeds: Iterable[int] = SEEDS, *,
    queries: int = evaluation.QUERIES, results: Path = RESULTS, checkpoints: Path = micro.FOLDER, **changes: int,
) -> None:  # fmt: skip
    """Train what is asked for and not yet recorded, task by task and seed by seed.

    changes: fields of Budget that differ from the study's.
    """
    names, numbers = list(architectures), list(seeds)
    for task in map(curriculum.task, tasks):
        budget = Budget(**{"steps": task.steps, **changes})  # type: ignore[arg-type]
        for seed in numbers:
            for name in names:
                run(
                    task, name, budget, lr=RATES[name], seed=seed, queries=queries, results=results,
                    checkpoints=checkpoints,
                )  # fmt: skip
                assemble(task, results=results)


def _save(model: PreTrainedModel, task: Task, record: dict[str, Any], folder: Path) -> None:
    """Save a model in transformers format, half precision, with its card."""
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder, safe_serialization=True)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)
    _write(folder / "card.json", card(model, task, record))
    model.float()


def card(model: PreTrainedModel, task: Task, record: Mapping[str, Any]) -> dict[str, Any]:
    """State everything about a saved model: its sizes, what it was trained on and how, and what it answered."""
    return {
        **record, **sizes(model), "vocab": task.vocab, "chance": task.chance, "trained_to": task.trained_to,
        "lessons": task.lesson.__doc__, "rate_rule": RULE, "environment": machine_facts.environment(),
    }  # fmt: skip


def _plain(budget: Budget) -> dict[str, Any]:
    """Return a budget as it reads from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(budget)))
    return plain


def _write(path: Path, facts: dict[str, Any]) -> None:
    """Write JSON atomically: two processes may work on one task."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
