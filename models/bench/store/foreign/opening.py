"""Tell which program wrote a file, and read it: the objects of a JSON file, of JSON lines, or of a table."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from models.bench.store import spreadsheet
from models.bench.store.foreign import guidellm, llama_bench, llama_benchy, optimum_benchmark
from models.bench.store.foreign.fields import Fields
from models.bench.store.foreign.found import run_of
from models.bench.store.malformed import odd_number
from models.bench.store.validation import MOST_COLUMNS, MOST_ROWS, not_a_run, refuse, too_many, torn
from models.records.run import Run

READERS: tuple[ModuleType, ...] = (llama_bench, llama_benchy, guidellm, optimum_benchmark)


def read(name: str, data: bytes, text: str) -> Run | None:
    """Read the file of another program; None for a file of ours, and of nobody known.

    Raises SourceError with a sentence that names the field that cannot be read.
    """
    documents = _documents(name, text)
    if not documents:
        return None
    reader = next((one for one in READERS if one.claims(documents)), None)
    if reader is None:
        raise not_a_run(name)
    if len(documents) > MOST_ROWS:
        raise too_many(name)
    for number, document in enumerate(documents, 1):
        texts = _odd_texts(document) if reader is llama_bench else ()
        for path, value in (*_no_numbers(document), *texts):
            Fields(name, reader.TOOL, number, {}).refuse(path, value)
    return run_of(name, data, reader.TOOL, reader.read(name, documents))


def _documents(name: str, text: str) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a file; none where it holds anything else, or is of ours."""
    start = text.lstrip()
    if start[:1] not in ("[", "{"):
        return _table(name, start)
    try:
        found = json.loads(start) if start[:1] == "[" else _lines(start)
    except json.JSONDecodeError as error:
        if odd := odd_number(error.doc, error):
            refuse(name, _line(start, error), *odd)
        raise torn(name, str(error)) from error
    except ValueError as error:  # a number of thousands of digits
        raise torn(name, str(error)) from error
    return found if all(isinstance(one, dict) for one in found) else ()


def _lines(text: str) -> list[Any]:
    """Return one object, or those of JSON lines; none where the first is a line of ours."""
    first, end = json.JSONDecoder().raw_decode(text)
    if first.get("kind") in ("run", "row", "end"):
        return []
    return [first, *(json.loads(line) for line in text[end:].splitlines() if line.strip())]


def _line(text: str, error: json.JSONDecodeError) -> int:
    """Return the line of a text on which an error stands, in the whole text or in one of its lines."""
    lines = enumerate(text.splitlines(), 1)
    return error.lineno if error.doc == text else next((n for n, line in lines if line.endswith(error.doc)), 1)


def _table(name: str, text: str) -> list[dict[str, str]]:
    found = spreadsheet.table(text, needed=llama_bench.NEEDED)
    if found is None or len(found.columns) > MOST_COLUMNS:
        return []
    lines = [line for line in found.lines if any(line)]
    if lines and len(lines[-1]) < len(found.columns):
        raise torn(name, f"the last line has {len(lines[-1])} of {len(found.columns)} columns")
    return [dict(zip(found.columns, line, strict=False)) for line in lines]


def _no_numbers(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give the numbers that are infinite or none, with the path of their fields."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _no_numbers(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for one in value:
            yield from _no_numbers(one, path)


def _odd_texts(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the fields that Python takes for numbers and that are none here: nan, 1_000, full-width digits."""
    for name, value in document.items():
        if isinstance(value, str) and name not in llama_bench.TEXTS and _is_odd(value):
            yield name, value


def _is_odd(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    try:
        spreadsheet.number(text.strip())
    except ValueError:
        return True
    return False
