"""A run comes back from every file it was written to; whatever else is opened ends in a sentence."""

import csv
import dataclasses
import io
import itertools
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from run_helpers import numbered

from models import registry, units
from models.bench.store import files
from models.bench.store.recorded import read_file
from models.bench.store.store import RECORDED
from models.counting import accounting
from models.errors import SourceError
from models.looks import looks
from models.records.measurement import PROTOCOL_VERSION, STATES
from models.records.run import Run
from models.sources import sizes
from pages.shared.words import i18n

OPENED = ("jsonl", "csv", "parquet")
EVIL = """"><script>alert('x')</script><img src=x onerror=alert(1)>|`*_[a](javascript:alert(1)) &amp; ${x}"""
FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\tx", "'=1", "''=1", "'quoted'", "'"]


ENVIRONMENT = {
    "host_cpu": 'CPU "x", 2\nlines', "cores": 2, "text": "2", "none": None, "empty": "", "yes": True, "word": "null",
    "list": [1, "a", None, 2.5], "mixed": 1, "big": 2**62, "float": 0.1,
}  # fmt: skip
UNMEASURED = {"prefill_ms_samples": (), "decode_ms_samples": (), "rounds": None, "cache_bytes": None}


@pytest.fixture
def run(measurement):
    """A run with every kind of value: None, text that reads like a number, nested values, rows of different columns."""
    measured = measurement(
        parity_max_rel=1e-7,
        peak_bytes=2**60,
        started_ns=1795340982009412258,
        first_token_ms_samples=(0.1 + 0.2, 1e-300),
        implementation={"scan": "loop", "conv": "=HYPER()"},
        environment=ENVIRONMENT,
    )
    failed = measurement(
        context=128,
        state="oom",
        reason="=1",
        reason_key="errors.cell_oom",
        reason_values={"requested": 123},
        environment={"mixed": "one"},
        implementation={},
        seed=-1,
        **UNMEASURED,
    )
    cells = ({"architecture": "mamba", "context": 64, "size": None}, {"context": 128}, {"context": 256})
    machine = {"host_cpu": "x", "cores": 2, "n": None}
    return Run("r", "긴 제목, =1", 1795340975133352877, cells, machine, (measured, failed), "done")


@pytest.mark.parametrize("fmt", OPENED)
def test_a_run_comes_back_the_same(run, fmt):
    assert files.parse(f"run.{fmt}", files.export(run, fmt)) == dataclasses.replace(run, imported=True)


@pytest.mark.parametrize("fmt", OPENED)
@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recorded_runs_come_back_the_same(path, fmt):
    run = read_file(path, recorded=True)
    assert files.parse("x", files.export(run, fmt)) == dataclasses.replace(run, recorded=False, imported=True)
    assert files.parse(path.name, path.read_bytes()).rows[0].cell_id == run.rows[0].cell_id


@pytest.mark.parametrize("fmt", OPENED)
@pytest.mark.parametrize("ended", ["", "cancelled"])
def test_a_run_without_rows_comes_back_too(run, fmt, ended):
    empty = dataclasses.replace(run, rows=(), ended=ended)
    assert files.parse("x", files.export(empty, fmt)) == dataclasses.replace(empty, imported=True)


NUMBERS = st.none() | st.floats(0, 1e300, allow_nan=False)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = (
    st.none() | st.booleans() | TEXT | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in ("key", "values", "lang"))


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_run_comes_back_the_same(measurement, data):
    samples = st.lists(st.floats(1e-6, 1e9), min_size=2, max_size=2).map(tuple)
    rows = tuple(
        measurement(
            context=data.draw(st.integers(1, 2**40)),
            state=data.draw(st.sampled_from(STATES)),
            source=data.draw(TEXT),
            reason=data.draw(TEXT | st.sampled_from(FORMULAS)),
            prefill_ms_samples=data.draw(samples),
            parity_max_rel=data.draw(NUMBERS),
            peak_bytes=data.draw(st.none() | st.integers(0, 2**62)),
            environment=data.draw(st.dictionaries(NAMES, VALUES, max_size=4)),
            implementation=data.draw(st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3), max_size=3)),
            reason_values=data.draw(st.dictionaries(NAMES, VALUES, max_size=3)),
        )
        for _ in range(data.draw(st.integers(0, 3)))
    )
    run = Run("r", "t", 1, (), {}, rows, "done", imported=True)
    for fmt in OPENED:
        assert files.parse("x", files.export(run, fmt)) == run, fmt


