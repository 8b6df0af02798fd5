"""The finder of experts: all experts of a model, by what their routers send them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from models import scores
from models.records.trace import LayerTrace, ModelTrace
from viz.charts.finders import finder_figure
from viz.figure import Figure, figure
from viz.finder import Metric
from viz.look.labels import Translate
from viz.look.theme import Theme

METRICS = ("load", "first", "weight", "again")
CHANCE = ("load", "first", "again")  # what chance says something of

Wide = npt.NDArray[np.float64]
Table = Mapping[str, tuple[Wide, Wide]]  # metric -> values and chance, (row,)


@figure("expert_finder", of="traces", also=("chosen_experts", "chosen_weights", "router_probs"))
def expert_finder(
    traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, marked: tuple[int, int] | None = None
) -> Figure:
    """List all experts with what they get of the visitor's text and of the sample, beside an even router.

    traces: of one model over the visitor's text, and over each text of the sample. marked: layer and expert that the
    page shows.
    """
    here, there = table_of(traces[:1]), table_of(traces[1:])
    places = [
        (layer.index, expert) for layer in traces[0].layers_with("router_probs") for expert in range(_experts(layer))
    ]
    metrics = [
        Metric(
            key,
            here[key][0],
            there[key][0],
            here[key][1] if key in CHANCE else None,
            there[key][1] if key in CHANCE else None,
            high=None if key in ("load", "first") else 1.0,
            digits=3,
        )
        for key in METRICS
    ]
    return finder_figure(
        "expert_finder", [layer for layer, _ in places], [expert for _, expert in places], metrics, theme=theme, t=t,
        color=theme.color(traces[0].architecture), item="expert", marked=marked,
    )  # fmt: skip


def table_of(traces: Sequence[ModelTrace]) -> Table:
    """Measure every expert of every layer over some texts, layer by layer."""
    layers = list(zip(*(trace.layers_with("router_probs") for trace in traces), strict=True))
    found = [_of_layer(layer) for layer in layers]
    return MappingProxyType(
        {key: (np.concatenate([one[key][0] for one in found]), np.concatenate([one[key][1] for one in found]))
         for key in METRICS}
    )  # fmt: skip


def _of_layer(layer: Sequence[LayerTrace]) -> dict[str, tuple[Wide, Wide]]:
    """Measure the experts of one layer.

    load: share of token slots; first: of first choices; weight: mean weight where it is chosen; again: of its tokens
    that follow another in a text, the share whose predecessor was sent to it too. The chance of the last is its share
    of all tokens.
    """
    experts = _experts(layer[0])
    chosen = [np.asarray(one.part("chosen_experts")).astype(np.intp) for one in layer]
    every = np.concatenate(chosen)
    weights = np.concatenate([np.asarray(one.part("chosen_weights"), np.float64) for one in layer])
    slots = np.bincount(every.ravel(), minlength=experts)
    heavy = np.bincount(every.ravel(), weights=weights.ravel(), minlength=experts)
    marks = [scores.sent(one, experts).astype(bool) for one in chosen]
    followed = sum((one[1:].sum(0) for one in marks), np.zeros(experts))
    kept = sum(((one[1:] & one[:-1]).sum(0) for one in marks), np.zeros(experts))
    even, unknown = np.full(experts, 1 / experts), np.full(experts, np.nan)
    return {
        "load": (slots / slots.sum(), even),
        "first": (np.bincount(every[:, 0], minlength=experts) / len(every), even),
        "weight": (np.divide(heavy, slots, out=unknown.copy(), where=slots > 0), unknown),
        "again": (np.divide(kept, followed, out=unknown.copy(), where=followed > 0), slots / len(every)),
    }


def _experts(layer: LayerTrace) -> int:
    return int(layer.parts["router_probs"].sizes["expert"])
