"""Every array that a figure of a run exports, and every number in its names, tips and bars, computed again by hand.

The records are small and no two of their numbers are alike, so that a neighbour's number, another unit or an exchanged
pair is seen. Every figure of a run has to be in ARRAYS.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray
from models.tracing.mixing import channel_mixing
from models.units import number
from viz.figure import Figure
from viz.gallery import samples
from viz.gallery.figures import every
from viz.look.theme import LIGHT
from viz.trace import (
    attention,
    decay,
    expert_load,
    gates,
    lens,
    next_word,
    overview,
    router,
    routing,
    spectrum,
    state,
    tokens,
    wkv_weights,
)
from viz.trace.findings import router_finding
from viz.trace.matrix import channel_matrix

Known = Mapping[str, Any]
NEAR = {"rtol": 2e-6, "atol": 1e-7}


def real(trace: ModelTrace, layer: int, part: str) -> np.ndarray:
    values = np.asarray(trace.layer(layer).part(part))
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def slowest_first(trace: ModelTrace, layer: int) -> list[int]:
    half = real(trace, layer, "half_life")
    return sorted(range(len(half)), key=lambda channel: -half[channel])


def varied(trace: ModelTrace, layer: int, track: np.ndarray, count: int) -> list[int]:
    """Cut the channels, slowest first, into equal runs; of each the one that varies most against its peak."""
    order, chosen = slowest_first(trace, layer), []
    sizes = [len(order) // count + (n < len(order) % count) for n in range(count)]
    for size in sizes:
        run, order = order[:size], order[size:]
        chosen.append(max(run, key=lambda channel: track[:, channel].std() / np.abs(track[:, channel]).max()))
    return chosen


def mixing(trace: ModelTrace, layer: int) -> np.ndarray:
    part = next(p for p in ("attention", "hidden_attention", "effective_attention") if p in trace.layer(layer).parts)
    values = real(trace, layer, part)
    return values.mean(0) if part == "attention" else values


def shares(trace: ModelTrace) -> np.ndarray:
    maps = [np.abs(mixing(trace, layer.index)) for layer in trace]
    return np.mean([one / one.sum(1, keepdims=True) for one in maps], axis=0)


def reached(trace: ModelTrace) -> list[list[float]]:
    """Return how far each token looks back in each layer, in tokens."""
    found = []
    for layer in trace:
        weights = np.abs(mixing(trace, layer.index))
        found.append([sum(w * max(i - j, 0) for j, w in enumerate(row)) / row.sum() for i, row in enumerate(weights)])
    return found


def probabilities(logits: np.ndarray) -> np.ndarray:
    grown = np.exp(logits.astype(np.float64))
    return grown / grown.sum(-1, keepdims=True)


# --- the arrays ----------------------------------------------------------------------------------------------------
def of_head(part: str) -> Callable[[ModelTrace], Known]:
    return lambda trace: {part: real(trace, 1, part)[1]}


def of_mosaic(trace: ModelTrace) -> Known:
    """Three layers of two heads: layers across, so that tiles go layer by layer within a head."""
    maps = [real(trace, layer, "attention")[head] for head in range(2) for layer in range(3)]
    uniform = np.tri(11) / np.arange(1, 12)[:, None]

    def before(map_: np.ndarray) -> float:
        return float(np.mean([map_[i, i - 1] for i in range(1, 11)]))

    scores = [[before(real(trace, layer, "attention")[head]) for head in range(2)] for layer in range(3)]
    return {"attention": maps, "previous_token": scores, "uniform": [before(uniform)] * 3}


def of_film(trace: ModelTrace) -> Known:
    summed = real(trace, 1, "state").sum(-1)
    chosen = varied(trace, 1, summed, 7)
    dt = [row.mean() for row in real(trace, 1, "dt")]
    return {"state_sum": summed[:, chosen].T, "channel": chosen, "dt_mean": dt}


def of_slice(trace: ModelTrace) -> Known:
    values = real(trace, 1, "state")
    chosen = varied(trace, 1, values.sum(-1), 7)
    return {"state": values[:, chosen], "channel": chosen}


def of_map(part: str, mean: str) -> Callable[[ModelTrace], Known]:
    return lambda trace: {
        part: real(trace, 1, part)[:, slowest_first(trace, 1)].T, mean: [row.mean() for row in real(trace, 1, part)],
    }  # fmt: skip


def of_curves(trace: ModelTrace) -> Known:
    order, rate = slowest_first(trace, 1), real(trace, 1, "decay_rate")
    chosen = [order[place] for place in (0, 13, 26, 39)]
    near = [1 + 0.02 * (3 / 0.02) ** (n / 19) for n in range(19)]
    distance = sorted([*near, *range(1, 11)])  # up to all 10 words before the last; the browser ends at the chosen one
    weight = [[np.exp(-rate[channel] * (n - 1)) for n in distance] for channel in chosen]
    bonus = [np.exp(real(trace, 1, "bonus")[channel]) for channel in chosen]
    return {"weight": weight, "distance": distance, "bonus": bonus, "channel": chosen}


def of_spectrum(trace: ModelTrace) -> Known:
    order = [slowest_first(trace, layer) for layer in range(3)]
    half = [[real(trace, layer, "half_life")[channel] for channel in order[layer]] for layer in range(3)]
    return {"half_life": half, "channel": order}


def of_wkv(trace: ModelTrace) -> Known:
    ratio = real(trace, 1, "wkv_num") / real(trace, 1, "wkv_den")
    chosen = varied(trace, 1, ratio, 7)
    return {"wkv": ratio[:, chosen].T, "channel": chosen, "exponent_mean": real(trace, 1, "wkv_max").mean(1)}


def of_keys(trace: ModelTrace) -> Known:
    """Weigh the past of every token by plain loops over the sums of the paper."""
    order = slowest_first(trace, 1)
    chosen = [order[place] for place in (0, 13, 26, 39)]
    rate, bonus, key = (real(trace, 1, part) for part in ("decay_rate", "bonus", "key"))
    share, total = np.zeros((4, 11, 11)), np.zeros((4, 11))
    for place, c in enumerate(chosen):
        for t in range(11):
            past = [np.exp(-(t - 1 - i) * rate[c] + key[i, c]) for i in range(t)] + [np.exp(bonus[c] + key[t, c])]
            total[place, t] = np.log(sum(past))
            share[place, t, : t + 1] = np.array(past) / sum(past)
    return {"share": share, "channel": chosen, "log_total": total}


def of_counts(trace: ModelTrace) -> Known:
    halves = [[float(value) for value in real(trace, layer, "half_life")] for layer in range(3)]
    low = max(math.ceil(math.log2(min(map(min, halves)))), -2)
    high = max(min(math.ceil(math.log2(max(map(max, halves)))) - 1, 10), low + 1)
    edges = [2.0**n for n in range(low, high + 1)]
    ends = [0.0, *edges, math.inf]
    count = [[sum(a < value <= b for value in row) for a, b in itertools.pairwise(ends)] for row in halves]
    return {"channels": count, "edge": edges}


def of_zeros(trace: ModelTrace) -> Known:
    zeros = [[sum(unit <= 0 for unit in row) / len(row) for row in real(trace, at, "ffn_key")] for at in range(3)]
    return {"zeros": zeros, "zeros_mean": [sum(column) / 3 for column in zip(*zeros, strict=True)]}


def of_shares(trace: ModelTrace) -> Known:
    share = real(trace, 1, "shift_share")
    return {"share": share, "mean": [sum(row) / len(row) for row in share]}


def of_load(trace: ModelTrace) -> Known:
    chosen = [list(real(trace, layer, "chosen_experts").ravel()) for layer in (1, 3)]
    return {"load": [[every_.count(expert) / 22 for expert in range(8)] for every_ in chosen]}


def of_routes(trace: ModelTrace) -> Known:
    names = ("chosen_experts", "chosen_weights")
    return {name: [real(trace, layer, name) for layer in (1, 3)] for name in names}


def lead(trace: ModelTrace, layer: int) -> np.ndarray:
    """Subtract the third probability from the second."""
    falling = -np.sort(-real(trace, layer, "router_probs"), axis=1)
    return falling[:, 1] - falling[:, 2]


def of_lanes(trace: ModelTrace) -> Known:
    return of_routes(trace) | {"margin": [lead(trace, layer) for layer in (1, 3)]}


def all_layers(part: str) -> Callable[[ModelTrace], Known]:
    return lambda trace: {part: [real(trace, layer.index, part) for layer in trace]}


HALVES: Callable[[ModelTrace], Known] = lambda trace: {  # noqa: E731
    **all_layers("half_life")(trace), **all_layers("half_distance")(trace),
}  # fmt: skip
ROUTER: Callable[[ModelTrace], Known] = lambda trace: {  # noqa: E731
    "router_probs": real(trace, 3, "router_probs"), "chosen_experts": real(trace, 3, "chosen_experts"),
    "router_logits": real(trace, 3, "router_logits"), "margin": lead(trace, 3),
}  # fmt: skip
AT = {"layer": 1, "head": 1}
ARRAYS: dict[str, tuple[str, Callable[..., Figure], dict[str, Any], Callable[[ModelTrace], Known]]] = {
    "token_strip": ("mamba", tokens.token_strip, {}, lambda trace: {
        "surprisal": [np.nan, *(-np.log2(probabilities(trace.logits.values)[n, one.id])
                                for n, one in enumerate(trace.tokens[1:]))]}),
    "head_matrix": ("transformer", attention.head_matrix, AT, of_head("attention")),
    "head_logits": ("transformer", attention.head_logits, AT, of_head("attention_logits")),
    "value_norm_matrix": ("transformer", attention.value_norm_matrix, AT, of_head("value_norm")),
    "head_mosaic": ("transformer", attention.head_mosaic, {}, of_mosaic),
    "state_film": ("mamba", state.state_film, {"layer": 1, "channels": 7}, of_film),
    "state_slice": ("mamba", state.state_slice, {"layer": 1, "channels": 7}, of_slice),
    "dt_map": ("mamba", state.dt_map, {"layer": 1}, of_map("dt", "dt_mean")),
    "hidden_attention": ("mamba", state.hidden_attention, {"layer": 1}, lambda trace: {
        "hidden_attention": real(trace, 1, "hidden_attention")}),
    "half_life_spectrum": ("mamba", decay.half_life_spectrum, {}, of_spectrum),
    "half_life": ("mamba", decay.half_life, {}, HALVES),
    "decay_curves": ("rwkv", decay.decay_curves, {"layer": 1, "channels": 4, "selected": 8}, of_curves),
    "effective_attention": ("rwkv", decay.effective_attention, {"layer": 1}, lambda trace: {
        "effective_attention": real(trace, 1, "effective_attention")}),
    "receptance_map": ("rwkv", decay.receptance_map, {"layer": 1}, of_map("receptance", "receptance_mean")),
    "wkv_film": ("rwkv", decay.wkv_film, {"layer": 1, "channels": 7}, of_wkv),
    "gated_attention": ("rwkv", wkv_weights.gated_attention, {"layer": 1}, lambda trace: {
        "gated_attention": real(trace, 1, "gated_attention")}),
    "key_curves": ("rwkv", wkv_weights.key_curves, {"layer": 1, "channels": 4}, of_keys),
    "half_life_histogram": ("rwkv", spectrum.half_life_histogram, {}, of_counts),
    "token_shift": ("rwkv", gates.token_shift, {"layer": 1}, of_shares),
    "channel_mix_zeros": ("rwkv", gates.channel_mix_zeros, {}, of_zeros),
    "layer_ribbon": ("jamba", routing.layer_ribbon, {}, lambda trace: {
        "look_back": reached(trace), **of_routes(trace)}),
    "expert_lanes": ("jamba", routing.expert_lanes, {}, of_lanes),
    "router_bars": ("jamba", router.router_bars, {"layer": 3, "selected": 4}, ROUTER),
    "expert_load": ("jamba", expert_load.expert_load, {}, of_load),
    "hybrid_stack": ("jamba", routing.hybrid_stack, {}, lambda trace: {
        "mixing": [mixing(trace, layer) for layer in range(4)]}),
}  # fmt: skip
ELSEWHERE = {"logit_lens", "channel_matrix", "four_machines", "next_word", "reading", "recall_example",
             "state_path", "expert_routes", "side_rows", "side_surprisal", "side_reach", "edit_surprisal", "what_if",
             "what_if_words", "expert_balance", "expert_pairs", "expert_locality", "expert_words", "expert_finder",
             "layer_flow", "wkv_ink", "channel_moved", "decay_finder"}  # fmt: skip


def assert_known(figure: Figure, known: Known) -> None:
    assert {*figure.data} == {*known}, figure.id
    for name, values in known.items():
        np.testing.assert_allclose(figure.data[name].values, np.asarray(values), **NEAR, err_msg=f"{figure.id}: {name}")


@pytest.mark.parametrize("name", ARRAYS)
def test_exported_arrays_are_those_of_the_record(traces, english, name: str) -> None:
    architecture, draw, options, known = ARRAYS[name]
    figure = draw(traces[architecture], theme=LIGHT, t=english, **options)
    assert figure.id == name
    assert_known(figure, known(traces[architecture]))


MIDDLE = [name for name, (*_, options, _) in ARRAYS.items() if options.get("layer") == 1 and "head" not in options]


@pytest.mark.parametrize("name", MIDDLE)
def test_without_a_choice_the_middle_layer_is_drawn(traces, english, name: str) -> None:
    architecture, draw, options, known = ARRAYS[name]
    rest = {key: value for key, value in options.items() if key != "layer"}
    assert_known(draw(traces[architecture], theme=LIGHT, t=english, **rest), known(traces[architecture]))


@pytest.mark.parametrize(("asked", "shown"), [(0, 0), (10, 10), (None, None), (-1, None), (11, None)])
def test_a_chosen_token_is_that_of_the_strip_where_the_text_has_it(traces, english, asked, shown) -> None:
    """A matrix without one shows its last row; the strip alone shows none."""
    trace = traces["transformer"]
    strip = tokens.token_strip(trace, theme=LIGHT, t=english, selected=asked).body.strip
    assert strip.selected == shown
    assert [(one.label, one.id) for one in strip.tokens] == [(one.label, one.id) for one in trace.tokens]
    figure = attention.head_matrix(trace, theme=LIGHT, t=english, layer=1, head=0, selected=asked)
    row = 10 if shown is None else shown
    assert figure.body.grid.selected_row == figure.body.strip.selected == row
    several = overview.architecture_maps([trace, traces["mamba"]], theme=LIGHT, t=english, selected=asked).body
    assert several.grid.marks == (() if shown is None else ((shown, shown + 1),) * 2)
    at = lens.logit_lens(read_through(trace), theme=LIGHT, t=english, selected=asked).body
    assert at.grid.rows.notes == at.grid.token_notes[row] and at.note == at.token_notes[row]


def test_without_a_choice_the_router_is_that_of_the_last_token(traces, english) -> None:
    trace = traces["jamba"]
    figure = router.router_bars(trace, theme=LIGHT, t=english)
    probs, chosen = real(trace, 3, "router_probs")[10], real(trace, 3, "chosen_experts")[10]
    assert f"{probs[chosen].sum():.2f}" in figure.alt and trace.tokens[10].label in figure.alt
    assert (figure.alt, figure.finding) == figure.each[10]
    assert english("viz.layer", layer=3) == "layer 3" and "layer 3" in figure.alt


def test_every_figure_of_a_run_has_its_arrays_here() -> None:
    of_a_run = {entry.id for entry in every().values() if entry.of in ("trace", "traces", "channel")}
    assert of_a_run == {*ARRAYS} | ELSEWHERE


def test_one_channel_is_exported_as_it_mixes(traces, english) -> None:
    trace = traces["mamba"]
    found = channel_mixing(trace.layer(2), [3, 9])
    figure = channel_matrix(found, trace, theme=LIGHT, t=english, layer=2, channel=9, index=1)
    dt, rates, write, read = (real(trace, 2, part) for part in ("dt", "decay_rates", "write_proj", "read_proj"))
    known = np.zeros((11, 11))
    for i in range(11):
        for j in range(i + 1):
            kept = np.exp(dt[j + 1 : i + 1, 9].sum() * rates[9])
            known[i, j] = (read[i] * kept * write[j]).sum() * dt[j, 9]
    np.testing.assert_allclose(figure.data["mixing"].values, known, rtol=1e-4, atol=1e-6)
    assert figure.alt.startswith(english("viz.channel_matrix.alt", layer=2, channel=9))


def test_the_machines_export_the_share_of_each_row_averaged_over_layers(traces, english) -> None:
    some = [traces[name] for name in ("rwkv", "jamba")]
    figure = overview.architecture_maps(some, theme=LIGHT, t=english)
    assert_known(figure, {"mixing": [shares(trace) for trace in some]})


# --- names, tips and bars ------------------------------------------------------------------------------------------
def channel_words(trace: ModelTrace, layer: int, channels: Sequence[int], t: Callable[..., str]) -> list[str]:
    key = "viz.channel_slowest" if trace.architecture == "mamba" else "viz.channel"
    half = real(trace, layer, "half_life")
    return [t(key, channel=channel, half_life=number(half[channel])) for channel in channels]


ROWS = {
    "state_film": lambda trace: varied(trace, 1, real(trace, 1, "state").sum(-1), 7),
    "state_slice": lambda trace: varied(trace, 1, real(trace, 1, "state").sum(-1), 7),
    "wkv_film": lambda trace: varied(trace, 1, real(trace, 1, "wkv_num") / real(trace, 1, "wkv_den"), 7),
    "dt_map": lambda trace: slowest_first(trace, 1),
    "receptance_map": lambda trace: slowest_first(trace, 1),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_named_by_its_channel_and_the_half_life_of_that_channel(traces, t, name: str) -> None:
    architecture, draw, options, _ = ARRAYS[name]
    trace = traces[architecture]
    figure = draw(trace, theme=LIGHT, t=t, **options)
    assert list(figure.body.grid.rows.names) == channel_words(trace, 1, ROWS[name](trace), t)
    bars = {
        "state_film": ("dt", "viz.dt"),
        "dt_map": ("dt", "viz.dt"),
        "receptance_map": ("receptance", "viz.receptance_map"),
    }
    if name in bars:
        part, key = bars[name]
        (bar,) = figure.body.bars
        np.testing.assert_allclose(bar.values, real(trace, 1, part).mean(1), **NEAR)
        said = (t(f"{key}.mean"), LIGHT.mixer_color(architecture), t(f"{key}.mean_is", value="{value}"))
        assert (bar.label, bar.color, bar.readout) == said


def test_rows_of_several_channels_name_all_of_them_and_the_mean_of_their_half_lives(traces, t, monkeypatch) -> None:
    monkeypatch.setattr(state, "binned", halves_of)
    trace = traces["mamba"]
    figure = state.dt_map(trace, theme=LIGHT, t=t, layer=1)
    order, half = slowest_first(trace, 1), real(trace, 1, "half_life")
    first = order[:20]
    words = t(
        "viz.channels_slowest", count=20, channels=", ".join(map(str, first)), half_life=number(half[first].mean())
    )
    assert figure.body.grid.rows.names[0] == words


def halves_of(values: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Average over two halves of the order, as over neighbours in a model with more channels than rows."""
    halves = np.array_split(order, 2)
    return np.stack([values[:, half].mean(1) for half in halves]), halves


