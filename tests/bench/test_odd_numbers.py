"""A number of an imported file is an ordinary one in ASCII digits: any other is refused with its row and column."""

import csv
import dataclasses
import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from models.bench.store import files
from models.bench.store.validation import kinds
from models.errors import SourceError
from models.records.run import Run, fingerprint
from pages.shared.words import i18n

NUMBERS = [column for column, (kind, _) in kinds().items() if kind in (int, float)]
SAMPLES = [column for column, (kind, _) in kinds().items() if kind is tuple]
ODD = ("nan", "NaN", "inf", "-Infinity", "1_000", "１２", "٣", "0x10", "1e999", "12,5,1")
NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))


@pytest.fixture
def run(measurement):
    rows = tuple(measurement(context=context, started_ns=1_700_000_000_000_000_000) for context in (64, 128))
    return Run("r", "t", 1_700_000_000_000_000_000, (), {}, rows, "done", imported=True)


def csv_with(run, *lines_changed, **changes):
    """Return the run's table with other texts on some lines, from 1."""
    lines = list(csv.DictReader(io.StringIO(files.export(run, "csv").decode(), newline="")))
    for line in lines_changed:
        lines[line - 1] |= changes
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue().encode()


def lines_with(run, line, **changes):
    """Return the run's lines with other values on one of them; 0 is the head."""
    entries = [json.loads(text) for text in files.export(run, "jsonl").splitlines()]
    entries[line] |= changes
    return "\n".join(map(json.dumps, entries)).encode()


def parquet_with(run, column, values):
    table = parquet.read_table(io.BytesIO(files.export(run, "parquet")))
    file = io.BytesIO()
    parquet.write_table(table.set_column(table.column_names.index(column), column, values), file)
    return file.getvalue()


def refused(data, row, column):
    with pytest.raises(SourceError) as found:
        files.parse("x", data)
    assert found.value.key == "errors.import_value", found.value
    assert (found.value.values["row"], found.value.values["column"]) == (row, column)
    for lang in i18n.LANGS:
        said = i18n.say(lang, found.value.key, **found.value.values)
        assert str(row) in said and column in said, said


@pytest.mark.parametrize("column", NUMBERS)
def test_an_odd_number_of_a_table_is_refused(run, column):
    for text in ODD:
        refused(csv_with(run, 2, **{column: text}), 2, column)


@pytest.mark.parametrize("column", NUMBERS)
def test_no_number_of_a_line_is_refused(run, column):
    for value in (*NO_NUMBERS, "12", "1_000", True):
        refused(lines_with(run, 2, **{column: value}), 2, column)


@pytest.mark.parametrize("text", ["1_000", "１２", "1_000.5", "+5", "0x10", "nan"])
@pytest.mark.parametrize("column", ["context", "decode_ms_samples"])
def test_what_is_no_number_of_json_is_refused_where_it_stands(run, column, text):
    lines = files.export(run, "jsonl").decode().splitlines()
    there = '"context": 128' if column == "context" else '"decode_ms_samples": [1.0, 2.0'
    assert there in lines[2]
    lines[2] = lines[2].replace(there, f'"{column}": {"[1.0, " * (column != "context")}{text}')
    refused("\n".join(lines).encode(), 2, column)


@pytest.mark.parametrize("column", NUMBERS)
def test_no_number_of_a_parquet_file_is_refused(run, column):
    for value in NO_NUMBERS:
        refused(parquet_with(run, column, pa.array([1.0, value], pa.float64())), 2, column)
    refused(parquet_with(run, column, pa.array(["1", "1_000"], pa.string())), 1, column)


@pytest.mark.parametrize("column", SAMPLES)
def test_an_odd_sample_is_refused_in_every_format(run, column):
    for text in ("[NaN]", "[Infinity]", "[1_000]", "[１２]", "[1.0, NaN]", "１２", "NaN"):
        refused(csv_with(run, 2, **{column: text}), 2, column)
    for value in NO_NUMBERS:
        refused(lines_with(run, 2, **{column: [1.0, value]}), 2, column)
        refused(parquet_with(run, column, pa.array([[1.0, 2.0], [1.0, value]])), 2, column)


@pytest.mark.parametrize("column", ["env_cores", "impl_scan", "reason_limit"])
def test_no_number_of_a_mapping_is_refused(run, column):
    for value in NO_NUMBERS:
        refused(lines_with(run, 2, **{column: value}), 2, column)
        refused(lines_with(run, 2, **{column: [1, value]}), 2, column)
    table = csv_with(run, 2)
    for text in ("NaN", "Infinity", "-Infinity"):
        if column.encode() in table:
            refused(csv_with(run, 2, **{column: text}), 2, column)


@pytest.mark.parametrize("text", ODD)
def test_an_odd_number_about_the_run_is_refused(run, text):
    refused(csv_with(run, 1, run_created_ns=text), 1, "run_created_ns")
    refused(csv_with(run, 1, 2, run_rows=text), 1, "run_rows")


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_no_number_of_the_head_is_refused(run, value):
    refused(lines_with(run, 0, created_ns=value), 0, "created_ns")
    refused(lines_with(run, 0, row_count=value), 1, "row_count")
    refused(lines_with(run, 0, environment={"cores": value}), 0, "cores")
    refused(lines_with(run, 0, cells=[{"context": value}]), 0, "cells")


def test_ordinary_numbers_are_read_as_before(run):
    for text, number in (("7", 7), ("7.0", 7), ("7,0", 7), ("7e0", 7)):
        assert files.parse("x", csv_with(run, 2, peak_bytes=text)).rows[1].peak_bytes == number
    for text, number in ((".5", 0.5), ("5.", 5.0), ("1e-07", 1e-7), ("-0.0", 0.0), ("0,25", 0.25)):
        assert files.parse("x", csv_with(run, 2, mfu=text)).rows[1].mfu == number
    assert files.parse("x", csv_with(run, 2, seed="-3")).rows[1].seed == -3


@pytest.mark.parametrize("fmt", ["csv", "jsonl"])
def test_the_times_beside_the_nanoseconds_are_only_to_read(run, fmt):
    """What a row is remains what its nanoseconds say, whatever a person wrote into the columns beside them."""
    odd = {"started": "yesterday", "ended": "2001-01-01"}
    data = csv_with(run, 2, **odd) if fmt == "csv" else lines_with(run, 2, **odd)
    assert b"2023-11-14T22:13:20.000000Z" in files.export(run, fmt)
    assert fingerprint(files.parse("x", data)) == fingerprint(run)
    assert fingerprint(dataclasses.replace(run, title="other")) == fingerprint(run)
