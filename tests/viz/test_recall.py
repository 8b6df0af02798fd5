"""Recall figures: what is drawn is what was measured, what is not measured stays empty, the border is where it is."""

import json

import numpy as np
import pytest

from models.records.recall import Accuracy
from viz.look.theme import DARK, LIGHT
from viz.recall.maps import layout_of, recall_against_bytes, recall_lessons, recall_map, recall_seeds


def cell(at: dict[str, int], accuracy: float, *, bytes_carried: int = 2048) -> Accuracy:
    return Accuracy(at, accuracy, 0.0, 1.0, 640, 100, bytes_carried)


def cells(scale: float) -> list[Accuracy]:
    return [
        cell({"distance": d, "pairs": p}, scale * (1 - p / 20), bytes_carried=1024 * d)
        for d in (16, 64, 128)
        for p in (2, 8)
    ]


def eighth(at: dict[str, int]) -> float:
    return 0.125


CELLS = {"transformer": cells(1.0), "mamba": cells(0.5)[:3], "rwkv": []}
LAYOUT = layout_of(cells(1.0), ("distance", "pairs"), guess=eighth, trained_to=64)


def rows(figure) -> list[dict]:
    return [row for data in figure.body.to_dict()["datasets"].values() for row in data]


def test_cells_lie_on_their_axes() -> None:
    assert (LAYOUT.places, LAYOUT.rows) == ([16, 64, 128], [2, 8])
    single = layout_of(
        [cell({"distance": 4}, 1.0), cell({"distance": 9}, 1.0)], ("distance",), guess=eighth, trained_to=9
    )
    assert (single.up, list(single.rows)) == (None, [0])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_map_draws_what_was_measured_and_nothing_else(english, theme) -> None:
    figure = recall_map(CELLS, LAYOUT, theme=theme, t=english)
    accuracy = figure.data["accuracy"].values
    assert accuracy.shape == (3, 2, 3)
    assert accuracy[0, 1, 0] == pytest.approx(0.6)  # transformer, 8 pairs, distance 16
    assert accuracy[1, 0, 1] == pytest.approx(0.45)
    assert np.isnan(accuracy[1, 1, 1])
    assert np.isnan(accuracy[2]).all()
    drawn = {(r["column"], r["row"]): r for r in rows(figure) if r.get("measured")}
    assert len(drawn) == 9
    assert drawn["mamba|64", "2"]["short"] == "45"
    assert drawn["transformer|16", "8"]["share"] == "60.0%"


def test_colour_grows_with_accuracy_and_starts_at_guessing(english) -> None:
    ladder = {"rwkv": [cell({"distance": d, "pairs": 2}, a) for d, a in ((1, 0.0), (2, 0.125), (3, 0.5), (4, 1.0))]}
    layout = layout_of(ladder["rwkv"], ("distance", "pairs"), guess=eighth, trained_to=9)
    colors = {
        r["column"]: r["color"] for r in rows(recall_map(ladder, layout, theme=LIGHT, t=english)) if r.get("measured")
    }
    assert colors["rwkv|1"] == colors["rwkv|2"] == LIGHT.card  # below chance is no less than chance
    assert len(set(colors.values())) == 3
    assert colors["rwkv|4"] == LIGHT.color("rwkv")


def test_every_cell_has_a_guess_of_its_own(english) -> None:
    """Equal accuracy has less colour where a guess is right more often; the line of guessing is their mean."""
    level = {"mamba": [cell({"distance": 1, "pairs": p}, 0.5) for p in (2, 8)]}

    def guess(at: dict[str, int]) -> float:
        return 1 / at["pairs"]

    layout = layout_of(level["mamba"], ("distance", "pairs"), guess=guess, trained_to=9)
    drawn = {r["row"]: r for r in rows(recall_map(level, layout, theme=LIGHT, t=english)) if r.get("measured")}
    assert drawn["2"]["color"] == LIGHT.card != drawn["8"]["color"]
    assert (drawn["2"]["guess"], drawn["8"]["guess"]) == ("50.0%", "12.5%")
    runs = {"mamba": [(0, level["mamba"]), (1, level["mamba"])]}
    figure = recall_seeds(runs, theme=LIGHT, t=english, bundled=0, guess=guess)
    assert figure.data["guess"].values == pytest.approx([0.3125])
    assert "guessing 31%" in [r.get("text") for r in rows(figure)]


