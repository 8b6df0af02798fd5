"""Examples as tensors, and what the model writes for them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import MarianMTModel

from models.encoder_decoder.tasks import Exercise
from models.encoder_decoder.vocabulary import END, PAD, ToySource, ids, tokens

IGNORED = -100  # a label that no loss is computed for
MOST = 24  # tokens of an output; the longest right one has 17


def padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Return rows as one tensor (row, longest), filled at the end."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])


def sources_of(sources: Sequence[ToySource]) -> tuple[Tensor, Tensor]:
    """Return ids and mask (b, l): 0 where a row is filled up."""
    (pad,) = ids((PAD,))
    found = padded([ids(source.tokens) for source in sources], pad)
    return found, (found != pad).long()


def labels_of(examples: Sequence[Exercise]) -> Tensor:
    """Return the right outputs with their end (b, l), IGNORED after it."""
    return padded([ids((*example.target, END)) for example in examples], IGNORED)


def answers(model: MarianMTModel, sources: Sequence[ToySource]) -> list[tuple[str, ...]]:
    """Return what the model writes greedily for each input, without start and end; cut off after MOST tokens."""
    found, mask = sources_of(sources)
    (end,) = ids((END,))
    with torch.inference_mode():
        writer: Any = model  # generate is declared for fewer classes than have it
        rows = writer.generate(
            found.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=MOST,
            do_sample=False,
            num_beams=1,
        ).tolist()
    names = tokens()
    written = [row[1 : row.index(end)] if end in row else row[1:] for row in rows]
    return [tuple(names[token] for token in row) for row in written]
