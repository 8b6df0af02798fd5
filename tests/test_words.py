"""Check the words: both languages say the same things, every figure is defined, every pointer points somewhere."""

import re
import string
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pages.shared import site
from pages.shared.words import content, i18n
from viz.gallery.figures import every

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
LANGS = ("en", "ko")
LEARN = ("transformer", "mamba", "rwkv", "jamba")
PAGES = site.KEYS
CHAPTER_WORDS = 120

CHAPTERS = {
    "transformer": ("head_logits", "head_mosaic", "value_norm_matrix"),
    "mamba": ("dt_map", "state_slice", "hidden_attention"),
    "rwkv": ("half_life_spectrum", "effective_attention", "receptance_map"),
    "jamba": ("expert_lanes", "router_bars", "hybrid_stack"),
    "recall": ("recall_against_bytes", "recall_example", "expectations"),
}
HOOD = {
    "mamba": ("half_life", "channel_matrix"),
    "rwkv": ("wkv_film", "channel_matrix"),
    "jamba": ("head_matrix", "state_film"),
    "overview": ("training_curves",),
    "recall": ("recall_seeds", "training"),
    "benchmark": ("largest_batch", "pareto", "achieved", "launches", "energy", "sentinel_strip"),
}
NO_FIGURES = {"expectations", "training"}  # a table, and a section of several things
OTHERS = ("head_matrix", "state_film", "decay_curves", "layer_ribbon", "four_machines", "carried_bytes", "growth",
          "training_curves", "memory_vs_context", "decode_vs_context", "prefill_vs_context")  # fmt: skip
FIGURES = sorted(
    {*OTHERS, *(f for table in (CHAPTERS, HOOD) for figures in table.values() for f in figures)} - NO_FIGURES
)
SECTIONS = ("title", "tagline", "promise", "check")
RAISED = r"(?:Prompt|Source|Setting|Cell|Contextscope)Error\(\s*\"errors\.(\w+)\""
COLUMNS = ("context", "time_complexity", "speed", "parameter_efficiency", "memory")


