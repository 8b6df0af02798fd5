"""One real forward pass, recorded: the way from a prompt to a ModelTrace, the same for every architecture."""

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.counting import accounting
from models.errors import SettingError, SourceError
from models.limits import PROMPT_TOKENS
from models.machine import threads
from models.operators import backends
from models.records.trace import Attribution, ModelTrace, NamedArray, TokenLens
from models.switches import hooks
from models.switches.context import Means
from models.tracing import fitting
from models.tracing.adapter import Adapter, Checkpoint, Readable
from models.tracing.capture import capturing
from models.tracing.fitting import Fit
from models.tracing.parts import attribution, residual_stream
from models.tracing.tokens import Encoded, encode, label_of


def trace(adapter: Adapter, checkpoint: Checkpoint, prompt: str) -> ModelTrace:
    """Run the model once over a prompt (batch 1) with its layers watched.

    Raises PromptError for a prompt that cannot be run, SourceError for a checkpoint without a tokenizer of its own.
    """
    return trace_encoded(adapter, checkpoint, encoded(checkpoint, prompt))


def encoded(model: Readable, prompt: str) -> Encoded:
    """Cut a prompt into the tokens that a model reads; raises as trace does, and touches no weights."""
    shape = accounting.shape_of(model.config)
    found = encode(model.tokenizer, prompt, source=model.name, limit=_limit(model))
    if not found.ids:
        message = f"the tokenizer of {model.name!r} makes no token of this text: use another text"
        raise SourceError("errors.no_tokens", message, source=model.name)
    if not all(0 <= id_ < shape.vocab for id_ in found.ids):
        message = f"the tokenizer of {model.name!r} has more entries than its model, which has {shape.vocab}"
        raise SourceError("errors.foreign_tokenizer", message, source=model.name, vocab=shape.vocab)
    return found


def fitted(model: Readable, prompt: str) -> Fit:
    """Return as much of a prompt, from its start, as a model reads; SourceError as in encoded, no model runs."""
    return fitting.fitted(model.tokenizer, prompt, source=model.name, limit=_limit(model))


def _limit(model: Readable) -> int:
    return min(PROMPT_TOKENS, accounting.shape_of(model.config).positions or PROMPT_TOKENS)


def trace_encoded(adapter: Adapter, checkpoint: Checkpoint, encoded: Encoded) -> ModelTrace:
    """Run the model once over tokens (batch 1) that were cut, or drawn, before."""
    ids = torch.tensor([encoded.ids], device=checkpoint.device)  # (1, l)
    model = checkpoint.model
    blocks, norm, start = adapter.blocks(model), adapter.final_norm(model), adapter.stream_start(model)
    writers = adapter.writers(model)
    wanted = threads.threads_for(accounting.params_total(accounting.shape_of(model.config)))
    with checkpoint.lock, threads.limited(wanted), torch.inference_mode(), backends.recording() as used:
        asked = [*adapter.watched(model), *residual_stream.watched(blocks, norm, start, writers)]
        with capturing(dict.fromkeys(asked)) as capture:  # each once: a hook sees the same every time
            started = time.perf_counter()
            logits, cache = adapter.forward(model, ids, None, last_only=False)
            seconds = time.perf_counter() - started
        layers = adapter.layer_traces(model, capture)
    dtype = str(model.dtype).removeprefix("torch.")
    rows = logits[0].float().cpu()  # (l, vocab)
    recorded = NamedArray(rows.numpy(), ("token", "vocab"))
    embedding, layers = residual_stream.record(
        layers,
        residual_stream.streams(blocks, norm, start, capture),
        residual_stream.writes(writers, capture),
        readout(adapter, checkpoint),
        logits=recorded,
        ids=np.array(encoded.ids),
    )
    return ModelTrace(
        checkpoint=checkpoint.name,
        architecture=checkpoint.architecture,
        prompt=encoded.prompt,
        tokens=encoded.tokens,
        logits=recorded,
        surprisal=NamedArray(surprisal(rows, ids[0].cpu()), ("token",)),
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
        embedding=embedding,
        label_of=label_of(checkpoint.tokenizer),
    )


