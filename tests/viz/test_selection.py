"""The selection of a page in the browser: the store, its clock, labels of tokens, and the words of the reading bar."""

import base64
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from models.alignment import covering
from viz.canvas import script
from viz.canvas.source import bar_script

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium"),
]
Call = Callable[..., Any]
LOAD = """async (packed) => {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  window.f = await import(URL.createObjectURL(new Blob([bytes], { type: "text/javascript" })));
}"""


@pytest.fixture(scope="module")
def load(blank) -> Iterator[Callable[..., Call]]:
    """Return a function that loads a script and gives a way to run a body with it: call(body, **names)."""
    pages = []

    def opened(source: str, *names: str) -> Call:
        page = blank()
        pages.append(page)
        packed = f"{source}\nexport {{ {', '.join(names)} }};".encode()
        page.evaluate(LOAD, base64.b64encode(packed).decode())
        return lambda body, **given: page.evaluate(f"({{ {', '.join(given)} }}) => {{ {body} }}", given)

    yield opened
    for page in pages:
        page.close()


STORE = """
  const store = f.newSelection();
  const heard = [];
  store.on(({ changed, source, state }) => heard.push([[...changed].sort().join(), source, state.token, state.hover]));
"""


@pytest.fixture(scope="module")
def call(load) -> Call:
    return load(script(), "newSelection", "selectionStore", "playTime", "spread", "layout", "tickLabels")


def test_listeners_hear_what_changed_and_only_then(call):
    body = "store.set({ token: 3, span: [4, 7] }, 'a'); store.set({ token: 3, span: [4, 7] }, 'b'); "
    body += "store.set({ hover: 2 }, 'c'); store.set({ token: 5 }, 'd'); return [heard, store.get().span]"
    heard, span = call(STORE + body)
    assert heard == [["span,token", "a", 3, None], ["hover", "c", 3, 2], ["span,token", "d", 5, 2]]
    assert span is None, "the characters of another token are not kept"


def test_a_listener_can_leave_and_a_failing_one_keeps_nobody_from_hearing(call):
    body = "const off = store.on(() => { throw new Error('x'); }); store.set({ token: 1 }); off(); "
    body += "store.set({ token: 2 }); "
    assert [one[2] for one in call(STORE + body + "return heard")] == [1, 2]


def check_server(call: Call) -> None:
    """The server repeats what it knew until it has heard of the browser's token; only a new word of it counts."""
    body = "const said = (token, reading = 'r') => (store.open({ reading, page: 'p', token }), store.get().token);"
    body += "const seen = [said(2)]; store.set({ token: 7, hover: 1, frame: 4 }); seen.push(said(2), said(7)); "
    body += "store.set({ token: 9 }); seen.push(said(7), said(3), said(null, 'other')); return [seen, store.get()]"
    seen, state = call(STORE + body)
    assert seen == [2, 7, 7, 9, 3, None]
    assert (state["hover"], state["frame"], state["playing"]) == (None, None, False)


def test_the_servers_token_counts_where_it_is_new(call):
    check_server(call)


def test_all_components_of_a_document_share_one_store(call):
    assert call("f.selectionStore().set({ token: 4 }); return window.contextscope.selection.get().token") == 4


def test_time_runs_to_the_last_token_and_stops_when_it_is_told(call):
    steps = """
      const ticks = [];
      const [set, clear] = [window.setInterval, window.clearInterval];
      window.setInterval = (tick) => { ticks.push(tick); return ticks.length; };
      window.clearInterval = (id) => { ticks[id - 1] = () => {}; };
      const store = f.newSelection();
      f.playTime(store, 4, 1, "test");
      f.playTime(store, 4, 1, "twice");
      const seen = [store.get().frame];
      for (let i = 0; i < 6; i++) { ticks[0](); seen.push(store.get().frame); }
      const ended = store.get().playing;
      f.playTime(store, 4, 1, "again");
      store.set({ playing: false });
      ticks.at(-1)();
      Object.assign(window, { setInterval: set, clearInterval: clear });
      return [seen, ended, store.get().frame, ticks.length];
    """
    assert call(steps) == [[0, 1, 2, 3, 3, 3, 3], False, 0, 2]


WORDS = ("a", "the", "grandmother", "늑대", "할머니가", "internationalization", ".", "처음에는", "x" * 40, "😀")


def random_texts(count: int) -> list[dict]:
    """Make strips of random tokens, with random places for the chosen and for the hovered one."""
    dice = random.Random(7)
    made = []
    for _ in range(count):
        labels = [dice.choice(("␣", "")) + dice.choice(WORDS) for _ in range(dice.randint(1, 60))]
        made.append({"labels": labels, "token": dice.randrange(len(labels)), "hover": dice.randrange(len(labels))})
    return made


PLAN = """
  const strips = texts.map(({ labels, token, hover }) => {
    const strip = { labels, piece: labels.map(() => 1), selected: null, role: "columns", surprisal: null };
    const header = { strip, grid: null, bars: [], words: {}, theme: { mono: "m", font: "f" }, reading: "" };
    const store = f.newSelection();
    store.set({ token, hover });
    const measure = (font, text) => [...text].reduce((all, sign) => all + (sign > "ᄀ" && sign !== "␣" ? 12 : 7.5), 0);
    const view = { header, width, store, measure, frame: null, cursor: null };
    view.plan = f.layout(view);
    const { labels: plan, left, token: slot } = view.plan;
    if (!plan.ticks) {
      return plan.groups.map((one) => {
        const at = left + (one.start + one.span / 2) * slot + one.shift;
        return [at - one.width / 2, at + one.width / 2];
      });
    }
    return f.tickLabels(view, (text) => measure("", text)).map(({ at, width }) => [at - width / 2, at + width / 2]);
  });
  return strips;
"""


