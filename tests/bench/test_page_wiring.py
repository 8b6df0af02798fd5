"""What the benchmark page shows where: each figure of a run in its section, drawn from the rows of that run alone."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest
from showing import noting, opened, reading_words
from test_wiring import LOOK, assert_same_picture

from models import describe, registry
from models.bench.judge import comparison, verdicts
from models.bench.judge.roofline import floors
from models.bench.judge.statistics import growth_exponent, median_time
from models.records.run import fingerprint
from pages.compare.benchmark import ratios
from pages.compare.benchmark.verdicts import _said as said
from pages.shared.words import content, i18n
from viz.bench import batches, device, speed
from viz.bench import memory as bench_memory
from viz.bench import ratios as bench_ratios

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

CONTEXTS = (64, 128, 256)
COLUMNS = {
    "bandwidth_bytes_per_s": 1e10,
    "peak_flops_per_s": 1e11,
    "mbu": 0.5,
    "mfu": 0.25,
    "launch_fraction": 0.3,
    "ops_per_token": 90,
    "energy_j_per_token": 0.2,
    "sentinel_before_ms": 1.0,
    "sentinel_after_ms": 1.01,
    "bytes_weights": 3000,
    "bytes_logits": 40,
    "peak_bytes": 9000,
    "ttft_ms_med": 4.0,
    "tpot_ms_med": 2.0,
    "decode_tokens_per_s": 500.0,
}


@pytest.fixture
def run(shared, measurement):
    """A run of two architectures with everything measured: three lengths, two batches, and largest batches.

    Another run is newer; the address has to name the first.
    """
    cells = [
        {"architecture": name, "source": name, "context": context, "batch": batch}
        for name in ("mamba", "rwkv")
        for context in CONTEXTS
        for batch in (1, 4)
    ]

    def stored(factor):
        run_id = shared.store.create(cells=cells, environment={"host_cpu": "x"})
        for n, cell in enumerate(cells):
            samples = tuple(factor * (n + 1) * step for step in (1.0, 2.0, 3.0, 2.5))
            shared.store.append(
                measurement(
                    run_id, **cell, cell_id=f"c{n}", decode_ms_samples=samples, prefill_ms_samples=samples[:2],
                    first_token_ms_samples=samples[:2], cache_bytes=int(factor) * 100 * (n + 1), **COLUMNS,
                )
            )  # fmt: skip
        for name in ("mamba", "rwkv"):
            shared.store.append(
                measurement(run_id, architecture=name, source=name, context=64, batch=64, batch_limit="memory",
                            cell_id=f"{name}-largest", **COLUMNS)
            )  # fmt: skip
        return run_id

    first = stored(1.0)
    stored(7.0)
    return shared.store.run(first)


def expected(run) -> Mapping[str, object]:
    """Draw every figure of a run: by its section and key."""
    rows = list(run.current)
    swept = [row for row in rows if not row.batch_limit]
    largest = [row for row in rows if row.batch_limit]
    steps = {row.cell_id: median_time(comparison.rounds(row, "decode")) for row in largest}
    least = floors(rows, {name: describe.resolve(name).shape for name in ("mamba", "rwkv")})
    return {
        ("prefill", "benchmark.prefill"): speed.prefill_vs_context(swept, fit=growth_exponent, **LOOK),
        ("decode", "benchmark.decode"): speed.decode_vs_context(swept, floors=least, **LOOK),
        ("hood.largest_batch", "benchmark.largest_batch"): batches.largest_batch(largest, intervals=steps, **LOOK),
        ("hood.pareto", "benchmark.pareto"): batches.pareto(rows, **LOOK),
        ("hood.achieved", "benchmark.achieved"): device.achieved(rows, **LOOK),
        ("hood.launches", "benchmark.launches"): device.launches(rows, **LOOK),
        ("hood.energy", "benchmark.energy"): device.energy(rows, **LOOK),
        ("hood.sentinel_strip", "benchmark.sentinel_strip"): device.sentinel_strip(rows, limit=0.10, **LOOK),
        ("", "benchmark.ratios"): bench_ratios.ratios(ratios.of(verdicts.judged(rows), said), **LOOK),
    }


def memory(run, quantity):
    swept = [row for row in run.current if not row.batch_limit]
    if quantity == "parts":
        alone = [row for row in swept if row.batch == 1]
        return "benchmark.parts", bench_memory.memory_parts(alone, **LOOK)
    return "benchmark.memory", bench_memory.memory_vs_context(swept, peak=quantity == "peak", **LOOK)


IDS = {
    "benchmark.memory": "memory_vs_context", "benchmark.parts": "memory_parts", "benchmark.prefill":
    "prefill_vs_context", "benchmark.decode": "decode_vs_context", "benchmark.largest_batch": "largest_batch",
    "benchmark.pareto": "pareto", "benchmark.achieved": "achieved", "benchmark.launches": "launches",
    "benchmark.energy": "energy", "benchmark.sentinel_strip": "sentinel_strip", "benchmark.ratios": "ratios",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("quantity", ["carried", "peak", "parts"])
def test_every_picture_of_a_run_stands_in_its_section(monkeypatch, run, quantity):
    with noting(monkeypatch) as seen:
        at = opened("benchmark", run=run.run_id, state={"benchmark.quantity": quantity})
    key, drawn = memory(run, quantity)
    figures = {("memory", key): drawn} | expected(run)
    assert [(one.section, one.key) for one in seen] == list(figures)
    for one in seen:
        assert one.fig.id == IDS[one.key]
        assert_same_picture(one.fig, figures[one.section, one.key])
    links = [code.value for code in at.code if code.value.startswith("/benchmark")]
    said = [{name: value for name, (value,) in parse_qs(urlsplit(link).query).items()} for link in links]
    whole, plan = {"lang": "en", "run": run.run_id, "rows": fingerprint(run)}, {"lang": "en"}
    assert said == [whole, plan], "the link of the run names it and its rows, that of the plan no run"


@pytest.mark.slow
def test_the_page_asks_for_every_section_of_its_words_and_for_no_other(monkeypatch, run):
    with reading_words(monkeypatch) as asked:
        opened("benchmark", run=run.run_id)
    used = {key for page, key in asked if page == "benchmark"}
    monkeypatch.undo()
    for lang in i18n.LANGS:
        there = set(content.sections(lang, "benchmark"))
        assert sorted(there - used) == []
        assert sorted(key for key in used - there if not key.endswith(".try")) == []
