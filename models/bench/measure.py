"""Measure one cell in this process: load, check parity, warm up, prefill, decode at depth, count bytes."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models import accounting, backends, catalogue, registry
from models.bench import environment, memory
from models.bench.plan import Cell, Prediction
from models.bench.rows import Measurement
from models.bench.statistics import spread
from models.capture import ATTENTION
from models.errors import CellError
from models.spec import Adapter, Checkpoint

PARITY_LIMIT: Mapping[str, float] = {"float32": 1e-4, "bfloat16": 2e-2, "float16": 2e-2}  # BENCHMARK.md R7
PARITY_TOKENS = (24, 4)  # read at once, then fed one by one
STABLE = 0.05  # three steps in a row within this of their middle end the warm-up
WARMUP_STEPS = (3, 24)
SENTINEL_DRIFT = {"cpu": 0.10, "cuda": 0.03}  # BENCHMARK.md R9
ATTEMPTS = 3
RETRY_BELOW_S = 4.0  # a cell whose timing took longer is not repeated when the machine was unsteady

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """The samples of one attempt, in milliseconds."""

    prefill: tuple[float, ...]
    first_token: tuple[float, ...]
    decode: tuple[float, ...]
    sentinel_before: float
    sentinel_after: float
    seconds: float

    def steady(self, device: str) -> bool:
        """Tell whether the sentinel ran equally fast before and after."""
        slow, fast = max(self.sentinel_before, self.sentinel_after), min(self.sentinel_before, self.sentinel_after)
        return slow / fast - 1 <= SENTINEL_DRIFT[device.partition(":")[0]]


def measure(cell: Cell, *, run_id: str, prediction: Prediction | None, report: Report) -> Measurement:
    """Load a cell's model and measure it. Raises CellError when it fails the parity gate, and whatever torch raises."""
    started = time.time_ns()
    torch.set_num_threads(cell.threads)
    torch.manual_seed(cell.seed)
    report("load", 0, 1)
    checkpoint = load(cell)
    return measure_loaded(
        cell,
        registry.adapter(checkpoint.architecture),
        checkpoint,
        run_id=run_id,
        prediction=prediction,
        report=report,
        started_ns=started,
    )


def load(cell: Cell) -> Checkpoint:
    """Load a checkpoint, or give a catalogue entry's shape seeded random weights: speed does not depend on training."""
    entry = catalogue.find(cell.source)
    if entry is None:
        checkpoint = registry.load(cell.source, device=cell.device, dtype=cell.dtype)
    else:
        checkpoint = _random_weights(cell, catalogue.config_of(entry))
    if accounting.shape_of(checkpoint.config).count("attention"):
        checkpoint.model.set_attn_implementation(ATTENTION)  # sdpa, which says what it ran on
    return checkpoint


def measure_loaded(
    cell: Cell,
    adapter: Adapter,
    checkpoint: Checkpoint,
    *,
    run_id: str,
    prediction: Prediction | None,
    report: Report,
    started_ns: int,
) -> Measurement:
    """Measure a loaded model: parity first, then memory, then time."""
    shape = accounting.shape_of(checkpoint.config)
    clock = Clock(cell, adapter, checkpoint)
    with backends.recording() as used:
        report("parity", 0, 1)
        parity, parity_batch = check_parity(cell, adapter, checkpoint)
        meter = memory.meter(cell.device)
        report("warmup", 0, 1)
        cache_bytes, warmup_steps, peaks = _first_pass(clock, meter)
        timing = _timed(clock, report)
    prefill, decode = spread(timing.prefill), spread(timing.decode)
    first = spread(timing.first_token)
    process = meter.process_bytes()
    return Measurement(
        run_id=run_id,
        cell_id=cell.cell_id,
        state="ok" if timing.steady(cell.device) else "unstable",
        architecture=cell.architecture,
        source=cell.source,
        context=cell.context,
        batch=cell.batch,
        device=cell.device,
        dtype=cell.dtype,
        decode_tokens=cell.decode_tokens,
        seed=cell.seed,
        params_total=sum(p.numel() for p in checkpoint.model.parameters()),
        params_active=accounting.params_active(shape),
        config_hash=config_hash(checkpoint),
        threads=cell.threads,
        prefill_ms_samples=timing.prefill,
        decode_ms_samples=timing.decode,
        first_token_ms_samples=timing.first_token,
        warmup_steps=warmup_steps,
        ttft_ms_med=first.median,
        ttft_iqr_rel=prefill.relative,
        tpot_ms_med=decode.median,
        tpot_iqr_rel=decode.relative,
        decode_tokens_per_s=cell.batch * len(timing.decode) / sum(timing.decode) * 1e3,
        bytes_weights=sum(p.numel() * p.element_size() for p in checkpoint.model.parameters()),
        cache_bytes=cache_bytes,
        cache_bytes_formula=accounting.cache_bytes(shape, context=cell.context, batch=cell.batch, dtype=cell.dtype),
        bytes_logits=cell.batch * shape.vocab * accounting.element_bytes(cell.dtype),
        baseline_bytes=meter.baseline,
        peak_bytes=max(peaks),
        peak_prefill_bytes=peaks[0],
        peak_decode_bytes=peaks[1],
        peak_reserved_bytes=meter.reserved_bytes(),
        peak_process_bytes=process,
        pred_bytes=prediction.bytes_total if prediction else None,
        pred_ms=prediction.decode_ms if prediction else None,
        parity_max_rel=parity,
        parity_batch_rel=parity_batch,
        sentinel_before_ms=timing.sentinel_before,
        sentinel_after_ms=timing.sentinel_after,
        load_avg=environment.load_average(),
        implementation=dict(used),
        environment=environment.environment() | memory.device_facts(cell.device) | {"threads": cell.threads},
        started_ns=started_ns,
        ended_ns=time.time_ns(),
    )


