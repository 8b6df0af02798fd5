"""Shapes checked before a compiled loop, which would not."""

from collections.abc import Mapping

from torch import Tensor


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError naming the first tensor whose shape is not the expected one."""
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, expected {shape}")
