"""Measure one cell in this process: load, check parity, count bytes, warm up, then rounds of prefill and decoding."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields, replace
from typing import Any

import torch

from models.bench.judge.statistics import spread
from models.bench.measure import cpu_share, cuda_graphs, derived, energy, memory
from models.bench.measure.clock import Clock, drifted, implementation, pinned, slowed
from models.bench.measure.derived import Round, Sizes
from models.bench.measure.energy import Energy
from models.bench.measure.loading import load
from models.bench.measure.parity import Parity, check_parity
from models.bench.measure.peaks import RooflinePeaks
from models.bench.measure.profile import Profile, profile_step
from models.bench.plan.plan import Cell, Prediction
from models.bench.plan.prediction import READ_AGAIN_S
from models.counting import accounting
from models.machine import facts
from models.operators import backends
from models.records.measurement import CPU_WAITED, Measurement
from models.tracing.adapter import Adapter, Checkpoint

STABLE = 0.05  # three steps in a row within this of their middle end the warm-up
WATCHED_STEPS = 3  # of the pass whose memory is watched
WARMUP_STEPS = (3, 24)
ATTEMPTS = 3  # of a round that was not steady
RETRY_BELOW_S = 4.0  # a round that took longer is not repeated

_ABOUT = ("transformers_version", "dtype", "torch_dtype")  # of a configuration: who read it, and the row's own column

Report = Callable[[str, int, int], None]


class CellRun:
    """One cell from loading to its row. Call prepare once, then round as often as wanted, then row."""

    def __init__(
        self,
        cell: Cell,
        *,
        run_id: str,
        prediction: Prediction | None = None,
        roofline_peaks: RooflinePeaks | None = None,
        report: Report | None = None,
        sentinel_best_ms: float | None = None,
    ) -> None:
        self.best = sentinel_best_ms
        self.cell, self.run_id, self.prediction, self.roofline_peaks = cell, run_id, prediction, roofline_peaks
        self.report: Report = report or _silent
        self.rounds: list[Round] = []
        self.spent_s = 0.0
        self.used: dict[str, str] = {}
        self.energy: Energy | None = None
        self.graph: cuda_graphs.Captured | None = None
        self.graph_said = ""

    def prepare(self, loaded: tuple[Adapter, Checkpoint] | None = None) -> None:
        """Load, check parity, count bytes, warm up and profile a step.

        Raises CellError when the parity gate fails, and whatever torch raises.
        """
        self.started_ns, began = time.time_ns(), time.monotonic()
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
        self.spent_s += time.monotonic() - began

    def round(self) -> Round:
        """Time one prompt and its tokens, again while the round is not steady and short."""
        turn = time.monotonic()
        with self._settings():
            for attempt in range(ATTEMPTS):
                began = time.monotonic()
                made = self._attempt()
                if made.steady or attempt == ATTEMPTS - 1 or time.monotonic() - began > RETRY_BELOW_S:
                    break
        made = replace(made, attempts=attempt + 1)
        self.rounds.append(made)
        self.spent_s += time.monotonic() - turn
        return made

    @property
    def spread(self) -> float:
        """The width of the middle half of the steady rounds' median decoding times, against their median; else 1."""
        used = derived.steady(self.rounds)
        return spread([spread(made.decode).median for made in used]).relative if used else 1.0

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
        self.profile: Profile = profile_step(clock, logits, cache)
        del logits, cache
        self.graph, self.graph_said = cuda_graphs.captured_or_reason(clock)
        self.energy = energy.decoding(clock, self.graph)
        if clock.cuda:
            torch.cuda.empty_cache()  # interleaved cells share the device

    def _attempt(self) -> Round:
        clock, cell = self.clock, self.cell
        done = len(self.rounds)
        before = clock.sentinel()
        self.report("prefill", done, cell.rounds)  # and writing: nothing is said inside the time that counts
        prompt = clock.prompt(cell.context)
        clock.wait()
        asked = cpu_share.read()
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
        share = cpu_share.between(asked, cpu_share.read())
        after = clock.sentinel()
        self.best = min(before, after, self.best or before)
        steady = not (
            drifted(before, after, cell.device)
            or slowed(max(before, after), self.best, cell.device)
            or (share is not None and not clock.cuda and share.waited > CPU_WAITED)
        )
        waited, others = (share.waited, share.others) if share is not None else (None, None)
        return Round(prefill, first, e2e, decode, before, after, steady, waited=waited, others=others)


