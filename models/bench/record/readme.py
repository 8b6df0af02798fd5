"""Write what was recorded on a GPU into kernels/README.md: one block per GPU and versions, others' blocks stay."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models import units
from models.bench.judge.statistics import spread
from models.records.measurement import Measurement
from models.records.run import Run

END = "<!-- end of gpu -->"
NOT_YET = "no GPU yet"  # the block that says so; the first recording takes its place
_BLOCK = re.compile(r"<!-- gpu: (?P<name>[^\n]*?) -->\n.*?" + re.escape(END) + r"\n?", re.DOTALL)


def key(identity: Mapping[str, Any]) -> str:
    """Name a GPU and the versions that its times depend on, without what would end a comment or a table.

    >>> key({"device_name": "A | B -->", "torch": "2.13.0", "triton": None, "transformers": "5.23.0"})
    'A B, torch 2.13.0, transformers 5.23.0'
    """
    named = [_plain(str(identity["device_name"]))]
    named += [f"{name} {_plain(str(identity[name]))}" for name in ("torch", "triton", "transformers") if identity[name]]
    return ", ".join(named)


def with_block(text: str, name: str, lines: Iterable[str]) -> str:
    """Return a document with this block in the place of the one of the same name, else at its end."""
    block = "\n".join([f"<!-- gpu: {name} -->", *lines, END, ""])
    found = {match["name"]: match for match in _BLOCK.finditer(text)}
    old = found.get(name) or found.get(NOT_YET)
    if old is None:
        return f"{text.rstrip()}\n\n{block}"
    return text[: old.start()] + block + text[old.end() :]


def block(
    identity: Mapping[str, Any],
    kernels: Sequence[Mapping[str, Any]],
    tables: Sequence[Mapping[str, Any]],
    runs: Mapping[str, Run],
    *,
    day: str,
) -> list[str]:
    """Write the lines of a block.

    kernels: rows of bench-kernels; tables: rows of tune-kernels; runs: path in the project -> the run it holds.
    """
    commit = f", commit {_plain(str(identity['commit']))}" if identity["commit"] else ""
    where = f"Recorded by `make gpu` on {day}{commit}; {_plain(identity['host_cpu'])}, Python {identity['python']}."
    lines = ["", f"### {key(identity)}", "", where]
    if kernels:
        lines += ["", *_kernel_table(kernels)]
    if tables:
        lines += ["", *_tuning_table(tables)]
    if any(row.timed for run in runs.values() for row in run.rows):
        lines += ["", *_run_table(runs)]
    return [*lines, ""]


def _kernel_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ("operation", "size", "against", "its time", "seqops", "ratio (quartiles)", "peak memory")
    return _table(head, map(_kernel_columns, rows))


def _kernel_columns(row: Mapping[str, Any]) -> tuple[str, ...]:
    what = (row["operation"], f"{row['shape']}, {row['dtype']}", row["baseline"])
    if row["ratio"] is None:
        return (*what, "", "", "values differ", "")
    times = (units.duration(row[name] / 1e3) for name in ("baseline_ms", "ours_ms"))
    ratio = f"{units.number(row['ratio'])} ({units.number(row['ratio_low'])} to {units.number(row['ratio_high'])})"
    peaks = [row[name] for name in ("baseline_peak_bytes", "ours_peak_bytes")]
    return (*what, *times, ratio, "" if None in peaks else " to ".join(map(units.size, peaks)))


def _tuning_table(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ("table of tuning.py", "settings tried", "fastest", "times faster (quartiles)")
    return _table(head, map(_tuning_columns, tables))


def _tuning_columns(table: Mapping[str, Any]) -> tuple[str, ...]:
    tried = (table["name"], units.count(table["tried"]))
    if not table["faster"]:
        return (*tried, "as it is", "")
    ratio, low, high = (units.number(table[name]) for name in ("ratio", "ratio_low", "ratio_high"))
    return (
        *tried,
        ", ".join(f"{key} {value}" for key, value in table["setting"].items()),
        f"{ratio} ({low} to {high})",
    )


def _run_table(runs: Mapping[str, Run]) -> list[str]:
    head = ("size", "architecture", "longest context", "prefill", "one token", "peak memory", "energy of a token")
    rows = [columns for run in runs.values() for columns in _run_columns(run)]
    named = ", ".join(f"`{path}`" for path in runs)
    return [f"The longest context of each model at batch 1, medians. Every cell: {named}.", "", *_table(head, rows)]


def _run_columns(run: Run) -> Iterable[tuple[str, ...]]:
    longest: dict[str, Measurement] = {}
    for row in run.current:
        known = longest.get(row.architecture)
        if row.timed and row.batch == 1 and (known is None or row.context > known.context):
            longest[row.architecture] = row
    for row in longest.values():
        joules = row.energy_j_per_token
        yield (
            row.size,
            row.architecture,
            units.count(row.context),
            _median_s(row.prefill_ms_samples),
            "" if row.tpot_ms_med is None else units.duration(row.tpot_ms_med / 1e3),
            "" if row.peak_bytes is None else units.size(row.peak_bytes),
            "" if joules is None else f"{units.number(joules)} J",
        )


def _median_s(samples: Sequence[float]) -> str:
    return units.duration(spread(samples).median / 1e3) if samples else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(_plain, line))} |" for line in lines]


def _plain(text: str) -> str:
    """Return a text without the signs that end a cell, a comment or code in Markdown."""
    return " ".join(re.sub(r"[|<>`\n]|-->", " ", text.replace("-->", " ")).split())
