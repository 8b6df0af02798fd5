"""The error of the logit lens of the last layer against the model's own probabilities."""

import numpy as np

from models.reconstruction.check import Numbers, relative, wide, worst
from models.records.trace import Parts


def last_layer_error(parts: Parts, logits: Numbers) -> float:
    """Return the worst relative error of the lens of the last layer; nan where a number is none.

    parts: lens_tokens, lens_probs and lens_prob_final of the last layer; logits (token, vocab) of the run. The last
    stream, normed and unembedded, gives the model's own logits, so drawn tokens must have these probabilities there.
    """
    own = wide(logits) - wide(logits).max(axis=-1, keepdims=True)
    own = np.exp(own) / np.exp(own).sum(axis=-1, keepdims=True)
    chosen = np.take_along_axis(own, parts["lens_tokens"].values.astype(np.int64), axis=-1)
    best = np.sort(own, axis=-1)[:, ::-1][:, : chosen.shape[-1]]
    return worst(
        relative(parts["lens_probs"].values, chosen, chosen.max(axis=-1, keepdims=True)),
        relative(chosen, best, best.max(axis=-1, keepdims=True)),
        relative(parts["lens_prob_final"].values, own.max(axis=-1), own.max(axis=-1)),
    )
