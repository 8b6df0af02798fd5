"""Predicted against measured: every drawn, said and exported number is one of a cell."""

import pytest

from models.units import duration, size
from viz.bench.findings import prediction_finding
from viz.bench.predictions import BAND, PredictedCell, prediction_error
from viz.look.theme import DARK, LIGHT

MEMORY = [PredictedCell("mamba", 512, 1, 3e7, 2.5e7), PredictedCell("transformer", 1024, 8, 9e8, 1.1e9),
          PredictedCell("mamba", 2048, 1, 5e7, 5.5e7)]  # fmt: skip
TOKENS = [PredictedCell("mamba", 512, 1, 0.004, 0.005), PredictedCell("transformer", 1024, 8, 0.02, 0.01)]
PROMPTS = [PredictedCell("transformer", 1024, 8, 2.5, 1.5)]
ALL = {"bytes": MEMORY, "decode": TOKENS, "prefill": PROMPTS}


def layers_of(figure):
    """Return (mark, its rows, encoding) of every layer, panel by panel."""
    spec = figure.body.to_dict()
    panels = [layer["layer"] for layer in spec["layer"]]
    return [
        [(one["mark"], spec["datasets"][one["data"]["name"]], one["encoding"]) for one in panel] for panel in panels
    ]


def points(figure, panel):
    return [
        rows for mark, rows, encoding in layers_of(figure)[panel] if mark["type"] == "point" and "tooltip" in encoding
    ]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_mark_is_a_cell_and_hollow_where_it_is_a_prompt(english, theme) -> None:
    figure = prediction_error(ALL, theme=theme, t=english)
    (memory,) = points(figure, 0)
    prompts, tokens = points(figure, 1)
    for rows, cells, write in ((memory, MEMORY, size), (tokens, TOKENS, duration), (prompts, PROMPTS, duration)):
        assert [(row["x"], row["y"], row["architecture"]) for row in rows] == [
            (cell.predicted, cell.measured, cell.architecture) for cell in cells
        ]
        assert [(row["predicted"], row["measured"]) for row in rows] == [
            (write(cell.predicted), write(cell.measured)) for cell in cells
        ]
    assert [row["fill"] for row in tokens] == [theme.color(cell.architecture) for cell in TOKENS]
    assert {row["fill"] for row in prompts} == {theme.card}
    assert memory[1]["cell"] == english("viz.prediction_error.cell", name="Transformer", context="1,024", batch=8)


def test_colour_and_marker_are_those_of_the_architecture(english) -> None:
    figure = prediction_error(ALL, theme=LIGHT, t=english)
    (encoding,) = (e for mark, _, e in layers_of(figure)[0] if mark["type"] == "point" and "tooltip" in e)
    for channel, look in (("color", LIGHT.colors), ("shape", LIGHT.markers)):
        scale = encoding[channel]["scale"]
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == {n: look[n] for n in ("mamba", "transformer")}
    named = [rows[0]["text"] for mark, rows, _ in layers_of(figure)[-1] if mark["type"] == "text"]
    assert named == ["Transformer", "Mamba"], "the key is in the usual order"


@pytest.mark.parametrize("panel", [0, 1])
def test_the_line_is_that_of_equality_and_the_band_is_around_it(english, panel) -> None:
    found = layers_of(prediction_error(ALL, theme=LIGHT, t=english))[panel]
    line, band = (next(rows for mark, rows, _ in found if mark["type"] == kind) for kind in ("line", "area"))
    assert all(row["x"] == row["y"] for row in line)
    assert all((row["y"], row["high"]) == pytest.approx((row["x"] * (1 - BAND), row["x"] * (1 + BAND))) for row in band)
    values = [value for rows in points(prediction_error(ALL, theme=LIGHT, t=english), panel) for row in rows
              for value in (row["x"], row["y"])]  # fmt: skip
    assert line[0]["x"] <= min(values) and max(values) <= line[1]["x"]


def test_both_axes_of_a_panel_are_alike_and_logarithmic(english) -> None:
    for panel in layers_of(prediction_error(ALL, theme=LIGHT, t=english))[:2]:
        encoding = next(e for mark, _, e in panel if mark["type"] == "point")
        x, y = (encoding[name]["scale"] for name in ("x", "y"))
        assert x["type"] == y["type"] == "log" and x["domain"] == y["domain"]


def test_what_goes_out_is_what_came_in(english) -> None:
    data = prediction_error(ALL, theme=LIGHT, t=english).data
    assert {key: array.values.tolist() for key, array in data.items()} == {
        "bytes_transformer": [[9e8, 1.1e9]], "bytes_mamba": [[3e7, 2.5e7], [5e7, 5.5e7]],
        "decode_transformer": [[0.02, 0.01]], "decode_mamba": [[0.004, 0.005]], "prefill_transformer": [[2.5, 1.5]],
    }  # fmt: skip


def test_a_quantity_without_cells_has_no_panel(english) -> None:
    only = prediction_error({"bytes": MEMORY, "decode": []}, theme=LIGHT, t=english)
    assert len(layers_of(only)) == 2 and only.body.height < prediction_error(ALL, theme=LIGHT, t=english).body.height
    assert english("viz.prediction_error.hollow") not in only.note
    assert points(prediction_error({"prefill": PROMPTS}, theme=LIGHT, t=english), 0)[0][0]["y"] == 1.5
    assert prediction_error({}, theme=LIGHT, t=english) is None
    assert prediction_error({"bytes": []}, theme=LIGHT, t=english) is None


def test_the_finding_counts_what_lies_above_the_line(english) -> None:
    figure = prediction_error(ALL, theme=LIGHT, t=english)
    assert figure.finding == " ".join(
        [english("viz.prediction_error.finding", more=2, count=3),
         english("viz.prediction_error.finding_time", more=1, count=2)]
    )  # fmt: skip
    assert figure.alt.endswith(figure.finding)
    assert prediction_finding([(1.0, 1.0)], [], english) == english("viz.prediction_error.finding", more=0, count=1)
    assert prediction_finding([], [], english) == ""
