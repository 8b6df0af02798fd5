"""The card of a figure: title, picture, badge with the reconstruction error, menu, definition."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import streamlit as st

from models.reconstruction import Check
from models.records.trace import NamedArray
from pages.shared import figure_menu, first_screen, html, outline, parts, plot, proof, site, style, unfolding
from pages.shared.canvas import canvas
from pages.shared.finder import finder
from pages.shared.hero import hero
from pages.shared.mechanism import mechanism
from pages.shared.ranking import ranking
from pages.shared.state import session
from pages.shared.words import content
from pages.shared.words.content import FigureFacts
from pages.shared.words.i18n import t
from viz.canvas import CanvasSpec
from viz.figure import Figure
from viz.finder.spec import Finder
from viz.look.plotly import PlotSpec
from viz.look.vega import VegaSpec
from viz.mechanism import MechanismSpec
from viz.ranking import Ranking


def show(
    fig: Figure,
    *,
    key: str,
    check: Check | None = None,
    compare: proof.Compare | None = None,
    subtitle: str | None = None,
    note: str | None = None,
    source: str = "",
    picked: Callable[[Any], None] | None = None,
    token: int | None = None,
) -> None:
    """Draw a figure in its card.

    key: <page>.<name>. check: how what is drawn stands up against the run, where the figure draws one; compare: makes
    the two curves of its error when the badge is opened. subtitle: plain words beside the title; note: plain words
    under the picture, its own without them. source: what it was drawn from, in words that the pictures which people
    take along repeat. picked: what a click does that the picture reports. token: of a figure with sentences for every
    token, the one whose sentences stand there until the browser writes those of another.
    """
    facts = content.figure_facts(fig.id)
    lang = session.language()
    with st.container(border=True, key=f"card-{key}"):
        finding = _finding(fig, token)
        level = 2 if key in site.FIRST else 3
        html.show(html.title(facts.name[lang], subtitle, anchor=fig.id, level=level), finding)
        _picture(fig, key, picked)
        if key in site.FIRST:
            first_screen.hold(key.partition(".")[0])
        if note or fig.note:
            st.text(note or fig.note)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row-{key}"):
            if check is not None:
                with st.container(key=f"proof-{key}", width="content"):
                    _badge(key, check, compare)
            html.show(
                html.element(
                    "div",
                    _inline(content.spoken(facts.inline, lang)),
                    figure_menu.buttons(fig.id, source),
                    class_="cs-row",
                )
            )
        figure_menu.files(fig, key)
        if isinstance(fig.body, PlotSpec):
            plot.numbers(fig.body, key, facts.name[lang])
        _definition(fig, facts, key, check)


def _finding(fig: Figure, token: int | None) -> html.Html | None:
    """Write what a figure shows; of one that follows the token, along with the sentences for every token."""
    if not fig.each:
        return html.element("p", fig.finding, class_="cs-finding") if fig.finding else None
    return _finding_of_each(fig.each, len(fig.each) - 1 if token is None else token)


@lru_cache(64)
def _finding_of_each(each: tuple[tuple[str, str], ...], token: int) -> html.Html:
    """Write the finding at a token. each: alternative text and finding of every token.

    The browser (viz/canvas/browser/said.js) finds the different ones, a line each, and for each token the numbers of
    its alternative text and of its finding.
    """
    said = list(dict.fromkeys(words for pair in each for words in pair))
    place = {words: n for n, words in enumerate(said)}
    told = ",".join(f"{place[alt]} {place[finding]}" for alt, finding in each)
    lines = "\n".join(" ".join(words.split()) for words in said)
    return html.element("p", each[token][1], class_="cs-finding", data_said=lines, data_each=told)


def _picture(fig: Figure, key: str, picked: Callable[[Any], None] | None) -> None:
    """Draw a figure in a place that shows its outline until then."""
    if isinstance(fig.body, Ranking):
        ranking(fig.body, key=f"{key}.ranking")
        return
    if isinstance(fig.body, Finder):
        finder(fig.body, key=f"{key}.finder", picked=picked)
        return
    shape = outline.shape(fig.body)
    if key in site.FIRST:
        outline.remember(key, fig.body)
    if isinstance(fig.body, PlotSpec):
        plot.plot(fig, fig.body, key)
        return
    if isinstance(fig.body, VegaSpec):
        with st.container(key=f"slot-{shape}-{key}", height=fig.body.height, border=False):  # freed by contextscope.css
            spec = {**fig.body.spec, "datasets": fig.body.rows}
            st.vega_lite_chart(spec, key=f"{key}.chart", theme=None, width="stretch", alt=fig.alt)
        return
    with st.container(key=f"shape-{shape}-{key}"):
        if isinstance(fig.body, CanvasSpec):
            canvas(fig.body, key=f"{key}.canvas", picked=picked)
        elif isinstance(fig.body, MechanismSpec):
            mechanism(fig.body, key=f"{key}.mechanism")
        else:
            hero(fig.body, key=f"{key}.hero")


def _badge(key: str, check: Check, compare: proof.Compare | None) -> None:
    """Write in a few words how a figure was checked; opened, it says what that means and shows the two curves."""
    kind = "good" if check.passed else "bad"

    def drawn() -> None:
        with (
            st.container(key=f"badge-{kind}-{key}", width="content"),
            st.popover(proof.label(check), type="tertiary", key=f"{key}.badge", on_change="rerun") as opened,
        ):
            if opened.open:
                html.show(proof.opened(check, compare() if compare is not None else (), style.theme()))

    parts.part(f"{key}.proof", drawn, on=())


def _inline(formula: str) -> html.Html | None:
    return html.element("span", formula, class_="cs-inline", title=formula) if formula else None


def _definition(fig: Figure, facts: FigureFacts, key: str, check: Check | None) -> None:
    """Unfold the definition below the figure, where it covers nothing; it is written when it is opened."""

    def drawn() -> None:
        with unfolding.section(t("figure.definition"), key=f"{key}.definition") as opened:
            if opened.open:
                st.latex(content.spoken(facts.formula, session.language()))
                st.markdown("\n\n".join(_lines(fig, facts, check)))

    with st.container(key=f"definition-{key}"):
        parts.part(f"{key}.meaning", drawn, on=())


def _lines(fig: Figure, facts: FigureFacts, check: Check | None) -> Iterator[str]:
    """Write the definition of a figure as Markdown, from assets and from names and sizes of arrays only."""
    lang = session.language()
    told = {"aggregation": facts.aggregation, "normalisation": facts.normalisation, "note": facts.note}
    for name, words in told.items():
        if words is not None:
            yield f"**{t(f'figure.{name}')}** {words[lang]}"
    sizes = ", ".join(f"`{_literal(name)}: {_shape(array)}`" for name, array in fig.data.items())
    yield f"**{t('figure.shape')}** {facts.shape}: {sizes}"
    if check is not None:
        meaning = t(f"figure.check.{check.kind}")
        yield f":gray[{meaning} {t('figure.check.limit', limit=proof.scientific(check.limit))}]"
    if facts.paper is not None:
        paper = content.paper(facts.paper)
        yield f"**{t('figure.paper')}** [{paper.title}]({paper.url}) · {paper.authors} · {paper.year}"


def _literal(name: str) -> str:
    """Keep a name within its code span: sizes of imported runs stand in it."""
    return " ".join(name.replace("`", "'").split())


def _shape(array: NamedArray) -> str:
    return " × ".join(f"{name} {size}" for name, size in array.sizes.items())
