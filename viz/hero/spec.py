"""The picture of several models reading one text as data: the text, and a lane for each model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from models.records.trace import Array
from viz.hero.payload import TypedPlanes, encode
from viz.look.theme import Theme

Span = tuple[int, int]  # characters of the text, half open


@dataclass(frozen=True, slots=True)
class Cells:
    """A row of cells, one laid for each token: weights (token, cell), how much the newest token reads each.

    pool: tokens in a cell, whose weights are added up. high: the weight from which the colour is full. about: what
    the weights are.
    """

    weights: Array
    pool: int
    high: float
    about: str

    def header(self, planes: TypedPlanes) -> dict[str, Any]:
        """Describe the cells for the browser: row t has as many cells as t + 1 tokens fill."""
        filled = [row[: t // self.pool + 1] for t, row in enumerate(self.weights)]
        own = {"pool": self.pool, "high": self.high, "about": self.about}
        return {"plane": planes.add(np.concatenate(filled), "f2")} | own


@dataclass(frozen=True, slots=True)
class StateTile:
    """A state of fixed size, drawn after each token.

    values (token, row, column) >= 0: each cell is coloured up to its highest. written (token,): the share of the
    state's size that the token wrote, the rest was kept. rows: names.
    """

    values: Array
    written: Array
    rows: tuple[str, ...]
    about: str
    share: str

    def header(self, planes: TypedPlanes) -> dict[str, Any]:
        """Describe the tile for the browser."""
        _, rows, columns = self.values.shape
        return {
            "plane": planes.add(self.values, "f2"),
            "written": planes.add(self.written, "f4"),
            "highs": planes.add(self.values.max(axis=0), "f4"),
            "size": (rows, columns),
            "rows": self.rows,
            "about": self.about,
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class Ink:
    """The text in several inks: shares (token, ink, back), the weight that is left of the token so many steps back.

    names: one for each ink, about: what a share is.
    """

    shares: Array
    names: tuple[str, ...]
    about: tuple[str, ...]

    def header(self, planes: TypedPlanes) -> dict[str, Any]:
        """Describe the inks for the browser."""
        past = [row[:, : t + 1].ravel() for t, row in enumerate(self.shares)]  # of no token before the first
        return {
            "plane": planes.add(np.concatenate(past), "f2"),
            "window": self.shares.shape[2],
            "names": self.names,
            "about": self.about,
        }


@dataclass(frozen=True, slots=True)
class Doors:
    """Experts as doors: chosen and weights (layer, token, choice) of count experts in some layers.

    name: of all, about: one for each layer.
    """

    chosen: Array
    weights: Array
    count: int
    layers: tuple[int, ...]
    name: str
    about: tuple[str, ...]

    def header(self, planes: TypedPlanes) -> dict[str, Any]:
        """Describe the doors for the browser."""
        return {
            "chosen": planes.add(self.chosen, "u1"),
            "weights": planes.add(self.weights, "f2"),
            "choices": self.chosen.shape[2],
            "count": self.count,
            "layers": self.layers,
            "name": self.name,
            "about": self.about,
        }


@dataclass(frozen=True, slots=True)
class Guesses:
    """The best guesses before each token: labels and probs (token, guess); rank and prob (token,) of what came.

    Nothing is guessed before the first token: labels "", probs 0, rank 0.
    """

    labels: tuple[tuple[str, ...], ...]
    probs: Array
    rank: Array
    prob: Array

    def header(self, planes: TypedPlanes) -> dict[str, Any]:
        """Describe the guesses for the browser; a label that occurs often is written once."""
        known = {label: place for place, label in enumerate(dict.fromkeys(w for row in self.labels for w in row))}
        return {
            "labels": list(known),
            "best": [[known[label] for label in row] for row in self.labels],
            "probs": planes.add(self.probs),
            "rank": planes.add(self.rank, "u4"),
            "prob": planes.add(self.prob),
        }


@dataclass(frozen=True, slots=True)
class ModelLane:
    """One model: its look, its tokens, and what it carries.

    labels, spans: its own tokens; steps: its last token that is read whole when token i of the text has been read, -1
    for none. All three are None where its tokens are those of the text. carried: bytes after each of its tokens, as
    words. summary: what kinds of things it carries.
    """

    key: str
    name: str
    color: str
    marker: str
    labels: tuple[str, ...] | None
    spans: tuple[Span, ...] | None
    steps: tuple[int, ...] | None
    guesses: Guesses
    carried: tuple[str, ...]
    summary: str
    cells: Cells | None = None
    tile: StateTile | None = None
    ink: Ink | None = None
    doors: Doors | None = None

    def header(self, planes: TypedPlanes) -> dict[str, Any]:
        """Describe the lane for the browser."""
        parts = {"cells": self.cells, "tile": self.tile, "ink": self.ink, "doors": self.doors}
        names = ("key", "name", "color", "marker", "labels", "spans", "steps", "carried", "summary")
        own = {name: getattr(self, name) for name in names}
        return {name: value for name, value in own.items() if value is not None} | {
            "guesses": self.guesses.header(planes),
            **{name: part.header(planes) for name, part in parts.items() if part is not None},
        }


@dataclass(frozen=True, slots=True)
class WaitingLane:
    """The place of a model that has not read the text yet: its look, and words for what it does meanwhile."""

    key: str
    name: str
    color: str
    marker: str
    says: str


@dataclass(frozen=True, slots=True)
class HeroSpec:
    """The whole picture.

    labels, spans: the tokens of the text, in characters of prompt. finding: a sentence above the text, note: one below
    the lanes. words: what the script says. waiting: models that are still to read, under the others.
    """

    id: str
    alt: str
    theme: Theme
    prompt: str
    labels: tuple[str, ...]
    spans: tuple[Span, ...]
    lanes: tuple[ModelLane, ...]
    finding: str = ""
    note: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    waiting: tuple[WaitingLane, ...] = ()
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def payload(self) -> bytes:
        """Encode the picture as header and planes, once."""
        if not self._encoded:
            self._encoded.append(self._encode())
        return self._encoded[0]

    def _encode(self) -> bytes:
        planes = TypedPlanes()
        names = ("mode", "ground", "card", "hairline", "ink", "muted", "chip", "font", "mono")
        header = {
            "id": self.id,
            "alt": self.alt,
            "theme": {name: getattr(self.theme, name) for name in names},
            "prompt": self.prompt,
            "labels": self.labels,
            "spans": self.spans,
            "lanes": [lane.header(planes) for lane in self.lanes],
            "waiting": [asdict(lane) for lane in self.waiting],
            "finding": self.finding,
            "note": self.note,
            "words": dict(self.words),
        }
        return encode(header, planes)
