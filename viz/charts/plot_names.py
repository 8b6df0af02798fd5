"""Names at the right ends of lines, kept apart, on a logarithmic and on a linear axis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from viz.charts.plot_line import PlotLine
from viz.look.axes import ChartAxis
from viz.look.labels import spread_apart
from viz.look.plotly import Trace, escaped
from viz.look.theme import Theme

NAME = 17  # pixels: the line of a name
MOST_ROOM = 100  # pixels right of the lines at most

Written = tuple[float, float, str, str]  # x, y, words, kind: "name", "note" or "floor"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one series as a trace of words, and their heights on a linear axis."""

    trace: Trace
    linear: list[float]


def names_of(
    lines: Sequence[PlotLine], axis: ChartAxis, heights: Sequence[float], theme: Theme, *, room: int,
    axes: tuple[str, str],
) -> list[Names]:  # fmt: skip
    """Write each name beside its last point, under it its notes, and "least possible" where floors end.

    heights: all that must have room; room: pixels from the lowest to the highest; axes: names of the panel's axes.
    A second run has no names of its own; where it goes on to a longer context, the name stands there. Names that would
    touch are moved apart.
    """
    further = {line.key: line.points[-1] for line in lines if line.dashed and line.points}
    every = [(line, row) for line in lines if not line.dashed for row in _rows(line, further.get(line.key))]
    every += _floors([line for line in lines if not line.dashed], axis, heights, room)
    if not every:
        return []
    low, high = min(heights), max(heights)
    log = _apart([row for _, row in every], math.log, math.exp, low, high, room)
    linear = _apart([row for _, row in every], float, float, 0.0, high, room)
    found: list[Names] = []
    for line in dict.fromkeys(id(line) for line, _ in every):
        mine = [n for n, (own, _) in enumerate(every) if id(own) == line]
        rows = [every[n] for n in mine]
        color = theme.color(rows[0][0].architecture)
        found.append(
            Names(
                {
                    "type": "scatter", "mode": "text", "xaxis": axes[0], "yaxis": axes[1], "hoverinfo": "skip",
                    "showlegend": False, "legendgroup": rows[0][0].key or rows[0][0].architecture,
                    "cliponaxis": False, "textposition": "middle right", "meta": "names",
                    "x": [x for _, (x, *_) in rows], "y": [log[n] for n in mine],
                    "text": ["\u00a0" * 3 + _bold(words, kind) for _, (_, _, words, kind) in rows],
                    "textfont": {
                        "size": [13 if kind == "name" else 12 for _, (*_, kind) in rows],
                        "color": [color if kind == "name" else theme.muted for _, (*_, kind) in rows],
                    },
                },
                [linear[n] for n in mine],
            )
        )  # fmt: skip
    return found


def label_room(lines: Sequence[PlotLine]) -> int:
    """Estimate the pixels that the names right of the lines take: wide letters count double."""
    texts = [text for line in lines if not line.dashed for text in (line.name, *line.note, line.floor_name)]
    widest = max((sum(13 if ord(c) > 0x1100 else 7.4 for c in text) for text in texts), default=0)
    return 22 + min(MOST_ROOM, round(widest))


def _bold(words: str, kind: str) -> str:
    return f"<b>{escaped(words)}</b>" if kind == "name" else escaped(words)


def _rows(line: PlotLine, further: tuple[float, float] | None) -> list[Written]:
    if not line.points:
        return []
    x, y = line.points[-1] if further is None else max(line.points[-1], further, key=lambda point: point[0])
    return [(x, y, line.name, "name"), *((x, y, words, "note") for words in line.note)]


def _floors(
    lines: Sequence[PlotLine], axis: ChartAxis, heights: Sequence[float], room: int
) -> list[tuple[PlotLine, Written]]:
    """Name the floors at their ends: once where several end too close to one another for a name each."""
    named = sorted((line for line in lines if line.floor and line.floor_name), key=lambda line: line.floor[-1][1])
    warp: Callable[[float], float] = math.log if axis.log else float
    span = (warp(max(heights)) - warp(min(heights)) if heights else 0) or 1.0
    near: list[list[PlotLine]] = []
    for line in named:
        if near and (warp(line.floor[-1][1]) - warp(near[-1][-1].floor[-1][1])) / span * room < NAME:
            near[-1].append(line)
        else:
            near.append([line])
    found = []
    for group in near:
        x = max(line.floor[-1][0] for line in group)
        y = math.exp(sum(math.log(line.floor[-1][1]) for line in group) / len(group))
        found.append((group[0], (x, y, group[0].floor_name, "floor")))
    return found


def _apart(
    rows: Sequence[Written],
    warp: Callable[[float], float],
    unwarp: Callable[[float], float],
    low: float,
    high: float,
    room: int,
) -> list[float]:
    """Return heights at which rows do not touch; a note wishes to stand just below its name."""
    start, span = warp(low), (warp(high) - warp(low)) or 1.0
    wishes, below = [], 0
    for _, y, _, kind in rows:
        below = below + 1 if kind == "note" else 0
        wishes.append((warp(y) - start) / span - 1e-9 * below)
    gap = NAME / room
    return [unwarp(start + at * span) for at in spread_apart(wishes, gap=gap, low=-gap / 2, high=1 + gap / 2)]
