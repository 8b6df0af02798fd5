"""The figure that every figure function returns, and the registry of figure functions."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, ParamSpec, TypeVar, cast

from models.records.trace import PARTS, ModelTrace, NamedArray
from viz.canvas import CanvasSpec
from viz.finder.spec import Finder
from viz.hero import HeroSpec
from viz.look.plotly import PlotSpec
from viz.look.vega import VegaSpec
from viz.mechanism import MechanismSpec
from viz.ranking import Ranking

Translate = Callable[..., str]
Body = CanvasSpec | Finder | HeroSpec | MechanismSpec | PlotSpec | Ranking | VegaSpec
Of = Literal["trace", "traces", "channel", "rows", "recall", "other"]
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Figure:
    """A finished figure.

    id: name of its file in assets/figures (formula, shape, paper, words). data: exactly the arrays drawn, for export
    and for the test that a displayed value is a tensor value. alt: one sentence in the reader's language. note: plain
    words under the picture that say how to read its marks. finding: what the drawn numbers show, in one sentence. each:
    of a chart that follows the chosen token, alt and finding for every token; its own are those of the token it begins
    with.
    """

    id: str
    body: Body
    data: Mapping[str, NamedArray]
    alt: str
    note: str = ""
    finding: str = ""
    each: tuple[tuple[str, str], ...] = ()


F = TypeVar("F", bound=Figure | None)


@dataclass(frozen=True, slots=True)
class Registered:
    """A figure function in the table.

    of: what it draws: one trace, several traces, one channel of a trace, rows of a benchmark, cells of a recall task,
    or something else. needs: the quantities of records.PARTS that some layer of a trace must show; also: those that it
    draws or reads where they are.
    """

    id: str
    draw: Callable[..., Figure | None]
    of: Of
    needs: tuple[str, ...]
    also: tuple[str, ...]

    def allowed(self, trace: ModelTrace) -> bool:
        """Return whether a trace shows everything that the figure needs."""
        return all(trace.layers_with(part) for part in self.needs)


_TABLE: dict[str, Registered] = {}


def figure(
    figure_id: str, *, of: Of = "trace", needs: Sequence[str] = (), also: Sequence[str] = ()
) -> Callable[[Callable[P, F]], Callable[P, F]]:
    """Register a figure function under the id of its file in assets/figures.

    Raises ValueError for a quantity that records.PARTS does not know and for an id that another function has; the
    registered function raises it when it returns a figure of another id.
    """
    if unknown := {*needs, *also} - PARTS.keys():
        raise ValueError(f"figure {figure_id!r} needs {sorted(unknown)}, which records.PARTS does not know")

    def register(draw: Callable[P, F]) -> Callable[P, F]:
        known = _TABLE.get(figure_id)
        if known is not None and _place(known.draw) != _place(draw):
            raise ValueError(f"figure {figure_id!r} is drawn by {_place(known.draw)} already, not by {_place(draw)}")

        @functools.wraps(draw)
        def drawn(*args: P.args, **options: P.kwargs) -> F:
            made = draw(*args, **options)
            if made is not None and made.id != figure_id:
                raise ValueError(f"{_place(draw)} is registered as {figure_id!r} and returned {made.id!r}")
            return made if made is None or not made.finding else cast("F", _told(made))

        _TABLE[figure_id] = Registered(figure_id, drawn, of, tuple(needs), tuple(also))
        return drawn

    return register


def _told(made: Figure) -> Figure:
    """Add the finding to the sentence that stands for the picture, where a screen reader meets it."""
    alt_text = f"{made.alt} {made.finding}"
    each = tuple((f"{alt} {finding}", finding) for alt, finding in made.each)
    body = made.body
    if isinstance(body, CanvasSpec | Finder | MechanismSpec | Ranking):
        body = replace(body, alt=alt_text)
    return replace(made, alt=alt_text, body=body, each=each)


def registered() -> Mapping[str, Registered]:
    """Return the figures of all modules that are imported, by id. viz.gallery.figures imports every module of viz."""
    return dict(_TABLE)


def registered_as(draw: Callable[..., object]) -> Registered:
    """Return the entry of a figure function. Raises LookupError for one that is not registered."""
    for entry in _TABLE.values():
        if entry.draw is draw:
            return entry
    raise LookupError(f"{_place(draw)} is no registered figure: put @figure before it")


def _place(draw: Callable[..., object]) -> str:
    return f"{draw.__module__}.{draw.__qualname__}"
