"""Export a run as a file, and import such a file."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.bench.store import spreadsheet
from models.bench.store.recorded import encode, timed, write_lines
from models.bench.store.validation import (
    MOST_COLUMNS,
    MOST_ROWS,
    PREFIXES,
    checked_run,
    kinds,
    nested,
    not_a_run,
    refuse,
    too_many,
    torn,
)
from models.errors import SourceError
from models.records.run import Run, flat, plain

FORMATS = ("jsonl", "csv", "parquet", "md", "html")
MEDIA_TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "md": "text/markdown",
    "html": "text/html",
}
MOST_MB = 20
_MOST_UNPACKED = 200 * 2**20  # bytes of a Parquet file once unpacked
_MOST_VALUES = 5_000_000
_HEAD = b"contextscope.run"  # the key of a Parquet file's metadata
_RUN_COLUMNS = (
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
Words = Callable[..., str]


def export(run: Run, fmt: str, *, words: Words | None = None) -> bytes:
    """Write a run in one of FORMATS. words: gives the sentences of md and html; ValueError when they lack it."""
    if fmt == "jsonl":
        return write_lines(run).encode()
    if fmt == "csv":
        return _csv(run).encode("utf-8", errors="backslashreplace")
    if fmt == "parquet":
        return _parquet(run)
    if fmt in FORMATS and words is not None:
        from models.bench.report import html_page

        return (html_page.markdown if fmt == "md" else html_page.html)(run, words).encode("utf-8", errors="replace")
    raise ValueError(f"{fmt!r} is none of {FORMATS}" if fmt not in FORMATS else f"{fmt} needs words")


def parse(name: str, data: bytes) -> Run:
    """Parse a run from an exported JSONL, CSV or Parquet file; the format is detected from the content.

    Raises SourceError with a sentence for any other, incomplete, too large or hostile file.
    """
    name = name[-100:]
    if len(data) > MOST_MB * 2**20:
        raise SourceError("errors.import_large", f"{name} is larger than {MOST_MB} MB", name=name, limit=MOST_MB)
    try:
        if data[:4] == b"PAR1":
            return _from_parquet(name, data)
        text = spreadsheet.text_of(name, data)
        return _from_lines(name, text) if text.lstrip()[:1] == "{" else _from_csv(name, text)
    except csv.Error as error:
        raise torn(name, str(error)) from error
    except (UnicodeDecodeError, RecursionError, OverflowError, MemoryError) as error:
        raise not_a_run(name) from error


def _from_lines(name: str, text: str) -> Run:
    head: dict[str, Any] | None = None
    rows: list[dict[str, Any]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            json.dumps(entry, ensure_ascii=False).encode()  # half of a letter, which no database takes, is refused
        except UnicodeEncodeError as error:
            raise not_a_run(name) from error
        except ValueError as error:
            raise torn(name, f"line {number} cannot be read") from error
        if not isinstance(entry, dict):
            raise not_a_run(name)
        kind = entry.pop("kind", "row")
        if kind == "run":
            if head is not None:
                raise SourceError("errors.import_several", f"{name} holds several runs", name=name)
            head = entry
        elif kind == "row":
            rows.append(entry)
        elif kind == "end" and head is not None:
            head["ended"] = entry.get("ended")
    if head is None:
        raise not_a_run(name)
    if "row_count" in head and "ended" not in head:
        raise torn(name, "the last line is missing")
    return _counted(name, head, rows, head.get("row_count"))


def _counted(name: str, head: dict[str, Any] | None, rows: Sequence[Mapping[str, Any]], expected: object) -> Run:
    if expected is not None and (not isinstance(expected, int) or isinstance(expected, bool)):
        refuse(name, 1, "row_count", expected)
    if expected is not None and expected != len(rows):
        raise torn(name, f"{len(rows)} rows instead of {expected}")
    return checked_run(name, head, rows)


def _table(run: Run) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns of a run's rows, in the order of their first appearance after the plain ones, and the rows.

    The times of a row stand beside its nanoseconds in a form that people and spreadsheets can read.
    """
    rows = [timed(flat(row)) for row in run.rows]
    extra = dict.fromkeys(column for row in rows for column in row if nested(column))
    plain_columns = [name for column in kinds() for name in (column, *filter(None, [spreadsheet.TIMES.get(column)]))]
    return [*plain_columns, *sorted(extra)], rows


