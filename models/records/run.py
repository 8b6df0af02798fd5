"""A run of the benchmark: its planned cells and its rows."""

import hashlib
import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.records.measurement import Measurement

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
TITLE_LENGTH = 120
NO_ROOM = ("oom", "predicted_oom_skipped", "unsupported")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """One run as stored: what was planned, the rows so far, and how it ended ("" while open or after a crash)."""

    run_id: str
    title: str
    created_ns: int
    cells: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, Any]
    rows: tuple[Measurement, ...]
    ended: str = ""
    recorded: bool = False  # shipped in assets/runs, not measured here
    imported: bool = False  # came in a file, perhaps from another machine

    current: tuple[Measurement, ...] = field(init=False, repr=False, compare=False)
    """One row per cell, where the first of it stands: the last with times, else the last measured, else the last."""
    last: tuple[Measurement, ...] = field(init=False, repr=False, compare=False)
    """The last row of each cell, whatever became of it."""

    def __post_init__(self) -> None:
        found: dict[str, Measurement] = {}
        for row in self.rows:
            if row.cell_id not in found or _told(row) >= _told(found[row.cell_id]):
                found[row.cell_id] = row
        object.__setattr__(self, "current", tuple(found.values()))
        object.__setattr__(self, "last", tuple({row.cell_id: row for row in self.rows}.values()))

    @property
    def complete(self) -> bool:
        """Return whether it came to its end and every cell has steady times, or has no room on the device."""
        told = all(_steady(row) or row.state in NO_ROOM for row in self.current)
        whole = len(self.current) >= len(self.cells) and any(row.measured for row in self.current)
        return self.ended == "done" and whole and told


def _steady(row: Measurement) -> bool:
    return row.timed and row.noise != "unusable"


def _told(row: Measurement) -> int:
    """Return how much a row tells: bytes and times, bytes alone, or neither."""
    return row.measured + row.timed


# Columns that came after the first fingerprints were written: a row without them is hashed as it was then.
NEW = frozenset({"sentinel_best_ms", "cpu_waited", "cpu_others", "pred_prefill_ms", "pred_s", "spent_s"})


def fingerprint(run: Run) -> str:
    """Hash the rows of a run, whatever it is called: two files with the same one hold the same results."""
    rows = [
        {
            name: value
            for name, value in flat(row).items()
            if name != "run_id" and (value is not None or name not in NEW)
        }
        for row in run.rows
    ]
    text = json.dumps(rows, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def clean_title(text: str) -> str:
    """Return a title on one line, without control and direction characters, at most TITLE_LENGTH long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:TITLE_LENGTH].strip()


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: a number that is none becomes None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(row: Measurement) -> dict[str, Any]:
    """Return a row as flat JSON values."""
    return {name: plain(value) for name, value in row.to_row().items()}
