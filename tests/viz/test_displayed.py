"""S-a: what a figure draws is what the trace holds; payloads and chart data are decoded and compared."""

import dataclasses
import math
import re
from decimal import ROUND_HALF_UP, Context

import numpy as np
import pytest

from models.records.trace import ModelTrace, NamedArray, Token
from viz.canvas import CanvasSpec, Scale, decode
from viz.gallery.figures import figures_of, gallery
from viz.look.theme import DARK, LIGHT
from viz.mechanism import MechanismSpec, read
from viz.proof.drawn import chart_rows
from viz.recall.example import recall_example
from viz.trace import attention, decay, expert_load, router, routing, state, tokens
from viz.trace.channels import longest_first
from viz.trace.matrix import channel_matrix, look_back
from viz.trace.overview import architecture_maps

EXACT = {"rtol": 1e-6, "atol": 1e-7}  # float32 on the way to the browser


def drawn(figure):
    """Return the grid of a canvas figure as (frame or tile, row, column), as the browser reads it."""
    assert isinstance(figure.body, CanvasSpec)
    header, planes = decode(figure.body.payload())
    grid = header["grid"]
    return planes[grid["plane"]].reshape(grid["count"], grid["rows"], grid["columns"]), header, planes


def past(matrix):
    return np.where(np.tri(len(matrix), dtype=bool), matrix, np.nan)


def rounded(values, digits: int):
    """Return numbers of so many digits, as they are sent where no more are read out."""
    context = Context(prec=digits, rounding=ROUND_HALF_UP)
    told = [float(context.create_decimal(float(one))) for one in np.asarray(values, np.float32).ravel()]
    return np.array(told, np.float32).reshape(values.shape)


def rows_of(figure, layer: int):
    """Return the data rows of one layer of a layered chart."""
    spec = figure.body.to_dict()
    return spec["datasets"][spec["layer"][layer]["data"]["name"]]


def test_head_matrix(traces, english):
    trace = traces["transformer"]
    grid, header, _ = drawn(attention.head_matrix(trace, theme=LIGHT, t=english, layer=1, head=1, selected=4))
    np.testing.assert_allclose(grid[0], past(trace.layer(1).part("attention")[1]), **EXACT)
    assert header["grid"]["selected_row"] == 4
    assert header["strip"]["labels"] == [token.label for token in trace.tokens]


def test_value_norm_matrix(traces, english):
    trace = traces["transformer"]
    grid, _, _ = drawn(attention.value_norm_matrix(trace, theme=LIGHT, t=english, layer=0, head=1))
    np.testing.assert_allclose(grid[0], past(trace.layer(0).part("value_norm")[1]), **EXACT)


def test_head_mosaic_tiles_are_the_heads_they_say(traces, english):
    trace = traces["transformer"]
    grid, header, _ = drawn(attention.head_mosaic(trace, theme=LIGHT, t=english, layer=2, head=1))
    for tile, values in enumerate(grid):
        layer, head = attention.mosaic_head(trace, tile)
        np.testing.assert_allclose(values, past(trace.layer(layer).part("attention")[head]), **EXACT)
    assert attention.mosaic_head(trace, header["grid"]["selected_tile"]) == (2, 1)


def test_state_film_sums_the_components(traces, english):
    trace = traces["mamba"]
    figure = state.state_film(trace, theme=LIGHT, t=english, layer=1, channels=12)
    grid, header, planes = drawn(figure)
    chosen = figure.data["channel"].values
    layer = trace.layer(1)
    np.testing.assert_allclose(grid[0], layer.part("state").sum(-1)[:, chosen].T, **EXACT)
    np.testing.assert_allclose(planes[header["bars"][0]["plane"]], layer.part("dt").mean(1), **EXACT)
    half_life = layer.part("half_life")[chosen]
    assert len(chosen) == 12
    assert (np.diff(half_life) <= 0).all(), "longest memory on top"


def test_dt_map_bins_neighbours(traces, english):
    trace = traces["mamba"]
    grid, _, _ = drawn(state.dt_map(trace, theme=LIGHT, t=english, layer=0))
    layer = trace.layer(0)
    order = longest_first(layer.part("half_life"))
    np.testing.assert_array_equal(grid[0], rounded(layer.part("dt")[:, order].T, 3))  # 40 channels: a row each


