"""Read a recorded text once more: in one pass, and token by token with the cache, both timed."""

import time

import numpy as np
import torch

from models.counting import accounting
from models.machine import threads
from models.records.steps import StepRun
from models.records.trace import ModelTrace, NamedArray
from models.tracing.adapter import Adapter, Checkpoint


def token_by_token(adapter: Adapter, checkpoint: Checkpoint, trace: ModelTrace) -> StepRun:
    """Run a checkpoint over the tokens of a trace of it, token by token, and compare the logits with the trace's.

    Each step receives one token and the cache of the step before; the trace came from one pass over all of them.
    """
    ids = torch.tensor([[token.id for token in trace.tokens]], device=checkpoint.device)  # (1, l)
    wanted = threads.threads_for(accounting.params_total(accounting.shape_of(checkpoint.config)))
    with checkpoint.lock, threads.limited(wanted), torch.inference_mode():
        _timed_pass(adapter, checkpoint, ids)  # compiles and warms, not counted
        whole = _timed_pass(adapter, checkpoint, ids)
        rows, seconds, cache = [], [], None
        for t in range(ids.shape[1]):
            started = time.perf_counter()
            logits, cache = adapter.forward(checkpoint.model, ids[:, t : t + 1], cache, last_only=True)
            rows.append(logits[0, -1].float().cpu().numpy())  # waits for the device
            seconds.append(time.perf_counter() - started)
    serial, parallel = np.stack(rows), np.asarray(trace.logits.values, np.float32)  # (l, vocab)
    wanted_next = followed(trace)
    return StepRun(
        next_logit=NamedArray(serial[np.arange(len(serial)), wanted_next], ("token",)),
        difference=NamedArray(np.abs(serial - parallel).max(1), ("token",)),
        scale=NamedArray(np.abs(parallel).max(1), ("token",)),
        step_seconds=NamedArray(np.array(seconds), ("token",)),
        pass_seconds=whole,
    )


def followed(trace: ModelTrace) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    """Return the id whose logit is compared at each place: the token that came next, at the end the likeliest."""
    ids = [token.id for token in trace.tokens[1:]]
    return np.array([*ids, int(trace.logits.values[-1].argmax())], np.intp)


def _timed_pass(adapter: Adapter, checkpoint: Checkpoint, ids: torch.Tensor) -> float:
    started = time.perf_counter()
    logits, _ = adapter.forward(checkpoint.model, ids, None, last_only=False)
    float(logits[0, -1, 0])  # waits for the device
    return time.perf_counter() - started
