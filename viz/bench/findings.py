"""What the drawn numbers of a run show, in a sentence each; "" where they show nothing, and in a tie."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from viz.charts.plot_line import Plot, PlotLine
from viz.charts.strips import ChartStrip
from viz.look.extremes import Extremes, extremes, percent
from viz.look.labels import Translate

Floats = npt.NDArray[np.floating]
Point = tuple[str, int, float, float]  # series, batch, tokens per second of a user, of the device


def context_finding(
    panels: Sequence[Plot], batches: Sequence[int], key: str, write: Callable[[float], str], t: Translate
) -> str:
    """Name the lines with the highest and the lowest median of the first panel, at the longest context of all lines.

    "" where a line has no context with the others, and where the middle halves of the two overlap.
    """
    lines = [line for line in panels[0].lines if line.points and not line.dashed] if panels else []
    shared = set.intersection(*({x for x, _ in line.points} for line in lines)) if lines else set()
    if len(lines) < 2 or not shared:
        return ""
    context = max(shared)
    heights = [(line.name, dict(line.points)[context]) for line in lines]
    found = extremes(heights, write)
    if found is None or _overlap(lines, heights, context):
        return ""
    at = {"context": f"{context:,.0f}", "batch": batches[0]}
    where = t("viz.bench.at_batch" if len(panels) > 1 else "viz.bench.at", **at)
    return t(key, where=where, **found._asdict())


def _overlap(lines: Sequence[PlotLine], heights: Sequence[tuple[str, float]], context: float) -> bool:
    """Return whether the ribbons of the lowest and the highest line touch at a context."""
    order = sorted(range(len(lines)), key=lambda place: heights[place][1])
    low, high = (_half(lines[place], heights[place][1], context) for place in (order[0], order[-1]))
    return low[1] >= high[0]


def _half(line: PlotLine, middle: float, context: float) -> tuple[float, float]:
    return next(((low, high) for x, low, high in line.ribbon if x == context), (middle, middle))


def strips_finding(strips: Sequence[ChartStrip], label: str) -> Extremes | None:
    """Return the names with the largest and the smallest number among the strips of a label.

    The number is the large dot, without one the end of the bar; it is compared as it is written beside the strip. None
    where the intervals of the two overlap.
    """
    drawn = [(strip, _value(strip)) for strip in strips if strip.label == label]
    known = [(strip, value) for strip, value in drawn if value is not None]
    if len(known) < 2:
        return None
    written = {value: strip.text for strip, value in known}
    found = extremes([(strip.name, value) for strip, value in known], written.__getitem__)
    least, most = (pick(known, key=lambda one: one[1]) for pick in (min, max))
    ends = [strip.whisker or (value, value) for strip, value in (least, most)]
    return found if ends[0][1] < ends[1][0] else None


def _value(strip: ChartStrip) -> float | None:
    return strip.main if strip.main is not None else strip.bar


def part_finding(bars: Sequence[tuple[str, str, str, Sequence[float]]], names: Sequence[str], t: Translate) -> str:
    """Name the longest bar of (series, label, total, parts) and its largest part, by the names of the parts.

    "" where two bars are as long, and where a part is negative.
    """
    order = sorted(bars, key=lambda bar: -sum(bar[3]))
    if not order or not sum(order[0][3]) or min(order[0][3]) < 0:
        return ""
    name, label, total, parts = order[0]
    if len(order) > 1 and order[1][2] == total:
        return ""
    largest = int(np.argmax(parts))
    share = percent(parts[largest] / sum(parts))
    return t("viz.memory_parts.finding", name=name, label=label, total=total, share=share, part=names[largest])


def trade_finding(points: Sequence[Point], t: Translate) -> str:
    """Name the point with most tokens per second of the device and the one with most for a user.

    "" where either is shared by two points.
    """
    best = [[one for one in points if one[at] == max(p[at] for p in points)] for at in (3, 2)]
    if not points or any(len(found) > 1 for found in best):
        return ""
    device, user = best[0][0], best[1][0]
    values = {"device": device[0], "device_batch": device[1], "user": user[0], "user_batch": user[1]}
    return t("viz.pareto.finding", **values)


def prediction_finding(
    memory: Sequence[tuple[float, float]], token: Sequence[tuple[float, float]], t: Translate
) -> str:
    """Count the cells of (predicted, measured) that needed more memory, and those in which a token took longer."""
    said = []
    for key, pairs in (("finding", memory), ("finding_time", token)):
        if pairs:
            more = sum(measured > predicted for predicted, measured in pairs)
            said.append(t(f"viz.prediction_error.{key}", more=more, count=len(pairs)))
    return " ".join(said)
