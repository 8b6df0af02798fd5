"""Write the text on with the models of a page, token by token, in the background; then show it in the figures."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from models.errors import ContextscopeError
from models.limits import PROMPT_CHARACTERS, PROMPT_TOKENS
from pages.shared import cache, gate, html, journal, model_picker, notices, sampling
from pages.shared.state import session
from pages.shared.ticker import ticker
from pages.shared.words import units
from pages.shared.words.i18n import t

if TYPE_CHECKING:
    from models.generation.live import Continuation, Continuations
    from models.generation.stream import Settings, Step

POLL_S = 0.25  # while a text is written
FIRST_S = 0.4  # a text that is begun is drawn with its first tokens if they come so soon
LENGTHS = (8, 16, 24, 32, 48, 64)  # tokens
LENGTH, SEEDS = 24, 1000
GREEDY, DRAWN = 0, 1
BEFORE = 60  # characters of the text so far that stand before what is written
_RUNS = "contextscope.continuations"  # page -> the visitor's last continuation there
_SOURCES = "contextscope.continuations.sources"  # page -> architecture -> the model that wrote
_TROUBLE = "contextscope.continuations.trouble"  # page -> why the last one could not begin
_CUT = "contextscope.continuations.cut"  # page -> whether the text that is shown now had to be cut

Readers = tuple[tuple[str, str], ...]  # (architecture, the text that it reads)

_lines: "list[Continuations]" = []


def line() -> "Continuations":
    """Return the line of this server, the same for all visitors."""
    from models.generation.live import Continuations

    if not _lines:
        _lines.append(Continuations())
    return _lines[0]


def draw(page: str, readers: Readers) -> None:
    """Draw the buttons and what is written; runs again by itself while something is."""
    text = readers[0][1]
    run = _run(page, text)
    with st.container(border=True, key=f"card-{page}.continue"):
        html.show(html.title(t("next_word.continue_title"), anchor="continue"))
        _controls(page, readers, run)
        _troubles(page)
        if run is not None:
            run.asked()
            if run.running and not line().ahead(run):
                with gate.released():
                    run.wait_first(FIRST_S)
            _status(run)
            _columns(page, readers, run)
    ticker(POLL_S if run is not None and run.running else None, key=f"{page}.ticker")


def _controls(page: str, readers: Readers, run: "Continuation | None") -> None:
    busy = run is not None and run.running
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key=f"pen-{page}"):
        if busy:
            st.button(t("next_word.stop"), key=f"{page}.stop_writing", icon=":material/stop:",
                      on_click=partial(_stop, page))  # fmt: skip
        else:
            st.button(t("next_word.go"), key=f"{page}.write", type="primary", icon=":material/edit:",
                      on_click=partial(_start, page, readers))  # fmt: skip
        _choice(page, "draw", (GREEDY, DRAWN), default=GREEDY, words=lambda one: t(f"next_word.draw.{one}"))
        _choice(page, "length", LENGTHS, default=LENGTH, words=str)
        if session.current().selection("draw", default=GREEDY, allowed=(GREEDY, DRAWN)) == DRAWN:
            _seed(page)


def _choice(page: str, name: str, options: tuple[int, ...], *, default: int, words: Callable[[int], str]) -> None:
    visit, key = session.current(), f"{page}.{name}"

    def changed() -> None:
        if st.session_state[key] in options:
            visit.select(name, st.session_state[key])

    st.session_state[key] = visit.selection(name, default=default, allowed=options)
    with st.container(key=f"pick-{key}", width="content"):
        st.segmented_control(
            t(f"next_word.{name}"), options, key=key, required=True, on_change=changed, format_func=words
        )


def _seed(page: str) -> None:
    visit, key = session.current(), f"{page}.seed"

    def changed() -> None:
        visit.select("seed", int(st.session_state[key] or 0))

    st.session_state[key] = visit.selection("seed", default=0, allowed=range(SEEDS))
    st.number_input(t("next_word.seed"), 0, SEEDS - 1, step=1, key=key, on_change=changed, width=130)


def _settings() -> "Settings":
    """Return how the visitor wants the text continued: drawn tokens come from the distribution shown above."""
    from models.generation.stream import Settings

    visit = session.current()
    greedy = visit.selection("draw", default=GREEDY, allowed=(GREEDY, DRAWN)) == GREEDY
    return Settings(
        tokens=visit.selection("length", default=LENGTH, allowed=LENGTHS),
        greedy=greedy,
        sampling=sampling.chosen(),
        seed=visit.selection("seed", default=0, allowed=range(SEEDS)),
    )


def _start(page: str, readers: Readers) -> None:
    """Get in line; what keeps it from beginning is told where the text would stand."""
    runs: dict[str, Continuation] = st.session_state.setdefault(_RUNS, {})
    for known in runs.values():
        known.cancel()  # one text of a visitor at a time
    st.session_state[_TROUBLE], st.session_state[_CUT] = {}, {}
    try:
        sources = {name: model_picker.read(name, text)[0].checkpoint for name, text in readers}
        loaded = {name: cache.checkpoint(source) for name, source in sources.items()}
        runs[page] = line().start(loaded, readers[0][1], _settings())
        _sources()[page] = sources
        journal.note("write_start", run=f"{page}-{len(loaded)}")
    except ContextscopeError as error:
        st.session_state[_TROUBLE] = {page: error}


def _stop(page: str) -> None:
    run = st.session_state.get(_RUNS, {}).get(page)
    if run is not None:
        run.cancel()
        journal.note("write_stop", run=page)


def _run(page: str, text: str) -> "Continuation | None":
    """Return the visitor's continuation of this very text; one of another text is stopped and forgotten."""
    runs: dict[str, Continuation] = st.session_state.setdefault(_RUNS, {})
    run = runs.get(page)
    if run is not None and run.prompt != text:
        run.cancel()
        del runs[page]
        return None
    return run


