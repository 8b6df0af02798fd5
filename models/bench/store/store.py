"""Store runs in a database. A row is on disk when `append` returns, so it survives a crash."""

import dataclasses
import json
import logging
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, case, delete, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from models.bench.store.database import FILES, ROWS, RUNS, Database
from models.bench.store.recorded import Recorded, encode, read_file
from models.errors import SettingError, SourceError
from models.machine import facts
from models.machine.paths import ASSETS, data_folder
from models.records.cell import kind_of
from models.records.measurement import Measurement, from_row
from models.records.run import RUN_ID, Run, clean_title, flat, plain

__all__ = ["RECORDED", "Run", "Store", "Summary", "read_file"]

RECORDED = ASSETS / "runs"
KEPT = 128  # runs kept in memory as they were read last
LOOKED_AT = 32  # newest runs among which the one to show first is looked for
ATTEMPTS = 8

_log = logging.getLogger(__name__)
_Dated = TypeVar("_Dated", Run, "Summary")


@dataclass(frozen=True, slots=True)
class Summary:
    """The entry of a run in a list, without its rows. cells: number of planned cells."""

    run_id: str
    title: str
    created_ns: int
    environment: Mapping[str, Any]
    cells: int
    rows: int
    measured: int
    ended: str
    recorded: bool
    imported: bool