def test_a_tile_of_the_mosaic_has_the_name_and_the_score_of_its_head(traces, t) -> None:
    for name in attention.SCORES:
        figure = attention.head_mosaic(traces["transformer"], theme=LIGHT, t=t, score=name, layer=2, head=0)
        scores = attention.head_scores(traces["transformer"]).values[:, :, attention.SCORES.index(name)]
        even = attention.uniform_scores(traces["transformer"]).values[:, attention.SCORES.index(name)]
        grid = figure.body.grid
        assert grid.places == tuple((layer, head) for head in range(2) for layer in range(3))
        assert grid.selected_tile == 2
        for (layer, head), tile in zip(grid.places, grid.tiles, strict=True):
            value = scores[layer, head]
            beside = {"value": f"{value:.2f}", "uniform": f"{even[layer]:.2f}", "score": t(f"viz.score.{name}")}
            where = t("viz.layer_head", layer=layer, head=head)
            assert tile.name == f"{where} · {t('viz.head_mosaic.beside', **beside)}"
            assert (tile.title, tile.score) == (f"{layer}·{head}", pytest.approx(value))
            assert float(tile.caption) == pytest.approx(value, abs=0.0051)
        assert grid.tile_column_labels == tuple(t("viz.layer", layer=n) for n in range(3))
        assert grid.tile_row_labels == tuple(t("viz.head", head=n) for n in range(2))
        np.testing.assert_allclose(figure.data[name].values, scores)


