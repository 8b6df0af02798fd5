"""What is counted over experts: known answers, every order of a text, and pictures that are spoiled."""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import permutations
from math import log
from typing import Any

import numpy as np
import pytest

from models import scores
from models.counting import accounting
from models.counting.memory import attending, memory_curve
from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray, Token
from models.sources import catalogue
from viz import proof
from viz.charts.memory import active_parameters, memory_growth
from viz.figure import Figure
from viz.finder import Finder
from viz.look.theme import LIGHT
from viz.trace.expert_finder import expert_finder
from viz.trace.expert_load import expert_balance, expert_load
from viz.trace.expert_locality import expert_locality
from viz.trace.expert_pairs import expert_pairs
from viz.trace.expert_words import expert_words, most_telling
from viz.trace.router import router_bars
from viz.trace.routing import expert_lanes

COUNTS: dict[str, tuple[Callable[..., Figure], dict[str, Any]]] = {
    "expert_load": (expert_load, {}),
    "expert_balance": (expert_balance, {}),
    "expert_pairs": (expert_pairs, {"layer": 1}),
    "expert_locality": (expert_locality, {}),
    "expert_words": (expert_words, {"layer": 1, "expert": 0}),
}


@pytest.fixture
def routed(traces) -> Callable[..., ModelTrace]:
    """Give a function that sends tokens of some ids to experts of given order, one layer after the other."""

    def built(layers: Sequence[Sequence[Sequence[int]]], ids: Sequence[int], *, experts: int = 4) -> ModelTrace:
        found = []
        for index, rows in enumerate(layers):
            chosen = np.array(rows)
            logits = np.full((len(rows), experts), -1.0, np.float32) - np.arange(experts, dtype=np.float32) / 8
            for token, own in enumerate(chosen):
                logits[token, own] = 3.0 - np.arange(len(own))
            probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            weights = np.take_along_axis(probs, chosen, 1)
            each = np.stack([np.outer(np.arange(1, len(rows) + 1), [1.0 + e, 2.0 - e]) for e in range(experts)], 1)
            output = (weights[..., None] * np.take_along_axis(each, chosen[..., None], 1)).sum(1)
            parts = {"router_logits": logits, "router_probs": probs, "chosen_experts": chosen,
                     "chosen_weights": weights, "expert_output": each, "mixture_output": output}  # fmt: skip
            named = {name: NamedArray(np.array(value), PARTS[name]) for name, value in parts.items()}
            found.append(LayerTrace(index, "mamba", "moe", named))
        tokens = tuple(Token(n, one, f"w{one}", n, n + 1) for n, one in enumerate(ids))
        return dataclasses.replace(traces["jamba"], tokens=tokens, layers=tuple(found))

    return built


# --- numbers -------------------------------------------------------------------------------------------------------
def test_an_even_router_has_the_known_measures() -> None:
    """J-f: the auxiliary loss of transformers is top_k at an even router, and 8 when all goes to 2 of 8."""
    chosen = np.array([[n % 8, (n + 4) % 8] for n in range(8)])
    even = scores.balance(np.full((8, 8), 1 / 8), chosen)
    assert even == pytest.approx((1.0, 1.0, 0, 2.0))
    collapsed = np.tile([0.5, 0.5, 0, 0, 0, 0, 0, 0], (5, 1))
    assert scores.balance(collapsed, np.tile([0, 1], (5, 1))) == pytest.approx((log(2) / log(8), 4.0, 6, 8.0))


def test_the_auxiliary_loss_is_that_of_transformers() -> None:
    torch = pytest.importorskip("torch")
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    logits = np.sin(np.arange(48.0) ** 1.5).reshape(8, 6).astype(np.float32)
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    chosen = np.argsort(-logits, axis=1)[:, :3]
    known = load_balancing_loss_func((torch.from_numpy(logits),), num_experts=6, top_k=3)
    assert scores.balance(probs, chosen).auxiliary == pytest.approx(float(known), rel=1e-5)


def test_pairs_are_symmetric_and_rows_add_up() -> None:
    """J-e."""
    chosen = np.array([[0, 1, 4], [1, 2, 0], [4, 3, 1], [2, 0, 1]])
    counts = scores.pair_counts(chosen, 6)
    assert (counts == counts.T).all() and (np.diagonal(counts) == 0).all()
    assert counts.sum(1).tolist() == (2 * np.bincount(chosen.ravel(), minlength=6)).tolist()
    assert counts[0, 1] == 3 and counts[4, 3] == 1 and counts[5].sum() == 0