def test_numbers_that_are_none_become_not_measured(run, measurement):
    odd = dataclasses.replace(run, rows=(measurement(parity_max_rel=float("nan"), mfu=float("inf")),))
    for fmt in OPENED:
        (row,) = files.parse("x", files.export(odd, fmt)).rows
        assert (row.parity_max_rel, row.mfu) == (None, None)


def test_the_lines_are_as_the_recorded_ones(run):
    kinds = [json.loads(line)["kind"] for line in files.export(run, "jsonl").decode().splitlines()]
    assert kinds == ["run", "row", "row", "end"]
    recorded = next(RECORDED.glob("*.jsonl")).read_text().splitlines()
    assert [json.loads(line)["kind"] for line in recorded] == ["run", *["row"] * (len(recorded) - 2), "end"]


def test_a_table_opens_in_other_programs(run, tmp_path):
    import pandas as pd

    (tmp_path / "x.parquet").write_bytes(files.export(run, "parquet"))
    (tmp_path / "x.csv").write_bytes(files.export(run, "csv"))
    frame = pd.read_parquet(tmp_path / "x.parquet")
    assert list(frame["decode_ms_samples"][0]) == list(run.rows[0].decode_ms_samples)
    assert frame["context"].tolist() == [64, 128]
    assert frame["impl_scan"].tolist()[0] == "loop"
    table = pd.read_csv(tmp_path / "x.csv")
    assert json.loads(table["decode_ms_samples"][0]) == list(run.rows[0].decode_ms_samples)
    assert table["env_cores"].tolist()[0] == 2


def test_a_spreadsheet_finds_no_formula(run, measurement):
    rows = tuple(measurement(reason=text, source=text, implementation={"scan": text}) for text in FORMULAS)
    data = files.export(dataclasses.replace(run, rows=rows), "csv")
    assert files.parse("x", data).rows == rows
    cells = [cell for row in csv.reader(io.StringIO(data.decode(), newline="")) for cell in row]
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []


@pytest.mark.parametrize("fmt", OPENED)
def test_unknown_columns_are_dropped(run, fmt):
    data = files.export(run, fmt)
    if fmt == "jsonl":
        data = data.replace(b'"cell_id"', b'"next_year": {"a": [1]}, "cell_id"')
    elif fmt == "csv":
        lines = list(csv.reader(io.StringIO(data.decode(), newline="")))
        file = io.StringIO(newline="")
        csv.writer(file).writerows([["next_year", *lines[0]], *(["x", *line] for line in lines[1:])])
        data = file.getvalue().encode()
    else:
        table = parquet.read_table(io.BytesIO(data))
        data = _parquet(table.append_column("next_year", pa.array([{"a": 1}, None])))
    assert files.parse("x", data).rows == run.rows


def test_rows_alone_are_enough(run):
    """A table that was made smaller by hand opens: what the head said is taken from the rows."""
    lines = list(csv.DictReader(io.StringIO(files.export(run, "csv").decode(), newline="")))
    kept = [name for name in lines[0] if not name.startswith("run_") or name == "run_id"]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, kept, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    made = files.parse("mine.csv", file.getvalue().encode("utf-8-sig"))
    assert (made.rows, made.title, made.created_ns) == (run.rows, "mine", run.rows[0].started_ns)
    assert [cell["context"] for cell in made.cells] == [64, 128]
    assert made.environment == run.rows[0].environment


def _parquet(table):
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _refused(name, data):
    with pytest.raises(SourceError) as found:
        files.parse(name, data)
    for lang in i18n.LANGS:
        assert i18n.say(lang, found.value.key, **found.value.values)
    return found.value.key


