"""One real forward pass, recorded: the way from a prompt to a ModelTrace, the same for every architecture."""

import math
import time

import numpy as np
import torch
from torch import Tensor

from models import accounting, backends
from models.capture import capturing
from models.errors import SourceError
from models.records import ModelTrace, Named
from models.spec import Adapter, Checkpoint
from models.tokens import PROMPT_LIMIT, Encoded, encode


def trace(adapter: Adapter, checkpoint: Checkpoint, prompt: str) -> ModelTrace:
    """Run the model once over a prompt (batch 1) with its layers watched.

    Raises PromptError for a prompt that cannot be run, SourceError for a checkpoint without a tokenizer of its own.
    """
    return trace_encoded(adapter, checkpoint, encoded(checkpoint, prompt))


def encoded(checkpoint: Checkpoint, prompt: str) -> Encoded:
    """Cut a prompt into the tokens that a checkpoint reads; raises as trace does, and touches no model."""
    shape = accounting.shape_of(checkpoint.config)
    limit = min(PROMPT_LIMIT, shape.positions or PROMPT_LIMIT)
    found = encode(checkpoint.tokenizer, prompt, source=checkpoint.name, limit=limit)
    if not found.ids:
        message = f"the tokenizer of {checkpoint.name!r} makes no token of this text: use another text"
        raise SourceError("errors.no_tokens", message, source=checkpoint.name)
    if not all(0 <= id_ < shape.vocab for id_ in found.ids):
        message = f"the tokenizer of {checkpoint.name!r} has more entries than its model, which has {shape.vocab}"
        raise SourceError("errors.foreign_tokenizer", message, source=checkpoint.name, vocab=shape.vocab)
    return found


def trace_encoded(adapter: Adapter, checkpoint: Checkpoint, encoded: Encoded) -> ModelTrace:
    """Run the model once over tokens (batch 1) that were cut, or drawn, before."""
    ids = torch.tensor([encoded.ids], device=checkpoint.device)  # (1, l)
    model = checkpoint.model
    with checkpoint.lock, torch.inference_mode(), backends.recording() as used:
        with capturing(adapter.watched(model)) as capture:
            started = time.perf_counter()
            logits, cache = adapter.forward(model, ids, None, last_only=False)
            seconds = time.perf_counter() - started
        layers = adapter.layer_traces(model, capture)
    dtype = str(model.dtype).removeprefix("torch.")
    rows = logits[0].float().cpu()  # (l, vocab)
    return ModelTrace(
        checkpoint=checkpoint.name,
        architecture=checkpoint.architecture,
        prompt=encoded.prompt,
        tokens=encoded.tokens,
        logits=Named(rows.numpy(), ("token", "vocab")),
        surprisal=Named(surprisal(rows, ids[0].cpu()), ("token",)),
        layers=layers,
        cache_bytes=adapter.cache_bytes(cache),
        cache_bytes_formula=accounting.cache_bytes(
            accounting.shape_of(model.config), context=ids.shape[1], dtype=dtype
        ),
        implementation=dict(used),
        device=str(checkpoint.device),
        dtype=dtype,
        seconds=seconds,
        remarks=encoded.remarks,
    )


def surprisal(logits: Tensor, ids: Tensor) -> np.ndarray:
    """Return -log2 p(token | tokens before it) in bits, (l,); nan for the first token, which nothing predicts."""
    bits = torch.full((len(ids),), math.nan)
    log_p = torch.log_softmax(logits[:-1], dim=-1)
    bits[1:] = -log_p.gather(1, ids[1:, None])[:, 0] / math.log(2)
    return bits.numpy()
