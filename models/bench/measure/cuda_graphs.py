"""Decode in preallocated memory; on a GPU, capture each step as a CUDA graph and replay it.

Small models in eager mode spend their time on launching kernels; captured steps show the cost of the architecture.
Attention is captured once per depth: one graph for all depths would need a mask over the unused memory, which
FlashAttention does not accept, and would read all of that memory at every step.
"""

import gc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from models.bench.measure.clock import Clock, elapsed
from models.bench.measure.parity import LIMIT, difference
from models.counting import accounting
from models.records.measurement import CAPTURED

WARMUPS = 3  # steps on a side stream before the capture
MOST_STEPS = 128  # each takes time to capture and memory to keep


class PlacedLayer(DynamicLayer):
    """Keys and values (b, h, l, d) in preallocated memory for a whole cell; a step sees the filled part.

    The depth is counted in Python, so that a captured step belongs to one depth.
    """

    def __init__(self, keys: Tensor, values: Tensor, *, tokens: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(keys, values)
        b, h, _, d = keys.shape
        self.keys: Tensor = keys.new_empty(b, h, tokens, d)
        self.values: Tensor = values.new_empty(b, h, tokens, values.shape[-1])
        self.depth = 0
        self.update(keys, values)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write new keys and values after those that are there; returns all of them, without a copy."""
        start, self.depth = self.depth, self.depth + key_states.shape[-2]
        self.keys[:, :, start : self.depth] = key_states
        self.values[:, :, start : self.depth] = value_states
        return self.keys[:, :, : self.depth], self.values[:, :, : self.depth]

    def get_seq_length(self) -> int:
        """Return how many tokens are there."""
        return self.depth

    def go_back(self, depth: int) -> None:
        """Forget what is beyond a depth."""
        self.depth = depth


@torch.inference_mode()
def on_fixed_memory(cache: Any, tokens: int) -> Any:
    """Move the keys and values of a growing cache into memory for so many tokens, layer by layer; returns the cache.

    A prompt is read on a growing cache, which holds exactly what it needs. States keep their places anyway.
    """
    for index, layer in enumerate(getattr(cache, "layers", ())):
        if getattr(layer, "keys", None) is not None:
            cache.layers[index] = PlacedLayer(layer.keys, layer.values, tokens=tokens)
            layer.reset()
    return cache


@dataclass(frozen=True, slots=True)
class Captured:
    """Decoding steps on fixed buffers: ids (b, 1) are read and overwritten by the greedy choice.

    steps: one graph for each depth, or a single one for a model that does not attend, whose steps are all alike.
    """

    steps: tuple[torch.cuda.CUDAGraph, ...]
    ids: Tensor
    logits: Tensor  # (b, vocab), of the last step
    cache: Any  # what the steps decode on
    state: tuple[Tensor, ...]  # what a step changes, but for keys and values: those beyond the depth count for nothing

    @torch.inference_mode()
    def follow(self, clock: Clock, ids: Tensor, cache: Any) -> None:
        """Go on after another prompt of the same length: its next ids (b, 1) and its cache, which is used up."""
        self.ids.copy_(ids)
        _put_back(self.state, _states(clock, cache))
        for layer, new in zip(_attending(self.cache), _attending(cache), strict=True):
            layer.go_back(0)
            layer.update(new.keys, new.values)
            new.reset()

    def timed(self, steps: int) -> tuple[float, ...]:
        """Replay one after the other without waiting; returns the milliseconds of each."""
        return elapsed(*(step.replay for step in self.after(steps)))

    def after(self, steps: int) -> tuple[torch.cuda.CUDAGraph, ...]:
        """Return the graphs of so many steps after a prompt."""
        return self.steps[:steps] if len(self.steps) > 1 else self.steps * steps


@torch.inference_mode()
def capture(clock: Clock, ids: Tensor, cache: Any) -> Captured:
    """Capture the steps after a cache on fixed memory, which is left as it was.

    Whatever torch raises while capturing is passed on: the caller decodes eagerly and keeps the reason. RuntimeError
    when the first replay gives other logits than an eager step.
    """
    everything, state = tuple(clock.adapter.cache_tensors(cache)), _states(clock, cache)
    attending = _attending(cache)
    depth = attending[0].depth if attending else 0
    static_ids, before = ids.clone(), [x.clone() for x in state]
    static_logits = clock.adapter.step(clock.checkpoint, static_ids, cache)[0].clone()
    eager = static_logits.clone()

    def go_back() -> None:
        _put_back((*state, static_ids), (*before, ids))
        for layer in attending:
            layer.go_back(depth)

    def step() -> None:
        logits, after = clock.adapter.step(clock.checkpoint, static_ids, cache)
        for old, new in zip(everything, clock.adapter.cache_tensors(after), strict=True):
            if old.data_ptr() != new.data_ptr():
                old.copy_(new)  # states that a step returns anew, as RWKV's
        static_logits.copy_(logits)
        static_ids.copy_(logits.argmax(-1, keepdim=True))

    go_back()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(min(WARMUPS, clock.cell.decode_tokens)):
            step()
    torch.cuda.current_stream().wait_stream(side)
    go_back()
    graphs: list[torch.cuda.CUDAGraph] = []
    for _ in range(clock.cell.decode_tokens if attending else 1):
        graph = torch.cuda.CUDAGraph()
        # Steps are replayed in the order of their capture, so that they can share their scratch memory.
        with torch.cuda.graph(graph, pool=graphs[0].pool() if graphs else None):
            step()
        graphs.append(graph)
    static_logits.fill_(torch.nan)  # a graph that holds nothing, as one of another device, must not pass
    graphs[0].replay()
    clock.wait()
    error = difference(static_logits, eager)
    if not error <= LIMIT[clock.cell.dtype]:
        raise RuntimeError(f"a captured step differs from an eager one by {error:.1e}")
    go_back()
    return Captured(tuple(graphs), static_ids, static_logits, cache, state)


def captured_or_reason(clock: Clock) -> tuple[Captured | None, str]:
    """Read a prompt of the cell and capture the step after it, or say why not.

    The reason has its words in assets/words (benchmark.graph) or, where torch refuses, is what torch said. A sliding
    window stays eager since its keys move from step to step; so do experts computed one by one, in numbers that Python
    reads, and every model where more steps are asked for than can be kept.
    """
    if clock.cell.view != "architecture":
        return None, "as shipped"
    if not clock.cuda:
        return None, "no GPU"
    if clock.cell.decode_tokens > MOST_STEPS:
        return None, "many steps"
    if clock.cell.experts in ("sorted", "loop"):
        return None, "experts one by one"
    if any(layer.window for layer in accounting.shape_of(clock.checkpoint.config).layers):
        return None, "sliding window"
    try:
        logits, cache, _ = clock.step(clock.prompt(clock.cell.context), None)
        cache = on_fixed_memory(cache, clock.cell.context + clock.cell.decode_tokens)
        return capture(clock, logits.argmax(-1, keepdim=True), cache), CAPTURED
    except Exception as error:  # noqa: BLE001 - torch raises many kinds; all mean that this model decodes eagerly
        _leave_capture(clock.checkpoint.device)
        first = str(error).strip().splitlines()
        return None, f"{type(error).__name__}: {first[0][:200] if first else ''}"


def _attending(cache: Any) -> list[Any]:
    """Return the layers of a cache that hold keys and values."""
    return [layer for layer in getattr(cache, "layers", ()) if getattr(layer, "keys", None) is not None]


def _states(clock: Clock, cache: Any) -> tuple[Tensor, ...]:
    """Return what a cache holds beside keys and values."""
    kept = {x.data_ptr() for layer in _attending(cache) for x in (layer.keys, layer.values)}
    return tuple(x for x in clock.adapter.cache_tensors(cache) if x.data_ptr() not in kept)


def _leave_capture(device: torch.device) -> None:
    """Go back to the usual stream, which torch leaves out when the end of a capture fails, and give memory back."""
    torch.cuda.set_stream(torch.cuda.default_stream(device))
    torch.cuda.synchronize(device)
    gc.collect()
    torch.cuda.empty_cache()


def _put_back(targets: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    for target, value in zip(targets, values, strict=True):
        target.copy_(value)
