"""Charts as plotly figures: what the browser gets, the house look as a template, and the same numbers as a table.

Plotly itself is not imported: a figure is plain data. pages/shared/figure.py hands it to the browser.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from viz.look.labels import Translate
from viz.look.theme import Theme

SYMBOLS = {name: name for name in ("circle", "square", "triangle-up", "triangle-down", "diamond")}  # Vega: plotly
DASHED = "6px,4px"
FARTHER = 1.35  # the eye before a space that is as high as wide
KEY = 25  # pixels: the line of a name to click

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlotTable:
    """The numbers of a chart in words, for those who do not see it: headings, and rows as long as they."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlotSpec:
    """A finished plotly figure: its traces, its layout, how it behaves, and the table that says the same."""

    data: tuple[Trace, ...]
    layout: Mapping[str, Any]
    config: Mapping[str, Any]
    table: PlotTable

    @property
    def height(self) -> int:
        """Return the pixels of the whole chart with its axes."""
        return int(self.layout["height"])

    def payload(self) -> bytes:
        """Return bytes that differ where the figure or a number in it does."""
        return json.dumps([self.to_dict(), self.config], ensure_ascii=False).encode()

    def to_dict(self) -> dict[str, Any]:
        """Return traces and layout, ready for JSON."""
        return {"data": list(self.data), "layout": dict(self.layout)}


def plotted(
    traces: Sequence[Trace],
    layout: Mapping[str, Any],
    table: PlotTable,
    *,
    theme: Theme,
    t: Translate,
    height: int,
    config: Mapping[str, Any] | None = None,
) -> PlotSpec:
    """Put traces into the house look; width follows the card. No traces draw an empty pair of axes.

    config: how the figure behaves, as a plane one without it.
    """
    whole = {"template": {"layout": look(theme)}, "height": height, **layout}
    return PlotSpec(tuple(traces) or ({"type": "scatter", "x": [], "y": []},), whole, config or behaviour(t), table)


def narrow(spec: PlotSpec) -> PlotSpec:
    """Return a figure for a narrow window, touched by fingers: names to click below each other, dragging scrolls."""
    if eye := spec.layout.get("scene", {}).get("camera", {}).get("eye"):
        far = {"camera": {"eye": {axis: FARTHER * value for axis, value in eye.items()}}}
        spec = replace(spec, layout={**spec.layout, "scene": {**spec.layout["scene"], **far}})
    margin, legend = spec.layout.get("margin", {}), spec.layout.get("legend", {})
    rows = sum(bool(trace.get("showlegend")) for trace in spec.data)
    if rows < 2 or "y" not in legend:
        return replace(spec, layout={**spec.layout, "dragmode": False})
    inner = spec.height - margin["t"] - margin["b"]
    below = margin["b"] + KEY * (rows - 1)
    changed = {
        "dragmode": False, "height": margin["t"] + inner + below, "margin": {**margin, "b": below},
        "legend": {**legend, "orientation": "v", "y": -below / inner},
    }  # fmt: skip
    return replace(spec, layout={**spec.layout, **changed})


def look(theme: Theme) -> dict[str, Any]:
    """Return the layout that all figures share: our type and colours, no frame, no ground of its own, nothing moves."""
    font = {"family": theme.font, "size": 13, "color": theme.muted}
    axis = {
        "showgrid": False, "zeroline": False, "showline": False, "ticks": "", "gridcolor": theme.hairline,
        "automargin": False, "tickfont": font, "title": {"font": font}, "tickangle": 0,
    }  # fmt: skip
    return {
        "font": font,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": axis,
        "yaxis": axis | {"showgrid": True},
        "dragmode": "zoom",
        "hoverlabel": {
            "bgcolor": theme.card, "bordercolor": theme.hairline, "align": "left", "namelength": -1,
            "font": {"family": theme.font, "size": 13, "color": theme.ink},
        },
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "yanchor": "bottom",
            "itemclick": "toggleothers", "itemdoubleclick": "toggle", "groupclick": "togglegroup",
            "font": {"family": theme.font, "size": 13, "color": theme.ink}, "bgcolor": "rgba(0,0,0,0)",
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.ink},
        "margin": {"l": 62, "r": 12, "t": 34, "b": 48, "pad": 4, "autoexpand": False},
    }  # fmt: skip


