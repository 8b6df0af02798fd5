"""Print plans, progress, rows, verdicts and failures of a benchmark."""

import shutil
from collections.abc import Sequence
from typing import TextIO

from models import units
from models.bench.judge.statistics import Verdict
from models.bench.judge.verdicts import judged
from models.bench.plan.plan import Cell, Plan
from models.bench.run import remeasure
from models.bench.run.job import Progress
from models.cli.output import print_json, print_table
from models.records.measurement import Measurement
from models.records.run import Run

BAR = 20


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print the cells with their predictions, what was left out and why."""
    pairs = list(zip(plan.cells, plan.predictions, strict=True))
    if as_json:
        print_json([{"cell": cell, "prediction": prediction} for cell, prediction in pairs])
        return
    header = ("cell", "source", "rounds", "bytes", "cache", "prefill ms", "decode ms", "seconds", "fits")
    body = [
        (
            c.cell_id,
            c.source,
            c.rounds,
            units.size(p.bytes_total),
            units.size(p.bytes_cache),
            p.prefill_ms,
            p.decode_ms,
            p.seconds,
            p.fits,
        )
        for c, p in pairs
    ]
    print_table([header, *body])
    for note in plan.notes:
        print(note.message)
    print(f"{len(pairs)} cells, about {units.duration(plan.seconds, digits=2)} (predicted, not measured)")


def progress_line(now: Progress, *, width: int | None = 0) -> str:
    """Write where a run stands in one line, cut to the terminal's width (None: not cut)."""
    if now.state == "queued":
        if not now.position:
            return "starting"
        return f"waiting for {now.position} run(s) before this one"
    filled = round(BAR * now.done / now.total) if now.total else BAR
    left = "" if now.remaining_s is None else f", about {units.duration(now.remaining_s, digits=2)} left"
    line = f"[{'#' * filled}{'.' * (BAR - filled)}] {now.done}/{now.total} cells{left}"
    if now.cell is not None:
        turn = f" round {now.round}" if now.round else ""
        line += f"  {_named(now.cell)}{turn} {now.phase}".rstrip()
    limit = shutil.get_terminal_size().columns - 1 if width == 0 else width
    return line if limit is None else line[:limit]


def print_rows(rows: Sequence[Measurement], *, as_json: bool) -> None:
    """Print the rows as a table, or as JSON with every column."""
    if as_json:
        print_json([row.to_row() for row in rows])
        return
    header = (
        "architecture",
        "batch",
        "context",
        "state",
        "cache",
        "formula",
        "peak",
        "prefill ms",
        "decode ms",
        "IQR %",
    )
    ordered = sorted(rows, key=lambda row: (row.architecture, row.batch, row.context))
    print_table([header, *map(_columns, ordered)])


def print_failures(run: Run, *, file: TextIO) -> None:
    """State why cells have no measurement, and how to try them again."""
    for row in run.current:
        if not row.measured:
            print(f"{row.cell_id}: {row.state}, {row.reason}", file=file)
        elif not row.timed:
            print(f"{row.cell_id}: {row.state}, no round was steady: no times, only bytes", file=file)
    if remeasure.unfinished_cells(run):
        print(f"go on: {remeasure.COMMAND} --again {run.run_id}", file=file)


def whole(run: Run) -> bool:
    """Return whether every planned cell of a run has times, and no other one failed."""
    timed = {row.cell_id for row in run.current if row.timed}
    return all(row.timed for row in run.current) and {cell.cell_id for cell in remeasure.cells_of(run)} <= timed


def print_verdicts(rows: Sequence[Measurement]) -> None:
    """Say for each pair of architectures which is faster, at the longest context that both were measured at."""
    said = verdict_lines(rows)
    if said:
        print()
        print("\n".join(said))


def verdict_lines(rows: Sequence[Measurement]) -> list[str]:
    """Write the verdicts of each pair of architectures at every batch, both phases at the longest common context."""
    return [
        f"{one.phase} at {one.a.context:,} tokens, batch {one.a.batch}: "
        f"{sentence(one.a.architecture, one.b.architecture, one.found)}"
        for one in judged(rows)
    ]


def sentence(a: str, b: str, found: Verdict) -> str:
    """State which of two took less time, and by how much."""
    if found.rounds < 3:
        return f"{a} and {b}: too few rounds ({found.rounds}), nothing can be told apart"
    apart = found.kind != "indistinguishable"
    percent, shown = (95, found.ratio) if apart else (98, found.decisive)
    interval = f"{shown.value:.2f} times the time, {percent} % interval {shown.low:.2f} to {shown.high:.2f}"
    return f"{a} is {found.kind} than {b} ({interval})" if apart else f"{a} and {b} cannot be told apart ({interval})"


def _named(cell: Cell) -> str:
    return f"{cell.architecture} {cell.context:,} tokens" + (f", batch {cell.batch}" if cell.batch > 1 else "")


def _columns(row: Measurement) -> tuple[object, ...]:
    sizes = (
        units.size(size) if size is not None else ""
        for size in (row.cache_bytes, row.cache_bytes_formula, row.peak_bytes)
    )
    noise = None if row.tpot_iqr_rel is None else row.tpot_iqr_rel * 100
    limit = f" ({row.batch_limit})" if row.batch_limit else ""
    return (
        row.architecture,
        row.batch,
        row.context,
        row.state + limit,
        *sizes,
        row.ttft_ms_med,
        row.tpot_ms_med,
        noise,
    )