@pytest.mark.parametrize(("experts", "choices", "first", "common"), [(8, 2, 0.125, 13 / 28), (16, 2, 0.0625, 29 / 120)])
def test_chance_of_an_even_draw(experts: int, choices: int, first: float, common: float) -> None:
    """J-i: Mixtral 12.5 % and 46.4 %, Jamba 6.25 % and 24.2 %."""
    assert scores.even_repeats(experts, choices) == pytest.approx((first, common))
    pairs = [(a, b) for a in range(experts) for b in range(a)]
    shared = sum(bool({*one} & {*other}) for one in pairs for other in pairs) / len(pairs) ** 2
    assert shared == pytest.approx(common)
    assert scores.even_repeats(3, 2).common == 1 and scores.even_repeats(4, 4) == (0.25, 1)


def test_the_mean_over_all_orders_is_exact() -> None:
    texts = [np.array([[0, 1], [0, 2], [3, 1], [2, 0], [0, 3]]), np.array([[1, 0], [2, 3]]), np.array([[1, 2]])]
    orders = [scores.repeats([texts[0][list(order)]], 4) for order in permutations(range(5))]
    assert scores.shuffled_repeats(texts[:1], 4) == pytest.approx(tuple(np.mean(orders, axis=0)))
    both = (4 * np.array(scores.shuffled_repeats(texts[:1], 4)) + np.array(scores.repeats(texts[1:2], 4))) / 5
    assert scores.shuffled_repeats(texts, 4) == pytest.approx(tuple(both)), "the ends of two texts are no neighbours"
    assert np.isnan(scores.repeats(texts[2:], 4)).all() and np.isnan(scores.shuffled_repeats(texts[2:], 4)).all()


def test_alike_things_stand_together() -> None:
    alike = np.zeros((5, 5))
    for one, other, value in ((0, 3, 0.9), (1, 4, 0.8), (3, 2, 0.3)):
        alike[one, other] = alike[other, one] = value
    order = scores.clustered(alike)
    assert sorted(order) == list(range(5))
    place = {expert: n for n, expert in enumerate(order)}
    assert abs(place[0] - place[3]) == 1 and abs(place[1] - place[4]) == 1 and abs(place[2] - place[3]) == 1
    assert scores.clustered(np.zeros((0, 0))) == [] and scores.clustered(np.ones((1, 1))) == [0]


def test_parts_that_are_kept_alone(runs) -> None:
    small = runs["jamba"].only(("router_probs", "chosen_experts"))
    assert len(small.layers) == len(runs["jamba"].layers) and small.logits.values.size == 0
    assert {name for layer in small for name in layer.parts} == {"router_probs", "chosen_experts"}
    assert small.layer(3).part("router_probs") is runs["jamba"].layer(3).part("router_probs")


# --- figures -------------------------------------------------------------------------------------------------------
ROWS = [[[0, 1], [0, 1], [2, 0], [3, 2], [0, 3]], [[1, 2], [3, 2], [1, 0], [1, 2], [2, 3]]]
IDS = [7, 7, 5, 9, 7]


def drawn(name: str, of: Any, t: Any, **more: Any) -> tuple[Figure, dict[str, Any]]:
    draw, options = COUNTS[name]
    options = options | more
    return draw(of, theme=LIGHT, t=t, **options), options


def checked(figure: Figure, of: Any, options: dict[str, Any]) -> Any:
    found = proof.check(figure, of, **options)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("several", [False, True])
