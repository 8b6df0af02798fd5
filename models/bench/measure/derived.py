"""Compute the columns of a row that follow from measured ones, one function per kind of column; no clock, no model.

Times are milliseconds, sizes bytes of the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.bench.judge.roofline import step_bytes
from models.bench.judge.statistics import spread
from models.bench.measure.peaks import RooflinePeaks
from models.counting import accounting
from models.counting.accounting import Shape
from models.records.cell import Cell


@dataclass(frozen=True, slots=True)
class Round:
    """The samples of one round, in milliseconds.

    waited, others: as in cpu_share.CpuShare while it was timed, None where the system does not count. steady: neither
    did the sentinel drift, nor was it far from the best of this machine, nor did the cell wait long for cores.
    """

    prefill: float
    first_token: float
    e2e: float
    decode: tuple[float, ...]
    sentinel_before: float
    sentinel_after: float
    steady: bool
    attempts: int = 1  # the last of which this is
    waited: float | None = None
    others: float | None = None


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


def steady(rounds: Sequence[Round]) -> list[Round]:
    """Return the rounds whose times count."""
    return [made for made in rounds if made.steady]


def step_ms(rounds: Sequence[Round]) -> float | None:
    """Return the median time of a decoding step over the steady rounds; None where there is none."""
    taken = [took for made in steady(rounds) for took in made.decode]
    return spread(taken).median if taken else None


def of_rounds(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the samples of the steady rounds in their order, how many rounds were not, and the state that follows.

    A row is "ok" only where more than half of its rounds were steady. One without any has no samples.
    """
    used, unsteady = steady(rounds), sum(not made.steady for made in rounds)
    return {
        "state": "ok" if 2 * unsteady < len(rounds) else "unstable",
        "rounds": len(used),
        "rounds_unsteady": unsteady,
        "rounds_repeated": sum(made.attempts - 1 for made in rounds),
        "prefill_ms_samples": tuple(made.prefill for made in used),
        "decode_ms_samples": tuple(took for made in used for took in made.decode),
        "first_token_ms_samples": tuple(made.first_token for made in used),
        "e2e_ms_samples": tuple(made.e2e for made in used),
        "sentinel_before_ms": rounds[0].sentinel_before,
        "sentinel_after_ms": rounds[-1].sentinel_after,
        "cpu_waited": _most([made.waited for made in used or rounds]),
        "cpu_others": _most([made.others for made in used or rounds]),
    }


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def of_times(cell: Cell, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the medians and spreads of the first token and of further ones, and tokens a second of the whole batch.

    End to end the prompt gives the first token, so that a round makes one more than it decodes. Without a steady round
    there is nothing to return.
    """
    rounds = steady(rounds)
    if not rounds:
        return {}
    first, step = spread([r.first_token for r in rounds]), spread([took for r in rounds for took in r.decode])
    e2e = spread([r.e2e for r in rounds])
    return {
        "ttft_ms_med": first.median,
        "ttft_iqr_rel": first.relative,
        "tpot_ms_med": step.median,
        "tpot_iqr_rel": step.relative,
        "decode_tokens_per_s": cell.batch / step.median * 1e3,
        "e2e_tokens_per_s": cell.batch * (1 + cell.decode_tokens) / e2e.median * 1e3,
    }


def of_bytes(cell: Cell, shape: Shape, sizes: Sizes) -> dict[str, Any]:
    """Return the measured bytes, and the bytes that accounting gives for the same cell."""
    return {
        "bytes_weights": accounting.weight_bytes(shape, dtype=cell.dtype),
        "cache_bytes": sizes.cache_bytes,
        "cache_bytes_formula": accounting.cache_bytes(shape, context=cell.context, batch=cell.batch, dtype=cell.dtype),
        "bytes_logits": cell.batch * shape.vocab * accounting.element_bytes(cell.dtype),
        "peak_bytes": max(sizes.peak_prefill, sizes.peak_decode),
        "peak_prefill_bytes": sizes.peak_prefill,
        "peak_decode_bytes": sizes.peak_decode,
        "peak_reserved_bytes": sizes.reserved,
        "peak_process_bytes": sizes.process,
    }


def of_roofline_peaks(cell: Cell, shape: Shape, rounds: Sequence[Round], peaks: RooflinePeaks | None) -> dict[str, Any]:
    """Return the roofline peaks of the device and the shares of them that were reached; nothing where none is known.

    mbu: bytes a decoding step must move, against its median time; mfu: operations of the prompt, against the median
    time of reading it, the first token's choice not included.
    """
    step = step_ms(rounds)
    if peaks is None or step is None:
        return {}
    moved = step_bytes(shape, context=cell.context, batch=cell.batch, dtype=cell.dtype)
    flops = cell.batch * accounting.prefill_flops(shape, tokens=cell.context)
    prefill_ms = spread([made.prefill for made in steady(rounds)]).median
    return {
        "bandwidth_bytes_per_s": peaks.bandwidth_bytes_per_s,
        "peak_flops_per_s": peaks.peak_flops_per_s,
        "mbu": moved / (step / 1e3) / peaks.bandwidth_bytes_per_s,
        "mfu": flops / (prefill_ms / 1e3) / peaks.peak_flops_per_s,
    }
