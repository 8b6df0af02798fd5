"""Which fast path serves a device: numba loops on a CPU, Triton on a CUDA device, the reference elsewhere."""

import importlib.util
from functools import cache
from typing import Literal

import torch

Path = Literal["numba", "triton", "reference"]

LABELS: dict[Path, str] = {
    "numba": "seqops compiled loop (CPU)",
    "triton": "seqops Triton kernel (GPU)",
    "reference": "seqops reference loop",
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


def label(device: torch.device) -> str:
    """Name that path for people."""
    return LABELS[path(device)]