def test_the_clearest_head_of_a_pattern_is_the_one_that_scores_most_in_it(traces) -> None:
    for architecture in ("transformer", "jamba"):
        trace = traces[architecture]
        layers = [layer.index for layer in trace.layers_with("attention")]
        scores = attention.head_scores(trace).values
        for n, name in enumerate(attention.SCORES):
            places = [(row, head) for row in range(scores.shape[0]) for head in range(2)]
            row, head = max(places, key=lambda at, n=n: scores[(*at, n)])
            assert attention.clearest_head(trace, name) == (layers[row], head)
        weights = {(layer, head): real(trace, layer, "attention")[head] for layer in layers for head in range(2)}
        assert attention.most_telling_head(trace) == max(weights, key=lambda at: weights[at][-1, 1:-2].max())


def test_a_film_is_in_full_colour_from_a_quantile_of_its_cells_and_of_few_cells_from_the_largest() -> None:
    values = np.arange(-1000.0, 1001.0)
    assert state.robust_end(values) == pytest.approx(995)
    few = np.zeros(1000)
    few[3] = -7
    assert state.robust_end(few) == 7


def test_every_token_names_its_experts_with_their_weights_first_choice_first(traces, t) -> None:
    trace = traces["jamba"]
    known = [["" for _ in range(11)] for _ in range(4)]
    for layer in (1, 3):
        for at in range(11):
            pairs = zip(real(trace, layer, "chosen_experts")[at], real(trace, layer, "chosen_weights")[at], strict=True)
            said = [t("viz.experts.weighted", expert=int(expert), weight=number(weight)) for expert, weight in pairs]
            known[layer][at] = t("viz.experts.chosen", experts=", ".join(said))
    ribbon = routing.layer_ribbon(trace, theme=LIGHT, t=t).body.grid
    assert [list(row) for row in ribbon.cell_names] == known
    lanes = routing.expert_lanes(trace, theme=LIGHT, t=t).body.grid
    told = [[cell.split("\n") for cell in row] for row in lanes.cell_names]
    assert [[name for name, _ in row] for row in told] == [known[1], known[3]]
    for row, layer in zip(told, (1, 3), strict=True):
        logits, margin = real(trace, layer, "router_logits"), lead(trace, layer)
        for at, (_, said) in enumerate(row):
            chosen = real(trace, layer, "chosen_experts")[at].astype(int)
            scores = ", ".join(f"{logits[at, expert]:+.2f}" for expert in chosen)
            last = t("viz.experts.margin", k=2, next=3, margin=f"{margin[at]:.3f}")
            assert said == f"{t('viz.experts.scores', scores=scores)} · {last}"
    assert lanes.rows.names == tuple(t("viz.layer", layer=n) for n in (1, 3))
    kinds = [(t(f"viz.mixer.{layer.mixer}"), t(f"viz.ffn.{layer.ffn}")) for layer in trace]
    assert ribbon.rows.names == tuple(f"{t('viz.layer', layer=n)} · {a} · {b}" for n, (a, b) in enumerate(kinds))
    assert ribbon.rows.labels == tuple(f"{n} {mixer}" for n, (mixer, _) in enumerate(kinds))
    assert ribbon.rows.notes == tuple(ffn for _, ffn in kinds)
    assert ribbon.rows.colors == tuple(LIGHT.mixer_color(layer.mixer) for layer in trace)
    stack = routing.hybrid_stack(trace, theme=LIGHT, t=t).body.grid
    assert [(tile.title, tile.name) for tile in stack.tiles] == list(
        zip(ribbon.rows.labels, ribbon.rows.names, strict=True)
    )


