"""One text that tries everything, and a look through every element of a page for what of it was not escaped."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

TEXT = (
    "<img src=x onerror=alert(1)> **bold** [x](javascript:alert(1)) $latex$ :red[y] `code` ~~gone~~ <b>b</b> "
    "&amp; \"quoted\" 'single' \u202eback"
)
NAME = TEXT.replace("/", "∕")  # as a folder may be called
MARKDOWN = {
    "html": r"<(?:img|b)\b",
    "bold": r"\*\*bold",
    "link": r"\[x\]\(",
    "formula": r"\$latex",
    "colour": r":red\[",
    "code": r"`code",
    "strike": r"~~gone",
    "entity": r"&amp;",
}
# What Streamlit shows letter for letter: (type of the element's proto, field); "*" is every field.
PLAIN = {
    ("Text", "body"),
    ("Code", "code_text"),
    ("TextArea", "default"),
    ("TextArea", "value"),
    ("TextArea", "placeholder"),
    ("TextInput", "default"),
    ("TextInput", "value"),
    ("TextInput", "placeholder"),
    ("Selectbox", "options"),
    ("Selectbox", "raw_value"),
    ("BidiComponent", "*"),
    ("VegaLiteChart", "*"),
    ("Arrow", "*"),
    ("Dataframe", "*"),
    ("FileUploader", "*"),
}
NOT_SHOWN = {"id", "form_id", "element_hash", "url", "user_key", "url_path", "page_script_hash"}
TAGS = frozenset(
    {
        "a",
        "b",
        "bdi",
        "br",
        "button",
        "caption",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "h2",
        "h3",
        "h4",
        "li",
        "ol",
        "p",
        "small",
        "span",
    }
    | {"strong", "style", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul"}
)
ATTRIBUTES = frozenset(
    {"class", "id", "title", "style", "scope", "colspan", "rowspan", "lang", "href", "target", "rel", "value", "open"}
    | {"aria-expanded", "aria-haspopup", "aria-hidden", "aria-label", "data-figure", "data-source", "role", "type"}
    | {"data-at", "data-each", "data-models", "data-said"}
)
REVERSING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def unescaped(at: AppTest) -> list[str]:
    """List what of the hostile text a page would interpret, with the element it stands in."""
    found: list[str] = []
    for kind, field, text in strings(at):
        if kind == "Html":
            found += [f"html: {said} in {text[:300]!r}" for said in strange(text)]
        elif (kind, field) == ("PlotlyChart", "spec"):
            found += [f"plotly: {said[:300]!r}" for said in drawn(json.loads(text)) if "<img" in said or "<b>b" in said]
            continue
        elif (kind, field) not in PLAIN and (kind, "*") not in PLAIN:
            found += [f"{kind}.{field}: {name} in {text[:300]!r}" for name in interpreted(text)]
        if (kind, "*") not in PLAIN and (kind, field) not in PLAIN and REVERSING.search(text):
            found.append(f"{kind}.{field}: a sign that reverses the line in {text[:300]!r}")
    return found


def holds(at: AppTest, sign: str) -> bool:
    """Tell whether a page shows a piece of text at all, however it is escaped: without it nothing is proved."""
    return any(sign in text.replace("\\", "") for _, _, text in strings(at))


def interpreted(text: str) -> list[str]:
    """List which marks of the hostile text Markdown would take for its own: those without a backslash."""
    return [name for name, mark in MARKDOWN.items() if re.search(rf"(?<!\\)(?:\\\\)*(?<!\\){mark}", text)]


def strange(html: str) -> list[str]:
    """List elements, attributes, addresses and stray signs in HTML that are none of ours."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    stray = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    stray = re.sub(r"</?[a-z][a-z0-9]*(?: [a-z-]+(?:=\"[^\"<>]*\")?)*>", "", stray)
    return reader.found + [f"a stray {sign}" for sign in ("<", ">") if sign in stray] + [
        "a stray &" for _ in re.findall(r"&(?!(?:amp|lt|gt|quot|#x27|#39|nbsp);)", stray)
    ]  # fmt: skip


def strings(at: AppTest) -> Iterator[tuple[str, str, str]]:
    """Walk every string of every element and block of a page: type, field, text."""
    for node in (*at.main, *at.sidebar):
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            yield from _fields(proto, proto.DESCRIPTOR.name)


def drawn(spec: Any) -> Iterator[str]:
    """Walk the strings that plotly draws, of which it interprets a few elements of HTML and nothing of Markdown."""
    if isinstance(spec, dict):
        for name, value in spec.items():
            yield from drawn(value) if name != "legendgroup" else ()  # a key
    elif isinstance(spec, list):
        for value in spec:
            yield from drawn(value)
    elif isinstance(spec, str):
        yield spec


def _fields(proto: Message, kind: str) -> Iterator[tuple[str, str, str]]:
    for field, value in proto.ListFields():
        if field.name in NOT_SHOWN:
            continue
        for one in _each(value):
            if isinstance(one, str):
                yield kind, field.name, one
            elif isinstance(one, Message):
                yield from _fields(one, one.DESCRIPTOR.name if kind != "BidiComponent" else kind)


def _each(value: Any) -> list[Any]:
    if isinstance(value, str | bytes | Message) or not hasattr(value, "__iter__"):
        return [value]
    return list(value.values()) if hasattr(value, "values") else list(value)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name not in ATTRIBUTES:
                self.found.append(f"{tag} {name}=")
            if name == "href" and not (value or "").startswith("https://"):
                self.found.append(f"href {value!r}")
