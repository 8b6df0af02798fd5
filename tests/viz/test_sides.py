"""Models and versions of a text on one axis: every cell by plain loops, and pictures that are wrong in other ways."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_aligned_machines import CUTS, PROMPT, read_by

from models.alignment import align_all, align_edit, changed
from models.records.influence import Influence
from models.records.trace import ModelTrace, NamedArray, Token
from viz import proof
from viz.canvas import decode
from viz.figure import Figure
from viz.gallery.inputs import arguments
from viz.look.theme import DARK, LIGHT
from viz.trace import side_reach as reach_module
from viz.trace.overview import row_shares
from viz.trace.side_reach import mean_distance, side_reach, within
from viz.trace.sides import counterparts, edit_surprisal, shares_of, side_rows, side_surprisal, spread

HEALTHY, RED = 1e-5, 1e-2


def slopes(traces: list[ModelTrace], *, known: Callable[[int], bool] = lambda _: True) -> tuple[Influence, ...]:
    """Give each trace a gradient of plain numbers, nan in the rows that are not known."""
    found = []
    for place, trace in enumerate(traces):
        count = len(trace.tokens)
        values = np.tril(np.arange(1.0, count * count + 1).reshape(count, count) + place).astype(np.float32)
        values[[t for t in range(count) if not known(t)]] = np.nan
        found.append(Influence("gradient", trace.checkpoint, trace.prompt, NamedArray(values, ("query", "key"))))
    return tuple(found)


def error(figure: Figure, traces: list[ModelTrace], **choice: Any) -> float:
    check = proof.check(figure, traces, **choice)
    assert check is not None
    return check.error


def is_red(value: float) -> bool:
    return not value <= RED


def with_cells(figure: Figure, lie: Callable[[np.ndarray], np.ndarray]) -> Figure:
    body: Any = figure.body
    grid = dataclasses.replace(body.grid, values=np.asarray(lie(np.array(body.grid.values))))
    return dataclasses.replace(figure, body=dataclasses.replace(body, grid=grid))


@pytest.fixture
def aligned() -> tuple[list[ModelTrace], Any]:
    """Return one text by three tokenizers, and their axis."""
    traces = [read_by(name) for name in CUTS]
    return traces, align_all(PROMPT, [trace.tokens for trace in traces])


def test_every_frame_has_the_rows_of_its_segment(aligned, english) -> None:
    traces, axis = aligned
    gradients = slopes(traces)
    figure = side_rows(traces, theme=LIGHT, t=english, alignment=axis, gradients=gradients)
    header, planes = decode(figure.body.payload())
    count = len(axis.segments)
    film = planes[header["grid"]["plane"]].reshape(count, 6, count)
    for n, trace in enumerate(traces):
        for kind, map_ in enumerate((row_shares(trace), shares_of(gradients[n]))):
            for frame, query in enumerate(axis.owners[n]):
                for column, key in enumerate(axis.owners[n]):
                    cell = film[frame, 2 * n + kind, column]
                    if min(query, key) < 0 or key > query:
                        assert np.isnan(cell)
                    else:
                        assert cell == pytest.approx(map_[query, key], rel=6e-3, abs=1e-9)  # three digits are sent
    assert header["strip"]["role"] == "columns" and [tuple(own) for own in header["grid"]["owners"]] == list(
        axis.owners
    )


def test_different_tokens_need_an_axis(aligned, english) -> None:
    for draw in (side_rows, side_surprisal):
        with pytest.raises(ValueError, match="do not share"):
            draw(aligned[0], theme=LIGHT, t=english)


def test_a_row_that_is_not_known_is_empty(runs, english) -> None:
    every = list(runs.values())
    gradients = slopes(every, known=lambda t: t in (3, 7))
    figure = side_rows(every, theme=DARK, t=english, gradients=gradients)
    film = figure.body.grid.values  # type: ignore[union-attr]
    assert np.isnan(film[4, 1]).all() and np.isfinite(film[7, 1, :8]).all()
    assert error(figure, every, gradients=gradients) < HEALTHY


def test_the_sentence_of_a_token_names_the_largest_share(traces, english) -> None:
    every = list(traces.values())
    gradients = slopes(every)
    figure = side_rows(every, theme=LIGHT, t=english, gradients=gradients)
    assert len(figure.each) == len(every[0].tokens) and figure.each[0][1] == ""
    for token in range(1, len(every[0].tokens)):
        label = every[0].tokens[token - 1].label.removeprefix("\u2423")  # these rows rise to their end
        assert figure.each[token][1].count(f"\u201c{label}\u201d, 1 back") == len(every), token


LIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shifted": lambda v: np.roll(v, 1, axis=-1),
    "of the next model": lambda v: np.roll(v, 2, axis=-2),
    "weights and gradient exchanged": lambda v: v.reshape(len(v), -1, 2, v.shape[-1])[:, :, ::-1].reshape(v.shape),
    "of the token before": lambda v: np.roll(v, 1, axis=0),
    "transposed": lambda v: np.swapaxes(v, 0, 2),
    "stronger": lambda v: 1.3 * v,
    "gone": lambda v: v * np.nan,
}


@pytest.mark.parametrize("lie", LIES)
def test_other_rows_are_red(runs, english, lie: str) -> None:
    every = list(runs.values())
    gradients = slopes(every)
    figure = side_rows(every, theme=LIGHT, t=english, gradients=gradients)
    assert error(figure, every, gradients=gradients) < HEALTHY
    assert is_red(error(with_cells(figure, LIES[lie]), every, gradients=gradients))


@pytest.mark.parametrize("name", ["mixing_1", "gradient_2"])
def test_other_exported_rows_are_red(runs, english, name: str) -> None:
    every = list(runs.values())
    gradients = slopes(every)
    figure = side_rows(every, theme=LIGHT, t=english, gradients=gradients)
    values = np.array(figure.data[name].values)
    for spoiled in (values.T, np.roll(values, 1, axis=0), 2 * values):
        data = {**figure.data, name: NamedArray(np.ascontiguousarray(spoiled), ("query", "key"))}
        assert is_red(error(dataclasses.replace(figure, data=data), every, gradients=gradients))


def test_the_gradient_of_another_model_is_red(runs, english) -> None:
    every = list(runs.values())
    gradients = slopes(every)
    figure = side_rows(every, theme=LIGHT, t=english, gradients=gradients)
    assert is_red(error(figure, every, gradients=gradients[::-1]))


def test_surprisal_stands_at_its_token(aligned, runs, english) -> None:
    every = list(runs.values())
    figure = side_surprisal(every, theme=LIGHT, t=english)
    drawn = figure.body.grid.values  # type: ignore[union-attr]
    for row, trace in enumerate(every):
        assert np.array_equal(drawn[row], trace.surprisal.values.astype(np.float32), equal_nan=True)
    assert error(figure, every) < HEALTHY
    for lie in (lambda v: v[::-1], lambda v: np.roll(v, 1, axis=1), lambda v: v * np.log(2), lambda v: v * np.nan):
        assert is_red(error(with_cells(figure, lie), every))
    traces, axis = aligned
    wide = side_surprisal(traces, theme=LIGHT, t=english, alignment=axis)
    assert wide.body.grid.shape == (1, 3, len(axis.segments))  # type: ignore[union-attr]


def tokens_of(words: list[str]) -> tuple[Token, ...]:
    found, at = [], 0
    for index, word in enumerate(words):
        found.append(Token(index, sum(map(ord, word)), word, at, at + len(word)))
        at += len(word)
    return tuple(found)


@pytest.mark.parametrize(
    ("before", "after", "labels", "owners"),
    [
        ("a b c", "a x c", ["a", "b\u2192x", "c"], ((0, 1, 2), (0, 1, 2))),
        ("a b c", "a c", ["a", "b\u2192", "c"], ((0, 1, 2), (0, -1, 1))),
        ("a c", "a b c", ["a", "\u2192b", "c"], ((0, -1, 1), (0, 1, 2))),
        ("a", "a", ["a"], ((0,), (0,))),
        ("a b", "x", ["a\u2192x", "b\u2192"], ((0, 1), (0, -1))),
    ],
)
def test_an_edit_lies_side_by_side(before: str, after: str, labels: list[str], owners: tuple) -> None:
    axis = align_edit(tokens_of(before.split()), tokens_of(after.split()))
    assert [segment.label for segment in axis.segments] == labels and axis.owners == owners
    assert changed(axis) == tuple("\u2192" in label for label in labels)
    assert [segment.end for segment in axis.segments] == sorted(segment.end for segment in axis.segments)


def test_counterparts_are_the_last_tokens_read_by_then() -> None:
    axis = align_edit(tokens_of(["a", "b", "c", "d"]), tokens_of(["a", "x", "y", "d"]))
    assert counterparts(axis, 0) == (0, 1, 2, 3) and counterparts(axis, 1) == (0, 1, 2, 3)
    shorter = align_edit(tokens_of(["a", "b", "c"]), tokens_of(["a", "c"]))
    assert counterparts(shorter, 1) == (0, 0, 1)


def test_an_edit_is_after_less_before(traces, english) -> None:
    call = arguments("edit_surprisal", "traces", traces)
    assert call is not None
    (every,), choice = call
    figure = edit_surprisal(every, theme=LIGHT, t=english, **choice)
    drawn, half = figure.body.grid.values, len(every) // 2  # type: ignore[union-attr]
    for row in range(half):
        for place, (a, b) in enumerate(zip(*choice["alignment"].owners, strict=True)):
            moved = every[0].tokens[a].id != every[half].tokens[b].id
            known = np.nan if moved else every[half + row].surprisal.values[b] - every[row].surprisal.values[a]
            assert drawn[row, place] == pytest.approx(known, rel=1e-5, nan_ok=True)
    with pytest.raises(ValueError, match="before and after"):
        edit_surprisal(every[:-1], theme=LIGHT, t=english, **choice)


def test_a_wrong_edit_is_red(runs, english) -> None:
    trace = runs["rwkv"]
    other = dataclasses.replace(
        trace,
        tokens=(trace.tokens[0], dataclasses.replace(trace.tokens[1], id=trace.tokens[1].id + 1), *trace.tokens[2:]),
        logits=NamedArray(np.array(trace.logits.values[:, ::-1]), ("token", "vocab")),
    )
    bits = [np.nan]
    for t in range(1, len(other.tokens)):
        z = other.logits.values[t - 1].astype(np.float64)
        bits.append(float((np.log(np.exp(z - z.max()).sum()) + z.max() - z[other.tokens[t].id]) / np.log(2)))
    other = dataclasses.replace(other, surprisal=NamedArray(np.array(bits, np.float32), ("token",)))
    axis = align_edit(trace.tokens, other.tokens)
    figure = edit_surprisal([trace, other], theme=LIGHT, t=english, alignment=axis)
    assert error(figure, [trace, other], alignment=axis) < 1e-4
    for lie in (lambda v: -v, lambda v: np.roll(v, 1, axis=1), lambda v: 2 * v, np.nan_to_num):
        assert is_red(error(with_cells(figure, lie), [trace, other], alignment=axis))


def test_reach_adds_up_the_nearest_shares() -> None:
    map_ = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.3, 0.5, 0], [0.1, 0.2, 0.3, 0.4]])
    curve = within(map_)  # rows 2 and 3, distances 0 to 2
    assert curve == pytest.approx([0.45, 0.75, 0.95])
    assert mean_distance(map_) == pytest.approx(((0.3 + 0.4) + (0.3 + 0.4 + 0.3)) / 2)
    assert within(np.ones((1, 1))) == pytest.approx([1.0]) and mean_distance(np.ones((1, 1))) == 0
    assert within(np.array([[1, 0], [0.25, 0.75]])) == pytest.approx([0.75, 1.0])


@pytest.mark.parametrize("by_gradient", [False, True])
def test_a_reach_that_is_wrong_is_red(runs, english, by_gradient: bool, monkeypatch) -> None:
    every = list(runs.values())
    choice = {"gradients": slopes(every)} if by_gradient else {}
    assert error(side_reach(every, theme=LIGHT, t=english, **choice), every, **choice) < HEALTHY
    right = reach_module.within
    lies = {
        "a token more": lambda m: np.roll(right(m), 1),
        "not added up": lambda m: np.diff(right(m), prepend=0),
        "all rows": lambda m: np.array([np.tril(m, 0).sum() / len(m)] * len(right(m))),
        "transposed": lambda m: right(m.T),
    }
    for name, lie in lies.items():
        monkeypatch.setattr(reach_module, "within", lie)
        assert is_red(error(side_reach(every, theme=LIGHT, t=english, **choice), every, **choice)), name


def test_two_curves_of_one_architecture_are_told_apart(traces, english) -> None:
    every = [traces["mamba"], traces["mamba"]]
    figure = side_reach(every, theme=LIGHT, t=english, names=("before", "after"))
    lines = [layer for layer in figure.body.spec["layer"] if layer["mark"]["type"] == "line"]  # type: ignore[union-attr]
    assert len({str(layer["mark"]["strokeDash"]) for layer in lines}) == 2
    assert "before" in figure.finding and "after" in figure.finding


def test_a_number_is_laid_over_the_segments_of_its_token() -> None:
    assert spread(np.array([1.0, 2.0]), (-1, 0, 0, 1)) == pytest.approx([np.nan, 1, 1, 2], nan_ok=True)
