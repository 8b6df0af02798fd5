"""Sections of a page: header, first figure with its words, chapters, further figures, costs, questions."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import streamlit as st

from models.records.trace import ModelTrace
from pages.shared import (
    attempts,
    cache,
    html,
    implementation,
    model_picker,
    notices,
    pointing,
    site,
    unfolding,
    viewport,
)
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import content, language, units
from pages.shared.words.content import section
from pages.shared.words.i18n import t

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

COMPARED_LENGTHS = (1024, 32768)  # tokens, beside the reader's own length
SHORT = 50  # words beside a figure that are shown at once
LEAST = 5  # words of a lead
_WIDTHS = (0.7, 0.3)
_SENTENCE = re.compile(r"[.!?](?=\s|$)")

_bars: Memo[html.Html] = Memo(128)


def header(page: str) -> None:
    """Open a page: its name, what it does with the past in a few words, and its promise."""
    with st.container(key=f"hero-{page}", gap="small"):
        st.title(f"{section(page, 'title')} — *{section(page, 'tagline')}*", anchor=False)
        st.markdown(section(page, "promise"))


def place(page: str, key: str) -> "DeltaGenerator":
    """Keep a place for what comes and goes: what follows it stays where it is, and is not drawn anew."""
    return st.container(key=f"place-{page}.{key}")


def first_figure(
    page: str, draw: Callable[[], object], *, traces: Sequence[ModelTrace] = (), wide: bool = False
) -> None:
    """Set the first picture beside what to see in it, what to try, what is carried at this length, and what ran.

    One trace: its bytes in a line, since what_it_costs compares them; several: all of them as bars. wide: the picture
    takes a whole row, and the words stand below it.
    """
    if wide:
        with notices.guarded():
            draw()
        left, right = st.columns(_WIDTHS, gap="medium")
        with left, st.container(key=f"words-{page}-hero"):
            _seen(page)
        with right, st.container(key=f"words-{page}-ran"):
            _run(page, traces)
        return
    left, right = st.columns(_WIDTHS, gap="medium")
    with left, notices.guarded():
        draw()
    with right, st.container(key=f"words-{page}-hero"):
        _seen(page)
        _run(page, traces)


def _seen(page: str) -> None:
    st.header(t("layout.see"), anchor=False)
    beside(section(page, "hero.see"))
    _try(page, "hero")


def _run(page: str, traces: Sequence[ModelTrace]) -> None:
    if traces:
        with notices.guarded():
            _carried(traces)
        implementation.what_ran(page, traces)


def chapter(page: str, n: int, draw: Callable[[], object], *, wide: bool = False) -> None:
    """Ask one question, answer it with a picture and a few words, and give one thing to try; wide as in section_of."""
    section_of(page, f"chapter{n}", draw, wide=wide)


def section_of(page: str, key: str, draw: Callable[[], object], *, wide: bool = False) -> None:
    """Set a picture beside the words <key>.text under the title <key>.title, with <key>.try where there is one.

    wide: what is drawn takes a whole row, and the words stand below it.
    """
    with st.container(key=f"{key}-{page}"):
        st.header(section(page, f"{key}.title"), anchor=key)
        if wide:
            with notices.guarded():
                draw()
            _words(page, key)
            return
        left, right = st.columns(_WIDTHS, gap="medium")
        with left, notices.guarded():
            draw()
        with right:
            _words(page, key)


def _words(page: str, key: str) -> None:
    with st.container(key=f"words-{page}-{key}"):
        beside(section(page, f"{key}.text"))
        _try(page, key)


def pair(draw: Callable[[], object], other: Callable[[], object]) -> None:
    """Set two figures side by side, each in half of a row; on a narrow screen one below the other."""
    for place, one in zip(st.columns(2, gap="medium"), (draw, other), strict=True):
        with place, notices.guarded(), viewport.halved():
            one()


def beside(words: str) -> None:
    """Write the words beside a figure: the beginning in bold, and the rest behind "more" where all are many."""
    lead, rest = lead_of(words)
    if len(words.split()) <= SHORT:
        st.markdown(f"**{lead}** {rest}".strip())
        return
    st.markdown(f"**{lead}**")
    with st.expander(t("layout.more")):
        st.markdown(rest)


def lead_of(words: str) -> tuple[str, str]:
    """Split words after the first sentence, or after the next one where that is shorter than LEAST words.

    The lead has no markup of its own for bold type, which it is set in.

    >>> lead_of("It can. Unrolled, the *scan* is a **sum** over inputs. More follows.")
    ('It can. Unrolled, the *scan* is a sum over inputs.', 'More follows.')
    """
    end = next((m.end() for m in _SENTENCE.finditer(words) if len(words[: m.end()].split()) >= LEAST), len(words))
    return words[:end].strip().replace("**", ""), words[end:].strip()


def _carried(traces: Sequence[ModelTrace]) -> None:
    """State what is carried after this text: of one model in a line, of several as bars."""
    tokens = len(traces[0].tokens)
    if len(traces) == 1:
        carried = units.size(carried_by(traces[0].architecture, tokens))
        st.markdown(f"{t('layout.carried_here', bytes=carried)} [{t('layout.cost')}](#{pointing.COST})")
    else:
        st.header(t("layout.carried"), anchor=False)
        cache_bars(tokens)
    st.caption(_cache_note(traces))


def under_the_hood(page: str, parts: Sequence[tuple[str, Callable[[], object]]]) -> None:
    """Offer further figures, (figure id, draw); one is computed when its section is opened.

    Its title and text are those of the figure's own file where it has them, else sections of the page.
    """
    with st.container(key=f"hood-{page}", gap="small"):
        st.header(t("layout.hood"), anchor=False)
        st.markdown(t("layout.hood_text"))
        for name, draw in parts:
            title = _hood_words(page, name, "title")
            with unfolding.section(title, key=f"{page}.hood.{name}") as opened:
                if opened.open:
                    st.markdown(_hood_words(page, name, "text"))
                    with notices.guarded():
                        draw()


def _hood_words(page: str, name: str, part: str) -> str:
    own = content.figure_facts(name).hood if name in content.figure_ids() else {}
    return own[part][session.language()] if own else section(page, f"hood.{name}.{part}")


def what_it_costs(page: str, tokens: int, *, compared: Sequence[int] = COMPARED_LENGTHS) -> None:
    """Compare the bytes that the four architectures carry at this length and at longer ones."""
    with st.container(key=f"cost-{page}"):
        st.header(t("layout.cost"), anchor=pointing.COST)
        st.markdown(section(page, "cost.text"))
        with st.container(border=True, key=f"card-{page}.cost"), notices.guarded():
            lengths = (tokens, *(length for length in compared if length > tokens))
            for place, length in zip(st.columns(len(lengths), gap="large"), lengths, strict=True):
                with place:
                    html.show(html.title(t("cost.tokens", tokens=units.count(length))))
                    cache_bars(length)
            bundled = all(model_picker.chosen_here(name) == own for name, own in cache.architectures().items())
            st.caption(t("cost.note" if bundled else "models.cost_note"))
        benchmark = site.page("benchmark").script
        st.page_link(benchmark, label=t("cost.measure"), icon=":material/arrow_forward:", icon_position="right")


def check_yourself(page: str, facts: Mapping[str, str] = MappingProxyType({})) -> None:
    """List the questions of the course, each with the way to what answers it and an answer that unfolds.

    facts: the computed words that the answers name in braces.
    """
    asked = content.questions(page)
    if not asked:
        return
    with st.container(key=f"check-{page}"):
        st.header(t("layout.check"), anchor=False)
        for number, question in enumerate(asked):
            with st.container(key=f"question-{page}-{number}", gap="xsmall"):
                st.markdown(f"- {question.asked}")
                pointing.button(page, question.place, t("layout.show_me", name=_name_of(question.place)),
                                key=f"{page}.show.{number}")  # fmt: skip
                html.show(html.disclosure(t("layout.answer"), question.answer.format_map(facts), class_="cs-answer"))


def _name_of(place: str) -> str:
    """Name where an answer is found: a figure by its id, or the section of a page, as in benchmark#table."""
    page, _, key = place.partition("#")
    if key:
        name = t("layout.cost") if key == pointing.COST else section(page, f"{key}.title")
        return f"{t(f'nav.{page}')}: {name}"
    return str(content.figure_facts(place).name[session.language()])


