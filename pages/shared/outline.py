"""The outline in a figure's place until the figure is drawn: its shape, told by its kind, and its height."""

from collections.abc import Mapping
from typing import Any

from pages.shared import viewport
from viz.canvas import CanvasSpec, Frames, Matrix, Tiles
from viz.exchange import ExchangeSpec, StacksSpec
from viz.hero import HeroSpec
from viz.look.plotly import PlotSpec
from viz.look.vega import VegaSpec
from viz.mechanism import MechanismSpec

SHAPES = ("triangle", "map", "film", "tiles", "strip", "lanes", "curve", "bars")  # of assets/style/outline.css
USUAL = ("map", 460)  # of a figure that this server has not drawn yet
AROUND = 166  # pixels of a card around its picture: title, finding, last row, edges

Placed = (  # figures whose height is known before they are drawn
    CanvasSpec | ExchangeSpec | HeroSpec | MechanismSpec | PlotSpec | StacksSpec | VegaSpec
)

_LINES = {"line", "area", "point", "circle"}
_drawn: dict[tuple[str, int], tuple[str, int]] = {}  # figure, width of its picture -> shape, height of the card


def shape(body: Placed) -> str:
    """Return the shape of a figure, one of SHAPES."""
    if isinstance(body, ExchangeSpec | HeroSpec | MechanismSpec | StacksSpec):
        return "lanes"
    if isinstance(body, PlotSpec):
        return "curve"
    if not isinstance(body, CanvasSpec):
        marks = _marks(body.spec)
        return "map" if "rect" in marks else "curve" if marks & _LINES else "bars"
    match body.grid:
        case None:
            return "strip"
        case Tiles():
            return "tiles"
        case Frames():
            return "film"
        case Matrix(triangle=True):
            return "triangle"
    return "map"


def remember(key: str, body: Placed) -> None:
    """Keep the outline of a figure for the next visitor with a window as wide."""
    _drawn[key, viewport.figure_width(viewport.window())] = (shape(body), _height(body) + AROUND)


def remembered(key: str) -> tuple[str, int]:
    """Return shape and height of the card of a figure as it was drawn last in a window as wide as the visitor's."""
    return _drawn.get((key, viewport.figure_width(viewport.window())), USUAL)


def _height(body: Placed) -> int:
    if isinstance(body, CanvasSpec):
        return viewport.figure_height(body)
    if isinstance(body, MechanismSpec):
        return viewport.mechanism_height(body)
    if isinstance(body, ExchangeSpec | StacksSpec):
        return body.height(viewport.figure_width(viewport.window()))
    return viewport.hero_height() if isinstance(body, HeroSpec) else body.height


def _marks(spec: Mapping[str, Any]) -> set[str]:
    """Collect the kinds of marks in a Vega-Lite chart and in its parts."""
    marks, parts = set(), [spec]
    while parts:
        part = parts.pop()
        mark = part.get("mark")
        if mark is not None:
            marks.add(mark["type"] if isinstance(mark, Mapping) else mark)
        for name in ("layer", "vconcat", "hconcat"):
            parts += part.get(name, ())
    return marks
