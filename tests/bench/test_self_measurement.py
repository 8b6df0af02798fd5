"""The harness against itself and against a loop of its own: what it adds, what it calls different, what it repeats."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from models import registry
from models.bench.judge.statistics import verdict
from models.bench.measure import clock, cpu_share
from models.bench.measure.cell_run import CellRun
from models.bench.measure.loading import load
from models.records.cell import Cell
from models.sources import weights

ROOT = Path(__file__).resolve().parents[2]
NAME = "transformer"
TRIES = 3  # on a shared machine a neighbour can spoil one comparison of times; three in a row would be the harness
pytestmark = [pytest.mark.skipif(NAME not in registry.bundled(), reason="no bundled checkpoints"), pytest.mark.slow]


# Prints one line per case, each from a process of its own: forked from one that has imported torch, as cells are.
FORKED = """
import json, os, sys
from models.bench.measure import cell_run  # the heavy import, before any fork

for case in json.loads(sys.argv[1]):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        print(json.dumps({function}(*case)), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"the process of {case} failed")
"""
# The peak of reading as the meter sees it, and the most that the allocator had given out.
ALLOCATED = """
def allocated(name, context):
    import itertools
    from torch.profiler import ProfilerActivity, profile
    from models.bench.measure import memory
    from models.bench.measure.clock import Clock, implementation, pinned
    from models.bench.measure.loading import load
    from models.records.cell import Cell

    cell = Cell(name, name, context)
    with implementation(cell), pinned(cell), memory.watching("cpu") as meter:
        clock = Clock(cell, *load(cell))
        ids = clock.prompt(cell.context)
        clock.step(clock.prompt(16), None)
        meter.start()
        logits, cache, _ = clock.step(ids, None)
        resident = meter.peak()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            logits, cache, _ = clock.step(ids, None)
    events = [(e.start_ns(), e.nbytes()) for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = itertools.accumulate(size for _, size in sorted(events, key=lambda event: event[0]))
    return {"resident": resident, "allocated": max(held)}
"""
PEAKS = """
def peaks(name, context):
    from models.records.cell import Cell

    row = cell_run.measure(Cell(name, name, context, decode_tokens=2, rounds=2), run_id="test")
    return row.cache_bytes, row.peak_bytes, row.peak_process_bytes
"""


def forked(code: str, function: str, cases: list[tuple[str, int]]) -> list[Any]:
    """Return what a function of some code returns for each case, each called in a process of its own."""
    program = code + FORKED.replace("{function}", function)
    command = [sys.executable, "-c", program, json.dumps(cases)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """With several threads, operators this small wait for each other on a busy machine, as that of the tests is.

    A round is not made again because other tests keep the cores.
    """
    monkeypatch.setattr(cpu_share, "between", lambda *_: None)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def short_sentinel(monkeypatch):
    """Do the fixed work of the sentinel less often: beside a step of this model it takes nearly all of a round."""
    monkeypatch.setattr(clock, "SENTINELS", 1)


@pytest.fixture
def own_time(monkeypatch):
    """Let the clock read the CPU time of this process: neighbours take wall time of a step, and no work adds to it."""
    monkeypatch.setattr(time, "perf_counter_ns", time.process_time_ns)


class Slowed:
    """An adapter that does every step twice."""

    def __init__(self, adapter):
        self._adapter = adapter

    def __getattr__(self, name):
        return getattr(self._adapter, name)

    def step(self, checkpoint, ids, cache):
        if cache is None:
            self._adapter.step(checkpoint, ids, None)
        else:  # a step on a copy of the same length costs the same and leaves the cache as it was
            self._adapter.step(checkpoint, ids, _copy(cache))
        return self._adapter.step(checkpoint, ids, cache)


def _copy(cache):
    from transformers import DynamicCache

    copied = DynamicCache()
    for index, layer in enumerate(cache.layers):
        copied.update(layer.keys, layer.values, index)
    return copied


def prepared(adapter, checkpoint, **changes):
    run = CellRun(Cell(NAME, NAME, 64, **changes), run_id="test")
    run.prepare((adapter, checkpoint))
    return run


def interleaved(pair, rounds):
    """Forget earlier rounds of two cells and make new ones in turn, AB BA AB; returns both phases by round."""
    for run in pair:
        run.rounds.clear()
    for made in range(rounds):
        for run in pair if made % 2 == 0 else reversed(pair):
            run.round()
    return {
        "prefill": [[[made.prefill] for made in run.rounds] for run in pair],
        "decode": [[list(made.decode) for made in run.rounds] for run in pair],
    }


@pytest.mark.usefixtures("short_sentinel")
def test_a_cell_beside_itself_is_called_different_in_at_most_5_per_cent_of_40_trials():
    """A/A: one verdict has 98 % inside, so that a block of 40 above two is a fault and not chance (1 in 100)."""
    loaded = load(Cell(NAME, NAME, 16))
    pair = [CellRun(Cell(NAME, NAME, 16, decode_tokens=4), run_id="test") for _ in range(2)]
    for run in pair:
        run.prepare(loaded)
    called = {"prefill": [], "decode": []}
    for trial in range(40):
        for phase, times in interleaved(pair, 5).items():
            found = verdict(*times)
            called[phase] += [(trial, found)] if found.kind != "indistinguishable" else []
    assert all(len(found) <= 0.05 * 40 for found in called.values()), called


@pytest.mark.usefixtures("short_sentinel", "own_time")
def test_a_model_that_does_everything_twice_is_called_slower_every_time():
    adapter, checkpoint = load(Cell(NAME, NAME, 64))
    plain, slowed = (prepared(each, checkpoint, decode_tokens=16) for each in (adapter, Slowed(adapter)))
    for _ in range(4):
        found = verdict(*interleaved([slowed, plain], 9)["decode"])
        assert found.kind == "slower", found
        assert 1.3 < found.ratio.value < 3.5


def test_decoding_agrees_with_a_loop_written_by_hand():
    """Greedy decoding on transformers alone, no adapter, no clock but one around all steps, in the same minutes."""
    cell = Cell(NAME, NAME, 256, decode_tokens=32)
    run = CellRun(cell, run_id="test")
    run.prepare()
    model = AutoModelForCausalLM.from_pretrained(
        weights.locate(NAME), attn_implementation="sdpa", dtype=torch.float32
    ).eval()
    model.requires_grad_(False)
    for attempt in range(TRIES):
        run.rounds.clear()
        ours, by_hand = [], []
        for _ in range(9):
            ours.append(float(np.mean(run.round().decode)))
            by_hand.append(_by_hand(model, run.clock.prompt(cell.context), cell.decode_tokens))
        ratio = float(np.median(np.array(ours) / np.array(by_hand)))
        if 0.9 < ratio < 1.1:
            break
        print(f"attempt {attempt}: {ratio:.3f}")
    assert 0.9 < ratio < 1.1
    assert run.row().harness_ms < 0.05 * float(np.median(ours)), "what the clock adds is reported, and is little"


@torch.inference_mode()
def _by_hand(model, ids, steps):
    """Return milliseconds a step."""
    out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
    token = out.logits[:, -1].argmax(-1, keepdim=True)
    begin = time.perf_counter()
    for _ in range(steps):
        out = model(input_ids=token, past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1].argmax(-1, keepdim=True)
    return (time.perf_counter() - begin) / steps * 1e3


def test_peak_memory_repeats_within_two_percent():
    """Three processes measure the same cell: what it uses above the baseline, and the whole process."""
    found = forked(PEAKS, "peaks", [(NAME, 2048)] * 3)
    assert len(found) == 3
    caches, peaks, wholes = zip(*found, strict=True)
    assert len(set(caches)) == 1
    assert min(peaks) > caches[0]
    assert max(peaks) < 1.02 * min(peaks)
    assert max(wholes) < 1.02 * min(wholes)
    assert min(wholes) > max(peaks)


def test_the_peak_of_reading_is_what_torch_gave_out():
    """The resident set against the allocator's own events, which torch.profiler keeps, in a process for each model."""
    names = [adapter.name for adapter in registry.ADAPTERS]
    found = dict(zip(names, forked(ALLOCATED, "allocated", [(name, 4096) for name in names]), strict=True))
    for name, one in found.items():
        assert one["allocated"] <= one["resident"] + (1 << 20), name
        assert one["resident"] < 1.02 * one["allocated"] + (4 << 20), name  # code and buffers of libraries on top
