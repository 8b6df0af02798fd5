"""Refuse to time a model whose decoding is wrong: cached against whole, a batch against its rows, chunks against whole.

BENCHMARK.md R7. The gate catches two faults of transformers 5.23: RWKV mixes up a batch in one-token steps, Mamba and
Jamba start their state from zero in every further chunk.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.bench.clock import Clock
from models.bench.plan import Cell
from models.errors import CellError
from models.spec import Adapter, Checkpoint

LIMIT: Mapping[str, float] = {"float32": 1e-4, "bfloat16": 2e-2, "float16": 2e-2}
READ, FED = 24, 4  # tokens read at once, then fed one by one
CHUNKS = (11, 13, 4)  # the same tokens in uneven pieces
ROWS = 4  # of the batch that are run alone


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest differences of last-position logits, relative to the largest logit; batch is None at batch 1."""

    cached: float
    chunked: float
    batch: float | None


def check_parity(cell: Cell, adapter: Adapter, checkpoint: Checkpoint) -> Parity:
    """Run short random prompts three ways. CellError names the first way that differs by more than the limit."""
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
    for way in ("batch", "chunked", "cached"):
        if not found.get(way, 0.0) <= LIMIT[cell.dtype]:
            raise CellError(
                f"errors.cell_parity_{way}",
                f"{way} decoding differs by {found[way]:.1e}, above {LIMIT[cell.dtype]:.0e}: no speed is shown",
                difference=f"{found[way]:.1e}",
                limit=f"{LIMIT[cell.dtype]:.0e}",
                **{f"parity_{name}": value for name, value in found.items() if math.isfinite(value)},
            )
    return Parity(found["cached"], found["chunked"], found.get("batch"))


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
