"""The check of attention rollout: rows walked back layer by layer from weights that are recomputed in float64."""

import numpy as np

from models.reconstruction import attention
from models.reconstruction.check import Wide, absolute, worst
from models.reconstruction.maps import BUDGET
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice, matrix, number


def attention_rollout(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn rows against a walk: half of what stands at a token stays, half goes where the mean head attends.

    Layers are walked from the last to the first, with softmax(q k) in float64; of a large model some rows of the
    recorded weights are recomputed. Every drawn row must sum to 1.
    """
    drawn, copies = matrix(figure, "rollout")
    chosen = number(choice, "layer")
    last = len(trace.layers) - 1 if chosen is None else chosen
    at = np.eye(len(trace.tokens))
    errors = [copies, worst(absolute(drawn.sum(1), np.ones(len(drawn))))]
    for layer in reversed([one for one in trace.layers_with("attention") if one.index <= last]):
        mean, wrong = _mean(layer, BUDGET // (last + 1))
        errors.append(wrong)
        moved = np.zeros_like(at)
        for token in range(len(at)):
            moved += np.outer(at[:, token], mean[token])
        at = (at + moved) / 2
    return worst(*errors, worst(absolute(drawn, at)))


def _mean(layer: LayerTrace, budget: int) -> tuple[Wide, float]:
    """Return the mean weights of all heads, and how far the recorded ones of as many heads as one can afford err."""
    heads = layer.parts["attention"].sizes["head"]
    length, width = layer.part("head_query").shape[-2:]
    count = int(min(heads, max(1, budget // (length * length * width))))
    if count == heads:
        return np.mean([attention.weights(layer, head) for head in range(heads)], axis=0), 0.0
    recorded = np.asarray(layer.part("attention"), np.float64)
    some = np.unique(np.linspace(0, heads - 1, count).round()).astype(int)
    wrong = [worst(absolute(recorded[head], attention.weights(layer, int(head)))) for head in some]
    return recorded.mean(0), max(wrong)