def test_a_load_is_written_as_the_share_of_its_expert(traces, english) -> None:
    figure = expert_load.expert_load(traces["jamba"], theme=LIGHT, t=english)
    load = of_load(traces["jamba"])["load"]
    known = [[f"{100 * one:.1f}%" if 0 < one < 0.0995 else f"{100 * one:.0f}%" for one in row] for row in load]
    assert [list(row) for row in figure.body.grid.texts] == known
    assert figure.body.grid.baseline == 1 / 8
    assert english("viz.expert_load.uniform", share="12.5%") in figure.body.note
    assert figure.body.legends[0].ticks == ((0.0, "0"), (1.0, f"{100 * max(map(max, load)):.0f}%"))


def test_router_bars_say_what_the_chosen_experts_keep(traces, t) -> None:
    figure = router.router_bars(traces["jamba"], theme=LIGHT, t=t, layer=3, selected=4)
    assert (figure.alt, figure.finding) == figure.each[4]
    known = ROUTER(traces["jamba"])
    for token, probs, chosen, margin, (alt, finding) in zip(
        traces["jamba"].tokens,
        known["router_probs"],
        known["chosen_experts"],
        known["margin"],
        figure.each,
        strict=True,
    ):
        values = {"layer": 3, "token": token.label, "chosen": ", ".join(str(e) for e in chosen)}
        said = t("viz.router_bars.alt", kept=f"{probs[chosen].sum():.2f}", **values)
        assert alt == f"{said} {finding}"
        assert finding == router_finding(float(probs[chosen].sum()), len(chosen), float(margin), t)


