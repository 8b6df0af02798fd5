"""Known answers of what a selective scan keeps: survival, reach, halving, order and labels of the step size."""

import dataclasses
import math

import numpy as np
import pytest
from proof_cases import TEXT, drawn, is_red, step_run, verdict

from models import registry
from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray
from viz import proof
from viz.gallery.samples import LENGTH
from viz.look.theme import LIGHT
from viz.trace.content_decay import content_decay, factors_of
from viz.trace.reach import mass_by_distance, mean_distance, reach_of
from viz.trace.state import dt_map
from viz.trace.state_times import state_difference
from viz.trace.step_sizes import auc, most_varying, separation, write_strength
from viz.trace.survival import EDGES, counted, survival_of
from viz.trace.token_steps import token_steps


def layer_of(**parts: list | np.ndarray) -> LayerTrace:
    arrays = {name: NamedArray(np.array(values, np.float64), PARTS[name]) for name, values in parts.items()}
    return LayerTrace(0, "mamba", "none", arrays)


def test_what_is_left_of_a_write_is_multiplied_on() -> None:
    """One component that halves at every step of 1, and is kept where the step is 0."""
    layer = layer_of(dt=[[1.0], [1.0], [0.0], [2.0]], decay_rates=[[-math.log(2)]], write_proj=[[3.0]] * 4,
                     scan_input=[[-1.0]] * 4)  # fmt: skip
    found = survival_of(layer)
    assert np.allclose(found[0], [1, 0.5, 0.5, 0.125]) and np.allclose(found[1, 1:], [1, 1, 0.25])
    assert found[2, 2] == 0, "nothing was written with a step of 0"
    assert np.isnan(found[np.tril_indices(4, -1)]).all()


def test_channels_count_by_what_they_write() -> None:
    layer = layer_of(dt=[[1.0, 1.0]] * 2, decay_rates=[[-math.log(2)], [-1e9]], write_proj=[[1.0]] * 2,
                     scan_input=[[1.0, 3.0]] * 2)  # fmt: skip
    assert survival_of(layer)[0].tolist() == [1.0, 0.125]


def test_a_single_word_has_all_of_itself() -> None:
    layer = layer_of(dt=[[1.0]], decay_rates=[[-1.0]], write_proj=[[1.0]], scan_input=[[2.0]])
    assert survival_of(layer).tolist() == [[1.0]]


