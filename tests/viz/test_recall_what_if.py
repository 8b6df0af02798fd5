"""Recall before and after a switch as drawn: every bar is the accuracy of its run and cell."""

import numpy as np
import pytest

from models.records.recall import Accuracy
from viz.look.theme import LIGHT
from viz.recall.what_if import recall_what_if


def cell(distance: int, accuracy: float) -> Accuracy:
    return Accuracy(
        {"distance": distance, "pairs": 4}, accuracy, accuracy - 0.02, min(1.0, accuracy + 0.03), 320, 40, 512
    )


CELLS = {"before": [cell(16, 0.95), cell(64, 0.5)], "after": [cell(16, 0.25), cell(64, 0.1)]}
LOOK = {"architecture": "rwkv", "across": "distance", "guess": lambda at: 1 / at["pairs"]}


def drawn(cells: dict, english):  # type: ignore[no-untyped-def]
    return recall_what_if(cells, theme=LIGHT, t=english, **LOOK)  # type: ignore[arg-type]


def test_bars_stand_under_their_distance_before_and_after(english) -> None:
    figure = drawn(CELLS, english)
    assert np.array_equal(figure.data["accuracy"].values, [[0.95, 0.5], [0.25, 0.1]])
    assert figure.data["accuracy"].dims == ("run", "distance")
    rows = [frame for frame in figure.body.rows.values() if {"value", "end", "color"} <= set(frame.columns)]
    bars = next(frame for frame in rows if frame["value"].eq(0).all())
    assert bars.sort_values("y")["end"].tolist() == [0.95, 0.25, 0.5, 0.1]
    assert set(bars["color"]) == {LIGHT.color("rwkv")}
    texts = [one for frame in figure.body.rows.values() if "text" in frame for one in frame["text"]]
    assert {"95%", "25%", "50%", "10%", "before", "after", "distance 16", "distance 64"} <= set(texts)
    heads = [one for frame in figure.body.rows.values() if "head" in frame for one in frame["head"]]
    assert set(heads) == {"guessing: 25%"}


def test_whiskers_are_the_intervals(english) -> None:
    figure = drawn(CELLS, english)
    frames = [
        frame
        for frame in figure.body.rows.values()
        if "end" in frame and "color" in frame and (frame["value"] > 0).all()
    ]
    (spans,) = frames
    known = sorted((one.low, one.high) for every in CELLS.values() for one in every)
    assert np.allclose(sorted(zip(spans["value"], spans["end"], strict=True)), known)


def test_the_finding_states_both_means_and_nothing_where_they_are_alike(english) -> None:
    assert drawn(CELLS, english).finding == "On average 18% of the answers are right instead of 72%."
    assert drawn({"before": CELLS["before"], "after": CELLS["before"]}, english).finding == ""
    turned = drawn({"before": CELLS["after"], "after": CELLS["before"]}, english)
    assert "72% of the answers are right instead of 18%" in turned.finding


def test_runs_of_unequal_cells_are_refused(english) -> None:
    with pytest.raises(ValueError, match="argument"):
        drawn({"before": CELLS["before"], "after": CELLS["after"][:1]}, english)