@pytest.mark.parametrize("fmt", OPENED)
def test_a_cut_file_is_refused_wherever_it_is_cut(run, fmt):
    data = files.export(run, fmt)
    for end in {*range(0, len(data) - 1, max(len(data) // 25, 1)), *range(len(data) - 12, len(data) - 1)}:
        if data[:end].rstrip() != data.rstrip():
            assert _refused("x", data[:end]) in ("errors.import_torn", "errors.import_kind", "errors.import_value"), end
    lines = data.splitlines(keepends=True)
    if fmt != "parquet":
        for count in range(1, len(lines)):
            _refused("x", b"".join(lines[:count]))


BOMB = b'{"kind": "run", "cells": ' + b"[" * 100_000
WRONG = {
    "empty": b"",
    "letter": b"dear reader\n",
    "binary": bytes(range(256)) * 50,
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
    "another parquet": _parquet(pa.table({"x": [1, 2]})),
    "a parquet of nothing": b"PAR1PAR1",
    "another csv": b"a,b\n1,2\n",
    "another json": b'{"a": 1}\n',
    "a list": b"[1]\n",
    "json in json": b"{}\n[]\n5\n",
    "deep": BOMB,
    "a head of the wrong shape": b'{"kind": "run", "cells": 5, "environment": []}\n',
    "nan everywhere": b'{"kind": "run", "created_ns": NaN}\n',
    "a date in the far future": b'{"kind": "run", "created_ns": 9e300}\n',
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused(name):
    _refused(f"{name}.jsonl", WRONG[name])


def test_a_huge_file_is_not_opened():
    assert _refused("x.jsonl", b"{" * (files.MOST_MB * 2**20 + 1)) == "errors.import_large"


@pytest.mark.slow
def test_a_small_parquet_file_that_unpacks_to_much_is_refused(run):
    table = parquet.read_table(io.BytesIO(files.export(run, "parquet"))).slice(0, 1)
    many = pa.ListArray.from_arrays([0, 6_000_000], np.ones(6_000_000))
    data = _parquet(table.set_column(table.column_names.index("decode_ms_samples"), "decode_ms_samples", many))
    assert len(data) < 2**20, "it looks harmless"
    _refused("x.parquet", data)
    _refused("x.parquet", _parquet(table.take([0] * 10_001)))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("context", "many"), ("context", 0), ("context", -5), ("context", 2**70), ("context", 1.5), ("context", True),
        ("context", [1]), ("context", None), ("batch", 0), ("state", "fine"), ("state", 5), ("cell_id", ""),
        ("architecture", "x" * 3000), ("architecture", ["mamba"]),
        ("decode_ms_samples", "1"), ("decode_ms_samples", [1, "2"]),
        ("decode_ms_samples", [0.0]), ("decode_ms_samples", [float("nan")]), ("decode_ms_samples", []),
        ("prefill_ms_samples", [-1.0]), ("prefill_ms_samples", []), ("rounds", 3), ("rounds", 0), ("peak_bytes", -1),
        ("env_x", {"a": 1}), ("impl_scan", [[1]]), ("seed", 10**400),
    ],
)  # fmt: skip
def test_a_value_that_no_benchmark_writes_is_refused(run, column, value):
    lines = [json.loads(line) for line in files.export(run, "jsonl").splitlines()]
    lines[1][column] = value
    key = _refused("x", "\n".join(map(json.dumps, lines)).encode())
    assert key == "errors.import_value" or (column, key) == ("seed", "errors.import_torn")


@pytest.mark.parametrize("fmt", ["jsonl", "csv"])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("architecture", "[click](http://evil.example)"), ("architecture", ""), ("architecture", "Mamba"),
        ("device", "tpu:0"), ("device", "cuda:x"), ("device", "cuda:0 "), ("device", ""), ("device", "cpu:1"),
        ("dtype", "int4"), ("dtype", "fp16"), ("dtype", ""),
    ],
)  # fmt: skip
def test_what_no_page_can_draw_is_refused_by_name(run, column, value, fmt):
    odd = dataclasses.replace(run, rows=(dataclasses.replace(run.rows[0], **{column: value}), *run.rows[1:]))
    with pytest.raises(SourceError) as found:
        files.parse("x", files.export(odd, fmt))
    assert found.value.key == "errors.import_unknown"
    for lang in i18n.LANGS:
        told = i18n.say(lang, found.value.key, **found.value.values)
        assert column in told and repr(value) in told and str(found.value.values["known"]) in told


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_and_number_types_that_are_measured_here_open(measurement, device):
    rows = tuple(
        measurement(context=2**i, architecture=name, device=device, dtype=dtype)
        for i, (name, dtype) in enumerate(itertools.product(sizes.tier("bundled").models, accounting.DTYPE_BYTES))
    )
    assert files.parse("x", files.export(Run("r", "t", 1, (), {}, rows, "done"), "jsonl")).rows == rows
    assert {adapter.name for adapter in registry.ADAPTERS} == set(sizes.tier("bundled").models)


