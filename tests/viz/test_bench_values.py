"""Every number that the benchmark's figures draw, say or export, against the samples of rows that all differ.

No picture is built here: what the figures hand to the charts is caught before, and computed again from the rows.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from models.records.interval import Interval
from models.records.measurement import Measurement
from models.units import duration, number, size
from viz.bench import batches, device, lines, memory
from viz.bench.speed import decode_vs_context, prefill_vs_context
from viz.figure import Figure
from viz.look.theme import LIGHT

NAMES = ("transformer", "mamba", "rwkv")


def row(architecture: str, context: int, batch: int = 1, state: str = "ok", **facts: Any) -> Measurement:
    """Make a row whose numbers no other row has; times are milliseconds."""
    base = context / 64 + 7 * batch + 31 * NAMES.index(architecture)
    known = {
        "prefill_ms_samples": tuple(base * 40 + step for step in (9.0, 0.0, 2.0, 3.0)),
        "decode_ms_samples": tuple(base + step for step in (0.7, 0.0, 0.1, 0.4, 0.2)),
        "cache_bytes": int(base * 1000), "peak_bytes": int(base * 4000) + 11, "bytes_weights": int(base * 9000) + 3,
        "bytes_logits": int(base * 100) + 1, "pred_bytes": int(base * 13500), "launch_fraction": 0.1 + base / 1000,
        "harness_ms": base / 300, "ops_per_token": int(base * 10), "mbu": 0.2 + base / 1000, "mfu": 0.5 + base / 1000,
        "energy_j_per_token": base / 7, "sentinel_before_ms": 1 + base / 1000, "sentinel_after_ms": 1 + base / 500,
        "started_ns": int(10**9 - base * 1000), "bandwidth_bytes_per_s": 4.3e12, "peak_flops_per_s": 788e12,
    }  # fmt: skip
    failed = {"pred_bytes": known["pred_bytes"]}
    return Measurement(
        "run", f"{architecture}-{context}-b{batch}", state, architecture, architecture, context, batch, "cpu",
        "float32", 3, 0, **((known if state in ("ok", "unstable") else failed) | facts),
    )  # fmt: skip


# Not in order, with failures before, between and after what was measured, and one series without a measurement.
ROWS = [
    row("transformer", 8192, state="predicted_oom_skipped"), row("transformer", 2048, state="oom"),
    row("transformer", 4096, state="timeout"), row("transformer", 512), row("transformer", 128),
    row("transformer", 256, state="failed"), row("transformer", 1024, state="unstable"),
    row("mamba", 64, state="killed"), row("mamba", 512), row("mamba", 128), row("mamba", 128, batch=8),
    row("mamba", 512, batch=8), row("transformer", 128, batch=8), row("transformer", 512, batch=8, state="oom"),
    row("rwkv", 256, state="cancelled"), row("rwkv", 128, state="failed"),
]  # fmt: skip
GOOD = [one for one in ROWS if one.state in ("ok", "unstable")]
MISSING = {
    ("transformer", 1): ((256, "failed"), (2048, "oom"), (4096, "timeout"), (8192, "predicted_oom_skipped")),
    ("transformer", 8): ((512, "oom"),), ("mamba", 1): ((64, "killed"),),
    ("rwkv", 1): ((128, "failed"), (256, "cancelled")),
}  # fmt: skip
FLOORS = {one.cell_id: one.context * 1e-7 * one.batch for one in ROWS if one.architecture != "mamba"}


def of(architecture: str, batch: int, rows: Sequence[Measurement] = GOOD) -> list[Measurement]:
    """Return the rows of a line in order of context."""
    return sorted((r for r in rows if (r.architecture, r.batch) == (architecture, batch)), key=lambda r: r.context)


def middle(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def quarters(samples: Sequence[float]) -> tuple[float, float]:
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the figures hand to the kinds of charts, which draw nothing here."""
    found: dict[str, Any] = {}
    kinds = [(lines, "context_plot"), (device, "strips_chart"), (batches, "strips_chart"), (batches, "points_plot")]
    for module, name in kinds:
        monkeypatch.setattr(module, name, lambda given, **more: found.update(given=given, **more))
    for name in ("_bars", "_key", "_texts"):
        monkeypatch.setattr(memory, name, lambda *given, _name=name: found.setdefault(_name, given) and [])
    monkeypatch.setattr(memory, "styled", lambda *_, **__: None)
    monkeypatch.setattr(device, "styled", lambda *_, **__: None)
    monkeypatch.setattr(device, "_pace", lambda marks, limit, *_: found.update(marks=marks, limit=limit))
    return found


