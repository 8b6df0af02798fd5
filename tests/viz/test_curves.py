"""Charts of cost: the drawn points are the given numbers, failures stay visible, axes carry units."""

from dataclasses import dataclass

import numpy as np
import pytest

from viz.curves import carried_bytes, decode_vs_context, growth, memory_vs_context, prefill_vs_context, training_curves
from viz.theme import DARK, LIGHT


@dataclass(frozen=True)
class Row:
    architecture: str
    context: int
    state: str = "ok"
    prefill_ms_samples: tuple[float, ...] = ()
    decode_ms_samples: tuple[float, ...] = ()
    cache_bytes: int | None = None
    peak_bytes: int | None = None


ROWS = [
    Row("transformer", 128, "ok", (1.0, 2.0, 4.0), (0.5, 0.6, 0.7), 1000, 2000),
    Row("transformer", 512, "ok", (8.0, 9.0, 10.0), (0.9,), 4000, 8000),
    Row("transformer", 2048, "oom"),
    Row("transformer", 8192, "predicted_oom_skipped"),
    Row("mamba", 128, "ok", (3.0,), (0.4,), 500, 700),
    Row("mamba", 512, "unstable", (5.0,), (0.4,), 500, 700),
    Row("rwkv", 128, "failed"),
]


def points(figure, architecture: str) -> list[tuple[float, float]]:
    """Return the line of an architecture as drawn: the layer of lines with a dash each."""
    spec = figure.body.to_dict()
    layer = next(layer for layer in spec["layer"] if "strokeDash" in layer["encoding"])
    rows = spec["datasets"][layer["data"]["name"]]
    return [(row["x"], row["y"]) for row in rows if row["architecture"] == architecture]


def texts(figure) -> list[str]:
    spec = figure.body.to_dict()
    return [row["text"] for rows in spec["datasets"].values() for row in rows if "text" in row]


def test_prefill_draws_medians_in_seconds(english):
    figure = prefill_vs_context(ROWS, theme=LIGHT, t=english)
    assert points(figure, "transformer") == [(128, pytest.approx(0.002)), (512, pytest.approx(0.009))]
    assert points(figure, "mamba") == [(128, pytest.approx(0.003)), (512, pytest.approx(0.005))]
    np.testing.assert_allclose(figure.data["transformer"].values, points(figure, "transformer"))


def test_samples_and_quartiles_are_drawn(english):
    spec = prefill_vs_context(ROWS, theme=LIGHT, t=english).body.to_dict()
    ribbon = spec["datasets"][spec["layer"][0]["data"]["name"]]
    assert ribbon[0]["y"] == pytest.approx(0.0015)
    assert ribbon[0]["high"] == pytest.approx(0.003)
    samples = spec["datasets"][spec["layer"][1]["data"]["name"]]
    assert sorted(row["y"] for row in samples if row["x"] == 128) == pytest.approx([0.001, 0.002, 0.004])


def test_failures_are_named_once_where_the_line_ends(english):
    found = texts(decode_vs_context(ROWS, theme=LIGHT, t=english))
    assert found.count(english("viz.state.oom")) == 1
    assert english("viz.state.predicted_oom_skipped") not in found
    assert english("viz.state.failed") in found
    assert {"Transformer", "Mamba", "RWKV"} <= set(found)


def test_a_measured_point_beyond_a_failure_is_kept(english):
    rows = [*ROWS[:3], Row("transformer", 4096, "ok", (20.0,), (1.0,), 9000)]
    assert [x for x, _ in points(prefill_vs_context(rows, theme=LIGHT, t=english), "transformer")] == [128, 512, 4096]


@pytest.mark.parametrize("peak", [False, True], ids=["cache", "peak"])
def test_memory_draws_bytes(english, peak):
    figure = memory_vs_context(ROWS, theme=DARK, t=english, peak=peak)
    assert points(figure, "transformer") == [(128, 2000 if peak else 1000), (512, 8000 if peak else 4000)]


def test_no_rows_draw_an_empty_chart(t):
    memory_vs_context([], theme=LIGHT, t=t).body.to_dict()


def test_only_failures_still_draw(t):
    decode_vs_context([Row("rwkv", 128, "timeout")], theme=LIGHT, t=t).body.to_dict()


def test_carried_bytes(english):
    figure = carried_bytes([("transformer", 44032), ("rwkv", 7680)], theme=LIGHT, t=english)
    spec = figure.body.to_dict()
    rows = next(iter(spec["datasets"].values()))
    assert [row["bytes"] for row in rows] == [44032, 7680]
    assert "7.5 KiB" in figure.alt


def test_growth_draws_the_formula_given(english):
    figure = growth(
        {"transformer": [(16, 1024), (32, 2048)], "mamba": [(16, 512), (32, 512)]}, theme=LIGHT, t=english, at=20
    )
    assert points(figure, "transformer") == [(16, 1024), (32, 2048)]
    assert english("viz.growth.here", count=20) in texts(figure)


def test_training_curves(t):
    figure = training_curves({"mamba": [(0, 9.0), (4096, 8.0)]}, theme=LIGHT, t=t)
    assert points(figure, "mamba") == [(0, 9.0), (4096, 8.0)]


def test_every_line_has_marker_dash_and_name(english):
    spec = memory_vs_context(ROWS, theme=LIGHT, t=english).body.to_dict()
    encodings = [layer["encoding"] for layer in spec["layer"]]
    assert any("shape" in encoding for encoding in encodings)
    assert any("strokeDash" in encoding for encoding in encodings)
    assert spec["config"]["legend"]["disable"]
