"""Write bytes, durations and counts in the visitor's language."""

from models import units
from pages.shared.words import language

ESTIMATE = 2  # digits of a time that is predicted


def size(count: float) -> str:
    """Return a number of bytes in binary units: 43 KiB."""
    return units.size(count, language.current())


def decimal_size(count: float) -> str:
    """Return a number of bytes in decimal units, as hubs state them: 375 MB."""
    return units.decimal_size(count, language.current())


def duration(seconds: float) -> str:
    """Return a predicted time: 3.1 min."""
    return units.duration(seconds, language.current(), digits=ESTIMATE)


def count(number: int) -> str:
    """Return a whole number with the separators of the language: 1,024."""
    return units.count(number, language.current())


def compact(number: int) -> str:
    """Return a number of parameters as names of models state it: 162M."""
    return units.compact(number)


def ratio(value: float) -> str:
    """Return a ratio of two measurements with the digits that it can carry: 1.04, 3.9, 80."""
    return units.ratio(value, language.current())
