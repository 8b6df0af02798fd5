"""Rows of a benchmark as machines of known rates would measure them."""

from models import describe
from models.bench.plan.prediction import Cell, Rates, predict
from models.machine import facts
from models.records.measurement import Measurement

BARE = Rates(1e11, 2e10, overhead_s=4e-4)
SLOWER = Rates(0.5e11, 1e10, overhead_s=8e-4)  # everything takes twice as long
UNKNOWN = Rates(1.0, 1.0)  # a machine with GPUs that were never measured: those have careful guesses
LAGGING = Rates(1e11, 2e10, overhead_s=4e-3)  # ten times the overhead, so that short cells are most wrong
CONTEXTS = (256, 1024, 4096)
SHAPES = {"transformer": describe.resolve("gpt2").shape, "mamba": describe.resolve("mamba-130m").shape}
SOURCES = {"transformer": "gpt2", "mamba": "mamba-130m"}


def row_of(truth, context, *, run="r0", name="transformer", peak=1.0, pace=1.0, batch=1, **changes):
    """Measure a cell on a machine of these rates; its peak above the weights is so many times the accounted one."""
    cell = Cell(name, SOURCES[name], context, batch)
    real, told = (predict(cell, SHAPES[name], rates=rates) for rates in (truth, BARE))
    above = told.bytes_total - told.bytes_weights
    here = facts.environment()
    known = {
        "run_id": run, "cell_id": f"{run}-{cell.cell_id}", "state": "ok", "architecture": name, "source": cell.source,
        "context": context, "batch": batch, "device": "cpu", "dtype": "float32", "decode_tokens": 32, "seed": 0,
        "prefill_ms_samples": (pace * real.prefill_ms,) * 3, "tpot_ms_med": pace * real.decode_ms,
        "bytes_weights": told.bytes_weights, "cache_bytes_formula": told.bytes_cache,
        "bytes_logits": told.bytes_logits, "bytes_workspace": told.bytes_workspace, "peak_bytes": round(peak * above),
        "pred_bytes": told.bytes_total, "pred_ms": told.decode_ms, "pred_prefill_ms": told.prefill_ms,
        "pred_s": told.seconds, "spent_s": pace * real.seconds,
        "environment": {"host_cpu": here["host_cpu"], "cores": here["cores"]},
    }  # fmt: skip
    return Measurement(**(known | changes))


def runs_of(truth, count, *, contexts=CONTEXTS, **changes):
    return [row_of(truth, context, run=f"r{n}", **changes) for n in range(count) for context in contexts]
