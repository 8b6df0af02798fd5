"""One toy input through four versions of RWKV's time mixing: names with values, one of them given a new value later."""

import numpy as np

from models.errors import SettingError
from models.records.simulated import Ladder, ToyToken, Version, VersionRun
from models.records.trace import NamedArray
from models.simulation import rwkv
from models.simulation.rwkv import Wide

KEYS = VALUES = 3
# A = 1, B = 2, C = 3, a full stop, A = 2, and two questions.
TOKENS = (
    ToyToken(key=0, value=0),
    ToyToken(key=1, value=1),
    ToyToken(key=2, value=2),
    ToyToken(stop=True),
    ToyToken(key=0, value=1),
    ToyToken(asks=0),
    ToyToken(asks=1),
)
STRENGTH, DECAY, STOP, RATE = (0.25, 3.0), (-6.0, 1.0), (0.0, 4.0), (0.0, 1.0)  # from, to


def ladder(*, strength: float, decay: float, stop: float, rate: float) -> Ladder:
    """Run versions 4 to 7 over TOKENS.

    strength: of a written key, k = strength at one place; decay: d of all channels, from which every version computes
    its factor as its paper does; stop: what the full stop adds to d in versions 6 and 7; rate: version 7's a of all
    channels. The bonus is u = 0 in version 4 (the present token counts as a past one) and 1 in versions 5 and 6.
    Raises SettingError outside the ranges above.
    """
    asked = {"strength": (strength, STRENGTH), "decay": (decay, DECAY), "stop": (stop, STOP), "rate": (rate, RATE)}
    for name, (value, (low, high)) in asked.items():
        if not low <= value <= high:
            message = f"{name} {value} is not from {low} to {high}"
            raise SettingError("errors.setting_range", message, name=name, value=value, low=low, high=high)
    r = _rows([token.asks for token in TOKENS], KEYS)
    k = strength * _rows([token.key for token in TOKENS], KEYS)
    v = _rows([token.value for token in TOKENS], VALUES)
    fixed = np.full(KEYS, decay)
    moved = fixed + stop * np.array([[float(token.stop)] for token in TOKENS])
    ones = np.ones_like(k)
    past = np.exp(-np.exp(fixed)) * ones
    return Ladder(
        TOKENS,
        KEYS,
        VALUES,
        (
            _run(4, *rwkv.wkv4(fixed, np.zeros(KEYS), r, k, v), past),
            _run(5, *rwkv.wkv5(fixed, np.ones(KEYS), r, k, v), past),
            _run(6, *rwkv.wkv6(moved, np.ones(KEYS), r, k, v), np.exp(-np.exp(moved))),
            _run(7, *rwkv.wkv7(moved, rate * ones, r, k, v), rwkv.kept7(moved)),
        ),
    )


def _rows(places: list[int | None], count: int) -> Wide:
    """Return a row per token with a one at its place, zeros for None."""
    found = np.zeros((len(places), count))
    for row, place in zip(found, places, strict=True):
        if place is not None:
            row[place] = 1.0
    return found


def _run(version: Version, state: Wide, output: Wide, kept: Wide) -> VersionRun:
    dims = ("token", "sum", "channel") if version == 4 else ("token", "key", "value")
    return VersionRun(
        version, NamedArray(state, dims), NamedArray(output, ("token", "value")), NamedArray(kept, ("token", "key"))
    )
