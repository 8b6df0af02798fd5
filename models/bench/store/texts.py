"""The values of a run as texts of a table, and the columns about the run that stand beside those of its rows."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.bench.store import spreadsheet
from models.bench.store.recorded import encode, timed
from models.bench.store.validation import checked_run, kinds, nested, refuse, torn
from models.records.run import Run, flat, plain

RUN_COLUMNS = (
    "run_title",
    "run_created_ns",
    "run_created",
    "run_ended",
    "run_environment",
    "run_cells",
    "run_rows",
    "run_json",
)
_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet would run


def table(run: Run) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns of a run's rows, in the order of their first appearance after the plain ones, and the rows.

    The times of a row stand beside its nanoseconds in a form that people and spreadsheets can read.
    """
    rows = [timed(flat(row)) for row in run.rows]
    extra = dict.fromkeys(column for row in rows for column in row if nested(column))
    plain_columns = [name for column in kinds() for name in (column, *filter(None, [spreadsheet.TIMES.get(column)]))]
    return [*plain_columns, *sorted(extra)], rows


def of_run(run: Run) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the columns about the run that a table has on every line, and those on the first line only."""
    common = {
        "run_title": run.title,
        "run_created_ns": run.created_ns,
        "run_created": spreadsheet.iso(run.created_ns),
        "run_ended": run.ended,
        "run_rows": len(run.rows),
    }
    once = {
        "run_environment": encode({key: plain(value) for key, value in run.environment.items()}),
        "run_cells": encode([dict(cell) for cell in run.cells]),
    }
    return common, once


def counted(name: str, head: dict[str, Any] | None, rows: Sequence[Mapping[str, Any]], expected: object) -> Run:
    """Make a run of what a file held, once its rows are as many as its head says; raises as checked_run does."""
    if expected is not None and (not isinstance(expected, int) or isinstance(expected, bool)):
        refuse(name, 1, "row_count", expected)
    if expected is not None and expected != len(rows):
        raise torn(name, f"{len(rows)} rows instead of {expected}")
    return checked_run(name, head, rows)


def head_of(name: str, first: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the head of a run from the columns about it on a first row; None where there are none."""
    if "run_created_ns" not in first:
        return None
    created = whole_of_run(name, "run_created_ns", first["run_created_ns"])
    try:
        return {
            "run_id": first.get("run_id"),
            "title": _unquoted(first.get("run_title", "")),
            "created_ns": created or 0,
            "ended": first.get("run_ended", ""),
            "environment": json.loads(first.get("run_environment") or "null"),
            "cells": json.loads(first.get("run_cells") or "null"),
        }
    except ValueError as error:
        raise torn(name, "the columns of the run cannot be read") from error


def whole_of_run(name: str, column: str, text: str) -> int | None:
    """Return a whole number of the columns about the run, which stand on the first row; None where there is none."""
    try:
        found = _from_text(int, text)
    except ValueError:
        refuse(name, 1, column, text)
    if found is not None and found != int(found):
        refuse(name, 1, column, text)
    return None if found is None else int(found)


def to_text(column: str, value: Any) -> str:
    """Write a value for a spreadsheet: lists as JSON, nothing that it would take for a formula."""
    if nested(column):
        return _quoted(entry_text(value))
    if isinstance(value, list):
        return encode(value)
    return "" if value is None else _quoted(value) if isinstance(value, str) else repr(value)


def typed(name: str, number: int, row: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a row of texts, known columns and mappings alone; SourceError for one that is no value."""
    found: dict[str, Any] = {}
    for column, text in row.items():
        if nested(column) and text:
            found[column] = entry_value(_unquoted(text))
        elif column in kinds():
            try:
                found[column] = _from_text(kinds()[column][0], text)
            except ValueError:
                refuse(name, number, column, text)
    return found


def _from_text(kind: type, text: str) -> Any:
    if kind is str:
        return _unquoted(text)
    if not text:
        return None
    if kind is tuple:
        return json.loads(text)
    return spreadsheet.whole(text) if kind is int and text.lstrip("-").isdecimal() else spreadsheet.number(text)


def entry_text(value: Any) -> str:
    """Write an entry of a mapping: text as it is unless it reads like JSON, anything else as JSON."""
    return value if isinstance(value, str) and isinstance(entry_value(value), str) and value else encode(value)


def entry_value(text: str) -> Any:
    """Read an entry of a mapping: JSON where the text is some, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _quoted(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _unquoted(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