def means(adapter: Adapter, checkpoint: Checkpoint, texts: Sequence[Encoded]) -> Means:
    """Run a model over texts, one after another and with everything on, and return the means of its parts."""
    model = checkpoint.model
    wanted = threads.threads_for(accounting.params_total(accounting.shape_of(model.config)))
    with checkpoint.lock, threads.limited(wanted), torch.inference_mode():
        with hooks.measuring(adapter.sites(model)) as found:
            for text in texts:
                adapter.run(model, torch.tensor([text.ids], device=checkpoint.device), None, last_only=True)
        return found()


def readout(adapter: Adapter, checkpoint: Checkpoint) -> residual_stream.Readout:
    """Return what turns a residual stream of a checkpoint into logits."""
    model = checkpoint.model
    return residual_stream.Readout(adapter.final_norm(model), adapter.unembed(model), adapter.stream_dtype(model))


def lens_of(adapter: Adapter, checkpoint: Checkpoint, trace: ModelTrace, token_id: int) -> TokenLens:
    """Follow one token of the vocabulary through a trace: its probability and rank in the stream after every block.

    trace: of this checkpoint. Costs one output head per layer, and keeps two numbers per layer and position.
    Raises SettingError for an id that the vocabulary does not have, ValueError for a trace of another checkpoint.
    """
    if trace.checkpoint != checkpoint.name:
        raise ValueError(f"the trace is one of {trace.checkpoint!r}, not of {checkpoint.name!r}")
    last = trace.logits.sizes["vocab"] - 1
    if not 0 <= token_id <= last:
        message = f"token {token_id} is not in the vocabulary of {checkpoint.name!r}: choose an id from 0 to {last}"
        raise SettingError("errors.setting_range", message, name="token", value=token_id, low=0, high=last)
    head, ids = readout(adapter, checkpoint), np.full(len(trace.tokens), token_id)
    with torch.inference_mode():
        found = [residual_stream.follow(layer.part("resid_post"), head, ids) for layer in trace.stream]
    prob, rank = (NamedArray(np.stack(rows), ("layer", "token")) for rows in zip(*found, strict=True))
    return TokenLens(token_id, trace.label_of(token_id), prob, rank)


def attribution_of(adapter: Adapter, checkpoint: Checkpoint, trace: ModelTrace, ids: Sequence[int]) -> Attribution:
    """Split the logit of one token per position of a trace into what every part of the model adds to it.

    ids: (token,), -1 for none. Raises SettingError for an id that the vocabulary does not have, ValueError for a trace
    of another checkpoint.
    """
    if trace.checkpoint != checkpoint.name:
        raise ValueError(f"the trace is one of {trace.checkpoint!r}, not of {checkpoint.name!r}")
    last = trace.logits.sizes["vocab"] - 1
    for token_id in (min(ids), max(ids)):
        if not -1 <= token_id <= last:
            message = f"token {token_id} is not in the vocabulary of {checkpoint.name!r}: choose an id from 0 to {last}"
            raise SettingError("errors.setting_range", message, name="token", value=token_id, low=0, high=last)
    return attribution.attribution(
        trace,
        np.array(ids),
        readout(adapter, checkpoint),
        [mixer for mixer, _ in adapter.writers(checkpoint.model)],
    )


def surprisal(logits: Tensor, ids: Tensor) -> np.ndarray:
    """Return -log2 p(token | tokens before it) in bits, (l,); nan for the first token, which nothing predicts."""
    bits = torch.full((len(ids),), math.nan)
    log_p = torch.log_softmax(logits[:-1], dim=-1)
    bits[1:] = -log_p.gather(1, ids[1:, None])[:, 0] / math.log(2)
    return bits.numpy()
