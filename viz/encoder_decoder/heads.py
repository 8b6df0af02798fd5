"""Which weights, which head and which step of a run are drawn."""

import numpy as np

from models.records.encoder_decoder import EncoderDecoderRun, Kind
from viz.encoder_decoder.findings import Floats

COLOR = "transformer"  # the layout is that of the Transformer of 2017


def weights_of(run: EncoderDecoderRun, kind: Kind, layer: int, head: int) -> Floats:
    """Return the weights (query, key) of one head; IndexError for a layer or head that the run does not have."""
    found = run.attention(kind).weights.values
    if not (0 <= layer < found.shape[0] and 0 <= head < found.shape[1]):
        raise IndexError(f"layer {layer}, head {head} of {found.shape[:2]}")
    return np.asarray(found[layer, head], np.float32)


def resting_step(run: EncoderDecoderRun) -> int:
    """Return the step that is shown until one is chosen: where the line of most_pointed jumps farthest from the last.

    The line of a step leads to its strongest key; lines to the task and to the end do not count. Of equals the first;
    the first step where fewer than two lines count.
    """
    ends = weights_of(run, "cross", *most_pointed(run)).argmax(1)
    steps = [step for step, end in enumerate(ends) if 0 < end < len(run.source) - 1]
    if len(steps) < 2:
        return 0
    return steps[int(np.abs(np.diff(ends[steps])).argmax()) + 1]


def most_pointed(run: EncoderDecoderRun) -> tuple[int, int]:
    """Return layer and head of cross-attention whose largest weight, averaged over the steps, is the largest.

    Of equals the first.
    """
    peaks = run.cross.weights.values.max(-1).mean(-1)  # (layer, head)
    layer, head = np.unravel_index(int(peaks.argmax()), peaks.shape)
    return int(layer), int(head)
