"""The step size of every channel on an opened question, and how well it tells what must be kept from the rest."""

import streamlit as st

from models.recall.examples import Opened
from models.recall.tasks import FILL, VALUE
from models.records.trace import ModelTrace
from pages.compare.recall.results import PAGE
from pages.shared import controls, notices, unfolding
from pages.shared.panel import panel
from pages.shared.words.i18n import t
from viz.trace.state import dt_map


def section(found: Opened) -> None:
    """Offer the step sizes of each model that has some, where the sequence holds values among fillers."""
    shown = [answer.trace for answer in found.answers if answer.trace.layers_with("dt")]
    marked = values_among_fillers(found)
    if not shown or not marked:
        return
    with unfolding.section(t("recall.steps.title"), key=f"{PAGE}.steps.open") as opened:
        if opened.open:
            st.markdown(t("recall.steps.text"))
            for trace in shown:
                with notices.guarded():
                    _steps(trace, marked)


def values_among_fillers(found: Opened) -> tuple[int, ...]:
    """Return the places of the values where the answer must be told from fillers between them; () elsewhere."""
    values = tuple(place for place, role in enumerate(found.roles) if role == VALUE)
    between = found.roles[values[0] : values[-1]] if values else ()
    return values if FILL in between else ()


def _steps(trace: ModelTrace, marked: tuple[int, ...]) -> None:
    layers = [layer.index for layer in trace.layers_with("dt")]
    layer = controls.layer_picker(PAGE, layers, default=layers[0], name="state_layer", at=trace.architecture)
    panel(
        dt_map, trace, key=f"{PAGE}.steps_{trace.architecture}", layer=layer, marked=marked,
        subtitle=f"{t(f'nav.{trace.architecture}')} · {t('viz.layer', layer=layer)}",
    )  # fmt: skip