def measure(
    cell: Cell,
    *,
    run_id: str,
    prediction: Prediction | None = None,
    roofline_peaks: RooflinePeaks | None = None,
    loaded: tuple[Adapter, Checkpoint] | None = None,
) -> Measurement:
    """Measure a cell alone, all its rounds in a row."""
    run = CellRun(cell, run_id=run_id, prediction=prediction, roofline_peaks=roofline_peaks)
    run.prepare(loaded)
    for _ in range(cell.rounds):
        run.round()
    return run.row()


def config_hash(checkpoint: Checkpoint) -> str:
    """Hash a configuration without its folder and reader; rows with different hashes are never joined."""
    said = checkpoint.config.to_dict()
    shape = {name: value for name, value in said.items() if name[0] != "_" and name not in _ABOUT}
    text = json.dumps(shape, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _silent(*_: object) -> None:
    return


def _unwatched_attention(run: CellRun) -> str:
    """Name transformers' own attention, which does not record itself."""
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
    cell, profile = run.cell, run.profile
    shape = accounting.shape_of(run.checkpoint.config)
    return Measurement(
        **_asked(run),
        **derived.of_rounds(run.rounds),
        **derived.of_times(cell, run.rounds),
        **derived.of_bytes(cell, shape, run.sizes),
        **derived.of_roofline_peaks(cell, shape, run.rounds, run.roofline_peaks),
        **_predicted(run.prediction),
        **_spent(run.energy),
        params_total=sum(p.numel() for p in run.checkpoint.model.parameters()),
        params_active=accounting.params_active(shape),
        config_hash=config_hash(run.checkpoint),
        warmup_steps=run.warmup_steps,
        baseline_bytes=run.meter.baseline,
        parity_max_rel=run.parity.cached,
        parity_batch_rel=run.parity.batch,
        parity_chunk_rel=run.parity.chunked,
        parity_float32_rel=run.parity.float32,
        ops_per_token=profile.ops_per_token,
        launch_fraction=profile.waiting(step) if (step := derived.step_ms(run.rounds)) is not None else None,
        harness_ms=run.harness_ms,
        graph=run.graph_said,
        experts_distinct=profile.experts_distinct,
        foreign_processes=run.foreign,
        spent_s=run.spent_s,
        sentinel_best_ms=min(min(made.sentinel_before, made.sentinel_after) for made in run.rounds),
        load_avg=facts.load_average(),
        implementation=_ran(run),
        environment=facts.environment()
        | memory.device_facts(cell.device)
        | {"threads": cell.threads, "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "").lower()},
        started_ns=run.started_ns,
        ended_ns=time.time_ns(),
    )


def _asked(run: CellRun) -> dict[str, Any]:
    """Return what identifies a row: its run and every setting of its cell."""
    names = {field.name for field in fields(Measurement)} & {field.name for field in fields(Cell)} - {"rounds"}
    return {"run_id": run.run_id, "cell_id": run.cell.cell_id} | {name: getattr(run.cell, name) for name in names}


def _predicted(prediction: Prediction | None) -> dict[str, Any]:
    if prediction is None:
        return {}
    return {
        "bytes_workspace": prediction.bytes_workspace,
        "pred_bytes": prediction.bytes_total,
        "pred_ms": prediction.decode_ms,
        "pred_prefill_ms": prediction.prefill_ms,
        "pred_s": prediction.seconds,
    }


def _spent(used: Energy | None) -> dict[str, Any]:
    if used is None:
        return {}
    return {
        "energy_j_per_token": used.joules_per_token,
        "energy_idle_w": used.idle_w,
        "energy_window_s": used.window_s,
    }


def _ran(run: CellRun) -> dict[str, str]:
    """Name the code of every function that ran."""
    attention = run.profile.attention_kernel or _unwatched_attention(run)
    return run.used | ({"attention": attention} if attention else {})