class Store:
    """The runs of this machine, or of all that share a database, and the recorded ones of the project.

    url: a database URL, or a folder that gets an SQLite file; without it CONTEXTSCOPE_DATABASE decides, else the data
    folder. Any number of threads and processes may read and write. Each method raises SourceError with a sentence when
    the database is locked, damaged or out of reach.
    """

    def __init__(self, url: str | Path | None = None, *, recorded: Path | None = RECORDED) -> None:
        self._database = Database(url)
        self._recorded = Recorded(recorded)
        self._legacy = url if isinstance(url, Path) else data_folder() / "runs" if url is None else None
        self._taken_over = False
        self._lock = threading.Lock()
        self._read: dict[str, tuple[int, Run]] = {}  # run_id -> (version, its run)

    @property
    def place(self) -> str:
        """Return where the runs are stored: the path of a file, or a URL without its password."""
        return self._database.place

    @property
    def folder(self) -> Path:
        """Return the folder of the database's file, or the data folder for a server."""
        return self._database.folder or data_folder()

    def create(self, *, cells: Sequence[Mapping[str, Any]], environment: Mapping[str, Any], title: str = "") -> str:
        """Open a run and return its id: the time it began and a few random letters."""
        run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        run = Run(run_id, clean_title(title), time.time_ns(), tuple(cells), environment, ())
        self._take_over()
        with self._database.begin() as db:
            _insert(db, run)
        return run_id

    def append(self, row: Measurement) -> bool:
        """Append a row to its run; it is on disk when this returns. False if the run has been deleted."""
        with self._database.begin() as db:
            if not _touch(db, row.run_id):  # takes the one place of a writer first, so that nobody waits in a circle
                return False
            db.execute(insert(ROWS), [_columns(row)])
        return True

    def finish(self, run_id: str, ended: str) -> bool:
        """Record how a run ended: "done" or "cancelled". False if the run has been deleted."""
        with self._database.begin() as db:
            return _touch(db, run_id, ended=ended, ended_ns=time.time_ns())

    def rename(self, run_id: str, title: str) -> None:
        """Rename a run; raises SettingError for a recorded or unknown run."""
        self._must_be_own(run_id)
        with self._database.begin() as db:
            if not _touch(db, run_id, title=clean_title(title)):
                raise _no_run(run_id)

    def delete(self, run_id: str) -> None:
        """Delete a run and its rows for good; SettingError for a recorded or unknown run."""
        self._must_be_own(run_id)
        with self._database.begin() as db:
            if not _touch(db, run_id):
                raise _no_run(run_id)
            db.execute(delete(ROWS).where(ROWS.c.run_id == run_id))
            db.execute(delete(RUNS).where(RUNS.c.run_id == run_id))
        with self._lock:
            self._read.pop(run_id, None)

    def restore(self, run: Run) -> str:
        """Put back a run that was deleted, with its rows, and return its id: another one where that is taken by now."""
        return self._add(run)

    def import_file(self, name: str, data: bytes) -> str:
        """Add the run of an exported file and return its id; SourceError when it cannot be read.

        A run that is there already, row for row, is not added again. An id that another run has is changed.
        """
        from models.bench.store import files

        run = files.parse(name, data)
        there = self.run(run.run_id)
        if there is not None and _same(there, run):
            return there.run_id
        return self._add(dataclasses.replace(run, imported=True))

    def run(self, run_id: str) -> Run | None:
        """Read a run, or None when there is none by that id."""
        if not RUN_ID.fullmatch(run_id):  # the id comes from an address
            return None
        if self._recorded.has(run_id):
            return self._recorded.run(run_id)
        self._take_over()
        with self._database.begin() as db:
            head = db.execute(select(RUNS).where(RUNS.c.run_id == run_id)).one_or_none()
            return None if head is None else self._load(db, head)

    def runs(self) -> tuple[Run, ...]:
        """Read every run with its rows, newest first; `summaries` is cheaper for a list."""
        self._take_over()
        with self._database.begin() as db:
            own = [self._load(db, head) for head in db.execute(select(RUNS)).all()]
        return _newest_first([*own, *self.recorded_runs()])

    def recorded_runs(self) -> tuple[Run, ...]:
        """Read the runs that come with the project, newest first; they need no database."""
        return self._recorded.runs()

    def summaries(self, *, imported: Collection[str] | None = None) -> tuple[Summary, ...]:
        """List every run without reading its rows, newest first. imported: of those from files only these."""
        self._take_over()
        wanted = true() if imported is None else or_(~RUNS.c.imported, RUNS.c.run_id.in_(imported))
        cells = func.count(ROWS.c.cell_id.distinct())  # one that was measured again counts once
        counted = select(ROWS.c.run_id, ROWS.c.measured, cells).join(RUNS, RUNS.c.run_id == ROWS.c.run_id)
        counted = counted.where(wanted).group_by(ROWS.c.run_id, ROWS.c.measured)
        with self._database.begin() as db:
            heads = db.execute(select(RUNS).where(wanted)).all()
            counts = {(run_id, bool(measured)): count for run_id, measured, count in db.execute(counted)}
        own = [
            _summary(_headed(head, ()), counts.get((head.run_id, True), 0), counts.get((head.run_id, False), 0))
            for head in heads
        ]
        recorded = []
        for run in self.recorded_runs():
            measured = sum(row.measured for row in run.current)
            recorded.append(_summary(run, measured, len(run.current) - measured))
        return _newest_first([*own, *recorded])

    def latest(self) -> Run | None:
        """Return the run to show first: the newest steady and complete one of this store, else a recorded one.

        Of the recorded ones, those of a kind of device that is here come first: who has no GPU sees the run of a CPU.
        Where there is neither: the newest with a measured row. A run of a file is never returned. One that is dated in
        the future, by a clock that was wrong, comes last.
        """
        self._take_over()
        shown = select(ROWS.c.id).where(ROWS.c.run_id == RUNS.c.run_id, ROWS.c.measured).exists()
        dated = case((RUNS.c.created_ns <= time.time_ns(), RUNS.c.created_ns), else_=0)
        newest = select(RUNS).where(shown, ~RUNS.c.imported).order_by(dated.desc(), RUNS.c.created_ns.desc())
        with self._database.begin() as db:
            own: list[Run] = []
            for head in db.execute(newest.limit(LOOKED_AT)).all():
                own.append(self._load(db, head))
                if own[-1].complete:
                    return own[-1]
        here = {*map(kind_of, facts.devices())}
        recorded = [run for run in self.recorded_runs() if any(row.measured for row in run.rows)]
        recorded.sort(key=lambda run: not {kind_of(row.device) for row in run.rows} <= here)  # else newest first
        return next((run for run in recorded if run.complete), next(iter((*own, *recorded)), None))

    def state(self) -> tuple[int, int]:
        """Return how many rows there are and the number of the last: other ones where a row has come or gone."""
        with self._database.begin() as db:
            count, last = db.execute(select(func.count(ROWS.c.id), func.max(ROWS.c.id))).one()
        return int(count), int(last or 0)

    def recent_rows(self, limit: int | None = 200) -> tuple[Measurement, ...]:
        """Return the newest measured rows of this store, newest first: nothing recorded, nothing imported.

        limit: how many; None for all.
        """
        self._take_over()
        own = select(ROWS.c.row).join(RUNS, RUNS.c.run_id == ROWS.c.run_id).where(ROWS.c.measured, ~RUNS.c.imported)
        with self._database.begin() as db:
            texts = db.execute(own.order_by(ROWS.c.id.desc()).limit(limit)).scalars().all()
        return _measurements(texts)

    def answers(self) -> bool:
        """Return whether the database can be opened and read now; failures are logged."""
        try:
            with self._database.begin() as db:
                db.execute(select(RUNS.c.run_id).limit(1)).first()
        except SourceError as error:
            _log.warning("the store does not answer: %s", error)
            return False
        return True

    def version(self, run_id: str) -> int:
        """Return a number that grows with every change of a run, without reading it; 0 when there is no such run."""
        if not RUN_ID.fullmatch(run_id):
            return 0
        if self._recorded.has(run_id):
            return 1
        with self._database.begin() as db:
            return int(db.execute(select(RUNS.c.version).where(RUNS.c.run_id == run_id)).scalar_one_or_none() or 0)

    def _load(self, db: Connection, head: Row[Any]) -> Run:
        """Read the rows of a run unless it is as it was. Its version was read before, so nothing new is missed."""
        with self._lock:
            known = self._read.get(head.run_id)
        if known is not None and known[0] == head.version:
            return known[1]
        rows = db.execute(select(ROWS.c.row).where(ROWS.c.run_id == head.run_id).order_by(ROWS.c.id)).scalars().all()
        run = _headed(head, _measurements(rows))
        with self._lock:
            self._read.pop(head.run_id, None)
            self._read[head.run_id] = (head.version, run)
            while len(self._read) > KEPT:
                del self._read[next(iter(self._read))]
        return run

    def _must_be_own(self, run_id: str) -> None:
        if not RUN_ID.fullmatch(run_id):
            raise _no_run(run_id)
        if self._recorded.has(run_id):
            raise SettingError("errors.store_recorded", f"{run_id} comes with the project", run=run_id)
        self._take_over()

    def _take_over(self) -> None:
        """Import the files that earlier versions wrote, each once. They stay where they are."""
        with self._lock:
            if self._taken_over:
                return
            for path in sorted(self._legacy.glob("*.jsonl")) if self._legacy is not None else ():
                if self._has_taken(path.name):
                    continue
                try:
                    self._add(read_file(path), file=path.name)
                except (SourceError, OSError) as error:
                    if str(getattr(error, "key", "")).startswith("errors.store"):
                        raise
                    _log.warning("%s is left out: %s", path, error)
            self._taken_over = True

    def _add(self, run: Run, *, file: str = "") -> str:
        """Insert a whole run under its id, or under a longer one when that is taken; `file` is noted as taken over."""
        run_id = run.run_id if RUN_ID.fullmatch(run.run_id) else f"run-{secrets.token_hex(4)}"
        for _ in range(ATTEMPTS):
            if not self._recorded.has(run_id):
                rows = tuple(dataclasses.replace(row, run_id=run_id) for row in run.rows)
                try:
                    with self._database.begin() as db:
                        if file:
                            db.execute(insert(FILES), [{"name": file, "run_id": run_id}])
                        _insert(db, dataclasses.replace(run, run_id=run_id, rows=rows))
                    return run_id
                except IntegrityError:
                    if file and self._has_taken(file):
                        return run_id  # another process has just done it
            run_id = f"{run.run_id[:70]}-{secrets.token_hex(3)}"
        raise SourceError("errors.store_failed", f"no id is free for {run.run_id}", place=self.place, reason="ids")

    def _has_taken(self, file: str) -> bool:
        with self._database.begin() as db:
            return db.execute(select(FILES.c.name).where(FILES.c.name == file)).first() is not None


