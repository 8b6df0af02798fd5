"""The scripts of the reading and of its bar in every state: marks, words, time; known answers counted in Python."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from viz.canvas.source import bar_script
from viz.hero import script as hero_script

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]
BAR = ["stepTime", "walk", "pressed", "wordsOf", "newSelection", "chooseWord"]
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def bar(load) -> Call:
    return load(bar_script(), BAR)


# --- the reading of four models -----------------------------------------------------------------------------------
HERO = ["cellWeight", "inkShare", "tileValue", "writeShare"]
INKS = """
  const own = { lane: { ink: { plane: 0, window: most, names } } };
  const view = { planes: [Float32Array.from(values)] };
  const places = Array.from({ length: tokens }, (_, i) => i);
  return places.map((token) => names.map((_, ink) => places.map((back) => f.inkShare(view, own, token, ink, back))));
"""
WRITTEN = """
  const own = { lane: { tile: { plane: 0, written: 1, size } }, share: {} };
  for (const name of ["wrote", "kept", "written"]) own.share[name] = { style: {}, textContent: "" };
  const view = { header: { words: { kept: "kept", wrote: "written" } }, planes: [Float32Array.from(values), written] };
  const said = [-1, 0, 1].map((token) => {
    f.writeShare(view, own, token);
    return [own.share.wrote.style.width, own.share.kept.textContent, own.share.written.textContent];
  });
  return [f.tileValue(view, own, 1, 2, 3), said];
"""


@pytest.fixture(scope="module")
def hero(load) -> Call:
    return load(hero_script(), HERO)


@pytest.mark.parametrize("most", [1, 3, 9])
def test_each_ink_reads_the_share_of_its_own_token_and_band(hero: Call, most: int) -> None:
    """Counted out as they are packed: for each token, for each ink, the shares of the tokens back to the window."""
    tokens, names = 6, ["fast", "middle", "slow"]
    packed = [(t, ink, back) for t in range(tokens) for ink in range(3) for back in range(min(t + 1, most))]
    at = {place: float(index + 1) for index, place in enumerate(packed)}
    found = hero(INKS, values=list(at.values()), most=most, names=names, tokens=tokens)
    assert found == [[[at.get((t, ink, back), 0) for back in range(tokens)] for ink in range(3)] for t in range(tokens)]


@pytest.mark.parametrize("pool", [1, 2, 3])
def test_each_cell_of_the_cache_reads_the_weight_of_its_own_token_and_cell(hero: Call, pool: int) -> None:
    packed = [(token, cell) for token in range(8) for cell in range(token // pool + 1)]
    body = """
      const own = { lane: { cells: { plane: 0, pool } } };
      const view = { planes: [Float32Array.from(packed.map(([token, cell]) => 100 * token + cell))] };
      return packed.map(([token, cell]) => f.cellWeight(view, own, token, cell));
    """
    assert hero(body, packed=packed, pool=pool) == [100 * token + cell for token, cell in packed]


def test_the_state_reads_its_own_cell_and_says_what_was_written_and_kept(hero: Call) -> None:
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    value, said = hero(WRITTEN, values=values.ravel().tolist(), written=[0.25, 0.75], size=[3, 4])
    assert value == values[1, 2, 3]
    shares = [[word.replace("\u202f", "") for word in one] for one in said]
    assert shares == [["0%", "", ""], ["25%", "kept 75%", "written 25%"], ["75%", "kept 25%", "written 75%"]]


# --- the reading bar ----------------------------------------------------------------------------------------------
SPANS = [[0, 3], [3, 4], [3, 4], [4, 9], [9, 9], [9, 12]]  # the second word has two tokens, the fourth no character
WORDS = [(0, 0), (1, 2), (3, 3), (4, 4), (5, 5)]  # first and last token
MOVES = """
  return states.map(({ token, frame, moves }) => {
    const store = f.newSelection();
    const told = [];
    const data = { spans, layers };
    const bar = { store, data, words: f.wordsOf(spans), tell: (...one) => told.push(one), text: "text" };
    if (token !== null) store.set({ token, span: spans[token] });
    if (frame !== null) store.set({ frame, playing: false });
    const seen = moves.map((move) => {
      if (typeof move === "number") f.stepTime(bar, move);
      else f.pressed(bar, { target: "text", shiftKey: false, preventDefault() {}, ...move });
      const now = store.get();
      return [now.token, now.frame, now.span, now.playing];
    });
    return [seen, told];
  });
