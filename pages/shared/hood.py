"""Figures that lie under the hood of every architecture's page: adding one is a line here.

Their titles and texts stand in their own files of assets/figures, under hood.
"""

from collections.abc import Callable
from functools import partial

from models.records.trace import ModelTrace
from pages.shared.panel import Draw, panel
from viz.figure import registered_as
from viz.trace.lens import logit_lens
from viz.trace.tokens import token_strip

FIGURES: tuple[Draw, ...] = (logit_lens, token_strip)


def shared(page: str, trace: ModelTrace) -> list[tuple[str, Callable[[], object]]]:
    """List the figures that a trace allows, as layout.under_the_hood takes them: (figure id, draw)."""
    entries = [registered_as(draw) for draw in FIGURES]
    return [
        (entry.id, partial(panel, draw, trace, key=f"{page}.{entry.id}"))
        for entry, draw in zip(entries, FIGURES, strict=True)
        if entry.allowed(trace)
    ]
