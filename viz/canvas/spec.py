"""The canvas picture as data: token strip, bars, heatmap, legends, and the sentence that stands for all."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from models.alignment import covering
from models.records.trace import Token
from viz.canvas.heatmap import Frames, Matrix, Tiles
from viz.canvas.payload import Planes, Values, encode
from viz.look.theme import Theme


@dataclass(frozen=True, slots=True)
class Strip:
    """The tokens above a picture.

    role: "columns" - the grid's columns are these tokens; "rows" - the rows of every tile are; "frames" - a frame each.
    chosen: first and last + 1 of a chosen run of tokens, where more than the selected one is meant.
    selected, chosen: drawn until the visitor chooses in the browser.
    surprisal (token,) in bits, nan where unknown. readout: lines of the hover text, with {label} {index} {id} {bits}
    {p} {extra}; extra: one more line per token.
    roles: what each token is for, where the strip is a sequence of single characters: "key" (bold), "value", "other"
    (faint, where there is room) or "filler" (a dot); pairs: first and last token of what a bracket holds together.
    """

    tokens: tuple[Token, ...]
    surprisal: Values | None = None
    selected: int | None = None
    role: Literal["columns", "rows", "frames"] = "columns"
    readout: tuple[str, ...] = ("{label}",)
    extra: tuple[str, ...] = ()
    chosen: tuple[int, int] | None = None
    roles: tuple[str, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the strip for the browser."""
        return {
            "labels": [token.label for token in self.tokens],
            "piece": [token.piece for token in self.tokens],
            "pieces": [token.pieces for token in self.tokens],
            "spans": covering([(token.start, token.end) for token in self.tokens]),
            "index": [token.index for token in self.tokens],
            "ids": [token.id for token in self.tokens],
            "surprisal": planes.add(self.surprisal),
            "selected": self.selected,
            "chosen": self.chosen,
            "role": self.role,
            "readout": self.readout,
            "extra": self.extra,
            **({"roles": self.roles, "pairs": self.pairs} if self.roles else {}),
        }


@dataclass(frozen=True, slots=True)
class Bars:
    """One row of bars between strip and grid, one bar per token; values None draws the active row of the grid.

    label, readout: with {row} for the active row's token. color: #rrggbb.
    """

    values: Values | None
    label: str
    color: str
    readout: str = "{value}"

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the bars for the browser."""
        return {"plane": planes.add(self.values), "label": self.label, "color": self.color, "readout": self.readout}


@dataclass(frozen=True, slots=True)
class Legend:
    """The colour scale under a picture: label, texts at ramp places 0..1, and what the range was taken over.

    ramp: index into the heatmap's ramps, several of them for ramps that share the range, or None with swatches
    (colour, text) for categories.
    """

    label: str
    ticks: tuple[tuple[float, str], ...] = ()
    scope: str = ""
    ramp: int | tuple[int, ...] | None = 0
    swatches: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CanvasSpec:
    """A whole picture. alt: one sentence; accent: #rrggbb of selection; words: interface words the component shows.

    reading: the id of the text whose selection the picture follows (viz.trace.tokens), "" for a selection of its own.
    token_notes: the note for each shown token, in place of note.
    heights: what viz.canvas.height has found, width -> height in pixels.
    """

    id: str
    alt: str
    theme: Theme
    accent: str
    strip: Strip | None = None
    bars: tuple[Bars, ...] = ()
    grid: Matrix | Frames | Tiles | None = None
    legends: tuple[Legend, ...] = ()
    note: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    reading: str = ""
    token_notes: tuple[str, ...] = ()
    heights: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.bars and self.strip is None:
            raise ValueError(f"picture {self.id} has bars and no strip: a bar stands under a token")

    def extent(self) -> tuple[int, int, int]:
        """Count the rows, columns and tiles (or frames) that a click may name, before pooling."""
        if self.grid is None:
            return 0, 0, 0
        count, rows, columns = self.grid.shape
        return rows * self.grid.pool[0], columns * self.grid.pool[1], count

    def payload(self) -> bytes:
        """Encode the picture as header and planes, once."""
        if not self._encoded:
            self._encoded.append(self._encode())
        return self._encoded[0]

    def _encode(self) -> bytes:
        planes = Planes()
        header = {
            "id": self.id,
            "alt": self.alt,
            "theme": _theme(self.theme, self.accent),
            "strip": None if self.strip is None else self.strip.header(planes),
            "bars": [bars.header(planes) for bars in self.bars],
            "grid": None if self.grid is None else self.grid.header(planes),
            "legends": [asdict(legend) for legend in self.legends],
            "note": self.note,
            "words": dict(self.words),
            "reading": self.reading,
            "token_notes": self.token_notes,
        }
        return encode(header, planes)


def _theme(theme: Theme, accent: str) -> dict[str, str]:
    names = ("mode", "ground", "card", "hairline", "ink", "muted", "chip", "font", "mono")
    return {name: getattr(theme, name) for name in names} | {"accent": accent}