# --- the lens ------------------------------------------------------------------------------------------------------
def read_through(trace: ModelTrace) -> ModelTrace:
    """Add what the logit lens reads: every number of every layer and token is another one."""
    count = len(trace.tokens)
    label_ids = np.array([one.id for one in trace.tokens])

    def seen(place: int) -> dict[str, np.ndarray]:
        at = np.arange(count)
        probs = 0.4 / (1 + np.arange(5)) + 0.001 * (place * count + at[:, None])
        probs[2, 4] = 0.0002
        following = np.append(10_000.0 + place * 100 + at[:-1], np.nan)
        return {
            "lens_tokens": np.stack([np.roll(label_ids, -n - place) for n in range(5)], axis=1),
            "lens_probs": probs,
            "lens_entropy": 1.0 + place + at / 16,
            "lens_rank_final": 20_000.0 + place * 100 + at,
            "lens_rank_next": following,
            "lens_prob_final": probs[:, 0], "lens_prob_next": probs[:, 0],
        }  # fmt: skip

    layers = tuple(
        LayerTrace(one.index, one.mixer, one.ffn, {**one.parts, **samples.named(seen(one.index + 1))}) for one in trace
    )
    embedding = LayerTrace(-1, "none", "none", samples.named(seen(0)))
    return dataclasses.replace(trace, layers=layers, embedding=embedding)


