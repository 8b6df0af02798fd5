"""Validate an imported file before it becomes a run: type, range and length of every column."""

import dataclasses
import math
import re
import secrets
import typing
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import PurePath
from typing import Any, NoReturn

from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, VIEWS
from models.counting import accounting
from models.errors import SourceError
from models.records.cell import Cell
from models.records.measurement import PROTOCOL_VERSION, Measurement, from_row
from models.records.run import RUN_ID, Run, clean_title
from models.sources import sizes

PREFIXES = ("impl_", "env_", "reason_")
MOST_ROWS = 2_000  # of a file: ours have at most 128 cells, some of them measured again
MOST_COLUMNS = 1000
MOST_MS = 1e11  # of a time of another program: three years, beyond which its unit is another
_LONGEST = {"reason": 20_000}
_LONGEST_TEXT = 2000
_LONGEST_LIST = 1_000_000
_LARGEST = 2**63
_LATEST_NS = 4_102_444_800_000_000_000  # the year 2100: a date beyond it cannot be written everywhere
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,3})?")
_RESERVED = ("reason_lang", "reason_key")  # names of the function that fills a reason's sentence

_NAMES = ("architecture", "source", "device", "dtype", "attention", "kernels", "experts", "size")
_MILLISECONDS = (
    "prefill_ms_samples", "decode_ms_samples", "first_token_ms_samples", "e2e_ms_samples", "ttft_ms_med", "tpot_ms_med",
)  # fmt: skip
# What a row without a steady round does not have.
_TIMES = (
    *_MILLISECONDS, "ttft_iqr_rel", "tpot_iqr_rel", "decode_tokens_per_s", "e2e_tokens_per_s", "mbu", "mfu",
    "launch_fraction",
)  # fmt: skip


@lru_cache(maxsize=1)
def kinds() -> Mapping[str, tuple[type, bool]]:
    """Return for each plain column of a row its type (tuple: samples) and whether it may be None."""
    hints = typing.get_type_hints(Measurement)
    found: dict[str, tuple[type, bool]] = {}
    for item in dataclasses.fields(Measurement):
        hint = hints[item.name]
        parts = typing.get_args(hint)
        if typing.get_origin(hint) is tuple:
            found[item.name] = (tuple, False)
        elif hint in (int, float, str):
            found[item.name] = (hint, False)
        elif type(None) in parts:
            found[item.name] = (next(part for part in parts if part is not type(None)), True)
    return found  # what is left are the mappings, whose entries are columns with a prefix


def nested(column: str) -> bool:
    """Return whether a column is an entry of one of a row's mappings."""
    return column not in kinds() and column.startswith(PREFIXES)


def checked_run(name: str, head: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]]) -> Run:
    """Make a run of what a file held. Without a head, what it would say is taken from the rows.

    Raises SourceError, which names the file and what is wrong. Unknown columns are dropped.
    """
    if head is None and not rows:
        raise not_a_run(name)
    if len(rows) > MOST_ROWS:
        raise too_many(name)
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("run_id"), str | None):
            refuse(name, number, "run_id", row.get("run_id"))
    ids = {row.get("run_id") for row in rows}
    if len(ids) > 1:
        raise SourceError("errors.import_several", f"{name} holds rows of {len(ids)} runs", name=name)
    measured = [_row(name, number, row) for number, row in enumerate(rows, 1)]
    known = head if head is not None else {}
    run_id = known.get("run_id") or next(iter(ids), None)
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        run_id = f"run-{secrets.token_hex(4)}"
    return Run(
        run_id,
        clean_title(str(known.get("title", PurePath(name).stem))),
        _created(name, known, measured),
        _cells(name, known, measured),
        _environment(name, known, measured),
        tuple(dataclasses.replace(row, run_id=run_id) for row in measured),
        ended if (ended := known.get("ended")) in ("done", "cancelled") else "",
        imported=True,
    )


