"""The store keeps every row through crashes, beside other processes, and says in a sentence what is wrong with it."""

import dataclasses
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from models.bench.store import database
from models.bench.store.recorded import read_file, write_lines
from models.bench.store.store import RECORDED, Store
from models.errors import SettingError, SourceError
from models.machine.paths import ROOT
from models.records.cell import Cell
from models.records.measurement import from_row
from pages.shared.words import i18n

HOSTILE_IDS = [
    "",
    "../x",
    "a/b",
    "x" * 99,
    ".hidden",
    "none",
    "a\n",
    "a\x00",
    "'; DROP TABLE runs; --",
    "%",
    "ａ",
    "..%2f",
]

APPENDING = """
import json, os, signal, sys
from pathlib import Path
from models.records.cell import Cell
from models.records.measurement import from_row
from models.bench.store.store import Store

store, row, first, count = Store(Path(sys.argv[1]), recorded=None), json.loads(sys.argv[2]), *map(int, sys.argv[3:5])
print("ready", flush=True)
sys.stdin.readline()
for context in range(first, first + count):
    assert store.append(from_row(row | {"context": context, "cell_id": f"mamba-{context}"}))
    print(context, flush=True)
if sys.argv[5] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def append_elsewhere(store, measurement):
    """Start a process that appends rows to a run once it is told to go on."""

    def start(run_id, *, first, count, end):
        command = (sys.executable, "-c", APPENDING, str(store.folder), json.dumps(measurement(run_id).to_row()))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen(
            (*command, str(first), str(count), end), env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes
        )
        assert process.stdout.readline() == "ready\n"
        return process

    return start


def test_the_file_is_written_ahead_and_waits_for_the_disk(store):
    store.create(cells=[], environment={})
    with store._database.begin() as db:
        settings = {
            name: db.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 15_000, "foreign_keys": 1}
    assert sqlite3.connect(store.folder / "runs.sqlite3").execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_rows_are_on_the_disk_as_soon_as_they_are_added(store, measurement):
    run_id = store.create(cells=[{"context": 64}, {"context": 128}], environment={"cores": 2}, title="a\u202e\n b ")
    assert store.append(measurement(run_id))
    run = Store(store.folder, recorded=None).run(run_id)
    assert [row.context for row in run.rows] == [64]
    assert (run.title, run.cells, run.environment) == ("a b", ({"context": 64}, {"context": 128}), {"cores": 2})
    assert (run.ended, run.recorded, run.imported) == ("", False, False)
    assert store.append(measurement(run_id, 128))
    assert store.finish(run_id, "done")
    run = store.run(run_id)
    assert run.ended == "done"
    assert run.rows == (measurement(run_id), measurement(run_id, 128))


def test_a_number_that_is_none_is_kept_as_not_measured(store, measurement):
    run_id = store.create(cells=[], environment={"x": float("nan")})
    store.append(measurement(run_id, parity_max_rel=float("nan"), load_avg=float("inf")))
    (row,) = store.run(run_id).rows
    assert (row.parity_max_rel, row.load_avg, store.run(run_id).environment) == (None, None, {"x": None})


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_every_row_survives_kill_9(store, append_elsewhere):
    run_id = store.create(cells=[], environment={})
    process = append_elsewhere(run_id, first=1, count=25, end="die")
    told, _ = process.communicate("go\n", timeout=240)
    assert process.returncode == -signal.SIGKILL
    assert [int(line) for line in told.split()] == list(range(1, 26))
    run = Store(store.folder, recorded=None).run(run_id)
    assert [row.context for row in run.rows] == list(range(1, 26))
    assert run.ended == "", "what a crash left open is shown as cut short"
    assert store.append(dataclasses.replace(run.rows[0], context=99)), "the next process goes on"


@pytest.mark.slow
def test_two_processes_and_four_threads_append_at_once(store, append_elsewhere, measurement):
    run_id = store.create(cells=[], environment={})
    before = store.version(run_id)
    processes = [append_elsewhere(run_id, first=first, count=40, end="stay") for first in (1000, 2000)]
    threads = [
        threading.Thread(target=lambda first=first: [store.append(measurement(run_id, first + i)) for i in range(20)])
        for first in (3000, 4000, 5000, 6000)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for thread in threads:
        thread.start()
    seen = []
    while any(process.poll() is None for process in processes) or any(thread.is_alive() for thread in threads):
        seen.append(len(store.run(run_id).rows))
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    expected = {first + i for first in (1000, 2000) for i in range(40)}
    expected |= {first + i for first in (3000, 4000, 5000, 6000) for i in range(20)}
    rows = store.run(run_id).rows
    assert len(rows) == len(expected) == 160
    assert {row.context for row in rows} == expected
    assert store.version(run_id) == before + 160
    assert seen == sorted(seen), "a reader never sees fewer rows than before"


@pytest.mark.slow
def test_processes_may_open_a_new_database_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from models.bench.store.store import Store; sys.stdin.readline(); "
        "print(Store(Path(sys.argv[1]), recorded=None).create(cells=[], environment={}))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command, env = [sys.executable, "-c", code, str(tmp_path / "new")], os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(command, env=env, **pipes) for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    made = {process.communicate(timeout=240)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert {run.run_id for run in Store(tmp_path / "new", recorded=None).runs()} == made
    assert len(made) == 4


def test_the_version_grows_with_every_change_and_is_cheap_to_ask(store, measurement):
    assert store.version("none") == 0
    run_id = store.create(cells=[], environment={})
    seen = [store.version(run_id)]
    for change in (
        lambda: store.append(measurement(run_id)),
        lambda: store.rename(run_id, "x"),
        lambda: store.finish(run_id, "done"),
    ):
        change()
        seen.append(store.version(run_id))
    assert seen == sorted(set(seen))
    assert store.version(run_id) == seen[-1], "asking changes nothing"
    asked = []
    with store._database.begin() as db:
        db.connection.driver_connection.set_trace_callback(asked.append)
    store.version(run_id)
    assert [text for text in asked if "FROM" in text] and not any("rows" in text for text in asked)


def test_a_run_is_read_again_only_when_it_has_changed(store, measurement):
    run_id = store.create(cells=[], environment={})
    store.append(measurement(run_id))
    first = store.run(run_id)
    assert store.run(run_id) is first
    Store(store.folder, recorded=None).append(measurement(run_id, 128))
    assert [row.context for row in store.run(run_id).rows] == [64, 128]


@pytest.mark.parametrize("name", HOSTILE_IDS)
def test_no_run_by_such_an_id(store, name):
    run_id = store.create(cells=[], environment={})
    assert store.run(name) is None
    assert store.version(name) == 0
    for change in (lambda: store.rename(name, "x"), lambda: store.delete(name)):
        with pytest.raises(SettingError) as found:
            change()
        _spoken(found.value)
    assert store.run(run_id) is not None


def test_a_run_is_renamed_and_deleted_with_its_rows(store, measurement):
    kept, gone = (store.create(cells=[], environment={}) for _ in range(2))
    for run_id in (kept, gone):
        store.append(measurement(run_id))
    store.rename(gone, "  <b>x</b>\x00\x1b " + "y" * 500)
    assert store.run(gone).title == "<b>x</b> " + "y" * 111
    store.delete(gone)
    assert [run.run_id for run in store.runs()] == [kept]
    assert (store.run(gone), store.version(gone)) == (None, 0)
    assert not store.append(measurement(gone)), "a run deleted while it is measured takes no more rows"
    assert not store.finish(gone, "done")
    with store._database.begin() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM rows").scalar() == 1
    with pytest.raises(SettingError):
        store.delete(gone)


def test_recorded_runs_are_read_from_their_files_and_never_changed(tmp_path):
    store = Store(tmp_path)
    names = {path.stem for path in RECORDED.glob("*.jsonl")}
    assert {run.run_id for run in store.runs()} == names == {run.run_id for run in store.recorded_runs()}
    for name in names:
        before = (RECORDED / f"{name}.jsonl").read_bytes()
        assert store.run(name).recorded and store.version(name) == 1
        for change in (lambda name=name: store.rename(name, "x"), lambda name=name: store.delete(name)):
            with pytest.raises(SettingError) as found:
                change()
            assert found.value.key == "errors.store_recorded"
            _spoken(found.value)
        assert (RECORDED / f"{name}.jsonl").read_bytes() == before


def test_own_runs_come_before_recorded_ones(tmp_path, measurement):
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    made = Store(tmp_path / "other", recorded=None)
    run_id = made.create(cells=[], environment={})
    made.append(measurement(run_id))
    (recorded / "shipped.jsonl").write_text(write_lines(made.run(run_id)))
    both = Store(tmp_path / "own", recorded=recorded)
    assert both.latest().run_id == "shipped"
    assert both.latest().recorded
    own = both.create(cells=[], environment={})
    both.append(measurement(own, state="failed"))
    assert both.latest().run_id == "shipped", "a run without a measured row shows nothing"
    both.append(measurement(own))
    assert both.latest().run_id == own
    assert [run.run_id for run in both.runs()] == [own, "shipped"]


def test_the_run_to_show_first_is_steady_and_complete(tmp_path, measurement):
    """A busy machine or an early end must not be the first thing that every later visitor sees."""
    store, two = Store(tmp_path), [{"architecture": "mamba"}] * 2

    def made(*rows, ended="done"):
        run_id = store.create(cells=two, environment={})
        for context, state in enumerate(rows, start=1):
            store.append(measurement(run_id, context, state=state))
        if ended:
            store.finish(run_id, ended)
        return run_id

    shipped = store.latest()
    assert shipped.recorded and shipped.complete
    for rows, ended in ((("ok", "unstable"), "done"), (("ok",), "done"), (("ok", "timeout"), "done"),
                        (("ok", "failed"), "done"), (("ok", "ok"), "cancelled"), (("ok", "ok"), ""),
                        (("oom", "oom"), "done")):  # fmt: skip
        made(*rows, ended=ended)
        assert store.latest() is shipped, (rows, ended)
    whole = made("ok", "predicted_oom_skipped")
    assert store.latest().run_id == whole, "a cell that has no room is an answer"
    later = made("ok", "ok")
    made("unstable", "unstable")
    assert store.latest().run_id == later


def test_a_deleted_run_can_be_put_back(tmp_path, measurement):
    store = Store(tmp_path, recorded=None)
    run_id = store.create(cells=[{"architecture": "mamba"}], environment={"host_cpu": "x"}, title="mine")
    store.append(measurement(run_id))
    store.finish(run_id, "done")
    before = store.run(run_id)
    store.delete(run_id)
    assert store.run(run_id) is None
    assert store.restore(before) == run_id
    assert store.run(run_id) == before, "with its name, its rows and how it ended; it is no run of a file"
    again = store.restore(before)
    assert again != run_id and store.run(again).rows[0].run_id == again


def test_rows_to_learn_from_are_measured_here(tmp_path, measurement):
    store = Store(tmp_path)
    run_id = store.create(cells=[], environment={})
    for context, state in ((1, "ok"), (2, "failed"), (3, "unstable"), (4, "ok")):
        store.append(measurement(run_id, context, state=state))
    store.import_file("x.jsonl", next(RECORDED.glob("*.jsonl")).read_bytes())
    assert [row.context for row in store.recent_rows()] == [4, 3, 1]
    assert [row.context for row in store.recent_rows(2)] == [4, 3]


def test_the_list_of_runs_counts_without_reading(tmp_path, measurement):
    store = Store(tmp_path)
    run_id = store.create(cells=[{}, {}, {}], environment={"host_cpu": "x"}, title="t")
    store.append(measurement(run_id))
    store.append(measurement(run_id, state="failed"))
    empty = store.create(cells=[], environment={})
    listed = {run.run_id: run for run in store.summaries()}
    assert list(listed)[:2] == [empty, run_id]
    assert (listed[run_id].cells, listed[run_id].rows, listed[run_id].measured) == (3, 2, 1)
    assert (listed[empty].rows, listed[empty].measured, listed[empty].recorded) == (0, 0, False)
    assert {name for name, run in listed.items() if run.recorded} == {path.stem for path in RECORDED.glob("*.jsonl")}


def test_an_imported_run_never_overwrites_another(store, measurement):
    run_id = store.create(cells=[], environment={}, title="mine")
    store.append(measurement(run_id))
    data = write_lines(store.run(run_id)).encode()
    assert store.import_file("again.jsonl", data) == run_id, "it is here already, row for row"
    store.append(measurement(run_id, 128))
    other = store.import_file("again.jsonl", data)
    assert other != run_id
    assert len(store.run(run_id).rows) == 2
    assert [row.run_id for row in store.run(other).rows] == [other]
    assert (store.run(other).imported, store.run(run_id).imported) == (True, False)
    store.delete(run_id)
    assert store.import_file("again.jsonl", data) == run_id, "its own id is free again"
    before = len(store.runs())
    with pytest.raises(SourceError):
        store.import_file("torn.jsonl", data[:-40])
    assert len(store.runs()) == before


def test_files_of_earlier_versions_are_taken_over_once(tmp_path, measurement):
    folder = tmp_path / "runs"
    folder.mkdir()
    head = {"kind": "run", "run_id": "old", "title": "old", "created_ns": 5, "cells": [{}, {}], "environment": {}}
    rows = [{"kind": "row", **measurement("old", context).to_row()} for context in (64, 128)]
    lines = [json.dumps(entry) for entry in (head, *rows)]
    (folder / "old.jsonl").write_text("\n".join(lines) + '\n{"kind": "row", "run_id": "r", "ce')
    (folder / "letter.jsonl").write_text("dear reader\n")
    (folder / "list.jsonl").write_text('{"kind": "run", "cells": 5, "created_ns": {}}\n')
    store = Store(folder, recorded=None)
    assert [run.run_id for run in store.runs()] == ["old"], "a file that is no run is left out"
    run = store.run("old")
    assert [row.context for row in run.rows] == [64, 128], "a torn last line loses only itself"
    assert (run.title, run.created_ns, run.ended, run.imported) == ("old", 5, "", False)
    assert len(Store(folder, recorded=None).runs()) == 1
    store.delete("old")
    assert Store(folder, recorded=None).runs() == (), "what was deleted does not come back"
    assert (folder / "old.jsonl").exists(), "the file stays where it was"
    with pytest.raises(SourceError):
        read_file(folder / "letter.jsonl")


def test_the_data_folder_and_the_setting_say_where_the_runs_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv(database.VARIABLE, raising=False)
    assert Store().place == str(tmp_path / "data" / "runs.sqlite3")
    monkeypatch.setenv(database.VARIABLE, f"sqlite:///{tmp_path}/shared.db")
    run_id = Store(recorded=None).create(cells=[], environment={})
    assert Store(f"sqlite:///{tmp_path}/shared.db", recorded=None).run(run_id) is not None
    assert not (tmp_path / "data").exists()


def _spoken(error):
    """Check that an error has a sentence with all its values in every language."""
    sentences = {lang: i18n.say(lang, error.key, **error.values) for lang in i18n.LANGS}
    assert all(sentence and sentence != error.key for sentence in sentences.values())
    assert len(set(sentences.values())) == len(i18n.LANGS)
    return sentences["en"]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("nonsense", "errors.store_url"),
        ("oracle9://me:secret@host/x", "errors.store_url"),
        ("sqlite://", "errors.store_url"),
        ("sqlite:///:memory:", "errors.store_url"),
        ("sqlite:///file::memory:?uri=true", "errors.store_url"),
        ("sqlite:///file:mm?mode=memory&cache=shared&uri=true", "errors.store_url"),
        ("sqlite:////tmp/contextscope-never-made.db?timeout=abc", "errors.store_url"),
        ("sqlite:////tmp/contextscope-never-made.db?check_same_thread=maybe", "errors.store_url"),
        ("mysql+mysqlconnector://me:secret@127.0.0.1:1/x?password=secret", "errors.store_driver"),
        ("sqlite:////proc/nothing/here.db", "errors.store_unreachable"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_sentence_without_its_password(url, key):
    with pytest.raises(SourceError) as found:
        Store(url, recorded=None).runs()
    assert found.value.key == key
    assert "secret" not in _spoken(found.value) + str(found.value)


def test_a_file_that_is_no_database_is_a_sentence(tmp_path):
    (tmp_path / "runs.sqlite3").write_text("dear reader, " * 500)
    store = Store(tmp_path, recorded=None)
    with pytest.raises(SourceError) as found:
        store.runs()
    assert found.value.key == "errors.store_corrupt"
    assert str(tmp_path) in _spoken(found.value)
    (tmp_path / "runs.sqlite3").unlink()
    store.create(cells=[], environment={})
    assert len(store.runs()) == 1, "moved away, a new one is made"


def test_a_damaged_database_is_a_sentence_and_recorded_runs_can_be_read(tmp_path, measurement):
    store = Store(tmp_path, recorded=None)
    run_id = store.create(cells=[], environment={})
    for context in range(1, 60):
        store.append(measurement(run_id, context))
    store._database._forget()
    path = tmp_path / "runs.sqlite3"
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    path.write_bytes(raw)
    again = Store(tmp_path)
    with pytest.raises(SourceError) as found:
        again.runs()
    assert found.value.key == "errors.store_corrupt"
    assert again.recorded_runs()
    assert again.run(again.recorded_runs()[0].run_id) is not None


def test_a_locked_database_is_a_sentence_and_goes_on_afterwards(store, measurement, monkeypatch):
    run_id = store.create(cells=[], environment={})
    store._database._forget()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    other = sqlite3.connect(store.folder / "runs.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.run(run_id) is not None, "readers do not wait"
    with pytest.raises(SourceError) as found:
        store.append(measurement(run_id))
    assert found.value.key == "errors.store_locked"
    _spoken(found.value)
    other.execute("ROLLBACK")
    assert store.append(measurement(run_id))
    assert len(store.run(run_id).rows) == 1


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError) as found:
        Store(tmp_path / "file", recorded=None).create(cells=[], environment={})
    assert found.value.key == "errors.store_unreachable"
    _spoken(found.value)


@pytest.mark.parametrize("key", ["store_full", "store_failed"])
def test_rare_troubles_have_sentences_too(key):
    _spoken(SourceError(f"errors.{key}", "", place="p", reason="r"))


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()], ids=lambda dialect: dialect.name)
def test_the_tables_can_be_made_elsewhere(dialect):
    made = " ".join(str(CreateTable(table).compile(dialect=dialect)) for table in database._TABLES.sorted_tables)
    assert made.count("CREATE TABLE") == 3
    kinds = set(re.findall(r"\w*TEXT\S*", made))
    assert kinds == {"LONGTEXT" if dialect.name == "mysql" else "TEXT"}, "a plain TEXT of MySQL ends at 64 KiB"


def test_a_row_of_a_later_version_does_not_hide_the_others(store, measurement):
    run_id = store.create(cells=[], environment={})
    store.append(measurement(run_id))
    with store._database.begin() as db:
        db.exec_driver_sql(
            "INSERT INTO rows SELECT 99, run_id, cell_id, architecture, context, 'new', 0, '{}' FROM rows"
        )
        db.exec_driver_sql("UPDATE runs SET version = version + 1")
    assert store.run(run_id).rows == (measurement(run_id),)


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recorded_runs_can_be_read_and_say_where_they_were_made(path):
    run = read_file(path)
    assert run.rows
    assert {Cell(**cell).cell_id for cell in run.cells} <= {row.cell_id for row in run.rows}, "nothing is missing of it"
    for row in run.rows:
        assert from_row(row.to_row()) == row
        assert row.environment["host_cpu"]
        assert not row.measured or (row.implementation and row.cache_bytes == row.cache_bytes_formula)
