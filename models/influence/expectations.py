"""What should be seen when models are set side by side: rules judged by the records of the runs alone. numpy only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from models.alignment import align_edit, changed
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.records.trace import ModelTrace

COMPARISONS = ASSETS / "side_by_side.yaml"
LANGUAGES = ("en", "ko")
MODES = ("four", "texts")
COPY = 12  # first characters of a text, by which its second copy is found
EQUAL = 1e-3  # bits: what rounding makes of a token that cannot have changed

Outcome = Literal["yes", "no"]
Words = Mapping[str, str]  # by language
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sides:
    """What rules look at: traces by architecture, of the text and of its changed copy (none without one).

    gradient: gives the connectivity (key,) of the last token of the text by a model; carried: its bytes by then.
    """

    before: Mapping[str, ModelTrace]
    after: Mapping[str, ModelTrace]
    gradient: Callable[[str], Floats]
    carried: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Observation:
    """The outcome of one expectation, and the numbers that decided it, by architecture; unit: a word for them."""

    outcome: Outcome
    values: Mapping[str, float]
    unit: str


class SideRule(Protocol):
    """One kind of expectation."""

    def judge(self, sides: Sides) -> Observation | None:
        """Return the outcome; None where the runs do not have what it asks for."""


@dataclass(frozen=True, slots=True)
class CopyCheaper:
    """The second copy of a passage costs each model at least so many bits a token less than the first."""

    architectures: tuple[str, ...]
    at_least: float = 0.0

    def judge(self, sides: Sides) -> Observation | None:
        """Compare tokens of the second copy with those at the same characters of the first."""
        saved = {name: _saved(sides.before[name]) for name in self.architectures if name in sides.before}
        if len(saved) < len(self.architectures) or any(np.isnan(value) for value in saved.values()):
            return None
        return Observation("yes" if min(saved.values()) > self.at_least else "no", saved, "bits_saved")


@dataclass(frozen=True, slots=True)
class ReachesFarther:
    """Of the last token's gradient, a larger share lies so far back in one model than in each of others."""

    architecture: str
    than: tuple[str, ...]
    beyond: int

    def judge(self, sides: Sides) -> Observation | None:
        """Add up the shares of the tokens at least so many tokens back."""
        names = (self.architecture, *self.than)
        if any(name not in sides.before or len(sides.before[name].tokens) <= self.beyond for name in names):
            return None
        share = {}
        for name in names:
            row = sides.gradient(name)
            share[name] = float(row[: len(row) - self.beyond].sum() / row.sum())
        return Observation(_largest(share, self.architecture), share, "share")


@dataclass(frozen=True, slots=True)
class LaterChangesMore:
    """So many tokens after an edit and later, surprisal changes more in one model than in each of others."""

    architecture: str
    than: tuple[str, ...]
    after: int

    def judge(self, sides: Sides) -> Observation | None:
        """Average |change| over the tokens that stayed."""
        found = {}
        for name in (self.architecture, *self.than):
            change = _change(sides, name)
            if change is None:
                return None
            last = int(np.flatnonzero(change.moved)[-1])
            later = np.abs(change.bits[last + self.after :])
            if not np.isfinite(later).any():
                return None
            found[name] = float(np.nanmean(later))
        return Observation(_largest(found, self.architecture), found, "bits_changed")


@dataclass(frozen=True, slots=True)
class NothingBefore:
    """Before the first changed token nothing changes in any model: none of them reads the future."""

    architectures: tuple[str, ...]

    def judge(self, sides: Sides) -> Observation | None:
        """Take the largest |change| before the edit."""
        found = {}
        for name in self.architectures:
            change = _change(sides, name)
            if change is None:
                return None
            earlier = np.abs(change.bits[: int(np.flatnonzero(change.moved)[0])])
            found[name] = float(np.nanmax(earlier)) if np.isfinite(earlier).any() else 0.0
        return Observation("yes" if max(found.values()) < EQUAL else "no", found, "bits_changed")


@dataclass(frozen=True, slots=True)
class SignDearer:
    """With the edit, the last token that holds a sign costs each model at least so many bits more."""

    architectures: tuple[str, ...]
    sign: str
    at_least: float

    def judge(self, sides: Sides) -> Observation | None:
        """Look at the last unchanged token with the sign."""
        found = {}
        for name in self.architectures:
            change = _change(sides, name)
            if change is None:
                return None
            at = [n for n, label in enumerate(change.labels) if self.sign in label and np.isfinite(change.bits[n])]
            if not at:
                return None
            found[name] = float(change.bits[at[-1]])
        return Observation("yes" if min(found.values()) >= self.at_least else "no", found, "bits_changed")


@dataclass(frozen=True, slots=True)
class BytesInOrder:
    """What is carried after this text grows from the first architecture to the last."""

    order: tuple[str, ...]

    def judge(self, sides: Sides) -> Observation | None:
        """Compare the bytes of neighbours."""
        if any(name not in sides.carried for name in self.order):
            return None
        found = {name: float(sides.carried[name]) for name in self.order}
        ordered = list(found.values())
        return Observation("yes" if ordered == sorted(set(ordered)) else "no", found, "bytes")


