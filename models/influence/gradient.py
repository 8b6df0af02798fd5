"""Gradient connectivity: how far the largest logit at a token moves with the embedding of each token before it.

    c_tj = | d max_v z_tv / d e_j |_2

One definition for every architecture (Madsen 2019, for recurrent networks): nothing of the mixer enters it. z_t depends
on the tokens up to t alone, so the text is read up to there, and c_tj is 0 for j > t.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from models.influence.reading import embeddings, hidden, logits, reading
from models.records.influence import Influence
from models.records.trace import ModelTrace, NamedArray
from models.tracing.adapter import Checkpoint

CHUNK = 8  # queries of one backward pass: each is a copy of the text up to the last of them

Floats = npt.NDArray[np.float32]


def gradient(checkpoint: Checkpoint, trace: ModelTrace, queries: Sequence[int] | None = None) -> Influence:
    """Return the connectivity of a text that the checkpoint has read, for some queries or for all."""
    ids = [token.id for token in trace.tokens]
    wanted = range(len(ids)) if queries is None else sorted(set(queries))
    values = np.full((len(ids), len(ids)), np.nan, np.float32)
    for first in range(0, len(wanted), CHUNK):
        rows = list(wanted[first : first + CHUNK])
        values[rows] = connectivity(checkpoint, ids, rows)
    return Influence("gradient", trace.checkpoint, trace.prompt, NamedArray(values, ("query", "key")))


def connectivity(checkpoint: Checkpoint, ids: Sequence[int], queries: Sequence[int]) -> Floats:
    """Return c (query, key) for some queries of a text by one backward pass through as many copies of it."""
    end = max(queries) + 1
    found = np.zeros((len(queries), len(ids)), np.float32)
    with reading(checkpoint, grad=True):
        copies = embeddings(checkpoint, ids[:end]).repeat(len(queries), 1, 1).requires_grad_(True)
        received = hidden(checkpoint, copies)[torch.arange(len(queries)), torch.tensor(list(queries))]
        largest = logits(checkpoint, received).max(dim=-1).values  # (query,)
        (slope,) = torch.autograd.grad(largest.sum(), copies)  # copies do not meet: each has the slope of its own
        found[:, :end] = slope.float().norm(dim=-1).cpu().numpy()
    return found