def _sources() -> dict[str, dict[str, str]]:
    """Return which models wrote: page -> architecture -> source."""
    found: dict[str, dict[str, str]] = st.session_state.setdefault(_SOURCES, {})
    return found


def _troubles(page: str) -> None:
    trouble = st.session_state.get(_TROUBLE, {}).get(page)
    if trouble is not None:
        notices.explain(trouble)
    if st.session_state.get(_CUT, {}).get(page):
        st.caption(t("next_word.cut", tokens=PROMPT_TOKENS, characters=f"{PROMPT_CHARACTERS:,}"))


def _status(run: "Continuation") -> None:
    """Say whether the text waits, is written or done, and how its tokens were chosen."""
    ahead = line().ahead(run)
    if run.waiting:
        word = t("next_word.waiting", ahead=ahead) if ahead else t("next_word.starting")
    elif run.running:
        word = t("next_word.writing")
    else:
        whole = all(_ended(run, name) for name in run.names)
        word = t(f"next_word.{'done' if whole else 'stopped' if run.stopped else 'dropped'}")
    chosen = run.settings
    how = t(
        f"next_word.how.{GREEDY if chosen.greedy else DRAWN}",
        temperature=f"{chosen.sampling.temperature:g}",
        topk=chosen.sampling.top_k or "\u221e",
        topp=f"{chosen.sampling.top_p:g}",
        seed=chosen.seed,
    )
    html.show(html.element("p", html.element("strong", word), " · ", how, class_="cs-pen", role="status"))


def _ended(run: "Continuation", name: str) -> bool:
    """Tell whether a model wrote all that it was asked for, or ended the text, or failed."""
    steps = run.steps[name]
    return name in run.errors or len(steps) >= run.settings.tokens or (bool(steps) and steps[-1].ends)


def _columns(page: str, readers: Readers, run: "Continuation") -> None:
    """Set what each model has written side by side, with the bytes that it carries."""
    written = {name: tuple(run.steps[name]) for name in run.names}
    carried = {name: _carried(page, name, steps) for name, steps in written.items()}
    most = max(carried.values(), default=0)
    for place, (name, text) in zip(st.columns(len(readers), gap="medium"), readers, strict=True):
        with place, st.container(key=f"written-{page}-{name}", gap="small"):
            html.show(_text(text, run, name, written[name], carried[name], most, named=len(readers) > 1))
            if name in run.errors:
                with notices.guarded():
                    raise run.errors[name]
            if not run.running and any(step.text for step in written[name]):
                _show_button(page, name, text + run.text(name))
    st.caption(t("next_word.note"))


def _carried(page: str, name: str, steps: "Sequence[Step]") -> int:
    """Count the bytes after the tokens that a model has read, as everywhere on the page; 0 before the first."""
    return cache.cache_bytes(_sources()[page][name], steps[-1].read) if steps else 0


def _text(
    before: str, run: "Continuation", name: str, steps: "Sequence[Step]", carried: int, most: int, *, named: bool
) -> html.Html:
    """Write one model's text: the end of what it read, then each token with its probability and rank."""
    tail = before if len(before) <= BEFORE else "\u2026" + before[-BEFORE:].partition(" ")[2]
    pieces = [
        html.element(
            "span",
            step.text,
            class_="cs-piece",
            title=t("next_word.piece", share=f"{step.prob:.1%}", rank=units.count(step.rank)),
        )
        for step in steps
        if step.text
    ]
    bar = html.element("span", style=f"width:{100 * carried / max(most, 1):.1f}%")
    return html.element(
        "div",
        html.element("h4", html.named(t(f"nav.{name}"))) if named else None,
        html.element("p", html.element("span", tail, class_="cs-before"), pieces, class_="cs-text"),
        html.element("div", bar, class_="cs-bar") if steps and named else None,
        html.element("p", " · ".join(_facts(run, name, steps, carried)), class_="cs-facts"),
        class_=f"cs-written cs-{name}",
    )


def _facts(run: "Continuation", name: str, steps: "Sequence[Step]", carried: int) -> Iterator[str]:
    if not steps:
        return
    yield t("next_word.facts", tokens=len(steps), size=units.size(carried))
    pace = run.paces.get(name)
    if pace is not None and pace.tokens_per_s is not None:
        yield t("next_word.pace", rate=f"{pace.tokens_per_s:.0f}")
    if steps[-1].ends:
        yield t("next_word.ended")


def _show_button(page: str, name: str, text: str) -> None:
    """Offer to read the longer text in every figure, cut to what they can show."""
    label = t("next_word.show")
    if not st.button(label, key=f"{page}.show.{name}", type="tertiary", icon=":material/north:"):
        return
    from models.generation.stream import fitting

    with gate.released():
        fits, cut = fitting(cache.checkpoint(_sources()[page][name]), text)
    session.current().prompt = fits
    st.session_state[_CUT] = {page: cut}
    st.rerun()