def test_counts_stand_up_to_loops_over_one_text_and_several(routed, t, name: str, several: bool) -> None:
    one = routed(ROWS, IDS)
    of = (
        [one, routed([rows[:2] for rows in ROWS], IDS[:2]), routed([rows[:1] for rows in ROWS], [9])]
        if several
        else one
    )
    figure, options = drawn(name, of, t)
    assert checked(figure, of, options).error < 1e-6


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("lie", ["other text", "other layer", "next expert", "token before", "fewer texts"])
def test_counts_of_something_else_are_red(routed, english, name: str, lie: str) -> None:
    one, two = routed(ROWS, IDS), routed([rows[::-1] for rows in ROWS], [1, 2, 3, 1, 1])
    figure, options = drawn(name, [one, two], english)
    turned = [[[(e + 1) % 4 for e in own] for own in rows] for rows in ROWS]
    shifted = [rows[-1:] + rows[:-1] for rows in ROWS]
    wrong = {
        "other text": [one, routed([[[3, 0], [0, 1]], [[2, 1], [0, 3]]], [7, 1])], "fewer texts": [two],
        "other layer": [routed(ROWS[::-1], IDS), routed([rows[::-1] for rows in ROWS[::-1]], [1, 2, 3, 1, 1])],
        "next expert": [routed(turned, IDS), two], "token before": [routed(shifted, IDS), two],
    }[lie]  # fmt: skip
    same = {
        "token before": ("expert_load", "expert_balance", "expert_pairs"),
        "fewer texts": ("expert_load", "expert_balance", "expert_locality"),
        "next expert": ("expert_locality",),
    }
    if name in same.get(lie, ()):
        assert checked(figure, wrong, options).passed, "neither order nor names change what is counted"
    else:
        assert not checked(figure, wrong, options).passed


def test_known_counts_are_drawn(routed, english) -> None:
    one = routed(ROWS, IDS)
    assert expert_load(one, theme=LIGHT, t=english).data["load"].values[0].tolist() == [0.4, 0.2, 0.2, 0.2]
    pairs = expert_pairs(one, theme=LIGHT, t=english, layer=0, by_cluster=False)
    np.testing.assert_allclose(pairs.data["share"].values[0, 1:], [0.5, 0.25, 0.25])
    assert pairs.data["order"].values.tolist() == [0, 1, 2, 3]
    near = expert_locality(one, theme=LIGHT, t=english).data["repeated"].values
    assert near[:, 0].tolist() == [0.25, 0.75 + 0.25], "first: 0 0; common: every pair"
    words = expert_words(one, theme=LIGHT, t=english, layer=0, expert=1)
    load = 2 / 5
    assert words.data["token_id"].values.tolist() == [7]
    assert (words.data["sent"].values[0], words.data["seen"].values[0]) == (2, 3)
    assert words.data["share"].values[0] == pytest.approx((2 + 2 * load) / (3 + 2))
    assert most_telling(one, 0) in range(4)
    assert english("viz.expert_words.nothing") in expert_words(
        routed([[[0, 1]]], [3]), theme=LIGHT, t=english, layer=0, expert=3).finding  # fmt: skip


@pytest.mark.parametrize("choices", [1, 3])
def test_any_number_of_choices_and_one_or_two_tokens(routed, t, choices: int) -> None:
    """W8."""
    rows = [[[2, 0, 1][:choices], [1, 3, 0][:choices]]]
    for tokens in (1, 2):
        of = routed([rows[0][:tokens]], [5, 6][:tokens])
        for name in COUNTS:
            if name == "expert_pairs" and choices == 1:
                continue
            figure, options = drawn(name, of, t, **({"layer": 0} if "layer" in COUNTS[name][1] else {}))
            check = checked(figure, of, options)
            assert check.passed or (name == "expert_locality" and tokens == 1), (name, check)
        router = router_bars(of, theme=LIGHT, t=t, layer=0)
        assert proof.check(router, of, layer=0).passed
        lanes = expert_lanes(of, theme=LIGHT, t=t)
        assert proof.check(lanes, of).passed
        probs = -np.sort(-of.layer(0).part("router_probs"), axis=1)
        np.testing.assert_allclose(lanes.data["margin"].values[0], probs[:, choices - 1] - probs[:, choices], rtol=1e-5)
        assert f"p{choices} − p{choices + 1}" in lanes.body.grid.cell_names[0][0]


def test_another_temperature_keeps_the_order_and_is_checked(runs, english) -> None:
    trace = runs["jamba"]
    own = router_bars(trace, theme=LIGHT, t=english, layer=3)
    for temperature in (0.25, 4.0):
        figure = router_bars(trace, theme=LIGHT, t=english, layer=3, temperature=temperature)
        logits = np.asarray(trace.layer(3).part("router_logits"), np.float64) / temperature
        known = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(figure.data["router_probs"].values, known, rtol=1e-4)
        assert (figure.data["router_probs"].values.argmax(1) == own.data["router_probs"].values.argmax(1)).all()
        assert proof.check(figure, trace, layer=3, temperature=temperature).passed
        assert not proof.check(figure, trace, layer=3, temperature=1.0).passed
        assert english("viz.router_bars.changed", temperature=f"{temperature:g}") in figure.note


