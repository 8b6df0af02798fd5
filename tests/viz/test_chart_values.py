"""What a kind of chart draws of the lines and strips that it is given: every number at its place, with its words."""

from typing import Any

import pytest

from viz.charts.series import ChartAxis, Line, lines_chart
from viz.charts.strips import ChartStrip, strips_chart
from viz.look.axes import log_ticks
from viz.look.theme import DARK, LIGHT
from viz.look.vega import VegaSpec

X, Y = ChartAxis("across", "count", log=True), ChartAxis("up", "seconds", log=True)
LINES = (
    Line(
        "mamba", "Mamba", ((64.0, 1.0), (128.0, 2.0)), ((64.0, 0.5, 1.5), (128.0, 1.75, 2.5)),
        ((64.0, 0.25), (64.0, 1.25)),
    ),
    Line("rwkv", "RWKV", ((64.0, 8.0), (128.0, 9.0))),
    Line("jamba", "Jamba", ()),
)  # fmt: skip


def layers(spec: Any) -> list[dict[str, Any]]:
    """Flatten layers within layers."""
    found = []
    for layer in spec["layer"]:
        found += layers(layer) if "layer" in layer else [layer]
    return found


def rows_of(chart: VegaSpec, mark: str, *fields: str, **style: Any) -> list[list[tuple[Any, ...]]]:
    """Return the rows of every layer with a mark of a style, as tuples of some fields."""
    drawn = []
    for layer in layers(chart.spec):
        drawn_as = layer["mark"]
        if drawn_as["type"] == mark and all(drawn_as.get(name) == value for name, value in style.items()):
            rows = chart.rows[layer["data"]["name"]].to_dict("records")
            drawn.append([tuple(row.get(field) for field in fields) for row in rows])
    return drawn


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_part_of_a_line_stands_where_it_was_given(theme) -> None:
    chart = lines_chart(LINES, x=X, y=Y, theme=theme)
    ribbons = [("mamba", 64, 0.5, 1.5), ("mamba", 128, 1.75, 2.5)]
    assert rows_of(chart, "area", "architecture", "x", "y", "high") == [ribbons]
    assert rows_of(chart, "circle", "architecture", "x", "y") == [[("mamba", 64, 0.25), ("mamba", 64, 1.25)]]
    points = [("mamba", 64, 1), ("mamba", 128, 2), ("rwkv", 64, 8), ("rwkv", 128, 9)]
    assert rows_of(chart, "line", "architecture", "x", "y") == [points]
    assert rows_of(chart, "point", "architecture", "x", "y", size=58, fill=theme.card) == [points]


def test_a_name_stands_at_the_end_of_its_own_line() -> None:
    chart = lines_chart(LINES, x=X, y=Y, theme=LIGHT)
    (written, *_) = rows_of(chart, "text", "architecture", "x", "at", "text")
    assert written == [("mamba", 128, 2, "Mamba"), ("rwkv", 128, 9, "RWKV")]


def test_names_that_would_touch_are_moved_apart_and_led_to_their_lines() -> None:
    near = [Line("mamba", "A", ((64.0, 1.0),)), Line("rwkv", "B", ((64.0, 1.001),)), Line("jamba", "C", ((64.0, 9.0),))]
    chart = lines_chart(near, x=X, y=Y, theme=LIGHT)
    (written, *_) = rows_of(chart, "text", "text", "at", "y", "led")
    heights = {text: y for text, _, y, _ in written}
    assert heights["B"] / heights["A"] > 1.05 > 1.001 / 1.0
    assert [led for *_, led in written] == [True, True, False]


def test_scales_reach_over_all_that_is_drawn() -> None:
    chart = lines_chart(LINES, x=X, y=Y, theme=LIGHT)
    scales = [
        layer["encoding"]["y"]["scale"]["domain"]
        for layer in layers(chart.spec)
        if "scale" in layer["encoding"].get("y", {})
    ]
    assert {tuple(scale) for scale in scales} == {tuple(scales[0])}
    assert scales[0][0] < 0.25 and scales[0][1] > 9


