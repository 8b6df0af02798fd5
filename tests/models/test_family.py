"""The bundled family keeps its promises: matched sizes, one stream of tokens, live experts, bits well below unigram."""

import json
from typing import Any

import pytest
from safetensors import safe_open

from models import registry
from models.counting import accounting
from models.sources import weights
from models.training import family_comparison
from models.training.recipe import OUT

FAMILY = registry.bundled()
MOST_BYTES = 64 * 10**6
APART = 1.02  # sizes
SHARE = (0.25, 4.0)  # of its fair share, for every expert
FAR_BELOW = 0.75  # of the bits that token frequencies alone need
EXPLAINED = 1.15  # between the best and the last of a language; the cards say why there is one


def card(name: str) -> dict[str, Any]:
    return registry.card_of(name)


def test_sizes_are_matched_and_are_those_of_the_files() -> None:
    total, active = {}, {}
    for name in FAMILY:
        shape = accounting.shape_of(registry.read_config(name))
        total[name], active[name] = accounting.params_total(shape), accounting.params_active(shape)
        with safe_open(weights.CHECKPOINTS / name / "model.safetensors", framework="np") as file:
            sizes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118 - it is no mapping
            kinds = {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
        stored = sum(_product(size) for size in sizes)
        assert stored == total[name] == registry.card_of(name)["parameters"]
        assert kinds == {"F16"}
    dense = [total[name] for name in FAMILY if total[name] == active[name]]
    assert len(dense) == 3
    assert max(dense) / min(dense) < APART


def test_the_size_that_one_token_uses_is_matched_and_five_to_twelve_millions() -> None:
    for name in FAMILY:
        shape = accounting.shape_of(registry.read_config(name))
        assert 5e6 <= accounting.params_active(shape) <= accounting.params_total(shape) <= 12e6
    active = [accounting.params_active(accounting.shape_of(registry.read_config(name))) for name in FAMILY]
    assert max(active) / min(active) < APART


def test_all_files_together_are_small_enough_to_bundle() -> None:
    assert sum(path.stat().st_size for name in FAMILY for path in (OUT / name).iterdir()) < MOST_BYTES


def test_jamba_keeps_the_published_pattern() -> None:
    config = registry.read_config("jamba")
    kinds = accounting.shape_of(config).layers
    assert len(kinds) % 8 == 0 and config.num_experts in (8, 16) and config.num_experts_per_tok == 2
    assert [i for i, layer in enumerate(kinds) if layer.mixer == "attention"] == list(range(4, len(kinds), 8))
    assert [i for i, layer in enumerate(kinds) if layer.ffn == "moe"] == list(range(1, len(kinds), 2))


def test_two_mamba_blocks_stand_for_one_layer() -> None:
    blocks, layers = (len(accounting.shape_of(registry.read_config(name)).layers) for name in ("mamba", "transformer"))
    assert blocks == 2 * layers


def test_what_all_read_is_the_same() -> None:
    cards = [card(name) for name in FAMILY]
    assert len(family_comparison.family(OUT / FAMILY[0])) == len(FAMILY)
    recipe = cards[0]["recipe"]
    assert recipe["vocab"] == 8192 and recipe["context"] >= 512
    assert all(c["tokens_seen"] == recipe["steps"] * recipe["batch"] * recipe["context"] for c in cards)
    for name in FAMILY:
        tokenizer = weights.read_tokenizer(name)
        assert tokenizer is not None and len(tokenizer) == registry.read_config(name).vocab_size == recipe["vocab"]


def test_no_expert_is_dead_and_none_takes_all() -> None:
    shares = card("jamba")["expert_shares"]
    assert len(shares) == 4
    for layer in shares:
        assert sum(layer) == pytest.approx(1.0, abs=2e-3)
        assert all(SHARE[0] <= share * len(layer) <= SHARE[1] for share in layer)


@pytest.mark.parametrize("language", family_comparison.LANGUAGES)
def test_every_model_needs_far_fewer_bits_than_token_frequencies(language: str) -> None:
    found = [card(name)["validation"][language] for name in FAMILY]
    for judged in found:
        assert judged["bits_per_byte"] < FAR_BELOW * judged["unigram_bits_per_byte"]
        assert 1 < judged["characters_per_token"] <= judged["bytes_per_token"]
    bits = [judged["bits_per_byte"] for judged in found]
    assert family_comparison.spread(bits) < EXPLAINED


@pytest.mark.parametrize("bundled", FAMILY)
def test_the_card_for_people_says_what_the_card_for_the_app_says(bundled: str) -> None:
    facts, text = card(bundled), (OUT / bundled / "card.md").read_text(encoding="utf-8")
    assert family_comparison.comparison_text(family_comparison.family(OUT / bundled)) in text
    for language, bits in facts["validation_bits_per_byte"].items():
        assert f"| {bits} (token frequencies alone" in text, language
    for finding in facts["structure"]["findings"]:
        assert f"- {finding['text']}\n" in text


@pytest.mark.parametrize("bundled", FAMILY)
def test_the_log_reaches_the_end_and_falls(bundled: str) -> None:
    rows = [json.loads(line) for line in (OUT / bundled / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    facts = registry.card_of(bundled)
    assert rows[-1]["tokens"] == facts["tokens_seen"]
    assert [row["step"] for row in rows] == sorted({row["step"] for row in rows})
    tail = [row["loss"] for row in rows[-len(rows) // 10 :]]
    assert sum(tail) / len(tail) < 0.75 * rows[0]["loss"]


def _product(size: list[int]) -> int:
    whole = 1
    for side in size:
        whole *= side
    return whole
