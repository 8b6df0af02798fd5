"""Follow a run of the benchmark from a test: wait for it, for a row, for a process."""

import time
import typing
from pathlib import Path

from models.bench.plan.plan import Cell
from models.records.measurement import Measurement


def states(runner, run_id, *, timeout_s=240):
    """Wait for a run; returns the states in the order of the plan, then those of cells beside it."""
    assert runner.wait(run_id, timeout_s=timeout_s), runner.progress(run_id)
    run = runner.store.run(run_id)
    planned = [Cell(**cell).cell_id for cell in run.cells]
    place = {cell_id: index for index, cell_id in enumerate(planned)}
    return [row.state for row in sorted(run.rows, key=lambda row: place.get(row.cell_id, len(planned)))]


def numbered(**known):
    """Return columns of a row: every number that is not known has a value that no other has."""
    kinds = typing.get_type_hints(Measurement).items()
    numbers = [name for name, kind in kinds if kind in (int | None, float | None)]
    return {name: 10_007 + place for place, name in enumerate(numbers)} | known


def row_of(runner, run_id, architecture):
    return next(row for row in runner.store.run(run_id).rows if row.architecture == architecture)


def until(condition, *, timeout_s=240):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return value


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
