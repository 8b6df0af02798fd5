"""Recall of one small model with and without a part."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.records.recall import Accuracy
from models.records.trace import NamedArray
from viz.charts.strips import ChartStrip, strips_chart
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.recall.maps import Guess

RUNS = ("before", "after")


@figure("recall_what_if", of="recall")
def recall_what_if(
    cells: Mapping[str, Sequence[Accuracy]],
    *,
    theme: Theme,
    t: Translate,
    architecture: str,
    across: str,
    guess: Guess,
) -> Figure:
    """Draw the accuracy in every cell with everything on and with something off, with 95 % intervals.

    cells: by run of RUNS, the same cells in the same order. across: the axis along which they lie; guess: what guessing
    scores in a cell.
    """
    strips = [
        ChartStrip(
            name=f"{t(f'viz.recall.axis.{across}')} {pair[0].at[across]}",
            architecture=architecture,
            label=t(f"viz.recall_what_if.{run}"),
            text=f"{cell.accuracy:.0%}",
            head=t("viz.recall_what_if.guess", share=f"{guess(cell.at):.0%}") if run == RUNS[0] else "",
            bar=cell.accuracy,
            whisker=(cell.low, cell.high),
        )
        for pair in zip(*(cells[run] for run in RUNS), strict=True)
        for run, cell in zip(RUNS, pair, strict=True)
    ]
    means = [float(np.mean([cell.accuracy for cell in cells[run]])) for run in RUNS]
    said = [f"{mean:.0%}" for mean in means]
    finding = t("viz.recall_what_if.finding", before=said[0], after=said[1]) if said[0] != said[1] else ""
    data = {
        name: NamedArray(np.array([[getattr(cell, name) for cell in cells[run]] for run in RUNS]), ("run", across))
        for name in ("accuracy", "low", "high")
    }
    alt_text = t("viz.recall_what_if.alt", cells=len(cells[RUNS[0]]), before=said[0], after=said[1])
    chart = strips_chart(strips, theme=theme, end=1.0)
    return Figure("recall_what_if", chart, data, alt_text, t("viz.recall_what_if.note"), finding)
