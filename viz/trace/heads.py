"""The finder of attention heads: all heads of a model, by what they attend to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.records.trace import LayerTrace, ModelTrace
from models.scores import HEAD_METRICS, head_metrics, reach, uniform
from viz.charts.finders import finder_figure
from viz.figure import Figure, figure
from viz.finder import Metric
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.trace.channels import floats
from viz.trace.expert_routes import kinds_of

ON_REPEATED = ("induction", "duplicate")  # what needs a token that came before
UNBOUNDED = ("distance",)  # a number of tokens, no share

Wide = npt.NDArray[np.float64]


@figure("head_finder", of="traces", also=("attention",))
def head_finder(
    traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, marked: tuple[int, int] | None = None
) -> Figure:
    """List all heads with their scores on the visitor's text and on a fixed one, beside those of a uniform head.

    traces: of one model over the visitor's text, over the sample, and over random tokens written twice, on which
    induction and duplicate are measured. marked: layer and head that the page shows.
    """
    here, sample, repeated = (head_table(trace) for trace in traces)
    even_here, even_sample, even_repeated = (uniform_table(trace) for trace in traces)
    layers = [layer.index for layer in traces[0].layers_with("attention") for _ in range(_heads(layer))]
    heads = [head for layer in traces[0].layers_with("attention") for head in range(_heads(layer))]
    metrics = []
    for at, key in enumerate(HEAD_METRICS):
        there, even = (repeated, even_repeated) if key in ON_REPEATED else (sample, even_sample)
        metrics.append(
            Metric(
                key,
                here[:, at],
                there[:, at],
                even_here[:, at],
                even[:, at],
                high=None if key in UNBOUNDED else 1.0,
                digits=1 if key in UNBOUNDED else 2,
                smallest_first=key == "entropy",
            )
        )
    return finder_figure(
        "head_finder", layers, heads, metrics, theme=theme, t=t, color=theme.mixer_color("attention"), item="head",
        marked=marked,
    )  # fmt: skip


def head_table(trace: ModelTrace) -> Wide:
    """Score every head of a trace, (row, metric): the heads of the first layer with attention first."""
    ids, marks = _tokens(trace)
    return np.concatenate([head_metrics(floats(layer, "attention"), ids, marks) for layer in _layers(trace)])


def uniform_table(trace: ModelTrace) -> Wide:
    """Score a head that reads its past alike, within the window of each layer, (row, metric)."""
    ids, marks = _tokens(trace)
    windows = [reach(floats(layer, "attention")) for layer in _layers(trace)]
    known = {one: head_metrics(uniform(len(ids), window=one)[None], ids, marks) for one in set(windows)}
    rows = [np.repeat(known[one], _heads(layer), 0) for one, layer in zip(windows, _layers(trace), strict=True)]
    return np.concatenate(rows)


def punctuation(trace: ModelTrace) -> npt.NDArray[np.bool_]:
    """Mark the tokens that are punctuation, (token,)."""
    return np.array([kind == "punctuation" for kind in kinds_of(trace.tokens)])


def _tokens(trace: ModelTrace) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    return np.array([token.id for token in trace.tokens]), punctuation(trace)


def _layers(trace: ModelTrace) -> tuple[LayerTrace, ...]:
    return trace.layers_with("attention")


def _heads(layer: LayerTrace) -> int:
    return int(layer.part("attention").shape[0])
