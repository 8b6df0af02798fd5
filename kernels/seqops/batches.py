"""What the compiled operators share: shapes checked before, rows of a batch spread over threads."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError naming the first tensor whose shape is not the expected one."""
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, expected {shape}")


def per_batch(kernel: Callable[..., None], batch: int, *arrays: Any) -> None:
    """Run kernel(index, *arrays) for every batch row, on as many threads as torch uses; the kernel releases the GIL."""
    threads = min(torch.get_num_threads(), batch)
    if threads <= 1:
        for i in range(batch):
            kernel(i, *arrays)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda i: kernel(i, *arrays), range(batch)))
