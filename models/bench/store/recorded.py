"""Read and write a run as JSON lines, and read the recorded runs of the repository."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.bench.store import spreadsheet
from models.errors import SourceError
from models.records.measurement import Measurement, from_row
from models.records.run import Run, flat

_log = logging.getLogger(__name__)


class Recorded:
    """The runs of a folder of files that are only read, such as those that come with the project."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._read: dict[Path, tuple[tuple[int, int], Run]] = {}  # path -> (size and time of the file, its run)

    def has(self, run_id: str) -> bool:
        """Return whether there is a file of that run; the id must match RUN_ID."""
        return self.folder is not None and (self.folder / f"{run_id}.jsonl").is_file()

    def run(self, run_id: str) -> Run | None:
        """Read a run, again only when its file has changed; None when there is none by that id."""
        if self.folder is None or not self.has(run_id):
            return None
        path = self.folder / f"{run_id}.jsonl"
        state = path.stat()
        seen = (state.st_size, state.st_mtime_ns)
        known = self._read.get(path)
        if known is None or known[0] != seen:
            known = self._read[path] = (seen, read_file(path, recorded=True))
        return known[1]

    def runs(self) -> tuple[Run, ...]:
        """Read every run, newest first; a file that is none is left out."""
        found = []
        for path in sorted(self.folder.glob("*.jsonl")) if self.folder is not None else ():
            try:
                run = self.run(path.stem)
            except (SourceError, OSError) as error:
                _log.warning("%s is left out: %s", path, error)
                continue
            if run is not None:
                found.append(run)
        return tuple(sorted(found, key=lambda run: run.created_ns, reverse=True))


def timed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat values with an ISO time right after the nanoseconds of each time."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        found[name] = value
        if name in spreadsheet.TIMES:
            found[spreadsheet.TIMES[name]] = spreadsheet.iso(value)
    return found


def encode(value: Any) -> str:
    """Encode a value as ASCII JSON, which every database stores unchanged; raises ValueError for nan and infinity."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def write_lines(run: Run) -> str:
    """Write a run as JSON lines: a head that counts its rows, the flat rows, and an end."""
    head = {
        "kind": "run",
        "run_id": run.run_id,
        "title": run.title,
        "created_ns": run.created_ns,
        "created": spreadsheet.iso(run.created_ns),
        "cells": [dict(cell) for cell in run.cells],
        "environment": dict(run.environment),
        "row_count": len(run.rows),
    }
    rows = [{"kind": "row", **timed(flat(row))} for row in run.rows]
    return "".join(encode(entry) + "\n" for entry in (head, *rows, {"kind": "end", "ended": run.ended}))


def read_file(path: Path, *, recorded: bool = False) -> Run:
    """Read a run from its file; a torn last line is left out. SourceError when the file is no run.

    The run's id is the file's name, so that a copied or renamed file does not pass for another run.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SourceError("errors.import_unreadable", f"{path} cannot be read: {error}", name=path.name) from error
    head, rows, ended = _entries(lines)
    if head is None:
        raise SourceError("errors.import_kind", f"{path.name} is not a benchmark run", name=path.name)
    try:
        created = int(head.get("created_ns", 0))
        cells, found = tuple(dict(cell) for cell in head.get("cells", ())), dict(head.get("environment", {}))
    except (TypeError, ValueError) as error:
        raise SourceError("errors.import_kind", f"{path.name} has a head of no run: {error}", name=path.name) from error
    named = tuple(replace(row, run_id=path.stem) for row in rows)
    return Run(path.stem, str(head.get("title", "")), created, cells, found, named, ended, recorded)


def _entries(lines: Iterable[str]) -> tuple[dict[str, Any] | None, list[Measurement], str]:
    head: dict[str, Any] | None = None
    rows: list[Measurement] = []
    ended = ""
    for line in lines:
        try:
            entry = json.loads(line)
            kind = entry.pop("kind", "row") if isinstance(entry, dict) else ""
            if kind == "run":
                head = entry
            elif kind == "row":
                rows.append(from_row(entry))
            elif kind == "end":
                ended = str(entry.get("ended", ""))
        except (ValueError, TypeError, RecursionError):
            continue  # the line that a crash cut short
    return head, rows, ended
