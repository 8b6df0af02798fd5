"""Measure one cell in this process: load, check parity, count bytes, warm up; then rounds of prefill and decoding."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch

from models import accounting, backends
from models.bench import energy, environment, graphs, memory
from models.bench.ceilings import Ceilings
from models.bench.clock import Clock, drifted, implementation, pinned
from models.bench.energy import Energy
from models.bench.loading import load
from models.bench.parity import Parity, check_parity
from models.bench.plan import Cell, Prediction
from models.bench.prediction import READ_AGAIN_S
from models.bench.profile import Profile, look_into
from models.bench.roofline import step_bytes
from models.bench.rows import Measurement
from models.bench.statistics import spread
from models.spec import Adapter, Checkpoint

STABLE = 0.05  # three steps in a row within this of their middle end the warm-up
WATCHED_STEPS = 3  # of the pass whose memory is watched
WARMUP_STEPS = (3, 24)
ATTEMPTS = 3  # of a round whose sentinel drifted; the last one is kept whatever it says
RETRY_BELOW_S = 4.0  # a round that took longer is not repeated

_ABOUT = ("transformers_version", "dtype", "torch_dtype")  # of a configuration: who read it, and the row's own column

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Round:
    """The samples of one round, in milliseconds."""

    prefill: float
    first_token: float
    e2e: float
    decode: tuple[float, ...]
    sentinel_before: float
    sentinel_after: float
    steady: bool
    attempts: int = 1  # the last of which this is


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the first pass showed: exact bytes of the cache at depth, peaks of both phases, how long the prompt took.

    reserved, process: the most that the allocator and the whole process have held until then.
    """

    cache_bytes: int
    peak_prefill: int
    peak_decode: int
    prefill_ms: float
    reserved: int | None
    process: int | None


