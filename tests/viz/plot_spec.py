"""Read a plotly figure as the browser gets it: parsed from its JSON, the traces of a kind, a panel, a series."""

import json
from typing import Any

from viz.figure import Figure
from viz.look.plotly import PlotSpec

Point = tuple[float, float]


def sent(figure: Figure) -> dict[str, Any]:
    """Return traces and layout as the browser parses them. A number that JSON does not know is an error."""
    assert isinstance(figure.body, PlotSpec), figure.id
    return dict(json.loads(json.dumps(figure.body.to_dict(), allow_nan=False)))


def traces(figure: Figure, kind: str, panel: int = 0) -> list[dict[str, Any]]:
    """Return the traces of a kind, as their meta says, in a panel."""
    axis = "x" if panel == 0 else f"x{panel + 1}"
    return [trace for trace in sent(figure)["data"] if trace.get("meta") == kind and trace.get("xaxis", "x") == axis]


def line(figure: Figure, key: str, panel: int = 0, *, dashed: bool = False) -> dict[str, Any]:
    """Return the line of a series."""
    lines = [one for one in traces(figure, "line", panel) if one["legendgroup"] == key]
    (found,) = [one for one in lines if ("dash" in one["line"]) == dashed]
    return found


def points(figure: Figure, key: str, panel: int = 0, *, dashed: bool = False) -> list[Point]:
    """Return the points of a series that are drawn, (x, y)."""
    drawn = line(figure, key, panel, dashed=dashed)
    return [(x, y) for x, y in zip(drawn["x"], drawn["y"], strict=True) if x is not None]


def missing(figure: Figure, panel: int = 0) -> list[tuple[str, float, str]]:
    """Return the marks below a plot: series, x, and what is said there."""
    marks = traces(figure, "missing", panel)
    return [
        (one["legendgroup"], x, said.split("</b> ")[1])
        for one in marks
        for x, said in zip(one["x"], one["customdata"], strict=True)
    ]


def names(figure: Figure, panel: int = 0) -> list[str]:
    """Return the words right of the lines."""
    found = [text for one in traces(figure, "names", panel) for text in one["text"]]
    return [text.replace("<b>", "").replace("</b>", "").strip() for text in found]
