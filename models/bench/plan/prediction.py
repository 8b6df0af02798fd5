"""Predict bytes and time of a cell: bytes by accounting, time by a roofline, both corrected by measured rows."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from models.bench.judge.roofline import distinct_experts
from models.counting import accounting
from models.counting.accounting import Layer, Shape
from models.machine import facts
from models.records.cell import USUAL_DTYPE, Cell, Prediction, kind_of

FITS = 0.9  # of the free memory a cell may be predicted to fill
START_S: Mapping[str, float] = {
    "cpu": 0.5,
    "cuda": 6.0,
}  # a forked worker; on a GPU its context and compiled kernels too
LIBRARIES_BYTES = 2 << 20  # buffers of the linear algebra, whatever the cell
ENERGY_S: Mapping[str, float] = {"cpu": 0.0, "cuda": 3.0}  # models/bench/measure/energy.py
PROFILE_S = 0.5  # looking into one step and timing the clock itself
RANDOM_PER_S: Mapping[str, float] = {"cpu": 6e7, "cuda": 5e9}  # weights drawn at random a second
PARITY_TOKENS, PARITY_ROWS, PARITY_STEPS = 28, 4, 4  # models/bench/measure/parity.py
STEPS_BEFORE = 32  # beyond the prompt before the rounds: watched, until three agree at last, profiled; measure.py
WARMUP_STEPS = 13  # those whose memory is watched, until three agree, and the profiled ones
READ_AGAIN_S = 0.5  # a prompt that takes less is read twice before the rounds
# A short round is repeated where the machine was unsteady: on shared cores about one in seven is.
REPEATED: Mapping[str, float] = {"cpu": 1.15, "cuda": 1.0}
SENTINELS, SENTINEL_FLOPS = 2, 12 * 4 * 2 * 256**3  # each round, models/bench/measure/clock.py
LEAST_TIMED_S = 0.5  # of a cell; short cells get up to MOST_ROUNDS times their rounds, models/bench/run/schedule.py
MOST_ROUNDS = 3
# Of a loop over tokens written in Python, as the reference operators and transformers' fallbacks are.
SLOW_OPS: Mapping[str, int] = {"mamba": 7, "rwkv": 26}  # operators per token and layer
SLOW_OP_S = 8e-6
# One element of a recurrence, with its exponential: d_inner d_state a token for Mamba, ten times the width for RWKV.
ELEMENT_S: Mapping[str, float] = {"cpu": 1e-9, "cuda": 3e-11}

Mode = tuple[str, str, str, str, str]  # view, kernels, attention, experts, dtype
Points = tuple[tuple[int, int, float], ...]  # context, batch and what was measured over what was predicted


@dataclass(frozen=True, slots=True)
class Rates:
    """Assumed rates of this CPU, and in gpus (device name -> rates) of every GPU that was measured.

    factors: (architecture, "prefill" or "decode") -> measured over predicted time, in the usual mode only. points: the
    same per (source, phase, mode). peaks: measured over predicted peak above the weights, per (source, mode) where it
    was measured; peak_factors: for other places of the source, and kind_peak_factors per (architecture, mode) for its
    other sources. known: False while nothing was measured on the device.
    """

    flops_per_s: float
    bytes_per_s: float
    factors: Mapping[tuple[str, str], float] = field(default_factory=dict)
    points: Mapping[tuple[str, str, Mode], Points] = field(default_factory=dict)
    peaks: Mapping[tuple[str, Mode], Points] = field(default_factory=dict)
    peak_factors: Mapping[tuple[str, Mode], float] = field(default_factory=dict)
    kind_peak_factors: Mapping[tuple[str, Mode], float] = field(default_factory=dict)
    overhead_s: float = 8e-4  # one layer of one eager step, before anything is learnt
    known: bool = True
    gpus: Mapping[str, "Rates"] = field(default_factory=dict)

    def of(self, device: str) -> "Rates":
        """Return the rates of a device; conservative defaults, marked as unknown, for a GPU without rows."""
        return self if device == "cpu" else self.gpus.get(facts.device_name(device), UNKNOWN_GPU)

    @property
    def unlearnt(self) -> "Rates":
        """Return the rates of this machine before any row was measured on it."""
        return replace(self, factors={}, points={}, peaks={}, peak_factors={}, kind_peak_factors={}, gpus={})

    def factor(self, cell: Cell, phase: str) -> float:
        """Return the correction of a cell's phase: from the nearest cells measured of its source, else of its kind.

        Between two contexts at the batch of the nearest one it is interpolated, logarithm over logarithm.
        """
        near = self.points.get((cell.source, phase, mode_of(cell)), ())
        if near:
            batch = min(near, key=lambda point: (_distance(point, cell), point))[1]
            known = np.log([(context, factor) for context, at, factor in near if at == batch])
            return math.exp(float(np.interp(math.log(cell.context), known[:, 0], known[:, 1])))
        return self.factors.get((cell.architecture, phase), 1.0)

    def peak_factor(self, cell: Cell) -> float:
        """Return the correction of the peak above the weights: of this place, else of its source, else of its kind."""
        mode = mode_of(cell)
        here = {(context, batch): factor for context, batch, factor in self.peaks.get((cell.source, mode), ())}
        other = self.peak_factors.get((cell.source, mode), self.kind_peak_factors.get((cell.architecture, mode), 1.0))
        return here.get((cell.context, cell.batch), other)


# No datasheet: what the slowest GPU that anyone would measure on should reach.
UNKNOWN_GPU = Rates(3e12, 1.5e11, overhead_s=4e-4, known=False)


def mode_of(cell: Cell) -> Mode:
    """Return the values that must be equal for the time of one cell to predict that of another."""
    return (cell.view, cell.kernels, cell.attention, cell.experts, cell.dtype)


def usual(cell: Cell) -> bool:
    """Return whether a cell has default settings, so that it may correct the default of its architecture."""
    return mode_of(cell) == ("architecture", "fast", "auto", "auto", USUAL_DTYPE[kind_of(cell.device)])


def predict(cell: Cell, shape: Shape, *, rates: Rates, free_bytes: int | None = None) -> Prediction:
    """Predict a cell's bytes, the time of its phases and of everything the engine does around them.

    What rows of the device taught corrects the times, and of the bytes the workspace alone.
    """
    here = rates.of(cell.device)
    weights = accounting.weight_bytes(shape, dtype=cell.dtype)
    cache = accounting.cache_bytes(shape, context=cell.context, batch=cell.batch, dtype=cell.dtype)
    logits = cell.batch * shape.vocab * accounting.element_bytes(cell.dtype)  # the last position alone
    peak = cache + logits + workspace_bytes(cell, shape)
    room = max(round(here.peak_factor(cell) * peak) - cache - logits, 0)  # what is certain is never taken off
    prefill_s = _pass_s(cell, shape, here, tokens=cell.context) * here.factor(cell, "prefill")
    step_s = _step_s(cell, shape, here, cache) * here.factor(cell, "decode")
    short_s = min(_pass_s(cell, shape, here, tokens=PARITY_TOKENS) * here.factor(cell, "prefill"), prefill_s + step_s)
    fixed_s = _load_s(cell, shape, here, weights) + _parity_s(cell, short_s, step_s)
    if kind_of(cell.device) == "cuda" and cell.view == "architecture":  # every step is captured once
        fixed_s += cell.decode_tokens * here.overhead_s * len(shape.layers)
    fixed_s += prefill_s * (2 if prefill_s < READ_AGAIN_S else 1) + WARMUP_STEPS * step_s
    round_s = prefill_s + cell.decode_tokens * step_s + SENTINELS * SENTINEL_FLOPS / here.flops_per_s
    round_s *= REPEATED[kind_of(cell.device)]
    static = kv_twice(cell, shape)
    needed = cell.context + max(cell.decode_tokens, STEPS_BEFORE)
    too_long = bool(shape.positions) and needed > shape.positions
    return Prediction(
        weights,
        cache,
        logits,
        room,
        prefill_s * 1e3,
        step_s * 1e3,
        fixed_s + max(cell.rounds * round_s, min(MOST_ROUNDS * cell.rounds * round_s, LEAST_TIMED_S)),
        fits=not too_long and has_room(weights + cache + logits + room + static, free_bytes),
        known=here.known,
        bytes_static=static,
        positions_needed=needed if too_long else 0,
        positions=shape.positions,
    )


def has_room(held: int, free_bytes: int | None) -> bool:
    """Return whether so many bytes should fit into the free memory; True where that is unknown."""
    return free_bytes is None or held < FITS * free_bytes


def kv_twice(cell: Cell, shape: Shape) -> int:
    """Return the bytes of a second copy of keys and values, which captured steps need beside the growing cache."""
    captured = kind_of(cell.device) == "cuda" and cell.view == "architecture"
    if not captured or any(layer.window is not None for layer in shape.layers):
        return 0
    tokens = cell.context + cell.decode_tokens
    return accounting.kv_bytes(shape, context=tokens, batch=cell.batch, dtype=cell.dtype)


def workspace_bytes(cell: Cell, shape: Shape) -> int:
    """Estimate what a prefill holds beside weights, cache and logits: an estimate within about a factor of 1.5.

    What the widest layer has in use at once; fitted to the peaks of nine models on a CPU, from 1,024 to 16,384 tokens.
    """
    cpu = kind_of(cell.device) == "cpu"
    widest = max(max(_activations(layer, shape, cell)) for layer in shape.layers)
    tokens = cell.batch * cell.context
    size = accounting.element_bytes(cell.dtype)
    scores = 0
    if cell.attention == "math" and shape.count("attention"):  # the table of scores and its softmax
        scores = 2 * cell.batch * shape.n_heads * cell.context**2 * size
    # The CPU's libraries repack the largest matrix, that of the vocabulary, for products in 16 bits.
    repacked = shape.vocab * shape.d_model * size if cpu and size < 4 else 0
    return tokens * widest * size + scores + repacked + LIBRARIES_BYTES


def _activations(layer: Layer, shape: Shape, cell: Cell) -> tuple[int, int]:
    """Count the elements per token that a layer's mixer and its feed-forward have in use at once, residual included."""
    d, f, di = shape.d_model, shape.d_ff, shape.d_inner
    cpu = kind_of(cell.device) == "cpu"
    scan = 9 * di + d + shape.dt_rank + 2 * shape.d_state
    if cpu and accounting.element_bytes(cell.dtype) < 4:
        scan += 4 * di  # the recurrence runs in float32
    if cpu and cell.view == "as_shipped":
        scan += 3 * di * shape.d_state  # transformers' fallback writes out the discretised A and B for every token
    mixer = {
        "attention": 3 * (shape.n_heads + 2 * shape.n_kv_heads) * shape.d_head + 2 * d,
        "mamba": scan,
        "rwkv": 12 * shape.d_attention + 2 * d,
    }
    tanh = shape.model_type == "gpt2"  # its activation is written out in five operators
    dense = (3 if shape.gated_ffn else 5 if tanh else 2) * f + 4 * d + 2 * shape.d_head
    routed = 4 * d + shape.n_experts
    if shape.n_experts:
        routed += shape.top_k * (2 * d + 3 * f) // (shape.n_experts if _one_by_one(cell) else 1)
    if cell.experts == "batched":  # every token gets a copy of the weights of its experts
        routed += shape.top_k * accounting.expert_parameters(shape)
    ffn = {"dense": dense, "moe": routed, "channel_mix": 6 * d + 2 * f}
    return mixer[layer.mixer], ffn.get(layer.ffn, 0)