"""
EVERY_STATE = [(token, frame) for token in (None, *range(6)) for frame in (None, 0, 2, 5)]


def moves_of(bar: Call, moves: list[Any], *, layers: bool = True) -> list[tuple[int | None, int | None, list[Any]]]:
    """Return (token, frame, [states after each move, what the server was told]) from every state of the selection."""
    states = [{"token": token, "frame": frame, "moves": moves} for token, frame in EVERY_STATE]
    found = bar(MOVES, states=states, spans=SPANS, layers=layers)
    return [(token, frame, one) for (token, frame), one in zip(EVERY_STATE, found, strict=True)]


@pytest.mark.parametrize("step", [1, -1])
def test_the_step_buttons_move_the_time_on_and_on_to_the_end_of_the_text(bar: Call, step: int) -> None:
    """They begin at the time, without one at the chosen token, else before the text; the chosen token stays chosen."""
    for token, frame, (seen, told) in moves_of(bar, [step] * 7):
        at = frame if frame is not None else token if token is not None else -1 if step > 0 else 6
        known = [min(max(at + step * (n + 1), 0), 5) for n in range(7)]
        assert [state[1] for state in seen] == known, (token, frame)
        assert {state[0] for state in seen} == {token} and told == []


@pytest.mark.parametrize(("key", "side"), [("ArrowRight", 1), ("ArrowLeft", -1)])
def test_arrows_choose_the_next_word_from_the_time_or_the_chosen_one(bar: Call, key: str, side: int) -> None:
    for token, frame, (seen, told) in moves_of(bar, [{"key": key}] * 6):
        at = frame if frame is not None else token
        word = None if at is None else next(n for n, (first, last) in enumerate(WORDS) if first <= at <= last)
        for now in seen:
            word = (0 if side > 0 else 4) if word is None else min(max(word + side, 0), 4)
            first = WORDS[word][0]
            assert now == [first, None, SPANS[first], False], (token, frame)
        assert told == []


def test_other_keys_go_to_an_end_let_go_or_ask_for_another_layer(bar: Call) -> None:
    for key, token in (("Home", 0), ("End", 5), ("Escape", None)):
        span = None if token is None else SPANS[token]
        for *_, (seen, told) in moves_of(bar, [{"key": key}]):
            assert (seen, told) == ([[token, None, span, False]], [])
    for (key, side), layers in itertools.product((("ArrowRight", 1), ("ArrowLeft", -1)), (True, False)):
        for token, frame, (seen, told) in moves_of(bar, [{"key": key, "shiftKey": True}], layers=layers):
            assert told == ([["step", side]] if layers else [])
            assert seen[0][:2] == [token, frame]
    for key, more in (
        ("a", {}),
        ("ArrowRight", {"altKey": True}),
        ("End", {"ctrlKey": True}),
        ("Home", {"metaKey": True}),
    ):
        for token, frame, (seen, told) in moves_of(bar, [{"key": key, **more}]):
            assert (seen[0][:2], told) == ([token, frame], [])


BROKEN_BAR = [
    (test_the_step_buttons_move_the_time_on_and_on_to_the_end_of_the_text, (1,),
     "const from = frame ?? token ??", "const from = token ?? frame ??"),
    (test_the_step_buttons_move_the_time_on_and_on_to_the_end_of_the_text, (-1,),
     "(step > 0 ? -1 : last + 1)", "-1"),
    (test_arrows_choose_the_next_word_from_the_time_or_the_chosen_one, ("ArrowRight", 1),
     "wordAt(bar, frame ?? token));", "wordAt(bar, token ?? frame));"),
    (test_other_keys_go_to_an_end_let_go_or_ask_for_another_layer, (),
     "{ ArrowLeft: -1, ArrowRight: 1 }", "{ ArrowLeft: 1, ArrowRight: -1 }"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "given", "before", "after"), BROKEN_BAR, ids=range(len(BROKEN_BAR)))
def test_a_broken_bar_turns_the_checks_red(load, check, given, before, after) -> None:
    assert bar_script().count(before) == 1
    with pytest.raises(AssertionError):
        check(load(bar_script().replace(before, after), BAR), *given)
