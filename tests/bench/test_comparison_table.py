"""The table beside the published values speaks of one batch: a larger one costs something else at the same length."""

import dataclasses
import re

import pytest

from models.bench.store import files
from models.bench.store.store import RECORDED
from models.records.run import Run
from pages.compare.benchmark import comparison
from pages.shared.words import i18n


def test_rows_of_other_batches_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "t", i18n.translator("en"))
    (path,) = RECORDED.glob("quick-cpu.jsonl")
    run = files.parse(path.name, path.read_bytes())
    plain = comparison._by_architecture(run)
    assert {name: len(rows) for name, rows in plain.items()} == dict.fromkeys(plain, 4)
    eight = [
        dataclasses.replace(row, batch=8, cell_id=f"{row.cell_id}-8", cache_bytes=8 * (row.cache_bytes or 0))
        for row in run.rows
    ]
    largest = [dataclasses.replace(row, cell_id=f"{row.cell_id}-largest", batch_limit="memory") for row in run.rows]
    mixed: Run = dataclasses.replace(run, rows=(*eight, *run.rows, *largest))
    assert comparison._by_architecture(mixed) == plain
    said = comparison.measured_text(comparison._by_architecture(mixed)["mamba"], "memory")
    assert len(set(re.findall(r"[0-9.]+ [KM]iB", said))) == 1, said
    alone = comparison._by_architecture(dataclasses.replace(run, rows=tuple(eight)))
    assert {row.batch for rows in alone.values() for row in rows} == {8}
    told = comparison.measured_text(alone["mamba"], "memory")
    assert told.startswith(i18n.say("en", "benchmark.plan.batch", count=8)), told
