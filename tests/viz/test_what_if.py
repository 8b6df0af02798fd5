"""Before and after a switch as drawn: numbers of both runs, signs and sides, and a badge that sees mistakes."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from models.records.trace import ModelTrace, NamedArray
from models.records.what_if import Bits, Worth, of_text, summed
from models.records.what_if import what_if as compared
from viz import proof
from viz.canvas import CanvasSpec, Matrix
from viz.canvas.payload import decode
from viz.look.theme import DARK, LIGHT
from viz.trace.findings import what_if_finding, worth_finding
from viz.trace.what_if import part_worth, what_if, what_if_words


@pytest.fixture
def pair(trace: ModelTrace) -> list[ModelTrace]:
    """Return a reading, and another of the same text whose logits are others, with the bits that they give."""
    logits = np.asarray(trace.logits.values, np.float64) * 0.5 + np.sin(np.arange(trace.logits.values.size)).reshape(
        trace.logits.values.shape
    )
    logits = logits.astype(np.float32)
    return [
        trace,
        dataclasses.replace(trace, logits=NamedArray(logits, trace.logits.dims), surprisal=bits(trace, logits)),
    ]


def bits(trace: ModelTrace, logits: np.ndarray) -> NamedArray:
    found = [np.nan]
    for place, token in enumerate(trace.tokens[1:]):
        row = [float(v) for v in logits[place]]
        found.append(-np.log2(np.exp(row[token.id]) / sum(np.exp(v) for v in row)))
    return NamedArray(np.array(found, np.float32), ("token",))


def grid_of(figure: Any) -> Matrix:
    assert isinstance(figure.body, CanvasSpec) and isinstance(figure.body.grid, Matrix)
    return figure.body.grid


@pytest.mark.parametrize("theme", (LIGHT, DARK))
def test_rows_are_before_and_after_and_the_bars_are_their_difference(pair: list, english, theme) -> None:
    figure = what_if(pair, theme=theme, t=english)
    grid = grid_of(figure)
    before, after = (np.asarray(one.surprisal.values, np.float64) for one in pair)
    assert grid.rows.names == ("before", "after")
    assert np.allclose(grid.values[0][1:], before[1:]) and np.allclose(grid.values[1][1:], after[1:])
    assert np.isnan(grid.values[:, 0]).all()
    drawn = figure.body.bars[0].values
    assert np.allclose(drawn[1:], before[1:] - after[1:], atol=1e-5), "below zero where the token became less likely"
    assert figure.data["change"].dims == ("token",) and figure.data["log_probs"].dims == ("run", "token")
    assert figure.finding and figure.finding in figure.alt


def test_the_badge_is_green_and_sees_what_is_wrong(pair: list, english) -> None:
    figure = what_if(pair, theme=LIGHT, t=english)
    found = proof.check(figure, pair)
    assert found is not None and found.kind == "recomputed" and found.passed
    swapped = proof.check(what_if(pair[::-1], theme=LIGHT, t=english), pair)
    assert swapped is not None and not swapped.passed
    grid = grid_of(figure)
    wrong = [
        dataclasses.replace(figure.body, grid=dataclasses.replace(grid, values=values))
        for values in (grid.values[::-1], np.roll(grid.values, 1, axis=1), grid.values * 1.01)
    ]
    bars = figure.body.bars[0]
    wrong += [dataclasses.replace(figure.body, bars=(dataclasses.replace(bars, values=values),))
              for values in (-bars.values, bars.values * 2, np.roll(bars.values, 1))]  # fmt: skip
    for body in wrong:
        check = proof.check(dataclasses.replace(figure, body=body), pair)
        assert check is not None and not check.passed
    stale = {**figure.data, "change": NamedArray(-figure.data["change"].values, ("token",))}
    check = proof.check(dataclasses.replace(figure, data=stale), pair)
    assert check is not None and not check.passed
    assert not proof.check(figure, [pair[0], pair[0]]).passed  # type: ignore[union-attr]


def test_two_texts_are_refused(traces: dict[str, ModelTrace], pair: list, english) -> None:
    other = dataclasses.replace(pair[1], tokens=pair[1].tokens[:-1])
    with pytest.raises(ValueError, match="not the same text"):
        what_if([pair[0], other], theme=LIGHT, t=english)


@pytest.mark.parametrize("count", (1, 2))
def test_short_texts_are_drawn(trace: ModelTrace, english, count: int) -> None:
    short = dataclasses.replace(
        trace,
        tokens=trace.tokens[:count],
        logits=NamedArray(trace.logits.values[:count].copy(), trace.logits.dims),
        surprisal=NamedArray(trace.surprisal.values[:count].copy(), ("token",)),
    )
    for draw in (what_if, what_if_words):
        figure = draw([short, short], theme=LIGHT, t=english)
        check = proof.check(figure, [short, short])
        assert check is not None and check.passed, draw.__name__
        assert not figure.finding or (draw is what_if_words and " 0 of 2 " in figure.finding)


def test_lists_stand_before_and_after_at_every_token(pair: list, english) -> None:
    figure = what_if_words(pair, theme=LIGHT, t=english, at=(2, 2))
    header, planes = decode(figure.body.payload())
    assert [one["name"] for one in header["columns"]] == ["before", "after"]
    assert [one["at"] for one in header["columns"]] == [2, 2]
    for column, trace in zip(header["columns"], pair, strict=True):
        rows = planes[column["label"]].reshape(-1, column["rows"])
        for place, row in enumerate(rows):
            assert column["labels"][int(row[0])] == trace.label_of(int(trace.logits.values[place].argmax()))
    assert proof.check(figure, pair, at=(2, 2)).passed  # type: ignore[union-attr]
    own = [trace.logits.values.argmax(-1) for trace in pair]
    changed = sum(int(a != b) for a, b in zip(*own, strict=True))
    assert f"at {changed} of {len(pair[0].tokens)} places" in figure.finding
    swapped = what_if_words(pair[::-1], theme=LIGHT, t=english, at=(2, 2))
    assert not proof.check(swapped, pair, at=(2, 2)).passed  # type: ignore[union-attr]


LOSS = np.array([[2.5, 0.3, 0.12], [0.1, -0.02, np.nan]])


def worth_of(loss: np.ndarray = LOSS) -> Worth:
    return Worth(
        (("mixer", "zero"), ("convolution", "zero")),
        (0, 2, 5),
        NamedArray(loss.copy(), ("part", "layer")),
        Bits(240.0, 40),
    )


def test_worth_has_a_row_for_each_part_and_a_column_for_each_layer(english) -> None:
    figure = part_worth(worth_of(), theme=LIGHT, t=english)
    grid = grid_of(figure)
    assert grid.rows.labels == ("mixer", "convolution") and grid.columns.labels == ("0", "2", "5")
    assert np.array_equal(grid.values, LOSS.astype(np.float32), equal_nan=True)
    assert grid.texts == (("+2.50", "+0.30", "+0.12"), ("+0.10", "\u22120.02", ""))
    assert grid.scale.signed and grid.scale.high == 2.5 and grid.reports
    assert "“mixer” of layer 0: 2.5 bits" in figure.finding
    assert "6 bits a token over 40 tokens" in figure.body.note


def test_findings_say_nothing_in_a_tie_and_name_gains_as_such(trace: ModelTrace, english) -> None:
    tokens = trace.tokens[:3]
    assert what_if_finding(np.array([[np.nan, 1.0, 2.0], [np.nan, 1.0, 2.0]]), tokens, english) == ""
    said = what_if_finding(np.array([[np.nan, 1.0, 2.0], [np.nan, 1.5, 1.0]]), tokens, english)
    assert (
        "1.25 bits on average instead of 1.5" in said and "1 bits fewer" in said and tokens[2].label.strip("␣") in said
    )
    tie = what_if_finding(np.array([[np.nan, 1.0, 2.0], [np.nan, 2.0, 3.0]]), tokens, english)
    assert tie and "Most changes" not in tie
    assert worth_finding(np.array([[1.0, 1.0]]), ("a",), (0, 1), english) == ""
    assert worth_finding(np.array([[-1.0, -2.0]]), ("a",), (0, 1), english) == ""


def test_the_record_sums_bits_and_ranks_tokens(pair: list) -> None:
    found = compared(*pair)
    assert found.bits[1].total == pytest.approx(float(np.nansum(pair[1].surprisal.values)), rel=1e-6)
    assert found.bits[0].tokens == len(pair[0].tokens) - 1
    assert np.allclose(found.change[1:], (pair[0].surprisal.values - pair[1].surprisal.values)[1:], atol=1e-6)
    ids, probs = found.top(3)
    assert ids.values.shape == (2, len(pair[0].tokens), 3)
    row = np.exp(pair[1].logits.values[4].astype(np.float64))
    assert probs.values[1, 4, 0] == pytest.approx(row.max() / row.sum())
    assert ids.values[1, 4, 0] == row.argmax()
    both = summed([of_text(pair[0]), Bits(3.0, 2)])
    assert both.tokens == len(pair[0].tokens) + 1 and both.per_token == pytest.approx(both.total / both.tokens)
    assert np.isnan(Bits(0.0, 0).per_token)