def not_a_run(name: str) -> SourceError:
    """Return the error for a file that is something else."""
    return SourceError("errors.import_kind", f"{name} is not a benchmark run", name=name)


def too_many(name: str) -> SourceError:
    """Return the error for a file with more rows than a run has."""
    message = f"{name} holds more than {MOST_ROWS} rows, and no run has that many"
    return SourceError("errors.import_rows", message, name=name, limit=MOST_ROWS)


def torn(name: str, why: str) -> SourceError:
    """Return the error for a file whose end is missing."""
    return SourceError("errors.import_torn", f"{name} is incomplete: {why}", name=name)


def refuse(name: str, row: int, column: str, value: object) -> NoReturn:
    """Raise the error for a value that no benchmark writes. row: from 1; 0 for what stands once for the run."""
    shown = repr(value)[:60]
    message = f"{name}, row {row}: {column} cannot be {shown}"
    raise SourceError("errors.import_value", message, name=name, row=row, column=column, value=shown)


def _row(name: str, number: int, flat: Mapping[str, Any]) -> Measurement:
    kept: dict[str, Any] = {}
    for column, value in flat.items():
        if nested(column):
            if _NAME.fullmatch(column) and column not in (*PREFIXES, *_RESERVED):
                kept[column] = _entry(name, number, column, value)
        elif column in kinds():
            kind, optional = kinds()[column]
            checked = _samples(name, number, column, value) if kind is tuple else _value(name, number, column, value)
            if checked is not None or optional:
                kept[column] = checked
    newest = kept.get("protocol_version", 0)
    if newest > PROTOCOL_VERSION:
        message = f"{name} has protocol {newest}, known here is {PROTOCOL_VERSION}"
        raise SourceError("errors.import_newer", message, name=name, protocol=newest, known=PROTOCOL_VERSION)
    try:
        row = from_row(kept)
    except ValueError as error:
        column = "state" if "state" in kept else "columns"
        refuse(name, number, column, kept.get("state", str(error)))
    _sound(name, number, row)
    return row


def _sound(name: str, number: int, row: Measurement) -> None:
    """Refuse a row that contradicts itself, as the figures rely on it."""
    for column in ("context", "batch"):
        if getattr(row, column) < 1:
            refuse(name, number, column, getattr(row, column))
    for column in ("run_id", "cell_id"):
        if not getattr(row, column):
            refuse(name, number, column, "")
    if row.tool:
        _of_another(name, number, row)
    else:
        _known(name, number, row)
    if row.state == "unstable" and row.rounds == 0:  # no round was steady: bytes alone
        for column in _TIMES:
            if getattr(row, column):
                refuse(name, number, column, getattr(row, column))
        return
    if row.measured and not row.tool and not row.prefill_ms_samples:
        refuse(name, number, "prefill_ms_samples", ())
    if row.measured and not row.tool and row.decode_tokens and not row.decode_ms_samples:
        refuse(name, number, "decode_ms_samples", ())
    if row.rounds is not None and (row.rounds < 1 or len(row.decode_ms_samples) % row.rounds):
        refuse(name, number, "rounds", row.rounds)


def _of_another(name: str, number: int, row: Measurement) -> None:
    """Refuse a row of another program without a time or with one of years, and names that a page cannot show."""
    for column in _NAMES:
        if getattr(row, column) != clean_title(getattr(row, column)):
            refuse(name, number, column, getattr(row, column))
    if not row.architecture or row.architecture in _architectures():
        refuse(name, number, "architecture", row.architecture)
    times = {column: getattr(row, column) for column in _MILLISECONDS}
    every = {column: found if isinstance(found, tuple) else (found,) for column, found in times.items() if found}
    if row.measured and not (every or row.decode_tokens_per_s or row.e2e_tokens_per_s):
        refuse(name, number, "prefill_ms_samples", ())
    for column, found in every.items():
        if max(found) > MOST_MS:
            refuse(name, number, column, max(found))


def _architectures() -> tuple[str, ...]:
    return tuple(sizes.tier("bundled").models)


