"""Block sizes, warps and chunk lengths of the Triton kernels, in one place; retune here on a GPU.

Chosen from the machine code (registers, issue slots per exponential) for sm_90, not from timings.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

# Scans. elements: states per program (16 per lane in one warp), or block: channels; steps: tokens per tile, 4 or 8 (and
# wide: the same where an input is float32, whose tiles take twice the registers); enough: warps per multiprocessor from
# which time is not cut; resident: warps that fit, of which two rounds are launched if it is.
SCAN_FORWARD = {"elements": 512, "steps": 8, "wide": 4, "warps": 1, "enough": 4, "resident": 8}
SCAN_BACKWARD = {"elements": 256, "steps": 4, "warps": 1}
WKV_FORWARD = {"block": 32, "steps": 8, "wide": 8, "warps": 1, "enough": 8, "resident": 16}
WKV_BACKWARD = {"block": 32, "steps": 8, "warps": 1}
COMBINE = {"block": 128, "slots": 8, "warps": 4}

SCAN_STEP = {"elements": 1024, "warps": 4}
WKV_STEP = {"block": 128, "warps": 4}
CONV = {"along": 128, "across": 16, "warps": 4}  # along the axis that is contiguous in memory, across the other one
CONV_BACKWARD = {"along": 32, "across": 32, "warps": 4}
# programs: wanted per multiprocessor, by splitting the channels
HIDDEN = {"tile": 64, "warps": 4, "stages": 2, "diagonal_warps": 8, "programs": 8}

SHORTEST_CHUNK = 64  # tokens
ASSUMED_MULTIPROCESSORS = 132  # where there is no device to ask (the interpreter): an H100 or H200


@dataclass(frozen=True)
class TuningPlan:
    """How one launch covers its problem: channels per program, tokens per tile, tokens per chunk, chunks."""

    block: int
    steps: int
    warps: int
    chunk: int
    chunks: int


def power_of_two(x: int) -> int:
    """Return the smallest power of two that is at least x (and at least 1)."""
    return 1 << max(0, x - 1).bit_length()


def plan(table: dict[str, int], x: Tensor, other: Tensor, n: int = 1) -> TuningPlan:
    """Plan a scan over two inputs (b, l, d) with n states per channel: cut time where b d alone leaves lanes idle."""
    b, l, d = x.shape
    block = table["block"] if "block" in table else max(1, table["elements"] // power_of_two(n))
    block = min(block, power_of_two(d))
    wide = max(x.element_size(), other.element_size()) > 2
    warps, steps = table["warps"], table["wide" if wide else "steps"]
    chunk = chunk_length(table, b * -(-d // block) * warps, l, multiprocessors(x.device))
    return TuningPlan(block, steps, warps, chunk, max(1, -(-l // chunk)))


def chunk_length(table: dict[str, int], warps: int, l: int, processors: int) -> int:
    """Return the tokens per chunk, a multiple of 16: all of them if `warps` are enough, else two rounds of warps."""
    chunks = 1
    if warps < table["enough"] * processors:
        chunks = max(1, min(2 * table["resident"] * processors // warps, l // SHORTEST_CHUNK))
    return max(16, round_up(-(-l // chunks), 16))


def conv_tile(table: dict[str, int], x: Tensor) -> dict[str, int]:
    """Return the tile of tokens and channels for x (b, l, d) in whatever layout."""
    along, across = table["along"], table["across"]
    if x.stride(1) == 1 and x.stride(2) != 1:
        return {"TOKENS": along, "CHANNELS": across}
    return {"TOKENS": across, "CHANNELS": along}


def round_up(x: int, unit: int) -> int:
    """Return the smallest multiple of unit that is at least x."""
    return -(-x // unit) * unit


@cache
def multiprocessors(device: torch.device) -> int:
    """Return the number of multiprocessors of a CUDA device."""
    if device.type != "cuda":
        return ASSUMED_MULTIPROCESSORS
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
