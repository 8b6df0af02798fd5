"""Look at the weight files of a model folder without loading them: complete or not, number type, bytes. No torch."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import units
from models.errors import SourceError
from models.sources import configuration

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
UNSAFE = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")
_PIECE = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
_MOST_HEADER = 100_000_000  # bytes, the limit of safetensors itself
_MOST_INDEX = 2**26
_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Stored:
    """What the weight files hold: bytes of all tensors, by the type of their entries as safetensors calls it."""

    bytes_by_type: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        """Count the bytes of all tensors."""
        return sum(self.bytes_by_type.values())

    @property
    def dtype(self) -> str | None:
        """Name the number type that most bytes have; None where that is not float32, float16 or bfloat16."""
        most = max(self.bytes_by_type, key=lambda kind: self.bytes_by_type[kind], default="")
        return _NAMES.get(most)


def weights(folder: Path, *, name: str) -> Stored:
    """Read the headers of a folder's safetensors.

    Raises SourceError, in one sentence, where they are absent, of another format, incomplete or cut short.
    """
    counted: Counter[str] = Counter()
    for path in weight_files(folder, name=name):
        counted.update(_header(path, name=name))
    return Stored(dict(counted))


def weight_files(folder: Path, *, name: str) -> list[Path]:
    """List the weight files that a folder is read from; SourceError where one of them is missing."""
    single, index = folder / SINGLE, folder / INDEX
    if single.is_file():
        return [single]
    if index.is_file():
        return _pieces_of(index, name=name)
    present = sorted(path.name for path in folder.glob("*.safetensors"))
    pieces = [found for found in map(_PIECE.fullmatch, present) if found]
    if pieces:
        _refuse_missing({f"model-{n:05d}-of-{pieces[0][2]}.safetensors" for n in range(1, int(pieces[0][2]) + 1)},
                        set(present), name=name)  # fmt: skip
        message = f"{name} has its weights in {len(pieces)} pieces, but not {INDEX}, which says what is in which"
        raise SourceError("errors.index_missing", message, source=name, count=len(pieces), file=INDEX)
    if present:
        message = f"{name} has {present[0]}, but neither {SINGLE} nor {INDEX}: take the model in transformers format"
        raise SourceError("errors.other_weights", message, source=name, file=present[0])
    if any(path for pattern in UNSAFE for path in folder.glob(pattern)):
        message = f"the folder {name!r} has weights, but not as safetensors: convert them, pickles are never loaded"
        raise SourceError("errors.unsafe_weights", message, source=name)
    raise SourceError("errors.no_weights", f"the folder {name!r} has no *.safetensors file", source=name)


def _pieces_of(index: Path, *, name: str) -> list[Path]:
    if configuration.is_pointer(index):
        raise configuration.pointer(name, INDEX)
    try:
        if index.stat().st_size > _MOST_INDEX:
            raise ValueError("too large")
        pieces = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if not pieces or not all(isinstance(piece, str) and Path(piece).name == piece for piece in pieces):
            raise ValueError("no names of files")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        message = f"{name}: {INDEX} cannot be read: copy it again"
        raise SourceError("errors.index_broken", message, source=name, file=INDEX) from error
    _refuse_missing(pieces, {path.name for path in index.parent.iterdir() if path.is_file()}, name=name)
    return [index.parent / piece for piece in sorted(pieces)]


def _refuse_missing(wanted: set[str], present: set[str], *, name: str) -> None:
    if missing := sorted(wanted - present):
        message = f"{name} lacks {len(missing)} of {len(wanted)} pieces of its weights, the first is {missing[0]}"
        raise SourceError("errors.piece_missing", message, source=name, count=len(missing), total=len(wanted),
                          first=missing[0])  # fmt: skip


def _header(path: Path, *, name: str) -> Counter[str]:
    """Return the bytes of each type in one file; SourceError for a pointer, a cut file or another format."""
    if configuration.is_pointer(path):
        raise configuration.pointer(name, path.name)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MOST_HEADER or size < 8:
            raise _broken(name, path)
        if size < 8 + length:
            raise _cut(name, path, size, 8 + length)
        text = file.read(length)
    try:
        tensors = {key: entry for key, entry in json.loads(text).items() if key != "__metadata__"}
        spans = [(str(entry["dtype"]), int(start), int(stop))
                 for entry in tensors.values() for start, stop in [entry["data_offsets"]]]  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _broken(name, path) from error
    if any(not 0 <= start <= end for _, start, end in spans):
        raise _broken(name, path)
    end = 8 + length + max((end for _, _, end in spans), default=0)
    if size < end:
        raise _cut(name, path, size, end)
    counted: Counter[str] = Counter()
    for kind, start, stop in spans:
        counted[kind] += stop - start
    return counted


def _cut(name: str, path: Path, has: int, needs: int) -> SourceError:
    values: dict[str, Any] = {"source": name, "file": path.name, "has": units.count(has), "needs": units.count(needs)}
    message = f"{name}: {path.name} is cut short, {has:,} of {needs:,} bytes are here: copy or download it again"
    return SourceError("errors.weights_cut", message, **values)


def _broken(name: str, path: Path) -> SourceError:
    message = f"{name}: {path.name} is not a safetensors file, or damaged: copy it again"
    return SourceError("errors.weights_unreadable", message, source=name)
