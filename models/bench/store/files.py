"""Export a run as a file, and import such a file."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from models.bench.store import columnar, spreadsheet
from models.bench.store.foreign import opening
from models.bench.store.malformed import odd_number
from models.bench.store.recorded import write_lines
from models.bench.store.texts import RUN_COLUMNS, counted, head_of, of_run, table, to_text, typed, whole_of_run
from models.bench.store.validation import MOST_COLUMNS, MOST_ROWS, kinds, not_a_run, refuse, too_many, torn
from models.errors import SourceError
from models.records.run import Run

FORMATS = ("jsonl", "csv", "parquet", "md", "html")
MEDIA_TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "md": "text/markdown",
    "html": "text/html",
}
MOST_MB = 20
csv.field_size_limit(MOST_MB * 2**20)  # of the process: samples are long
Words = Callable[..., str]


def export(run: Run, fmt: str, *, words: Words | None = None) -> bytes:
    """Write a run in one of FORMATS. words: gives the sentences of md and html; ValueError when they lack it."""
    if fmt == "jsonl":
        return write_lines(run).encode()
    if fmt == "csv":
        return _csv(run).encode("utf-8", errors="backslashreplace")
    if fmt == "parquet":
        return columnar.write(run)
    if fmt in FORMATS and words is not None:
        from models.bench.report import html_page

        return (html_page.markdown if fmt == "md" else html_page.html)(run, words).encode("utf-8", errors="replace")
    raise ValueError(f"{fmt!r} is none of {FORMATS}" if fmt not in FORMATS else f"{fmt} needs words")


def parse(name: str, data: bytes) -> Run:
    """Parse a run from an exported JSONL, CSV or Parquet file, or one of another program, detected from the content.

    Raises SourceError with a sentence for any other, incomplete, too large or hostile file.
    """
    name = name[-100:]
    if len(data) > MOST_MB * 2**20:
        raise SourceError("errors.import_large", f"{name} is larger than {MOST_MB} MB", name=name, limit=MOST_MB)
    try:
        if data[:4] == b"PAR1":
            return columnar.read(name, data)
        text = spreadsheet.text_of(name, data)
        of_another = opening.read(name, data, text)
        if of_another is not None:
            return of_another
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
        entry = _entry(name, line, number, row=len(rows) + (head is not None))
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
    return counted(name, head, rows, head.get("row_count"))


def _entry(name: str, line: str, number: int, *, row: int) -> dict[str, Any]:
    """Return the object of a line. row: which row of the run it is, 0 for its head."""
    try:
        entry = json.loads(line)
        json.dumps(entry, ensure_ascii=False).encode()  # half of a letter, which no database takes, is refused
    except UnicodeEncodeError as error:
        raise not_a_run(name) from error
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and (odd := odd_number(line, error)):
            refuse(name, row, *odd)
        raise torn(name, f"line {number} cannot be read") from error
    if not isinstance(entry, dict):
        raise not_a_run(name)
    return entry


def _csv(run: Run) -> str:
    columns, rows = table(run)
    common, once = of_run(run)
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    run_columns = [column for column in RUN_COLUMNS if column in common or column in once]
    writer.writerow([*columns, *run_columns])
    for number, row in enumerate(rows or [{"run_id": run.run_id}]):
        values = row | common | (once if number == 0 else {})
        writer.writerow(
            [to_text(column, values[column]) if column in values else "" for column in (*columns, *run_columns)]
        )
    return file.getvalue()


def _from_csv(name: str, text: str) -> Run:
    found = spreadsheet.table(text, needed=("cell_id", "state"))
    if found is None or len(found.columns) > MOST_COLUMNS:
        raise not_a_run(name)
    columns, lines = found.columns, []
    for number, values in enumerate(found.lines, 2):
        if not any(values):
            continue
        if number > MOST_ROWS + 2:
            raise too_many(name)
        if len(values) != len(columns):
            raise torn(name, f"line {number} has {len(values)} of {len(columns)} columns")
        lines.append(dict(zip(columns, values, strict=True)))
    if not lines:
        raise not_a_run(name)
    numbers = {column: kind for column, (kind, _) in kinds().items() if kind in (int, float)}
    lines = [
        spreadsheet.restored(name, number, row, numbers, rewritten=found.rewritten)
        for number, row in enumerate(lines, 1)
    ]
    expected = {row.get("run_rows", "") for row in lines}
    if len(expected) > 1:
        raise torn(name, "the last line is cut short")
    rows = [typed(name, number, row) for number, row in enumerate(lines, 1) if row["cell_id"]]
    return counted(name, head_of(name, lines[0]), rows, whole_of_run(name, "run_rows", expected.pop()))
