"""Figures that lie under the hood of every architecture's page: adding one is a line here.

Their titles and texts stand in their own files of assets/figures, under hood.
"""

from collections.abc import Callable
from functools import partial

from models.records.trace import ModelTrace
from pages.shared import finders
from pages.shared.panel import Draw, panel
from viz.figure import registered_as
from viz.trace.lens import logit_lens
from viz.trace.tokens import token_strip

Shown = Callable[[str, ModelTrace], object]

FIGURES: tuple[Draw, ...] = (logit_lens, token_strip)  # drawn of the trace alone
SECTIONS: tuple[
    tuple[str, tuple[str, ...], Shown], ...
] = (  # figure id, parts that some layer must show, what draws it
    ("head_finder", ("attention",), finders.heads),
)


def shared(page: str, trace: ModelTrace) -> list[tuple[str, Callable[[], object]]]:
    """List the figures that a trace allows, as layout.under_the_hood takes them: (figure id, draw)."""
    entries = [registered_as(draw) for draw in FIGURES]
    plain = [
        (entry.id, partial(panel, draw, trace, key=f"{page}.{entry.id}"))
        for entry, draw in zip(entries, FIGURES, strict=True)
        if entry.allowed(trace)
    ]
    own = [
        (figure_id, partial(draw, page, trace))
        for figure_id, needs, draw in SECTIONS
        if all(trace.layers_with(part) for part in needs)
    ]
    return [*plain, *own]
