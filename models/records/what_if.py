"""A text read with everything on and with something off, and what the parts of a model are worth. Imports no torch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.records.trace import ModelTrace, NamedArray

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bits:
    """The sum of -log2 p(token | before) over tokens that have something before them, and how many these are."""

    total: float
    tokens: int

    @property
    def per_token(self) -> float:
        """Bits a token; nan without tokens."""
        return self.total / self.tokens if self.tokens else float("nan")


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One text, read before and after something was switched off.

    log_probs (run, token): log2 p of every token given those before it, nan for the first; row 0 before, row 1 after.
    """

    before: ModelTrace
    after: ModelTrace
    log_probs: NamedArray

    @property
    def change(self) -> Floats:
        """log2 p after less log2 p before, (token,): negative where the token became less likely."""
        values: Floats = np.asarray(self.log_probs.values, np.float64)
        return np.asarray(values[1] - values[0])

    @property
    def bits(self) -> tuple[Bits, Bits]:
        """The bits of the whole text before and after."""
        return of_text(self.before), of_text(self.after)

    def top(self, count: int) -> tuple[NamedArray, NamedArray]:
        """Return ids and probabilities (run, token, choice) of the likeliest next tokens at every token."""
        ids, probs = zip(*(_top(trace, count) for trace in (self.before, self.after)), strict=True)
        dims = ("run", "token", "choice")
        return NamedArray(np.stack(ids), dims), NamedArray(np.stack(probs), dims)


def what_if(before: ModelTrace, after: ModelTrace) -> WhatIf:
    """Compare two readings of one text by one model; ValueError for two texts."""
    if [token.id for token in before.tokens] != [token.id for token in after.tokens]:
        raise ValueError("before and after are not the same text")
    log_probs = np.stack([-np.asarray(trace.surprisal.values, np.float64) for trace in (before, after)])
    return WhatIf(before, after, NamedArray(log_probs, ("run", "token")))


def of_text(trace: ModelTrace) -> Bits:
    """Return the bits of a text that was read."""
    costs = np.asarray(trace.surprisal.values, np.float64)[1:]
    return Bits(float(costs.sum()), len(costs))


def summed(several: Iterable[Bits]) -> Bits:
    """Add the bits of texts."""
    each = list(several)
    return Bits(sum(one.total for one in each), sum(one.tokens for one in each))


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Worth:
    """How many bits a token a text costs more with one part of one layer switched off.

    parts: (kind, how) of models.switches.value, one for each row, "channel_mix" for the feed-forward of RWKV. layers:
    one for each column. loss (part, layer): nan where the layer does not have the part. base: the text with everything
    on.
    """

    parts: tuple[tuple[str, str], ...]
    layers: tuple[int, ...]
    loss: NamedArray
    base: Bits


def _top(trace: ModelTrace, count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    logits = np.asarray(trace.logits.values, np.float64)
    order = np.argsort(-logits, axis=-1, kind="stable")[:, :count]
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    probs = odds / odds.sum(-1, keepdims=True)
    return order, np.asarray(np.take_along_axis(probs, order, -1))