def check_labels(call: Call) -> None:
    texts = random_texts(200)
    for width in (342, 760, 1180):
        for text, boxes in zip(texts, call(PLAN, texts=texts, width=width), strict=True):
            assert boxes, text
            assert boxes[0][0] >= 0 and boxes[-1][1] <= width, (width, text, boxes)
            gaps = [after[0] - before[1] for before, after in pairwise(boxes)]
            assert all(gap >= 3.9 for gap in gaps), (width, text, boxes)


def test_labels_of_200_random_texts_stay_apart_and_within_the_picture(call):
    check_labels(call)


BREAKS = [
    (check_labels, "Math.max(low, Math.min(most, at))", "at"),
    (check_labels, "blocks[blocks.length - 1].at < blocks[blocks.length - 2].at", "false"),
    (check_server, "...(other || moved ? told : {})", "...told"),
    (check_server, "...(other ? AT_REST : {}),", ""),
]


@pytest.mark.parametrize(("check", "before", "after"), BREAKS, ids=lambda part: getattr(part, "__name__", None))
def test_a_broken_script_turns_the_checks_red(load, check, before, after):
    assert script().count(before) == 1
    broken = load(script().replace(before, after), "newSelection", "spread", "layout", "tickLabels")
    with pytest.raises(AssertionError):
        check(broken)


BAR = """
  const host = document.createElement("div");
  host.innerHTML = '<div class="bar"></div>';
  document.body.replaceChildren(host);
  delete window.contextscope;
  const words = { words: "w", play: "play", pause: "pause", back: "back", on: "on", time: "{index} / {count}" };
  const told = [];
  const data = { page: "p", reading: "r", text, spans, labels, token: null, span: null, layers: true, late: [], words };
  f.default({ data, parentElement: host, setTriggerValue: (...one) => told.push(one) });
  const text_box = host.querySelector(".text");
  const store = window.contextscope.selection;
  const press = (key, more = {}) =>
    text_box.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
  const shown = () => [...host.querySelectorAll(".word.chosen")].map((node) => node.textContent);
"""


@pytest.fixture(scope="module")
def bar(load) -> Call:
    return load(bar_script(), "wordsOf")


def bar_of(text: str, spans: list[tuple[int, int]]) -> dict:
    closed = [list(span) for span in covering(spans)]
    return {"text": text, "spans": closed, "labels": [text[a:b] or "<s>" for a, b in closed]}


HOSTILE = "<img src=x onerror=window.hacked=1> </span> {index} &amp;"
TEXTS = [
    ("Once upon a time", [(0, 0), (0, 4), (4, 9), (9, 11), (11, 16)], 5),
    ("늑대가 울었다", [(0, 1), (1, 2), (1, 2), (2, 3), (3, 5), (5, 7)], 5),  # a syllable of two tokens
    ("a😀👩‍👩‍👧b", [(0, 1), (1, 2), (1, 2), (1, 2), (2, 7), (7, 8)], 4),
    (HOSTILE, [(0, 5), (5, len(HOSTILE))], 2),
    (" two  spaces\nand a line ", [(1, 4), (6, 12), (13, 16)], 3),  # gaps between tokens, an end that none covers
]


@pytest.mark.parametrize(("text", "spans", "count"), TEXTS, ids=[text[:8] for text, *_ in TEXTS])
def test_the_bar_shows_the_text_as_it_is_in_whole_characters(bar, text, spans, count):
    body = (
        BAR
        + "return [text_box.textContent, host.querySelectorAll('.word').length, host.querySelectorAll('img').length]"
    )
    assert bar(body, **bar_of(text, spans)) == [text, count, 0]
    assert bar("return window.hacked ?? null") is None


def test_arrows_walk_over_words_shift_over_layers_and_escape_lets_go(bar):
    walk = (
        BAR
        + """
      const seen = [];
      const [left, right] = ["ArrowLeft", "ArrowRight"];
      for (const key of [right, right, right, left, "End", right, "Home", left]) {
        press(key);
        seen.push(store.get().token);
      }
      press("ArrowRight", { shiftKey: true });
      press("ArrowLeft", { shiftKey: true });
      const marked = shown();
      press("Escape");
      return [seen, marked, told, store.get().token];
    """
    )
    seen, marked, told, left = bar(walk, **bar_of("늑대가 울었다", TEXTS[1][1]))
    assert seen == [0, 1, 3, 1, 5, 5, 0, 0]
    assert marked == ["늑"]
    assert told == [["step", 1], ["step", -1]]
    assert left is None


def test_space_plays_and_pauses_and_the_steps_move_the_time(bar):
    play = (
        BAR
        + """
      press(" ");
      const playing = store.get().playing;
      press(" ");
      const after = store.get().playing;
      store.set({ frame: 1 });
      host.querySelector("button.on").click();
      const on = [store.get().frame, shown(), host.querySelector(".time").textContent];
      host.querySelector("button.back").click();
      return [playing, after, on, store.get().frame];
    """
    )
    assert bar(play, **bar_of(*TEXTS[0][:2])) == [True, False, [2, [" upon"], "3 / 5"], 1]


def test_a_click_on_a_word_chooses_it_and_again_lets_go(bar):
    click = (
        BAR
        + """
      const word = host.querySelectorAll(".ink")[2];
      word.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
      const under = store.get().hover;
      word.click();
      const chosen = [store.get().token, store.get().span, text_box.getAttribute("aria-activedescendant")];
      word.click();
      return [under, chosen, store.get().token, host.querySelectorAll('[aria-selected="true"]').length];
    """
    )
    assert bar(click, **bar_of(*TEXTS[0][:2])) == [2, [2, [4, 9], "word-2"], None, 0]
