"""Hand-made rows and runs of a benchmark, and the stage on which parts of its page are drawn."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from stage import Stage

from models.bench.judge.statistics import Verdict
from models.bench.plan.plan import Plan
from models.bench.run import runner
from models.bench.run.job import Progress
from models.bench.store.store import Summary
from models.errors import SourceError
from models.records.cell import Cell, Prediction
from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.run import Run
from pages.compare.benchmark import (
    address,
    beside,
    checks,
    comparison,
    experiments,
    grid,
    guess,
    live,
    other_tools,
    planning,
    predictions,
    provenance,
    results,
    rows,
    runs,
    settings,
    settings_codec,
    verdicts,
)
from pages.shared import unfolding
from pages.shared.memo import Memo
from pages.shared.words import content

Say = Callable[..., str]
NARROW = "\N{NO-BREAK SPACE}"
MODULES = (
    address, beside, checks, comparison, experiments, grid, guess, live, other_tools, planning, predictions, provenance,
    results, rows, runs, settings, verdicts,
)  # fmt: skip


def stage_of(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit, and keep nothing from one test to another."""
    made = Stage().on(monkeypatch, *MODULES)
    for module in MODULES:
        for name in [name for name, value in vars(module).items() if isinstance(value, Memo)]:
            monkeypatch.setattr(module, name, Memo(64))
    return made


def planner_of(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Have a machine with a processor and two GPUs, and every choice at its default, with the plan open."""
    stage.on(monkeypatch, unfolding)
    monkeypatch.setattr(settings.cache, "architectures", lambda: dict.fromkeys(content.table("comparison"), ""))
    monkeypatch.setattr(settings.facts, "devices", lambda: ("cuda:0", "cuda:1", "cpu"))
    monkeypatch.setattr(settings.facts, "device_name", lambda device: f"the {device}")
    monkeypatch.setattr(settings.facts, "usable_cores", lambda: 17)
    stage.session_state.update({f"benchmark.{name}": value for name, value in settings_codec.defaults("quick").items()})
    return stage


def row(architecture: str = "mamba", context: int = 512, **facts: Any) -> Measurement:
    batch = facts.get("batch", 1)
    known: dict[str, Any] = {
        "run_id": "r", "cell_id": f"{architecture}-{context}-{batch}", "state": "ok", "source": f"{architecture}-130m",
        "batch": batch, "device": "cpu", "dtype": "float32", "decode_tokens": 2, "seed": 0,
    }  # fmt: skip
    return Measurement(architecture=architecture, context=context, **(known | facts))


def run_of(*found: Measurement, **changes: Any) -> Run:
    return Run(**({"run_id": "r", "title": "", "created_ns": 1, "cells": (), "environment": {}} | changes), rows=found)


def verdict(kind: str, value: float = 2.0) -> Verdict:
    return Verdict(Interval(value, value * 0.9, value * 1.1), Interval(value, value * 0.8, value * 1.2), kind, 5)


def prediction(number: int, *, fits: bool = True, **facts: Any) -> Prediction:
    return Prediction(number * 2**20, 2**20, 0, 0, 1.0, 1.0, number * 60.0, fits, **facts)


def planned(*places: tuple[str, int], **changes: Any) -> Plan:
    cells = tuple(Cell(name, name, context) for name, context in places)
    return Plan(cells, tuple(prediction(n + 1) for n in range(len(cells))), **changes)


def progress(**changes: Any) -> Progress:
    known: dict[str, Any] = {
        "run_id": "r", "state": "running", "position": 3, "total": 11, "done": 4, "cell": None, "phase": "", "round": 0,
        "worker_pid": None, "elapsed_s": 77.0, "remaining_s": 300.0,
    }  # fmt: skip
    return Progress(**(known | changes))


def summary(run_id: str, **changes: Any) -> Summary:
    known: dict[str, Any] = {
        "run_id": run_id, "title": f"title of {run_id}", "created_ns": 4 * 10**18, "environment": {}, "cells": 9,
        "rows": 8, "measured": 5, "ended": "done", "recorded": False, "imported": False,
    }  # fmt: skip
    return Summary(**(known | changes))


class Stored:
    """A store of runs. known: by id; newest: what is shown without a choice."""

    def __init__(self, *known: Run, newest: Run | None = None, listed: tuple[Summary, ...] = ()) -> None:
        self.known, self.newest, self.listed = {run.run_id: run for run in known}, newest, listed
        self.asked: list[Any] = []

    def run(self, run_id: str) -> Run | None:
        return self.known.get(run_id)

    def latest(self) -> Run | None:
        return self.newest

    def summaries(self, *, imported: set[str] | None = None) -> tuple[Summary, ...]:
        return self.listed

    def rename(self, run_id: str, title: str) -> None:
        self.asked.append(("rename", run_id, title))

    def delete(self, run_id: str) -> None:
        self.asked.append(("delete", run_id))

    def import_file(self, name: str, data: bytes) -> str:
        if data == b"bad":
            raise SourceError("errors.source_not_found", name, source=name)
        self.asked.append(("import", name, data))
        return "known" if data == b"known" else "new"

    def restore(self, run: Run) -> str:
        self.asked.append(("restore", run.run_id))
        self.known[run.run_id] = run
        return run.run_id


Put = Callable[..., Stored]


def stored_on(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Give a function that puts a store in the place of the machine's; what is noted stands in what it was asked."""

    def put(store: Stored, now: Progress | None = None) -> Stored:
        monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(store=store, progress=lambda _: now))
        monkeypatch.setattr(runs.journal, "note", lambda action, *, run: store.asked.append((f"noted {action}", run)))
        return store

    return put
