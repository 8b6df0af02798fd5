"""Korean: particles follow the sound of the value before them, and formulas hold no English."""

import re
import string

import pytest

from pages.shared import site
from pages.shared.words import content, i18n, particles

# What stands in formulas of every language: functions, names of measures, weights of a model.
SYMBOLS = {
    *(
        "softmax",
        "softplus",
        "SiLU",
        "diag",
        "conv",
        "std",
        "wkv",
        "exp",
        "log",
        "ln",
        "min",
        "max",
        "median",
        "norm",
        "top",
    ),
    *("MBU", "MFU", "TTFT", "TPOT", "Mamba", "RWKV", "attn", "head", "kv", "num", "den", "mamba"),
}
OPEN = re.compile("|".join(map(re.escape, particles.forms())))


SPOKEN = {
    "closed": ("파일이름", "책", "0", 3, 6, 10, 100, "`3`", "config.json", "M", "N", "Berlin", "ping"),
    "rieul": ("파일", 1, 7, 8, "0.97", "model", "R", "L", "table"),
    "open": ("늑대", 2, 4, 5, 9, "1,024", "2.5", "56%", "67 KiB", "39 MB", "“여우”", "Mamba", "RWKV", "A",
             "mamba-130m-hf", "ㄱ", "?", "▸", ""),
}  # fmt: skip
FORMS = {
    "closed": ("은", "이", "을", "과", "으로", "이"),
    "rieul": ("은", "이", "을", "과", "로", "이"),
    "open": ("는", "가", "를", "와", "로", ""),
}


@pytest.mark.parametrize(("value", "sound"), [(value, sound) for sound, values in SPOKEN.items() for value in values])
def test_a_particle_follows_the_sound(value: object, sound: str) -> None:
    assert tuple(particles.chosen(pair, str(value)) for pair in particles.forms()) == FORMS[sound]
    assert particles.filled("{value}은(는) 그렇습니다", {"value": value}) == f"{value}{FORMS[sound][0]} 그렇습니다"


def test_a_sign_without_a_sound_leaves_it_to_the_word_before() -> None:
    assert particles.filled("신호 `{a}`이(가)", {"a": "▸"}) == "신호 `▸`가"
    assert particles.filled("물음 “{a}”이(가)", {"a": "…"}) == "물음 “…”이"


def test_a_value_that_holds_such_a_pair_is_left_alone() -> None:
    assert particles.filled("{a}은(는)", {"a": "은(는) 이(가)"}) == "은(는) 이(가)는"


@pytest.mark.parametrize("value", ["파일", "7", "Mamba", "x"])
def test_no_pair_is_left_on_any_page(value: str) -> None:
    """Whatever a page writes comes from the sentences, the texts of pages, or the files of figures."""
    for key, sentence in i18n.words("ko").items():
        values = {name: value for _, name, _, _ in string.Formatter().parse(sentence) if name}
        assert not OPEN.search(i18n.say("ko", key, **values)), key
    texts = [text for page in site.KEYS for text in content.sections("ko", page).values()]
    for figure in content.figure_ids():
        facts = content.figure_facts(figure)
        texts += [text["ko"] for text in (facts.name, facts.aggregation, facts.normalisation, facts.note) if text]
        texts += [text["ko"] for text in facts.hood.values()]
    texts += [
        text for page in site.KEYS for one in content.examples(page) for text in (one.label["ko"], one.watch["ko"])
    ]
    assert len(texts) > 200
    assert [text for text in texts if OPEN.search(text)] == []


def test_a_pair_is_chosen_wherever_words_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "words", lambda _: {"key": "모델 {name}을(를)"})
    monkeypatch.setattr(i18n.language, "current", lambda: "ko")
    assert i18n.t("key", name="Mamba") == i18n.say("ko", "key", name="Mamba") == "모델 Mamba를"


SHORT = {"of", "in", "or", "to", "at", "on", "by", "is", "as", "no"}


def english(formula: str) -> list[str]:
    """Find the English words in a formula: of three letters and more, or short ones; commands of LaTeX are none."""
    bare = re.sub(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+", " ", formula.replace(r"\_", "_")).replace("time_decay", " ")
    words = [part for word in re.findall(r"[A-Za-z_]+", bare) for part in word.split("_")]
    return [word for word in words if (len(word) > 2 or word in SHORT) and word not in SYMBOLS]


@pytest.mark.parametrize("figure", sorted(content.figure_ids()))
def test_korean_formulas_hold_no_english(figure: str) -> None:
    facts = content.figure_facts(figure)
    assert english(content.spoken(facts.inline, "ko")) == []
    assert english(content.spoken(facts.formula, "ko")) == []


def test_english_in_a_formula_is_found() -> None:
    assert english("mean over layers of |M_tj|") == ["mean", "over", "layers", "of"]
    assert english(r"t = \text{the asking token}") == ["the", "asking", "token"]
    assert english(r"\operatorname{softmax}(W_r x_t) \qquad \text{정답률}") == []
    assert english("2·L_attn·H_kv·d_head·b") == []
