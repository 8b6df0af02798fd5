"""Figures drawn by plotly, parsed as they are sent: every number that is shown is one of a row, in both looks."""

import itertools
import json
import math
import statistics
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import pytest
from figure_words import strict
from plot_spec import Point, line, missing, names, points, sent, traces
from test_bench_values import FLOORS, GOOD, MISSING, NAMES, QUANTITIES, ROWS, of, quarters, row

from models.records.measurement import Measurement
from viz.bench.batches import pareto
from viz.bench.memory import memory_vs_context
from viz.bench.speed import decode_vs_context, prefill_vs_context
from viz.charts.plot_axes import even_ticks, plot_axis
from viz.figure import Figure
from viz.gallery.__main__ import FIGURES
from viz.gallery.build import build
from viz.gallery.evidence import complete
from viz.gallery.figures import every
from viz.look.axes import ChartAxis
from viz.look.plotly import PlotSpec, PlotTable, behaviour, escaped, narrow, plotted
from viz.look.theme import DARK, LIGHT

DRAWN = ("decode", "prefill", "cache", "peak")


def shown(figure: Figure, rows: list[Measurement], values: Callable[[Measurement], list[float]]) -> list[str]:
    """Compare all that is sent of a figure over context with its rows, and return what differs."""
    wrong = []
    for panel, batch in enumerate((1, 8)):
        for name in NAMES if batch == 1 else NAMES[:2]:
            known: list[Point] = [(one.context, statistics.median(values(one))) for one in of(name, batch, rows)]
            drawn = points(figure, name, panel)
            if len(drawn) != len(known) or any(b != pytest.approx(d) for a, c in zip(drawn, known, strict=True)
                                               for b, d in zip(a, c, strict=True)):  # fmt: skip
                wrong.append(f"line of {name} at batch {batch}")
            bands = [one for one in traces(figure, "band", panel) if one["legendgroup"] == name]
            spread = [(one.context, *quarters(values(one))) for one in of(name, batch, rows) if len(values(one)) > 1]
            outline = [(x, high) for x, _, high in spread] + [(x, low) for x, low, _ in reversed(spread)]
            found = [pair for one in bands for pair in zip(one["x"], one["y"], strict=True)]
            if [x for x, _ in found] != [x for x, _ in outline] or not all(
                math.isclose(a, b) for (_, a), (_, b) in zip(found, outline, strict=True)
            ):
                wrong.append(f"band of {name} at batch {batch}")
    return wrong


def test_a_name_stands_where_the_longer_of_two_runs_ends(english) -> None:
    """A dashed line that goes on would run through a name at the end of the solid one."""
    short, long = (row("mamba", 256), row("mamba", 512)), (row("mamba", 256), row("mamba", 2048))
    for first, second, end in ((short, long, 2048), (long, short, 2048), (short, (), 512)):
        figure = memory_vs_context(first, beside=second, theme=LIGHT, t=english)
        (found,) = traces(figure, "names", 0)
        assert found["x"] == [end]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_sent_is_what_was_measured(name: str, theme, english) -> None:
    draw, values = QUANTITIES[name]
    figure = draw(ROWS, theme=theme, t=english)
    assert shown(figure, GOOD, values) == []
    for panel, batch in enumerate((1, 8)):
        gaps = [(a, x, s) for a in NAMES for x, s in MISSING.get((a, batch), ())]
        told = [(a, x, english("viz.plot.unmeasured", why=english(f"viz.state.{s}"))) for a, x, s in gaps]
        assert missing(figure, panel) == told


def test_a_number_that_is_not_of_its_row_is_found(english) -> None:
    """A spoiled point, a point too many and a spoiled band are all seen."""
    draw, values = QUANTITIES["prefill"]
    for kind, name, change in (("line", "y", 1.01), ("band", "y", 1.01), ("line", "x", 2)):
        figure = draw(ROWS, theme=LIGHT, t=english)
        trace = next(one for one in figure.body.data if one["meta"] == kind)
        trace[name][0] *= change
        assert shown(figure, GOOD, values) == [f"{kind} of transformer at batch 1"]


