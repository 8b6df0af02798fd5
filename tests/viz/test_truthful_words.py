"""The words beside a figure say what it draws: layout, scale, counts and choices follow the model and the text."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
from figure_words import read

from models.records.trace import LayerTrace, ModelTrace, NamedArray, Token
from models.scores import chance, head_patterns, uniform
from viz.canvas import CanvasSpec, decode
from viz.gallery.figures import gallery
from viz.look.theme import LIGHT
from viz.trace import attention, decay, routing, state, tokens
from viz.trace.overview import architecture_maps

ASSETS = Path(__file__).resolve().parents[2] / "assets"
FACTS = {path.stem: read(path) for path in (ASSETS / "figures").glob("*.yaml")}
SCALES = {
    "sqrt": {"en": r"square root|square-root", "ko": "제곱근"},
    "log": {"en": "logarithm", "ko": "로그(?!램)"},
}


def of_length(
    trace: ModelTrace, length: int, layers: tuple[LayerTrace, ...], ids: list[int] | None = None
) -> ModelTrace:
    """Give a trace other layers and plain tokens."""
    named = tuple(Token(i, ids[i] if ids else i, f"w{i}", i, i + 1) for i in range(length))
    bits = NamedArray(np.full(length, np.nan, np.float32), ("token",))
    return dataclasses.replace(trace, tokens=named, layers=layers, surprisal=bits)


def heads(index: int, *maps: np.ndarray) -> LayerTrace:
    weights = np.stack(maps).astype(np.float32)
    return LayerTrace(index, "attention", "dense", {"attention": NamedArray(weights, ("head", "query", "key"))})


def sent(figure) -> dict:
    """Return the header that goes to the browser."""
    return decode(figure.body.payload())[0]


def said_of(figure, lang: str) -> str:
    """Join what stands under a figure and in its definition."""
    facts = FACTS[figure.id]
    definition = [facts[field][lang] for field in ("aggregation", "normalisation", "note") if field in facts]
    legends = [legend.scope for legend in figure.body.legends]
    return " ".join([*definition, *legends, figure.body.note])


def test_the_kind_of_colour_scale_is_the_one_that_is_named(trace: ModelTrace, t, request):
    """W1: a square root, a logarithm or a straight scale, as it goes to the browser."""
    lang = request.node.callspec.params["t"]
    seen = set()
    for figure in gallery(trace, theme=LIGHT, t=t):
        if not isinstance(figure.body, CanvasSpec) or figure.body.grid is None:
            continue
        kind, words = figure.body.grid.scale.kind, said_of(figure, lang)
        seen.add(kind)
        for other, patterns in SCALES.items():
            assert bool(re.search(patterns[lang], words)) == (kind == other), (figure.id, kind, words)
    assert seen


@pytest.mark.parametrize(
    ("layers", "count", "key"), [(2, 3, "layers_down"), (3, 2, "layers_across"), (2, 2, "layers_across")]
)
def test_the_mosaic_says_which_way_the_layers_run(traces, t, layers: int, count: int, key: str):
    """W1 of the words: with fewer layers than heads a row is a layer, else a column is; the labels agree."""
    trace = of_length(traces["transformer"], 4, tuple(heads(i, *[uniform(4)] * count) for i in range(layers)))
    figure = attention.head_mosaic(trace, theme=LIGHT, t=t)
    assert t(f"viz.head_mosaic.{key}") in figure.body.note
    other = {"layers_down": "layers_across", "layers_across": "layers_down"}[key]
    assert t(f"viz.head_mosaic.{other}") not in figure.body.note
    labels = figure.body.grid.tile_row_labels if key == "layers_down" else figure.body.grid.tile_column_labels
    assert labels == tuple(t("viz.layer", layer=i) for i in range(layers))


THE = [7] * 12  # "the the the ..."


def structured() -> np.ndarray:
    """Look at the token before, with half of the weight on itself: less than uniform scores for duplicates here."""
    return (np.eye(12) + np.eye(12)[np.maximum(np.arange(12) - 1, 0)]) / 2


def test_uniform_attention_ranks_at_zero_even_where_it_scores_high(traces):
    even = uniform(12)
    raw = head_patterns(even, np.array(THE))
    assert raw[attention.SCORES.index("duplicate")] > 0.6
    assert head_patterns(structured(), np.array(THE))[attention.SCORES.index("duplicate")] < 0.6
    trace = of_length(traces["transformer"], 12, (heads(0, even, structured()),), THE)
    np.testing.assert_allclose(attention.structure(trace).values[0, 0], 0, atol=1e-6)
    assert attention.structure(trace).values[0, 1] > 0.1
    assert attention.most_structured_head(trace) == (0, 1)
    shown = attention.head_matrix(trace, theme=LIGHT, t=lambda key, **_: key, layer=0)
    assert shown.data["attention"].values[5, 4] == 0.5


def test_every_score_stands_beside_that_of_uniform_attention(traces, t):
    trace = of_length(traces["transformer"], 12, (heads(0, uniform(12), structured()),), THE)
    for name, value in zip(attention.SCORES, chance(np.array(THE)), strict=True):
        figure = attention.head_mosaic(trace, theme=LIGHT, t=t, score=name)
        assert t("viz.head_mosaic.uniform", value=f"{value:.2f}") in figure.body.note
        assert figure.data["uniform"].values[0] == pytest.approx(value)
        assert all(f"{value:.2f}" in tile.name for tile in figure.body.grid.tiles)


def test_uniform_attention_stays_within_the_window_of_a_layer(traces):
    """A head that reads the last three tokens alike has no pattern of its own where its layer sees no more."""
    near = uniform(12, window=3)
    np.testing.assert_allclose(near.sum(1), 1)
    np.testing.assert_allclose(near[5], [0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0, 0, 0])
    trace = of_length(traces["transformer"], 12, (heads(0, near), heads(1, uniform(12))), THE)
    np.testing.assert_allclose(attention.structure(trace).values, 0, atol=1e-6)
    assert attention.uniform_scores(trace).values[0, 0] > 0.3 > attention.uniform_scores(trace).values[1, 0]


def test_a_duplicate_score_is_over_the_tokens_with_a_twin(traces, t):
    """The words of the mosaic say over which tokens a score is a mean: two of three tokens have no twin here."""
    ids = [4, 5, 6, 4]
    reads = np.eye(4)
    reads[3] = [1, 0, 0, 0]
    trace = of_length(traces["transformer"], 4, (heads(0, reads),), ids)
    figure = attention.head_mosaic(trace, theme=LIGHT, t=t, score="duplicate")
    assert figure.data["duplicate"].values[0, 0] == 1
    for lang, words in (("en", "earlier twin"), ("ko", "앞에 있는")):
        assert words in FACTS["head_mosaic"]["aggregation"][lang]


@pytest.mark.parametrize("channels", [40, 300])
def test_the_half_lives_say_how_many_of_all_have_a_mark(traces, t, channels: int):
    """W2."""
    wide = {name: np.linspace(1, 90, channels, dtype=np.float32) for name in ("half_life", "half_distance")}
    wide["half_distance"][-7:] = np.inf
    layer = LayerTrace(0, "mamba", "none", {name: NamedArray(values, ("channel",)) for name, values in wide.items()})
    figure = decay.half_life(dataclasses.replace(traces["mamba"], layers=(layer,)), theme=LIGHT, t=t)
    rows = figure.body.to_dict()
    marks = rows["datasets"][rows["layer"][1]["data"]["name"]]
    slowest = [row for row in marks if row["name"] == t("viz.half_life.slowest", layer=t("viz.layer", layer=0))]
    assert len(slowest) == min(channels, 256)
    known = "all_marks" if channels <= 256 else "some_marks"
    assert figure.note.startswith(t(f"viz.half_life.{known}", all=channels, shown=256))
    assert t("viz.half_life.unfallen", count=7, all=channels) in figure.note
    assert len(marks) == len(slowest) + min(channels - 7, 256)
    medians = rows["datasets"][rows["layer"][3]["data"]["name"]]
    assert [row["half_life"] for row in medians] == pytest.approx([float(np.median(wide[n])) for n in wide])


def test_a_median_beyond_the_text_is_more_than_the_text_can_show(traces, english):
    parts = {"half_life": np.array([3.0, 9.0, 30.0]), "half_distance": np.array([2.0, np.inf, np.inf])}
    layer = LayerTrace(
        0, "mamba", "none", {n: NamedArray(v.astype(np.float32), ("channel",)) for n, v in parts.items()}
    )
    figure = decay.half_life(dataclasses.replace(traces["mamba"], layers=(layer,)), theme=LIGHT, t=english)
    spec = figure.body.to_dict()
    texts = [row["text"] for row in spec["datasets"][spec["layer"][3]["data"]["name"]]]
    assert texts == ["9", "> 9"]  # 11 tokens: distances 1 to 10, up to 9 beyond the nearest


def test_rwkv_has_one_row_a_layer_and_no_second_number(traces, english):
    figure = decay.half_life(traces["rwkv"], theme=LIGHT, t=english)
    assert set(figure.data) == {"half_life"}
    spec = figure.body.to_dict()
    assert {row["name"] for row in spec["datasets"][spec["layer"][1]["data"]["name"]]} == {
        f"layer {i}" for i in range(3)
    }


@pytest.mark.parametrize("draw", [state.state_film, state.dt_map, state.state_slice])
def test_a_row_of_mamba_names_the_slowest_component_and_not_a_half_life(traces, t, draw, request):
    figure = draw(traces["mamba"], theme=LIGHT, t=t, layer=1)
    half_life = "half-life" if request.node.callspec.params["t"] == "en" else "반감기"
    slowest = "slowest component" if request.node.callspec.params["t"] == "en" else "가장 느린 성분"
    assert all(slowest in name and half_life not in name for name in figure.body.grid.rows.names)
    assert slowest in figure.alt or draw is state.state_slice
    assert slowest in figure.body.note


def test_a_row_of_rwkv_is_named_by_its_half_life(traces, english):
    figure = decay.wkv_film(traces["rwkv"], theme=LIGHT, t=english, layer=1)
    assert all("half-life" in name for name in figure.body.grid.rows.names)


@pytest.mark.parametrize("draw", [state.state_film, state.state_slice])
def test_a_film_says_how_many_of_the_channels_it_shows(traces, t, draw):
    some = draw(traces["mamba"], theme=LIGHT, t=t, layer=1, channels=10)
    assert t("viz.rows.some", shown=10, all=40) in some.body.note
    every = draw(traces["mamba"], theme=LIGHT, t=t, layer=1, channels=99)
    assert t("viz.rows.some", shown=40, all=40) not in every.body.note


def test_the_left_end_of_the_step_sizes_stands_for_all_below_it(traces, english):
    """W5: the smallest hundredth share a colour, so the tick says at most."""
    figure = state.dt_map(traces["mamba"], theme=LIGHT, t=english, layer=0)
    low = figure.body.grid.scale.low
    assert figure.data["dt"].values.min() < low
    assert figure.body.legends[0].ticks[0] == (0.0, f"≤ {state.short(low)}")
    gates = decay.receptance_map(traces["rwkv"], theme=LIGHT, t=english, layer=0)
    assert gates.body.legends[0].ticks[0] == (0.0, "0")


def test_a_cell_of_the_spectrum_is_named_by_its_channel(traces, t):
    """W6."""
    trace = traces["rwkv"]
    header, planes = decode(decay.half_life_spectrum(trace, theme=LIGHT, t=t).body.payload())
    grid = header["grid"]
    values = planes[grid["plane"]].reshape(grid["rows"], grid["columns"])
    for row, layer in enumerate(trace):
        for rank in (0, 1, 17, 39):
            channel = int(np.argsort(-layer.part("half_life"), kind="stable")[rank])
            assert grid["cell_names"][row][rank] == t("viz.half_life.place", channel=channel, rank=rank + 1, count=40)
            assert values[row, rank] == layer.part("half_life")[channel]
    assert "{cell}" in grid["readout"]


@pytest.mark.parametrize("choices", [1, 2, 3, 4])
def test_every_choice_is_sent_and_named(routed_to, t, choices: int):
    """W8."""
    trace = routed_to(choices)
    for draw, row in ((routing.expert_lanes, 0), (routing.layer_ribbon, 1)):
        header, planes = decode(draw(trace, theme=LIGHT, t=t).body.payload())
        sent = header["grid"]["lanes"]["chosen"]
        assert len(sent) == choices
        for choice, pair in enumerate(sent):
            chosen, weight = (planes[plane].reshape(-1, 3)[row] for plane in pair)
            assert (chosen == choice).all()
            np.testing.assert_allclose(weight, [0.4, 0.3, 0.15, 0.1][choice], rtol=1e-6)
        name = header["grid"]["cell_names"][row][0]
        assert len(re.findall(r"\d \(|\d\(", name)) == choices and "–" not in name
        if row:
            assert header["grid"]["cell_names"][0] == [""] * 3


@pytest.mark.parametrize(
    ("choices", "lanes", "band"), [(1, None, "band_one"), (2, "second", "band"), (3, "others", "band")]
)
def test_the_notes_speak_of_as_many_experts_as_there_are(routed_to, t, choices: int, lanes: str | None, band: str):
    trace = routed_to(choices)
    note = routing.expert_lanes(trace, theme=LIGHT, t=t).body.note
    for key in ("second", "others"):
        assert (t(f"viz.expert_lanes.{key}", count=choices - 1) in note) == (key == lanes)
    assert t(f"viz.layer_ribbon.{band}", count=choices) in routing.layer_ribbon(trace, theme=LIGHT, t=t).body.note
    dense = dataclasses.replace(trace, layers=trace.layers[:1])
    assert routing.layer_ribbon(dense, theme=LIGHT, t=t).body.note == t("viz.layer_ribbon.note")


def test_the_ribbon_names_this_models_own_plan(traces, t):
    """Attention stands in layer 2 of four, experts in 1 and 3: not where the published plan has them."""
    note = routing.layer_ribbon(traces["jamba"], theme=LIGHT, t=t).body.note
    assert t("viz.layer_ribbon.plan_attention", layers="2") in note
    assert t("viz.layer_ribbon.plan_experts", layers="1, 3") in note
    assert "plan" not in routing.layer_ribbon(traces["mamba"], theme=LIGHT, t=lambda key, **_: key).body.note


def recurrent(length: int) -> LayerTrace:
    return LayerTrace(
        0, "mamba", "none", {"hidden_attention": NamedArray(np.tri(length, dtype=np.float32), ("query", "key"))}
    )


@pytest.mark.parametrize(("length", "block"), [(40, 1), (96, 2), (100, 3)])
def test_tiles_that_are_joined_say_so(traces, t, length: int, block: int):
    """Words follow the payload: hybrid_stack joins cells beyond 48 tokens, head_mosaic beyond 32."""
    trace = of_length(traces["mamba"], length, (recurrent(length),))
    header = sent(figure := routing.hybrid_stack(trace, theme=LIGHT, t=t))
    assert tuple(header["grid"]["pool"]) == (block, block)
    assert (t("viz.pooled", rows=block, columns=block) in figure.body.note) == (block > 1)


@pytest.mark.parametrize(("length", "block"), [(96, 1), (97, 2)])
def test_the_four_machines_say_when_cells_are_joined_and_what_they_are_not(traces, t, length: int, block: int):
    trace = of_length(traces["mamba"], length, (recurrent(length),))
    other = of_length(traces["transformer"], length, (heads(0, uniform(length)),))
    figure = architecture_maps([other, trace], theme=LIGHT, t=t)
    assert tuple(sent(figure)["grid"]["pool"]) == (block, block)
    assert (t("viz.pooled", rows=block, columns=block) in figure.body.note) == (block > 1)
    assert t("viz.four_machines.recency") in figure.body.note
    alone = architecture_maps([other], theme=LIGHT, t=t)
    assert t("viz.four_machines.recency") not in alone.body.note


@pytest.mark.parametrize(("vocab", "bits"), [(8192, "13"), (50257, "15.6"), (12, "3.58")])
def test_a_blind_guess_is_counted_from_the_vocabulary(traces, t, vocab: int, bits: str):
    trace = traces["rwkv"]
    logits = NamedArray(np.zeros((len(trace.tokens), vocab), np.float32), ("token", "vocab"))
    note = tokens.token_strip(dataclasses.replace(trace, logits=logits), theme=LIGHT, t=t).body.note
    assert t("viz.token_strip.guess", vocab=f"{vocab:,}", bits=bits) in note
    assert float(bits) == pytest.approx(math.log2(vocab), abs=0.06)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_no_page_counts_a_vocabulary_by_hand(lang: str):
    for path in (ASSETS / "content" / lang).glob("*.md"):
        assert "8,192" not in path.read_text("utf-8") or "13" not in path.read_text("utf-8"), path.name