def _of_run(run: Run) -> tuple[dict[str, Any], dict[str, str]]:
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


def _csv(run: Run) -> str:
    columns, rows = _table(run)
    common, once = _of_run(run)
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    run_columns = [column for column in _RUN_COLUMNS if column in common or column in once]
    writer.writerow([*columns, *run_columns])
    for number, row in enumerate(rows or [{"run_id": run.run_id}]):
        values = row | common | (once if number == 0 else {})
        writer.writerow(
            [_to_text(column, values[column]) if column in values else "" for column in (*columns, *run_columns)]
        )
    return file.getvalue()


def _from_csv(name: str, text: str) -> Run:
    csv.field_size_limit(MOST_MB * 2**20)  # samples are long
    found = spreadsheet.table(text, needed=("cell_id", "state"))
    if found is None or len(found.columns) > MOST_COLUMNS:
        raise not_a_run(name)
    columns, table = found.columns, []
    for number, values in enumerate(found.lines, 2):
        if not any(values):
            continue
        if number > MOST_ROWS + 2:
            raise too_many(name)
        if len(values) != len(columns):
            raise torn(name, f"line {number} has {len(values)} of {len(columns)} columns")
        table.append(dict(zip(columns, values, strict=True)))
    if not table:
        raise not_a_run(name)
    numbers = {column: kind for column, (kind, _) in kinds().items() if kind in (int, float)}
    table = [
        spreadsheet.restored(name, number, row, numbers, rewritten=found.rewritten)
        for number, row in enumerate(table, 1)
    ]
    expected = {row.get("run_rows", "") for row in table}
    if len(expected) > 1:
        raise torn(name, "the last line is cut short")
    rows = [_typed(name, number, row) for number, row in enumerate(table, 1) if row["cell_id"]]
    return _counted(name, _csv_head(name, table[0]), rows, _whole(name, "run_rows", expected.pop()))


def _csv_head(name: str, first: Mapping[str, str]) -> dict[str, Any] | None:
    if "run_created_ns" not in first:
        return None
    created = _whole(name, "run_created_ns", first["run_created_ns"])
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


def _whole(name: str, column: str, text: str) -> int | None:
    """Return a whole number of the columns about the run, which stand on the first row; None where there is none."""
    try:
        found = _from_text(int, text)
    except ValueError:
        refuse(name, 1, column, text)
    if found is not None and found != int(found):
        refuse(name, 1, column, text)
    return None if found is None else int(found)


def _to_text(column: str, value: Any) -> str:
    """Write a value for a spreadsheet: lists as JSON, nothing that it would take for a formula."""
    if nested(column):
        return _quoted(_entry_text(value))
    if isinstance(value, list):
        return encode(value)
    return "" if value is None else _quoted(value) if isinstance(value, str) else repr(value)


