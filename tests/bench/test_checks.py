"""The checks of the benchmark page: each value with a mark and a word, notes with live numbers, both languages."""

import copy
import re

import pytest
from streamlit.testing.v1 import AppTest

from models import published
from models.counting import accounting
from pages.compare.benchmark import checks
from pages.shared.words import i18n

LOCALES = {"en": "en-US", "ko": "ko-KR"}


def drawn(lang):
    """Draw the part alone; returns its words and its HTML."""

    def page():
        from pages.compare.benchmark import checks

        checks.checks()

    checks._kept.clear()  # what is counted is counted here
    at = AppTest.from_function(page, default_timeout=60)
    at.context = {"locale": LOCALES[lang]}
    at.run()
    assert [error.value for error in at.exception] == []
    return at.markdown[0].value, "".join(element.proto.body for element in at.get("html"))


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_every_value_has_a_mark_and_a_word(lang):
    text, html = drawn(lang)
    marks = re.findall(r'<td class="cs-(\w+)"><span aria-hidden="true">(.)</span> ([^<]+)', html)
    words = {state: i18n.say(lang, f"checks.state.{state}") for state in published.STATES}
    assert marks.count(("agrees", "✓", words["agrees"])) == 72
    assert marks.count(("explained", "≠", words["explained"])) == 12
    assert len(marks) == 84
    assert i18n.say(lang, "checks.tally", agrees=72, explained=12, differs=0) in text


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_notes_hold_recounted_numbers(lang):
    _, html = drawn(lang)
    notes = re.findall(r'<li value="(\d)">(.+?)</li>', html)
    assert [number for number, _ in notes] == ["1", "2", "3"]
    heads, look_up, cut = (note.replace("\N{NO-BREAK SPACE}", " ") for _, note in notes)
    assert all(number in heads for number in ("126", "252"))
    assert all(number in look_up for number in ("3.385 × 10⁸", "2.613 × 10⁸"))
    assert all(number in cut for number in ("70.554", "405.853", "398.555"))


def test_a_value_that_differs_is_marked_so(monkeypatch):
    monkeypatch.setattr(accounting, "kv_bytes", lambda shape, **_: 5 * 2**30)
    text, html = drawn("en")
    assert html.count('<td class="cs-differs"><span aria-hidden="true">✕</span> differs</td>') == 13
    assert "13 without one" in text
    assert '<li value="1">' not in html  # no heads explain this


def test_a_table_that_no_note_explains_needs_none(monkeypatch):
    only = {"mamba": copy.deepcopy(dict(published._published())["mamba"])}
    monkeypatch.setattr(published, "_published", lambda: only)
    _, html = drawn("en")
    assert "<ol" not in html
    assert "all 15 agree" in html


@pytest.mark.parametrize(
    ("value", "written"),
    [("1.693e8", "1.693 × 10⁸"), ("2.778e10", "2.778 × 10¹⁰"), ("46080", "46,080"), ("6.7", "6.7")],
)
def test_values_are_written_for_people(value, written):
    assert checks.value_text(value).replace("\N{NO-BREAK SPACE}", " ") == written


def test_every_note_of_the_tables_has_its_place():
    assert {check.note for table in published.recount() for check in table.checks} <= {None, *checks.NOTES}