def behaviour(t: Translate) -> dict[str, Any]:
    """Return what a figure lets one do: zoom and go back, in the reader's language. Pictures are in the card's menu."""
    said = {
        "Zoom in": t("viz.plot.zoom_in"),
        "Zoom out": t("viz.plot.zoom_out"),
        "Reset axes": t("viz.plot.reset"),
    }
    return {
        "displaylogo": False,
        "scrollZoom": False,
        "showTips": False,
        "modeBarButtons": [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
        "locale": "contextscope",
        "locales": {"contextscope": {"dictionary": said, "format": {}}},
    }


def solid_behaviour(t: Translate) -> dict[str, Any]:
    """Return what a figure in space lets one do: turn it, go back, and save what is seen, which only plotly can."""
    said = {"Reset camera to default": t("viz.plot.reset"), "Download plot as a PNG": t("viz.plot.picture")}
    return {
        "displaylogo": False,
        "scrollZoom": False,
        "showTips": False,
        "modeBarButtons": [["toImage"], ["resetCameraDefault3d"]],
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": "contextscope"},
        "locale": "contextscope",
        "locales": {"contextscope": {"dictionary": said, "format": {}}},
    }


def escaped(words: str) -> str:
    """Return words as plotly must get them to show them as they are: it reads some HTML, and %{...} on hover.

    >>> escaped("a<b> & %{x}")
    'a&lt;b&gt; &amp; %\u200b{x}'
    """
    plain = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("%{", "%\u200b{")


def faded(color: str, share: float) -> str:
    """Return #rrggbb with a share of its opacity.

    >>> faded("#0B62B0", 0.14)
    'rgba(11,98,176,0.14)'
    """
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def band(spread: Sequence[tuple[float, float, float]], color: str, **placed: Any) -> Trace:
    """Return a band through (x, low, high), which no pointer meets."""
    outline = [(x, high) for x, _, high in spread] + [(x, low) for x, low, _ in reversed(spread)]
    return {
        "type": "scatter", "mode": "lines", "x": [x for x, _ in outline], "y": [y for _, y in outline],
        "fill": "toself", "fillcolor": faded(color, 0.14), "line": {"width": 0}, "hoverinfo": "skip",
        "showlegend": False, "meta": "band", **placed,
    }  # fmt: skip


def choice(
    names: Sequence[str], acts: Sequence[Sequence[Any]], *, theme: Theme, method: str = "update", **placed: Any
) -> dict[str, Any]:
    """Return a row of buttons below a chart, the first chosen; acts: what each changes, as plotly's method takes it."""
    buttons = [
        {"label": escaped(name), "method": method, "args": list(act)} for name, act in zip(names, acts, strict=True)
    ]
    return {
        "type": "buttons", "direction": "right", "buttons": buttons, "active": 0, "showactive": True,
        "x": 0, "xanchor": "left", "y": 0, "yanchor": "top", "pad": {"t": 28, "l": 0}, "borderwidth": 1,
        "bgcolor": theme.chip, "bordercolor": theme.hairline,
        "font": {"family": theme.font, "size": 12, "color": theme.ink}, **placed,
    }  # fmt: skip


def written(words: str, theme: Theme, **placed: Any) -> dict[str, Any]:
    """Return words that stand at a place of the whole picture, left of nothing and without an arrow."""
    font = {"family": theme.font, "size": 13, "color": theme.muted}
    return {"text": escaped(words), "showarrow": False, "xref": "paper", "yref": "paper", "font": font, **placed}
