"""The builder escapes by construction, and nothing else on the pages makes HTML."""

import doctest
import re
from pathlib import Path

import hostile
import pytest

from pages.shared import html

ROOT = Path(__file__).resolve().parents[2]
# Style sheets, the empty roots of components, the head of the document, the curves of a badge (numbers alone), and the
# card of a figure, which test_hostile_text.py looks at.
OTHERS = {
    *(
        f"pages/shared/{name}.py"
        for name in (
            "style",
            "canvas",
            "hero",
            "mechanism",
            "document",
            "figure",
            "ranking",
            "finder",
            "first_screen",
            "ticker",
            "reading_bar",
            "proof",
        )
    ),
    *(f"pages/compare/{name}/page.py" for name in ("benchmark", "recall")),
}


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(html).attempted > 0
    assert doctest.testmod(html).failed == 0


@pytest.mark.parametrize(
    "make",
    [
        html.text,
        lambda text: html.element("p", text),
        lambda text: html.element("p", html.element("b", text), text, [text, (text,)]),
        lambda text: html.element("p", "x", title=text, class_=text),
        lambda text: html.table([html.row(text, html.heading(text))], kind=text, head=[text], caption=text),
        lambda text: html.title(text, text, anchor=text),
        lambda text: html.badge(text, text, text),
        lambda text: html.scrolling(html.named(text)),
        lambda text: html.element("p", html.element("b", "x") + text),
        lambda text: html.element("p", f"{html.element('b', 'x')}{text}"),
    ],
    ids=["text", "child", "nested", "attribute", "table", "title", "badge", "name", "joined", "formatted"],
)
def test_whatever_is_text_is_escaped(make) -> None:
    made = make(hostile.TEXT)
    assert hostile.strange(made) == []
    assert "onerror" in made
    assert not hostile.REVERSING.search(made)


def test_markup_of_ours_is_kept_and_joining_it_makes_it_text_again() -> None:
    bold = html.element("b", "1 < 2")
    assert bold == "<b>1 &lt; 2</b>"
    assert html.element("p", bold) == "<p><b>1 &lt; 2</b></p>"
    assert html.element("p", bold + "") == "<p>&lt;b&gt;1 &amp;lt; 2&lt;/b&gt;</p>", "safe rather than pretty"


def test_attributes() -> None:
    made = html.element("details", open=True, lang=None, aria_hidden="true", class_='a"b', value=3, hidden=False)
    assert made == '<details open aria-hidden="true" class="a&quot;b" value="3"></details>'
    assert html.element("br") == "<br>"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://x.example", "data:text/html,x", " https://x"])
def test_only_https_is_linked(address: str) -> None:
    with pytest.raises(ValueError, match="only https"):
        html.element("a", "x", href=address)
    assert html.element("a", "x", href="https://x.example/?a=1&b=2") == '<a href="https://x.example/?a=1&amp;b=2">x</a>'


def test_a_table_has_its_head_its_rows_and_groups() -> None:
    plain = html.table([html.row("a", html.element("td", "b", title="t"))], kind="k", head=("x", html.element("td")))
    assert plain == (
        '<table class="k"><thead><tr><th scope="col">x</th><td></td></tr></thead>'
        '<tbody><tr><td>a</td><td title="t">b</td></tr></tbody></table>'
    )
    groups = [html.element("tbody", html.row(name)) for name in "ab"]
    assert html.table(groups, kind="k").count("<tbody>") == 2
    assert html.table([], kind="k") == '<table class="k"><tbody></tbody></table>'


def test_letters_that_run_the_other_way_stay() -> None:
    assert html.forwards("\u05e9\u05dc\u202e\u2066x") == "\u05e9\u05dcx"


def test_no_page_writes_html_by_hand() -> None:
    """st.html is called by the builder alone, and no source holds an element."""
    found = []
    for path in sorted((ROOT / "pages").rglob("*.py")):
        name, source = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        if name == "pages/shared/html.py" or name in OTHERS:
            continue
        found += [f"{name}: {hit}" for hit in re.findall(r"st\.html\(|</[a-z]+>|<(?:td|th|tr|table)\b", source)]
    assert found == []
