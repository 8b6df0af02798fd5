"""The line under the carried bytes: formula and live tensors agree only where they do, for every model."""

from types import SimpleNamespace

import pytest

from models.records.trace import Token
from pages.shared import layout
from pages.shared.words import i18n


def trace(counted: int, formula: int) -> SimpleNamespace:
    words = tuple(Token(n, n, "a", n, n + 1) for n in range(3))
    return SimpleNamespace(cache_bytes=counted, cache_bytes_formula=formula, tokens=words)


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize(
    ("pairs", "agree"),
    [([(8, 8)], True), ([(8, 9)], False), ([(9, 8)], False), ([(8, 8), (5, 5)], True), ([(8, 8), (5, 6)], False),
     ([(7, 6), (5, 5)], False)],
)  # fmt: skip
def test_the_formula_is_said_to_agree_only_where_it_does(monkeypatch, lang: str, pairs, agree: bool) -> None:
    monkeypatch.setattr(layout, "t", i18n.translator(lang))
    said = layout._cache_note([trace(*pair) for pair in pairs])
    agrees, differs = (i18n.say(lang, f"layout.formula_{name}") for name in ("agrees", "differs"))
    assert agrees != differs
    assert said.endswith(agrees if agree else differs)
    assert (agrees in said, differs in said) == (agree, not agree)
