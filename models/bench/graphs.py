"""Decode on fixed memory: a static cache sized for one cell, and on a GPU one captured step that is replayed.

BENCHMARK.md R5. Small models in eager mode spend their time launching kernels; a captured step shows the architecture.
"""

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import StaticCache

from models import accounting
from models.bench.clock import Clock
from models.bench.parity import LIMIT, difference

WARMUPS = 3  # steps on a side stream before the capture


def static_cache(clock: Clock, tokens: int) -> Any | None:
    """Return an empty cache for so many tokens where a model attends, None where its state has a fixed size anyway."""
    config: Any = clock.checkpoint.config
    if "attention" not in clock.adapter.parts:
        return None
    return StaticCache(config=config, max_cache_len=tokens)


def on_fixed_memory(clock: Clock, cache: Any, tokens: int) -> Any:
    """Return a cache whose tensors keep their places for so many tokens; the one given is used up or is it already."""
    room = static_cache(clock, tokens)
    if room is None:
        return cache
    move(cache, room)
    return room


@torch.inference_mode()
def move(cache: Any, room: Any) -> None:
    """Move what a growing cache holds into a static one, layer by layer, so that there is never all of it twice.

    The prompt is read on a growing cache: on a static one attention cannot run as FlashAttention, whose causal mask
    wants as many keys as queries.
    """
    for old, new in zip(cache.layers, room.layers, strict=True):
        new.reset()
        for index, state in getattr(old, "conv_states", {}).items():
            new.update_conv_state(state, index)
        for index, state in getattr(old, "recurrent_states", {}).items():
            new.update_recurrent_state(state, index)
        if getattr(old, "keys", None) is not None:
            new.update(old.keys, old.values)
            old.reset()


@dataclass(frozen=True, slots=True)
class Captured:
    """One decoding step on fixed buffers: ids (b, 1) are read and overwritten by the greedy choice."""

    graph: torch.cuda.CUDAGraph
    ids: Tensor
    logits: Tensor
    cache: Any  # what the step decodes on
    state: tuple[Tensor, ...]  # what a step changes, but for keys and values: those beyond the depth count for nothing

    @torch.inference_mode()
    def follow(self, clock: Clock, ids: Tensor, cache: Any) -> None:
        """Go on after another prompt: its next ids (b, 1) and its cache, which is used up."""
        self.ids.copy_(ids)
        if isinstance(self.cache, StaticCache):
            move(cache, self.cache)
        else:
            put_back(self.state, clock.adapter.cache_tensors(cache))

    def decode(self, steps: int) -> Iterator[float]:
        """Replay, timed by events on the device; yields milliseconds a step."""
        for _ in range(steps):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            self.graph.replay()
            end.record()
            end.synchronize()
            yield begin.elapsed_time(end)


@torch.inference_mode()
def capture(clock: Clock, ids: Tensor, cache: Any) -> Captured:
    """Capture the step after a cache; the cache is left as it was. RuntimeError when a replay gives other logits.

    Whatever torch raises while capturing is passed on: the caller decodes eagerly and keeps the reason.
    """
    static_ids = ids.clone()
    everything = tuple(clock.adapter.cache_tensors(cache))
    written = _written(cache)
    state = tuple(x for x in everything if x.data_ptr() not in written)
    before = [x.clone() for x in state]
    eager = clock.adapter.step(clock.checkpoint, static_ids, cache)[0].clone()
    put_back(state, before)

    def step() -> Tensor:
        logits, after = clock.adapter.step(clock.checkpoint, static_ids, cache)
        for old, new in zip(everything, clock.adapter.cache_tensors(after), strict=True):
            if old.data_ptr() != new.data_ptr():
                old.copy_(new)  # states that a step returns anew, as RWKV's
        static_ids.copy_(logits.argmax(-1, keepdim=True))
        return logits

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARMUPS):
            step()
    torch.cuda.current_stream().wait_stream(side)
    put_back((*state, static_ids), (*before, ids))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = step()
    logits.fill_(torch.nan)  # a graph that holds nothing, as one of another device, must not pass
    graph.replay()
    clock.wait()
    error = difference(logits, eager)
    if not error <= LIMIT[clock.cell.dtype]:
        raise RuntimeError(f"a captured step differs from an eager one by {error:.1e}")
    put_back((*state, static_ids), (*before, ids))
    return Captured(graph, static_ids, logits, cache, state)


def captured_or_reason(clock: Clock) -> tuple[Captured | None, str]:
    """Read a prompt of the cell and capture the step after it, or say why not.

    The reason has its words in assets/i18n (benchmark.graph) or, where torch refuses, is what torch said. A sliding
    window stays eager since transformers counts its positions in Python, where a replay does not count.
    """
    if clock.cell.view != "architecture":
        return None, "as shipped"
    if not clock.cuda:
        return None, "no GPU"
    if any(layer.window for layer in accounting.shape_of(clock.checkpoint.config).layers):
        return None, "sliding window"
    try:
        logits, cache, _ = clock.step(clock.prompt(clock.cell.context), None)
        cache = on_fixed_memory(clock, cache, clock.cell.context + clock.cell.decode_tokens + WARMUPS + 1)
        return capture(clock, logits.argmax(-1, keepdim=True), cache), "captured"
    except Exception as error:  # noqa: BLE001 - torch raises many kinds; all mean that this model decodes eagerly
        _leave_capture(clock.checkpoint.device)
        first = str(error).strip().splitlines()
        return None, f"{type(error).__name__}: {first[0][:200] if first else ''}"


def _written(cache: Any) -> set[int]:
    """Return where a static cache keeps keys and values: a step adds to them in its place and reads what is before."""
    if not isinstance(cache, StaticCache):
        return set()
    kept = (getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values"))
    return {x.data_ptr() for x in kept if x is not None}


def _leave_capture(device: torch.device) -> None:
    """Go back to the usual stream, which torch leaves out when the end of a capture fails, and give memory back."""
    torch.cuda.set_stream(torch.cuda.default_stream(device))
    torch.cuda.synchronize(device)
    gc.collect()
    torch.cuda.empty_cache()


def put_back(targets: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """Write values into tensors that keep their places."""
    for target, value in zip(targets, values, strict=True):
        target.copy_(value)