@pytest.mark.parametrize("name", DRAWN)
def test_a_second_run_is_dashed_and_its_numbers_are_its_own(name: str, t) -> None:
    draw, values = QUANTITIES[name]
    other = [row("mamba", n, batch=b, prefill_ms_samples=(n * 3.0,), decode_ms_samples=(n * 2.0,),
                 cache_bytes=n * 7, peak_bytes=n * 9) for n in (128, 4096) for b in (1, 8)]  # fmt: skip
    figure = draw(ROWS, theme=LIGHT, t=t, beside=other)
    for panel, batch in enumerate((1, 8)):
        drawn = points(figure, "mamba", panel, dashed=True)
        assert drawn == [(one.context, pytest.approx(*values(one))) for one in other if one.batch == batch]
    dashed = line(figure, "mamba", dashed=True)
    assert dashed["customdata"][0].startswith(f"<b>{t('viz.plot.beside', name='Mamba')}</b>")
    assert not dashed["showlegend"], "one name stands for both runs"
    assert names(figure).count("Mamba") == 1
    alone = draw(ROWS, theme=LIGHT, t=t)
    assert t("viz.plot.note_beside") in figure.note and t("viz.plot.note_beside") not in alone.note
    assert figure.data["mamba_b1_beside"].values[:, 0].tolist() == [128, 4096]
    assert figure.finding == alone.finding, "what it shows is said of the first run"


def test_a_series_that_only_the_second_run_has_can_be_clicked(english) -> None:
    figure = prefill_vs_context([row("mamba", 128)], theme=LIGHT, t=english, beside=[row("rwkv", 128)])
    assert line(figure, "rwkv", dashed=True)["showlegend"]


def test_the_switch_makes_all_axes_linear_and_back(english) -> None:
    figure = prefill_vs_context(ROWS, theme=LIGHT, t=english)
    whole = sent(figure)
    (menu,) = whole["layout"]["updatemenus"]
    back, there = (button["args"] for button in menu["buttons"])
    axes = ("xaxis", "yaxis", "xaxis2", "yaxis3")
    assert {key for key in there[1] if key.endswith(".type")} == {f"{axis}.type" for axis in axes}
    assert set(there[1].values()) >= {"linear", "tozero"} and not [v for k, v in back[1].items() if v == "linear"]
    for key, value in back[1].items():
        axis, _, name = key.partition(".")
        assert whole["layout"][axis][name] == value, "back is where it began"
    for restyled in (back, there):
        named = [whole["data"][at] for at in restyled[2]]
        assert all(one["meta"] == "names" for one in named)
        assert [len(one["y"]) for one in named] == [len(y) for y in restyled[0]["y"]]
    assert [one["y"] for one in (whole["data"][at] for at in back[2])] == back[0]["y"]
    lane = [key for key in there[1] if key.startswith(("yaxis2", "yaxis4"))]
    assert lane == [], "what stands below the axis has no scale"


def test_names_are_apart_on_both_scales(english) -> None:
    rows = [row(name, n, prefill_ms_samples=(100.0 + at,)) for at, name in enumerate(NAMES) for n in (128, 512)]
    figure = prefill_vs_context(rows, theme=LIGHT, t=english)
    menu = sent(figure)["layout"]["updatemenus"][0]
    back, there = (sorted(y for every in button["args"][0]["y"] for y in every) for button in menu["buttons"])
    reach = math.log(0.102 / 0.1)
    assert all(math.log(b / a) > reach * 17 / 301 for a, b in itertools.pairwise(back))
    assert all(b - a > 0.102 * 17 / 301 for a, b in itertools.pairwise(there))


def test_words_of_others_stay_words(english) -> None:
    """A name of an imported run is neither a tag nor a place for a value."""
    bad = "<a href='https://x'>%{y}</a>"
    rows = [row("mamba", 128, size=bad), row("mamba", 128, size="b")]
    whole = sent(prefill_vs_context(rows, theme=LIGHT, t=english))
    read = [one[name] for one in whole["data"] for name in ("name", "text", "customdata") if name in one]
    told = json.dumps([*read, whole["layout"]["annotations"]])
    assert "<a" not in told and "%{y}" not in told
    assert escaped(bad) in {one.get("name", "").removeprefix("Mamba · ") for one in whole["data"]}


def test_a_hover_template_reads_the_words_of_its_own_point(english) -> None:
    for kind in ("line", "missing"):
        for one in traces(decode_vs_context(ROWS, floors=FLOORS, theme=LIGHT, t=english), kind):
            assert one["hovertemplate"] == "%{customdata}<extra></extra>"
            assert len(one["customdata"]) == len([x for x in one["x"] if x is not None])


def test_who_points_reads_all_lines_at_a_length(english) -> None:
    layout = sent(decode_vs_context(ROWS, theme=LIGHT, t=english))["layout"]
    assert (layout["hovermode"], layout["hoversubplots"]) == ("x unified", "axis")
    legend = layout["template"]["layout"]["legend"]
    assert (legend["itemclick"], legend["groupclick"]) == ("toggleothers", "togglegroup"), "a click isolates"
    assert layout["xaxis"]["unifiedhovertitle"]["text"] == "<b>%{x:,d} tokens of context</b>"


