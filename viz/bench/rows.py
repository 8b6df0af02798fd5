"""Put the rows of a run into series that may be compared."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.records.measurement import TOOLS, Measurement
from viz.look.labels import Translate, architecture_name
from viz.look.theme import LIGHT

# Rows that differ in one of these are never one line.
APART = ("size", "view", "dtype", "device", "attention", "kernels", "experts")
ORDER = tuple(LIGHT.colors)  # of architectures, in every picture
USUAL = {"view": "architecture", "attention": "auto", "kernels": "fast", "experts": "auto"}  # values that need no word


@dataclass(frozen=True, slots=True)
class Series:
    """Rows that belong on one line, with a name that says what sets it apart.

    key: unique among the series of a figure; the architecture alone where nothing else differs.
    """

    key: str
    architecture: str
    name: str
    rows: tuple[Measurement, ...]

    @property
    def reference(self) -> bool:
        """Return whether the series ran on reference kernels."""
        return self.rows[0].kernels == "reference"


def state_of(row: Measurement) -> str:
    """Return how a cell ended, as viz.state calls it: a measured one without times had no steady round."""
    return "untimed" if row.measured and not row.timed else row.state


def series_of(rows: Iterable[Measurement], *, t: Translate, among: Sequence[Measurement] | None = None) -> list[Series]:
    """Group rows into series, architectures in their usual order; batches stay together.

    among: the rows whose differences the names must tell, where these are only a part of them.
    """
    rows = list(rows)
    differing = [name for name in APART if len({getattr(row, name) for row in among or rows}) > 1]
    groups: dict[tuple[str, ...], list[Measurement]] = defaultdict(list)
    for row in rows:
        groups[row.architecture, *(str(getattr(row, name)) for name in differing)].append(row)
    ordered = sorted(groups, key=lambda key: ORDER.index(key[0]) if key[0] in ORDER else len(ORDER))
    return [Series("-".join(key), key[0], " · ".join(_named(key, differing, t)), tuple(groups[key])) for key in ordered]


def milliseconds_of(row: Measurement, phase: str) -> Sequence[float]:
    """Return the samples of "prefill" or "decode"; of another program's row without any, its middle time alone."""
    samples, middle = {
        "prefill": (row.prefill_ms_samples, row.ttft_ms_med),
        "decode": (row.decode_ms_samples, row.tpot_ms_med),
    }[phase]
    return (middle,) if row.tool and not samples and middle else samples


def tools_note(rows: Iterable[Measurement], t: Translate) -> list[str]:
    """Say of which other programs there are rows, and what their times are; nothing where there are none."""
    tools = dict.fromkeys(row.tool for row in rows if row.tool)
    return [t("viz.bench.note_tools", tools=", ".join(tools))] if tools else []


def batches_of(rows: Iterable[Measurement]) -> list[int]:
    """Return the batch sizes in order."""
    return sorted({row.batch for row in rows})


def is_degraded(row: Measurement) -> bool:
    """Return whether a row is drawn hollow: it ran in another way than its neighbours, or its times are unusable.

    In another way: on reference kernels, or on a GPU step by step where others replay a graph.
    """
    launched = row.device != "cpu" and row.view == "architecture" and not row.captured
    return row.kernels == "reference" or launched or row.noise == "unusable"


def _named(key: tuple[str, ...], differing: Sequence[str], t: Translate) -> Iterable[str]:
    yield architecture_name(key[0], t)
    for name, value in zip(differing, key[1:], strict=True):
        if USUAL.get(name) != value and value not in key[0]:  # of other programs the name may hold it, or it is empty
            told = name in ("kernels", "view", "experts") and value not in TOOLS
            yield t(f"viz.bench.{name}.{value}") if told else value