class Clock:
    """Run and time one cell's steps on ids drawn from its seed; each draw is new."""

    def __init__(self, cell: Cell, adapter: Adapter, checkpoint: Checkpoint) -> None:
        self.cell, self.adapter, self.checkpoint = cell, adapter, checkpoint
        self.generator = torch.Generator().manual_seed(cell.seed)
        self.vocab = accounting.shape_of(checkpoint.config).vocab

    def prompt(self, tokens: int, *, batch: int | None = None) -> Tensor:
        """Draw ids (batch, tokens)."""
        size = (batch or self.cell.batch, tokens)
        return torch.randint(self.vocab, size, generator=self.generator).to(self.checkpoint.device)

    def step(self, ids: Tensor, cache: Any | None) -> tuple[Tensor, Any, float]:
        """Feed ids and wait for the device. Returns logits, cache and milliseconds."""
        self.wait()
        start = time.perf_counter_ns()
        logits, cache = self.adapter.step(self.checkpoint, ids, cache)
        self.wait()
        return logits, cache, (time.perf_counter_ns() - start) / 1e6

    def wait(self) -> None:
        """Wait until the device has done what it was asked."""
        if self.checkpoint.device.type == "cuda":
            torch.cuda.synchronize(self.checkpoint.device)

    def decode(self, logits: Tensor, cache: Any, steps: int) -> Iterator[float]:
        """Continue greedily, one token a step; yields milliseconds a step."""
        ids = logits.argmax(-1, keepdim=True)  # (b, 1)
        for _ in range(steps):
            logits, cache, took = self.step(ids, cache)
            yield took
            ids = logits.argmax(-1, keepdim=True)

    def sentinel(self) -> float:
        """Time a fixed matrix product on the device, the fastest of several, in milliseconds."""
        a = torch.full((256, 256), 0.5, device=self.checkpoint.device)
        times = []
        for _ in range(12):
            self.wait()
            start = time.perf_counter_ns()
            for _ in range(4):
                a @ a
            self.wait()
            times.append((time.perf_counter_ns() - start) / 1e6)
        return min(times)


def check_parity(cell: Cell, adapter: Adapter, checkpoint: Checkpoint) -> tuple[float, float | None]:
    """Compare cached decoding with a full pass, and a batch with its rows alone, on short random prompts.

    Returns the two largest differences of last-position logits relative to their scale. CellError above the limit.
    """
    clock = Clock(cell, adapter, checkpoint)
    read, fed = PARITY_TOKENS
    ids = clock.prompt(read + fed)
    cached = _cached_logits(adapter, checkpoint, ids, read)
    error = _difference(cached, adapter.step(checkpoint, ids, None)[0])
    batch_error = None
    if cell.batch > 1:
        alone = torch.cat(
            [_cached_logits(adapter, checkpoint, ids[i : i + 1], read) for i in range(min(cell.batch, 4))]
        )
        batch_error = _difference(cached[: alone.shape[0]], alone)
    limit = PARITY_LIMIT[cell.dtype]
    worst = max(error, batch_error or 0.0)
    if not worst <= limit:
        raise CellError(
            "errors.cell_parity",
            f"cached decoding and a full pass differ by {worst:.1e}, above {limit:.0e}: no speed is shown",
            difference=f"{worst:.1e}",
            limit=f"{limit:.0e}",
        )
    return error, batch_error


