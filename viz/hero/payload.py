"""The bytes of the picture: a JSON header and planes of numbers in the types that they need.

Payload: 4 bytes little-endian header length, the UTF-8 header padded with spaces to a multiple of 4, then the planes,
each padded to a multiple of 4 bytes, in the order of header["planes"], which gives (type, number of values) of each.
Types: "f4" and "f2" floats, "u1" and "u4" whole numbers. header["version"] says what the header means;
browser/decode.js reads the version of this file.
"""

import json
import struct
from typing import Any, Literal

import numpy as np

from models.records.trace import Array

Kind = Literal["f4", "f2", "u1", "u4"]
VERSION = 1


class TypedPlanes:
    """The arrays of one payload, in order."""

    def __init__(self) -> None:
        self.kinds: list[tuple[Kind, int]] = []
        self._parts: list[bytes] = []

    def add(self, values: Array, kind: Kind = "f4") -> int:
        """Append an array, written in a type, and return its index."""
        self.kinds.append((kind, int(values.size)))
        data = np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()
        self._parts.append(data + b"\0" * (-len(data) % 4))
        return len(self.kinds) - 1

    def bytes(self) -> bytes:
        """Join all arrays."""
        return b"".join(self._parts)


def encode(header: dict[str, Any], planes: TypedPlanes) -> bytes:
    """Write a header, with the version and the sizes of the planes added to it, and the planes."""
    full = {"version": VERSION} | header | {"planes": planes.kinds}
    text = json.dumps(full, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + planes.bytes()


def decode(payload: bytes) -> tuple[dict[str, Any], list[Array]]:
    """Read a payload back: the header and its planes, as browser/decode.js does.

    Raises ValueError for a payload of another version, and for one that is longer or shorter than its header says.
    """
    (length,) = struct.unpack_from("<I", payload)
    header: dict[str, Any] = json.loads(payload[4 : 4 + length])
    if header["version"] != VERSION:
        raise ValueError(f"payload of version {header['version']}, this program reads version {VERSION}")
    planes: list[Array] = []
    at = 4 + length
    for kind, count in header["planes"]:
        planes.append(np.frombuffer(payload, dtype=f"<{kind}", count=count, offset=at))
        size = count * int(kind[1])
        at += size + -size % 4
    if at != len(payload):
        raise ValueError(f"payload of {len(payload)} bytes, header describes {at}")
    return header, planes
