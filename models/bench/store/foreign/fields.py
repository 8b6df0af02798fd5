"""Read values of another program's file by the names of their fields; what cannot be read is refused by that name."""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from models.bench.store import spreadsheet
from models.bench.store.validation import MOST_MS
from models.errors import SourceError
from models.records.run import clean_title

MOST_COUNT = 2**53  # of tokens, bytes and parameters: every whole number up to it is exact
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_MOST_FACTS = 200


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a file. name: of the file; tool: that wrote it; row: from 1; path: of the object within the row."""

    name: str
    tool: str
    row: int
    values: Mapping[str, Any]
    path: str = ""

    def inside(self, field: str) -> "Fields":
        """Return the object of a field, empty where there is none; SourceError where it is no object."""
        value = self.values.get(field)
        if not isinstance(value, dict | None):
            self.refuse(field, value)
        return Fields(self.name, self.tool, self.row, value or {}, f"{self.path}{field}.")

    def listed(self, field: str) -> list[Any]:
        """Return the list of a field, empty where there is none; SourceError where it is no list."""
        value = self.values.get(field)
        if not isinstance(value, list | None):
            self.refuse(field, value)
        return value or []

    def text(self, field: str) -> str:
        """Return a text or a number as text, on one line without control characters; "" where there is none."""
        value = self.values.get(field)
        if value is not None and not isinstance(value, str | int | float):
            self.refuse(field, value)
        return "" if value is None else clean_title(str(value))

    def number(self, field: str, *, most: float = MOST_COUNT) -> float | None:
        """Return a number from 0 to most; None where there is none, SourceError for any other value."""
        value = self.values.get(field)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            try:
                value = spreadsheet.number(value)
            except ValueError:
                self.refuse(field, value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            self.refuse(field, value)
        return float(value)

    def count(self, field: str, *, needed: bool = False) -> int | None:
        """Return a whole number from 0; None where there is none and it is not needed."""
        value = self.number(field)
        if value is None:
            return self.missing(field) if needed else None
        if value != int(value):
            self.refuse(field, self.values[field])
        return int(value)

    def times(self, field: str, *, ms: float = 1.0) -> tuple[float, ...]:
        """Return the times of a field in milliseconds. ms: in one of its units. A zero is no time, and left out."""
        found = []
        for value in self.listed(field):
            time = Fields(self.name, self.tool, self.row, {field: value}, self.path).number(field, most=MOST_MS / ms)
            if time is None:
                self.refuse(field, value)
            found.append(time * ms if ms >= 1 else time / round(1 / ms))  # 71632900 ns are 71.6329 ms
        return tuple(time for time in found if time)

    def moment(self, field: str) -> int | None:
        """Return an ISO 8601 time in nanoseconds since 1970; None where there is none."""
        value = self.text(field)
        ns = spreadsheet.nanoseconds(value) if value else None
        if value and (ns is None or ns < 0):
            self.refuse(field, value)
        return ns

    def refuse(self, field: str, value: object) -> NoReturn:
        """Raise the error for a value of a field that cannot be read."""
        shown, place = repr(value)[:60], self.path + field
        message = f"{self.name} is of {self.tool}: row {self.row}, {place} cannot be {shown}"
        values = {"name": self.name, "tool": self.tool, "row": self.row, "field": place, "value": shown}
        raise SourceError("errors.import_field", message, **values)

    def missing(self, field: str) -> NoReturn:
        """Raise the error for a field without which nothing can be shown."""
        place = self.path + field
        message = f"{self.name} is of {self.tool}: row {self.row} lacks {place}"
        values = {"name": self.name, "tool": self.tool, "row": self.row, "field": place}
        raise SourceError("errors.import_field_missing", message, **values)

    def facts(self, *, without: Sequence[str] = ()) -> dict[str, Any]:
        """Return the plain values of the object for the environment of a row, those of some fields left out."""
        known = {
            key: clean_title(value) if isinstance(value, str) else value
            for key, value in list(self.values.items())[:_MOST_FACTS]
            if _KEY.fullmatch(key) and key not in without and isinstance(value, str | bool | int | float)
        }
        return {key: value for key, value in known.items() if value != ""}


def middle(times: Sequence[float], otherwise: float | None = None) -> float | None:
    """Return the median of times; where there are none, the middle value that the file states, unless it is zero."""
    return statistics.median(times) if times else otherwise or None
