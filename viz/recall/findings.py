"""What the drawn numbers of recall tasks show, in a sentence each; "" where they show nothing, and in a tie."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.records.recall import Accuracy
from viz.charts.series import Line
from viz.look.extremes import extremes, percent, single_most
from viz.look.labels import Translate, size

Floats = npt.NDArray[np.floating]


def map_finding(cells: Mapping[str, Sequence[Accuracy]], t: Translate) -> str:
    """Name the architectures with the highest and the lowest mean accuracy over the cells.

    "" as long as they are not measured in the same cells.
    """
    places = [sorted(tuple(sorted(cell.at.items())) for cell in every) for every in cells.values()]
    if not places or not places[0] or any(one != places[0] for one in places):
        return ""
    means = [(t(f"viz.architecture.{a}"), float(np.mean([c.accuracy for c in e]))) for a, e in cells.items()]
    found = extremes(means, percent)
    return t("viz.recall_map.finding", **found._asdict()) if found else ""


def far_finding(lines: Sequence[Line], places: int, t: Translate) -> str:
    """Name who is right most and least often at the last of so many places, and the bytes that they carry there.

    Points are (bytes, accuracy), near to far. "" while a line is not whole.
    """
    found = extremes([(line.name, line.points[-1][1]) for line in lines if line.points], percent)
    if found is None or any(len(line.points) != places for line in lines):
        return ""
    carried = {
        end: ", ".join(size(line.points[-1][0]) for line in lines if percent(line.points[-1][1]) == end)
        for end in (found.low, found.high)
    }
    values = {"most_bytes": carried[found.high], "least_bytes": carried[found.low]}
    return t("viz.recall_against_bytes.finding", **found._asdict(), **values)


def seeds_finding(means: Mapping[str, Floats], t: Translate) -> str:
    """Name the architecture whose seeds differ most, by the mean accuracy of each (seed,)."""
    if not means or any(len(row) < 2 for row in means.values()):
        return ""
    names = list(means)
    best = single_most([float(row.max() - row.min()) for row in means.values()], percent)
    if best is None:
        return ""
    low, high = (percent(float(end)) for end in (means[names[best]].min(), means[names[best]].max()))
    return t("viz.recall_seeds.finding", most=names[best], low=low, high=high) if low != high else ""


def answer_finding(share: Floats, rows: Sequence[str], t: Translate) -> str:
    """Name the layer that gives most of what it reads to the place of the answer, by its share (row,)."""
    best = single_most([float(value) for value in share], percent)
    if best is None:
        return ""
    return t("viz.recall_example.finding", row=rows[best], share=percent(float(share[best])))


def reach_finding(
    cells: Mapping[str, Sequence[Accuracy]], axis: str, guess: Callable[[Mapping[str, int]], float], t: Translate
) -> str:
    """Name from which distance on each architecture is nearer to guessing than to all right; "" before all have cells.

    The middle is halfway between what guessing scores in a cell and 1; the first distance below it counts.
    """
    places = [[cell.at[axis] for cell in every] for every in cells.values()]
    if not places or not places[0] or any(one != places[0] for one in places):
        return ""
    said = []
    for name, every in cells.items():
        below = (c.at[axis] for c in every if c.accuracy < (1 + guess(c.at)) / 2)
        found, told = next(below, None), t(f"viz.architecture.{name}")
        at = {} if found is None else {"tokens": f"{found:,}"}
        said.append(t(f"viz.recall_far.{'never' if found is None else 'from'}", name=told, **at))
    return t("viz.recall_far.finding", list=", ".join(said))
