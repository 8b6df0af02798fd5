"""Check the shared pieces one by one: exports, numbers, sentences, the document's head, the launcher."""

import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from models.errors import PromptError
from models.records.trace import NamedArray
from pages.shared import figure, figure_menu, notices, proof, site
from pages.shared.document import DocumentHead
from pages.shared.words import content, i18n, units


def matrix() -> NamedArray:
    """Return a small array with names."""
    return NamedArray(np.arange(6, dtype=np.float32).reshape(2, 3) / 7, ("query", "key"))


def test_one_array_is_exported_as_csv_with_its_indices() -> None:
    rows = list(csv.reader(io.StringIO(figure_menu.to_csv({"a": matrix()}).decode())))
    assert rows[0] == ["query", "key", "value"]
    assert len(rows) == 7
    for query, key, value in rows[1:]:
        assert np.float32(value) == matrix().values[int(query), int(key)]


def test_several_arrays_are_exported_as_a_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(figure_menu.to_csv({"a": matrix(), "b": matrix()}))) as archive:
        assert archive.namelist() == ["a.csv", "b.csv"]


def test_npz_holds_the_arrays_and_their_names() -> None:
    with np.load(io.BytesIO(figure_menu.to_npz({"a": matrix()}))) as loaded:
        assert np.array_equal(loaded["a"], matrix().values)
        assert loaded["a.dims"].tolist() == ["query", "key"]


def test_names_of_an_imported_run_stay_names() -> None:
    data = {"../../a": matrix(), "b` ![x](https://e.example/p.png) `": matrix()}
    with zipfile.ZipFile(io.BytesIO(figure_menu.to_csv(data))) as archive:
        assert not [name for name in archive.namelist() if "/" in name or "`" in name]
    assert [figure._literal(name) for name in data] == ["../../a", "b' ![x](https://e.example/p.png) '"]


@pytest.mark.parametrize(
    ("value", "text"), [(2.1e-6, "2.1e-6"), (0.0, "0.0e0"), (3.14e-12, "3.1e-12"), (float("nan"), "nan")]
)
def test_small_numbers(value: float, text: str) -> None:
    assert proof.scientific(value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1,023 B"), (44032, "43 KiB"), (2**20, "1 MiB"), (2**37, "128 GiB")]
)
def test_bytes(count: int, text: str) -> None:
    assert units.size(count) == text


def test_a_missing_word_is_an_error_in_tests_and_a_key_in_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(i18n.MissingWordError):
        i18n.say("en", "no.such.key")
    with pytest.raises(i18n.MissingWordError):
        i18n.say("en", "frame.device", name="CPU")
    monkeypatch.delenv(i18n.STRICT_VARIABLE)
    assert i18n.say("en", "no.such.key") == "no.such.key"