def config_hash(checkpoint: Checkpoint) -> str:
    """Hash a configuration, so that rows of different models are never joined."""
    text = json.dumps(checkpoint.config.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _random_weights(cell: Cell, config: Mapping[str, Any]) -> Checkpoint:
    from transformers import AutoConfig, AutoModelForCausalLM

    made = AutoConfig.for_model(**config)
    adapter = registry.adapter_for(made, source=cell.source)
    torch.manual_seed(cell.seed)
    with torch.device(cell.device):
        model = AutoModelForCausalLM.from_config(made, dtype=getattr(torch, cell.dtype))
    return Checkpoint(cell.source, adapter.name, adapter.prepare(model.eval().requires_grad_(False)), None)


def _first_pass(clock: Clock, meter: memory.Meter) -> tuple[int, int, tuple[int, int]]:
    """Run the cell once untimed: cache bytes at exactly its depth, steps until stable, peaks of both phases."""
    clock.step(clock.prompt(min(clock.cell.context, 16)), None)  # compiles and allocates what every length needs
    ids = clock.prompt(clock.cell.context)
    meter.start()
    logits, cache, _ = clock.step(ids, None)
    prefill_peak = meter.peak()
    cache_bytes = clock.adapter.cache_bytes(cache)
    meter.restart()
    steps = _until_stable(clock.decode(logits, cache, WARMUP_STEPS[1]))
    return cache_bytes, steps, (prefill_peak, meter.peak())


def _until_stable(steps: Iterator[float]) -> int:
    """Take steps until three in a row agree; returns how many were taken."""
    taken: list[float] = []
    for took in steps:
        taken.append(took)
        last = sorted(taken[-3:])
        if len(taken) > WARMUP_STEPS[0] and last[2] - last[0] <= 2 * STABLE * last[1]:
            break
    return len(taken)


def _timed(clock: Clock, report: Report) -> Timing:
    """Time the cell, again while the sentinel says that the machine was unsteady and the cell is short."""
    for attempt in range(ATTEMPTS):
        timing = _attempt(clock, report)
        if timing.steady(clock.cell.device) or timing.seconds > RETRY_BELOW_S or attempt == ATTEMPTS - 1:
            break
    return timing


def _attempt(clock: Clock, report: Report) -> Timing:
    cell = clock.cell
    before, began = clock.sentinel(), time.perf_counter()
    prefill: list[float] = []
    first: list[float] = []
    logits, cache = torch.empty(0), None
    for turn in range(cell.rounds):
        report("prefill", turn, cell.rounds)
        cache = None  # the previous cache must not count as this one's memory
        ids = clock.prompt(cell.context)
        logits, cache, took = clock.step(ids, None)
        start = time.perf_counter_ns()
        logits.argmax(-1)
        clock.wait()
        prefill.append(took)
        first.append(took + (time.perf_counter_ns() - start) / 1e6)
    decode = []
    for step, took in enumerate(clock.decode(logits, cache, cell.decode_tokens)):
        decode.append(took)
        if step % 8 == 0:
            report("decode", step, cell.decode_tokens)
    seconds = time.perf_counter() - began
    return Timing(tuple(prefill), tuple(first), tuple(decode), before, clock.sentinel(), seconds)


def _cached_logits(adapter: Adapter, checkpoint: Checkpoint, ids: Tensor, read: int) -> Tensor:
    logits, cache = adapter.step(checkpoint, ids[:, :read], None)
    for position in range(read, ids.shape[1]):
        logits, cache = adapter.step(checkpoint, ids[:, position : position + 1], cache)
    return logits


def _difference(a: Tensor, b: Tensor) -> float:
    """Return max |a - b| / max |b|; infinity for shapes that differ or values that are no numbers."""
    if a.shape != b.shape:
        return float("inf")
    error = ((a.float() - b.float()).abs().max() / b.float().abs().max()).item()
    return float("inf") if math.isnan(error) else error
