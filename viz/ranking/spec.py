"""Ranked lists as data: for one model or several, the best tokens at every place of the text, with their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.records.trace import Token
from viz.canvas.payload import Planes, Values, encode
from viz.look.theme import Theme


@dataclass(frozen=True, slots=True)
class Column:
    """The lists of one model. Arrays are (place, row), or (place,) where it says so.

    name, color: of the model; tokens: those it reads; at: the token that is shown until one is chosen. places: the
    tokens that there are lists for, (place,). labels: what the numbers in label are names of. label: the token of a
    row; rank; logit: as the model gave it; own: its probability; scaled: the logit after the settings, nan where they
    leave it out; drawn: the probability that is drawn from. The last row of a place is the token that really came,
    nan at the end of the text. kept, mass: how many tokens may be drawn, and their share of the whole (place,).
    guess: (label, rank, own) of the reader's guess at `at`, None without one. steps: for each token of the reading
    that this is a version of, its token here; before: the rank that the first version gives the row's token.
    """

    name: str
    color: str
    tokens: tuple[Token, ...]
    at: int
    places: Values
    labels: tuple[str, ...]
    label: Values
    rank: Values
    logit: Values
    own: Values
    scaled: Values
    drawn: Values
    kept: Values
    mass: Values
    vocabulary: int
    guess: tuple[str, int, float] | None = None
    steps: tuple[int, ...] | None = None
    before: Values | None = None

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the column for the browser."""
        arrays = ("places", "label", "rank", "logit", "own", "scaled", "drawn", "kept", "mass")
        return {
            "name": self.name,
            "color": self.color,
            "tokens": [token.label for token in self.tokens],
            "spans": [(token.start, token.end) for token in self.tokens],
            "at": self.at,
            "labels": self.labels,
            "rows": self.label.shape[1],
            "vocabulary": self.vocabulary,
            "guess": self.guess,
            "steps": self.steps,
            "before": planes.add(self.before),
        } | {name: planes.add(getattr(self, name)) for name in arrays}


@dataclass(frozen=True, slots=True)
class Ranking:
    """Columns side by side. changed: whether settings move the probabilities; words: sentences with {values}."""

    id: str
    alt: str
    theme: Theme
    columns: tuple[Column, ...]
    changed: bool
    words: Mapping[str, str] = field(default_factory=dict)
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def payload(self) -> bytes:
        """Encode the lists as header and planes, once."""
        if not self._encoded:
            planes = Planes()
            names = ("mode", "card", "hairline", "ink", "muted", "chip", "font", "mono")
            header = {
                "id": self.id,
                "alt": self.alt,
                "theme": {name: getattr(self.theme, name) for name in names},
                "columns": [column.header(planes) for column in self.columns],
                "changed": self.changed,
                "words": dict(self.words),
            }
            self._encoded.append(encode(header, planes))
        return self._encoded[0]
