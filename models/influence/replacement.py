"""Replacement: how much the distribution over the next token changes when one token becomes an average one.

    r_tj = sum_v p_tv log2(p_tv / p'_tv),   p' with the mean of all embeddings in the place of e_j

The Kullback-Leibler divergence in bits: a finite change of the input and the whole of the prediction, beside the slope
of one logit in models.influence.gradient. One version of the text for each token: version j gives r_tj for all t >= j.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.influence.reading import embeddings, hidden, logits, reading, table
from models.records.influence import Influence
from models.records.trace import ModelTrace, NamedArray
from models.tracing.adapter import Checkpoint

VERSIONS = 16  # of the text in one forward pass
CHUNK_BYTES = 32 * 2**20  # of logits that are held at once


def replacement(checkpoint: Checkpoint, trace: ModelTrace, queries: Sequence[int] | None = None) -> Influence:
    """Return the effect of replacing each token of a text that the checkpoint has read, at some queries or at all."""
    ids = [token.id for token in trace.tokens]
    count = len(ids)
    rows = torch.arange(count) if queries is None else torch.tensor(sorted(set(queries)))
    values = np.full((count, count), np.nan, np.float32)
    values[rows.numpy()] = 0.0
    with reading(checkpoint, grad=False):
        own = embeddings(checkpoint, ids)
        average = table(checkpoint).mean(dim=0)
        known = _log_probs(checkpoint, hidden(checkpoint, own[None])[0, rows])  # (query, vocab)
        for first in range(0, count, VERSIONS):
            places = torch.arange(first, min(first + VERSIONS, count))
            versions = own.repeat(len(places), 1, 1)
            versions[torch.arange(len(places)), places] = average
            received = hidden(checkpoint, versions)[:, rows]
            for place, changed in zip(places.tolist(), received, strict=True):
                after = rows >= place
                values[rows[after].numpy(), place] = _divergence(checkpoint, known[after], changed[after])
    return Influence("replacement", trace.checkpoint, trace.prompt, NamedArray(values, ("query", "key")))


def _log_probs(checkpoint: Checkpoint, received: Tensor) -> Tensor:
    return torch.log_softmax(logits(checkpoint, received).float(), dim=-1)


def _divergence(checkpoint: Checkpoint, known: Tensor, changed: Tensor) -> np.ndarray:
    """Return KL (query,) in bits of distributions, given as log p (query, vocab), from those of changed inputs."""
    rows = max(1, CHUNK_BYTES // (4 * known.shape[-1]))
    found = []
    for p, other in zip(known.split(rows), changed.split(rows), strict=True):
        found.append((p.exp() * (p - _log_probs(checkpoint, other))).sum(-1).clamp(min=0) / np.log(2))
    return (torch.cat(found) if found else torch.zeros(0)).cpu().numpy()
