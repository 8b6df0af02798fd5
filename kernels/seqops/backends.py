"""Which fast path serves a device: numba loops on a CPU, Triton on a CUDA device, the reference elsewhere."""

import importlib.util
from functools import cache
from typing import Literal

import torch

Path = Literal["numba", "triton", "reference"]

Operator = Literal["conv", "conv_step", "scan", "scan_step", "wkv", "wkv_step", "experts"]

LABELS: dict[Path, str] = {
    "numba": "seqops compiled loop (CPU)",
    "triton": "seqops Triton kernel (GPU)",
    "reference": "seqops reference loop",
}

# Where a few operations of torch are as fast as a loop of our own.
_PLAIN_ON_CUDA: dict[Operator, str] = {
    "conv_step": "seqops shifted products (torch)",
    "experts": "seqops products grouped by expert (torch)",
}
_PLAIN: dict[Operator, str] = {
    **_PLAIN_ON_CUDA,
    "conv": "seqops shifted products (torch)",
    "scan_step": "seqops single step (torch)",
    "wkv_step": "seqops single step (torch)",
}


@cache
def has_triton() -> bool:
    """Tell whether Triton is installed; it comes with the CUDA build of torch."""
    return importlib.util.find_spec("triton") is not None


def path(device: torch.device) -> Path:
    """Return which path `x_fast` takes for tensors on a device."""
    if device.type == "cpu":
        return "numba"
    return "triton" if device.type == "cuda" and has_triton() else "reference"


def label(operator: Operator, device: torch.device) -> str:
    """Name for people what serves an operator on a device."""
    taken = path(device)
    plain = _PLAIN_ON_CUDA if taken == "triton" else _PLAIN if taken == "numba" else {}
    return plain.get(operator, LABELS[taken])
