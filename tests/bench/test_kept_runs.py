"""A database and files that were written before the modules moved (commit 72f00b8) still open, with the same rows."""

import sqlite3
from pathlib import Path

import pytest

from models.bench.store import files
from models.bench.store.store import Store
from models.records.run import Run, fingerprint

KEPT = Path(__file__).parent / "kept"
RUN_ID = "20261130-102726-59c330"
TITLE = "Kept before the move, 이전 기록"
FINGERPRINT = "83364fc006b94d08"  # as the code of that commit computed it


def check(run: Run) -> None:
    """Compare a run with what was written."""
    assert run.title == TITLE
    assert [(row.architecture, row.context, row.state) for row in run.rows] == [
        ("transformer", 256, "ok"),
        ("mamba", 256, "ok"),
        ("rwkv", 256, "ok"),
    ]
    assert len(run.cells) == 3
    assert run.environment["cores"] == 2
    assert fingerprint(run) == FINGERPRINT


def test_a_database_of_before_the_move_opens(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript((KEPT / "runs.sql").read_text(encoding="utf-8"))
    store = Store(f"sqlite:///{path}", recorded=None)
    assert [summary.run_id for summary in store.summaries()] == [RUN_ID]
    found = store.run(RUN_ID)
    assert found is not None
    check(found)
    assert found.ended == "done"
    assert store.latest() == found
    store.rename(RUN_ID, "another title")
    renamed = store.run(RUN_ID)
    assert renamed is not None
    assert renamed.title == "another title"


@pytest.mark.parametrize("name", ["run.jsonl", "run.csv", "run.parquet"])
def test_a_file_exported_before_the_move_opens(name: str) -> None:
    check(files.parse(name, (KEPT / name).read_bytes()))
