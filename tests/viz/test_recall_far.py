"""How far recall reaches: drawn accuracies, the line of guessing, the edge of training, and where each line falls."""

import json

import numpy as np
import pytest
from pandas import isna

from models.records.recall import Accuracy
from pages.shared.words import i18n
from viz.look.theme import LIGHT
from viz.recall.far import recall_far

DISTANCES = (16, 128, 1024)
SHARES = {"transformer": (0.9, 0.2, 0.1), "mamba": (0.8, 0.7, 0.3), "jamba": (1.0, 0.9, 0.625)}


def cells(shares=SHARES):
    return {
        name: [
            Accuracy({"distance": d, "pairs": 4}, s, s - 0.05, s + 0.04, 100, d, 9)
            for d, s in zip(DISTANCES, own, strict=False)
        ]
        for name, own in shares.items()
    }


def guess(at):
    assert set(at) == {"distance", "pairs"}
    return 0.25 if at["distance"] < 1000 else 0.125


def drawn(given, t, **changes):
    return recall_far(given, **({"axis": "distance", "trained_to": 64, "guess": guess} | changes), theme=LIGHT, t=t)


def rows_of(figure) -> list[dict]:
    """Return the rows of every dataset, without the columns that a row does not have."""
    every = [row for rows in figure.body.rows.values() for row in rows.to_dict("records")]
    return [{name: value for name, value in row.items() if not isna(value)} for row in every]


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_accuracies_stand_at_their_distances_with_intervals_and_guessing(lang: str) -> None:
    t = i18n.translator(lang)
    figure = drawn(cells(), t)
    for name, own in SHARES.items():
        np.testing.assert_allclose(figure.data[f"{name}_accuracy"].values, own)
        np.testing.assert_allclose(figure.data[f"{name}_low"].values, np.subtract(own, 0.05))
        np.testing.assert_allclose(figure.data[f"{name}_high"].values, np.add(own, 0.04))
    np.testing.assert_allclose(figure.data["guess"].values, [0.25, 0.25, 0.125])
    np.testing.assert_allclose(figure.data["distance"].values, DISTANCES)
    rows = rows_of(figure)
    for name, own in SHARES.items():
        points = {(row["x"], row["y"]) for row in rows if row.get("architecture") == name and "y" in row}
        assert set(zip(map(float, DISTANCES), own, strict=True)) <= points
    assert {(row["x"], row["y"]) for row in rows if set(row) == {"x", "y"}} == {(16, 0.25), (128, 0.25), (1024, 0.125)}
    assert [row["x"] for row in rows if row.get("text") == t("viz.recall_far.trained", count=64)] == [64.0]
    spec = json.dumps(figure.body.to_dict(), ensure_ascii=False)
    assert '"log"' in spec and t("viz.recall.axis.distance") in spec


def test_the_finding_names_the_first_distance_nearer_to_guessing_than_to_all_right() -> None:
    t = i18n.translator("en")
    said = drawn(cells(), t).finding
    # halfway is 0.625 where guessing is 0.25, and 0.5625 where it is 0.125
    assert said == "Nearer to guessing than to all right: Transformer from 128, Mamba from 1,024, Jamba nowhere here."
    exactly = drawn(cells({"mamba": (0.625, 0.624, 0.9)}), t).finding
    assert exactly == "Nearer to guessing than to all right: Mamba from 128.", "halfway itself is not below"


def test_nothing_is_found_while_cells_are_missing() -> None:
    t = i18n.translator("ko")
    some = cells()
    some["mamba"] = some["mamba"][:2]
    assert drawn(some, t).finding == ""
    assert drawn({name: [] for name in SHARES}, t).finding == ""
    assert drawn({name: own[:1] for name, own in cells().items()}, t).finding != ""
