"""Two pictures as data: lines between the words that are read and those that are written, and both stacks of layers."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from models.records.trace import Array
from viz.hero.payload import TypedPlanes, encode
from viz.look.theme import Theme

ROW, HEAD, PLAYER = 30, 24, 59  # pixels: of a word, of the title of a column, of the buttons
NARROW, SMALL = 720, 460  # pixels of width from which on less stands side by side, as in browser/component.css
STACKS = ((NARROW, 676), (SMALL, 730), (0, 1010))  # pixels of both stacks from a width on, measured in Chromium
_COLORS = ("mode", "ground", "card", "hairline", "ink", "muted", "chip", "font", "mono")


@dataclass(frozen=True, slots=True)
class LikelyWords:
    """The likeliest next words of every step, best first: labels, probs (step, place); written: place of the word."""

    labels: tuple[tuple[str, ...], ...]
    probs: Array
    written: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """Lines between source and written words, which move while the model writes, with the likeliest next words.

    weights (step, source): how thick the line is from a word that is being written to a word that was read. reading:
    the id under which the pictures of the page share the step; place: layer and head, which the other pictures outline.
    words: what the script says, with {names} to fill. rest: the step that is shown until one is chosen.
    """

    id: str
    alt: str
    theme: Theme
    accent: str
    page: str
    reading: str
    source: tuple[str, ...]
    written: tuple[str, ...]
    weights: Array
    guesses: LikelyWords
    place: tuple[int, int]
    rest: int
    note: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def height(self, width: int) -> int:
        """Return about how many pixels the picture is high when it is so many wide."""
        words = HEAD + ROW * max(len(self.source), len(self.written)) + PLAYER + _note(self.note, width)
        return words if width > NARROW else words + HEAD + ROW * self.guesses.probs.shape[1] + 20

    def payload(self) -> bytes:
        """Encode the picture as header and planes, once."""
        if not self._encoded:
            planes = TypedPlanes()
            header = _common(self) | {
                "kind": "lines",
                "page": self.page,
                "source": self.source,
                "written": self.written,
                "weights": planes.add(self.weights),
                "place": self.place,
                "rest": self.rest,
                "guesses": {
                    "labels": self.guesses.labels,
                    "probs": planes.add(self.guesses.probs),
                    "written": self.guesses.written,
                },
            }
            self._encoded.append(encode(header, planes))
        return self._encoded[0]


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a layer: what it is, in a few words what it does, and who may read whom, where that is its matter.

    mask (query, key): 1 where a query may read a key. reads: "own" for its own words, "other" for those of the encoder.
    """

    title: str
    text: str
    mask: Array | None = None
    reads: Literal["own", "other"] = "own"


@dataclass(frozen=True, slots=True)
class Stack:
    """One of both stacks, from its last block down to its first. layers: how often the blocks are repeated."""

    title: str
    text: str
    blocks: tuple[Block, ...]
    layers: int
    foot: str


@dataclass(frozen=True, slots=True)
class StacksSpec:
    """Encoder and decoder side by side, with the words that stand at their inputs and output at every step.

    source: what the encoder reads; given, written: what the decoder reads and writes, an entry for each step. rest: the
    step that is shown until one is chosen.
    """

    id: str
    alt: str
    theme: Theme
    accent: str
    reading: str
    encoder: Stack
    decoder: Stack
    head: Block
    source: tuple[str, ...]
    given: tuple[str, ...]
    written: tuple[str, ...]
    rest: int
    note: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def height(self, width: int) -> int:
        """Return about how many pixels the picture is high when it is so many wide."""
        return next(high for low, high in STACKS if width > low) + _note(self.note, width)

    def payload(self) -> bytes:
        """Encode the picture as header and planes, once."""
        if not self._encoded:
            planes = TypedPlanes()
            header = _common(self) | {
                "kind": "stacks",
                "source": self.source,
                "given": self.given,
                "written": self.written,
                "rest": self.rest,
                "encoder": _stack(self.encoder, planes),
                "decoder": _stack(self.decoder, planes),
                "head": _block(self.head, planes),
            }
            self._encoded.append(encode(header, planes))
        return self._encoded[0]


def _note(words: str, width: int) -> int:
    """Return the height of a note in type of 13 px; syllables of Hangul are about as wide as two Latin letters."""
    ems = sum(0.87 if ord(letter) > 0x1100 else 0.5 for letter in words)
    return 10 + 18 * math.ceil(13 * ems / max(width, 1)) if words else 0


def _common(spec: ExchangeSpec | StacksSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "alt": spec.alt,
        "theme": {name: getattr(spec.theme, name) for name in _COLORS} | {"accent": spec.accent},
        "reading": spec.reading,
        "note": spec.note,
        "words": dict(spec.words),
    }


def _stack(stack: Stack, planes: TypedPlanes) -> dict[str, Any]:
    own = {name: getattr(stack, name) for name in ("title", "text", "layers", "foot")}
    return own | {"blocks": [_block(block, planes) for block in stack.blocks]}


def _block(block: Block, planes: TypedPlanes) -> dict[str, Any]:
    told = {name: value for name, value in asdict(block).items() if name != "mask"}
    if block.mask is None:
        return told | {"mask": None}
    return told | {"mask": planes.add(block.mask, "u1"), "shape": block.mask.shape}
