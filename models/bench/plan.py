"""Choose the cells of a run, check them, and predict each one's bytes and time before anything is started."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from models import accounting, describe
from models.accounting import Shape
from models.bench import environment
from models.bench.rows import Measurement
from models.errors import SettingError, SourceError

LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "context": (1, 1_048_576),
        "batch": (1, 256),
        "decode_tokens": (2, 1024),
        "rounds": (2, 50),
        "threads": (1, 1024),
        "cells": (1, 96),
    }
)
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "quick": {"contexts": (256, 1024, 4096, 8192), "decode_tokens": 24, "rounds": 3},
        "careful": {"contexts": (256, 512, 1024, 2048, 4096, 8192), "decode_tokens": 64, "rounds": 5},
        "long": {"contexts": (1024, 4096, 16384, 32768), "decode_tokens": 32, "rounds": 3},
        "gpu": {"contexts": (1024, 4096, 16384, 65536), "decode_tokens": 64, "rounds": 5},
    }
)
START_S = 1.0  # forking a worker, reading the weights, the parity gate
OVERHEAD_S = 2.5e-4  # one layer of one eager step, before anything is learnt from measured rows
LEAST_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement to make: an architecture at one context, batch, device and number type."""

    architecture: str
    source: str
    context: int
    batch: int = 1
    device: str = "cpu"
    dtype: str = "float32"
    decode_tokens: int = 32
    rounds: int = 3
    threads: int = 1
    seed: int = 0
    view: str = "architecture"
    size: str = "bundled"
    attention: str = "auto"
    kernels: str = "fast"
    largest: bool = False  # batch is the largest predicted to fit: halved when it does not
    batch_limit: str = ""  # what limits a largest batch: "memory", "time" or "cap"

    @property
    def cell_id(self) -> str:
        """Name the cell within its run."""
        named = (self.architecture, self.size, self.context, f"b{self.batch}", self.dtype, self.device.replace(":", ""))
        changed = (("view", "architecture"), ("attention", "auto"), ("kernels", "fast"))
        unusual = [getattr(self, name) for name, usual in changed if getattr(self, name) != usual]
        return "-".join(map(str, (*named, *unusual, *(["largest"] if self.largest else []))))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a cell should need: bytes by part and milliseconds by phase. An estimate, never shown as a measurement."""

    bytes_weights: int
    bytes_cache: int
    bytes_logits: int
    bytes_workspace: int
    prefill_ms: float
    decode_ms: float
    seconds: float
    fits: bool

    @property
    def bytes_total(self) -> int:
        """Add the parts up."""
        return self.bytes_weights + self.bytes_cache + self.bytes_logits + self.bytes_workspace


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast a device is taken to be. Factors correct an architecture's phases by what was measured before."""

    flops_per_s: float
    bytes_per_s: float
    factors: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells of a run in the order they are measured, each with its prediction."""

    cells: tuple[Cell, ...]
    predictions: tuple[Prediction, ...]

    @property
    def seconds(self) -> float:
        """Return the predicted time of the cells that fit."""
        return sum(p.seconds for p in self.predictions if p.fits)

    def to_json(self) -> list[dict[str, Any]]:
        """Write the cells as JSON values."""
        return [dataclasses.asdict(cell) for cell in self.cells]


def sources_of(names: Iterable[str] = ()) -> dict[str, str]:
    """Map architecture to source for the names given, or for every bundled model.

    Raises SourceError for a name that leads nowhere, SettingError when two names are one architecture: their rows
    would be drawn as one line.
    """
    from models import registry  # imports torch

    found: dict[str, str] = {}
    for name in names or registry.bundled():
        kind = _shape(name).model_type
        architecture = next(adapter.name for adapter in registry.ADAPTERS if kind in adapter.model_types)
        if architecture in found:
            raise SettingError(
                "errors.setting_value",
                f"{found[architecture]!r} and {name!r} are both {architecture}: measure them in two runs",
                name="sources",
                value=name,
            )
        found[architecture] = name
    if not found:
        raise SourceError("errors.source_not_found", "no bundled model is present; name a source", source="")
    return found


def make_plan(
    sources: Mapping[str, str],
    contexts: Sequence[int],
    *,
    batch: int = 1,
    device: str = "cpu",
    dtype: str = "float32",
    decode_tokens: int = 32,
    rounds: int = 3,
    threads: int | None = None,
    seed: int = 0,
    rates: Rates | None = None,
) -> Plan:
    """Plan every source (architecture -> bundled name, folder, hub or catalogue id) at every context.

    Contexts rise; within each the architectures run in turn, forwards and then backwards (ABCD, DCBA), so that a slow
    spell of the machine does not fall on one of them. Raises SettingError for a value out of range.
    """
    dtype = describe.dtype_name(dtype)
    threads = threads or environment.usable_cores()
    chosen = {"batch": batch, "decode_tokens": decode_tokens, "rounds": rounds, "threads": threads}
    for name, value in (
        *chosen.items(),
        *(("context", context) for context in contexts),
        ("cells", len(sources) * len(contexts)),
    ):
        _check(name, value)
    if device not in environment.devices():
        raise SettingError("errors.device_missing", f"device {device!r} is not on this machine", device=device)
    cells = tuple(
        Cell(architecture, source, context, batch, device, dtype, decode_tokens, rounds, threads, seed)
        for turn, context in enumerate(sorted(set(contexts)))
        for architecture, source in list(sources.items())[:: -1 if turn % 2 else 1]
    )
    shapes = {source: _shape(source) for source in set(sources.values())}
    known = rates or measure_rates()
    free = environment.free_memory() if device == "cpu" else None
    return Plan(cells, tuple(predict(cell, shapes[cell.source], rates=known, free_bytes=free) for cell in cells))


def predict(cell: Cell, shape: Shape, *, rates: Rates, free_bytes: int | None = None) -> Prediction:
    """Predict bytes by accounting and time by a roofline with an overhead per layer, corrected by measured rows."""
    size = accounting.element_bytes(cell.dtype)
    weights = accounting.weight_bytes(shape, dtype=cell.dtype)
    cache = accounting.cache_bytes(shape, context=cell.context, batch=cell.batch, dtype=cell.dtype)
    logits = cell.batch * shape.vocab * size  # the last position alone
    workspace = _workspace(cell, shape)
    prefill_s = (
        cell.batch * cell.context * accounting.flops_per_token(shape, context=cell.context // 2) / rates.flops_per_s
    )
    moved = accounting.params_active(shape) * size + 3 * cache  # read once, and copied once where the cache grows
    step_flops = cell.batch * accounting.flops_per_token(shape, context=cell.context)
    step_s = OVERHEAD_S * len(shape.layers) + max(moved / rates.bytes_per_s, step_flops / rates.flops_per_s)
    prefill_s = (prefill_s + OVERHEAD_S * len(shape.layers)) * rates.factors.get((cell.architecture, "prefill"), 1.0)
    step_s *= rates.factors.get((cell.architecture, "decode"), 1.0)
    seconds = START_S + weights / rates.bytes_per_s + prefill_s * (cell.rounds + 1) + step_s * (cell.decode_tokens + 8)
    total = weights + cache + logits + workspace
    return Prediction(
        weights,
        cache,
        logits,
        workspace,
        prefill_s * 1e3,
        step_s * 1e3,
        seconds,
        fits=free_bytes is None or total < 0.9 * free_bytes,
    )


def measure_rates(rows: Iterable[Measurement] = ()) -> Rates:
    """Time a matrix product and a copy on this CPU, and learn from rows measured on it before."""
    a = np.ones((384, 384), np.float32)
    product_s = _fastest(lambda: a @ a)
    block = np.ones(8_000_000, np.uint8)
    copy_s = _fastest(block.copy)
    bare = Rates(2 * 384**3 / product_s, 2 * block.size / copy_s)
    return Rates(bare.flops_per_s, bare.bytes_per_s, _learn(rows, bare))


def _learn(rows: Iterable[Measurement], bare: Rates) -> Mapping[tuple[str, str], float]:
    """Return the median of measured over predicted time per architecture and phase, for rows of this machine."""
    ratios: dict[tuple[str, str], list[float]] = {}
    here = environment.environment()["host_cpu"]
    shapes: dict[str, Shape] = {}
    for row in rows:
        if not row.measured or row.device != "cpu" or row.environment.get("host_cpu") != here or not row.tpot_ms_med:
            continue
        try:
            shape = shapes.setdefault(row.source, _shape(row.source))
        except SourceError:
            continue
        guess = predict(_cell_of(row), shape, rates=bare)
        if row.prefill_ms_samples:
            ratio = float(np.median(row.prefill_ms_samples)) / guess.prefill_ms
            ratios.setdefault((row.architecture, "prefill"), []).append(ratio)
        ratios.setdefault((row.architecture, "decode"), []).append(row.tpot_ms_med / guess.decode_ms)
    return {key: float(np.median(values)) for key, values in ratios.items()}


def _cell_of(row: Measurement) -> Cell:
    return Cell(row.architecture, row.source, row.context, row.batch, row.device, row.dtype, row.decode_tokens)


def _shape(source: str) -> Shape:
    return describe.resolve(source).shape


def _workspace(cell: Cell, shape: Shape) -> int:
    """Estimate the activations of a prefill: the residual stream and the widest layer's rows, in the model's dtype."""
    widest = max(2 * shape.d_ff, 6 * shape.d_inner, (shape.n_heads + 2 * shape.n_kv_heads) * shape.d_head)
    return cell.batch * cell.context * (4 * shape.d_model + 2 * widest) * accounting.element_bytes(cell.dtype)


def _check(name: str, value: int) -> None:
    low, high = LIMITS[name]
    if not low <= value <= high:
        raise SettingError(
            "errors.setting_range",
            f"{name} is {value}; it must be from {low} to {high}",
            name=name,
            value=value,
            low=low,
            high=high,
        )


def _fastest(call: Callable[[], object], *, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)
