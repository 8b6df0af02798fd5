"""What a benchmark row must have to be drawn, and how rows are put into series that may be compared."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from viz.look.labels import Translate
from viz.look.theme import LIGHT

MEASURED = ("ok", "unstable")
# Rows that differ in one of these are never one line.
APART = ("size", "view", "dtype", "device", "attention", "kernels", "experts")
ORDER = tuple(LIGHT.colors)  # of architectures, in every picture
USUAL = {"view": "architecture", "attention": "auto", "kernels": "fast", "experts": "auto"}  # values that need no word


class Measured(Protocol):
    """A row of a run, as far as figures need it. Times in milliseconds; None: not measured."""

    @property
    def cell_id(self) -> str:
        """Name of the cell within its run."""

    @property
    def architecture(self) -> str:
        """Key of colours and names."""

    @property
    def context(self) -> int:
        """Tokens of context."""

    @property
    def batch(self) -> int:
        """Sequences at once."""

    @property
    def state(self) -> str:
        """How the cell ended."""

    @property
    def size(self) -> str:
        """Rung of the size ladder."""

    @property
    def view(self) -> str:
        """Same tool chain for all, or as shipped."""

    @property
    def dtype(self) -> str:
        """Number type of the weights."""

    @property
    def device(self) -> str:
        """What it ran on."""

    @property
    def attention(self) -> str:
        """Backend of attention that was asked for."""

    @property
    def kernels(self) -> str:
        """Fast or reference."""

    @property
    def captured(self) -> bool:
        """Whether decoding was replayed from a graph."""

    @property
    def experts(self) -> str:
        """How a mixture of experts was computed, as asked for."""

    @property
    def prefill_ms_samples(self) -> Sequence[float]:
        """One per round."""

    @property
    def decode_ms_samples(self) -> Sequence[float]:
        """One per step, round after round."""

    @property
    def cache_bytes(self) -> int | None:
        """Of the live cache."""

    @property
    def peak_bytes(self) -> int | None:
        """Highest use above the weights."""

    @property
    def bytes_weights(self) -> int | None:
        """Of the loaded weights."""

    @property
    def bytes_logits(self) -> int | None:
        """Of the logits that are kept."""

    @property
    def pred_bytes(self) -> int | None:
        """Weights, cache, logits and workspace as predicted."""

    @property
    def launch_fraction(self) -> float | None:
        """Share of a step in which the device runs no operator."""

    @property
    def harness_ms(self) -> float | None:
        """What the clock adds to a step."""

    @property
    def ops_per_token(self) -> int | None:
        """Operators of one step."""

    @property
    def bandwidth_bytes_per_s(self) -> float | None:
        """Measured ceiling of copying."""

    @property
    def peak_flops_per_s(self) -> float | None:
        """Measured ceiling of multiplying."""

    @property
    def mbu(self) -> float | None:
        """Share of that bandwidth that decoding reaches."""

    @property
    def mfu(self) -> float | None:
        """Share of those operations that prefill reaches."""

    @property
    def batch_limit(self) -> str:
        """What stopped the search for the largest batch; empty for a batch that was asked for."""

    @property
    def energy_j_per_token(self) -> float | None:
        """Joules."""

    @property
    def sentinel_before_ms(self) -> float | None:
        """A fixed product timed before the cell."""

    @property
    def sentinel_after_ms(self) -> float | None:
        """The same after it."""

    @property
    def noise(self) -> str:
        """How far its times can be trusted: "" as they are, "noisy", or "unusable"."""

    @property
    def started_ns(self) -> int | None:
        """When the cell began."""


@dataclass(frozen=True, slots=True)
class Series:
    """Rows that belong on one line, with a name that says what sets it apart.

    key: unique among the series of a figure; the architecture alone where nothing else differs.
    """

    key: str
    architecture: str
    name: str
    rows: tuple[Measured, ...]

    @property
    def reference(self) -> bool:
        """Tell whether the series ran on reference kernels."""
        return self.rows[0].kernels == "reference"


def series_of(rows: Iterable[Measured], *, t: Translate, among: Sequence[Measured] | None = None) -> list[Series]:
    """Group rows into series, architectures in their usual order; batches stay together.

    among: the rows whose differences the names must tell, where these are only a part of them.
    """
    rows = list(rows)
    differing = [name for name in APART if len({getattr(row, name) for row in among or rows}) > 1]
    groups: dict[tuple[str, ...], list[Measured]] = defaultdict(list)
    for row in rows:
        groups[row.architecture, *(str(getattr(row, name)) for name in differing)].append(row)
    ordered = sorted(groups, key=lambda key: ORDER.index(key[0]) if key[0] in ORDER else len(ORDER))
    return [Series("-".join(key), key[0], " · ".join(_named(key, differing, t)), tuple(groups[key])) for key in ordered]


def batches_of(rows: Iterable[Measured]) -> list[int]:
    """Return the batch sizes in order."""
    return sorted({row.batch for row in rows})


def hollow(row: Measured) -> bool:
    """Tell whether a row is drawn hollow: it ran in another way than its neighbours, or its times are unusable.

    In another way: on reference kernels, or on a GPU step by step where others replay a graph.
    """
    launched = row.device != "cpu" and row.view == "architecture" and not row.captured
    return row.kernels == "reference" or launched or row.noise == "unusable"


def _named(key: tuple[str, ...], differing: Sequence[str], t: Translate) -> Iterable[str]:
    yield t(f"viz.architecture.{key[0]}")
    for name, value in zip(differing, key[1:], strict=True):
        if USUAL.get(name) != value:
            yield t(f"viz.bench.{name}.{value}") if name in ("kernels", "view", "experts") else value
