"""What a card says of the models beside it follows from their cards and configurations."""

from pathlib import Path

import pytest
import torch

from models.training import card, family_comparison
from models.training.shapes import BUILDERS, SMALL

BITS = {"transformer": (2.0, 3.0), "mamba": (1.5, 2.4), "rwkv": (1.8, 3.6)}  # English, Korean
UNIGRAM = (4.0, 6.0)
RECIPE = {
    "vocab": 300, "context": 32, "batch": 4, "steps": 10, "warmup": 1, "cooldown": 2, "lr": 0.002, "lr_end": 0.0002,
    "weight_decay": 0.1, "clip": 1.0, "seed": 1, "precision": "bfloat16",
}  # fmt: skip


def judged(bits: float, unigram: float) -> dict[str, float]:
    return {
        "bits_per_byte": bits,
        "unigram_bits_per_byte": unigram,
        "bytes_per_token": 3.0,
        "characters_per_token": 2.0,
    }


def facts(name: str, **changes: object) -> dict[str, object]:
    validation = {lang: judged(*pair) for lang, *pair in zip(("en", "ko"), BITS[name], UNIGRAM, strict=True)}
    return {
        "architecture": name, "recipe": dict(RECIPE), "tokens_seen": 1280, "epochs": 0.5, "seconds": 7200.0,
        "validation": validation, "expert_shares": None, "corpus_sha256": {"en": "a", "ko": "b"}, "threads": 1,
        "torch": "2", **changes,
    }  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in BITS:
        with torch.device("meta"):
            config = BUILDERS[name](SMALL, 300).config
        config.save_pretrained(tmp_path / name)
        card.write(tmp_path / name, facts(name))
    return tmp_path


def text(place: Path, name: str) -> str:
    return (place / name / "card.md").read_text(encoding="utf-8")


def test_the_factor_and_its_ends_are_computed(place: Path) -> None:
    for name in BITS:
        said = text(place, name)
        assert "a factor of 1.33 from mamba (1.500) to transformer (2.000), which needs 50% of" in said
        assert "a factor of 1.50 from mamba (2.400) to rwkv (3.600), which needs 60% of" in said
        assert "the 1,280 tokens" in said and "learning rate, 0.002" in said


def test_a_later_sibling_changes_the_cards_of_the_earlier(place: Path) -> None:
    better = facts("rwkv")
    better["validation"] = {"en": judged(1.0, 4.0), "ko": judged(1.2, 6.0)}
    card.write(place / "rwkv", better)
    assert "a factor of 2.00 from rwkv (1.000) to transformer (2.000)" in text(place, "mamba")


@pytest.mark.parametrize("changed", [{"tokens_seen": 999}, {"corpus_sha256": {"en": "x", "ko": "y"}},
                                     {"recipe": RECIPE | {"lr": 0.004}}])  # fmt: skip
def test_a_model_of_another_training_is_no_sibling(place: Path, changed: dict[str, object]) -> None:
    card.write(place / "rwkv", facts("rwkv", **changed))
    card.write(place / "mamba", facts("mamba"))
    assert family_comparison.ALONE in text(place, "rwkv")
    assert "rwkv" not in family_comparison.comparison_text(family_comparison.family(place / "mamba"))


def test_precision_and_hours_are_told_and_old_recipes_are_float32(place: Path) -> None:
    assert "products in bfloat16" in text(place, "mamba") and "2 hours" in text(place, "mamba")
    old = {name: value for name, value in RECIPE.items() if name != "precision"}
    card.write(place / "mamba", facts("mamba", recipe=old, seconds=600.0))
    assert "float32 throughout" in text(place, "mamba") and "10 minutes" in text(place, "mamba")


def test_where_a_model_was_taken_further_is_told(place: Path) -> None:
    assert "again from the start" not in text(place, "mamba")
    card.write(place / "mamba", facts("mamba", recipe=RECIPE | {"restarts": [4, 7]}))
    assert "over the last 2 steps; at step 4 and 7 again from the start" in text(place, "mamba")


def test_sizes_name_what_one_token_uses(tmp_path: Path) -> None:
    for name in ("mamba", "jamba"):
        with torch.device("meta"):
            model = BUILDERS[name](SMALL, 300)
        model.config.save_pretrained(tmp_path / name)
        said = family_comparison.sizes(tmp_path / name)
        assert said.startswith(f"{sum(p.numel() for p in model.parameters()):,}")
        assert ("of which one token uses" in said) == (name == "jamba")
