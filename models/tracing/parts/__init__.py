"""Turn captured activations into the parts of records.PARTS, and keep the inputs of models.reconstruction."""

import math

import numpy as np
from torch import Tensor, nn

from models.records.trace import PARTS, NamedArray


def named(part: str, values: Tensor) -> NamedArray:
    """Make a record part of a tensor, in float32 (integers stay integers); a weight is copied, as it may change."""
    array = (values.clone() if isinstance(values, nn.Parameter) else values).detach().cpu()
    array = array.float() if array.is_floating_point() else array
    return NamedArray(np.ascontiguousarray(array.numpy()), PARTS[part])


def half_life(rate: Tensor) -> Tensor:
    """Tokens until exp(-rate t) is one half, for rate > 0 per token."""
    return math.log(2) / rate