def _typed(name: str, number: int, row: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column, text in row.items():
        if nested(column) and text:
            found[column] = _entry_value(_unquoted(text))
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


def _entry_text(value: Any) -> str:
    """Write an entry of a mapping: text as it is unless it reads like JSON, anything else as JSON."""
    return value if isinstance(value, str) and isinstance(_entry_value(value), str) and value else encode(value)


def _entry_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _quoted(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _unquoted(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _parquet(run: Run) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    types = {int: pa.int64(), float: pa.float64(), str: pa.string(), tuple: pa.list_(pa.float64())}
    columns, rows = _table(run)
    fields, arrays = [], []
    for column in columns:
        values = [row.get(column) for row in rows]
        if column in kinds() or column in spreadsheet.TIMES.values():
            kind, asis = types[kinds()[column][0] if column in kinds() else str], True
        else:
            kind, asis = _common_type(rows, column, types)
            values = values if asis else [_entry_text(row[column]) if column in row else None for row in rows]
        fields.append(pa.field(column, kind, metadata=None if asis else {"encoding": "json"}))
        arrays.append(pa.array(values, kind))
    common, once = _of_run(run)
    once["run_json"] = encode([field.name for field in fields if field.metadata])
    for column in _RUN_COLUMNS:  # once more as columns: a program that saves the table again keeps no metadata
        first, others = once.get(column, common.get(column)), common.get(column)
        values = [first if number == 0 else others for number in range(len(rows))]
        fields.append(pa.field(column, types[type(first)]))
        arrays.append(pa.array(values, types[type(first)]))
    head = json.loads(write_lines(run).partition("\n")[0]) | {"ended": run.ended}
    schema = pa.schema(fields, metadata={_HEAD: encode(head).encode()})
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), file)
    return file.getvalue()


def _common_type(rows: Sequence[Mapping[str, Any]], column: str, types: Mapping[type, Any]) -> tuple[Any, bool]:
    """Return the type that all entries of a column have, or text for entries written as JSON."""
    found = {type(row[column]) for row in rows if column in row}
    only = found.pop() if len(found) == 1 else None
    whole = only in (str, float) or (only is int and all(abs(row.get(column, 0)) < 2**63 for row in rows))
    return (types[only], True) if only is not None and whole else (types[str], False)


def _from_parquet(name: str, data: bytes) -> Run:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        schema = file.schema_arrow
        if file.metadata.num_rows > MOST_ROWS:
            raise too_many(name)
        if not _readable(file.metadata, schema.names):
            raise not_a_run(name)
        known = [column for column in schema.names if column in kinds() or column.startswith(PREFIXES)]
        rows: list[dict[str, Any]] = []
        for batch in file.iter_batches(batch_size=16, columns=known):
            rows.extend(batch.to_pylist())
        head = json.loads((schema.metadata or {}).get(_HEAD, b"null"))
        again = None if isinstance(head, dict) else _saved_again(name, file, schema.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise (not_a_run(name) if data[-4:] == b"PAR1" else torn(name, "the end is missing")) from error
    text = {column for column in known if (schema.field(column).metadata or {}).get(b"encoding") == b"json"}
    if again is not None:
        head, text = again
        rows = [_samples_of_text(name, number, row) for number, row in enumerate(rows, 1)]
    found = [
        {
            column: _entry_value(value) if column in text and isinstance(value, str) else value
            for column, value in row.items()
            if value is not None or not nested(column)
        }
        for row in rows
    ]
    if not isinstance(head, dict):
        return _counted(name, None, found, None)
    return _counted(name, head, found, head.get("row_count"))


def _saved_again(name: str, file: Any, names: Sequence[str]) -> tuple[dict[str, Any] | None, set[str]]:
    """Return the head of a run and the columns written as JSON from a table that another program has saved again."""
    present = [column for column in (*_RUN_COLUMNS, "run_id") if column in names]
    first: dict[str, Any] = next(
        (row for batch in file.iter_batches(batch_size=1, columns=present) for row in batch.to_pylist()), {}
    )
    texts = {column: "" if value is None else str(value) for column, value in first.items()}
    head = _csv_head(name, texts) if texts.get("run_created_ns") else None
    if head is not None and texts.get("run_rows"):
        head["row_count"] = _whole(name, "run_rows", texts["run_rows"])
    listed = _entry_value(texts.get("run_json", ""))
    nested_columns = {column for column in names if nested(column)}
    return head, nested_columns & set(listed) if isinstance(listed, list) else nested_columns if head else set()


def _samples_of_text(name: str, number: int, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its samples as numbers where a table that came from CSV has them as text."""
    for column, value in row.items():
        if isinstance(value, str) and column in kinds() and kinds()[column][0] is tuple:
            row[column] = _typed(name, number, {column: value})[column]
    return row


def _readable(metadata: Any, names: Sequence[str]) -> bool:
    """Return whether a Parquet file has unique column names and an unpacked size within the limit."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    values = sum(group.column(index).num_values for group in groups for index in range(group.num_columns))
    small = values <= _MOST_VALUES and len(names) <= MOST_COLUMNS
    return small and sum(group.total_byte_size for group in groups) <= _MOST_UNPACKED and len(set(names)) == len(names)
