"""I10: exported runs as spreadsheets and pandas save them again are read, or refused with the cause."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from models.bench.store import files, spreadsheet
from models.errors import SourceError
from models.records.run import Run, fingerprint
from pages.shared.words import i18n

RECORDED = Path(__file__).resolve().parents[2] / "assets" / "runs" / "quick-cpu.jsonl"
NEW = ("started", "ended", "run_created")  # columns that older exports do not have
Change = Callable[[str], str]


@pytest.fixture(scope="module")
def run() -> Run:
    return files.parse("quick-cpu.jsonl", RECORDED.read_bytes())


@pytest.fixture(scope="module")
def table(run: Run) -> list[list[str]]:
    return list(csv.reader(io.StringIO(files.export(run, "csv").decode(), newline="")))


def saved(table: list[list[str]], *, separator: str = ",", change: Change = str, encoding: str = "utf-8") -> bytes:
    """Save a table as another program does; change: what it does to each cell."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator).writerows([[change(cell) for cell in line] for line in table])
    return file.getvalue().encode(encoding)


def without(table: list[list[str]], *columns: str) -> list[list[str]]:
    kept = [i for i, column in enumerate(table[0]) if column not in columns]
    return [[line[i] for i in kept] for line in table]


def column(table: list[list[str]], name: str, value: str) -> list[list[str]]:
    at = table[0].index(name)
    return [table[0], *([*line[:at], value, *line[at + 1 :]] for line in table[1:])]


def rounded(cell: str) -> str:
    """Write numbers of twelve digits and more as spreadsheets do."""
    return f"{int(cell):.2E}" if re.fullmatch(r"\d{12,}", cell) else cell


def german(cell: str) -> str:
    """Write decimal commas as well."""
    number = re.fullmatch(r"-?\d+\.\d+(?:[eE][+-]?\d+)?", rounded(cell))
    return rounded(cell).replace(".", ",") if number else cell


def refused(data: bytes) -> SourceError:
    with pytest.raises(SourceError) as found:
        files.parse("mine.csv", data)
    for lang in i18n.LANGS:
        assert i18n.has(lang, found.value.key)
        i18n.say(lang, found.value.key, **found.value.values)
    return found.value


def alike(read: Run, run: Run) -> None:
    """Everything of a run but digits below a microsecond, which an ISO time does not hold."""
    for one, other in zip(read.rows, run.rows, strict=True):
        for mine, theirs in ((one.started_ns, other.started_ns), (one.ended_ns, other.ended_ns)):
            assert mine is not None and theirs is not None and 0 <= theirs - mine < 1000
    assert 0 <= run.created_ns - read.created_ns < 1000
    same = [[{**row.to_row(), "started_ns": 0, "ended_ns": 0} for row in one.rows] for one in (read, run)]
    assert same[0] == same[1]
    assert (read.title, read.cells, read.environment, read.ended) == (run.title, run.cells, run.environment, run.ended)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_i10_any_separator_and_encoding_is_the_same_run(run, table, separator: str, encoding: str) -> None:
    read = files.parse("x.csv", saved(table, separator=separator, encoding=encoding))
    assert fingerprint(read) == fingerprint(run)
    assert (read.created_ns, read.cells, read.environment) == (run.created_ns, run.cells, run.environment)


def test_i10_a_first_line_that_names_the_separator_is_skipped(run, table) -> None:
    assert files.parse("x.csv", b"sep=;\r\n" + saved(table, separator=";")).rows == run.rows


@pytest.mark.parametrize("change", [rounded, german], ids=["exponents", "exponents and decimal commas"])
def test_i10_rounded_nanoseconds_are_read_from_the_time_beside_them(run, table, change: Change) -> None:
    data = saved(table, separator=";", change=change)
    assert b"E+18" in data
    alike(files.parse("x.csv", data), run)


def test_i10_rounded_nanoseconds_without_a_time_are_refused_by_name(table) -> None:
    error = refused(saved(without(table, *NEW), change=rounded))
    assert error.key == "errors.import_rounded"
    assert error.values["column"] in ("started_ns", "ended_ns", "run_created_ns") and "E+18" in str(error)


def test_i10_a_whole_number_that_was_rounded_is_refused_and_a_short_one_is_read(table) -> None:
    error = refused(saved(column(table, "params_total", "3.99E+11")))
    assert (error.key, error.values["column"]) == ("errors.import_rounded", "params_total")
    read = files.parse("x.csv", saved(column(table, "bytes_weights", "1.2E+07")))
    assert {row.bytes_weights for row in read.rows} == {12_000_000}


def test_i10_truths_in_capitals_are_truths(table) -> None:
    wider = [[*line, "true" if i else "env_busy"] for i, line in enumerate(table)]
    capitals = [[cell.upper() if cell == "true" else cell for cell in line] for line in wider]
    for data, busy in ((saved(wider), True), (saved(capitals, separator=";"), True), (saved(capitals), "TRUE")):
        assert {row.environment["busy"] for row in files.parse("x.csv", data).rows} == {busy}


