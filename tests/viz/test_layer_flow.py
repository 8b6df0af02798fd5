"""The stations of a hybrid: doors and weights are those of the run, arcs are its attention, and lies are red."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mechanism_page import mounted, parsed, sums, told

from models.records.trace import ModelTrace, NamedArray
from viz import proof
from viz.figure import Figure
from viz.gallery.evidence import completed
from viz.gallery.samples import attention_layer, mamba_layer, routed, trace_of
from viz.look.theme import LIGHT
from viz.mechanism import read
from viz.trace.layer_flow import READ, TILE, layer_flow, most_read

in_chromium = pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="no /usr/bin/chromium")


def many(layers: int) -> ModelTrace:
    """Return a record of many layers: attention in every fourth, experts in every second."""
    made = [attention_layer(n) if n % 4 == 2 else mamba_layer(n, "dense") for n in range(layers)]
    return completed(trace_of("jamba", tuple(routed(one) if one.index % 2 else one for one in made)))


def test_doors_weights_arcs_and_tiles_are_those_of_the_run(runs, t) -> None:
    trace = runs["jamba"]
    figure = layer_flow(trace, theme=LIGHT, t=t)
    assert proof.check(figure, trace).error < 1e-5
    planes = read(figure.body.payload()).planes
    for row, layer in enumerate(trace.layers_with("chosen_experts")):
        np.testing.assert_array_equal(planes["chosen_experts"][row], layer.part("chosen_experts"))
        np.testing.assert_allclose(planes["chosen_weights"][row], layer.part("chosen_weights"), rtol=1e-6)
    for row, layer in enumerate(trace.layers_with("attention")):
        mean = np.asarray(layer.part("attention"), np.float64).mean(0)
        for token, weights in enumerate(mean):
            best = sorted(range(token + 1), key=lambda key, own=weights: -own[key])[:READ]
            keys = planes["read_key"][row, token][: len(best)].astype(int)
            np.testing.assert_allclose(weights[keys], weights[best], rtol=1e-6)
            np.testing.assert_allclose(planes["read_weight"][row, token][: len(best)], weights[best], rtol=1e-5)
            assert np.isnan(planes["read_key"][row, token][len(best) :]).all()
    for row, layer in enumerate(trace.layers_with("state")):
        size = np.abs(np.asarray(layer.part("state"), np.float64))
        longest = np.argsort(-layer.part("half_life"), kind="stable")
        first = np.array_split(longest, TILE[0])[0]
        part = size[:, first][:, :, : -(-size.shape[2] // TILE[1])].mean((1, 2))
        np.testing.assert_allclose(planes["tile"][row, :, 0, 0], part, rtol=1e-4)


def with_data(figure: Figure, name: str, values: np.ndarray) -> Figure:
    """Put another array in a plane and in what is exported."""
    body: Any = figure.body
    planes = {**body.planes, name: dataclasses.replace(body.planes[name], values=values)}
    data = {**figure.data, name: NamedArray(values, figure.data[name].dims)}
    return dataclasses.replace(figure, body=dataclasses.replace(body, planes=planes), data=data)


@pytest.mark.parametrize("axis", [0, 1], ids=["another layer", "another token"])
@pytest.mark.parametrize("name", ["chosen_experts", "chosen_weights", "kept", "tile", "written"])
def test_a_shifted_layer_or_token_is_red(runs, english, name: str, axis: int) -> None:
    trace = runs["jamba"]
    figure = layer_flow(trace, theme=LIGHT, t=english)
    lie = np.roll(np.array(figure.data[name].values), 1, axis=axis)
    assert not proof.check(with_data(figure, name, lie), trace).passed


@pytest.mark.parametrize("name", ["read_key", "read_weight"])
def test_arcs_of_another_token_or_weaker_ones_are_red(runs, english, name: str) -> None:
    trace = runs["jamba"]
    figure = layer_flow(trace, theme=LIGHT, t=english)
    values = np.array(figure.data[name].values)
    for lie in (np.roll(values, 1, axis=1), np.roll(values, 1, axis=2), values * 0.9, np.full_like(values, np.nan)):
        assert not proof.check(with_data(figure, name, lie), trace).passed


def test_stations_of_another_plan_and_other_words_are_red(runs, english) -> None:
    trace = runs["jamba"]
    figure = layer_flow(trace, theme=LIGHT, t=english)
    body: Any = figure.body

    def passed(**changes: Any) -> bool:
        return proof.check(dataclasses.replace(figure, body=dataclasses.replace(body, **changes)), trace).passed

    stations = [dict(one) for one in body.settings["stations"]]
    swapped = [*stations[:1], stations[3], stations[2], stations[1], *stations[4:]]
    assert passed() and not passed(settings={**body.settings, "stations": swapped})
    assert not passed(steps=body.steps[::-1]) and not passed(tokens=body.tokens[::-1])
    crossed = [{**one, "routed": {0: 1, 1: 0}.get(one["routed"], one["routed"])} for one in stations]
    assert not passed(settings={**body.settings, "stations": crossed})
    assert not passed(planes={name: one for name, one in body.planes.items() if name != "tile"})


@pytest.mark.parametrize("layers", [2, 4, 40])
def test_any_number_of_layers(t, layers: int) -> None:
    trace = many(layers)
    figure = layer_flow(trace, theme=LIGHT, t=t)
    assert [step.key for step in figure.body.steps] == [str(n) for n in range(layers)]
    assert [one["reads"] >= 0 for one in figure.body.settings["stations"]] == [n % 4 == 2 for n in range(layers)]
    assert len(figure.each) == len(trace.tokens)


def test_a_token_alone_reads_itself() -> None:
    keys, weights = most_read(np.array([[1.0]]))
    assert keys.tolist() == [[0.0]] and weights.tolist() == [[1.0]]
    keys, weights = most_read(np.array([[1.0, 0.0], [0.25, 0.75]]))
    assert np.isnan(keys[0, 1]) and keys[1].tolist() == [1.0, 0.0] and weights[1].tolist() == [0.75, 0.25]


@in_chromium
@pytest.mark.parametrize("width", [330, 760, 1180])
def test_every_number_of_a_step_is_one_of_the_payload(blank, runs, english, width: int) -> None:
    trace = runs["jamba"]
    figure = layer_flow(trace, theme=LIGHT, t=english)
    page = mounted(blank(width), figure.body, width=width)
    planes = read(figure.body.payload()).planes
    for layer, station in enumerate(figure.body.settings["stations"]):
        page.locator(".step").nth(layer).click()
        page.wait_for_timeout(500)
        said = page.locator(".says").inner_text()
        assert f"Layer {layer}," in said and "{" not in said
        for one in [*sums(page), *told(page)]:
            if one["plane"]:
                assert parsed(one["text"]) == pytest.approx(planes[one["plane"]][tuple(one["at"])], rel=6e-3)
        if station["routed"] >= 0:
            own = trace.layer(layer)
            chosen, weights = own.part("chosen_experts")[-1], own.part("chosen_weights")[-1]
            assert all(f"expert {expert} (" in said for expert in chosen)
            (total,) = [one for one in sums(page) if one["name"] == "total"]
            assert parsed(total["text"]) == pytest.approx(float(weights.sum()), rel=6e-3)
    box = page.locator(".root").bounding_box()
    assert box["height"] <= figure.body.height(width) + 1
    assert page.errors == []


@in_chromium
def test_a_door_names_the_words_that_took_it_and_a_word_its_experts(blank, runs, english) -> None:
    trace = runs["jamba"]
    figure = layer_flow(trace, theme=LIGHT, t=english)
    page = mounted(blank(1180), figure.body, width=1180)
    routed_layers = trace.layers_with("chosen_experts")
    found: dict[tuple[int, int], str] = {}
    for x in range(200, 1180, 20):
        for y in range(60, 570, 14):
            page.mouse.move(x, y)
            tip = page.locator(".tip.on")
            if tip.count() and "expert" in (first := tip.locator("div").first.inner_text()):
                numbers = [int(part) for part in first.replace("expert ", "").split(" of layer ")]
                found[numbers[1], numbers[0]] = tip.locator("div").nth(1).inner_text()
    assert {layer for layer, _ in found} == {layer.index for layer in routed_layers}
    for (layer, expert), said in found.items():
        takers = (trace.layer(layer).part("chosen_experts") == expert).any(1).sum()
        assert said == english("viz.layer_flow.nobody") if not takers else said.startswith(f"{takers} words: ")
    assert len(found) == 8 * len(routed_layers)
    assert page.errors == []


@in_chromium
def test_many_layers_are_drawn_in_groups_and_keys_walk_words_layers_and_doors(blank, english) -> None:
    trace = many(40)
    figure = layer_flow(trace, theme=LIGHT, t=english)
    page = mounted(blank(760), figure.body, width=760)
    page.locator(".step").nth(33).click()
    page.wait_for_timeout(500)
    assert "Layer 33," in page.locator(".says").inner_text()
    page.locator(".stage").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("window.store.get().token") == len(trace.tokens) - 2
    page.keyboard.press("ArrowUp")
    assert "Layer 32," in page.locator(".says").inner_text()
    page.keyboard.press("Shift+ArrowDown")
    assert page.errors == []