def test_state_slice_frames(traces, english):
    trace = traces["mamba"]
    figure = state.state_slice(trace, theme=DARK, t=english, layer=2, channels=10)
    grid, header, _ = drawn(figure)
    known = trace.layer(2).part("state")[:, figure.data["channel"].values]
    assert header["grid"]["digits"] == state.DIGITS == 3
    np.testing.assert_array_equal(grid, rounded(known, 3))


def test_a_few_strong_cells_of_a_film_do_not_pale_the_others(traces, english):
    layer = traces["mamba"].layer(0)
    strong = np.array(layer.part("state"))
    strong[3, 7, 1] *= 1000
    parts = dict(layer.parts) | {"state": NamedArray(strong, layer.parts["state"].dims)}
    trace = dataclasses.replace(traces["mamba"], layers=(dataclasses.replace(layer, parts=parts),))
    calm, loud = (state.state_slice(one, theme=LIGHT, t=english, layer=0).body.grid for one in (traces["mamba"], trace))
    assert loud.scale.high == pytest.approx(calm.scale.high, rel=0.1), "one cell of hundreds"
    assert np.abs(loud.values).max() > 50 * loud.scale.high
    assert np.delete(loud.frame_highs, 3) == pytest.approx(np.delete(calm.frame_highs, 3))
    assert state.robust_end(np.array([0.0] * 999 + [2.0])) == 2.0, "of mostly zeros the largest"
    assert state.robust_end(np.zeros(3)) == 0.0
    with pytest.raises(ValueError, match="four words"):
        dataclasses.replace(loud, scopes=("a",))


@pytest.mark.parametrize(
    ("architecture", "draw", "part"),
    [
        ("mamba", state.hidden_attention, "hidden_attention"),
        ("rwkv", decay.effective_attention, "effective_attention"),
    ],
    ids=["hidden_attention", "effective_attention"],
)
def test_mixing_matrices(traces, english, architecture, draw, part):
    trace = traces[architecture]
    grid, _, _ = drawn(draw(trace, theme=LIGHT, t=english, layer=1))
    np.testing.assert_allclose(grid[0], past(trace.layer(1).part(part)), **EXACT)


def test_channel_matrix_keeps_signs(traces, english):
    trace = traces["mamba"]
    signed = np.stack([trace.layer(0).part("hidden_attention") * np.sign(np.sin(np.arange(11)))])
    named = NamedArray(signed.astype(np.float32), ("channel", "query", "key"))
    grid, header, _ = drawn(channel_matrix(named, trace, theme=LIGHT, t=english, layer=0, channel=7))
    np.testing.assert_allclose(grid[0], past(signed[0]), **EXACT)
    assert header["grid"]["scale"]["signed"]


def test_half_life_spectrum(traces, english):
    trace = traces["rwkv"]
    grid, _, _ = drawn(decay.half_life_spectrum(trace, theme=LIGHT, t=english))
    expected = np.stack([np.sort(layer.part("half_life"))[::-1] for layer in trace])
    np.testing.assert_allclose(grid[0], expected, **EXACT)


def test_half_life_ticks(traces, english):
    trace = traces["mamba"]
    ticks = rows_of(decay.half_life(trace, theme=LIGHT, t=english), 1)
    for layer in trace:
        for part, key in (("half_life", "slowest"), ("half_distance", "measured")):
            name = english(f"viz.half_life.{key}", layer=english("viz.layer", layer=layer.index))
            found = [row["half_life"] for row in ticks if row["name"] == name]
            known = layer.part(part)[np.isfinite(layer.part(part))]
            np.testing.assert_allclose(found, np.sort(known), **EXACT)
    assert len(ticks) < 2 * 40 * len(trace.layers), "some channel does not fall to half within 11 tokens"


def test_decay_curves(traces, english):
    trace = traces["rwkv"]
    figure = decay.decay_curves(trace, theme=LIGHT, t=english, layer=0, channels=5)
    layer = trace.layer(0)
    for row in rows_of(figure, 0):
        rate = float(layer.part("decay_rate")[int(row["channel"])])
        assert row["weight"] == pytest.approx(math.exp(-(row["distance"] - 1) * rate), rel=1e-5, abs=1e-9)
    for row in rows_of(figure, 1):
        assert row["weight"] == pytest.approx(math.exp(float(layer.part("bonus")[int(row["channel"])])), rel=1e-6)


def names_of(figure):
    """Return what the names of a chart stand for before the browser changes them."""
    return {one["name"]: one.get("value", one.get("expr")) for one in figure.body.spec["params"]}