def test_names_that_would_reach_into_the_page_are_dropped(run):
    lines = [json.loads(line) for line in files.export(run, "jsonl").splitlines()]
    lines[1] |= {"reason_lang": "ko", "env_<b>": 1, "impl_": "x", "env_" + "x" * 99: 1}
    lines[0]["title"] = "a\u202e\x1b\n" + "b" * 1000
    lines[0]["run_id"] = "../../etc/passwd"
    lines[-1]["ended"] = ["done"]
    made = files.parse("x", "\n".join(map(json.dumps, lines)).encode())
    assert made.rows[0] == dataclasses.replace(run.rows[0], run_id=made.run_id)
    assert re.fullmatch(r"run-[0-9a-f]{8}", made.run_id)
    assert (made.title, made.ended) == ("a " + "b" * 118, "")


def test_a_newer_protocol_and_several_runs_are_refused(run):
    lines = files.export(run, "jsonl").decode()
    newer = lines.replace(f'"protocol_version": {PROTOCOL_VERSION}', f'"protocol_version": {PROTOCOL_VERSION + 1}')
    assert _refused("x", newer.encode()) == "errors.import_newer"
    assert _refused("x", (lines + lines).encode()) == "errors.import_several"
    other = lines.replace('"run_id": "r", "cell_id": "mamba-128"', '"run_id": "s", "cell_id": "mamba-128"')
    assert _refused("x", other.encode()) == "errors.import_several"


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_page_stands_alone_and_shows_hostile_text_as_text(measurement, lang):
    row = measurement(
        source=EVIL, architecture=EVIL, dtype=EVIL, environment={"host_cpu": EVIL}, implementation={"scan": EVIL}
    )
    failed = measurement(
        context=128, state="failed", reason=EVIL, reason_key="errors.cell_failed", reason_values={"error": EVIL}
    )
    lost = measurement(context=256, state="failed", reason=EVIL, reason_key="no.such.key", reason_values={"key": 1})
    run = Run("r", EVIL, 5, (), {"host_cpu": EVIL, "os": EVIL}, (row, failed, lost))
    text = files.export(run, "html", words=i18n.translator(lang)).decode()
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert {"script", "img", "link", "iframe", "a", "object"}.isdisjoint(page.tags)
    assert {name for name, _ in page.attributes}.isdisjoint(
        {"src", "href", "srcset", "onerror", "onclick", "xlink:href"}
    )
    assert not re.search(r"https?:|url\(|@import", text)
    assert page.text.count("<script>alert('x')</script>") >= 7
    assert page.tags.count("svg") >= 2 and page.tags.count("tr") == 4
    assert f'<html lang="{lang}">' in text


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_hostile_text_stays_in_its_cell_of_a_markdown_table(measurement, lang):
    run = Run("r", EVIL + "\n# x", 5, (), {"os": EVIL}, (measurement(source=EVIL), measurement(context=128)))
    lines = files.export(run, "md", words=i18n.translator(lang)).decode().splitlines()
    table = [re.findall(r"(?<!\\)\|", line) for line in lines if line.startswith("|")]
    assert len(table) == 4
    assert len({len(pipes) for pipes in table}) == 1
    assert not any(re.search(r"(?<!\\)[<>`\[\]]", line) for line in lines)
    assert sum(line.startswith("#") for line in lines) == 3


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("fmt", ["md", "html"])
def test_a_reader_finds_the_numbers_and_where_they_come_from(lang, fmt):
    run = read_file(RECORDED / "quick-cpu.jsonl", recorded=True)
    text = files.export(run, fmt, words=i18n.translator(lang)).decode()
    for shown in (
        "AMD EPYC",
        units.size(max(row.cache_bytes for row in run.rows)),
        "Transformer",
        run.environment["commit"],
        datetime.fromtimestamp(run.created_ns / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M UTC"),
        run.run_id,
    ):
        assert shown in text
    assert "{" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)


