"""What a file of another program held, made into a run: series with names of their own, and nothing that it lacks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.bench.store.validation import checked_run
from models.errors import SourceError
from models.looks import looks
from models.records.run import Run

MOST_NAMED = 100  # tests that are left out
_LONGEST_NAME = 80  # characters of a series
_NOTHING: Mapping[str, Any] = {
    "state": "ok", "seed": None, "size": "", "attention": "", "kernels": "", "experts": "",
    "protocol_version": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """Rows as a file has them: columns of a measurement, with the name of the model as architecture.

    apart: the facts of the environment by which rows of one model are different series; None for all of them.
    left_out: what the file holds that no row can say. created_ns: when it was measured, where no row knows.
    """

    rows: Sequence[Mapping[str, Any]]
    apart: Sequence[str] | None = None
    left_out: tuple[str, ...] = ()
    created_ns: int | None = None


def run_of(name: str, data: bytes, tool: str, found: Found) -> Run:
    """Make a run of what a file held, under an id of its content; raises as checked_run does, and without any row."""
    if not found.rows:
        message = f"{name} is of {tool} and holds nothing that can be shown"
        raise SourceError("errors.import_nothing", message, name=name, tool=tool)
    run_id = f"{tool.lower()}-{hashlib.sha256(data).hexdigest()[:16]}"
    series = _series(found, tool)
    rows = [
        {"run_id": run_id, "view": tool, **_flat(row, tool, name)} for row, name in zip(found.rows, series, strict=True)
    ]
    facts = {"tool": tool} | ({"left_out": list(found.left_out[:MOST_NAMED])} if found.left_out else {})
    started = [row["started_ns"] for row in rows if row.get("started_ns")]
    head = {
        "run_id": run_id,
        "created_ns": min(started, default=found.created_ns or 0),
        "cells": [{"cell_id": row["cell_id"]} for row in rows],
        "environment": facts | _common(found),
        "ended": "done",
    }
    return checked_run(name, head, rows)


def _flat(row: Mapping[str, Any], tool: str, series: str) -> dict[str, Any]:
    """Return a row as a file of ours has it; what the other program does not say is empty."""
    facts = {"tool": tool} | row["environment"]
    kept = {column: value for column, value in row.items() if column != "environment"}
    return {**_NOTHING, **kept, "architecture": series, **{f"env_{key}": value for key, value in facts.items()}}


def _common(found: Found) -> dict[str, Any]:
    """Return the facts that all rows share."""
    first, *others = [row["environment"] for row in found.rows] or [{}]
    return {key: value for key, value in first.items() if all(facts.get(key) == value for facts in others)}


def _series(found: Found, tool: str) -> list[str]:
    """Name the series of each row: its model, and what sets the row apart from others of that model."""
    models = [_model(str(row["architecture"]), tool) for row in found.rows]
    settings = [_settings(row, found.apart) for row in found.rows]
    varied: dict[str, list[str]] = {}
    for model in dict.fromkeys(models):
        alike = [own for other, own in zip(models, settings, strict=True) if other == model]
        keys = dict.fromkeys(key for own in alike for key in own)
        varied[model] = [key for key in keys if len({own.get(key, "") for own in alike}) > 1]
    names: dict[tuple[str, ...], str] = {}
    for model, own in zip(models, settings, strict=True):
        told = [f"{key} {own[key]}" for key in varied[model] if key in own]
        if (model, *told) not in names:
            name = " · ".join([model, *told])[:_LONGEST_NAME].strip()
            names[model, *told] = _unlike(name, list(names.values()))
    return [
        names[model, *(f"{key} {own[key]}" for key in varied[model] if key in own)]
        for model, own in zip(models, settings, strict=True)
    ]


def _model(name: str, tool: str) -> str:
    """Return the name of a model, or of its tool; one that is called as an architecture of ours is not taken for it."""
    return f"{name} ({tool})" if name in looks() else name or tool


def _settings(row: Mapping[str, Any], apart: Sequence[str] | None) -> dict[str, str]:
    facts = row["environment"] | {"threads": row.get("threads") or "", "dtype": row.get("dtype", "")}
    return {key: str(value) for key, value in facts.items() if value != "" and (apart is None or key in apart)}


def _unlike(name: str, others: Sequence[str]) -> str:
    """Number a name that has come to be cut to another one."""
    count, unlike = 1, name
    while unlike in others:
        count += 1
        unlike = f"{name} ({count})"
    return unlike
