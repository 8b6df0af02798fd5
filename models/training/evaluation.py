"""Evaluate a trained model on held-out text: bits per byte, the baseline of token frequencies, the use of experts."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tokenizers import decoders
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from models.errors import SettingError
from models.operators import backends
from models.training import corpus

ROWS = 128  # evenly spaced rows of held-out text per language
BATCH = 16

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One language: bits per byte of the model and of token frequencies, and how the tokenizer cuts the text."""

    bits_per_byte: float
    unigram_bits_per_byte: float
    bytes_per_token: float
    characters_per_token: float
    tokens: int  # that were predicted


def judge(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: corpus.Text, *, context: int, rows: int = ROWS
) -> Evaluation:
    """Evaluate a model over evenly spaced rows of context tokens of a language's held-out text."""
    sizes = token_bytes(tokenizer)
    stream = corpus.encode(tokenizer, text.validation, language=text.language)
    batch_of = spaced(stream, context=context, start=tokenizer.bos_token_id, rows=rows)
    nats = 0.0
    with torch.inference_mode():
        for first in range(0, len(batch_of), BATCH):
            batch = torch.from_numpy(batch_of[first : first + BATCH]).long().to(model.device)
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits.float()
            nats += F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum").item()
    targets = batch_of[:, 1:].ravel()
    size = int(sizes[targets].sum())
    return Evaluation(
        bits_per_byte=round(nats / math.log(2) / size, 4),
        unigram_bits_per_byte=round(_unigram_bits(tokenizer, text, targets) / size, 4),
        bytes_per_token=round(size / len(targets), 3),
        characters_per_token=round(int(token_characters(tokenizer)[targets].sum()) / len(targets), 3),
        tokens=len(targets),
    )


def spaced(stream: Ids, *, context: int, start: int, rows: int) -> Ids:
    """Cut evenly spaced rows of context tokens from a stream, each led by the start token: (rows, context + 1).

    SettingError where the stream is shorter than a row.
    """
    if len(stream) < context:
        message = f"the held-out text has {len(stream)} tokens and a row {context}: choose a shorter --context"
        raise SettingError("errors.setting_value", message, name="context", value=context)
    whole = stream[: len(stream) // context * context].reshape(-1, context)
    chosen = whole[np.linspace(0, len(whole) - 1, min(rows, len(whole))).astype(int)]
    return np.concatenate([np.full((len(chosen), 1), start, dtype=np.int32), chosen], axis=1)


def tokens_of_an_epoch(tokenizer: PreTrainedTokenizerFast, texts: tuple[corpus.Text, ...], *, context: int) -> int:
    """Count the tokens of one pass over the training text, in whole rows of context tokens."""
    sizes = [len(corpus.encode(tokenizer, text.train, language=text.language)) for text in texts]
    return sum(size // context * context for size in sizes)


def token_bytes(tokenizer: PreTrainedTokenizerFast) -> npt.NDArray[np.int64]:
    """Return the number of text bytes of each token; the end of a document counts as one byte, a line break.

    SettingError for a tokenizer that is not byte-level: its tokens do not say how many bytes they are.
    """
    if not isinstance(tokenizer.backend_tokenizer.decoder, decoders.ByteLevel) or tokenizer.eos_token_id is None:
        message = "bits per byte need a byte-level tokenizer with an end token, and this model has another"
        raise SettingError("errors.setting_value", message, name="tokenizer", value=type(tokenizer).__name__)
    sizes = np.zeros(len(tokenizer), dtype=np.int64)
    for token, index in tokenizer.get_vocab().items():  # byte-level: a character of a token is a byte of the text
        sizes[index] = 1 if index == tokenizer.eos_token_id else len(token)
    return sizes


def token_characters(tokenizer: PreTrainedTokenizerFast) -> npt.NDArray[np.int64]:
    """Return how many characters of text begin in each token: its bytes that do not continue a UTF-8 character."""
    letters = bytes_to_unicode()
    continuing = {letters[byte] for byte in range(0x80, 0xC0)}
    sizes = token_bytes(tokenizer)
    for token, index in tokenizer.get_vocab().items():
        sizes[index] -= 0 if index == tokenizer.eos_token_id else sum(c in continuing for c in token)
    return sizes


def expert_shares(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: tuple[corpus.Text, ...], *, context: int
) -> list[list[float]]:
    """Return per layer with experts the share of the chosen slots that each expert takes on held-out text."""
    counts: list[Tensor] = []
    top = model.config.num_experts_per_tok
    with torch.inference_mode(), backends.use("fast"):
        for text in texts:
            stream = corpus.encode(tokenizer, text.validation, language=text.language)
            rows = torch.from_numpy(spaced(stream, context=context, start=tokenizer.bos_token_id, rows=32)).long()
            for batch in rows.to(model.device).split(BATCH):
                out = model(input_ids=batch[:, :-1], use_cache=False, output_router_logits=True)
                chosen = [logits.topk(top, dim=-1).indices for logits in out.router_logits]
                experts = model.config.num_experts
                counts.append(torch.stack([torch.bincount(c.flatten(), minlength=experts) for c in chosen]).cpu())
    total = torch.stack(counts).sum(0).double()  # (layer, expert)
    return [[round(x, 4) for x in row] for row in (total / total.sum(1, keepdim=True)).tolist()]


def _unigram_bits(tokenizer: PreTrainedTokenizerFast, text: corpus.Text, targets: Ids) -> float:
    """Return the bits that token frequencies of the training text (add-one) need for the targets."""
    counts = np.bincount(corpus.encode(tokenizer, text.train, language=text.language), minlength=len(tokenizer)) + 1.0
    return float(-np.log2(counts / counts.sum())[targets].sum())