@pytest.mark.parametrize(("selected", "chosen"), [(None, ""), (6, "6"), (0, "0")])
def test_decay_curves_count_words_back_from_the_chosen_token(traces, english, selected, chosen):
    """What the browser makes of it: tests/browser/test_following.py."""
    trace = traces["rwkv"]
    assert len(trace.tokens) == 11
    figure = decay.decay_curves(trace, theme=LIGHT, t=english, layer=0, channels=5, selected=selected)
    names = names_of(figure)
    assert names["chosen"] == chosen and names["token"].endswith(": 10") and "< 11" in names["token"]
    assert set(range(1, 11)) <= set(figure.data["distance"].values), "a curve can end at every word"
    assert names["words"] == [one.label.removeprefix("\u2423") if one.piece == 1 else "" for one in trace.tokens]
    assert names["widest"] == sorted(names["widest"]) and len(names["widest"]) == 11
    assert figure.finding == figure.each[selected or 10][1]


def test_drawn_curves_halve_at_the_half_life(traces, english):
    layer, halved = traces["rwkv"].layer(0), 0
    rows = rows_of(decay.decay_curves(traces["rwkv"], theme=LIGHT, t=english, layer=0, channels=5), 0)
    for channel in {row["channel"] for row in rows}:
        curve = [(row["distance"], math.log(row["weight"])) for row in rows if row["channel"] == channel]
        distance, weight = np.array(curve).T
        half = 1 + float(layer.part("half_life")[int(channel)])
        if half <= distance[-1]:
            assert math.exp(np.interp(half, distance, weight)) == pytest.approx(0.5, rel=1e-5), channel
            halved += 1
    assert halved, "no drawn channel halves within the text"


def test_a_curve_is_marked_where_it_crosses_one_half_or_at_its_right_end(traces, english):
    figure = decay.decay_curves(traces["rwkv"], theme=LIGHT, t=english, layer=0)
    marks = chart_rows(figure, "text", "text").to_dict("records")
    assert len(marks) == len(figure.data["channel"].values) == 5
    halves, sides = traces["rwkv"].layer(0).part("half_life"), set()
    for mark in marks:
        assert mark["half_life"] == pytest.approx(float(halves[int(mark["channel"])]))
        assert mark["rate"] * mark["half_life"] == pytest.approx(math.log(2))
    assert [mark["nth"] for mark in marks] == list(range(5))
    for last, heights in enumerate(names_of(figure)["places"]):
        reach = max(last, 4)
        places = [(min(1 + mark["half_life"], reach), height) for mark, height in zip(marks, heights, strict=True)]
        crossing = [1 + mark["half_life"] <= reach for mark in marks]
        sides |= {*crossing}
        assert all(height < 0.5 for (_, height), crosses in zip(places, crossing, strict=True) if crosses)
        near = [(a, b) for n, a in enumerate(places) for b in places[:n] if abs(a[0] - b[0]) < 0.17 * reach]
        assert all(abs(a[1] - b[1]) > 0.06 for a, b in near), places
    assert sides == {True, False}


@pytest.mark.parametrize("half_life", [0.0347, 0.3, 1.6, 12.0, 180.0])
@pytest.mark.parametrize("reach", [4, 36, 250])
def test_straight_pieces_between_the_points_of_a_curve_stay_near_it(traces, english, half_life, reach):
    """The browser joins the points; what it draws between them was not computed, so they must be dense enough."""
    layer = traces["rwkv"].layer(0)
    parts = dict(layer.parts)
    parts["decay_rate"] = NamedArray(np.full_like(layer.part("decay_rate"), math.log(2) / half_life), ("channel",))
    tokens = tuple(Token(i, i, f"w{i}", i, i + 1) for i in range(reach + 1))
    trace = dataclasses.replace(traces["rwkv"], layers=(dataclasses.replace(layer, parts=parts),), tokens=tokens)
    found = decay.decay_curves(trace, theme=LIGHT, t=english, layer=0, channels=2).data
    distance = np.linspace(1, reach, 5000)
    joined = np.interp(distance, found["distance"].values, found["weight"].values[0])
    assert np.abs(joined - np.exp(-(distance - 1) * math.log(2) / half_life)).max() < 0.05


def test_receptance_map(traces, english):
    trace = traces["rwkv"]
    grid, _, _ = drawn(decay.receptance_map(trace, theme=LIGHT, t=english, layer=1))
    layer = trace.layer(1)
    known = layer.part("receptance")[:, longest_first(layer.part("half_life"))].T
    np.testing.assert_array_equal(grid[0], rounded(known, 3))


