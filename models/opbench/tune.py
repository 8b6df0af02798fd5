"""Try other block sizes, warps and tiles of our Triton kernels, and say which are faster on this GPU.

Nothing is changed: a faster setting is a line for kernels/seqops/gpu/tuning.py, which a person writes and commits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from models.bench.judge.statistics import spread
from models.errors import SettingError
from models.opbench.compare import difference, sample
from models.opbench.pairs import CASES, Results, Side

ROUNDS = 7  # of each setting, and of the best one against the present one
REPEATS = 20  # calls in one sample
FASTER = 1.03  # from which a setting is worth a change


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried of one table of tuning.py: the values of some of its keys. case: the row that shows its time."""

    case: str
    values: Mapping[str, Sequence[int]]


TRIALS: Mapping[str, Trial] = {
    "SCAN_FORWARD": Trial("scan", {"elements": (256, 512, 1024), "steps": (4, 8), "enough": (2, 4, 8)}),
    "SCAN_BACKWARD": Trial("layer", {"elements": (128, 256, 512), "steps": (4, 8)}),
    "SCAN_STEP": Trial("scan-step", {"elements": (512, 1024, 2048), "warps": (2, 4, 8)}),
    "WKV_FORWARD": Trial("wkv", {"block": (32, 64), "wide": (4, 8), "enough": (4, 8, 16)}),
    "WKV_STEP": Trial("wkv-step", {"block": (64, 128, 256), "warps": (2, 4, 8)}),
    "CONV": Trial("conv", {"along": (64, 128, 256), "across": (8, 16, 32), "warps": (2, 4, 8)}),
    "HIDDEN": Trial("hidden-attention", {"tile": (32, 64), "warps": (4, 8), "stages": (1, 2, 3)}),
}


@dataclass(frozen=True, slots=True)
class TunedTable:
    """The fastest setting that was found for a table. ratio: present time over its time, 1 where nothing is faster.

    refused: settings that gave other values or could not be built, with why.
    """

    name: str
    setting: Mapping[str, int]
    ratio: float
    ratio_low: float | None
    ratio_high: float | None
    tried: int
    refused: Sequence[str]

    @property
    def faster(self) -> bool:
        """Return whether the setting is faster by more than its own spread and FASTER."""
        return self.ratio >= FASTER and (self.ratio_low or 0.0) > 1.0


def tuned(name: str, *, device: str) -> TunedTable:
    """Try the values of one table on a CUDA device. SettingError for a CPU, on which no table is used."""
    if torch.device(device).type != "cuda":
        raise SettingError(
            "errors.setting_value", f"table {name} serves CUDA devices alone", name="device", value=device
        )
    from seqops.gpu import tuning

    torch.cuda.set_device(device)
    trial, place = TRIALS[name], torch.device(device)
    build = CASES[trial.case].build
    pair, expected = build(place, False), _values(build(place, False).baseline)

    def check() -> None:
        fresh = build(place, False)  # a step writes into its state, so that it is right once
        error = difference(_values(fresh.ours), expected)
        if not error <= fresh.tolerance:
            raise ValueError(f"values differ by {error:.1e}, {fresh.tolerance:.0e} is allowed")

    measured = partial(sample, pair.ours, place, REPEATS)
    return searched(name, getattr(tuning, name), trial.values, check=check, measure=measured)


def searched(
    name: str,
    table: dict[str, int],
    values: Mapping[str, Sequence[int]],
    *,
    check: Callable[[], object],
    measure: Callable[[], float],
) -> TunedTable:
    """Change one key of a table after the other and keep what is faster; the table is left as it was.

    check raises where the table as it stands gives wrong values or no kernel can be built; measure returns its seconds.
    """
    before, best, refused, tried = dict(table), dict(table), [], 0
    with _restored(table, before):
        fastest = _median(measure)
        for key, choices in values.items():
            for value in choices:
                if value in (best[key], before[key]):
                    continue
                tried += 1
                _put(table, candidate := best | {key: value})
                try:
                    check()
                    seconds = _median(measure)
                except Exception as error:  # noqa: BLE001 - Triton raises many kinds; all mean that it cannot be used
                    first = next(iter(str(error).strip().splitlines()), "")
                    refused.append(f"{key} {value}: {type(error).__name__}: {first[:150]}")
                    continue
                if seconds * FASTER < fastest:
                    best, fastest = candidate, seconds
        changed = {key: value for key, value in best.items() if before[key] != value}
        if not changed:
            return TunedTable(name, {}, 1.0, None, None, tried, tuple(refused))
        ratio = spread([_timed(table, before, measure) / _timed(table, best, measure) for _ in range(ROUNDS)])
    return TunedTable(name, changed, ratio.median, ratio.low, ratio.high, tried, tuple(refused))


def _values(side: Side) -> Results:
    with side.ready():
        return tuple(x.detach().clone() for x in side.run())


def _median(measure: Callable[[], float]) -> float:
    return spread([measure() for _ in range(ROUNDS)]).median


def _timed(table: dict[str, int], setting: Mapping[str, int], measure: Callable[[], float]) -> float:
    _put(table, setting)
    return measure()


def _put(table: dict[str, int], setting: Mapping[str, int]) -> None:
    table.clear()
    table.update(setting)


@contextmanager
def _restored(table: dict[str, int], before: Mapping[str, int]) -> Iterator[None]:
    try:
        yield
    finally:
        _put(table, before)


def as_row(found: TunedTable) -> dict[str, Any]:
    """Write what was found as a row of JSON values."""
    return {
        "name": found.name,
        "setting": dict(found.setting),
        "ratio": found.ratio,
        "ratio_low": found.ratio_low,
        "ratio_high": found.ratio_high,
        "faster": found.faster,
        "tried": found.tried,
        "refused": list(found.refused),
    }