def test_nothing_but_zoom_and_no_way_out(t) -> None:
    config = behaviour(t)
    assert (config["displaylogo"], config["scrollZoom"]) == (False, False)
    assert config["modeBarButtons"] == [["zoomIn2d", "zoomOut2d", "resetScale2d"]]
    (words,) = [one["dictionary"] for one in config["locales"].values()]
    assert all(words.values())


def plots() -> list[Figure]:
    found = build(every(), complete(), files=FIGURES, theme=DARK, t=strict("en"))
    assert not found.faults
    return [figure for figure in found.figures if isinstance(figure.body, PlotSpec)]


@pytest.mark.slow
def test_every_plot_is_known_to_plotly_tells_its_numbers_and_keeps_the_look() -> None:
    drawn = plots()
    assert {"prefill_vs_context", "decode_vs_context", "memory_vs_context", "pareto"} <= {one.id for one in drawn}
    for figure in drawn:
        go.Figure(figure.body.to_dict())
        look = sent(figure)["layout"]["template"]["layout"]
        assert look["paper_bgcolor"] == look["plot_bgcolor"] == "rgba(0,0,0,0)"
        assert look["font"]["family"] == DARK.font
        assert figure.body.table.rows and {len(one) for one in figure.body.table.rows} == {len(figure.body.table.head)}
        text = json.dumps(sent(figure))
        assert not {color for color in (LIGHT.card, LIGHT.muted, LIGHT.ink) if color in text}
        assert "http" not in text


def test_plotly_refuses_what_it_does_not_know(english) -> None:
    spec: Any = prefill_vs_context(ROWS, theme=LIGHT, t=english).body.to_dict()
    spec["layout"]["hovermode"] = "all"
    with pytest.raises(ValueError, match="hovermode"):
        go.Figure(spec)


def test_an_empty_figure_has_axes_and_a_table_without_rows(english) -> None:
    for draw in (decode_vs_context, prefill_vs_context, memory_vs_context):
        body = draw([], theme=LIGHT, t=english).body
        go.Figure(body.to_dict())
        assert len(body.data) == 1 and body.table.rows == ()


def test_in_a_narrow_window_names_stand_below_each_other_and_a_finger_scrolls(english) -> None:
    body = prefill_vs_context(ROWS, theme=LIGHT, t=english).body
    small = narrow(body)
    assert small.layout["dragmode"] is False and small.layout["legend"]["orientation"] == "v"
    assert small.height == body.height + 50, "two more names of three"
    inner = body.height - body.layout["margin"]["t"] - body.layout["margin"]["b"]
    assert small.height - small.layout["margin"]["t"] - small.layout["margin"]["b"] == inner
    bare = plotted([], {}, PlotTable((), ()), theme=LIGHT, t=english, height=100)
    assert narrow(bare).height == 100


def test_labels_of_an_axis_are_round_in_its_unit() -> None:
    bytes_ = plot_axis(ChartAxis("", "bytes", log=True), [1000, 5000])
    assert bytes_.log["tickvals"] == [512, 1024, 2048, 4096, 8192]
    assert bytes_.log["ticktext"] == ["512 B", "1 KiB", "2 KiB", "4 KiB", "8 KiB"]
    assert bytes_.linear["tickvals"] == even_ticks(5000) == [1024 * n for n in range(5)]
    time = plot_axis(ChartAxis("", "seconds", log=True), [0.001, 0.02])
    assert time.log["ticktext"] == [f"{n} ms" for n in ("1", "1.5", "2", "3", "5", "7", "10", "15", "20")]
    assert time.linear["ticktext"] is None and time.linear["ticksuffix"] == "s"
    few = plot_axis(ChartAxis("", "count", log=True), [100, 3000], exact=True)
    assert few.log["ticktext"] == ["100", "3,000"]
    assert len(plot_axis(ChartAxis("", "seconds", log=True), [1e-8, 1e8]).log["tickvals"]) <= 10


def test_the_trade_draws_a_point_per_batch(english) -> None:
    figure = pareto(ROWS, theme=LIGHT, t=english)
    rates = {b: b * 1000 / statistics.median(row("mamba", 128, batch=b).decode_ms_samples) for b in (1, 8)}
    assert points(figure, "mamba") == [(pytest.approx(rates[b] / b), pytest.approx(rates[b])) for b in (8, 1)]
    assert sent(figure)["layout"]["hovermode"] == "closest"
