"""The card of a figure: title, picture, badge with the reconstruction error, menu, definition."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, cast

import streamlit as st

from models.reconstruction import Check
from models.records.trace import NamedArray
from pages.shared import figure_menu, html, parts
from pages.shared.canvas import Selection, canvas
from pages.shared.hero import hero
from pages.shared.ranking import ranking
from pages.shared.state import session
from pages.shared.words import content
from pages.shared.words.content import FigureFacts
from pages.shared.words.i18n import t
from viz.canvas import CanvasSpec
from viz.figure import Figure
from viz.hero import HeroSpec
from viz.ranking import Ranking

if TYPE_CHECKING:
    import altair as alt


def show(
    fig: Figure,
    *,
    key: str,
    check: Check | None = None,
    subtitle: str | None = None,
    note: str | None = None,
    source: str = "",
    picked: Callable[[Selection], None] | None = None,
) -> None:
    """Draw a figure in its card.

    key: <page>.<name>. check: how what is drawn stands up against the run, where the figure draws one; subtitle: plain
    words beside the title; note: plain words under the picture, its own without them. source: what it was drawn from,
    in words that the pictures which people take along repeat. picked: what a click does that the picture reports.
    """
    facts = content.figure_facts(fig.id)
    lang = session.language()
    with st.container(border=True, key=f"card-{key}"):
        finding = html.element("p", fig.finding, class_="cs-finding") if fig.finding else None
        html.show(html.title(facts.name[lang], subtitle, anchor=fig.id), finding)
        _picture(fig, key, picked)
        if note or fig.note:
            st.text(note or fig.note)
        html.show(
            html.element(
                "div", _badge(check), _inline(facts.inline), figure_menu.buttons(fig.id, source), class_="cs-row"
            )
        )
        figure_menu.files(fig, key)
        _definition(fig, facts, key, check)


def scientific(value: float) -> str:
    """Write a small number with two digits: 2.1e-6."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _picture(fig: Figure, key: str, picked: Callable[[Selection], None] | None) -> None:
    if isinstance(fig.body, CanvasSpec):
        canvas(fig.body, key=f"{key}.canvas", picked=picked)
    elif isinstance(fig.body, HeroSpec):
        hero(fig.body, key=f"{key}.hero")
    elif isinstance(fig.body, Ranking):
        ranking(fig.body, key=f"{key}.ranking")
    else:
        chart = cast("alt.Chart", fig.body)  # any of the kinds that Streamlit lists, which have no common name
        with st.container(key=f"slot-{key}", height=_height(chart), border=False):  # freed by contextscope.css
            st.altair_chart(chart, key=f"{key}.chart", theme=None, width="stretch", alt=fig.alt)


def _height(chart: "alt.Chart") -> int | Literal["content"]:
    """Return the height of a chart that states one."""
    stated = getattr(chart, "height", None)
    return int(stated) if isinstance(stated, int | float) else "content"


def _badge(check: Check | None) -> html.Html:
    """Write in a few words how a figure was checked; opened, it says in a sentence what that means."""
    if check is None:
        return html.text()
    key = f"figure.{check.kind}" if check.passed else f"figure.{check.kind}_not"
    error = scientific(check.error) if math.isfinite(check.error) else t("figure.no_number")
    mark, kind = ("✓", "good") if check.passed else ("✕", "bad")
    badge = html.badge(kind, mark, t(key, value=error))
    meaning = t(f"{key}_means", error=error, limit=scientific(check.limit))
    return html.disclosure(badge, meaning, class_="cs-proof")


def _inline(formula: str) -> html.Html | None:
    return html.element("span", formula, class_="cs-inline", title=formula) if formula else None


def _definition(fig: Figure, facts: FigureFacts, key: str, check: Check | None) -> None:
    """Unfold the definition below the figure, where it covers nothing; it is written when it is opened."""

    def drawn() -> None:
        with st.expander(t("figure.definition"), key=f"{key}.definition", on_change="rerun") as opened:
            if opened.open:
                st.latex(facts.formula)
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
    sizes = ", ".join(f"`{name}: {_shape(array)}`" for name, array in fig.data.items())
    yield f"**{t('figure.shape')}** {facts.shape}: {sizes}"
    if check is not None:
        meaning = t(f"figure.check.{check.kind}")
        yield f":gray[{meaning} {t('figure.check.limit', limit=scientific(check.limit))}]"
    if facts.paper is not None:
        paper = content.paper(facts.paper)
        yield f"**{t('figure.paper')}** [{paper.title}]({paper.url}) · {paper.authors} · {paper.year}"


def _shape(array: NamedArray) -> str:
    return " × ".join(f"{name} {size}" for name, size in array.sizes.items())
