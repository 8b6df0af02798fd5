"""What one small model recalls with a part switched off, beside what it recalls with everything on."""

from typing import TYPE_CHECKING

import streamlit as st

from models.records.recall import Accuracy
from models.switches.value import NONE, Switches
from pages.compare.recall.results import PAGE, Record
from pages.shared import cache, notices, parts, switch_choice
from pages.shared.lru_cache import LruCache
from pages.shared.panel import panel
from pages.shared.state import session
from pages.shared.switch_choice import Model
from pages.shared.words.i18n import t
from viz.recall.what_if import RUNS, recall_what_if

if TYPE_CHECKING:
    from models.switches.context import Means
    from models.tracing.adapter import Checkpoint

KEPT, KEPT_MODELS = 128, 16  # lists of cells, and models with their means

_MODELS: "LruCache[tuple[Checkpoint, Means]]" = LruCache(KEPT_MODELS)  # each weighs one
_CELLS: LruCache[list[Accuracy]] = LruCache(KEPT)


def draw(record: Record) -> None:
    """Offer a model and what is switched off in it, and draw its accuracy before and after."""
    parts.figure(f"{PAGE}.part.what_if", lambda: _draw(record), on=("off", "architecture"))


def _draw(record: Record) -> None:
    from models import registry

    name = _architecture(record)
    offers = registry.switches_of(_model(record.task, name)[0])
    model = Model(offers)
    chosen = switch_choice.chosen(model)
    with st.container(border=True, key=f"card-{PAGE}.off"):
        switch_choice.show(PAGE, model, chosen)
    if not chosen:
        return
    row = _row(record)
    with notices.guarded(), st.spinner(t("what_if.measuring")):
        cells = dict(zip(RUNS, (_cells(record, name, row, one) for one in (NONE, Switches.of(*chosen))), strict=True))
    told = f"{t(f'nav.{name}')} · {switch_choice.labels(chosen, model)}"
    panel(recall_what_if, cells, key=f"{PAGE}.what_if", subtitle=told, architecture=name,
          across=record.layout.across, guess=record.layout.guess)  # fmt: skip


def _architecture(record: Record) -> str:
    names, visit, key = list(record.bundled), session.current(), f"{PAGE}.architecture"

    def changed() -> None:
        visit.select("architecture", names.index(st.session_state[key]))
        visit.off = ()
        parts.redraw("architecture")

    st.session_state[key] = names[visit.selection("architecture", default=0, allowed=range(len(names)))]
    with st.container(key=f"pick-{key}", width="content"):
        st.segmented_control(t("what_if.model"), names, key=key, required=True, on_change=changed,
                             format_func=lambda one: t(f"nav.{one}"))  # fmt: skip
    return str(st.session_state[key])


def _row(record: Record) -> int:
    """Return the value on the second axis: the one of the question above, else the middle one."""
    rows = list(record.layout.rows)
    return session.current().selection("load", default=rows[len(rows) // 2], allowed=rows)


def _model(task: str, name: str) -> "tuple[Checkpoint, Means]":
    from models import registry
    from models.recall import curriculum, micro, what_if

    def made() -> "tuple[Checkpoint, Means]":
        loaded = micro.load(task, name, device=registry.preferred_device())
        return loaded, what_if.means_of(loaded, curriculum.task(task))

    return cache.waited(_MODELS, (task, name), made)


def _cells(record: Record, name: str, row: int, switches: Switches) -> list[Accuracy]:
    from models.recall import curriculum, what_if

    loaded, means = _model(record.task, name)
    task = curriculum.task(record.task)

    def measured() -> list[Accuracy]:
        cells = what_if.cells_of(task, record.layout.up, row)
        return what_if.accuracies(loaded, task, cells, switches, means)

    return cache.waited(_CELLS, (record.task, name, row, switches), measured)
