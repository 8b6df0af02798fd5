"""Hold the one way of writing bytes, durations and counts to known answers."""

import doctest
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from models import units
from viz.look import labels

BINARY = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}


def test_the_examples_of_the_docstrings_hold() -> None:
    found = doctest.testmod(units)
    assert found.attempted >= 6 and found.failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"), (1, "1 B"), (1023, "1,023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (7680, "7.5 KiB"),
        (44032, "43 KiB"), (100.4 * 1024, "100 KiB"), (1000 * 2**10, "1,000 KiB"), (1023 * 2**10, "1,023 KiB"),
        (2**20 - 1, "1 MiB"), (300 << 20, "300 MiB"), (2**37, "128 GiB"), (2**62, "4,096 PiB"), (-1536, "-1.5 KiB"),
    ],
)  # fmt: skip
def test_sizes(value: float, text: str) -> None:
    assert units.size(value) == text == units.size(value, "ko")


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999 B"), (999.6e3, "1 MB"), (12_300, "12.3 kB"), (125e6, "125 MB"), (1.494e9, "1.49 GB"), (2e12, "2 TB")],
)
def test_decimal_sizes(value: float, text: str) -> None:
    assert units.decimal_size(value) == text


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [
        (0, "0 s", "0초"), (3e-6, "3 µs", "3μs"), (0.0125, "12.5 ms", "12.5ms"), (0.99996, "1 s", "1초"),
        (2.5, "2.5 s", "2.5초"), (59.99, "1 min", "1분"), (90, "1.5 min", "1.5분"), (3600, "1 h", "1시간"),
        (9000, "2.5 h", "2.5시간"), (4e6, "1,111 h", "1,111시간"),
    ],
)  # fmt: skip
def test_durations(seconds: float, english: str, korean: str) -> None:
    assert (units.duration(seconds), units.duration(seconds, "ko")) == (english, korean)


def test_an_estimate_has_two_digits_and_keeps_its_whole_part() -> None:
    assert [units.duration(s, digits=2) for s in (0.123, 8.34, 48.4, 185, 1234)] == [
        "123 ms", "8.3 s", "48 s", "3.1 min", "21 min"]  # fmt: skip


def test_long_durations_know_one_from_many() -> None:
    assert [units.duration(s, length="long") for s in (1, 600, 3600, 5471.3)] == [
        "1 second", "10 minutes", "1 hour", "1.52 hours"]  # fmt: skip
    assert units.duration(600, "ko", length="long") == "10분"


def test_counts() -> None:
    assert [units.count(n, lang) for n in (0, 999, 1234567, -1024) for lang in ("en", "ko")] == [
        "0", "0", "999", "999", "1,234,567", "1,234,567", "-1,024", "-1,024"]  # fmt: skip
    assert units.count(1234567, "de") == "1.234.567", "separators are those of the language, not ours"
    assert [units.compact(n) for n in (0, 999, 9996, 123_456, 999_900_000, 2.8e9, 1e12)] == [
        "0", "999", "10K", "123K", "1B", "2.8B", "1T"]  # fmt: skip


@pytest.mark.parametrize("write", [units.size, units.decimal_size, units.duration, units.compact, units.number])
def test_what_is_no_number_is_not_written_as_one(write) -> None:
    assert [write(value) for value in (math.nan, math.inf, -math.inf)] == ["–", "∞", "-∞"]


def test_no_language_is_guessed() -> None:
    with pytest.raises(Exception, match="xx"):
        units.count(1, "xx")


@given(some.integers(0, 2**55))
def test_a_size_says_what_was_counted(count: int) -> None:
    """Read the text back: it is right to half a unit of its third digit, and its unit is the largest that fits."""
    text, unit = units.size(count).split(" ")
    read = Decimal(text.replace(",", "")) * BINARY[unit]
    assert abs(read - count) <= Decimal(count) / 200
    assert unit == "B" or read >= BINARY[unit]
    assert unit == "PiB" or Decimal(text.replace(",", "")) < 1024


def test_figures_write_by_the_same_rule() -> None:
    assert (labels.size(44032), labels.seconds(0.0125), labels.short(0.0999)) == ("43 KiB", "12.5 ms", "0.0999")


def test_the_data_of_a_language_is_read_once() -> None:
    units.size(1, "ko")
    before = units._locale.cache_info().misses
    assert units.size(2048, "ko") == "2 KiB" and units.duration(1, "ko") == "1초"
    assert units._locale.cache_info().misses == before