def _one_by_one(cell: Cell) -> bool:
    """Return whether one expert after the other is computed, so that only one holds its activations."""
    if cell.experts == "auto":
        return kind_of(cell.device) == "cpu" and cell.view == "architecture"
    return cell.experts in ("sorted", "loop")


def _pass_s(cell: Cell, shape: Shape, here: Rates, *, tokens: int) -> float:
    """Return the seconds of one uncorrected pass over so many tokens of every sequence."""
    work = cell.batch * accounting.prefill_flops(shape, tokens=tokens)
    size = accounting.element_bytes(cell.dtype)
    written = cell.batch * tokens * sum(sum(_activations(layer, shape, cell)) for layer in shape.layers) * size
    elements = shape.count("mamba") * shape.d_inner * shape.d_state + 10 * shape.count("rwkv") * shape.d_attention
    scan_s = cell.batch * tokens * elements * ELEMENT_S[kind_of(cell.device)]
    busy_s = work / here.flops_per_s + 2 * written / here.bytes_per_s + scan_s
    return here.overhead_s * len(shape.layers) + busy_s + _slow_s(cell, shape, tokens)


def _step_s(cell: Cell, shape: Shape, here: Rates, cache: int) -> float:
    """Return the seconds of one uncorrected decoding step at depth."""
    size = accounting.element_bytes(cell.dtype)
    moved = weights_read(shape, cell.batch) * size + 3 * cache  # read once, and copied once where the cache grows
    work = cell.batch * accounting.flops_per_token(shape, context=cell.context)
    busy = max(moved / here.bytes_per_s, work / here.flops_per_s)
    return here.overhead_s * len(shape.layers) + busy + _slow_s(cell, shape, 1)