def footer(page: str, *keys: str) -> None:
    """Set short closing notes side by side: <key>.title and <key>.text each."""
    for place, key in zip(st.columns(len(keys), gap="medium"), keys, strict=True):
        with place, st.container(key=f"closing-{page}-{key}"):
            st.header(section(page, f"{key}.title"), anchor=False)
            st.markdown(section(page, f"{key}.text"))


def link_to(page: str) -> None:
    """Lead to another page of the app."""
    st.page_link(site.page(page).script, label=t("layout.open", name=t(f"nav.{page}")), icon=":material/arrow_forward:",
                 icon_position="right")  # fmt: skip


def cache_bars(tokens: int) -> None:
    """Draw what each architecture carries after so many tokens, as bars with their bytes."""
    rows = tuple((name, carried_by(name, tokens)) for name in cache.architectures())
    html.show(_bars.get((language.current(), rows), (), lambda: _bars_of(rows)))


def carried_by(architecture: str, tokens: int) -> int:
    """Return the bytes that the chosen model of an architecture carries after so many tokens."""
    return cache.cache_bytes(model_picker.chosen_here(architecture), tokens)


def _bars_of(rows: Sequence[tuple[str, int]]) -> html.Html:
    most = max((count for _, count in rows), default=1)
    return html.element("ul", (_bar(name, count, most) for name, count in rows), class_="cs-carried")


def _bar(name: str, count: int, most: int) -> html.Html:
    bar = html.element("span", style=f"width:{100 * count / most:.1f}%")
    return html.element(
        "li",
        html.named(t(f"nav.{name}")),
        html.element("span", units.size(count), class_="cs-bytes"),
        html.element("span", bar, class_="cs-bar"),
        class_=f"cs-{name}",
    )


def moment_text(ns: int, *, seconds: bool = False) -> str:
    """Write a time since 1970 in nanoseconds as a date and a time of day here: 2026-11-28 15:17; 0 is no time."""
    if not ns:
        return "–"
    moment = datetime.fromtimestamp(ns / 1e9, tz=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def _try(page: str, key: str) -> None:
    if attempt := content.attempt(page, key):
        with st.container(key=f"try-{page}-{key}"):
            st.markdown(f"**{t('layout.try')}** {attempt.text}")
            if attempt.sets:
                st.button(t("layout.try_it"), key=f"{page}.try.{key}", on_click=attempts.begin, args=(page, attempt))


def _cache_note(traces: Sequence[ModelTrace]) -> str:
    agree = all(trace.cache_bytes == trace.cache_bytes_formula for trace in traces)
    counted = t("layout.carried_note", tokens=units.count(len(traces[0].tokens)))
    return f"{counted} · {t('layout.formula_agrees' if agree else 'layout.formula_differs')}"