def test_wkv_film(traces, english):
    trace = traces["rwkv"]
    figure = decay.wkv_film(trace, theme=LIGHT, t=english, layer=2, channels=9)
    grid, _, _ = drawn(figure)
    layer = trace.layer(2)
    ratio = layer.part("wkv_num") / layer.part("wkv_den")
    np.testing.assert_allclose(grid[0], ratio[:, figure.data["channel"].values].T, **EXACT)


def test_layer_ribbon(traces, english):
    trace = traces["jamba"]
    grid, header, planes = drawn(routing.layer_ribbon(trace, theme=LIGHT, t=english))
    np.testing.assert_allclose(grid[0][2], look_back(trace.layer(2).part("attention").mean(0)), **EXACT)
    first = planes[header["grid"]["lanes"]["chosen"][0][0]].reshape(len(trace.layers), -1)
    np.testing.assert_array_equal(first[1], trace.layer(1).part("chosen_experts")[:, 0])
    assert np.isnan(first[0]).all(), "a dense layer has no experts"


def test_expert_lanes(traces, english):
    trace = traces["jamba"]
    _, header, planes = drawn(routing.expert_lanes(trace, theme=LIGHT, t=english))
    layers = trace.layers_with("chosen_experts")
    assert len(header["grid"]["lanes"]["chosen"]) == 2
    for choice, pair in enumerate(header["grid"]["lanes"]["chosen"]):
        chosen, weight = (planes[plane].reshape(len(layers), -1) for plane in pair)
        for row, layer in enumerate(layers):
            np.testing.assert_array_equal(chosen[row], layer.part("chosen_experts")[:, choice])
            np.testing.assert_allclose(weight[row], layer.part("chosen_weights")[:, choice], **EXACT)


def test_router_bars(traces, english):
    trace = traces["jamba"]
    figure = router.router_bars(trace, theme=LIGHT, t=english, layer=3, selected=4)
    rows, probs = rows_of(figure, 0), trace.layer(3).part("router_probs")
    assert len(rows) == probs.size
    for row in rows:
        assert row["p"] == pytest.approx(float(probs[row["token"], row["expert"]]), rel=1e-6)
    for token, (alt, _) in enumerate(figure.each):
        solid = [row for row in rows if row["chosen"] and row["token"] == token]
        chosen = trace.layer(3).part("chosen_experts")[token].tolist()
        assert sorted(row["expert"] for row in solid) == sorted(chosen)
        assert f"{sum(row['p'] for row in solid):.2f}" in alt
    assert figure.alt == figure.each[4][0] and names_of(figure)["chosen"] == "4"


def test_the_cut_of_the_router_bars_stands_after_the_last_chosen_expert(traces, english):
    figure = router.router_bars(traces["jamba"], theme=LIGHT, t=english, layer=3)
    bars, (cut,), names = rows_of(figure, 0), rows_of(figure, 1), names_of(figure)
    for token, experts in enumerate(names["experts"]):
        here = [row for row in bars if row["token"] == token]
        assert [row["place"] for row in here] == list(range(8))
        assert [row["expert"] for row in here] == experts, "the axis names the bars"
        assert [row["chosen"] for row in here] == [place <= cut["place"] for place in range(8)]
        for part in (here[: cut["place"] + 1], here[cut["place"] + 1 :]):
            assert [row["p"] for row in part] == sorted((row["p"] for row in part), reverse=True)


def test_expert_load_counts_slots(traces, english):
    trace = traces["jamba"]
    grid, header, _ = drawn(expert_load.expert_load(trace, theme=LIGHT, t=english))
    np.testing.assert_allclose(grid[0].sum(1), 1, rtol=1e-6)
    chosen = trace.layer(1).part("chosen_experts")
    assert grid[0][0, 3] == pytest.approx((chosen == 3).sum() / chosen.size)
    assert header["grid"]["baseline"] == pytest.approx(1 / 8)


def test_hybrid_stack(traces, english):
    trace = traces["jamba"]
    grid, _, _ = drawn(routing.hybrid_stack(trace, theme=LIGHT, t=english))
    np.testing.assert_allclose(grid[2], past(trace.layer(2).part("attention").mean(0)), **EXACT)
    np.testing.assert_allclose(grid[0], past(trace.layer(0).part("hidden_attention")), **EXACT)


