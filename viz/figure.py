"""What every figure function returns: the picture, the arrays in it, and one sentence for those who cannot see it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import altair as alt

from models.records.trace import Named
from viz.canvas import CanvasSpec

Translate = Callable[..., str]
Body = CanvasSpec | alt.TopLevelMixin


@dataclass(frozen=True, slots=True)
class Figure:
    """A finished figure.

    id: name of its file in assets/figures (formula, shape, paper, words). data: exactly the arrays drawn, for export
    and for the test that a displayed value is a tensor value. alt: one sentence in the reader's language. note: plain
    words under the picture that say how to read its marks.
    """

    id: str
    body: Body
    data: Mapping[str, Named]
    alt: str
    note: str = ""
