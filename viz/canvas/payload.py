"""The bytes of a picture: a JSON header and float32 planes.

Payload: 4 bytes little-endian header length, the UTF-8 header padded with spaces to a multiple of 4, then the planes
as float32 in the order of header["planes"], each given there by its number of values. header["version"] says what the
header means; browser/payload.js reads the version of this file.
"""

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]
VERSION = 3


class Planes:
    """The float32 arrays of one payload, in order."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self._parts: list[bytes] = []

    def add(self, values: Values | None) -> int | None:
        """Append an array and return its index; None for None."""
        if values is None:
            return None
        self.lengths.append(int(values.size))
        self._parts.append(np.ascontiguousarray(values, dtype="<f4").tobytes())
        return len(self.lengths) - 1

    def bytes(self) -> bytes:
        """Join all arrays."""
        return b"".join(self._parts)


def encode(header: dict[str, Any], planes: Planes) -> bytes:
    """Write a header, with the version and the sizes of the planes added to it, and the planes."""
    full = {"version": VERSION} | header | {"planes": planes.lengths}
    text = json.dumps(full, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + planes.bytes()


def decode(payload: bytes) -> tuple[dict[str, Any], list[npt.NDArray[np.float32]]]:
    """Read a payload back: the header and its planes, as browser/payload.js does.

    Raises ValueError for a payload of another version, and for one that is longer or shorter than its header says.
    """
    (length,) = struct.unpack_from("<I", payload)
    header: dict[str, Any] = json.loads(payload[4 : 4 + length])
    if header["version"] != VERSION:
        raise ValueError(f"payload of version {header['version']}, this program reads version {VERSION}")
    planes, at = [], 4 + length
    for count in header["planes"]:
        planes.append(np.frombuffer(payload, dtype="<f4", count=count, offset=at))
        at += 4 * count
    if at != len(payload):
        raise ValueError(f"payload of {len(payload)} bytes, header describes {at}")
    return header, planes