@pytest.mark.parametrize("entry", ["a.b: {en: x}", "a.b: {en: x, ko: ''}", "a.b: x", "a.b: {en: x, ko: y, fr: z}"])
def test_a_word_without_a_sentence_in_each_language_is_named(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text(entry, encoding="utf-8")
    monkeypatch.setattr(i18n, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"a\.yaml: 'a\.b' needs a sentence in each of en, ko"):
        i18n.pairs.__wrapped__()


def test_a_sentence_quotes_a_visitor_without_markup() -> None:
    assert notices.plain("a*b [c](d) $x$ :red[y] <b>") == r"a\*b \[c\]\(d\) \$x\$ \:red\[y\] \<b\>"


def test_an_error_finds_its_sentence_by_its_whole_key() -> None:
    assert notices.sentence(PromptError("errors.prompt_empty", "english")) == i18n.say("en", "errors.prompt_empty")
    assert notices.sentence(PromptError("prompt_empty", "english")) == "english"


def test_an_error_without_a_sentence_speaks_for_itself() -> None:
    assert notices.sentence(PromptError("errors.no_such_error", "the text is odd")) == "the text is odd"


def test_a_missing_section_is_an_error() -> None:
    with pytest.raises(content.ContentError):
        content.section("mamba", "no.such.section", lang="en")
    assert content.section("mamba", "no.such.section", lang="en", optional=True) == ""


def test_every_record_of_the_assets_is_read_with_its_fields() -> None:
    figures = [content.figure_facts(key) for key in content.figure_ids()]
    assert all({*facts.name} == {*facts.aggregation} == {*facts.normalisation} == {*i18n.LANGS} for facts in figures)
    assert all(content.paper(facts.paper).url.startswith("https://") for facts in figures if facts.paper)
    assert all(isinstance(content.paper(key).year, int) for key in content.table("papers"))
    for page in site.KEYS:
        assert all({*one.text} == {*one.label} == {*one.watch} == {*i18n.LANGS} for one in content.examples(page))
    assert content.examples("mamba")[-1] == content.examples("general")[-1]
    assert content.first_example("ko") == content.examples("general")[0].text["ko"]


@pytest.mark.parametrize(
    "change",
    [{"colour": "red"}, {"formula": None}, {"words": {"quantity": {"en": "weight"}}}],
    ids=["a field nobody reads", "a field less", "a word without Korean"],
)
def test_a_record_with_wrong_fields_names_file_and_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict
) -> None:
    read = content.figure_facts.__wrapped__  # without its cache
    entry = yaml.safe_load((content.FIGURES / "head_matrix.yaml").read_text("utf-8")) | change
    entry = {key: value for key, value in entry.items() if value}
    (tmp_path / "planted.yaml").write_text(yaml.safe_dump(entry), "utf-8")
    monkeypatch.setattr(content, "FIGURES", tmp_path)
    monkeypatch.setattr(content, "figure_ids", lambda: {"planted"})
    with pytest.raises(content.ContentError, match=r"assets/figures/planted\.yaml: .*(colour|formula|quantity)"):
        read("planted")
    with pytest.raises(content.ContentError, match=r"assets/figures has no nowhere\.yaml"):
        read("nowhere")


def test_words_that_two_files_hold_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of assets/words may not be a word of a figure, too: one would silently win."""
    words = "viz.head_matrix.alt:\n  en: one\n  ko: 하나\n"
    (tmp_path / "viz.yaml").write_text(words, "utf-8")
    monkeypatch.setattr(i18n, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"figures/head_matrix\.yaml: 'viz\.head_matrix\.alt' stands in another file"):
        i18n.pairs.__wrapped__()
    (tmp_path / "viz.yaml").write_text(words.replace("head_matrix", "nobody"), "utf-8")
    found = i18n.pairs.__wrapped__()
    assert found["viz.nobody.alt"]["ko"] == "하나" and found["viz.head_matrix.alt"]["en"].startswith("Attention")


def test_the_head_of_documents_is_ours_and_nothing_else_changes() -> None:
    page = "<html><head><title>Streamlit</title></head></html>"
    routes = [
        Route("/", lambda _: HTMLResponse(page)),
        Route("/data", lambda _: JSONResponse({"title": "<title>Streamlit</title>"})),
    ]
    client = TestClient(Starlette(routes=routes, middleware=[Middleware(DocumentHead)]))
    shown = client.get("/", headers={"accept": "text/html"})
    assert "<title>Contextscope</title>" in shown.text
    assert int(shown.headers["content-length"]) == len(shown.content)
    assert client.get("/", headers={"accept": "*/*"}).text == page
    assert client.get("/data", headers={"accept": "text/html"}).json() == {"title": "<title>Streamlit</title>"}


def test_the_document_knows_every_page() -> None:

    pattern = re.search(r"\(([a-z|-]+)\)\\/\?\$/", DocumentHead(Starlette()).head)
    assert pattern is not None
    assert set(pattern[1].split("|")) == set(site.KEYS[1:])


def test_streamlit_still_has_the_place_where_our_head_goes() -> None:
    from pathlib import Path

    import streamlit

    index = Path(streamlit.__file__).parent / "static" / "index.html"
    assert "<title>Streamlit</title>" in index.read_text(encoding="utf-8")
