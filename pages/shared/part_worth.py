"""What every part of a model is worth, in bits a token: measured when the section is opened."""

from typing import cast

import streamlit as st

from models.records.what_if import Worth
from models.switches.value import How, Kind, Switch
from pages.shared import ablation, gate, model_picker, notices, parts, unfolding
from pages.shared.canvas import Selection
from pages.shared.panel import panel
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.what_if import part_worth

ON = ("text", "examples")  # what it is measured on


def section(page: str, name: str, text: str) -> None:
    """Offer the table of all parts and layers."""
    with unfolding.section(t("what_if.worth_title"), key=f"{page}.what_if.worth") as opened:
        if opened.open:
            st.markdown(t("what_if.worth_text"))
            with notices.guarded():
                st.fragment(gate.gated(_draw))(page, name, text)


def _draw(page: str, name: str, text: str) -> None:
    key = f"{page}.what_if.worth_on"
    on = st.segmented_control(
        t("what_if.worth_on"), ON, key=key, default=ON[0], required=True,
        format_func=lambda one: t(f"what_if.worth_on.{one}"),
    )  # fmt: skip
    with notices.guarded():
        trace = model_picker.read(name, text)[0]
        texts = (trace.prompt,) if on != "examples" else ablation.examples(page)
        place = st.empty()

        def told(share: float) -> None:
            place.progress(share, text=t("what_if.measuring"))

        worth = ablation.worth(trace.checkpoint, texts, told)
        place.empty()

        def picked(click: Selection) -> None:
            if (switch := switch_at(worth, click)) is not None:
                session.current().off = [switch.code]
                parts.redraw("off")

        panel(part_worth, worth, key=f"{page}.part_worth", source=trace.prompt, picked=picked)


def switch_at(worth: Worth, click: Selection) -> Switch | None:
    """Return the switch of the cell that a click meant; None beside all cells and where the layer lacks the part."""
    if click.row is None or click.column is None:
        return None
    if click.row >= len(worth.parts) or click.column >= len(worth.layers):
        return None
    kind, how = worth.parts[click.row]
    if worth.loss.values[click.row, click.column] != worth.loss.values[click.row, click.column]:
        return None
    named = "feed_forward" if kind == "channel_mix" else kind
    return Switch(cast("Kind", named), worth.layers[click.column], how=cast("How", how))
