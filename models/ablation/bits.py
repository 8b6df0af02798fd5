"""The bits that texts cost a model, under the switches that hold."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from models import registry
from models.counting import accounting
from models.machine import threads
from models.records.what_if import Bits
from models.tracing.adapter import Checkpoint
from models.tracing.tokens import Encoded

CHUNK_BYTES = 64 * 2**20  # logits (token, vocab) of the texts that are run at once


def bits_of(checkpoint: Checkpoint, texts: Sequence[Encoded]) -> Bits:
    """Sum -log2 p of every token of some texts but their first; texts of one run are filled up at their ends.

    What is filled up stands after a text and changes nothing before it, since every model reads from left to right.
    """
    wanted = threads.threads_for(accounting.params_total(accounting.shape_of(checkpoint.config)))
    total, tokens = 0.0, 0
    most = CHUNK_BYTES // (4 * checkpoint.config.vocab_size)
    with threads.limited(wanted), torch.inference_mode():
        for batch in _batches([text.ids for text in texts if len(text.ids) > 1], most):
            total += _batch_bits(checkpoint, batch)
            tokens += sum(len(ids) - 1 for ids in batch)
    return Bits(total, tokens)


def _batches(texts: list[Sequence[int]], most: int) -> list[list[Sequence[int]]]:
    """Group texts of like length, so that little is filled up, to at most so many tokens, or one text."""
    batches: list[list[Sequence[int]]] = []
    for ids in sorted(texts, key=len):
        if batches and (len(batches[-1]) + 1) * len(ids) <= most:
            batches[-1].append(ids)
        else:
            batches.append([ids])
    return batches


def _batch_bits(checkpoint: Checkpoint, batch: list[Sequence[int]]) -> float:
    longest = max(map(len, batch))
    ids = torch.tensor([[*one, *[one[-1]] * (longest - len(one))] for one in batch], device=checkpoint.device)
    counted = torch.tensor([[place < len(one) for place in range(longest)] for one in batch], device=checkpoint.device)
    logits, _ = registry.adapter(checkpoint.architecture).forward(checkpoint.model, ids, None, last_only=False)
    chosen: Tensor = logits[:, :-1].float().gather(-1, ids[:, 1:, None])[..., 0]
    costs = logits[:, :-1].float().logsumexp(-1) - chosen
    return float(costs[counted[:, 1:]].double().sum()) / math.log(2)
