"""What a mechanism draws, read back from the bytes that the browser gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from viz.canvas.payload import decode


@dataclass(frozen=True, slots=True)
class Drawn:
    """The header of a payload, and its planes by name, each in its shape and in float64."""

    header: Mapping[str, Any]
    planes: Mapping[str, npt.NDArray[np.float64]]


def read(payload: bytes) -> Drawn:
    """Read a payload. Raises ValueError for one of another version, and for a plane that has not its shape."""
    header, arrays = decode(payload)
    planes = {
        name: np.asarray(arrays[told["plane"]], np.float64).reshape(told["shape"])
        for name, told in header["named"].items()
    }
    return Drawn(header, planes)
