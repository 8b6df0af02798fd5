"""Write a run as a Parquet file, and read such a file, also one that another program has saved again."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.bench.store import spreadsheet
from models.bench.store.recorded import encode, write_lines
from models.bench.store.texts import (
    RUN_COLUMNS,
    counted,
    entry_text,
    entry_value,
    head_of,
    of_run,
    table,
    typed,
    whole_of_run,
)
from models.bench.store.validation import MOST_COLUMNS, MOST_ROWS, PREFIXES, kinds, nested, not_a_run, too_many, torn
from models.records.run import Run

_MOST_UNPACKED = 200 * 2**20  # bytes of a Parquet file once unpacked
_MOST_VALUES = 5_000_000
_HEAD = b"contextscope.run"  # the key of a Parquet file's metadata


def write(run: Run) -> bytes:
    """Write a run as a Parquet file with its head in the metadata."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {int: pa.int64(), float: pa.float64(), str: pa.string(), tuple: pa.list_(pa.float64())}
    columns, rows = table(run)
    fields, arrays = [], []
    for column in columns:
        values = [row.get(column) for row in rows]
        if column in kinds() or column in spreadsheet.TIMES.values():
            kind, asis = types[kinds()[column][0] if column in kinds() else str], True
        else:
            kind, asis = _common_type(rows, column, types)
            values = values if asis else [entry_text(row[column]) if column in row else None for row in rows]
        fields.append(pa.field(column, kind, metadata=None if asis else {"encoding": "json"}))
        arrays.append(pa.array(values, kind))
    common, once = of_run(run)
    once["run_json"] = encode([field.name for field in fields if field.metadata])
    for column in RUN_COLUMNS:  # once more as columns: a program that saves the table again keeps no metadata
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


def read(name: str, data: bytes) -> Run:
    """Read the run of a Parquet file; SourceError with a sentence for any other, incomplete or too large one."""
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
            column: entry_value(value) if column in text and isinstance(value, str) else value
            for column, value in row.items()
            if value is not None or not nested(column)
        }
        for row in rows
    ]
    if not isinstance(head, dict):
        return counted(name, None, found, None)
    return counted(name, head, found, head.get("row_count"))


def _saved_again(name: str, file: Any, names: Sequence[str]) -> tuple[dict[str, Any] | None, set[str]]:
    """Return the head of a run and the columns written as JSON from a table that another program has saved again."""
    present = [column for column in (*RUN_COLUMNS, "run_id") if column in names]
    first: dict[str, Any] = next(
        (row for batch in file.iter_batches(batch_size=1, columns=present) for row in batch.to_pylist()), {}
    )
    texts = {column: "" if value is None else str(value) for column, value in first.items()}
    head = head_of(name, texts) if texts.get("run_created_ns") else None
    if head is not None and texts.get("run_rows"):
        head["row_count"] = whole_of_run(name, "run_rows", texts["run_rows"])
    listed = entry_value(texts.get("run_json", ""))
    nested_columns = {column for column in names if nested(column)}
    return head, nested_columns & set(listed) if isinstance(listed, list) else nested_columns if head else set()


def _samples_of_text(name: str, number: int, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its samples as numbers where a table that came from CSV has them as text."""
    for column, value in row.items():
        if isinstance(value, str) and column in kinds() and kinds()[column][0] is tuple:
            row[column] = typed(name, number, {column: value})[column]
    return row


def _readable(metadata: Any, names: Sequence[str]) -> bool:
    """Return whether a Parquet file has unique column names and an unpacked size within the limit."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    values = sum(group.column(index).num_values for group in groups for index in range(group.num_columns))
    small = values <= _MOST_VALUES and len(names) <= MOST_COLUMNS
    return small and sum(group.total_byte_size for group in groups) <= _MOST_UNPACKED and len(set(names)) == len(names)
