"""The table beside the published values speaks of one batch: a larger one costs something else at the same length."""

import dataclasses
import re

from models.bench import exchange
from models.bench.store import RECORDED, Run
from pages.compare.bench import comparison


def test_rows_of_other_batches_are_left_out() -> None:
    (path,) = RECORDED.glob("quick-cpu.jsonl")
    run = exchange.parse(path.name, path.read_bytes())
    plain = comparison._by_architecture(run)
    assert {name: len(rows) for name, rows in plain.items()} == dict.fromkeys(plain, 4)
    eight = [dataclasses.replace(row, batch=8, cache_bytes=8 * (row.cache_bytes or 0)) for row in run.rows]
    largest = [dataclasses.replace(row, batch=1, batch_limit="memory") for row in run.rows]
    mixed: Run = dataclasses.replace(run, rows=(*eight, *run.rows, *largest))
    assert comparison._by_architecture(mixed) == plain
    said = comparison.measured_text(comparison._by_architecture(mixed)["mamba"], "memory")
    assert len(set(re.findall(r"[0-9.]+ [KM]iB", said))) == 1, said