@cache
def load(name: str) -> Any:
    """Read assets/<name>.yaml."""
    return yaml.load((ASSETS / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def sections(lang: str, page: str) -> dict[str, str]:
    """Split a page's words at its headings; a heading that occurs twice fails."""
    text = (ASSETS / "content" / lang / f"{page}.md").read_text(encoding="utf-8")
    pieces = re.split(r"^## +(\S+)\s*$", text, flags=re.MULTILINE)
    keys = pieces[1::2]
    assert len(keys) == len(set(keys)), f"{lang}/{page}: a heading occurs twice"
    return {key: body.strip() for key, body in zip(keys, pieces[2::2], strict=True)}


def placeholders(sentence: str) -> set[str]:
    """List the values a sentence takes."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def bilingual(entry: Any) -> bool:
    """Tell whether an entry has words in every language."""
    return isinstance(entry, dict) and all(isinstance(entry.get(lang), str) and entry[lang].strip() for lang in LANGS)


def is_a_place(lang: str, place: str) -> bool:
    """Tell whether a pointer names a figure, or a section with a title of a page (page#section)."""
    page, _, key = place.partition("#")
    costs = key == "cost" and "cost.text" in sections(lang, page)
    return costs or f"{key}.title" in sections(lang, page) if key else (ASSETS / "figures" / f"{place}.yaml").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_same_sections_in_both_languages(page: str) -> None:
    assert list(sections("en", page)) == list(sections("ko", page))


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_every_section_and_none_is_empty(lang: str, page: str) -> None:
    words = sections(lang, page)
    wanted = [*SECTIONS]
    wanted += [f"chapter{n}.{part}" for n in (1, 2, 3) for part in ("title", "text", "try") if page in CHAPTERS]
    wanted += ["hero.see", "hero.try"] * (page != "benchmark") + ["cost.text"] * (page in LEARN)
    wanted += [f"hood.{figure}.{part}" for figure in HOOD.get(page, ()) for part in ("title", "text")]
    assert [key for key in wanted if not words.get(key)] == []
    assert [key for key, body in words.items() if not body] == []


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("page", PAGES)
def test_a_text_is_short(lang: str, page: str) -> None:
    lengths = {key: len(body.split()) for key, body in sections(lang, page).items() if key != "check"}
    assert {key: n for key, n in lengths.items() if n > CHAPTER_WORDS} == {}


@pytest.mark.parametrize("page", LEARN)
@pytest.mark.parametrize("lang", LANGS)
def test_a_chapter_asks_one_question(page: str, lang: str) -> None:
    titles = [sections(lang, page)[f"chapter{n}.title"] for n in (1, 2, 3)]
    assert all(title.endswith("?") and title.count("?") == 1 for title in titles)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("page", PAGES)
def test_every_question_points_to_a_figure(lang: str, page: str) -> None:
    lines = [line.strip() for line in sections(lang, page)["check"].splitlines() if line.strip()]
    asked, places, answers = lines[::3], lines[1::3], lines[2::3]
    assert len(asked) == len(places) == len(answers) >= 3
    assert all(line.startswith("= ") for line in answers)
    assert all(line.startswith("- ") and line.endswith(("?", ".")) for line in asked)
    assert [line for line in places if not is_a_place(lang, line.removeprefix("→ "))] == []


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize(
    ("page", "number", "place"),
    [("mamba", 2, "benchmark#table"), ("benchmark", 2, "largest_batch"), ("overview", 0, "four_machines")],
)
def test_a_question_points_to_what_answers_it(lang: str, page: str, number: int, place: str) -> None:
    """Quality stands in the comparison table, a gain by batch in the figure of the largest batch."""
    lines = [line.strip() for line in sections(lang, page)["check"].splitlines() if line.strip()]
    assert lines[1::3][number] == f"→ {place}"
    assert not is_a_place(lang, "benchmark#nowhere") and not is_a_place(lang, "no_figure")


@pytest.mark.parametrize("page", PAGES)
def test_questions_point_to_the_same_figures_in_both_languages(page: str) -> None:
    pointers = [re.findall(r"^\s*→ (\S+)$", sections(lang, page)["check"], flags=re.MULTILINE) for lang in LANGS]
    assert pointers[0] == pointers[1]


@pytest.mark.parametrize("figure", sorted({*FIGURES, *every()}))
def test_a_figure_is_defined(figure: str) -> None:
    entry = load(f"figures/{figure}")
    assert all(bilingual(entry[field]) for field in ("name", "aggregation", "normalisation"))
    assert "note" not in entry or bilingual(entry["note"])
    for lang in LANGS:
        formula, inline = (content.spoken(entry[field], lang) for field in ("formula", "inline"))
        assert formula.strip() and formula.count("{") == formula.count("}")
        assert re.fullmatch(r".+", inline)
    assert re.fullmatch(r"\(\w+(, \w+)*,?\)", entry["shape"])
    assert "paper" not in entry or entry["paper"] in load("papers")


def test_papers_can_be_found() -> None:
    for key, entry in load("papers").items():
        assert {"authors", "year", "title", "id", "url"} == set(entry), key
        assert isinstance(entry["year"], int), key
        assert entry["url"].startswith("https://"), key
        assert entry["id"] is None or (re.fullmatch(r"\d{4}\.\d{5}", entry["id"]) and entry["id"] in entry["url"]), key


@pytest.mark.parametrize("page", ["general", *LEARN])
def test_there_are_examples(page: str) -> None:
    examples = load("presets")[page]
    assert examples
    for example in examples:
        assert re.fullmatch(r"[a-z_]+", example["id"])
        assert all(bilingual(example[field]) for field in ("label", "text", "watch"))
        assert all(12 <= len(example["text"][lang].split()) <= 60 for lang in LANGS), example["id"]


def test_example_names_are_unique() -> None:
    ids = [example["id"] for examples in load("presets").values() for example in examples]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("architecture", LEARN)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_published_value_names_its_claims_and_source(architecture: str, column: str) -> None:
    cell = load("comparison")[architecture][column]
    truths = {claim["id"]: claim for claim in load("claims")}
    claims = {name: claim["verdict"] for name, claim in truths.items()}
    assert bilingual(cell)
    assert cell["source"]
    assert cell["claims"]
    assert [claim for claim in cell["claims"] if claim not in claims] == []
    assert [claim for claim in cell["claims"] if claims[claim] == "unverifiable"] == []
    for claim in cell["claims"]:
        assert re.search("[가-힣]", truths[claim]["truth_ko"])
        assert set(re.findall(r"\d+\.\d+", truths[claim]["truth_ko"])) == set(
            re.findall(r"\d+\.\d+", truths[claim]["truth_en"])
        )


def test_claims_have_the_verdicts_we_explain() -> None:
    claims = load("claims")
    assert {claim["verdict"] for claim in claims} == {"confirmed", "qualified", "corrected", "unverifiable"}
    assert all(claim["truth_en"] and claim["source"] for claim in claims)


def test_a_sentence_takes_the_same_values_in_both_languages() -> None:
    assert [key for key, pair in i18n.pairs().items() if placeholders(pair["en"]) != placeholders(pair["ko"])] == []


@pytest.mark.parametrize("path", sorted((ASSETS / "words").glob("*.yaml")), ids=lambda path: path.name)
def test_a_file_of_words_holds_the_keys_that_begin_with_its_name_each_once(path: Path) -> None:
    keys = re.findall(r"^([^\s#][^:]*):", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [key for key in keys if key.split(".")[0] != path.stem] == []
    assert sorted(keys) == sorted(set(keys))
    assert set(keys) <= i18n.pairs().keys()


@pytest.mark.parametrize("path", sorted((ASSETS / "figures").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_of_a_figure_holds_each_key_once(path: Path) -> None:
    """A parser keeps the last of two equal keys and says nothing."""
    tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    assert twice(tree) == []
    assert twice(yaml.compose("a: 1\nb:\n  c: 1\n  c: 2\n", Loader=yaml.CSafeLoader)) == ["c"]


def twice(node: yaml.Node) -> list[str]:
    """List the keys that a mapping of a YAML document, at any depth, has more than once."""
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = [key.value for key, _ in node.value]
    return [key for key in set(keys) if keys.count(key) > 1] + [key for _, value in node.value for key in twice(value)]


def test_every_error_of_the_models_has_a_sentence() -> None:
    raised: set[str] = set()
    for path in (ROOT / "models").rglob("*.py"):
        raised |= set(re.findall(RAISED, path.read_text(encoding="utf-8")))
    assert raised
    assert [key for key in sorted(raised) if f"errors.{key}" not in i18n.pairs()] == []


@pytest.mark.parametrize("folder", ["models", "pages"])
def test_every_error_names_its_whole_key(folder: str) -> None:
    """One dialect: "errors.x" everywhere, never "x"."""
    bare = [
        f"{path.relative_to(ROOT)}: {key}"
        for path in (ROOT / folder).rglob("*.py")
        for key in re.findall(
            r"(?:Prompt|Source|Setting|Cell|Contextscope)Error\(\s*\"(?!errors\.)(\w[^\"]*)", path.read_text()
        )
    ]
    assert bare == []


@pytest.mark.parametrize("lang", LANGS)
def test_no_text_promises_that_delta_marks_what_matters(lang: str) -> None:
    for page in PAGES:
        assert not re.search(r"spike", " ".join(sections(lang, page).values()), flags=re.IGNORECASE)


@pytest.mark.parametrize(
    "path", sorted((ASSETS / "content").glob("*/*.md")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_no_text_is_struck_through(path: Path) -> None:
    """Two tildes in a paragraph, as of Korean ranges, are Markdown for a line through what stands between them."""
    paragraphs = path.read_text(encoding="utf-8").split("\n\n")
    assert [text[:80] for text in paragraphs if text.count("~") > 1] == []
