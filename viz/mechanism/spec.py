"""A mechanism as data: the words of a text, named planes of numbers, steps with a sentence each, and a painter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.alignment import covering
from models.records.trace import Array, Token
from viz.canvas.payload import Planes, encode
from viz.look.theme import Theme
from viz.mechanism.source import painters

SMALL = 560  # pixels of width from which the names of the steps stand beside the buttons; browser/view.js knows it
WALK = (108, 56)  # pixels of the row of buttons, on a narrower and on a wider picture; browser/component.css knows it


@dataclass(frozen=True, slots=True)
class Plane:
    """Numbers of one name, which a painter reads as value(name, ...index).

    dims: the name of each dimension. digits: to how many significant decimal digits they travel, at most 5; all
    without it. nan stands for what is not there; infinite values are refused.
    """

    values: Array
    dims: tuple[str, ...]
    digits: int | None = None

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the plane for the browser."""
        values = np.asarray(self.values, np.float32)
        return {"plane": planes.add(values, digits=self.digits), "shape": values.shape, "dims": self.dims}


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One step: key, by which the painter knows it; title, on its button; says, the sentence below the drawing.

    says: complete, or with {name} for what the painter's says() fills in for the token and the cell that are shown.
    """

    key: str
    title: str
    says: str


@dataclass(frozen=True, slots=True)
class Size:
    """The room from a width of the picture on, in pixels: height of the drawing, and of the words below it at least."""

    width: int
    drawing: int
    words: int


@dataclass(frozen=True, slots=True)
class MechanismSpec:
    """The whole figure.

    painter: a file of browser/painters. accent: #rrggbb of what is chosen. tokens: the words; selected: the one that is
    shown until the visitor chooses in the browser, the last without it. sizes: narrowest first, the first from width 0.
    ramps: name -> colours from low to high. settings: what else the painter needs, as JSON: numbers, texts, lists.
    words: what the script says (viz.trace.mechanisms.words) and what the painter writes. reading: the id of the text
    whose selection the figure follows (viz.trace.tokens). on: whether to play goes on with the next token after the
    last step. first: the step that is shown at first. wide: whether the card takes a whole row of the page.
    Raises ValueError for a painter that is not there, a figure without tokens or steps, and sizes out of order.
    """

    id: str
    alt: str
    theme: Theme
    accent: str
    painter: str
    tokens: tuple[Token, ...]
    planes: Mapping[str, Plane]
    steps: tuple[WalkStep, ...]
    sizes: tuple[Size, ...]
    ramps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    reading: str = ""
    selected: int | None = None
    on: bool = False
    first: int = 0
    wide: bool = True
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.painter not in painters():
            raise ValueError(f"mechanism {self.id}: no painter {self.painter!r} among {sorted(painters())}")
        if not self.tokens or not 0 <= self.first < len(self.steps):
            raise ValueError(f"mechanism {self.id}: {len(self.tokens)} tokens, step {self.first} of {len(self.steps)}")
        widths = [size.width for size in self.sizes]
        if not widths or widths[0] != 0 or widths != sorted(set(widths)):
            raise ValueError(f"mechanism {self.id}: sizes from widths {widths}, expected 0 and then wider ones")

    def height(self, width: int) -> int:
        """Return the height of the figure in pixels for a width, as the script lays it out."""
        size = max((size for size in self.sizes if size.width <= width), key=lambda size: size.width)
        return size.drawing + WALK[width >= SMALL] + size.words

    def payload(self) -> bytes:
        """Encode the figure as header and planes, once."""
        if not self._encoded:
            self._encoded.append(self._encode())
        return self._encoded[0]

    def _encode(self) -> bytes:
        planes = Planes()
        names = ("mode", "ground", "card", "hairline", "ink", "muted", "chip", "font", "mono")
        header = {
            "id": self.id,
            "alt": self.alt,
            "theme": {name: getattr(self.theme, name) for name in names} | {"accent": self.accent},
            "painter": self.painter,
            "labels": [token.label for token in self.tokens],
            "piece": [token.piece for token in self.tokens],
            "spans": covering([(token.start, token.end) for token in self.tokens]),
            "named": {name: plane.header(planes) for name, plane in self.planes.items()},
            "steps": [{"key": step.key, "title": step.title, "says": step.says} for step in self.steps],
            "sizes": [(size.width, size.drawing, size.words) for size in self.sizes],
            "ramps": {name: "".join(color.removeprefix("#") for color in ramp) for name, ramp in self.ramps.items()},
            "settings": dict(self.settings),
            "words": dict(self.words),
            "reading": self.reading,
            "selected": self.selected,
            "on": self.on,
            "first": self.first,
        }
        return encode(header, planes)
