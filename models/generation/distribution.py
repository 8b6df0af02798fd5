"""From the logits of one position to the distribution over the next token: temperature, top-k, top-p. numpy only.

Exact definitions, with z the logits (vocab,) of the model, in this order, as transformers applies them:

1. temperature T: a = z / T.
2. top-k: the k tokens with the largest a stay; of equal logits the lower id stands first, so exactly k stay.
3. top-p (Holtzman et al. 2020, the nucleus): among those, with probabilities softmax(a) over the k, the shortest list
   from the most likely down whose sum is at least p.
4. What stays is divided by its sum. Kept mass is that sum under softmax(a) over the whole vocabulary.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import SettingError, SourceError

TEMPERATURE = (0.01, 100.0)  # beyond, division alone decides: greedy below, blind above

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How logits become the distribution that is drawn from. top_k None and top_p 1 keep every token.

    Raises SettingError for a temperature that is not a number in TEMPERATURE, a top_k below 1, and a top_p that is not
    in (0, 1].
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        low, high = TEMPERATURE
        if not low <= self.temperature <= high:  # False for nan
            message = f"the temperature is {self.temperature}: choose one from {low} to {high}"
            raise SettingError("errors.temperature", message, value=self.temperature, low=low, high=high)
        if self.top_k is not None and (isinstance(self.top_k, bool) or self.top_k != int(self.top_k) or self.top_k < 1):
            message = f"top-k is {self.top_k}: keep at least one token"
            raise SettingError("errors.top_k", message, value=self.top_k)
        if not 0 < self.top_p <= 1:
            message = f"top-p is {self.top_p}: choose a share above 0 and at most 1"
            raise SettingError("errors.top_p", message, value=self.top_p)


PLAIN = Sampling()


@dataclass(frozen=True, slots=True)
class NextToken:
    """The distribution over the next token at one position. Arrays are (vocab,), by token id, and read-only.

    logits: as the model gave them. scaled: what softmax is taken of: logits / T, -inf for what is not kept. own: the
    model's probabilities, softmax of logits. probs: those that are drawn from: 0 for what is not kept, sum 1.
    order: all ids, most likely first; kept: how many of them, from the first, may be drawn; kept_mass: their sum under
    softmax(logits / T) over the whole vocabulary.
    """

    logits: Floats
    scaled: Floats
    own: Floats
    probs: Floats
    order: Ids
    kept: int
    kept_mass: float

    def rank(self, token: int) -> int:
        """Return the place of a token in order, 1 for the most likely; equal logits share the better rank."""
        return 1 + int((self.logits > self.logits[token]).sum())

    def surprisal(self, token: int) -> float:
        """Return -log2 of the model's own probability of a token, in bits; inf where the model excludes it."""
        own = float(self.own[token])
        return -math.log2(own) if own > 0 else math.inf

    def greedy(self) -> int:
        """Return the most likely token, of equal ones the lowest id: the model's own argmax."""
        return int(self.order[0])

    def drawn(self, share: float) -> int:
        """Return the token at a share in [0, 1) of the cumulated probabilities, most likely first.

        Inverse transform sampling: with shares that are uniform, each token comes as often as its probability says.
        """
        within = np.cumsum(self.probs[self.order[: self.kept]])
        return int(self.order[min(int(np.searchsorted(within, share * within[-1], side="right")), self.kept - 1)])


def next_token(logits: npt.ArrayLike, sampling: Sampling = PLAIN) -> NextToken:
    """Turn the logits (vocab,) of one position into the distribution over the next token.

    Raises SourceError for logits that no softmax can be taken of: a nan, a +inf, or all of them -inf; ValueError for
    an array of another shape.

    >>> found = next_token([2.0, 1.0, 0.0, -1.0], Sampling(top_k=2))
    >>> found.order.tolist(), found.kept, round(found.kept_mass, 4)
    ([0, 1, 2, 3], 2, 0.8808)
    >>> [round(float(p), 4) for p in found.probs]
    [0.7311, 0.2689, 0.0, 0.0]
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 1 or not len(z):
        raise ValueError(f"logits of one position are (vocab,), got the shape {z.shape}")
    if np.isnan(z).any() or np.isposinf(z).any() or np.isneginf(z).all():
        message = "the model's scores of the next token are no finite numbers: choose another model or text"
        raise SourceError("errors.logits", message)
    order = np.argsort(-z, kind="stable")
    scaled = z / sampling.temperature
    heated = softmax(scaled)
    kept = _kept(heated[order], sampling)
    staying = order[:kept]
    mass = float(heated[staying].sum())
    probs, left = np.zeros_like(z), np.full_like(z, -np.inf)
    probs[staying] = heated[staying] / mass
    left[staying] = scaled[staying]
    own = heated if sampling.temperature == 1 else softmax(z)
    found = NextToken(z, left, own, probs, order, kept, min(mass, 1.0))
    for array in (found.scaled, found.own, found.probs, found.order):
        array.setflags(write=False)
    return found


def softmax(scores: Floats) -> Floats:
    """Return softmax of scores (vocab,) in float64."""
    grown = np.exp(scores - scores.max())
    total: Floats = grown / grown.sum()
    return total


def shares(seed: int) -> Iterator[float]:
    """Yield uniform shares in [0, 1) for `drawn`, without end: numpy's PCG64 with this seed, one number per token."""
    source = np.random.Generator(np.random.PCG64(seed))
    while True:
        yield float(source.random())


def _kept(ordered: Floats, sampling: Sampling) -> int:
    """Count how many of the probabilities (vocab,), most likely first, may be drawn; at least one."""
    count = int((ordered > 0).sum())
    if sampling.top_k is not None:
        count = min(count, int(sampling.top_k))
    if sampling.top_p < 1:
        within = np.cumsum(ordered[:count])
        count = min(count, 1 + int(np.searchsorted(within, sampling.top_p * within[-1], side="left")))
    return max(count, 1)