def test_each_column_of_a_report_has_its_own_number(measurement):
    """Every field has another value, so that a cell which reads its neighbour says so."""
    columns = numbered(
        source="a model", size="small", context=512, batch=4, dtype="bfloat16",
        prefill_ms_samples=(20.0,), decode_ms_samples=(3.0,), decode_tokens_per_s=1234.5, cache_bytes=2**11,
        peak_bytes=2**22, parity_max_rel=2e-6, environment={"device_name": "a GPU"},
    )  # fmt: skip
    row = measurement(**columns)
    other = dataclasses.replace(
        row, cell_id="b", batch=8, size="large", device="x", dtype="float32", environment={}
    )  # with settings that differ, so that each has its column
    run = Run("r", "t", 1, (), {}, (row, other))
    text = files.export(run, "md", words=i18n.translator("en")).decode()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    said = dict(zip(lines[0], lines[2], strict=True))
    assert said == {
        "Architecture": "Mamba", "Model": "a model", "Tokens": "512", "Size": "small", "Texts at once": "4",
        "Device": "a GPU", "Number type": "bfloat16", "State": "ok", "Reading (ms)": "20 (20–20)",
        "One token (ms)": "3 (3–3)", "Tokens/s": "1,234.5", "Carried": "2 KiB", "Peak": "4 MiB",
        "Cached against full": "2e-06",
    }  # fmt: skip


def test_an_unmeasured_or_single_cell_is_drawn_without_trouble(measurement):
    words = i18n.translator("en")
    lone = Run("r", "", 5, (), {}, (measurement(),))
    assert files.export(lone, "html", words=words).decode().count("<circle") == 2
    none = Run("r", "", 5, (), {}, (measurement(state="oom", prefill_ms_samples=(), decode_ms_samples=()),))
    assert i18n.say("en", "store.report.none") in files.export(none, "html", words=words).decode()
    assert files.export(Run("r", "", 5, (), {}, ()), "md", words=words)


def test_cells_measured_differently_are_not_one_line(measurement):
    places = ((64, 1), (128, 1), (64, 4), (128, 4))
    rows = tuple(measurement(context=n, batch=batch, cell_id=f"{n}-{batch}") for n, batch in places)
    text = files.export(Run("r", "", 5, (), {}, rows), "html", words=i18n.translator("en")).decode()
    assert text.count("<polyline") == 4, "two batches in two pictures"


def test_the_pictures_have_the_look_of_the_app(measurement):
    rows = tuple(
        measurement(architecture=name, context=n, cell_id=f"{name}-{n}") for name in looks() for n in (64, 128)
    )
    text = files.export(Run("r", "", 5, (), {}, rows), "html", words=i18n.translator("en")).decode()
    light, dark = text.split("@media (prefers-color-scheme: dark)", 1)
    for key, look in looks().items():
        assert f"--{key}: {look.colors['light']}" in light
        assert f"--{key}: {look.colors['dark']}" in dark
        dashes = re.search(
            rf'class="line" style="stroke:var\(--{key}\)"(?: stroke-dasharray="([0-9 ]+)")? points', text
        )
        assert dashes
        assert (dashes[1] or "1 0") == " ".join(map(str, look.dash))


def test_a_format_that_does_not_exist_or_lacks_its_words_is_an_error_of_the_caller(run):
    with pytest.raises(ValueError, match="none of"):
        files.export(run, "xml")
    with pytest.raises(ValueError, match="needs words"):
        files.export(run, "html")
    assert set(files.MEDIA_TYPES) == set(files.FORMATS)


@pytest.mark.parametrize("run_id", [[], {}, 7, True])
def test_an_id_that_is_no_text_is_refused_with_a_sentence(run, run_id):
    lines = [json.loads(line) for line in files.export(run, "jsonl").decode().splitlines()]
    lines[1]["run_id"] = run_id
    with pytest.raises(SourceError, match="row 1: run_id cannot be"):
        files.parse("x.jsonl", "\n".join(map(json.dumps, lines)).encode())


@pytest.mark.parametrize("column", ["cell_id", "reason", "source", "env_os"])
def test_half_a_letter_is_refused_as_no_database_takes_it(run, column):
    lines = [json.loads(line) for line in files.export(run, "jsonl").decode().splitlines()]
    lines[1][column] = "\ud800x"
    with pytest.raises(SourceError, match="is not a benchmark run"):
        files.parse("x.jsonl", "\n".join(map(json.dumps, lines)).encode())