def _known(name: str, number: int, row: Measurement) -> None:
    """Refuse an architecture, a device, a number type or a way of measuring that no page can draw."""
    architectures = _architectures()
    for column, choices, known in (
        ("architecture", architectures, row.architecture in architectures),
        ("device", ("cpu", "cuda", "cuda:0"), _DEVICE.fullmatch(row.device)),
        ("dtype", tuple(accounting.DTYPE_BYTES), row.dtype in accounting.DTYPE_BYTES),
        ("view", VIEWS, row.view in VIEWS),
        ("attention", ATTENTION, row.attention in ATTENTION),
        ("kernels", KERNELS, row.kernels in KERNELS),
        ("experts", EXPERTS, row.experts in EXPERTS),
    ):
        if not known:
            shown, listed = repr(getattr(row, column))[:60], ", ".join(choices)
            message = f"{name}, row {number}: {column} {shown} is not known here; known are {listed}"
            values = {"row": number, "column": column, "value": shown, "known": listed}
            raise SourceError("errors.import_unknown", message, name=name, **values)


def _value(name: str, number: int, column: str, value: Any) -> Any:
    kind, _ = kinds()[column]
    if value is None:
        return None
    if kind is str:
        if not isinstance(value, str) or len(value) > _LONGEST.get(column, _LONGEST_TEXT):
            refuse(name, number, column, value)
        return value
    if not _is_number(value) or (value < 0 and column != "seed"):
        refuse(name, number, column, value)
    if kind is int:
        if value != int(value) or not -_LARGEST <= value < _LARGEST:
            refuse(name, number, column, value)
        return int(value)
    return float(value)


def _samples(name: str, number: int, column: str, value: Any) -> list[float]:
    if value is None:
        return []
    if not isinstance(value, list | tuple) or len(value) > _LONGEST_LIST:
        refuse(name, number, column, value)
    for sample in value:
        if not _is_number(sample) or sample <= 0:
            refuse(name, number, column, sample)
    return [float(sample) for sample in value]


def _entry(name: str, number: int, column: str, value: Any, *, inside: bool = False) -> Any:
    """Check an entry of a mapping: a plain value, or a short list of plain values."""
    if isinstance(value, list | tuple) and len(value) <= _LONGEST_TEXT and not inside:
        return [_entry(name, number, column, one, inside=True) for one in value]
    if isinstance(value, str) and len(value) <= _LONGEST["reason"]:
        return value
    if value is None or isinstance(value, bool) or _is_number(value):
        return value
    refuse(name, number, column, value)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST


def _created(name: str, head: Mapping[str, Any], rows: Sequence[Measurement]) -> int:
    known = head.get("created_ns")
    if known is None:
        known = min((row.started_ns for row in rows if row.started_ns is not None), default=0)
    if not _is_number(known) or not 0 <= known < _LATEST_NS:
        refuse(name, 0, "created_ns", known)
    return int(known)


def _cells(name: str, head: Mapping[str, Any], rows: Sequence[Measurement]) -> tuple[Mapping[str, Any], ...]:
    cells = head.get("cells")
    if cells is None:
        asked = [item.name for item in dataclasses.fields(Cell) if item.name in kinds()]
        found = ({column: getattr(row, column) for column in asked} for row in rows)
        return tuple({column: value for column, value in cell.items() if value is not None} for cell in found)
    if not isinstance(cells, list) or len(cells) > MOST_ROWS or not all(isinstance(cell, dict) for cell in cells):
        refuse(name, 0, "cells", cells)
    return tuple({str(column): _entry(name, 0, "cells", value) for column, value in cell.items()} for cell in cells)


def _environment(name: str, head: Mapping[str, Any], rows: Sequence[Measurement]) -> Mapping[str, Any]:
    known = head.get("environment")
    if not isinstance(known, dict):
        return dict(rows[0].environment) if rows else {}
    return {key: _entry(name, 0, key, value) for key, value in known.items() if _NAME.fullmatch(key)}
