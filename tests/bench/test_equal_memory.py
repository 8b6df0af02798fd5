"""Throughput at the same batch and at equal memory: which rows are taken, and the ratio with its interval."""

import dataclasses

import pytest
from synthetic_rows import swept, timed

from models.bench.judge import throughput

MIB = 2**20


def cell(name, batch, *, step, peak, **changes):
    return timed(
        name, 1024, prefill=100.0, step=step, batch=batch, peak_bytes=peak * MIB, bytes_weights=24 * MIB, **changes
    )


def rows():
    """Return batches of two: attention pays 10 MiB a text, the state 1 MiB."""
    return [
        *(cell("transformer", b, step=4.0 + b, peak=10 * b) for b in (1, 4, 16)),
        *(cell("mamba", b, step=5.0 + b / 4, peak=b) for b in (1, 4, 16)),
        cell("mamba", 64, step=20.0, peak=64, batch_limit="cap"),
    ]


def test_the_largest_batches_that_fit_are_those_of_the_least_needy_at_its_largest():
    """At its largest batch Mamba needs 24 + 64 MiB; the Transformer fits into that at 4, not at 16."""
    found = throughput.at_equal_memory(rows())
    assert (found.context, found.limit_bytes) == (1024, 88 * MIB)
    assert {name: row.batch for name, row in found.rows.items()} == {"transformer": 4, "mamba": 64}
    assert found.ratio("mamba", "transformer").value == pytest.approx((64 / 20) / (4 / 8))
    assert found.ratio("mamba", "rwkv") is None


def test_a_given_memory_decides_and_one_that_holds_nothing_leaves_an_architecture_out():
    found = throughput.at_equal_memory(rows(), limit_bytes=200 * MIB)
    assert {name: row.batch for name, row in found.rows.items()} == {"transformer": 16, "mamba": 64}
    found = throughput.at_equal_memory(rows(), limit_bytes=30 * MIB)
    assert {name: row.batch for name, row in found.rows.items()} == {"mamba": 4}
    assert found.ratio("mamba", "transformer") is None


def test_rows_without_times_or_bytes_are_not_taken():
    bare = [dataclasses.replace(row, peak_bytes=None) for row in rows()]
    assert throughput.at_equal_memory(bare) is None
    unsteady = [
        dataclasses.replace(row, state="unstable", prefill_ms_samples=(), decode_ms_samples=()) for row in rows()
    ]
    assert throughput.at_equal_memory(unsteady) is None
    assert throughput.at_equal_memory([row for row in rows() if row.architecture == "mamba"]) is None


def test_the_ratio_at_one_batch_pairs_rounds_and_at_two_batches_does_not():
    moods = {"decode": [1.0, 1.4, 0.8, 1.1]}
    a, b = (cell(name, 4, step=step, peak=1, moods=moods) for name, step in (("mamba", 2.0), ("transformer", 6.0)))
    same = throughput.rate_ratio(a, b)
    assert same.value == pytest.approx(3)
    assert same.high - same.low < 1e-9, "what both went through cancels"
    other = throughput.rate_ratio(cell("mamba", 8, step=4.0, peak=1, moods=moods), b)
    assert other.value == pytest.approx(3)
    assert other.high - other.low > 0.5


def test_the_ratio_stands_by_batch_without_cells_at_a_largest_batch():
    found = throughput.by_batch(rows(), "mamba", "transformer")
    assert {batch: round(one.value, 6) for batch, one in found.items()} == {
        1: round(5 / 5.25, 6), 4: round(8 / 6, 6), 16: round(20 / 9, 6)
    }  # fmt: skip
    assert throughput.by_batch(swept("mamba"), "mamba", "transformer") == {}