def test_content_times_decay_is_alpha(traces: dict[str, ModelTrace]) -> None:
    layer, channel = traces["mamba"].layer(1), 5
    found = factors_of(layer, channel)
    dt, rates = (np.float64(layer.part(name)) for name in ("dt", "decay_rates"))
    for i in range(LENGTH):
        for j in range(LENGTH):
            terms = [
                float(layer.part("read_proj")[i, n] * layer.part("write_proj")[j, n]) * dt[j, channel]
                * math.exp(rates[channel, n] * dt[j + 1 : i + 1, channel].sum())
                for n in range(rates.shape[1])
            ] if j <= i else [0.0]  # fmt: skip
            assert found.alpha[i, j] == pytest.approx(sum(terms), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("component", [None, 0, 3])
def test_the_chosen_component_is_drawn(component: int | None, traces: dict[str, ModelTrace], t) -> None:
    figure = content_decay(traces["mamba"], theme=LIGHT, t=t, layer=1, channel=5, component=component)
    found = factors_of(traces["mamba"].layer(1), 5)
    n = found.strongest() if component is None else component
    assert int(figure.data["component"].values[0]) == n
    assert np.allclose(figure.data["product"].values, found.product[n], atol=1e-6)


def test_mass_lies_where_the_map_reads() -> None:
    before = np.eye(6, k=-1)
    assert mass_by_distance(before).tolist() == [0, 1, 0, 0, 0, 0]
    assert mean_distance(mass_by_distance(before)) == 1 and reach_of(mass_by_distance(before)) == 1
    assert mean_distance(mass_by_distance(np.eye(4))) == 0 and reach_of(mass_by_distance(np.eye(4))) == 0
    even = mass_by_distance(-np.tri(4))
    assert np.allclose(even, [0.4, 0.3, 0.2, 0.1]) and mean_distance(even) == pytest.approx(1.0)
    assert reach_of(even) == 2 and reach_of(even, 0.4) == 0 and reach_of(even, 1.0) == 3
    assert mass_by_distance(np.zeros((3, 3))).tolist() == [0, 0, 0]
    assert mass_by_distance(np.ones((1, 1))).tolist() == [1]


def test_channels_are_counted_up_to_each_edge() -> None:
    found = counted(np.array([0.2, 1.0, 1.1, 2.0, 16.5, 128.0, 129.0, math.inf, math.nan]))
    named = dict(zip([*EDGES, "more", "never"], found.tolist(), strict=True))
    assert named == {1: 2, 2: 2, 4: 0, 8: 0, 16: 0, 32: 1, 64: 0, 128: 1, "more": 1, "never": 1}


def test_area_under_the_curve() -> None:
    scores = np.array([[3.0, 1.0, 1.0], [2.0, 2.0, 1.0], [1.0, 3.0, 1.0], [0.0, 4.0, 1.0]])
    assert auc(scores, [True, True, False, False]).tolist() == [1.0, 0.0, 0.5]
    assert separation(scores, ()) is None and separation(scores, (0, 1, 2, 3)) is None
    found = separation(scores, (0, 99))
    assert found is not None and found.count == 1 and found.channels.tolist() == [1.0, 0.0, 0.5]


def test_order_and_strength() -> None:
    dt = np.array([[1.0, 1.0, 5.0], [1.0, 8.0, 10.0]])
    assert most_varying(dt).tolist() == [1, 2, 0]
    assert write_strength(np.array([[2.0, 0.0]]), np.array([[3.0, 9.0]]), np.array([[3.0, 4.0]])).tolist() == [30.0]


def test_labelled_tokens_get_a_sentence(runs: dict[str, ModelTrace], english) -> None:
    trace = runs["mamba"]
    plain = dt_map(trace, theme=LIGHT, t=english, layer=5)
    told = dt_map(trace, theme=LIGHT, t=english, layer=5, marked=(2, 7))
    assert "auc" not in plain.data and "AUC" not in plain.finding and "AUC" in told.finding
    check = proof.check(told, trace, layer=5, marked=(2, 7))
    assert check is not None and check.passed
    wrong = NamedArray(1 - np.array(told.data["auc"].values), ("channel",))
    other = dataclasses.replace(told, data={**told.data, "auc": wrong})
    assert is_red(proof.check(other, trace, layer=5, marked=(2, 7)))  # type: ignore[arg-type]


def test_rows_stand_in_the_chosen_order(runs: dict[str, ModelTrace], english) -> None:
    trace = runs["mamba"]
    figure = dt_map(trace, theme=LIGHT, t=english, layer=5, order="variance")
    check = proof.check(figure, trace, layer=5, order="variance")
    assert check is not None and check.passed
    assert is_red(proof.check(figure, trace, layer=5))  # type: ignore[arg-type]


def test_a_state_does_not_differ_from_itself(traces: dict[str, ModelTrace], t) -> None:
    figure = state_difference(traces["mamba"], theme=LIGHT, t=t, layer=1, first=4, second=4)
    assert not np.abs(figure.data["difference"].values).any() and not figure.finding


@pytest.mark.parametrize("choice", [{"first": 4}, {"first": 3, "second": 7}])
def test_other_tokens_of_a_difference_are_red(choice: dict[str, int], runs: dict[str, ModelTrace]) -> None:
    figure = drawn("state_difference", runs["mamba"])
    assert is_red(verdict("state_difference", figure, runs["mamba"], **choice))


@pytest.mark.parametrize("name", registry.bundled())
def test_steps_give_the_logits_of_one_pass(name: str, runs: dict[str, ModelTrace], english) -> None:
    run, trace = step_run(name), runs[name]
    assert run.step_seconds.sizes == {"token": len(trace.tokens)} and run.pass_seconds > 0
    check = proof.check(token_steps(run, trace, theme=LIGHT, t=english), trace)
    assert check is not None and check.passed
    shifted = dataclasses.replace(run, next_logit=NamedArray(np.roll(run.next_logit.values, 1), ("token",)))
    wider = dataclasses.replace(run, difference=NamedArray(0.1 * np.array(run.scale.values), ("token",)))
    hidden = dataclasses.replace(run, next_logit=NamedArray(run.next_logit.values * 1.001, ("token",)))
    for other in (shifted, wider, hidden):
        assert not proof.check(token_steps(other, trace, theme=LIGHT, t=english), trace).passed  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["mamba", "jamba"])
@pytest.mark.parametrize("text", ["wolf", "wolf fox"])
def test_short_texts_can_be_drawn(name: str, text: str, english) -> None:
    from viz.trace.full_layer import full_layer
    from viz.trace.reach import reach
    from viz.trace.state_times import state_norm
    from viz.trace.survival import memory_histogram, survival

    trace = registry.trace(registry.load(name), text)
    for draw in (survival, memory_histogram, full_layer, state_norm, state_difference, content_decay, reach, dt_map):
        figure = draw(trace, theme=LIGHT, t=english)
        check = proof.check(figure, trace)
        assert check is not None and check.passed, (figure.id, check)
    assert trace.prompt != TEXT
