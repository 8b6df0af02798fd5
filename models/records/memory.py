"""What a model keeps in memory at several lengths, and what its parameters belong to, counted from a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryCurve:
    """Bytes against tokens.

    lengths: tokens, rising; keys_values, all_attention (as long): bytes of keys and values, and what they would be if
    every layer attended; weights, state: bytes, the same at every length. total, active: parameters by what they belong
    to, all of them and those that one token passes through. number_type: of weights, keys and values.
    """

    lengths: tuple[int, ...]
    keys_values: tuple[int, ...]
    all_attention: tuple[int, ...]
    weights: int
    state: int
    total: Mapping[str, int]
    active: Mapping[str, int]
    number_type: str
