"""A block diagram as data: a stream that runs down, branches that leave it and add to it again, boxes in order."""

from dataclasses import asdict, dataclass, field
from typing import Any

from viz.canvas.payload import Planes, encode
from viz.look.theme import Theme


@dataclass(frozen=True, slots=True)
class Box:
    """One part. name; detail: shape and parameters in words; live: what this run measured there, "" for nothing.

    weights: whether it has weights of its own; a box without is drawn in outline.
    """

    name: str
    detail: str = ""
    live: str = ""
    weights: bool = True


@dataclass(frozen=True, slots=True)
class Branch:
    """What leaves the stream and is added to it. steps: boxes in order, those of one step beside each other.

    adds: what is added, in words; worth: what the branch is worth, "" where it was not measured.
    """

    name: str
    color: str
    steps: tuple[tuple[Box, ...], ...]
    adds: str = ""
    worth: str = ""


@dataclass(frozen=True, slots=True)
class BlockColumn:
    """One kind of block. title, note: which blocks, how many parameters; enters, leaves: the stream before and after.

    parallel: both branches read the same stream and are added at once.
    """

    title: str
    note: str
    enters: str
    leaves: str
    branches: tuple[Branch, ...]
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Diagram:
    """A whole model: what stands before the blocks, a column per kind of block, what stands after, and the sum."""

    id: str
    alt: str
    theme: Theme
    before: tuple[Box, ...]
    columns: tuple[BlockColumn, ...]
    after: tuple[Box, ...]
    total: str
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def payload(self) -> bytes:
        """Encode the diagram as a header without planes, once."""
        if not self._encoded:
            names = ("mode", "card", "hairline", "ink", "muted", "chip", "font", "mono")
            header: dict[str, Any] = {
                "id": self.id,
                "alt": self.alt,
                "theme": {name: getattr(self.theme, name) for name in names},
                "before": [asdict(box) for box in self.before],
                "columns": [asdict(column) for column in self.columns],
                "after": [asdict(box) for box in self.after],
                "total": self.total,
            }
            self._encoded.append(encode(header, Planes()))
        return self._encoded[0]
