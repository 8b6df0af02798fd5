"""A finder as a figure: its words, the arrays that it exports, and the sentence about its best row."""

from collections.abc import Sequence

import numpy as np

from models.records.trace import NamedArray
from viz.figure import Figure
from viz.finder.spec import Finder, Metric, Whole
from viz.look.extremes import single_most
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme

_PLAIN = ("metric", "here", "there", "chance", "every_layer", "above", "more", "sorted_up", "sorted_down",
          "no_rows", "no_value", "number")  # fmt: skip


def finder_figure(
    figure_id: str,
    layers: Sequence[int],
    items: Sequence[int],
    metrics: Sequence[Metric],
    *,
    theme: Theme,
    t: Translate,
    color: str,
    item: str,
    marked: tuple[int, int] | None = None,
    note: str = "",
) -> Figure:
    """Make the figure of a finder.

    layers, items: (row,) what each row is. item: the kind of row, one of the words viz.finder.of.<item> (head, channel,
    expert, ...). marked: layer and item that the page shows. The words of figure_id hold alt, with {rows} and {item},
    and a name and a meaning for every metric. Exported are layer, item and every array of a metric as <key>_<column>.
    """
    rows: Whole = np.asarray(items, np.int64)
    places: Whole = np.asarray(layers, np.int64)
    alt = t(f"viz.{figure_id}.alt", rows=f"{len(rows):,}")
    names = tuple((t(f"viz.{figure_id}.{one.key}"), t(f"viz.{figure_id}.{one.key}_meaning")) for one in metrics)
    body = Finder(figure_id, alt, theme, color, places, rows, tuple(metrics), names, marked, words=_words(item, t))
    data = {"layer": NamedArray(places, ("row",)), "item": NamedArray(rows, ("row",))}
    for metric in metrics:
        data |= {f"{metric.key}_{name}": NamedArray(one.copy(), ("row",)) for name, one in metric.columns().items()}
    return Figure(figure_id, body, data, alt, note, finder_finding(body, item, t))


def finder_finding(body: Finder, item: str, t: Translate) -> str:
    """Name the row with the first value of the metric shown, on the visitor's text, beside that of chance; "" in a tie.

    Where the metric is no quantity of a text, its values on the sample are taken.
    """
    metric = body.metrics[body.shown]
    columns = metric.columns()
    side = "here" if "here" in columns else "there"
    values = np.asarray(columns.get(side, np.empty(0)), np.float64)
    if not np.isfinite(values).any():
        return ""
    signed = np.where(np.isfinite(values), -values if metric.smallest_first else values, -np.inf)
    row = single_most([float(value) for value in signed], lambda value: _written(metric, value))
    if row is None:
        return ""
    said = {
        "metric": body.names[body.shown][0],
        "row": t(f"viz.finder.of.{item}", layer=int(body.layers[row]), item=int(body.items[row])),
        "value": _written(metric, float(values[row])),
    }
    chance = columns.get(f"chance_{side}")
    if chance is None or not np.isfinite(chance[row]):
        return t("viz.finder.finding", **said)
    return t("viz.finder.finding_chance", **said, chance=_written(metric, float(chance[row])))


def _written(metric: Metric, value: float) -> str:
    return short(value) if metric.digits is None else f"{value:.{metric.digits}f}"


def _words(item: str, t: Translate) -> dict[str, str]:
    told = {name: t(f"viz.finder.{name}") for name in _PLAIN}
    told["row"] = template(t, f"viz.finder.of.{item}", "layer", "item")
    told["layer"] = template(t, "viz.finder.layer", "layer")
    told["count"] = template(t, "viz.finder.count", "shown", "rows")
    return told | {"item": t(f"viz.finder.word.{item}"), "open": template(t, "viz.finder.open", "row")}