def in_seconds(name: str) -> Callable[[Measurement], list[float]]:
    return lambda one: [value / 1000 for value in getattr(one, name)]


QUANTITIES = {
    "decode": (lambda rows, **o: decode_vs_context(rows, floors=FLOORS, **o), in_seconds("decode_ms_samples")),
    "prefill": (prefill_vs_context, in_seconds("prefill_ms_samples")),
    "cache": (memory.memory_vs_context, lambda one: [one.cache_bytes]),
    "peak": (lambda rows, **o: memory.memory_vs_context(rows, peak=True, **o), lambda one: [one.peak_bytes]),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_lines_over_context_are_the_samples_of_their_rows(name: str, caught, t) -> None:
    """Points are medians, ribbons quartiles, dots all samples; what was not measured has its reason alone."""
    draw, values = QUANTITIES[name]
    figure = draw(ROWS, theme=LIGHT, t=t)
    titles = []
    for batch, panel in zip((1, 8), caught["given"], strict=True):
        titles.append(panel.title)
        assert [line.architecture for line in panel.lines] == ([*NAMES] if batch == 1 else ["transformer", "mamba"])
        for line in panel.lines:
            rows = of(line.architecture, batch)
            points = [(one.context, middle(values(one))) for one in rows]
            assert line.name == t(f"viz.architecture.{line.architecture}")
            assert line.points == tuple((x, pytest.approx(y)) for x, y in points)
            np.testing.assert_allclose(
                figure.data[f"{line.architecture}_b{batch}"].values, np.reshape(points, (-1, 2)), err_msg=line.key
            )
            several = len(values(GOOD[0])) > 1
            ribbon = [(one.context, *quarters(values(one))) for one in rows if several]
            np.testing.assert_allclose(np.reshape(line.ribbon, (-1, 3)), np.reshape(ribbon, (-1, 3)))
            dots = [(one.context, value) for one in rows if several for value in values(one)]
            assert line.samples == tuple((x, pytest.approx(y)) for x, y in dots)
            assert line.solid == tuple(one.state == "ok" for one in rows), "unsteady rows are hollow"
            gaps = MISSING.get((line.architecture, batch), ())
            assert line.missing == tuple((x, t(f"viz.state.{state}")) for x, state in gaps)
    assert titles == [t("viz.bench.batch", count=1), t("viz.bench.batch", count=8)]


def test_what_a_point_says_and_the_table_are_in_words_of_its_row(caught, t) -> None:
    figure = decode_vs_context(ROWS, floors=FLOORS, theme=LIGHT, t=t)
    told: list[tuple[str, ...]] = []
    for batch, panel in zip((1, 8), caught["given"], strict=True):
        for line in panel.lines:
            floor = [(r.context, FLOORS[r.cell_id]) for r in of(line.architecture, batch, ROWS) if r.cell_id in FLOORS]
            assert line.floor == tuple((x, pytest.approx(y)) for x, y in floor)
            if floor:
                np.testing.assert_allclose(figure.data[f"{line.architecture}_b{batch}_floor"].values, floor)
            rows = {(x, (t("viz.plot.unmeasured", why=why),)) for x, why in line.missing}
            for one, said in zip(of(line.architecture, batch), line.says, strict=True):
                step = middle(one.decode_ms_samples) / 1000
                low, high = (duration(v / 1000) for v in quarters(one.decode_ms_samples))
                floors = [FLOORS[one.cell_id]] if one.cell_id in FLOORS else []
                least = [t("viz.decode_vs_context.tip_floor", time=duration(value)) for value in floors]
                share = f"{one.launch_fraction:.0%}"
                wait = t("viz.decode_vs_context.tip_waits", time=duration(one.launch_fraction * step), share=share)
                known = (duration(step), t("viz.plot.half", low=low, high=high))
                assert said == (*known, *least, wait)
                rows.add((one.context, said))
            told += [(line.name, f"{batch}", f"{x:,.0f}", " · ".join(said)) for x, said in sorted(rows)]
    assert list(caught["table"].rows) == told
    waiting = [(r.batch, r.context, r.launch_fraction * middle(r.decode_ms_samples) / 1000) for r in GOOD]
    np.testing.assert_allclose(figure.data["waiting"].values, waiting)
    low, high = (f"{pick(r.launch_fraction for r in GOOD):.0%}" for pick in (min, max))
    assert t("viz.decode_vs_context.note_waits", low=low, high=high) in figure.note


def test_the_exponent_of_a_line_is_that_of_its_own_samples_and_ends(caught, t) -> None:
    """The fit stands in for ours and returns what it was asked for, so that no line can have that of another."""

    def fit(sizes: Sequence[float], samples: Sequence[Sequence[float]]) -> Interval:
        return Interval(sum(sizes), samples[0][0], samples[-1][0])

    figure = prefill_vs_context(ROWS, fit=fit, theme=LIGHT, t=t)
    rows = of("transformer", 1)
    first, last = (rows[at].prefill_ms_samples[0] / 1000 for at in (0, -1))
    np.testing.assert_allclose(figure.data["transformer_b1_exponent"].values, [128 + 512 + 1024, first, last])
    assert [name for name in figure.data if "exponent" in name] == ["transformer_b1_exponent"], "two lengths have none"
    ends = t("viz.prefill_vs_context.exponent_interval", low=f"{first:.2f}", high=f"{last:.2f}")
    notes = {line.note for panel in caught["given"] for line in panel.lines}
    assert notes == {(), (t("viz.prefill_vs_context.exponent", k="1664.00"), ends)}


def test_the_parts_of_memory_are_those_of_their_cell(caught, t) -> None:
    figure = memory.memory_parts(ROWS, theme=LIGHT, t=t)
    (bars, *_), (_, heads, _) = caught["_bars"], caught["_texts"]
    every = [one for name in NAMES for batch in (1, 8) for one in of(name, batch, ROWS)]
    for one, bar in zip(every, bars, strict=True):
        parts, total = [0.0] * 4, "" if one in GOOD else t(f"viz.state.{one.state}")
        if one in GOOD:
            rest = one.peak_bytes - one.cache_bytes - one.bytes_logits
            parts = [one.bytes_weights, one.cache_bytes, one.bytes_logits, rest]
            total = size(one.bytes_weights + one.peak_bytes)
        context = {1024: "1k", 2048: "2k", 4096: "4k", 8192: "8k"}.get(one.context, str(one.context))
        assert (bar["label"], bar["text"]) == (f"{context} ×{one.batch}", total)
        key = f"{one.architecture}_{one.context}_b{one.batch}"
        assert figure.data[key].values.tolist() == [*parts, one.pred_bytes]
        assert (bar["key"], bar["name"]) == (key, t(f"viz.architecture.{one.architecture}"))
    assert [head["name"] for head in heads] == [t(f"viz.architecture.{name}") for name in NAMES]
    assert all(a["y"] < b["y"] for a, b in itertools.pairwise(bars)), "from top to bottom"


def percent(share: float) -> str:
    return f"{100 * share:.1f}%" if share < 0.1 else f"{100 * share:.0f}%"


def clock(one: Measurement) -> float:
    return one.harness_ms / middle(one.decode_ms_samples)


SHARES = {
    "achieved": (device.achieved, {"decode": lambda one: one.mbu, "prefill": lambda one: one.mfu}),
    "launches": (device.launches, {"waiting": lambda one: one.launch_fraction, "clock": clock}),
}


@pytest.mark.parametrize("name", SHARES)
def test_a_strip_of_shares_shows_the_longest_context_and_dots_of_the_others(name: str, caught, t) -> None:
    draw, quantities = SHARES[name]
    figure = draw(ROWS, theme=LIGHT, t=t)
    known = [
        (of(architecture, batch), part, f"{architecture}_{part}_b{batch}", f"{t(f'viz.{name}.{part}')} ×{batch}")
        for architecture in NAMES[:2]
        for batch in (1, 8)
        for part in quantities
    ]
    for strip, (rows, part, key, label) in zip(caught["given"], known, strict=True):
        shares = [quantities[part](one) for one in rows]
        assert (strip.name, strip.label) == (t(f"viz.architecture.{rows[0].architecture}"), label)
        assert (strip.main, strip.text) == (pytest.approx(shares[-1]), percent(shares[-1]))
        assert strip.dots == pytest.approx(tuple(shares[:-1]))
        np.testing.assert_allclose(figure.data[key].values, [(r.context, s) for r, s in zip(rows, shares, strict=True)])
        if name == "launches":
            counts = [one.ops_per_token for batch in (1, 8) for one in of(rows[0].architecture, batch)]
            assert strip.head == t("viz.launches.operators", count=f"{min(counts):,}–{max(counts):,}")
        else:
            assert strip.head == ""
    assert caught["limit"][0] == caught["end"] == 1.0
    peaks = (t("viz.achieved.bandwidth", value="4,300"), t("viz.achieved.flops", value="788"))
    assert figure.note == " ".join([t(f"viz.{name}.note"), *(peaks if name == "achieved" else ())])
    if name == "launches":
        operators = [(one.batch, one.context, one.ops_per_token) for one in GOOD]
        np.testing.assert_array_equal(figure.data["operators"].values, operators)
    listed = ", ".join(f"{strip.name} {strip.label} {strip.text}" for strip in caught["given"])
    assert figure.alt.startswith(t(f"viz.{name}.alt", list=listed))


def test_a_share_below_a_tenth_has_one_decimal_and_none_is_whole() -> None:
    found = {share: device._percent(share) for share in (0.0, 0.004, 0.0996, 0.1, 0.52, 1.4)}
    assert list(found.values()) == ["0%", "0.4%", "10.0%", "10%", "52%", "140%"]


def test_energy_is_joules_at_the_longest_context_of_each_batch(caught, t) -> None:
    figure = device.energy(ROWS, theme=LIGHT, t=t)
    last = [of(name, batch)[-1] for name in NAMES[:2] for batch in (1, 8)]
    known = [(one.batch, one.context, one.energy_j_per_token) for one in last]
    np.testing.assert_allclose(figure.data["energy"].values, known)
    for strip, one in zip(caught["given"], last, strict=True):
        said = (strip.name, strip.label, strip.text)
        assert said == (
            t(f"viz.architecture.{one.architecture}"), f"×{one.batch}", f"{number(one.energy_j_per_token)} J"
        )  # fmt: skip
        assert (strip.bar, strip.drawn_hollow) == (one.energy_j_per_token, one.state != "ok")


def test_the_fixed_product_is_set_against_its_median_in_order_of_time(caught, t) -> None:
    figure = device.sentinel_strip(ROWS, limit=0.05, theme=LIGHT, t=t)
    timed = sorted(GOOD, key=lambda one: one.started_ns)
    assert timed != GOOD
    readings = [(one.sentinel_before_ms, one.sentinel_after_ms) for one in timed]
    usual = middle([value for pair in readings for value in pair])
    drift = [max(pair) / min(pair) - 1 for pair in readings]
    np.testing.assert_allclose(figure.data["milliseconds"].values, readings)
    np.testing.assert_allclose(figure.data["drift"].values, drift)
    for place, (one, mark) in enumerate(zip(timed, caught["marks"], strict=True)):
        paces = [value / usual - 1 for value in readings[place]]
        assert [mark["before"], mark["after"]] == pytest.approx(paces)
        assert (mark["x"], mark["context"]) == (place + 1, f"{one.context:,}")
        assert (mark["drift"], mark["moved"]) == (f"{drift[place]:.1%}", drift[place] > 0.05)
        assert mark["name"] == t(f"viz.architecture.{one.architecture}")
        assert mark["color"] == LIGHT.color(one.architecture)
    moved = sum(value > 0.05 for value in drift)
    assert 0 < moved < len(drift)
    assert figure.alt.startswith(t("viz.sentinel_strip.alt", count=len(timed), moved=moved, limit="5%"))
    assert figure.finding == t("viz.sentinel_strip.finding", count=len(timed), moved=moved, limit="5%")


def rate(one: Measurement) -> float:
    return one.batch * 1000 / middle(one.decode_ms_samples)


def test_the_largest_batch_has_its_rate_its_ends_and_what_stopped_it(caught, t) -> None:
    steps = {one.cell_id: Interval(1, 0.5 + at, 2.0 + at) for at, one in enumerate(GOOD)}
    found = dataclasses.replace(of("mamba", 8)[0], batch=4, cell_id="mamba-128-b4", batch_limit="time")
    rows = [*ROWS, found]
    figure = batches.largest_batch(rows, intervals=steps, theme=LIGHT, t=t)
    best = [of("transformer", 8)[0], found]  # at 128, where most rows are; what a search found counts before 8
    ends = [[best[0].batch / steps[best[0].cell_id].high * 1e3, best[0].batch / steps[best[0].cell_id].low * 1e3]]
    known = [[rate(best[0]), *ends[0], 8], [rate(found), np.nan, np.nan, 4]]
    np.testing.assert_allclose(figure.data["throughput"].values, known)
    *strips, failed = caught["given"]
    limit = t("viz.largest_batch.limit", count=4, limit=t("viz.largest_batch.limit.time"))
    heads = [t("viz.bench.batch", count=8), limit]
    for strip, one, head, end in zip(strips, best, heads, (pytest.approx(ends[0]), None), strict=True):
        assert (strip.bar, strip.head) == (pytest.approx(rate(one)), head)
        assert (list(strip.whisker) if strip.whisker else None) == end
        assert strip.text == t("viz.largest_batch.rate", rate=f"{rate(one):,.0f}")
    assert (failed.architecture, failed.bar, failed.head) == ("rwkv", None, t("viz.state.failed"))
    assert figure.note.startswith(t("viz.largest_batch.note", context="128"))
    assert batches.largest_batch(rows, context=512, theme=LIGHT, t=t).data["throughput"].values[:, 3].tolist() == [1, 8]


def test_a_point_of_the_trade_is_a_user_and_the_device_of_one_batch(caught, t) -> None:
    figure = batches.pareto(ROWS, theme=LIGHT, t=t)
    points = {name: [(rate(one) / one.batch, rate(one), one.batch) for one in rows] for name, rows in (
        (name, [of(name, batch)[0] for batch in (8, 1)]) for name in NAMES[:2])}  # fmt: skip
    for line in caught["given"]:
        np.testing.assert_allclose(figure.data[line.key].values, points[line.architecture])
        assert line.points == tuple(pytest.approx(point[:2]) for point in points[line.architecture])
    both = sorted(point[:2] for every in points.values() for point in every)
    front = [p for p in both if not any(q[0] >= p[0] and q[1] >= p[1] and q != p for q in both)]
    np.testing.assert_allclose(figure.data["frontier"].values, front)
    assert figure.note == t("viz.pareto.note", context="128")


def test_rows_on_reference_kernels_are_hollow_wherever_they_are_drawn(caught, t) -> None:
    plain = [row(name, n, batch=b) for name in NAMES for n in (128, 1500) for b in (1, 8)]
    rows = [dataclasses.replace(one, kernels="reference" if one.architecture == "rwkv" else "fast") for one in plain]
    known = {name: name == "rwkv" for name in NAMES}
    for draw in (device.achieved, device.launches, device.energy, batches.largest_batch):
        draw(rows, theme=LIGHT, t=t)
        assert {strip.architecture: strip.drawn_hollow for strip in caught["given"]} == known, draw
    for draw in (decode_vs_context, prefill_vs_context):
        draw(rows, theme=LIGHT, t=t)
        drawn = {line.architecture: set(line.solid) for panel in caught["given"] for line in panel.lines}
        assert drawn == {name: {not hollow} for name, hollow in known.items()}
    batches.pareto(rows, theme=LIGHT, t=t)
    assert {line.architecture: set(line.solid) for line in caught["given"]} == drawn
    memory.memory_parts(rows, theme=LIGHT, t=t)
    assert {bar["label"] for bar in caught["_bars"][0]} == {"128 ×1", "128 ×8", "1,500 ×1", "1,500 ×8"}


def test_every_figure_of_rows_is_held_here(caught, english) -> None:
    """A new figure of the benchmark needs its values in this file."""
    from viz.gallery.figures import every

    drawn: list[Figure | None] = [draw(ROWS, theme=LIGHT, t=english) for draw, _ in QUANTITIES.values()]
    drawn += [draw(ROWS, theme=LIGHT, t=english) for draw, _ in SHARES.values()]
    ours = {figure.id for figure in drawn if figure} | {
        "memory_parts", "energy", "sentinel_strip", "largest_batch", "pareto",
    }  # fmt: skip
    assert ours == {entry.id for entry in every().values() if entry.of == "rows"}
