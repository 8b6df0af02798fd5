"""Charts as Vega-Lite specifications: the layers of a chart, its rows and the house look."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair as alt
import pandas as pd
from altair.utils.schemapi import disable_debug_mode

from viz.look.theme import PADDING, Theme

disable_debug_mode()  # altair would check every axis, scale and mark against the schema as it is written down

SHOWN = "contextscope-shown"  # the id of the document's field in which the browser keeps the chosen token

Layer: TypeAlias = alt.Chart | Sequence["Layer"]  # a sequence is a layer of layers, which may have scales of its own


@dataclass(frozen=True, slots=True, eq=False)
class VegaSpec:
    """A finished chart.

    spec: Vega-Lite without its rows; each layer names those that it draws. rows: the rows by name, a column per field.
    Altair's own checks of a specification take longer than all the rest of a figure: tests make them, for every figure.
    """

    spec: Mapping[str, Any]
    rows: Mapping[str, pd.DataFrame]

    @property
    def height(self) -> int:
        """Return the pixels of the whole chart with its axes."""
        return int(self.spec["height"])

    def payload(self) -> bytes:
        """Return bytes that differ where the specification or a number in the rows does."""
        hashed = [
            ",".join(map(str, rows.columns)).encode()
            + pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
            for rows in self.rows.values()
        ]
        return b"".join([json.dumps(self.spec, ensure_ascii=False).encode(), *hashed])

    def to_dict(self) -> dict[str, Any]:
        """Return the whole specification, the rows inside, ready for JSON: a number that is none becomes null."""
        return {**self.spec, "datasets": {name: alt.to_values(rows)["values"] for name, rows in self.rows.items()}}


def table(rows: Sequence[Mapping[str, object]]) -> alt.Chart:
    """Start a chart on rows; a data frame, since altair checks inline values one by one (a second for a thousand)."""
    return alt.Chart(pd.DataFrame(list(rows)))


def styled(
    layers: Sequence[Layer],
    theme: Theme,
    *,
    height: int,
    free_y: bool = False,
    free_x: bool = False,
    params: Sequence[Mapping[str, Any]] = (),
) -> VegaSpec:
    """Lay charts over each other in the house look: no frame, transparent ground, quiet axes; width follows the card.

    Each layer is a chart that `table` has begun, with the type of every field, or a sequence of such. height is that
    of the whole with its axes: Streamlit fits both ways. free_y, free_x: each layer has a vertical or horizontal scale
    of its own. params: names that its expressions use.
    """
    rows: dict[str, pd.DataFrame] = {}
    spec: dict[str, Any] = {
        "$schema": alt.SCHEMA_URL,
        "width": "container",
        "height": height,
        "background": "transparent",
        "padding": PADDING,
        "config": _config(theme),
        "layer": [_written(layer, rows) for layer in layers],
    }
    if params:
        spec["params"] = list(params)
    if free := {name: "independent" for name, own in (("y", free_y), ("x", free_x)) if own}:
        spec["resolve"] = {"scale": free}
    return VegaSpec(spec, rows)


def following(tokens: int, selected: int | None, *, first: int = 0) -> list[dict[str, Any]]:
    """Give a chart the name "token", the token of a text of so many that it shows, which changes in the browser.

    It is the chosen token where that is `first` or later, else the last. selected: what counts as chosen where there is
    no document with the field SHOWN, as in the gallery.
    """
    chosen = {"name": "chosen", "value": "" if selected is None else str(selected), "bind": {"element": f"#{SHOWN}"}}
    known = f"isValid(toNumber(chosen)) && toNumber(chosen) >= {first} && toNumber(chosen) < {tokens}"
    return [chosen, {"name": "token", "expr": f"{known} ? toNumber(chosen) : {tokens - 1}"}]


def _written(layer: Layer, rows: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Write a layer as a dictionary; its rows go to those of the chart, once where several layers draw the same."""
    if not isinstance(layer, alt.Chart):
        return {"layer": [_written(each, rows) for each in layer]}
    name = next((known for known, frame in rows.items() if frame is layer.data), f"rows-{len(rows)}")
    rows[name] = layer.data
    bare = layer.copy(deep=False)
    bare.data = alt.NamedData(name)
    written: dict[str, Any] = bare.to_dict(validate=False, context={"top_level": False})
    return written


def _config(theme: Theme) -> dict[str, Any]:
    axis = {
        "domain": False,
        "ticks": False,
        "grid": False,
        "gridColor": theme.hairline,
        "labelColor": theme.muted,
        "titleColor": theme.muted,
        "labelFont": theme.font,
        "titleFont": theme.font,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": 400,
        "labelPadding": 6,
        "titlePadding": 10,
        "labelOverlap": "greedy",
    }
    return {
        "font": theme.font,
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"titleAnchor": "end"},
        "axisY": {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleX": 0, "titleY": -12},
        "text": {"color": theme.ink, "font": theme.font, "fontSize": 13},
        "legend": {"disable": True},
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
