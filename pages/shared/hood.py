"""Figures that lie under the hood of every architecture's page: adding one is a line here.

Their titles and texts stand in their own files of assets/figures, under hood.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from models.records.trace import ModelTrace
from pages.shared import anatomy, finders, stream, token_steps
from pages.shared.panel import Draw, panel
from viz.figure import registered_as
from viz.trace.lens import PARTS as LENS
from viz.trace.reach import reach
from viz.trace.residual import residual_norms
from viz.trace.rollout import attention_throughout
from viz.trace.tokens import token_strip


class Section(NamedTuple):
    """A section with controls of its own.

    id: of its first figure; needs: parts that some layer must show; when: what else must hold of a trace.
    """

    id: str
    needs: tuple[str, ...]
    show: Callable[[str, ModelTrace], object]
    when: Callable[[ModelTrace], bool] = bool


FIGURES: tuple[Draw | Section, ...] = (  # in their order on the page
    Section("anatomy", ("mixer_write",), anatomy.section),
    Section("logit_lens", LENS, stream.lens),
    residual_norms,
    Section("logit_attribution", ("mixer_write",), stream.attribution),
    Section("head_finder", ("attention",), finders.heads),
    Section("attention_rollout", ("attention",), stream.rollout, when=attention_throughout),
    token_strip,
    reach,
    Section("token_steps", (), token_steps.draw),
)


def shared(page: str, trace: ModelTrace) -> list[tuple[str, Callable[[], object]]]:
    """List the figures that a trace allows, as layout.under_the_hood takes them: (figure id, draw)."""
    return [shown for entry in FIGURES for shown in _shown(entry, page, trace)]


def ids() -> list[str]:
    """Name the sections that pages share by the ids of their first figures."""
    return [entry.id if isinstance(entry, Section) else registered_as(entry).id for entry in FIGURES]


def _shown(entry: Draw | Section, page: str, trace: ModelTrace) -> Iterator[tuple[str, Callable[[], object]]]:
    if isinstance(entry, Section):
        if all(trace.layers_with(part) for part in entry.needs) and entry.when(trace):
            yield entry.id, partial(entry.show, page, trace)
        return
    known = registered_as(entry)
    if known.allowed(trace):
        yield known.id, partial(panel, entry, trace, key=f"{page}.{known.id}")