def lens_words(shown: LayerTrace, at: int, t: Callable[..., str]) -> tuple[str, str]:
    """Return the two ranks of a layer at a token, and its entropy in bits."""
    final, following = (int(np.nan_to_num(shown.part(f"lens_rank_{name}")[at])) for name in ("final", "next"))
    ranks = (
        t("viz.logit_lens.ranks", final=final, next=following) if following else t("viz.logit_lens.rank", final=final)
    )
    return ranks, t("viz.logit_lens.entropy", bits=number(float(shown.part("lens_entropy")[at])))


@pytest.mark.parametrize("at", [0, 4, 10])
def test_the_lens_reads_out_the_tokens_the_entropy_and_the_ranks_of_its_own_cell(traces, t, at: int) -> None:
    """The rank of the final prediction stands before that of the token that comes next; the last token has one rank."""
    trace = read_through(traces["rwkv"])
    figure = lens.logit_lens(trace, theme=LIGHT, t=t, selected=at)
    grid = figure.body.grid
    stream = [trace.embedding, *trace.layers]
    names = (t("viz.logit_lens.embedding"), *(t("viz.layer", layer=n) for n in range(3)))
    assert grid.rows.names == grid.rows.labels == names
    assert grid.rows.notes == tuple(lens_words(shown, at, t)[0] for shown in stream) == grid.token_notes[at]
    for row, shown in enumerate(stream):
        for place in range(11):
            ranks, entropy = lens_words(shown, place, t)
            probs = [f"{p:.1%}" if p < 0.0995 else f"{p:.0%}" for p in shown.part("lens_probs")[place]]
            probs = ["<0.1%" if (place, n) == (2, 4) else one for n, one in enumerate(probs)]
            labels = [trace.label_of(int(token)) for token in shown.part("lens_tokens")[place]]
            likely = " · ".join(f"{label} {prob}" for label, prob in zip(labels, probs, strict=True))
            assert grid.cell_names[row][place].split("\n") == [likely, entropy, ranks]
            assert grid.texts[row][place] == labels[0]
            assert grid.token_notes[place][row] == ranks
            assert grid.values[row, place] == shown.part("lens_probs")[place, 0]
    final = trace.label_of(int(trace.logits.values[at].argmax()))
    said = {"token": trace.tokens[at].label, "final": final}
    following = {"next": trace.tokens[at + 1].label} if at < 10 else {}
    note = t("viz.logit_lens.note" if following else "viz.logit_lens.note_last", **said, **following)
    assert figure.body.note == figure.body.token_notes[at] == note
    known = {part: [shown.part(part) for shown in stream] for part in lens.PARTS}
    assert_known(figure, {"layer": [-1, 0, 1, 2], **known})


