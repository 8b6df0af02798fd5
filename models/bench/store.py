"""Keep runs as JSON lines, one file each, appended and flushed as rows are measured; readable after any crash."""

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bench.environment import ROOT, data_folder
from models.bench.rows import Measurement, from_row
from models.errors import SourceError

RECORDED = ROOT / "assets" / "runs"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


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

    @property
    def complete(self) -> bool:
        """Tell whether every planned cell has a row."""
        return len({row.cell_id for row in self.rows}) >= len(self.cells)


class Store:
    """A folder of runs. One writer per run; any number of readers, also in other processes."""

    def __init__(self, folder: Path | None = None, *, recorded: Path | None = RECORDED) -> None:
        self.folder = folder or data_folder() / "runs"
        self.recorded = recorded
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[tuple[int, int], Run]] = {}  # path -> (size and time of the file, its run)

    def create(self, *, cells: Sequence[Mapping[str, Any]], environment: Mapping[str, Any], title: str = "") -> str:
        """Open a run and return its id: the time it began and a few random letters."""
        run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        head = {
            "kind": "run",
            "run_id": run_id,
            "title": title,
            "created_ns": time.time_ns(),
            "cells": list(cells),
            "environment": dict(environment),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self._append(run_id, head)
        return run_id

    def append(self, row: Measurement) -> None:
        """Add a row to its run and force it to the disk."""
        self._append(row.run_id, {"kind": "row", **row.to_row()})

    def finish(self, run_id: str, ended: str) -> None:
        """Note how a run ended: "done" or "cancelled"."""
        self._append(run_id, {"kind": "end", "ended": ended, "ended_ns": time.time_ns()})

    def run(self, run_id: str) -> Run | None:
        """Read a run, or None when there is none by that id."""
        found = self._find(run_id)
        return None if found is None else self._reread(found[0], recorded=found[1])

    def path(self, run_id: str) -> Path | None:
        """Return the file of a run, or None when there is none by that id."""
        found = self._find(run_id)
        return None if found is None else found[0]

    def runs(self) -> tuple[Run, ...]:
        """Read every run, newest first; a file that cannot be read is left out."""
        found: dict[str, Run] = {}
        for folder, recorded in self._folders():
            for path in sorted(folder.glob("*.jsonl")):
                try:
                    run = self._reread(path, recorded=recorded)
                except (SourceError, OSError):
                    continue
                found.setdefault(run.run_id, run)
        return tuple(sorted(found.values(), key=lambda run: run.created_ns, reverse=True))

    def latest(self) -> Run | None:
        """Return the newest run with a measured row; runs of this machine come before recorded ones."""
        measured = [run for run in self.runs() if any(row.measured for row in run.rows)]
        return next((run for run in measured if not run.recorded), measured[0] if measured else None)

    def _find(self, run_id: str) -> tuple[Path, bool] | None:
        if not _RUN_ID.fullmatch(run_id):  # the id comes from an address
            return None
        paths = ((folder / f"{run_id}.jsonl", recorded) for folder, recorded in self._folders())
        return next(((path, recorded) for path, recorded in paths if path.is_file()), None)

    def _folders(self) -> tuple[tuple[Path, bool], ...]:
        folders = [(self.folder, False)]
        if self.recorded is not None:
            folders.append((self.recorded, True))
        return tuple((folder, recorded) for folder, recorded in folders if folder.is_dir())

    def _reread(self, path: Path, *, recorded: bool) -> Run:
        """Read a file again only when it has changed."""
        state = path.stat()
        seen = (state.st_size, state.st_mtime_ns)
        known = self._read.get(path)
        if known is None or known[0] != seen:
            known = self._read[path] = (seen, read_file(path, recorded=recorded))
        return known[1]

    def _append(self, run_id: str, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        with self._lock, (self.folder / f"{run_id}.jsonl").open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def read_file(path: Path, *, recorded: bool = False) -> Run:
    """Read a run from its file; a torn last line is left out. SourceError when the file is no run.

    The run's id is the file's name, so that a copied or renamed file does not pass for another run.
    """
    head: dict[str, Any] | None = None
    rows: list[Measurement] = []
    ended = ""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SourceError("errors.bad_config", f"{path} cannot be read: {error}", source=path.name) from error
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
        except (json.JSONDecodeError, ValueError):
            continue  # the line that a crash cut short
    if head is None:
        raise SourceError("errors.bad_config", f"{path.name} is not a benchmark run", source=path.name)
    return Run(
        run_id=path.stem,
        title=str(head.get("title", "")),
        created_ns=int(head.get("created_ns", 0)),
        cells=tuple(head.get("cells", ())),
        environment=head.get("environment", {}),
        rows=tuple(rows),
        ended=ended,
        recorded=recorded,
    )
