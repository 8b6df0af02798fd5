"""A captured step without a GPU: its operators are recorded and replayed on the same tensors, as a CUDA graph does.

Only what torch dispatches is replayed: a position that Python counts would stand still. A value that Python reads is
refused, as a capturing stream refuses it. On a GPU test_gpu_cells.py asks the same of the real graphs.
"""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig

from models import registry
from models.bench.measure import cell_run, cuda_graphs
from models.bench.measure.clock import Clock
from models.bench.measure.loading import load
from models.operators import backends
from models.records.cell import Cell

aten = torch.ops.aten
READS = {
    aten._local_scalar_dense.default,
    aten.item.default,
    aten.nonzero.default,
    aten.is_nonzero.default,
    aten.equal.default,
}
pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


class Recording(TorchDispatchMode):
    """Keep every operator with the tensors it read and wrote; what was written is undone, as capturing runs nothing."""

    def __init__(self):
        super().__init__()
        self.done, self.overwritten = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in READS:
            raise RuntimeError(f"{func}: operation not permitted when stream is capturing")
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                self.overwritten.append((value, value.clone()))
        out = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, out))
        return out

    def undo(self):
        for value, before in reversed(self.overwritten):
            value.copy_(before)


class Graph:
    """A stand-in for torch.cuda.CUDAGraph."""

    def __init__(self):
        self.recording = Recording()

    def pool(self):
        return "pool"

    @torch.inference_mode()
    def replay(self):
        for func, args, kwargs, out in self.recording.done:
            read = {id(x) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and id(old) not in read and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Stream:
    def wait_stream(self, other):
        pass


class Event:
    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        pass

    def synchronize(self):
        pass

    def elapsed_time(self, other):
        return 1.0


@pytest.fixture
def pretend(monkeypatch):
    @contextmanager
    def capturing(graph, pool):
        assert pool in (None, "pool")
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
        with graph.recording:
            yield
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
        graph.recording.undo()

    monkeypatch.setattr(Clock, "_gpu_sentinel", lambda clock: 1.0)
    for name, value in {
        "CUDAGraph": Graph,
        "graph": capturing,
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda stream: nullcontext(),
        "Event": Event,
        "synchronize": lambda device: None,
        "default_stream": lambda device: Stream(),
        "set_stream": lambda stream: None,
        "set_device": lambda device: None,
        "empty_cache": lambda: None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)


@pytest.fixture(autouse=True)
def dispatched(monkeypatch):
    """Run what torch can see: no compiled loops of the CPU, and all experts at once, as on a GPU."""
    resolve = backends.resolve

    def as_on_a_gpu(function, *args, **options):
        return "package" if function == "experts" else resolve(function, *args, **options)

    monkeypatch.setattr(backends, "resolve", as_on_a_gpu)
    with backends.use("reference"):
        yield


def prepared(architecture, **changes):
    """Return a clock that takes the CPU for a GPU."""
    cell = Cell(architecture, architecture, 20, decode_tokens=8, **changes)
    clock = Clock(cell, *load(cell))
    clock.cuda = True
    return clock


def greedy(clock, ids, steps):
    """Write eagerly after a prompt (b, steps)."""
    logits, cache = clock.adapter.step(clock.checkpoint, ids, None)
    token, found = logits.argmax(-1, keepdim=True), []
    for _ in range(steps):
        logits, cache = clock.adapter.step(clock.checkpoint, token, cache)
        token = logits.argmax(-1, keepdim=True)
        found.append(token)
    return torch.cat(found, dim=1)


def replayed(step, captured):
    """Replay a step; returns the tokens (b, 1) that it has chosen."""
    step.replay()
    return captured.ids.clone()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", registry.bundled())
@pytest.mark.parametrize("batch", [1, 3])
def test_replayed_steps_write_what_eager_steps_write(architecture, batch, pretend):
    clock = prepared(architecture, batch=batch)
    captured, said = cuda_graphs.captured_or_reason(clock)
    assert said == "captured"
    for _ in range(3):  # prompts of the same length go into the same buffers, one after the other
        ids = clock.prompt(20)
        logits, cache = clock.adapter.step(clock.checkpoint, ids, None)
        captured.follow(clock, logits.argmax(-1, keepdim=True), cache)
        assert captured.timed(8) == (1.0,) * 8
        captured.follow(clock, logits.argmax(-1, keepdim=True), clock.adapter.step(clock.checkpoint, ids, None)[1])
        written = torch.cat([replayed(step, captured) for step in captured.after(8)], dim=1)
        assert torch.equal(written, greedy(clock, ids, 8))


@pytest.mark.slow
def test_the_rounds_of_a_cell_replay_its_captured_step(pretend):
    run = cell_run.CellRun(Cell("transformer", "transformer", 20, decode_tokens=8, rounds=2), run_id="test")
    run.prepare()
    assert (run.graph, run.graph_said) == (None, "no GPU")
    run.clock.cuda = True
    run.graph, run.graph_said = cuda_graphs.captured_or_reason(run.clock)
    for _ in range(2):
        state = run.clock.generator.get_state()
        made = run._attempt()
        assert made.decode == (1.0,) * 8  # as the events say
        run.clock.generator.set_state(state)
        assert torch.equal(run.graph.ids, greedy(run.clock, run.clock.prompt(20), 8)[:, -1:])


def refused(clock, step):
    """Capture another step in place of the adapter's; returns the reason why it is not kept."""

    class Other:
        def __getattr__(self, name):
            return getattr(clock.adapter, name)

        def step(self, checkpoint, ids, cache):
            return step(clock.adapter.step, checkpoint, ids, cache)

    other = Clock(clock.cell, Other(), clock.checkpoint)
    other.cuda = True
    captured, said = cuda_graphs.captured_or_reason(other)
    assert captured is None
    return said


@pytest.mark.slow
def test_a_step_that_reads_a_value_is_refused(pretend):
    def reads(step, checkpoint, ids, cache):
        assert int(ids.max()) >= 0
        return step(checkpoint, ids, cache)

    assert "not permitted" in refused(prepared("transformer"), reads)


@pytest.mark.slow
def test_a_step_that_counts_in_python_is_refused(pretend):
    """A replay would be the first step again: the check of the logits has to see it."""
    calls = []

    def counts(step, checkpoint, ids, cache):
        calls.append(1)
        logits, cache = step(checkpoint, ids, cache)
        return logits * len(calls), cache

    assert "differs from an eager one" in refused(prepared("rwkv"), counts)


@pytest.mark.parametrize("architecture", registry.bundled())
def test_a_step_of_attention_is_captured_at_each_depth_and_reads_no_more_than_it(architecture, pretend, monkeypatch):
    seen, sdpa = [], torch.nn.functional.scaled_dot_product_attention

    def watching(query, key, value, attn_mask=None, **options):
        seen.append((key.shape[-2], attn_mask))
        return sdpa(query, key, value, attn_mask=attn_mask, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watching)
    clock = prepared(architecture)
    captured, said = cuda_graphs.captured_or_reason(clock)
    assert said == "captured"
    attends = "attention" in clock.adapter.parts
    assert len(captured.steps) == (8 if attends else 1)
    steps = [(keys, mask) for keys, mask in seen if keys > 20]
    assert bool(steps) == attends
    assert all(mask is None for _, mask in steps), "FlashAttention takes no mask"
    assert {keys for keys, _ in steps} == (set(range(21, 29)) if attends else set())


def test_experts_that_python_counts_stay_eager(pretend):
    for experts in ("sorted", "loop"):
        assert cuda_graphs.captured_or_reason(prepared("jamba", experts=experts)) == (None, "experts one by one")


@pytest.mark.parametrize("architecture", registry.bundled())
def test_more_steps_than_can_be_kept_stay_eager_in_every_model(architecture, pretend):
    cell = Cell(architecture, architecture, 20, decode_tokens=cuda_graphs.MOST_STEPS + 1)
    clock = Clock(cell, *load(cell))
    clock.cuda = True
    assert cuda_graphs.captured_or_reason(clock) == (None, "many steps")


@pytest.mark.slow
def test_a_graph_that_holds_nothing_is_refused(pretend, monkeypatch):
    """As that of a stream on another device, which torch only warns of."""
    monkeypatch.setattr(Graph, "replay", lambda graph: None)
    clock = prepared("mamba")
    captured, said = cuda_graphs.captured_or_reason(clock)
    assert captured is None
    assert "differs from an eager one by inf" in said


@pytest.mark.slow
def test_keys_and_values_are_not_copied_to_be_put_back(pretend):
    clock = prepared("jamba")
    captured, said = cuda_graphs.captured_or_reason(clock)
    assert said == "captured"
    (layer,) = [layer for layer in captured.cache.layers if isinstance(layer, cuda_graphs.PlacedLayer)]
    assert layer.keys.shape[-2] == 20 + 8, "sized for the cell"
    assert not {layer.keys.data_ptr(), layer.values.data_ptr()} & {x.data_ptr() for x in captured.state}


def test_as_shipped_and_sliding_windows_stay_eager(pretend):
    assert cuda_graphs.captured_or_reason(prepared("transformer", view="as_shipped")) == (None, "as shipped")
    clock = prepared("transformer")
    windowed = clock.checkpoint.config.to_dict() | {"model_type": "mistral", "sliding_window": 8}
    clock.checkpoint = SimpleNamespace(config=AutoConfig.for_model(**windowed))
    assert cuda_graphs.captured_or_reason(clock) == (None, "sliding window")