# --- the next word -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5, "top_k": 6, "top_p": 0.9}], ids=["plain", "drawn"])
def test_the_next_words_export_the_own_and_the_drawn_distribution(traces, english, settings: dict[str, Any]) -> None:
    """With settings: logits over the temperature, the six largest, then as few as hold nine tenths."""
    trace = traces["mamba"]
    figure = next_word.next_word([trace], theme=LIGHT, t=english, at=(4,), guesses=(7,), **settings)
    (column,) = figure.body.columns
    for at in range(11):
        z = trace.logits.values[at].astype(np.float64)
        order = sorted(range(12), key=lambda one: -z[one])
        scaled, keep = z / settings.get("temperature", 1.0), order[: settings.get("top_k", 12)]
        among = np.exp(scaled[keep]) / np.exp(scaled[keep]).sum()
        if settings:
            keep = keep[: 1 + int(np.searchsorted(among.cumsum(), 0.9))]
        drawn = {one: np.exp(scaled[one]) / np.exp(scaled[keep]).sum() for one in keep}
        own = probabilities(z)
        shown = [*order[:8], *([trace.tokens[at + 1].id] if at < 10 else [])]
        for n, one in enumerate(shown):
            assert column.labels[int(column.label[at, n])] == trace.label_of(one)
            assert (column.rank[at, n], column.logit[at, n]) == (1 + order.index(one), z[one])
            assert column.own[at, n] == pytest.approx(own[one])
            assert column.drawn[at, n] == pytest.approx(drawn.get(one, 0.0))
        assert column.kept[at] == len(keep)
        assert column.mass[at] == pytest.approx(probabilities(scaled)[keep].sum())
    z = trace.logits.values[4].astype(np.float64)
    assert column.guess == (trace.label_of(7), 1 + int((z > z[7]).sum()), pytest.approx(probabilities(z)[7]))
    assert (column.at, column.vocabulary) == (4, 12)


def test_the_parts_of_a_record_that_these_tests_read_are_those_of_the_table() -> None:
    """The named dimensions say which axis is which; these tests count on their order."""
    assert PARTS["attention"] == ("head", "query", "key") and PARTS["state"] == ("token", "channel", "d_state")
    assert NamedArray(np.zeros((2, 3)), PARTS["lens_probs"]).sizes == {"token": 2, "choice": 3}
