"""A finder as data: its rows (layer, item) and the metrics by which the browser sorts and filters them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from viz.canvas.payload import Planes, Values, encode
from viz.look.theme import Theme

Whole = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of every row, on the visitor's text and on a fixed sample.

    key: its name among the words of the figure (viz.<figure>.<key>, and <key>_meaning for what it is). here: (row,) on
    the visitor's text, None for what is no quantity of a text; there: (row,) on the sample, None without one; nan where
    a row has no value. chance_here, chance_there: (row,) what a row without the pattern has there, None where nothing
    says. low, high: ends of the bars; without high the largest value. digits: decimals that are written, None for
    three significant digits. smallest_first: which rows come first.
    """

    key: str
    here: Values | None
    there: Values | None = None
    chance_here: Values | None = None
    chance_there: Values | None = None
    low: float = 0.0
    high: float | None = None
    digits: int | None = 2
    smallest_first: bool = False

    def columns(self) -> dict[str, Values]:
        """Return the arrays that it has, by their names here."""
        named = {name: getattr(self, name) for name in ("here", "there", "chance_here", "chance_there")}
        return {name: values for name, values in named.items() if values is not None}

    @property
    def end(self) -> float:
        """Return where the bars end: high, or the largest value of both texts, above low in any case."""
        if self.high is not None:
            return self.high
        finite = np.concatenate([values[np.isfinite(values)] for values in self.columns().values()])
        top = float(finite.max()) if finite.size else self.low + 1.0
        return top if top > self.low else self.low + 1.0


@dataclass(frozen=True, slots=True)
class Finder:
    """A whole table. layers, items: (row,) what a row is; names: words for the metrics, (name, meaning) each.

    color: of the bars; marked: the row (layer, item) that the page shows; shown: the metric until another is chosen;
    words: sentences with {values}. Raises ValueError where an array does not have a number for every row.
    """

    id: str
    alt: str
    theme: Theme
    color: str
    layers: Whole
    items: Whole
    metrics: tuple[Metric, ...]
    names: tuple[tuple[str, str], ...]
    marked: tuple[int, int] | None = None
    shown: int = 0
    words: Mapping[str, str] = field(default_factory=dict)
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = (len(self.layers),)
        arrays = [self.items, *(values for metric in self.metrics for values in metric.columns().values())]
        if any(values.shape != rows for values in arrays):
            raise ValueError(f"finder {self.id} has {rows[0]} rows and arrays of {[one.shape for one in arrays]}")

    def payload(self) -> bytes:
        """Encode the table as header and planes, once."""
        if not self._encoded:
            planes = Planes()
            names = ("mode", "card", "hairline", "ink", "muted", "chip", "font", "mono")
            header = {
                "id": self.id,
                "alt": self.alt,
                "theme": {name: getattr(self.theme, name) for name in names} | {"own": self.color},
                "layers": [int(layer) for layer in self.layers],
                "items": [int(item) for item in self.items],
                "metrics": [_told(metric, said, planes) for metric, said in zip(self.metrics, self.names, strict=True)],
                "marked": self.marked,
                "shown": self.shown,
                "words": dict(self.words),
            }
            self._encoded.append(encode(header, planes))
        return self._encoded[0]


def _told(metric: Metric, said: tuple[str, str], planes: Planes) -> dict[str, Any]:
    return {
        "key": metric.key,
        "name": said[0],
        "meaning": said[1],
        "low": metric.low,
        "high": metric.end,
        "digits": metric.digits,
        "smallest_first": metric.smallest_first,
        "columns": {name: planes.add(values) for name, values in metric.columns().items()},
    }
