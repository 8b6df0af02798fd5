"""Check of one attention head step by step: every plane that travels to the browser, beside the run and each other."""

import numpy as np

from models.reconstruction import attention as reconstruction
from models.reconstruction.check import Wide, against_output, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.mechanism import Drawn, MechanismSpec, read
from viz.proof.attention import head_of
from viz.proof.drawn import Choice, exported, same
from viz.trace.attention_steps import STEPS


def attention_steps(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn q.k against drawn scores, their softmax against drawn weights, these times drawn V against the output.

    Each plane is also compared with the run, and with what the figure exports.
    """
    if not isinstance(figure.body, MechanismSpec):
        raise TypeError(f"{figure.id} is drawn by another component")
    layer, head = head_of(trace, choice)
    drawn, shown = read(figure.body.payload()), trace.layer(layer)
    told = [token.label for token in trace.tokens]
    named = drawn.header["labels"] != told or [step["key"] for step in drawn.header["steps"]] != list(STEPS)
    copies = [same(plane, exported(figure, name)) for name, plane in drawn.planes.items()]
    extra = figure.data.keys() ^ drawn.planes.keys()
    return worst(
        float(named), float(bool(extra)), *copies, *_run_errors(drawn, shown, head), *_step_errors(drawn, shown, head)
    )


def _run_errors(drawn: Drawn, shown: LayerTrace, head: int) -> list[float]:
    """Compare planes with the record of the head, and of the keys and values that it shares with its group."""
    group = shown.parts["head_query"].sizes["head"] // shown.parts["head_key"].sizes["kv_head"]
    scale = float(shown.part("query_scale")[head])
    return [
        same(drawn.planes["query"] * scale, wide(shown.part("head_query")[head])),
        same(drawn.planes["key"], wide(shown.part("head_key")[head // group])),
        same(drawn.planes["value"], wide(shown.part("head_value")[head // group])),
        same(drawn.planes["output"], wide(shown.part("head_output")[head])),
        float((drawn.planes["visible"] != shown.part("visible")).any()),
        float(abs(drawn.header["settings"]["scale"] / scale - 1)),
        worst(reconstruction.weight_error(drawn.planes["weights"], shown, head)),
    ]


def _step_errors(drawn: Drawn, shown: LayerTrace, head: int) -> list[float]:
    """Compute each step in float64 from the planes of the step before."""
    planes, scale = drawn.planes, drawn.header["settings"]["scale"]
    products = (planes["query"] @ planes["key"].T) * scale
    weights = _softmax(np.where(planes["visible"] > 0, planes["scores"], -np.inf))
    terms = (planes["weights"] @ np.abs(planes["value"])).max(1, keepdims=True)
    return [
        worst(relative(planes["scores"], products, reconstruction.score_scale(shown, head))),
        worst(relative(planes["weights"], weights, weights.max(1, keepdims=True))),
        worst(against_output(planes["weights"] @ planes["value"], planes["output"], terms)),
    ]


def _softmax(scores: Wide) -> Wide:
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return wide(odds / odds.sum(1, keepdims=True))
