"""Check that cached, batched and chunked decoding give the logits of one full pass. A cell that fails is not timed.

The check finds two faults of transformers 5.23: RWKV mixes the rows of a batch in one-token steps, and Mamba and Jamba
start their state from zero in every further chunk. In 16 bits, rounding alone can move the logits of a deep recurrence,
or of a router whose best experts are close, by more than any useful limit. Such a model is checked again in float32,
with the same weights and operators, where only a fault differs.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from models.bench.measure.clock import Clock
from models.bench.plan.plan import Cell
from models.errors import CellError, out_of_memory
from models.tracing.adapter import Adapter, Checkpoint

LIMIT: Mapping[str, float] = {"float32": 1e-4, "bfloat16": 2e-2, "float16": 2e-2}
READ, FED = 24, 4  # tokens read at once, then fed one by one
CHUNKS = (11, 13, 4)  # the same tokens in uneven pieces
ROWS = 4  # of the batch that are run alone


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest differences of last-position logits, relative to the largest logit; batch is None at batch 1.

    float32: the largest of them in float32, where the model was asked again in it; None where it was not.
    """

    cached: float
    chunked: float
    batch: float | None
    float32: float | None = None


def check_parity(cell: Cell, adapter: Adapter, checkpoint: Checkpoint) -> Parity:
    """Run short random prompts three ways. CellError names the first way that differs by more than the limit."""
    found, limit, exact = _differences(cell, adapter, checkpoint), LIMIT[cell.dtype], None
    judged = found
    if cell.dtype != "float32" and not max(found.values()) <= limit:
        again = _in_float32(cell, adapter, checkpoint)
        if again is not None:
            judged, limit, exact = again, LIMIT["float32"], max(again.values())
    for way in ("batch", "chunked", "cached"):
        if not judged.get(way, 0.0) <= limit:
            raise CellError(
                f"errors.cell_parity_{way}",
                f"{way} decoding differs by {judged[way]:.1e}, above {limit:.0e}: no speed is shown",
                difference=f"{judged[way]:.1e}",
                limit=f"{limit:.0e}",
                **{f"parity_{name}": value for name, value in judged.items() if math.isfinite(value)},
            )
    return Parity(found["cached"], found["chunked"], found.get("batch"), exact)


def _differences(cell: Cell, adapter: Adapter, checkpoint: Checkpoint) -> dict[str, float]:
    """Compare the three ways; "batch" only where there is one."""
    clock = Clock(cell, adapter, checkpoint)
    ids = clock.prompt(READ + FED)
    whole = adapter.step(checkpoint, ids, None)[0]
    singly = (READ, *[1] * FED)
    cached = _in_pieces(adapter, checkpoint, ids, singly)
    found = {"cached": difference(cached, whole)}
    found["chunked"] = difference(_in_pieces(adapter, checkpoint, ids, CHUNKS), whole)
    if cell.batch > 1:
        rows = range(min(cell.batch, ROWS))
        alone = torch.cat([_in_pieces(adapter, checkpoint, ids[i : i + 1], singly) for i in rows])
        found["batch"] = difference(cached[: alone.shape[0]], alone)
    return found


def _in_float32(cell: Cell, adapter: Adapter, checkpoint: Checkpoint) -> dict[str, float] | None:
    """Compare the same weights in float32; None if they do not fit into memory, and the 16-bit result decides."""
    try:
        with _as_float32(checkpoint):
            return _differences(dataclasses.replace(cell, dtype="float32"), adapter, checkpoint)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None


@contextmanager
def _as_float32(checkpoint: Checkpoint) -> Iterator[None]:
    """Convert a model's weights to float32 inside the block, then restore the type and values of each."""
    tensors = [x for x in (*checkpoint.model.parameters(), *checkpoint.model.buffers()) if x.is_floating_point()]
    before = [x.dtype for x in tensors]
    try:
        for x in tensors:
            x.data = x.data.float()
        yield
    finally:
        for x, dtype in zip(tensors, before, strict=True):
            x.data = x.data.to(dtype)
        if checkpoint.device.type == "cuda":
            torch.cuda.empty_cache()


def difference(a: Tensor, b: Tensor) -> float:
    """Return max |a - b| / max |b|; infinity for shapes that differ or values that are no numbers."""
    if a.shape != b.shape:
        return float("inf")
    error = ((a.float() - b.float()).abs().max() / b.float().abs().max()).item()
    return float("inf") if math.isnan(error) else error


def _in_pieces(adapter: Adapter, checkpoint: Checkpoint, ids: Tensor, pieces: tuple[int, ...]) -> Tensor:
    """Feed ids (b, l) in pieces of these lengths; returns the last logits."""
    logits, cache = ids.new_empty(0), None
    for piece in ids.split(list(pieces), dim=1):
        logits, cache = adapter.step(checkpoint, piece, cache)
    return logits
