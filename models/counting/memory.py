"""Count what a model keeps in memory at several lengths, beside the same model if every layer attended."""

from collections.abc import Sequence
from dataclasses import replace

from models.counting import accounting
from models.counting.shape import Shape
from models.records.memory import MemoryCurve


def memory_curve(shape: Shape, lengths: Sequence[int], *, dtype: str = "bfloat16") -> MemoryCurve:
    """Count weights, state, and keys and values after each of some numbers of tokens, and the parameters by part."""
    everywhere = attending(shape)
    return MemoryCurve(
        tuple(lengths),
        tuple(accounting.kv_bytes(shape, context=n, dtype=dtype) for n in lengths),
        tuple(accounting.kv_bytes(everywhere, context=n, dtype=dtype) for n in lengths),
        accounting.weight_bytes(shape, dtype=dtype),
        accounting.state_bytes(shape, dtype=dtype),
        accounting.parameter_terms(shape),
        accounting.parameter_terms(shape, active=True),
        dtype,
    )


def attending(shape: Shape) -> Shape:
    """Return the shape with attention in every layer, of the heads that its attention layers have."""
    return replace(shape, layers=tuple(replace(layer, mixer="attention") for layer in shape.layers))
