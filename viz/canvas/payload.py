"""The bytes of a picture: a JSON header and planes of numbers, packed.

Payload: 4 bytes, little-endian, say how many bytes follow unpacked. Packed as DEFLATE come 4 bytes header length, the
UTF-8 header, and the planes in the order of header["planes"], which gives for each its number of values, the digits to
which they are written, and the power of ten of the largest. Without digits (0) a value is a float32, with them a whole
number that stands for a decimal (`_codes`). The first bytes of all values of a plane come first, then the second ones,
so that like bytes follow each other. header["version"] says what the header means; browser/payload.js reads the version
of this file.
"""

import json
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]
VERSION = 4
MOST_DIGITS = 5  # that the browser writes (browser/drawing.js)
_LEVEL = 6


class Planes:
    """The arrays of one payload, in order."""

    def __init__(self) -> None:
        self.forms: list[tuple[int, int, int]] = []  # (values, digits, power of ten of the largest)
        self._parts: list[bytes] = []

    def add(self, values: Values | None, *, digits: int | None = None) -> int | None:
        """Append an array and return its index; None for None.

        digits: to how many significant decimal digits the values are sent, at most MOST_DIGITS; all without it.
        """
        if values is None:
            return None
        flat = np.ascontiguousarray(values, dtype="<f4").ravel()
        codes, top = (flat, 0) if digits is None else _codes(flat, digits)
        self.forms.append((int(flat.size), digits or 0, top))
        self._parts.append(np.frombuffer(codes.tobytes(), np.uint8).reshape(-1, 4).T.tobytes())
        return len(self.forms) - 1

    def bytes(self) -> bytes:
        """Join all arrays."""
        return b"".join(self._parts)


def encode(header: dict[str, Any], planes: Planes) -> bytes:
    """Write a header, with the version and the forms of the planes added to it, and the planes."""
    full = {"version": VERSION} | header | {"planes": planes.forms}
    text = json.dumps(full, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    body = struct.pack("<I", len(text)) + text + planes.bytes()
    return struct.pack("<I", len(body)) + zlib.compress(body, _LEVEL, -zlib.MAX_WBITS)


def decode(payload: bytes) -> tuple[dict[str, Any], list[npt.NDArray[np.float32]]]:
    """Read a payload back: the header and its planes, as browser/payload.js does.

    Raises ValueError for a payload of another version, and for one that is longer or shorter than its header says.
    """
    (size,), unpacking = struct.unpack_from("<I", payload), zlib.decompressobj(-zlib.MAX_WBITS)
    body = unpacking.decompress(payload[4:])
    if not unpacking.eof or unpacking.unused_data or len(body) != size:
        raise ValueError(f"payload of {len(payload)} bytes unpacks to {len(body)} bytes, {size} were announced")
    (length,) = struct.unpack_from("<I", body)
    header: dict[str, Any] = json.loads(body[4 : 4 + length])
    if header["version"] != VERSION:
        raise ValueError(f"payload of version {header['version']}, this program reads version {VERSION}")
    planes, at = [], 4 + length
    for count, digits, top in header["planes"]:
        split = np.frombuffer(body, np.uint8, count=4 * count, offset=at).reshape(4, count)
        whole = np.ascontiguousarray(split.T)
        planes.append(_decimals(whole.view("<u4").ravel(), digits, top) if digits else whole.view("<f4").ravel())
        at += 4 * count
    if at != len(body):
        raise ValueError(f"payload of {len(body)} bytes, header describes {at}")
    return header, planes


def _codes(values: Values, digits: int) -> tuple[npt.NDArray[np.uint32], int]:
    """Round values to decimal digits, a half away from zero, and number the decimals; return also the largest power.

    A code is twice the place of |value| among all decimals of so many digits that begin with the largest power of ten,
    in each power from its smallest number on; one more for a negative value. 0 is zero and 1 is nan. Raises ValueError
    for infinite values and for more digits than MOST_DIGITS.
    """
    if not 1 <= digits <= MOST_DIGITS or np.isinf(values).any():
        raise ValueError(f"finite values and 1 to {MOST_DIGITS} digits can be numbered, got {digits} digits")
    least = 10 ** (digits - 1)
    size = np.abs(values.astype(np.float64))
    there = size > 0  # not nan
    power = np.floor(np.log10(np.where(there, size, 1.0))).astype(np.int64)
    whole = _scaled(size, power, digits)
    for _ in range(2):  # log10 may be one off, and 9.996 becomes 10.0
        power = np.where(there & (whole >= 10 * least), power + 1, power)
        power = np.where(there & (whole < least), power - 1, power)
        whole = _scaled(size, power, digits)
    top = int(power[there].max()) if there.any() else 0
    place = np.where(there, (top - power) * 9 * least + whole - least + 1, 0)
    codes = 2 * place + np.where(there, values < 0, np.isnan(values))
    return codes.astype("<u4"), top


def _scaled(size: npt.NDArray[np.float64], power: npt.NDArray[np.int64], digits: int) -> npt.NDArray[np.int64]:
    """Write sizes as whole numbers of so many digits, the first of which stands for a power of ten."""
    shift = digits - 1 - power
    scaled = np.where(shift < 0, size / 10.0 ** np.maximum(-shift, 0), size * 10.0 ** np.maximum(shift, 0))
    return np.floor(np.nan_to_num(scaled) + 0.5).astype(np.int64)


def _decimals(codes: npt.NDArray[np.uint32], digits: int, top: int) -> npt.NDArray[np.float32]:
    """Return the numbers that codes stand for."""
    least, place = 10 ** (digits - 1), (codes >> 1).astype(np.int64)
    power = top - (place - 1) // (9 * least) - digits + 1
    size = ((place - 1) % (9 * least) + least).astype(np.float64)
    found = np.where(power < 0, size / 10.0 ** np.maximum(-power, 0), size * 10.0 ** np.maximum(power, 0))
    found = np.where(place == 0, np.where(codes == 1, np.nan, 0.0), found)
    return np.asarray(np.where((codes & 1) == 1, -found, found), np.float32)