RULES: Mapping[str, Callable[..., SideRule]] = {
    "copy_cheaper": CopyCheaper,
    "reaches_farther": ReachesFarther,
    "later_changes_more": LaterChangesMore,
    "nothing_before": NothingBefore,
    "sign_dearer": SignDearer,
    "bytes_in_order": BytesInOrder,
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected, in words and as a rule."""

    words: Words
    rule: SideRule


@dataclass(frozen=True, slots=True)
class PreparedComparison:
    """A prepared comparison: its text, in mode "texts" the changed copy, and what is expected to be seen."""

    id: str
    title: Words
    asks: Words
    mode: str
    text: Words
    other: Words
    expects: tuple[Expected, ...]

    def is_of(self, mode: str, text: str, other: str) -> bool:
        """Return whether these texts, in this mode, are those of the comparison, in one language."""
        same = [(self.text[lang], self.other.get(lang, "")) for lang in LANGUAGES]
        return mode == self.mode and (text, other if mode == "texts" else "") in same


@lru_cache(maxsize=1)
def comparisons() -> tuple[PreparedComparison, ...]:
    """Read the prepared comparisons, once per process, in the order of their file."""
    return parse(read_yaml(COMPARISONS))


def parse(entries: Sequence[Mapping[str, Any]]) -> tuple[PreparedComparison, ...]:
    """Build comparisons from the entries of a file; ValueError names the comparison and what is wrong in it."""
    found: list[PreparedComparison] = []
    for place, entry in enumerate(entries):
        name = str(entry.get("id", f"number {place + 1}"))
        try:
            found.append(_comparison(dict(entry)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{COMPARISONS.name}, {name}: {error}") from error
    if len({one.id for one in found}) < len(found):
        raise ValueError(f"{COMPARISONS.name}: two comparisons have one id")
    return tuple(found)


def _comparison(entry: dict[str, Any]) -> PreparedComparison:
    expects = tuple(_expected(dict(one)) for one in entry.pop("expects"))
    made = PreparedComparison(**{"other": {}, **entry}, expects=expects)
    spoken = {"title": made.title, "asks": made.asks, "text": made.text}
    if made.mode == "texts":
        spoken["other"] = made.other
    for field, words in spoken.items():
        _check_words(field, words)
    if made.mode not in MODES:
        raise ValueError(f"mode {made.mode!r}: expected one of {MODES}")
    return made


def _expected(entry: dict[str, Any]) -> Expected:
    words = {lang: entry.pop(lang) for lang in LANGUAGES}
    _check_words("expects", words)
    rule = entry.pop("rule")
    if rule not in RULES:
        raise ValueError(f"rule {rule!r}: expected one of {sorted(RULES)}")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Expected(words, RULES[rule](**given))


def _check_words(field: str, words: Words) -> None:
    if set(words) != set(LANGUAGES) or not all(isinstance(one, str) and one.strip() for one in words.values()):
        raise ValueError(f"{field} needs a text in each of {', '.join(LANGUAGES)}")


@dataclass(frozen=True, slots=True)
class _Change:
    """Surprisal after less before, and whether its token was changed, for every segment of both texts; labels."""

    bits: Floats
    moved: npt.NDArray[np.bool_]
    labels: tuple[str, ...]


def _change(sides: Sides, name: str) -> _Change | None:
    """Return how an edit changed a model's surprisal; None without a second text, or where both are the same."""
    if name not in sides.before or name not in sides.after:
        return None
    before, after = sides.before[name], sides.after[name]
    axis = align_edit(before.tokens, after.tokens)
    moved = np.array(changed(axis))
    if not moved.any():
        return None
    was, now = (
        np.array([bits[own] if own >= 0 else np.nan for own in owners], np.float64)
        for bits, owners in zip((before.surprisal.values, after.surprisal.values), axis.owners, strict=True)
    )
    return _Change(np.where(moved, np.nan, now - was), moved, tuple(segment.label for segment in axis.segments))


def _saved(trace: ModelTrace) -> float:
    """Return how many bits a token of the second copy costs less than that of the first, on average; nan without one.

    The first token of the copy is left out: nothing says that a copy begins.
    """
    start = trace.prompt.rfind(trace.prompt[:COPY])
    if start <= 0:
        return float("nan")
    first = {(token.start, token.label.lstrip("\u2423")): float(trace.surprisal.values[token.index])
             for token in trace.tokens}  # fmt: skip
    pairs = []
    for token in trace.tokens:
        twin = first.get((token.start - start, token.label.lstrip("\u2423")))
        if token.start > start + 1 and twin is not None:
            pairs.append(twin - float(trace.surprisal.values[token.index]))
    return float(np.nanmean(pairs)) if pairs else float("nan")


def _largest(values: Mapping[str, float], name: str) -> Outcome:
    return "yes" if all(values[name] > value for other, value in values.items() if other != name) else "no"
