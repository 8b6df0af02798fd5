"""Print results: JSON for programs, aligned columns for people."""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models import units
from models.errors import SettingError

SOURCES = "a bundled name, a catalogue id, a folder with a config.json or a GGUF file, or a hub id or its https address"


def print_json(value: Any) -> None:
    """Print a value as JSON; dataclasses become objects, numbers that are none become null."""
    print(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows as columns as wide as their widest cell; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    for row, values in zip(cells, rows, strict=True):
        aligned = (
            text.rjust(width) if isinstance(value, int | float) else text.ljust(width)
            for text, width, value in zip(row, widths, values, strict=True)
        )
        print("  ".join(aligned).rstrip())


@contextmanager
def quiet_errors() -> Iterator[None]:
    """Keep from the terminal what compiled code writes to the error stream by itself; exceptions pass."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no such stream
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def check_file(out: Path | None) -> None:
    """Refuse a file for --out that cannot be written, before anything is done for it."""
    if out is None:
        return
    try:
        if not out.parent.is_dir():
            raise _refused(out, f"there is no folder {out.parent} for --out")
        if out.is_dir():
            raise _refused(out, f"--out {out} is a folder, not a file")
        if out.exists() and not out.is_file():
            return
        draft = _draft(out)
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise _refused(out, f"--out {str(out)[:100]} cannot be written here: {error.strerror}") from error


def write_file(out: Path, data: bytes) -> None:
    """Write a file whole or not at all; SettingError when its place refuses it."""
    try:
        if out.exists() and not out.is_file():  # a pipe or a terminal: no other file may take its place
            out.write_bytes(data)
            return
        draft = _draft(out)
        try:
            draft.write_bytes(data)
            draft.replace(out.resolve())
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(out, f"--out {out} cannot be written: {error.strerror}") from error


def _draft(out: Path) -> Path:
    """Return where a file is written before it takes its place: beside the file itself, wherever a link leads."""
    whole = out.resolve()
    return whole.with_name(f".{whole.name[:100]}.{os.getpid()}")


def _refused(out: Path, message: str) -> SettingError:
    return SettingError("errors.setting_value", message, name="out", value=str(out))


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    return units.count(value) if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
