"""The benchmark's figures: what is drawn is what was measured, failures stay visible, nothing is averaged away."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plot_spec import line, missing, names, points, sent, traces

from models.bench.judge.statistics import growth_exponent, median_time
from models.records.interval import Interval
from models.records.measurement import Measurement, from_row
from viz.bench.batches import largest_batch, pareto
from viz.bench.device import achieved, energy, launches, sentinel_strip
from viz.bench.memory import memory_parts, memory_vs_context
from viz.bench.rows import is_degraded, series_of
from viz.bench.speed import decode_vs_context, prefill_vs_context
from viz.figure import Figure
from viz.look.labels import spread_apart
from viz.look.plotly import PlotSpec
from viz.look.theme import DARK, LIGHT

RECORDED = Path(__file__).resolve().parents[2] / "assets" / "runs" / "quick-cpu.jsonl"


def measurement(
    architecture: str, context: int, state: str = "ok", prefill: Sequence[float] = (), decode: Sequence[float] = (),
    cache_bytes: int | None = None, peak_bytes: int | None = None, **facts: Any,
) -> Measurement:  # fmt: skip
    """Return a measured row of a run of the bundled models."""
    made = Measurement(
        "run", "", state, architecture, architecture, context, 1, "cpu", "float32", 3, 0,
        prefill_ms_samples=tuple(prefill), decode_ms_samples=tuple(decode), cache_bytes=cache_bytes,
        peak_bytes=peak_bytes,
    )  # fmt: skip
    return replace(made, **facts)


def replace(known: Measurement, **facts: Any) -> Measurement:
    """Return a row with other facts and the name of its cell."""
    new = dataclasses.replace(known, **facts)
    return dataclasses.replace(new, cell_id=f"{new.architecture}-{new.context}-b{new.batch}-{new.kernels}")


ROWS = [
    measurement("transformer", 128, "ok", (1.0, 2.0, 4.0), (0.5, 0.6, 0.7), 1000, 2000),
    measurement("transformer", 512, "ok", (8.0, 9.0, 10.0), (0.9,), 4000, 8000),
    measurement("transformer", 2048, "oom"),
    measurement("transformer", 8192, "predicted_oom_skipped"),
    measurement("mamba", 128, "ok", (3.0,), (0.4,), 500, 700),
    measurement("mamba", 512, "unstable", (5.0,), (0.4,), 500, 700),
    measurement("rwkv", 128, "failed"),
]
FULL = replace(
    ROWS[0], bytes_weights=5000, bytes_logits=100, pred_bytes=7100, launch_fraction=0.5, harness_ms=0.06,
    ops_per_token=236, bandwidth_bytes_per_s=4.3e12, peak_flops_per_s=788e12, mbu=0.25, mfu=0.4, energy_j_per_token=0.5,
    sentinel_before_ms=1.0, sentinel_after_ms=1.0, started_ns=1,
)  # fmt: skip


def every(rows: Sequence[Measurement], t, theme=LIGHT) -> list[Figure | None]:
    """Draw all of them."""
    return [
        decode_vs_context(rows, floors={row.cell_id: 1e-4 for row in rows}, theme=theme, t=t),
        prefill_vs_context(rows, fit=growth_exponent, theme=theme, t=t),
        memory_vs_context(rows, theme=theme, t=t),
        memory_vs_context(rows, theme=theme, t=t, peak=True),
        memory_parts(rows, theme=theme, t=t),
        largest_batch(rows, theme=theme, t=t),
        pareto(rows, theme=theme, t=t),
        achieved(rows, theme=theme, t=t),
        launches(rows, theme=theme, t=t),
        energy(rows, theme=theme, t=t),
        sentinel_strip(rows, limit=0.1, theme=theme, t=t),
    ]


def layers(spec: dict) -> list[dict]:
    """Flatten nested layers."""
    return [deep for layer in spec["layer"] for deep in (layers(layer) if "layer" in layer else [layer])]


def drawn(figure: Figure, found) -> list[list[dict]]:
    """Return the rows of every layer that `found` accepts."""
    spec = figure.body.to_dict()
    return [spec["datasets"][layer["data"]["name"]] for layer in layers(spec) if found(layer)]


def texts(figure: Figure) -> list[str]:
    if isinstance(figure.body, PlotSpec):
        panels = range(3)
        lanes = [words for panel in panels for one in traces(figure, "missing", panel) for words in one["text"]]
        batches = [words.split("<br>")[0] for one in traces(figure, "batch") for words in one["text"]]
        titles = [one["text"] for one in sent(figure)["layout"]["annotations"]]
        return [word for panel in panels for word in names(figure, panel)] + lanes + batches + titles
    rows = [row for rows in figure.body.to_dict()["datasets"].values() for row in rows]
    return [row[name] for row in rows for name in ("text", "head", "label", "name") if name in row]


def scales(figure: Figure, name: str) -> list[dict]:
    """Return the scales of every layer that has one of that name."""
    channels = [layer["encoding"].get(name, {}) for layer in layers(figure.body.to_dict())]
    return [channel["scale"] for channel in channels if channel.get("scale")]


def many(
    architecture: str, factor: float, contexts: Sequence[int] = (256, 1024, 4096, 16384), **more
) -> list[Measurement]:
    """Build rows whose prefill grows as T^factor and whose step takes 1 ms."""
    return [
        measurement(architecture, c, prefill=[c**factor * v for v in (0.99, 1.0, 1.01)], decode=[1.0] * 6,
            **more)
        for c in contexts
    ]  # fmt: skip


# --- all of them ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [FULL],
        [measurement("rwkv", 128, "timeout"), measurement("rwkv", 512, "oom", pred_bytes=9)],
        [replace(row, architecture="mamba") for row in ROWS],
        ROWS,
        [replace(FULL, batch=b, kernels=k, size=s) for b in (1, 8) for k in ("fast", "reference") for s in ("a", "b")],
    ],
    ids=["none", "one", "failures", "one-architecture", "mixed", "apart"],
)
def test_every_figure_can_be_drawn(rows, t):
    for figure in every(rows, t):
        if figure is not None:
            json.dumps(figure.body.to_dict(), allow_nan=False)
            assert figure.alt
            assert all(array.values.ndim == len(array.dims) for array in figure.data.values())


@pytest.mark.slow
def test_every_figure_follows_the_theme(english):
    rows = [FULL, replace(FULL, context=512), replace(FULL, batch=8)]
    for light, dark in zip(every(rows, english, LIGHT), every(rows, english, DARK), strict=True):
        text = json.dumps(dark.body.to_dict())
        assert DARK.color("transformer") in text
        assert not {
            color for color in (LIGHT.card, LIGHT.muted, LIGHT.ink, LIGHT.color("transformer")) if color in text
        }
        assert light.data.keys() == dark.data.keys()


@pytest.mark.slow
def test_the_recorded_run_can_be_drawn(t):
    lines = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    rows: list[Measurement] = [from_row(line) for line in lines if line["kind"] == "row"]
    assert {figure.id for figure in every(rows, t) if figure} == {
        "decode_vs_context", "prefill_vs_context", "memory_vs_context", "memory_parts", "largest_batch",
        "sentinel_strip", "achieved", "launches",
    }  # fmt: skip


def test_thousands_of_samples_are_thinned_but_counted(english):
    samples = np.linspace(1.0, 3.0, 5001)
    figure = decode_vs_context([measurement("mamba", 128, decode_ms_samples=samples)], theme=LIGHT, t=english)
    (dots,) = traces(figure, "samples")
    assert len(dots["y"]) == 40
    assert (min(dots["y"]), max(dots["y"])) == pytest.approx((0.001, 0.003))
    assert points(figure, "mamba") == [(128, pytest.approx(0.002))]


def test_nothing_that_is_absent_is_drawn(english):
    for draw in (achieved, launches, energy, pareto, largest_batch):
        assert draw([], theme=LIGHT, t=english) is None
    assert sentinel_strip(ROWS, limit=0.1, theme=LIGHT, t=english) is None
    assert achieved(ROWS, theme=LIGHT, t=english) is None
    assert launches(ROWS, theme=LIGHT, t=english) is None
    assert energy(ROWS, theme=LIGHT, t=english) is None


# --- series ----------------------------------------------------------------------------------------------------------


def test_series_are_named_by_what_sets_them_apart(english):
    rows = [replace(FULL, architecture=a, kernels=k) for k in ("reference", "fast") for a in ("jamba", "mamba")]
    assert [(s.key, s.name, s.reference) for s in series_of(rows, t=english)] == [
        ("mamba-reference", "Mamba · reference", True),
        ("mamba-fast", "Mamba", False),
        ("jamba-reference", "Jamba · reference", True),
        ("jamba-fast", "Jamba", False),
    ]
    assert [s.name for s in series_of(rows[:1], t=english)] == ["Jamba"]


def test_rows_that_may_not_be_compared_are_lines_of_their_own(english):
    rows = [*many("mamba", 1.0), *many("mamba", 1.0, kernels="reference"), *many("mamba", 1.0, dtype="bfloat16")]
    drawn = traces(prefill_vs_context(rows, theme=LIGHT, t=english), "line")
    assert len({one["legendgroup"] for one in drawn}) == len(drawn) == 3
    assert all(one["showlegend"] for one in drawn)


# --- against context -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_prefill_draws_medians_in_seconds(english):
    figure = prefill_vs_context(ROWS, theme=LIGHT, t=english)
    assert points(figure, "transformer") == [(128, pytest.approx(0.002)), (512, pytest.approx(0.009))]
    assert points(figure, "mamba") == [(128, pytest.approx(0.003)), (512, pytest.approx(0.005))]
    np.testing.assert_allclose(figure.data["transformer"].values, points(figure, "transformer"))


def test_samples_and_quartiles_are_drawn(english):
    figure = prefill_vs_context(ROWS, theme=LIGHT, t=english)
    (band,) = traces(figure, "band")
    assert (band["x"][0], band["y"][0], band["y"][-1]) == pytest.approx((128, 0.003, 0.0015))
    (dots, *_) = traces(figure, "samples")
    assert sorted(y for x, y in zip(dots["x"], dots["y"], strict=True) if x == 128) == pytest.approx(
        [0.001, 0.002, 0.004]
    )


def test_a_cell_that_was_not_measured_draws_nothing_and_says_why_below_the_axis(english):
    figure = decode_vs_context(ROWS, theme=LIGHT, t=english)
    said = {state: english("viz.plot.unmeasured", why=english(f"viz.state.{state}")) for state in
            ("oom", "predicted_oom_skipped", "failed")}  # fmt: skip
    known = [("transformer", 2048, said["oom"]), ("transformer", 8192, said["predicted_oom_skipped"])]
    assert missing(figure) == [*known, ("rwkv", 128, said["failed"])]
    plot, (lane,) = sent(figure)["layout"]["yaxis"], {one["yaxis"] for one in traces(figure, "missing")}
    assert lane == "y2" and sent(figure)["layout"]["yaxis2"]["domain"][1] < plot["domain"][0]
    for one in sent(figure)["data"]:
        if one.get("yaxis", "y") == "y" and one["meta"] != "names":
            assert not {2048, 8192} & set(one["x"]), "nothing stands at a height"
    assert points(figure, "rwkv") == [] and line(figure, "rwkv")["showlegend"]
    assert {"Transformer", "Mamba", said["oom"], said["failed"]} <= set(texts(figure))


def test_a_measured_point_beyond_a_failure_is_kept(english):
    rows = [*ROWS[:3], measurement("transformer", 4096, "ok", (20.0,), (1.0,), 9000)]
    figure = prefill_vs_context(rows, theme=LIGHT, t=english)
    assert [x for x, _ in points(figure, "transformer")] == [128, 512, 4096]
    assert [(key, x) for key, x, _ in missing(figure)] == [("transformer", 2048)]


def test_unsteady_rows_and_reference_kernels_are_hollow(english):
    rows = [*ROWS, replace(ROWS[0], architecture="jamba", kernels="reference")]
    figure = decode_vs_context(rows, theme=LIGHT, t=english)
    (mamba,) = [one for one in traces(figure, "line") if one["legendgroup"].startswith("mamba")]
    (jamba,) = [one for one in traces(figure, "line") if one["legendgroup"].startswith("jamba")]
    assert mamba["marker"]["color"] == [LIGHT.color("mamba"), LIGHT.card]
    assert jamba["marker"]["color"] == [LIGHT.card]
    assert english("viz.bench.note_hollow") in figure.note
    assert english("viz.bench.note_hollow") not in decode_vs_context(ROWS[:4], theme=LIGHT, t=english).note


def test_a_row_of_a_gpu_without_a_captured_graph_is_hollow():
    gpu = replace(ROWS[0], device="cuda:0")
    assert is_degraded(gpu)
    assert not is_degraded(replace(gpu, graph="captured"))
    assert not is_degraded(replace(gpu, view="as_shipped")), "nothing is captured as shipped"
    assert not is_degraded(ROWS[0]), "a CPU has no graphs"


def test_batches_are_panels_on_the_same_scales(english):
    rows = [*many("mamba", 1.0), *many("mamba", 1.0, (256, 1024, 4096), batch=8), *many("rwkv", 1.0, batch=8)]
    figure = decode_vs_context(rows, theme=LIGHT, t=english)
    assert [len(points(figure, "mamba", panel)) for panel in (0, 1)] == [4, 3]
    assert [one["legendgroup"] for one in traces(figure, "line", 0)] == ["mamba"]
    layout = sent(figure)["layout"]
    assert (layout["xaxis2"]["matches"], layout["yaxis3"]["matches"]) == ("x", "y")
    assert layout["yaxis3"]["domain"][1] < layout["yaxis"]["domain"][0], "the second stands below the first"
    shown = [(one["legendgroup"], one["showlegend"]) for panel in (0, 1) for one in traces(figure, "line", panel)]
    assert shown == [("mamba", True), ("mamba", False), ("rwkv", True)], "a series has one name to click"
    assert set(figure.data) == {"mamba_b1", "mamba_b8", "rwkv_b8"}
    named = [f"batch {batch} · {english('viz.axis.decode')}" for batch in (1, 8)]
    assert [text for text in texts(figure) if "batch" in text] == named


def test_the_floor_is_drawn_for_failed_cells_too(english):
    figure = decode_vs_context(
        ROWS, floors={row.cell_id: 1e-6 * row.context for row in ROWS if row.architecture == "transformer"},
        theme=LIGHT, t=english,
    )  # fmt: skip
    (fine,) = traces(figure, "floor")
    assert fine["line"]["dash"] and fine["x"] == [128, 512, 2048, 8192]
    assert fine["y"] == pytest.approx([1e-6 * c for c in fine["x"]])
    assert figure.data["transformer_floor"].values.shape == (4, 2)
    assert english("viz.decode_vs_context.note_floor") in figure.note


def test_floors_are_named_at_their_ends_once_where_they_run_together(english):
    def ends(*floors: float) -> list[tuple[float, float]]:
        every = ("transformer", "mamba", "rwkv")[: len(floors)]
        rows = [measurement(name, n, "ok", (1.0,), (5.0,)) for name in every for n in (128, 512)]
        rows = [replace(row) for row in rows]
        least = {row.cell_id: floors[every.index(row.architecture)] for row in rows}
        figure = decode_vs_context(rows, floors=least, theme=LIGHT, t=english)
        word = english("viz.decode_vs_context.floor")
        return sorted(
            (
                (x, y)
                for one in traces(figure, "names")
                for x, y, text in zip(one["x"], one["y"], one["text"], strict=True)
                if word in text
            ),
            key=lambda at: at[1],
        )

    assert ends(1e-4, 2e-3) == [(512, pytest.approx(1e-4, rel=0.1)), (512, pytest.approx(2e-3, rel=0.1))]
    assert ends(1e-4, 1.01e-4, 2e-3) == [(512, pytest.approx(1.005e-4, rel=0.1)), (512, pytest.approx(2e-3, rel=0.1))]
    none = decode_vs_context(ROWS, theme=LIGHT, t=english)
    assert english("viz.decode_vs_context.floor") not in texts(none)


def test_a_point_says_how_long_the_device_waits(english):
    rows = [replace(ROWS[0], launch_fraction=0.5), replace(ROWS[4], launch_fraction=0.25), ROWS[1]]
    figure = decode_vs_context(rows, theme=LIGHT, t=english)
    waits = [english("viz.decode_vs_context.tip_waits", time=time, share=share) for time, share in
             (("300 µs", "50%"), ("100 µs", "25%"))]  # fmt: skip
    half = english("viz.plot.half", low="550 µs", high="650 µs")
    assert line(figure, "transformer")["customdata"] == [
        f"<b>Transformer</b> 600 µs<br>{half}<br>{waits[0]}", "<b>Transformer</b> 900 µs",
    ]  # fmt: skip
    assert line(figure, "mamba")["customdata"] == [f"<b>Mamba</b> 400 µs<br>{waits[1]}"]
    assert english("viz.decode_vs_context.note_waits", low="25%", high="50%") in figure.note
    np.testing.assert_allclose(figure.data["waiting"].values, [[1, 128, 3e-4], [1, 128, 1e-4]])
    alone = decode_vs_context(rows[:1], theme=LIGHT, t=english).note
    assert english("viz.decode_vs_context.note_waits_one", share="50%") in alone
    assert "waiting" not in decode_vs_context(ROWS, theme=LIGHT, t=english).note


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_exponent_is_written_on_its_line(factor, english):
    figure = prefill_vs_context(many("transformer", factor), fit=growth_exponent, theme=LIGHT, t=english)
    value, low, high = figure.data["transformer_exponent"].values
    assert value == pytest.approx(factor, abs=1e-3)
    assert low < factor < high
    told = texts(figure)
    assert told[told.index(f"∝ T^{factor:.2f}") + 1] == f"({low:.2f} to {high:.2f})"


def test_two_lengths_have_no_exponent_and_one_round_no_interval(english):
    rows = many("mamba", 1.0)
    assert set(prefill_vs_context(rows[:2], fit=growth_exponent, theme=LIGHT, t=english).data) == {"mamba"}
    single = [replace(row, prefill_ms_samples=row.prefill_ms_samples[:1]) for row in rows]
    assert "∝ T^1.00" in texts(prefill_vs_context(single, fit=growth_exponent, theme=LIGHT, t=english))


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peak", [False, True], ids=["cache", "peak"])
def test_memory_draws_bytes(english, peak):
    figure = memory_vs_context(ROWS, theme=DARK, t=english, peak=peak)
    assert points(figure, "transformer") == [(128, 2000 if peak else 1000), (512, 8000 if peak else 4000)]


@pytest.mark.slow
def test_the_parts_add_up_to_the_measured_peak(english):
    figure = memory_parts([FULL], theme=LIGHT, t=english)
    assert figure.data["transformer_128"].values.tolist() == [5000, 1000, 100, 900, 7100]
    bars = drawn(figure, lambda layer: layer["mark"]["type"] == "rect")[0]
    assert [(bar["from"], bar["to"]) for bar in bars] == [(0, 5000), (5000, 6000), (6000, 6100), (6100, 7000)]
    assert bars[-1]["to"] == FULL.bytes_weights + FULL.peak_bytes
    assert len({bar["tint"] for bar in bars}) == 4
    ticks = drawn(figure, lambda layer: layer["mark"]["type"] == "rule")
    assert [row["from"] for rows in ticks for row in rows if "from" in row] == [7100]
    assert "6.84 KiB" in texts(figure)


@pytest.mark.slow
def test_a_negative_rest_is_exported_and_not_drawn(english):
    figure = memory_parts([replace(FULL, peak_bytes=1050)], theme=LIGHT, t=english)
    assert figure.data["transformer_128"].values[3] == -50
    assert len(drawn(figure, lambda layer: layer["mark"]["type"] == "rect")[0]) == 3


def test_a_cell_that_failed_shows_its_prediction_and_why(english):
    figure = memory_parts([FULL, measurement("transformer", 512, "oom", pred_bytes=9000)], theme=LIGHT, t=english)
    assert english("viz.state.oom") in texts(figure)
    assert figure.data["transformer_512"].values.tolist() == [0, 0, 0, 0, 9000]


# --- batches ---------------------------------------------------------------------------------------------------------


def batches() -> list[Measurement]:
    steps = {"transformer": {1: 1.0, 8: 4.0, 32: 20.0}, "mamba": {1: 2.0, 8: 2.0, 32: 2.5}}
    return [
        measurement(a, 1024, decode=[ms * v for v in (0.9, 1.0, 1.0, 1.1)], batch=b)
        for a, times in steps.items() for b, ms in times.items()
    ]  # fmt: skip


def test_throughput_is_batch_over_the_median_step(english):
    rows = batches()
    rows[1] = replace(rows[1], batch_limit="memory")  # what a search found wins over a larger batch asked for
    step = {rows[1].cell_id: median_time([[3.9, 4.0], [4.1, 4.0]]), rows[-1].cell_id: median_time([[2.5]])}
    figure = largest_batch(rows, intervals=step, theme=LIGHT, t=english)
    rates = figure.data["throughput"].values
    np.testing.assert_allclose(rates[:, 0], [8 / 4.0 * 1e3, 32 / 2.5 * 1e3])
    assert rates[0, 1] < 2000 < rates[0, 2]
    assert math.isnan(rates[1, 1])
    assert rates[:, 3].tolist() == [8, 32]
    assert {"2,000 tokens/s", "batch 8, a larger one would not fit", "batch 32"} <= set(texts(figure))


def test_a_largest_batch_that_failed_says_so(english):
    rows = [*batches(), measurement("rwkv", 1024, "oom", batch=64)]
    assert english("viz.state.oom") in texts(largest_batch(rows, theme=LIGHT, t=english))


def test_pareto_trades_a_user_for_the_device(english):
    figure = pareto(batches(), theme=LIGHT, t=english)
    assert figure.data["transformer"].values.tolist() == [[50, 1600, 32], [250, 2000, 8], [1000, 1000, 1]]
    assert figure.data["frontier"].values.tolist() == [[400, 12800], [500, 4000], [1000, 1000]]
    assert "×32" in texts(figure)


def test_one_batch_trades_nothing(english):
    assert pareto(batches()[:1], theme=LIGHT, t=english) is None
    assert pareto([*batches(), *many("rwkv", 1.0)], context=256, theme=LIGHT, t=english) is None


# --- the device ------------------------------------------------------------------------------------------------------


def test_shares_of_the_ceilings(english):
    rows = [FULL, replace(FULL, context=512, mbu=0.5, mfu=None)]
    figure = achieved(rows, theme=LIGHT, t=english)
    assert figure.data["transformer_decode"].values.tolist() == [[128, 0.25], [512, 0.5]]
    assert figure.data["transformer_prefill"].values.tolist() == [[128, 0.4]]
    assert {"50%", "40%"} <= set(texts(figure))
    assert "4,300 GB/s" in figure.note
    assert "788 TFLOP/s" in figure.note


@pytest.mark.parametrize(("draw", "shares"), [(achieved, ("mbu",)), (launches, ("launch_fraction",))])
def test_shares_of_different_contexts_are_not_ranked(english, draw, shares: tuple[str]):
    rows = [
        replace(FULL, **dict.fromkeys(shares, 0.2)),
        replace(FULL, architecture="mamba", **dict.fromkeys(shares, 0.6)),
    ]
    assert draw(rows, theme=LIGHT, t=english).finding
    assert not draw([rows[0], replace(rows[1], context=512)], theme=LIGHT, t=english).finding


def test_more_than_the_ceiling_stays_inside_the_picture(english):
    figure = achieved([replace(FULL, mbu=1.4)], theme=LIGHT, t=english)
    assert {tuple(scale["domain"]) for scale in scales(figure, "x")} == {(0, 1.4)}


def test_launches_and_operators(english):
    figure = launches([FULL], theme=LIGHT, t=english)
    assert figure.data["transformer_waiting"].values.tolist() == [[128, 0.5]]
    np.testing.assert_allclose(figure.data["transformer_clock"].values, [[128, 0.1]])
    assert figure.data["operators"].values.tolist() == [[1, 128, 236]]
    assert "236 operators per token" in texts(figure)


def test_energy_is_that_of_the_longest_context(english):
    rows = [FULL, replace(FULL, context=512, energy_j_per_token=0.75), replace(FULL, batch=8, energy_j_per_token=0.1)]
    figure = energy(rows, theme=LIGHT, t=english)
    assert figure.data["energy"].values.tolist() == [[1, 512, 0.75], [8, 128, 0.1]]
    assert "0.75 J" in texts(figure)


def test_drift_beyond_the_limit_is_crossed(english):
    rows = [
        replace(FULL, context=c, sentinel_before_ms=b, sentinel_after_ms=a, started_ns=s)
        for c, b, a, s in ((512, 1.0, 1.2, 2), (128, 1.0, 1.05, 1), (64, 1.3, 1.0, 3))
    ]
    figure = sentinel_strip(rows, limit=0.1, theme=LIGHT, t=english)
    np.testing.assert_allclose(figure.data["drift"].values, [0.05, 0.2, 0.3])  # in order of time
    marks = drawn(figure, lambda layer: layer["mark"]["type"] == "point")[0]
    assert [mark["moved"] for mark in marks] == [False, True, True]
    assert marks[2]["before"] == pytest.approx(1.3 / np.median([1.0, 1.05, 1.0, 1.2, 1.3, 1.0]) - 1)
    calm = sentinel_strip(rows[1:2], limit=0.1, theme=LIGHT, t=english)
    assert len(drawn(calm, lambda layer: layer["mark"].get("shape") == "cross")) == 0


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_stay_apart_and_inside():
    found = spread_apart([0.0, 0.01, 0.02, 0.9], gap=0.1, low=0.0, high=1.0)
    assert found == pytest.approx([0.0, 0.1, 0.2, 0.9])
    crowded = spread_apart([0.98, 0.99, 1.0], gap=0.1, low=0.0, high=1.0)
    assert crowded == pytest.approx([0.8, 0.9, 1.0])


def test_a_fit_is_asked_for_what_is_drawn(english):
    asked = []

    def fit(sizes, samples):
        asked.append((sizes, samples))
        return Interval(1.0, -math.inf, math.inf)

    rows = many("mamba", 1.0, (256, 512, 1024))
    prefill_vs_context([*rows, measurement("mamba", 2048, "oom")], fit=fit, theme=LIGHT, t=english)
    assert [sizes for sizes, _ in asked] == [[256.0, 512.0, 1024.0]]
    assert asked[0][1][0] == pytest.approx([0.256 * v for v in (0.99, 1.0, 1.01)])


@pytest.mark.parametrize(("draw", "drawn"), [(decode_vs_context, 1), (prefill_vs_context, 1), (memory_vs_context, 2)])
def test_a_cell_without_a_steady_round_has_its_bytes_and_says_why_it_has_no_time(draw, drawn, english) -> None:
    untimed = replace(measurement("transformer", 512, "unstable", cache_bytes=4000), rounds=0)
    figure = draw([ROWS[0], untimed], theme=LIGHT, t=english)
    assert len(figure.data["transformer"].values) == drawn
    told = english("viz.plot.unmeasured", why=english("viz.state.untimed"))
    assert missing(figure) == ([("transformer", 512, told)] if drawn == 1 else [])