def test_i10_a_cell_that_was_cut_is_named(table) -> None:
    text = ("[" + "1.5, " * 6600)[: spreadsheet.LONGEST_CELL]
    error = refused(saved(column(table, "decode_ms_samples", text)))
    assert (error.key, error.values["column"]) == ("errors.import_cut", "decode_ms_samples")


def test_i10_an_old_encoding_is_named(table) -> None:
    assert refused(saved(column(table, "run_title", "측정"), encoding="cp949")).key == "errors.import_encoding"


def again(data: bytes, *, index: bool = False) -> bytes:
    """Read a Parquet file with pandas and save it again: what stood in its metadata is gone."""
    file = io.BytesIO()
    pd.read_parquet(io.BytesIO(data)).to_parquet(file, index=index)
    assert b"contextscope.run" not in (parquet.ParquetFile(file).schema_arrow.metadata or {})
    return file.getvalue()


@pytest.mark.parametrize("index", [False, True])
def test_i10_parquet_that_pandas_saved_again_is_the_same_run(run, index: bool) -> None:
    read = files.parse("x.parquet", again(files.export(run, "parquet"), index=index))
    assert fingerprint(read) == fingerprint(run)
    alike(read, run)
    assert (read.run_id, read.created_ns) == (run.run_id, run.created_ns)


def test_i10_values_that_only_look_like_json_survive_pandas(run) -> None:
    """A version is a text, whatever it looks like; a truth and a list are what they were."""
    import dataclasses

    environment = {"torch": "2.13", "busy": True, "mixed": [1, "a"], "word": "true"}
    odd = dataclasses.replace(run, rows=tuple(dataclasses.replace(row, environment=environment) for row in run.rows))
    read = files.parse("x.parquet", again(files.export(odd, "parquet")))
    assert [row.environment for row in read.rows] == [environment] * len(run.rows)


def test_i10_part_of_a_table_that_pandas_saved_again_is_incomplete(run) -> None:
    file = io.BytesIO()
    pd.read_parquet(io.BytesIO(files.export(run, "parquet"))).head(3).to_parquet(file)
    assert refused(file.getvalue()).key == "errors.import_torn"


def test_i10_csv_that_pandas_saved_as_parquet_is_the_same_run(run) -> None:
    file = io.BytesIO()
    pd.read_csv(io.BytesIO(files.export(run, "csv"))).to_parquet(file)
    read = files.parse("x.parquet", file.getvalue())
    assert [(row.cell_id, row.decode_ms_samples, row.started_ns) for row in read.rows] == [
        (row.cell_id, row.decode_ms_samples, row.started_ns) for row in run.rows
    ]
    assert (read.created_ns, read.cells) == (run.created_ns, run.cells)


@pytest.mark.parametrize("fmt", ["csv", "jsonl", "parquet"])
def test_i10_an_iso_time_stands_beside_every_nanosecond(run, fmt: str) -> None:
    data = files.export(run, fmt)
    if fmt == "jsonl":
        lines = [json.loads(line) for line in data.splitlines()]
        pairs = [(lines[0]["created_ns"], lines[0]["created"])]
        rows = [line for line in lines if line["kind"] == "row"]
    else:
        rows = (
            list(csv.DictReader(io.StringIO(data.decode(), newline="")))
            if fmt == "csv"
            else parquet.read_table(io.BytesIO(data)).to_pylist()
        )
        pairs = [(int(row["run_created_ns"]), row["run_created"]) for row in rows]
    pairs += [(int(row[f"{name}_ns"]), row[name]) for row in rows for name in ("started", "ended")]
    assert len(pairs) >= 2 * len(run.rows) + 1
    for ns, text in pairs:
        assert text == pd.Timestamp(ns, tz="UTC").floor("us").strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_i10_old_exports_without_times_still_open(run, table) -> None:
    assert fingerprint(files.parse("x.csv", saved(without(table, *NEW)))) == fingerprint(run)
    lines = [json.loads(line) for line in files.export(run, "jsonl").splitlines()]
    old = [
        {name: value for name, value in line.items() if name not in ("created", "started") and line["kind"] != "end"}
        for line in lines
    ]
    old[-1] = lines[-1]  # whose "ended" is no time
    assert fingerprint(files.parse("x.jsonl", "\n".join(map(json.dumps, old)).encode())) == fingerprint(run)


@pytest.mark.parametrize("ns", [0, 1, 999, 1_764_490_123_456_789_012, 4_102_444_799_999_999_999])
def test_times_survive_to_the_microsecond(ns: int) -> None:
    text = spreadsheet.iso(ns)
    assert text is not None and spreadsheet.nanoseconds(text) == ns // 1000 * 1000
    assert spreadsheet.nanoseconds(text.replace("T", " ").removesuffix("Z")) == ns // 1000 * 1000
    assert spreadsheet.nanoseconds("30.11.2026") is None and spreadsheet.iso(None) is None