@pytest.mark.parametrize(
    ("unit", "low", "high", "ticks"),
    [
        ("bytes", 1024, 2**20, [2.0**n for n in range(10, 21, 2)]),
        ("count", 128, 8192, [2.0**n for n in range(7, 14)]),
        ("seconds", 0.001, 0.02, [0.001, 0.002, 0.005, 0.01, 0.02]),
        ("seconds", 0.001, 10, [10.0**n for n in range(-3, 2)]),
        ("plain", 3, 6, [3, 4, 5, 6]),
    ],
)
def test_ticks_of_a_logarithm_are_round_in_their_unit(unit, low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(unit, low, high) == pytest.approx(ticks)


STRIPS = [
    ChartStrip("A", "mamba", label="decoding", text="50%", head="above", main=0.5, dots=(0.25, 0.375)),
    ChartStrip("A", "mamba", label="prefill", text="75%", bar=0.75, whisker=(0.625, 0.875), drawn_hollow=True),
    ChartStrip("B", "rwkv", label="decoding", text="13%", main=0.125, drawn_hollow=True),
    ChartStrip("C", "jamba", head="failed"),
]


def test_every_part_of_a_strip_stands_in_its_own_line_with_its_words() -> None:
    chart = strips_chart(STRIPS, theme=LIGHT, end=1.0, limit=(1.0, "the ceiling"))
    places = [22 + 26 + 12, 22 + 26 + 36, 22 + 26 + 48 + 12 + 26 + 12]  # the limit, a name, lines of 24, a gap of 12
    assert [rows for rows in rows_of(chart, "text", "y", "text") if len(rows) == 3][:2] == [
        [(y, strip.label) for y, strip in zip(places, STRIPS, strict=False)],
        [(y, strip.text) for y, strip in zip(places, STRIPS, strict=False)],
    ]
    colors = [LIGHT.color(name) for name in ("mamba", "mamba", "rwkv")]
    assert rows_of(chart, "circle", "y", "value", "color") == [[(places[0], v, colors[0]) for v in (0.25, 0.375)]]
    marks = [(places[0], 0.5, colors[0], colors[0]), (places[2], 0.125, colors[2], LIGHT.card)]
    assert rows_of(chart, "point", "y", "value", "color", "fill") == [marks]
    rules = rows_of(chart, "rule", "y", "value")
    assert [(places[1], 0.625)] in rules and [(places[1], 0.0)] in rules
    ends = [rows for rows in rows_of(chart, "rule", "y") if len(rows) == 1]
    assert ends and {y for ((y,),) in ends} == {places[1]}
    heads = next(rows for rows in rows_of_heads(chart) if len(rows) == 3)
    assert [row[:2] for row in heads] == [("A", "above"), ("B", ""), ("C", "failed")]
    assert [row[2] for row in heads] == [LIGHT.color(name) for name in ("mamba", "rwkv", "jamba")]
    (domain,) = {tuple(layer["encoding"]["x"]["scale"]["domain"]) for layer in layers(chart.spec)
                 if "scale" in layer["encoding"].get("x", {})}  # fmt: skip
    assert domain == (0, 1.0)


def rows_of_heads(chart: VegaSpec) -> list[list[tuple[Any, ...]]]:
    """Return the names over the groups, with what stands at their right."""
    frames = [rows for rows in chart.rows.values() if "head" in rows.columns]
    return [[tuple(row) for row in rows[["text", "head", "color"]].to_numpy().tolist()] for rows in frames]


def test_a_whisker_ends_at_both_ends_of_its_interval() -> None:
    chart = strips_chart([STRIPS[1]], theme=LIGHT)
    ends = [rows.to_dict("records")[0] for rows in chart.rows.values() if "end" in rows.columns]
    found = {(row["value"], row["end"]) for row in ends}
    assert found == {(0.0, 0.875), (0.0, 0.75), (0.625, 0.875)}, "the ground, the bar and its interval"
