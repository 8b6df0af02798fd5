"""python -m models recall train|evaluate|far: train the micro-models and measure their recall."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models import units
from models.cli.output import print_json, print_table
from models.errors import SettingError
from models.machine.paths import ASSETS

TASKS = ("mqar", "induction", "selective_copying")
ARCHITECTURES = ("transformer", "mamba", "rwkv", "jamba")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(dest="action", metavar="train|evaluate|far", required=True)
    train = actions.add_parser(
        "train",
        help="train what is not yet recorded",
        description="Train the micro-models: same sequences, steps and optimiser for all four. A run that "
        "is recorded with the same budget is skipped. Results go to recall/, the models of "
        "seed 0 to checkpoints/micro/.",
    )
    _choices(train)
    train.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="(0 1 2)")
    train.add_argument("--steps", type=int, default=None, help="optimiser steps (the study's)")
    train.add_argument("--tokens", type=int, default=None, help="tokens per step (the study's)")
    train.add_argument("--queries", type=int, default=640, help="questions per cell (640)")
    train.add_argument("--out", type=Path, default=ASSETS, help="holds recall/ and checkpoints/micro/ (assets)")
    train.add_argument("--threads", type=int, default=1, help="CPU threads (1)")
    train.add_argument("--json", action="store_true", help="print the results as JSON")
    evaluate = actions.add_parser(
        "evaluate",
        help="measure the trained models again on the held-out sequences",
        description="Measure the trained models (seed 0) again, cell by cell, and compare with what is recorded.",
    )
    _choices(evaluate)
    evaluate.add_argument("--queries", type=int, default=640, help="questions per cell (640)")
    evaluate.add_argument("--seed", type=int, default=None, help="seed of the sequences (the recorded one)")
    evaluate.add_argument("--threads", type=int, default=1, help="CPU threads (1)")
    evaluate.add_argument("--json", action="store_true", help="print the cells as JSON")
    far = actions.add_parser(
        "far",
        help="measure the trained models at distances far beyond their training, and record it",
        description="Measure the trained models (seed 0) at distances to 2,048 tokens. Results go to recall/.",
    )
    far.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="(all)")
    far.add_argument("--queries", type=int, default=640, help="questions per distance (640)")
    far.add_argument("--out", type=Path, default=ASSETS, help="holds recall/ (assets)")
    far.add_argument("--threads", type=int, default=1, help="CPU threads (1)")
    far.add_argument("--json", action="store_true", help="print the results as JSON")


def main(args: argparse.Namespace) -> int:
    """Train or evaluate; a ContextscopeError says what is wrong with a setting or what is missing."""
    for name in ("steps", "tokens", "queries", "threads"):
        value = getattr(args, name, None)
        if value is not None and value < 1:
            message = f"--{name} must be at least 1, got {value}"
            raise SettingError("errors.setting_range", message, name=name, value=value, low=1, high="any")
    for value in (getattr(args, "seeds", None) or []) + [getattr(args, "seed", None) or 0]:
        if value < 0:
            raise SettingError(
                "errors.setting_range", f"a seed must be at least 0, got {value}", name="seed", value=value
            )
    import torch

    torch.set_num_threads(args.threads)
    return {"train": _train, "evaluate": _evaluate, "far": _far}[args.action](args)


def _choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="(all)")
    parser.add_argument("--only", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES), help="(all)")


def _train(args: argparse.Namespace) -> int:
    from models.recall import study

    given = {name: value for name in ("steps", "tokens") if (value := getattr(args, name)) is not None}
    results, checkpoints = args.out / "recall", args.out / "checkpoints" / "micro"
    study.study(
        args.tasks, args.only, args.seeds, queries=args.queries, results=results, checkpoints=checkpoints, **given
    )
    found = {name: record for name in args.tasks if (record := study.recorded(name, results=results)) is not None}
    if args.json:
        print_json(found)
    else:
        for name, record in found.items():
            _print_task(name, record)
    return 0


def _print_task(name: str, record: dict[str, Any]) -> None:
    print(f"{name}: mean accuracy over the cells, chance {record['chance']:.3f}")
    rows: list[tuple[object, ...]] = [("architecture", "parameters", "active", "lr", "seed", "accuracy", "train s")]
    for architecture, entry in record["architectures"].items():
        for run in entry["runs"]:
            mean = sum(cell["accuracy"] for cell in run["cells"]) / len(run["cells"])
            size = (entry["parameters"], entry["parameters_active"])
            rows.append((architecture, *size, entry["lr"], run["seed"], mean, run["training_s"]))
    print_table(rows)


def _evaluate(args: argparse.Namespace) -> int:
    from models.recall import curriculum, evaluation, micro

    seed = evaluation.SEED if args.seed is None else args.seed
    found: list[dict[str, Any]] = []
    for name in args.tasks:
        task = curriculum.task(name)
        for architecture in args.only:
            model = micro.load(name, architecture).model
            print(f"measuring {architecture} on {name}", file=sys.stderr, flush=True)
            before = _recorded(name, architecture) if seed == evaluation.SEED else {}
            for cell in evaluation.evaluate(model, task, seed=seed, queries=args.queries):
                earlier = before.get(tuple(cell.at.values()))
                found.append({"task": name, "architecture": architecture, **asdict(cell), "recorded": earlier})
    if args.json:
        print_json(found)
    else:
        _print_cells(found)
    return 0


def _far(args: argparse.Namespace) -> int:
    from models.recall import study

    found = {name: study.measure_far(name, queries=args.queries, results=args.out / "recall") for name in args.tasks}
    if args.json:
        print_json(found)
    else:
        rows: list[tuple[object, ...]] = [("task", "architecture", "distance", "accuracy", "95 %", "asked", "carried")]
        rows += [
            (name, architecture, cell["at"][record["axis"]], cell["accuracy"],
             f"{cell['low']:.3f} to {cell['high']:.3f}", cell["count"], units.size(cell["bytes_carried"]))
            for name, record in found.items()
            for architecture, cells in record["architectures"].items()
            for cell in cells
        ]  # fmt: skip
        print_table(rows)
    return 0


def _recorded(task: str, architecture: str) -> dict[tuple[int, ...], float]:
    """Return the recorded accuracy of seed 0 by the cell's place; empty when nothing is recorded."""
    from models.recall import study

    entry = (study.recorded(task) or {}).get("architectures", {}).get(architecture, {"runs": []})
    cells = [cell for run in entry["runs"] if run["seed"] == 0 for cell in run["cells"]]
    return {tuple(cell["at"].values()): cell["accuracy"] for cell in cells}


def _print_cells(found: list[dict[str, Any]]) -> None:
    rows: list[tuple[object, ...]] = [
        ("task", "architecture", "cell", "accuracy", "95 %", "asked", "recorded", "carried")
    ]
    for cell in found:
        at = ", ".join(f"{axis} {value}" for axis, value in cell["at"].items())
        interval = f"{cell['low']:.3f} to {cell['high']:.3f}"
        head = (cell["task"], cell["architecture"], at, cell["accuracy"], interval, cell["count"])
        rows.append((*head, cell["recorded"], units.size(cell["bytes_carried"])))
    print_table(rows)