@pytest.mark.slow
def test_the_border_stands_before_the_first_distance_beyond_training(english) -> None:
    def borders(trained_to: int) -> set[str]:
        layout = layout_of(cells(1.0), ("distance", "pairs"), guess=eighth, trained_to=trained_to)
        spec = recall_map(CELLS, layout, theme=LIGHT, t=english).body.to_dict()
        rules = [layer for layer in spec["layer"] if layer.get("mark", {}).get("type") == "rule"]
        return {row["column"] for layer in rules for row in spec["datasets"][layer["data"]["name"]]}

    assert borders(64) == {"transformer|128", "mamba|128", "rwkv|128"}
    assert borders(16) == {"transformer|64", "mamba|64", "rwkv|64"}
    assert borders(128) == set()


def test_bytes_are_means_of_a_distance(english) -> None:
    figure = recall_against_bytes({"transformer": CELLS["transformer"]}, LAYOUT, theme=LIGHT, t=english)
    np.testing.assert_allclose(figure.data["transformer_bytes"].values, [16384, 65536, 131072])
    np.testing.assert_allclose(figure.data["transformer_accuracy"].values, [0.75] * 3)


def test_seeds_fill_the_bundled_one_only(english) -> None:
    runs = {"mamba": [(0, cells(1.0)), (1, cells(0.5))]}
    figure = recall_seeds(runs, theme=LIGHT, t=english, bundled=0, guess=eighth)
    assert [(r["seed"], r["kept"]) for r in rows(figure) if "seed" in r] == [(1, False), (0, True)]
    np.testing.assert_allclose(figure.data["accuracy"].values, [[0.75, 0.375]])


def test_lessons_draw_the_log(english) -> None:
    figure = recall_lessons({"rwkv": [(0, 3.0), (20, 1.5)]}, theme=LIGHT, t=english)
    np.testing.assert_allclose(figure.data["rwkv"].values, [[0, 3.0], [20, 1.5]])


def test_what_is_no_better_than_a_guess_is_hatched(english) -> None:
    at = [{"distance": d, "pairs": 2} for d in (1, 2, 3)]
    below, level, above = (
        Accuracy(at[i], share, low, 1.0, 640, 100, 9)
        for i, (share, low) in enumerate(((0.05, 0.03), (0.2, 0.12), (0.2, 0.13)))
    )
    layout = layout_of([below, level, above], ("distance", "pairs"), guess=eighth, trained_to=9)
    figure = recall_map({"rwkv": [below, level, above]}, layout, theme=LIGHT, t=english)
    drawn = {row["column"]: row["guessed"] for row in rows(figure) if row.get("measured")}
    assert drawn == {"rwkv|1": True, "rwkv|2": True, "rwkv|3": False}
    assert '"gradient": "linear"' in json.dumps(figure.body.to_dict())


def test_the_border_ends_above_the_bytes(english) -> None:
    spec = recall_map(CELLS, LAYOUT, theme=LIGHT, t=english).body.to_dict()
    (rule,) = [layer for layer in spec["layer"] if layer.get("mark", {}).get("type") == "rule"]
    (bars,) = [one for layer in spec["layer"] for one in layer.get("layer", ()) if one["mark"]["type"] == "bar"]
    top = min(bars["encoding"]["y"]["scale"]["range"])
    number = 11 + 3  # the size of a number above the highest bar, and its distance
    assert rule["encoding"]["y2"]["value"] <= top - number - 4


def test_maps_have_smaller_type_only_where_each_is_narrow(english) -> None:
    def narrow(names: tuple[str, ...]) -> str:
        cells_ = dict.fromkeys(names, CELLS["transformer"])
        return json.dumps(recall_map(cells_, LAYOUT, theme=LIGHT, t=english).body.to_dict())

    assert "width < 420" in narrow(("transformer", "mamba", "rwkv", "jamba"))
    assert "width < 105" in narrow(("mamba",)) and "width < 420" not in narrow(("mamba",))
