"""The path of a state: known components, shares that add up, and a check that finds every spoiled point."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from plot_spec import sent

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz import proof
from viz.figure import Figure
from viz.look.theme import DARK, LIGHT
from viz.trace.state_path import principal, state_path, states_of


def with_states(trace: ModelTrace, states: np.ndarray) -> ModelTrace:
    """Give the first layer of a sample of Mamba other states, (token, channel, d_state)."""
    layer = trace.layers[0]
    parts = {**layer.parts, "state": NamedArray(states, ("token", "channel", "d_state"))}
    return dataclasses.replace(trace, layers=(dataclasses.replace(layer, parts=parts), *trace.layers[1:]))


def drawn(figure: Figure) -> list[np.ndarray]:
    paths = [one for one in sent(figure)["data"] if one["meta"] == "path"]
    return [np.array([one[axis] for axis in "xyz"]).T for one in paths]


def test_components_of_a_known_cloud() -> None:
    """Points on three axes of known lengths, turned: variances 9, 4, 1 and a fourth of 0.25, 14.25 in all."""
    known = np.zeros((8, 4))
    for axis, length in enumerate((3.0, 2.0, 1.0, 0.5)):
        known[2 * axis : 2 * axis + 2, axis] = length, -length
    turn = np.linalg.qr(np.arange(16.0).reshape(4, 4) ** 1.5 + np.eye(4))[0]
    points, shares = principal(known @ turn + 7.0)
    np.testing.assert_allclose(shares, np.array([9, 4, 1]) / 14.25, rtol=1e-12)
    np.testing.assert_allclose(np.abs(points), np.abs(known[:, :3]), atol=1e-12)


def test_states_that_do_not_differ_have_no_direction() -> None:
    points, shares = principal(np.full((5, 7), 0.3))
    assert not points.any() and not shares.any()


def test_two_states_have_one_direction() -> None:
    points, shares = principal(np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(shares, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.abs(points[:, 0]), [1.5, 1.5])


@pytest.mark.parametrize("name", ["mamba", "rwkv"])
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_points_keep_the_distances_of_the_states_up_to_the_share_that_is_lost(runs, name: str, theme, t) -> None:
    traces = [runs[name], runs[name]]
    figure = state_path(traces, theme=theme, t=t, layer=1)
    first, second = drawn(figure)
    np.testing.assert_allclose(first, second, atol=1e-9 * np.abs(first).max())
    np.testing.assert_array_equal(first, figure.data["path_1"].values)
    states = states_of(runs[name].layer(1))
    spread = ((states - states.mean(0)) ** 2).sum()
    assert (first**2).sum() / spread == pytest.approx(figure.data["share"].values.sum())
    lost = f"{max(0.0, 1 - figure.data['share'].values.sum()):.0%}"
    assert lost in figure.finding and lost in figure.note
    titles = [sent(figure)["layout"]["scene"][f"{axis}axis"]["title"]["text"] for axis in "xyz"]
    shares = [f"{share:.0%}" for share in figure.data["share"].values]
    assert titles == [t("viz.state_path.axis", number=n + 1, share=share) for n, share in enumerate(shares)]
    assert sent(figure)["layout"]["scene"]["aspectmode"] == "data", "one scale for all three axes"
    assert len(figure.body.table.rows) == len(first) + len(second)


def test_rwkv_reads_the_mean_and_not_the_sum(runs) -> None:
    layer = runs["rwkv"].layers[0]
    known = layer.part("wkv_num").astype(np.float64) / layer.part("wkv_den")
    np.testing.assert_array_equal(states_of(layer), known)


@pytest.mark.parametrize("name", ["mamba", "rwkv"])
def test_the_check_is_green_and_finds_what_is_spoiled(runs, name: str, english) -> None:
    traces = [runs[name], runs[name]]

    def error(spoil: Any = None, **choice: int) -> float:
        figure = state_path(traces, theme=LIGHT, t=english, layer=1)
        if spoil is not None:
            spoil(figure, [one for one in figure.body.data if one["meta"] == "path"])
        check = proof.check(figure, traces, **({"layer": 1} | choice))
        return check.error if check.passed else 9.0

    def moved(_: Figure, paths: list[dict[str, Any]]) -> None:
        paths[1]["z"][2] += 0.1 * max(map(abs, paths[1]["x"]))

    def swapped(_: Figure, paths: list[dict[str, Any]]) -> None:
        paths[0]["x"], paths[0]["y"] = paths[0]["y"], paths[0]["x"]

    def renamed(_: Figure, paths: list[dict[str, Any]]) -> None:
        paths[0]["customdata"][1] += "x"

    def reversed_(_: Figure, paths: list[dict[str, Any]]) -> None:
        for axis in "xyz":
            paths[0][axis].reverse()

    def overstated(figure: Figure, _: object) -> None:
        figure.data["share"] = NamedArray(figure.data["share"].values * 1.1, ("component",))  # type: ignore[index]

    assert error() < 1e-9
    for spoil in (moved, swapped, renamed, reversed_, overstated):
        assert error(spoil) == 9.0, spoil
    assert error(layer=0) == 9.0, "the states of another layer"


def test_words_of_a_text_open_no_tag(traces, english) -> None:
    bad = "<a href='https://x'>%{x}"
    tokens = tuple(dataclasses.replace(one, label=bad) for one in traces["mamba"].tokens)
    trace = dataclasses.replace(traces["mamba"], prompt=bad, tokens=tokens)
    for one in sent(state_path([trace], theme=LIGHT, t=english))["data"]:
        read = " ".join([one.get("name", ""), *one.get("customdata", [])])
        assert "<a" not in read and "%{x}" not in read
        assert "<a" not in " ".join(one.get("text", []))


def test_equal_states_draw_one_point_and_claim_nothing(traces, english) -> None:
    trace = traces["mamba"]
    flat = with_states(trace, np.ones(trace.layers[0].part("state").shape, np.float32))
    figure = state_path([flat], theme=LIGHT, t=english, layer=trace.layers[0].index)
    assert figure.finding == "" and not drawn(figure)[0].any()


def test_the_layer_is_the_middle_one_where_none_is_chosen(traces, english) -> None:
    layers: list[LayerTrace] = list(traces["mamba"].layers_with("state"))
    figure = state_path([traces["mamba"]], theme=LIGHT, t=english)
    assert f"layer {layers[len(layers) // 2].index}" in figure.alt