def test_token_strip(trace: ModelTrace, english):
    header, planes = decode(tokens.token_strip(trace, theme=LIGHT, t=english, selected=3).body.payload())
    np.testing.assert_array_equal(planes[header["strip"]["surprisal"]], trace.surprisal.values)
    assert header["strip"]["pieces"] == [token.pieces for token in trace.tokens]
    assert header["strip"]["selected"] == 3


def test_selected_out_of_range_is_no_selection(trace: ModelTrace, english):
    header, _ = decode(tokens.token_strip(trace, theme=LIGHT, t=english, selected=99).body.payload())
    assert header["strip"]["selected"] is None


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_figure_draws_and_speaks(trace: ModelTrace, theme, t):
    mixing = NamedArray(np.zeros((1, 11, 11), dtype=np.float32), ("channel", "query", "key"))
    ids = []
    for figure in gallery(trace, theme=theme, t=t, mixing=mixing):
        ids.append(figure.id)
        assert figure.alt
        assert "{" not in figure.alt
        assert figure.data, f"{figure.id} exports nothing"
        if isinstance(figure.body, CanvasSpec):
            header, _ = decode(figure.body.payload())
            plain = header["grid"] is None or figure.id == "expert_balance"  # its cells have no colour of their own
            assert header["legends"] or plain, f"{figure.id} draws no scale"
        elif isinstance(figure.body, MechanismSpec):
            assert read(figure.body.payload()).planes
        else:
            figure.body.to_dict()
    assert len(ids) == len(set(ids))


def value_at(scale: Scale, place: float) -> float:
    """Return the value that is drawn in the colour at a place of the ramp: 0.5 of a square root is a quarter."""
    bent = (lambda part: part**2) if scale.kind == "sqrt" else lambda part: part
    if scale.signed:
        return math.copysign(bent(abs(2 * place - 1)) * scale.high, 2 * place - 1)
    if scale.kind == "log":
        return scale.low * (scale.high / scale.low) ** place
    return scale.low + bent(place) * (scale.high - scale.low)


def written(text: str) -> float:
    """Read the number of a tick: ≤ −1.36, 27%, 4.93 tokens."""
    number, percent = re.fullmatch(r"(?:[≤≥] )?([+−]?[0-9.e-]+)(%?)(?: tokens)?", text).groups()
    return float(number.replace("−", "-")) / (100 if percent else 1)


def assert_ticks_are_values(figure) -> int:
    """Compare the ticks of a figure's legends with its scale; return how many say a number."""
    scale, count = figure.body.grid.scale, 0
    if scale.by != "all":
        return 0
    for place, text in (tick for legend in figure.body.legends for tick in legend.ticks):
        near = pytest.approx(value_at(scale, place), rel=0.005, abs=0.005 if "%" in text else 0)
        assert written(text) == near, (figure.id, place, text)
        count += 1
    return count


def test_a_tick_of_a_legend_is_the_value_at_its_place(traces, english):
    square = np.tri(11, dtype=np.float32)[None]
    signed = NamedArray(np.where(np.eye(11) > 0, np.float32(-3), square), ("channel", "query", "key"))
    counted = {}
    for trace in traces.values():
        for figure in gallery(trace, theme=LIGHT, t=english, mixing=signed):
            if isinstance(figure.body, CanvasSpec) and figure.body.grid is not None:
                counted[figure.id] = counted.get(figure.id, 0) + assert_ticks_are_values(figure)
    every = list(traces.values())
    counted["four_machines"] = assert_ticks_are_values(architecture_maps(every, theme=LIGHT, t=english))
    counted["recall_example"] = assert_ticks_are_values(
        recall_example(every, theme=LIGHT, t=english, asked_at=9, answer_at=3)
    )
    # a range for each tile or row: no number is said
    alone = {"head_mosaic", "hybrid_stack", "state_film", "wkv_film", "content_decay"}
    assert {name for name, count in counted.items() if not count} == alone | {"expert_lanes", "expert_balance"}


def test_figures_are_pure(trace: ModelTrace, english):
    for draw in figures_of(trace):
        one, two = draw(theme=LIGHT, t=english), draw(theme=LIGHT, t=english)
        for name, array in one.data.items():
            np.testing.assert_array_equal(array.values, two.data[name].values)
        if isinstance(one.body, CanvasSpec):
            assert one.body.payload() == two.body.payload()
