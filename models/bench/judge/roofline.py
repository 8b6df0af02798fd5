"""Lower bound of a decoding step's time, from the bytes it moves, the operations it does and measured peaks."""

from collections.abc import Iterable, Mapping

from models.counting import accounting
from models.counting.accounting import RECURRENT_BYTES, Shape, element_bytes
from models.records.measurement import Measurement


def distinct_experts(shape: Shape, batch: int) -> float:
    """Estimate the experts one layer reads for a batch, its tokens routed independently: E (1 - (1 - k/E)^B)."""
    if not shape.n_experts:
        return 0.0
    return float(shape.n_experts * (1 - (1 - shape.top_k / shape.n_experts) ** batch))


def step_bytes(shape: Shape, *, context: int, batch: int, dtype: str, scan_dtype: str = "float32") -> float:
    """Estimate the bytes one decoding step reads and writes at a depth of context tokens.

    b [N_lin + MoE layers x (u(B) - k) 3 d f]: each weight once, with the experts that the batch reaches; the keys and
    values once, the new token's written; the recurrent state read and written. scan_dtype: of the Mamba state, which
    transformers keeps in float32.
    """
    more = distinct_experts(shape, batch) - shape.top_k if shape.n_experts else 0.0
    experts = shape.count("moe") * more * accounting.expert_parameters(shape)
    weights = (accounting.linear_parameters(shape) + experts) * element_bytes(dtype)
    cache = accounting.kv_bytes(shape, context=context + 1, batch=batch, dtype=dtype)
    return weights + cache + 2 * _state_bytes(shape, batch=batch, dtype=dtype, scan_dtype=scan_dtype)


def roofline_step_s(
    shape: Shape,
    *,
    context: int,
    batch: int,
    dtype: str,
    bandwidth: float,
    flops: float | None,
    scan_dtype: str = "float32",
) -> float:
    """Return the seconds a decoding step takes at least (Williams, Waterman & Patterson 2009).

    bandwidth: bytes per second; flops: operations per second, None where they were not measured. Launches are not in
    it, nor are caches of the processor: a model that fits into them can be faster.
    """
    moved = step_bytes(shape, context=context, batch=batch, dtype=dtype, scan_dtype=scan_dtype) / bandwidth
    done = batch * accounting.flops_per_token(shape, context=context) / flops if flops else 0.0
    return max(moved, done)


def floors(rows: Iterable[Measurement], shapes: Mapping[str, Shape]) -> dict[str, float]:
    """Return the floor of each cell in seconds, by cell_id, from the roofline peaks that the same run measured.

    shapes: by source. A cell that failed has a floor too, where another of its device and number type has peaks.
    """
    every = list(rows)
    peaks = {
        (row.device, row.dtype): (row.bandwidth_bytes_per_s, row.peak_flops_per_s)
        for row in every
        if row.bandwidth_bytes_per_s
    }
    found: dict[str, float] = {}
    for row in every:
        bandwidth, flops = peaks.get((row.device, row.dtype), (None, None))
        if bandwidth and row.source in shapes:
            found[row.cell_id] = roofline_step_s(
                shapes[row.source],
                context=row.context,
                batch=row.batch,
                dtype=row.dtype,
                bandwidth=bandwidth,
                flops=flops,
            )
    return found


def _state_bytes(shape: Shape, *, batch: int, dtype: str, scan_dtype: str) -> int:
    scan = shape.count("mamba") * shape.d_inner * shape.d_state
    kept = accounting.state_bytes(shape, batch=batch, dtype=dtype)
    return kept + batch * scan * (element_bytes(scan_dtype) - RECURRENT_BYTES)