def weights_read(shape: Shape, batch: int) -> int:
    """Count the parameters a decoding step reads: E (1 - (1 - k/E)^B) experts a layer are chosen by B tokens."""
    if not shape.n_experts:
        return accounting.params_active(shape)
    more = distinct_experts(shape, batch) - shape.top_k
    extra = shape.count("moe") * more * accounting.expert_parameters(shape)
    return accounting.params_active(shape) + round(extra)


def _slow_s(cell: Cell, shape: Shape, tokens: int) -> float:
    if cell.view == "architecture" and cell.kernels == "fast":
        return 0.0
    return tokens * SLOW_OP_S * sum(shape.count(mixer) * ops for mixer, ops in SLOW_OPS.items())


def _load_s(cell: Cell, shape: Shape, here: Rates, weights: int) -> float:
    kind = kind_of(cell.device)
    fixed_s = START_S[kind] + ENERGY_S[kind] + PROFILE_S
    return fixed_s + weights / here.bytes_per_s + accounting.params_total(shape) / RANDOM_PER_S[kind]


def _parity_s(cell: Cell, short_s: float, step_s: float) -> float:
    """Return the seconds of the parity gate: whole, one by one, in chunks, and some rows of a batch alone."""
    if cell.dtype != "float32":  # perhaps once more in float32
        short_s, step_s = 2 * short_s, 2 * step_s
    singly = short_s + PARITY_STEPS * step_s
    alone = min(cell.batch, PARITY_ROWS) * singly / cell.batch if cell.batch > 1 else 0.0
    return short_s + singly + 3 * short_s + alone


def _distance(point: tuple[int, int, float], cell: Cell) -> float:
    return abs(math.log2(point[0] / cell.context)) + abs(math.log2(point[1] / cell.batch))


def total_bytes(predictions: Iterable[Prediction]) -> int:
    """Add up what the cells that fit would need at once."""
    return sum(prediction.bytes_held for prediction in predictions if prediction.fits)