class CellRun:
    """One cell from loading to its row. Call prepare once, then round as often as wanted, then row."""

    def __init__(
        self,
        cell: Cell,
        *,
        run_id: str,
        prediction: Prediction | None = None,
        ceilings: Ceilings | None = None,
        report: Report | None = None,
    ) -> None:
        self.cell, self.run_id, self.prediction, self.ceilings = cell, run_id, prediction, ceilings
        self.report: Report = report or _silent
        self.rounds: list[Round] = []
        self.used: dict[str, str] = {}
        self.energy: Energy | None = None
        self.graph: graphs.Captured | None = None
        self.graph_said = ""

    def prepare(self, loaded: tuple[Adapter, Checkpoint] | None = None) -> None:
        """Load, refuse a wrong model, count bytes, warm up and look into a step.

        Raises CellError when the parity gate fails, and whatever torch raises.
        """
        self.started_ns = time.time_ns()
        torch.set_num_threads(self.cell.threads)
        torch.manual_seed(self.cell.seed)
        if self.cell.device != "cpu":
            torch.cuda.set_device(self.cell.device)  # streams, events and graphs are those of the current device
        with memory.watching(self.cell.device) as self.meter:
            self.report("load", 0, 1)
            self.adapter, self.checkpoint = loaded or load(self.cell)
            self.clock = Clock(self.cell, self.adapter, self.checkpoint)
            self.report("parity", 0, 1)
            with implementation(self.cell), pinned(self.cell, strictly=False):
                self.parity: Parity = check_parity(self.cell, self.adapter, self.checkpoint)
            with self._settings():
                self.report("warmup", 0, 1)
                begun = [self._first_pass()]
        with self._settings():
            self._warm_up(*begun.pop())  # nothing here holds the first cache while another one is captured
        self.harness_ms = self.clock.harness()
        self.foreign = memory.foreign_processes(self.cell.device)

    def round(self) -> Round:
        """Time one prompt and its tokens, again while the sentinel drifts and the round is short."""
        with self._settings():
            for attempt in range(ATTEMPTS):
                began = time.monotonic()
                made = self._attempt()
                if made.steady or attempt == ATTEMPTS - 1 or time.monotonic() - began > RETRY_BELOW_S:
                    break
        made = replace(made, attempts=attempt + 1)
        self.rounds.append(made)
        return made

    @property
    def spread(self) -> float:
        """The width of the middle half of the rounds' median decoding times, against their median."""
        return spread([spread(made.decode).median for made in self.rounds]).relative

    def row(self) -> Measurement:
        """Put everything measured into a row."""
        return _row(self)

    def _settings(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(implementation(self.cell))
        stack.enter_context(pinned(self.cell))
        self.used = self.used | (recorded := stack.enter_context(backends.recording()))
        stack.callback(lambda: self.used.update(recorded))
        return stack

    def _first_pass(self) -> tuple[torch.Tensor, Any]:
        """Run the cell once, its memory watched: bytes of the cache at exactly its depth, peaks of both phases."""
        clock, cell, meter = self.clock, self.cell, self.meter
        clock.step(clock.prompt(min(cell.context, 16)), None)  # compiles and allocates what every length needs
        ids = clock.prompt(cell.context)
        meter.start()
        logits, cache, took = clock.step(ids, None)
        prefill_peak = meter.peak()
        cache_bytes = clock.adapter.cache_bytes(cache)
        meter.restart()
        for _ in clock.decode(logits, cache, WATCHED_STEPS):
            pass
        self.sizes = Sizes(cache_bytes, prefill_peak, meter.peak(), took, meter.reserved_bytes(), meter.process_bytes())
        return logits, cache

    def _warm_up(self, logits: torch.Tensor, cache: Any) -> None:
        """Go on as timed: read a quick prompt again, decode until steps agree, look into some, capture one."""
        clock = self.clock
        if self.sizes.prefill_ms < 1e3 * READ_AGAIN_S:
            logits, cache, _ = clock.step(clock.prompt(self.cell.context), None)
        self.warmup_steps = _until_stable(clock.decode(logits, cache, WARMUP_STEPS[1]))
        self.profile: Profile = look_into(clock, logits, cache)
        del logits, cache
        self.graph, self.graph_said = graphs.captured_or_reason(clock)
        self.energy = energy.decoding(clock, self.graph)
        if clock.cuda:
            torch.cuda.empty_cache()  # cells that take turns share the device

    def _attempt(self) -> Round:
        clock, cell = self.clock, self.cell
        done = len(self.rounds)
        before = clock.sentinel()
        self.report("prefill", done, cell.rounds)  # and writing: nothing is said inside the time that counts
        prompt = clock.prompt(cell.context)
        clock.wait()
        began = time.perf_counter_ns()
        logits, cache, prefill = clock.step(prompt, None)
        start = time.perf_counter_ns()
        ids = logits.argmax(-1, keepdim=True)
        clock.wait()
        first = prefill + (time.perf_counter_ns() - start) / 1e6
        if self.graph is not None:
            self.graph.follow(clock, ids, cache)
            decode = self.graph.timed(cell.decode_tokens)
        else:
            decode = clock.timed(logits, cache, cell.decode_tokens)
        clock.wait()
        e2e = (time.perf_counter_ns() - began) / 1e6
        after = clock.sentinel()
        return Round(prefill, first, e2e, decode, before, after, not drifted(before, after, cell.device))


def measure(
    cell: Cell,
    *,
    run_id: str,
    prediction: Prediction | None = None,
    ceilings: Ceilings | None = None,
    loaded: tuple[Adapter, Checkpoint] | None = None,
) -> Measurement:
    """Measure a cell alone, all its rounds in a row."""
    run = CellRun(cell, run_id=run_id, prediction=prediction, ceilings=ceilings)
    run.prepare(loaded)
    for _ in range(cell.rounds):
        run.round()
    return run.row()


def config_hash(checkpoint: Checkpoint) -> str:
    """Hash a configuration, so that rows of different models are never joined; not where it lies, nor who read it."""
    said = checkpoint.config.to_dict()
    shape = {name: value for name, value in said.items() if name[0] != "_" and name not in _ABOUT}
    text = json.dumps(shape, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _silent(*_: object) -> None:
    return


def _unwatched_attention(run: CellRun) -> str:
    """Name transformers' own attention, which says nothing of itself while it runs."""
    if run.cell.view != "as_shipped" or "attention" not in run.adapter.parts:
        return ""
    return f"transformers {run.checkpoint.config._attn_implementation}"


def _until_stable(steps: Iterator[float]) -> int:
    """Take steps until three in a row agree; returns how many were taken."""
    taken: list[float] = []
    for took in steps:
        taken.append(took)
        last = sorted(taken[-3:])
        if len(taken) > WARMUP_STEPS[0] and last[2] - last[0] <= 2 * STABLE * last[1]:
            break
    return len(taken)


def _row(run: CellRun) -> Measurement:
    cell, rounds, sizes, ceilings = run.cell, run.rounds, run.sizes, run.ceilings
    shape = accounting.shape_of(run.checkpoint.config)
    prefill = tuple(r.prefill for r in rounds)
    decode = tuple(took for r in rounds for took in r.decode)
    first, step, e2e = spread([r.first_token for r in rounds]), spread(decode), spread([r.e2e for r in rounds])
    unsteady = sum(not r.steady for r in rounds)
    flops = cell.batch * accounting.prefill_flops(shape, tokens=cell.context)
    moved = step_bytes(shape, context=cell.context, batch=cell.batch, dtype=cell.dtype)
    attention = run.profile.attention_kernel or _unwatched_attention(run)
    used = run.used | ({"attention": attention} if attention else {})
    return Measurement(
        run_id=run.run_id,
        cell_id=cell.cell_id,
        state="ok" if 2 * unsteady < len(rounds) else "unstable",
        architecture=cell.architecture,
        source=cell.source,
        context=cell.context,
        batch=cell.batch,
        device=cell.device,
        dtype=cell.dtype,
        decode_tokens=cell.decode_tokens,
        seed=cell.seed,
        view=cell.view,
        size=cell.size,
        attention=cell.attention,
        kernels=cell.kernels,
        experts=cell.experts,
        params_total=sum(p.numel() for p in run.checkpoint.model.parameters()),
        params_active=accounting.params_active(shape),
        config_hash=config_hash(run.checkpoint),
        threads=cell.threads,
        rounds=len(rounds),
        rounds_unsteady=unsteady,
        rounds_repeated=sum(r.attempts - 1 for r in rounds),
        prefill_ms_samples=prefill,
        decode_ms_samples=decode,
        first_token_ms_samples=tuple(r.first_token for r in rounds),
        e2e_ms_samples=tuple(r.e2e for r in rounds),
        warmup_steps=run.warmup_steps,
        ttft_ms_med=first.median,
        ttft_iqr_rel=first.relative,
        tpot_ms_med=step.median,
        tpot_iqr_rel=step.relative,
        decode_tokens_per_s=cell.batch / step.median * 1e3,
        e2e_tokens_per_s=cell.batch * (1 + cell.decode_tokens) / e2e.median * 1e3,  # the prompt gives the first one
        bytes_weights=accounting.weight_bytes(shape, dtype=cell.dtype),
        cache_bytes=sizes.cache_bytes,
        cache_bytes_formula=accounting.cache_bytes(shape, context=cell.context, batch=cell.batch, dtype=cell.dtype),
        bytes_logits=cell.batch * shape.vocab * accounting.element_bytes(cell.dtype),
        bytes_workspace=run.prediction.bytes_workspace if run.prediction else None,
        baseline_bytes=run.meter.baseline,
        peak_bytes=max(sizes.peak_prefill, sizes.peak_decode),
        peak_prefill_bytes=sizes.peak_prefill,
        peak_decode_bytes=sizes.peak_decode,
        peak_reserved_bytes=sizes.reserved,
        peak_process_bytes=sizes.process,
        pred_bytes=run.prediction.bytes_total if run.prediction else None,
        pred_ms=run.prediction.decode_ms if run.prediction else None,
        parity_max_rel=run.parity.cached,
        parity_batch_rel=run.parity.batch,
        parity_chunk_rel=run.parity.chunked,
        parity_float32_rel=run.parity.float32,
        ops_per_token=run.profile.ops_per_token,
        launch_fraction=run.profile.waiting(step.median),
        harness_ms=run.harness_ms,
        graph=run.graph_said,
        experts_distinct=run.profile.experts_distinct,
        bandwidth_bytes_per_s=ceilings.bandwidth_bytes_per_s if ceilings else None,
        peak_flops_per_s=ceilings.peak_flops_per_s if ceilings else None,
        mbu=moved / (step.median / 1e3) / ceilings.bandwidth_bytes_per_s if ceilings else None,
        mfu=flops / (spread(prefill).median / 1e3) / ceilings.peak_flops_per_s if ceilings else None,
        batch_limit=cell.batch_limit,
        energy_j_per_token=run.energy.joules_per_token if run.energy else None,
        energy_idle_w=run.energy.idle_w if run.energy else None,
        energy_window_s=run.energy.window_s if run.energy else None,
        foreign_processes=run.foreign,
        sentinel_before_ms=rounds[0].sentinel_before,
        sentinel_after_ms=rounds[-1].sentinel_after,
        load_avg=environment.load_average(),
        implementation=used,
        environment=environment.environment() | memory.device_facts(cell.device) | {"threads": cell.threads},
        started_ns=run.started_ns,
        ended_ns=time.time_ns(),
    )
