"""The record of simulated mechanisms on a toy input: no model has run. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from models.records.trace import NamedArray

Version = Literal[4, 5, 6, 7]


@dataclass(frozen=True, slots=True)
class VersionRun:
    """One version of RWKV on a toy input.

    state: after each token; of version 4 (token, sum, channel), numerator and denominator, of later ones (token, key,
    value), so that output = r @ state up to the bonus. output: (token, value). kept: which share of the old state a
    step keeps where nothing is replaced, (token, key).
    """

    version: Version
    state: NamedArray
    output: NamedArray
    kept: NamedArray


@dataclass(frozen=True, slots=True)
class ToyToken:
    """One token of a toy input: key and value that it writes, key that it asks for; None for none of it.

    stop: whether it raises the decay of versions that compute it from the token.
    """

    key: int | None = None
    value: int | None = None
    asks: int | None = None
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Ladder:
    """All versions on one toy input. keys, values: how many there are."""

    tokens: tuple[ToyToken, ...]
    keys: int
    values: int
    runs: tuple[VersionRun, ...]