def test_what_the_model_does_with_its_weights_is_read_from_the_run(routed, t) -> None:
    one = routed(ROWS, IDS)
    weights = one.layer(0).part("chosen_weights")
    low, high = (f"{pick(weights.sum(1)):.2f}" for pick in (np.min, np.max))
    assert t("viz.experts.as_they_are", low=low, high=high) in router_bars(one, theme=LIGHT, t=t, layer=0).note

    def other(values: np.ndarray) -> ModelTrace:
        parts = dict(one.layer(0).parts) | {"chosen_weights": NamedArray(values, PARTS["chosen_weights"])}
        return dataclasses.replace(one, layers=(dataclasses.replace(one.layer(0), parts=parts), *one.layers[1:]))

    rescaled = router_bars(other(weights / weights.sum(1, keepdims=True)), theme=LIGHT, t=t, layer=0)
    assert t("viz.experts.rescaled") in rescaled.note
    halved = router_bars(other(weights / 2), theme=LIGHT, t=t, layer=0)
    assert t("viz.experts.as_they_are", low=low, high=high) not in halved.note
    assert t("viz.experts.rescaled") not in halved.note


# --- finder --------------------------------------------------------------------------------------------------------
def test_the_finder_lists_every_expert_and_is_checked(routed, t) -> None:
    traces = [routed(ROWS, IDS), routed([rows[::-1] for rows in ROWS], [1, 2, 3, 1, 1]), routed(ROWS, IDS)]
    figure = expert_finder(traces, theme=LIGHT, t=t, marked=(1, 2))
    assert proof.check(figure, traces).error < 1e-6
    assert isinstance(figure.body, Finder) and figure.body.marked == (1, 2)
    assert list(zip(figure.body.layers, figure.body.items, strict=True)) == [(n, e) for n in (0, 1) for e in range(4)]
    assert figure.data["load_here"].values[:4].tolist() == [0.4, 0.2, 0.2, 0.2]
    assert figure.data["again_here"].values[0] == pytest.approx(2 / 3), "expert 0: tokens 1, 2 and 4 follow another"
    for wrong in (traces[::-1][:1] + traces[1:2], [traces[1], *traces[1:]], [routed(ROWS[::-1], IDS), *traces[1:]]):
        assert not proof.check(figure, wrong).passed


# --- memory --------------------------------------------------------------------------------------------------------
def published() -> Any:
    return accounting.shape_of(catalogue.config_of(catalogue.find("jamba-v0.1")))


def test_the_published_jamba_is_counted_as_it_is_published() -> None:
    """J-h: 4 GiB at 256 K in 16 bit, 32 with attention everywhere; 51.57 B parameters, 12.11 B active."""
    shape = published()
    curve = memory_curve(shape, (0, 1, 262_144))
    assert curve.keys_values == (0, 16_384, 4 * 2**30) and curve.all_attention[-1] == 32 * 2**30
    assert sum(curve.total.values()) == 51_570_323_328 and sum(curve.active.values()) == 12_110_311_296
    assert curve.weights == 2 * 51_570_323_328
    assert curve.state == 28 * 8192 * (16 * 4 + 4 * 2), "h in 32 bit, the convolution in 16"
    assert attending(shape).count("attention") == 32 and attending(shape).count("mamba") == 0


def test_the_areas_and_the_bars_are_the_counts(t) -> None:
    curve = memory_curve(published(), (0, 1024, 262_144))
    figure = memory_growth(curve, theme=LIGHT, t=t)
    areas = {one["meta"]: one for one in figure.body.data if "stackgroup" in one}
    assert list(areas) == ["weights", "state", "keys_values"]
    assert areas["keys_values"]["y"] == [float(n) for n in curve.keys_values]
    assert areas["weights"]["y"] == [float(curve.weights)] * 3 and areas["state"]["y"] == [float(curve.state)] * 3
    whole, alone = (one["y"] for one in figure.body.data if one["meta"] == "all_attention")
    assert alone == [float(n) for n in curve.all_attention]
    assert whole == [n + curve.weights for n in alone]
    assert "4 GiB" in figure.finding and "32 GiB" in figure.finding
    bars = active_parameters(curve, theme=LIGHT, t=t)
    sums = np.array([one["x"] for one in bars.body.data]).sum(0)
    assert sums.tolist() == [51_570_323_328, 12_110_311_296]
    assert "12.1B" in bars.finding
