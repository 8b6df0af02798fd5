"""The recipe: a smoke run trains every architecture, the loss falls, the card tells the truth."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models import accounting, registry
from models.errors import SettingError
from models.training import corpus, recipe, tokenizer
from models.training.shapes import BUILDERS

ENGLISH = "The wolf went into the wood.\nThe king said to him: go home!\n\nOnce upon a time there was a cat.\n" * 60
KOREAN = "정말 재미있는 영화였어요.\n배우들 연기가 좋았다.\n음악도 좋고 이야기도 좋았습니다.\n" * 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus")
    (path / "stories_en.txt").write_text(ENGLISH, encoding="utf-8")
    (path / "reviews_ko.txt").write_text(KOREAN, encoding="utf-8")
    return path


def options(folder: Path, out: Path, *extra: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    recipe.add_arguments(parser)
    return parser.parse_args(["--corpus", str(folder), "--out", str(out), *extra])


def test_a_smoke_run_trains_all_four_and_the_loss_falls(folder: Path, tmp_path: Path) -> None:
    small = ("--steps", "12", "--batch", "4", "--context", "32", "--vocab", "320")
    assert recipe.main(options(folder, tmp_path, *small)) == 0
    for name in BUILDERS:
        rows = [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        assert rows[-1]["loss"] < 0.8 * rows[0]["loss"], name
        card = json.loads((tmp_path / name / "card.json").read_text())
        assert card["tokens_seen"] == 12 * 4 * 32
        assert card["corpus_sha256"]["ko"] == corpus.read(folder)[1].sha256
        assert all(0 < bits < 8 for bits in card["validation_bits_per_byte"].values())
        assert registry.trace(registry.load(str(tmp_path / name)), "The wolf").architecture == name


def test_the_bundled_four_share_tokens_and_are_matched() -> None:
    cards = {name: json.loads(registry.card(name).read_text()) for name in registry.bundled()}
    assert len({card["tokens_seen"] for card in cards.values()}) == 1
    assert len({json.dumps(card["recipe"]) for card in cards.values()}) == 1
    shapes = {name: accounting.shape_of(registry.read_config(name)) for name in cards}
    dense = [card["parameters"] for name, card in cards.items() if all(x.ffn != "moe" for x in shapes[name].layers)]
    assert len(dense) == len(cards) - 1
    assert max(dense) / min(dense) < 1.02
    files = {(recipe.OUT / name / "tokenizer.json").read_bytes() for name in cards}
    assert len(files) == 1


def test_lines_are_held_out_by_position_and_never_split(folder: Path) -> None:
    for text in corpus.read(folder):
        assert text.train.endswith("\n") and text.validation
        whole = len((text.train + text.validation).encode())
        assert 0.01 < len(text.validation.encode()) / whole < 0.03


def test_windows_start_with_the_start_token_and_keep_every_token() -> None:
    rows = corpus.windows([np.arange(1, 101, dtype=np.int32)], context=10, start=0, seed=1)
    assert rows.shape == (10, 11) and not rows[:, 0].any()
    assert sorted(rows[:, 1:].ravel()) == list(range(1, 101))
    again = corpus.windows([np.arange(1, 101, dtype=np.int32)], context=10, start=0, seed=1)
    assert (rows == again).all()


@pytest.mark.parametrize("text", ("늑대 🐺 \x00 \n\t  ﷽", "plain", "𠜎" * 5))
def test_the_tokenizer_is_lossless(text: str) -> None:
    shared = tokenizer.train([ENGLISH, KOREAN], vocab=300)
    assert shared.decode(shared(text, add_special_tokens=False)["input_ids"]) == text


def test_balance_is_top_k_at_uniform_and_grows_with_collapse() -> None:
    """J-f."""
    config = argparse.Namespace(num_experts=8, num_experts_per_tok=2)
    rotating = torch.eye(8)[torch.arange(64) % 8] * 1e-4 + torch.eye(8)[(torch.arange(64) + 1) % 8] * 5e-5
    collapsed = torch.zeros(64, 8)
    collapsed[:, :2] = 50.0
    assert recipe._balance((rotating,), config).item() == pytest.approx(2.0, rel=1e-3)
    assert recipe._balance((collapsed,), config).item() == pytest.approx(8.0, rel=1e-3)


def test_a_missing_corpus_and_a_bad_number_are_said_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"stories_en\.txt"):
        recipe.main(options(tmp_path / "nowhere", tmp_path))
    with pytest.raises(SettingError, match="--steps"):
        recipe.main(options(folder, tmp_path, "--steps", "0"))
