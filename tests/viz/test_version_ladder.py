"""The picture of RWKV 4 to 7 on a toy input: its cells are the record's, in their places, and it says what it is."""

import dataclasses

import numpy as np
import pytest
from figure_words import strict

from models.records.simulated import Ladder
from models.records.trace import NamedArray
from models.simulation.ladder import ladder
from viz.figure import Figure
from viz.look.theme import DARK, LIGHT
from viz.proof.drawn import chart_rows
from viz.simulation.versions import token_name, version_ladder

SETTINGS = {"strength": 1.5, "decay": -2.0, "stop": 1.0, "rate": 0.7}


def drawn(made: Ladder, lang: str = "en", theme=LIGHT) -> Figure:
    return version_ladder(made, theme=theme, t=strict(lang))


def cells_of(figure: Figure) -> list[dict]:
    return chart_rows(figure, "rect", "at").to_dict("records")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_cell_is_a_number_of_the_record_in_its_place(lang: str) -> None:
    """Rows go down by version and key, columns right by token and value; the output stands below its state."""
    made = ladder(**SETTINGS)
    cells = cells_of(drawn(made, lang))
    rows = sorted({one["y"] for one in cells})
    at = 0
    for run in made.runs:
        for values in [*np.moveaxis(run.state.values, 1, 0), run.output.values]:
            row = sorted((one for one in cells if one["y"] == rows[at]), key=lambda one: one["x"])
            shown = [float(one["text"].replace("\u2212", "-")) for one in row]
            np.testing.assert_allclose(shown, values.ravel(), atol=0.0051)
            assert all(f"RWKV-{run.version}" in one["at"] for one in row)
            names = [token_name(token) for token in made.tokens for _ in range(made.values)]
            assert all(name in one["at"] for name, one in zip(names, row, strict=True))
            at += 1
    assert at == len(rows) == 3 + 3 * 4
    assert "simulator" in drawn(made).alt.lower() and "no trained model" in drawn(made).note


def test_a_transposed_state_is_another_picture() -> None:
    made = ladder(**SETTINGS)
    runs = list(made.runs)
    runs[1] = dataclasses.replace(
        runs[1], state=NamedArray(np.swapaxes(runs[1].state.values, 1, 2).copy(), runs[1].state.dims)
    )
    turned = cells_of(drawn(dataclasses.replace(made, runs=tuple(runs))))
    assert [one["text"] for one in turned] != [one["text"] for one in cells_of(drawn(made))]


def test_the_sign_is_seen_in_the_colour() -> None:
    """A negative number leans to red, a positive one to ink, zero is the card."""
    for theme in (LIGHT, DARK):
        cells = cells_of(drawn(ladder(**{**SETTINGS, "rate": 1.0}), theme=theme))
        zero = {one["color"] for one in cells if one["text"] == "0"}
        assert len(zero) <= 2
        red = [one["color"] for one in cells if one["text"].startswith("\u2212")]
        card = theme.card
        lean = [[int(color[at : at + 2], 16) - int(card[at : at + 2], 16) for at in (1, 5)] for color in red]
        assert lean and all(of_red > of_blue for of_red, of_blue in lean)


def test_the_finding_is_the_ratio_of_the_drawn_outputs() -> None:
    made = ladder(**SETTINGS)
    said = drawn(made).finding
    asked = next(n for n, token in enumerate(made.tokens) if token.asks == 0)
    for run in made.runs[1:]:
        old, new = run.output.values[asked, 0], run.output.values[asked, 1]
        assert f"{old / new:.2f}".replace("-", "\u2212") in said
