"""Tables of the page: which models use which layout, and how often the small model is right."""

from functools import cache
from typing import Any

import streamlit as st

from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from pages.learn.encoder_decoder import running
from pages.shared import html
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

LAYOUTS = ("both", "encoder", "decoder")


@cache
def models() -> tuple[dict[str, Any], ...]:
    """Read the models, in the order of LAYOUTS."""
    found = read_yaml(ASSETS / "layouts.yaml")
    return tuple(sorted(found, key=lambda one: LAYOUTS.index(one["layout"])))


def table() -> None:
    """Write the models by layout, each with the place where it is published."""
    lang = session.language()
    rows = [
        html.row(
            html.heading(one["name"]),
            str(one["year"]),
            t(f"toy.layout.{one['layout']}"),
            one["use"][lang],
            html.element("td", html.element("a", one["source"], href=one["url"], target="_blank", rel="noreferrer")),
        )
        for one in models()
    ]
    head = [t(f"toy.layouts.{name}") for name in ("model", "year", "layout", "use", "source")]
    with st.container(border=True, key="card-encoder-decoder.layouts"):
        html.show(html.scrolling(html.table(rows, kind="cs-toy", head=head)))


def accuracy() -> None:
    """Write how often the small model is right on inputs that it was never trained on, from its card."""
    facts = running.card()
    if not facts:
        st.info(t("toy.no_card"), icon=":material/info:")
        return
    rows = [
        html.row(
            html.heading(_what(one)),
            _percent(one["accuracy"]),
            f"{_percent(one['low'])} – {_percent(one['high'])}",
            units.count(one["count"]),
        )
        for one in facts["accuracy"]
    ]
    head = [t(f"toy.accuracy.{name}") for name in ("task", "right", "interval", "inputs")]
    html.show(html.scrolling(html.table(rows, kind="cs-toy", head=head)))
    st.caption(
        t(
            "toy.accuracy.note",
            parameters=units.count(facts["parameters"]),
            examples=units.count(facts["examples_seen"]),
            longest=facts["list_lengths"][1],
        )
    )


def _what(one: dict[str, Any]) -> str:
    task = t(f"toy.task.{one['task']}")
    if one["lengths"] is None:
        return task
    return t("toy.accuracy.longer", task=task, first=one["lengths"][0], last=one["lengths"][1])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
