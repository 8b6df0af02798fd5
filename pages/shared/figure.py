"""The card of a figure: title, picture, badge with the reconstruction error, definition, export, link."""

import csv
import io
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import streamlit as st

from models.reconstruction import Check
from models.records.trace import NamedArray
from pages.shared import html, parts
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
    picked: Callable[[Selection], None] | None = None,
) -> None:
    """Draw a figure in its card.

    key: <page>.<name>. check: how what is drawn stands up against the run, where the figure draws one; subtitle: plain
    words beside the title; note: plain words under the picture, its own without them. picked: what a click does that
    the picture reports.
    """
    facts = content.figure_facts(fig.id)
    lang = session.language()
    with st.container(border=True, key=f"card-{key}"):
        finding = html.element("p", fig.finding, class_="cs-finding") if fig.finding else None
        html.show(html.title(facts.name[lang], subtitle, anchor=fig.id), finding)
        _picture(fig, key, picked)
        if note or fig.note:
            st.text(note or fig.note)
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.html(_badge(check) + _inline(content.spoken(facts.inline, lang)), width="content")
            with st.container(horizontal=True, gap=None, width="content", key=f"drawer-{key}"):
                _definition(fig, facts, key, check)
                _export(fig, key)
                _link(fig, key)


def to_csv(data: Mapping[str, NamedArray]) -> bytes:
    """Write arrays as CSV, a row per number with its indices; several arrays become a ZIP of one file each."""
    if len(data) == 1:
        return _csv(*data.values())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in data.items():
            archive.writestr(f"{name}.csv", _csv(array))
    return out.getvalue()


def to_npz(data: Mapping[str, NamedArray]) -> bytes:
    """Write arrays as NPZ; the names of the dimensions follow each as <name>.dims."""
    out = io.BytesIO()
    arrays: dict[str, Any] = {}
    for name, array in data.items():
        arrays[name] = array.values
        arrays[f"{name}.dims"] = np.array(array.dims)
    np.savez_compressed(out, **arrays)
    return out.getvalue()


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


def _badge(check: Check | None) -> str:
    """Write in a few words how a figure was checked; opened, it says in a sentence what that means."""
    if check is None:
        return ""
    key = f"figure.{check.kind}" if check.passed else f"figure.{check.kind}_not"
    error = scientific(check.error) if math.isfinite(check.error) else t("figure.no_number")
    mark, kind = ("✓", "good") if check.passed else ("✕", "bad")
    badge = html.badge(kind, mark, t(key, value=error))
    meaning = t(f"{key}_means", error=error, limit=scientific(check.limit))
    return html.disclosure(badge, meaning, class_="cs-proof")


@lru_cache(128)
def _inline(formula: str) -> str:
    return html.element("span", formula, class_="cs-inline") if formula else ""


def _definition(fig: Figure, facts: FigureFacts, key: str, check: Check | None) -> None:
    with st.popover(t("figure.definition"), type="tertiary", key=f"{key}.definition"):
        st.latex(content.spoken(facts.formula, session.language()))
        st.markdown("\n\n".join(_lines(fig, facts, check)))


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


def _export(fig: Figure, key: str) -> None:
    packed = len(fig.data) > 1
    with st.popover(t("figure.export"), type="tertiary", key=f"{key}.export"):
        st.caption(t("figure.export_text"))
        with st.container(horizontal=True, gap="small"):
            st.download_button(
                "CSV (ZIP)" if packed else "CSV",
                partial(to_csv, fig.data),
                file_name=f"{fig.id}.{'zip' if packed else 'csv'}",
                mime="application/zip" if packed else "text/csv",
                key=f"{key}.csv",
                on_click="ignore",
            )
            st.download_button(
                "NPZ",
                partial(to_npz, fig.data),
                file_name=f"{fig.id}.npz",
                mime="application/octet-stream",
                key=f"{key}.npz",
                on_click="ignore",
            )


def _link(fig: Figure, key: str) -> None:
    """Offer the address of this figure when it is opened: choices of the browser may be newer than the card."""

    def drawn() -> None:
        with st.popover(t("figure.link"), type="tertiary", key=f"{key}.link", on_change="rerun") as opened:
            if opened.open:
                st.caption(t("figure.link_text"))
                st.code(f"{session.current().permalink()}#{fig.id}", language=None, wrap_lines=True)

    parts.part(f"{key}.address", drawn, on=())


def _shape(array: NamedArray) -> str:
    return " × ".join(f"{name} {size}" for name, size in array.sizes.items())


def _csv(array: NamedArray) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*array.dims, "value"])
    writer.writerows((*index, value) for index, value in np.ndenumerate(array.values))
    return out.getvalue().encode()
