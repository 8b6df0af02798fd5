"""Parse a table that a spreadsheet or another program has saved again: separator, encoding, numbers, times.

Spreadsheets write `;` or tabs between columns, UTF-16, decimal commas, TRUE for true, and 1.69E+18 for nanoseconds.
Unambiguous values are read. A rounded number raises an error that names it, because it is not the measured one.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models.errors import SourceError

TIMES: Mapping[str, str] = {"started_ns": "started", "ended_ns": "ended", "run_created_ns": "run_created"}
SEPARATORS = (",", ";", "\t", "|")
EXACT = 10**11  # spreadsheets show whole numbers of up to eleven digits as they are
LONGEST_CELL = 32_767  # characters; a spreadsheet cuts what is longer
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+(?:E[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_ROUNDED = re.compile(r"-?\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE | re.ASCII)
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:E[+-]?\d+)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The columns and lines of a file; rewritten: whether another program than this one has written them."""

    columns: list[str]
    lines: Iterator[list[str]]
    rewritten: bool


def text_of(name: str, data: bytes) -> str:
    """Decode a file by its mark, else as UTF-8; SourceError for another encoding of text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    for at, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # without a mark, every other byte of ASCII is 0
        if data[at : at + 4 : 2] == b"\0\0":
            return data.decode(encoding)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if b"cell_id" not in data[:4096]:
            raise
        message = f"{name} is written in an old encoding of text: save it as CSV in UTF-8"
        raise SourceError("errors.import_encoding", message, name=name) from error


def table(text: str, *, needed: tuple[str, ...]) -> Sheet | None:
    """Split a text at the separator whose first line names the needed columns; None where no separator does."""
    rewritten = False
    first = text.split("\n", maxsplit=1)[0].strip("\r\"' ")
    if re.fullmatch(r"sep=.", first):  # how spreadsheets are told the separator
        text, rewritten = text.partition("\n")[2], True
    for separator in SEPARATORS:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
        columns = next(lines, [])
        if set(needed) <= set(columns):
            return Sheet(columns, lines, rewritten or separator != SEPARATORS[0])
    return None


def restored(
    name: str, number: int, row: Mapping[str, str], numbers: Mapping[str, type], *, rewritten: bool
) -> dict[str, str]:
    """Return a line as this program would have written it.

    numbers: the columns that hold whole (int) or other numbers. Raises SourceError where a number was rounded or a cell
    was cut, which names the column and the value.
    """
    found = dict(row)
    rewritten = rewritten or any(_ROUNDED.fullmatch(row.get(column, "")) for column in TIMES)
    for column, text in row.items():
        if len(text) == LONGEST_CELL:
            message = f"{name}, row {number}: a spreadsheet has cut {column} at {LONGEST_CELL:,} characters"
            raise SourceError("errors.import_cut", message, name=name, row=number, column=column, limit=LONGEST_CELL)
        if column in numbers or column in TIMES:
            if _DECIMAL_COMMA.fullmatch(text):
                found[column] = text.replace(",", ".")
            if _ROUNDED.fullmatch(text) and (column in TIMES or numbers[column] is int):
                found[column] = _exact(name, number, column, found[column], row)
        elif rewritten and text in ("TRUE", "FALSE"):
            found[column] = text.lower()
    return found


def whole(text: str) -> int:
    """Return the whole number that a text is, in ASCII digits; ValueError for any other, such as 1_000 or １２."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no whole number")
    return int(text)


def number(text: str) -> float:
    """Return the number that a text is, in ASCII digits alone; ValueError for any other, nan and infinity too."""
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{text[:60]!r} is no number")
    return float(text)


def iso(ns: int | None) -> str | None:
    """Write nanoseconds since 1970 as an ISO 8601 time in UTC, to the microsecond; None where there is none."""
    if ns is None:
        return None
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def nanoseconds(text: str) -> int | None:
    """Read an ISO 8601 time, in UTC where it names no zone, as nanoseconds since 1970; None for any other text."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _exact(name: str, number: int, column: str, text: str, row: Mapping[str, str]) -> str:
    """Return a whole number that was written with an exponent: from the time beside it, or as it is where short."""
    if not math.isfinite(float(text)):
        return text  # no rounded number, and refused as none
    beside = nanoseconds(row.get(TIMES.get(column, ""), ""))
    if beside is not None:
        return str(beside)
    if abs(float(text)) < EXACT and float(text) == int(float(text)):
        return text
    message = (
        f"{name}, row {number}: a spreadsheet has rounded {column} to {text}: export the run again and keep that file"
    )
    raise SourceError("errors.import_rounded", message, name=name, row=number, column=column, value=text)
