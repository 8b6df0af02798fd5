"""Write bytes, durations and counts for people, by one rule of digits.

The rule: a value stands in the largest unit in which it is at least 1, with three significant digits and no trailing
zeros, and its whole part is never rounded. `viz.look.axes` follows it in the browser. A value that is not finite has
no digits: it is written as a dash, or as infinity. Separators are those of the language (Unicode CLDR, by Babel).
"""

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from babel import Locale
from babel.numbers import NumberPattern, format_decimal, parse_pattern
from babel.units import format_unit

DIGITS = 3
_BINARY = tuple((Decimal(1024) ** i, unit) for i, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB")))
_DECIMAL = tuple((Decimal(1000) ** i, unit) for i, unit in enumerate(("B", "kB", "MB", "GB", "TB", "PB")))
_COMPACT = tuple((Decimal(1000) ** i, unit) for i, unit in enumerate(("", "K", "M", "B", "T")))
_TIMES = (
    (Decimal("1e-6"), "microsecond"),
    (Decimal("1e-3"), "millisecond"),
    (Decimal(1), "second"),
    (Decimal(60), "minute"),
    (Decimal(3600), "hour"),
)
# English CLDR shortens to "sec" and "hr"; tables of measurements use the symbols of the SI.
_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {"microsecond": "µs", "millisecond": "ms", "second": "s", "minute": "min", "hour": "h"}
)


def size(count: float, lang: str = "en") -> str:
    """Return a number of bytes in binary units.

    >>> size(44032), size(1023), size(2**32)
    ('43 KiB', '1,023 B', '4 GiB')
    """
    return _in_units(count, _BINARY, lang, " ")


def decimal_size(count: float, lang: str = "en") -> str:
    """Return a number of bytes in decimal units, as hubs and makers of disks state them.

    >>> decimal_size(374_998_696), decimal_size(1_490_000_000)
    ('375 MB', '1.49 GB')
    """
    return _in_units(count, _DECIMAL, lang, " ")


def duration(
    seconds: float, lang: str = "en", *, digits: int = DIGITS, length: Literal["short", "long"] = "short"
) -> str:
    """Return a time in one unit from microseconds to hours.

    English has the symbols of the SI, or its words where length is "long"; other languages have the units of CLDR.
    digits: significant digits; 2 suit an estimate.

    >>> duration(0.0125), duration(83.4), duration(10486.7, digits=2, length="long")
    ('12.5 ms', '1.39 min', '2.9 hours')
    """
    if not math.isfinite(seconds):
        return _not_finite(seconds)
    value, unit = _scaled(seconds, _TIMES, digits) if seconds else (Decimal(0), "second")
    if lang == "en" and length == "short":
        return f"{_written(value, lang)} {_SYMBOLS[unit]}"
    return format_unit(value, f"duration-{unit}", length, format=_pattern(), locale=_locale(lang))  # type: ignore[arg-type]


def count(number: int, lang: str = "en") -> str:
    """Return a whole number with the separators of the language.

    >>> count(1048576)
    '1,048,576'
    """
    return _written(Decimal(int(number)), lang)


def compact(number: float) -> str:
    """Return a number of parameters as names of models state it, the same in every language.

    >>> compact(162_322_944), compact(8_977_152), compact(640)
    ('162M', '8.98M', '640')
    """
    return _in_units(number, _COMPACT, "en", "")


def number(value: float, lang: str = "en") -> str:
    """Return a number without a unit; as a power of ten from a million on and below 0.001.

    >>> number(1234.5), number(0.0999), number(1234567), number(2e-7)
    ('1,235', '0.0999', '1.2e6', '2e-7')
    """
    if not math.isfinite(value):
        return _not_finite(value)
    if value and not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return _written(_rounded(Decimal(str(value)), DIGITS), lang)


def ratio(value: float, lang: str = "en") -> str:
    """Return a ratio of two measurements with two significant digits, hundredths below 2, where they count.

    >>> ratio(1.0372), ratio(3.912), ratio(80.48), ratio(633.33), ratio(0.9)
    ('1.04', '3.9', '80', '630', '0.9')
    """
    if not math.isfinite(value):
        return _not_finite(value)
    exact = Decimal(str(value))
    step = Decimal("0.01") if Decimal("0.1") <= abs(exact) < 2 else Decimal(1).scaleb(exact.adjusted() - 1)
    rounded = (exact / step).to_integral_value(ROUND_HALF_UP) * step
    whole = rounded.to_integral_value()
    return _written(whole if whole == rounded else rounded.normalize(), lang)


def _in_units(value: float, units: Sequence[tuple[Decimal, str]], lang: str, gap: str) -> str:
    if not math.isfinite(value):
        return _not_finite(value)
    scaled, unit = _scaled(value, units, DIGITS)
    return f"{_written(scaled, lang)}{gap}{unit}"


def _scaled(value: float, units: Sequence[tuple[Decimal, str]], digits: int) -> tuple[Decimal, str]:
    """Return a value in the largest unit in which it is at least 1 once rounded, or in the smallest."""
    exact = Decimal(str(value))
    for factor, unit in reversed(units):
        rounded = _rounded(exact / factor, digits)
        if abs(rounded) >= 1:
            return rounded, unit
    return rounded, units[0][1]


def _rounded(exact: Decimal, digits: int) -> Decimal:
    """Round to significant digits, half away from zero, without trailing zeros; the whole part stays."""
    decimals = max(digits - 1 - exact.adjusted(), 0)
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    whole = rounded.to_integral_value()
    return whole if whole == rounded else rounded.normalize()  # CLDR says "1 hour", but "1.0 hours"


def _written(value: Decimal, lang: str) -> str:
    return format_decimal(value, format=_pattern(), locale=_locale(lang))


def _not_finite(value: float) -> str:
    return "–" if math.isnan(value) else "∞" if value > 0 else "-∞"


@lru_cache(maxsize=8)
def _locale(lang: str) -> Locale:
    """Return a language of CLDR; babel.UnknownLocaleError for one that it does not know."""
    return Locale.parse(lang)


@lru_cache(maxsize=1)
def _pattern() -> NumberPattern:
    """Return how numbers are written: groups of three, every decimal that is left, no zeros after the last."""
    return parse_pattern("#,##0.############")