def _insert(db: Connection, run: Run) -> None:
    head = {
        "run_id": run.run_id,
        "title": clean_title(run.title),
        "created_ns": run.created_ns,
        "cells": encode([dict(cell) for cell in run.cells]),
        "environment": encode({name: plain(value) for name, value in run.environment.items()}),
        "ended": run.ended[:20],
        "imported": run.imported,
        "version": time.time_ns() // 1_000_000,  # a run that comes again after its deletion has a higher one
    }
    db.execute(insert(RUNS), [head])
    if run.rows:
        db.execute(insert(ROWS), [_columns(row) for row in run.rows])


def _touch(db: Connection, run_id: str, **changes: Any) -> bool:
    """Raise the version of a run, with other changes; False when there is none by that id."""
    found = db.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(version=RUNS.c.version + 1, **changes))
    return bool(found.rowcount)


def _columns(row: Measurement) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "cell_id": row.cell_id[:200],
        "architecture": row.architecture[:80],
        "context": row.context,
        "state": row.state,
        "measured": row.measured,
        "row": encode(flat(row)),
    }


def _measurements(texts: Sequence[str]) -> tuple[Measurement, ...]:
    found = []
    for text in texts:
        try:
            found.append(from_row(json.loads(text)))
        except (ValueError, TypeError) as error:  # a state that a later version knows
            _log.warning("a row is left out: %s", error)
    return tuple(found)


def _headed(head: Row[Any], rows: tuple[Measurement, ...]) -> Run:
    cells, environment = tuple(json.loads(head.cells)), json.loads(head.environment)
    return Run(
        head.run_id,
        head.title,
        head.created_ns,
        cells,
        environment,
        rows,
        head.ended,
        imported=bool(head.imported),
    )


def _summary(run: Run, measured: int, others: int) -> Summary:
    return Summary(
        run.run_id,
        run.title,
        run.created_ns,
        run.environment,
        cells=len(run.cells),
        rows=measured + others,
        measured=measured,
        ended=run.ended,
        recorded=run.recorded,
        imported=run.imported,
    )


def _newest_first(runs: Iterable[_Dated]) -> tuple[_Dated, ...]:
    """Sort by date; what is dated in the future, by a clock that was wrong or by a file, comes last."""
    now = time.time_ns()
    return tuple(sorted(runs, key=lambda run: (run.created_ns <= now, run.created_ns), reverse=True))


def _same(one: Run, other: Run) -> bool:
    """Return whether two runs are equal apart from their ids and titles."""
    first, second = ([dataclasses.replace(row, run_id="") for row in run.rows] for run in (one, other))
    return one.created_ns == other.created_ns and first == second


def _no_run(run_id: str) -> SettingError:
    return SettingError("errors.store_no_run", f"there is no run {run_id!r}", run=run_id[:80])
