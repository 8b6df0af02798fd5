"""Charts of cost by formula and of training: the drawn points are the given numbers."""

import numpy as np
import pytest

from viz.charts.curves import carried_bytes, growth, training_curves
from viz.look.theme import LIGHT


def points(figure, architecture: str) -> list[tuple[float, float]]:
    """Return the line of an architecture as drawn: the layer of lines with a dash each."""
    spec = figure.body.to_dict()
    layer = next(layer for layer in spec["layer"] if "strokeDash" in layer["encoding"])
    rows = spec["datasets"][layer["data"]["name"]]
    return [(row["x"], row["y"]) for row in rows if row["architecture"] == architecture]


def texts(figure) -> list[str]:
    spec = figure.body.to_dict()
    return [row["text"] for rows in spec["datasets"].values() for row in rows if "text" in row]


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
    spec = training_curves({"mamba": [(0, 9.0), (4096, 8.0)]}, theme=LIGHT, t=english).body.to_dict()
    assert any("strokeDash" in layer["encoding"] for layer in spec["layer"])
    assert spec["config"]["legend"]["disable"]
    assert "Mamba" in [row["text"] for rows in spec["datasets"].values() for row in rows if "text" in row]


def test_a_smoothed_line_does_not_end_on_one_batch(english):
    """Of 400 logged losses six make the end: a last one that is far off moves it by a sixth."""
    points = [(float(i), 5.0) for i in range(400)]
    level = training_curves({"mamba": points}, theme=LIGHT, t=english).data["mamba"].values
    np.testing.assert_allclose(level[:, 1], 5.0)
    odd = training_curves({"mamba": [*points[:-1], (399.0, 11.0)]}, theme=LIGHT, t=english).data["mamba"].values
    assert odd[-1, 1] == pytest.approx(5.0 + 6.0 / 6, rel=1e-9)
    assert odd[0, 1] == 5.0


def test_the_loss_has_an_axis_that_begins_near_the_least(english):
    logs = {"mamba": [(0, 10.0), (4096, 4.0)], "rwkv": [(0, 9.0), (4096, 4.02)]}
    spec = training_curves(logs, theme=LIGHT, t=english).body.to_dict()
    scale = spec["layer"][0]["encoding"]["y"]["scale"]
    assert scale["type"] == "log" and 3.5 < scale["domain"][0] < 4.0


def test_a_line_leads_to_a_name_that_was_moved(english):
    def leaders(*ends: float) -> list[dict]:
        logs = {name: [(0, 9.0), (4096, end)] for name, end in zip(("mamba", "rwkv"), ends, strict=True)}
        spec = training_curves(logs, theme=LIGHT, t=english).body.to_dict()
        rules = [layer for layer in spec["layer"] if layer["mark"]["type"] == "rule"]
        return [row for layer in rules for row in spec["datasets"][layer["data"]["name"]] if row["led"]]

    assert leaders(4.0, 7.0) == []
    led = leaders(4.0, 4.02)
    assert {row["at"] for row in led} == {4.0, 4.02}
    assert all(row["y"] != row["at"] for row in led)
    assert max(row["y"] for row in led) / min(row["y"] for row in led) > 1.05, "the names stand apart"
