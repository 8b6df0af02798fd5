"""The recipe: a smoke run trains every architecture, the loss falls, the card tells the truth."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import decoders

import models.__main__ as commands
from models import registry
from models.cli import train
from models.counting import accounting
from models.errors import SettingError
from models.training import corpus, evaluation, loop, recipe, tokenizer
from models.training.loss import load_balance
from models.training.shapes import BUILDERS, FAMILY, SMALL

ENGLISH = "The wolf went into the wood.\nThe king said to him: go home!\n\nOnce upon a time there was a cat.\n" * 60
KOREAN = "정말 재미있는 영화였어요.\n배우들 연기가 좋았다.\n음악도 좋고 이야기도 좋았습니다.\n" * 60


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep thousands of tiny operators on one thread: on a busy machine two would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus")
    (path / "stories_en.txt").write_text(ENGLISH, encoding="utf-8")
    (path / "reviews_ko.txt").write_text(KOREAN, encoding="utf-8")
    return path


def options(folder: Path, out: Path, *extra: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args(["--corpus", str(folder), "--out", str(out), *extra])


@pytest.mark.slow
def test_a_smoke_run_trains_all_four_and_the_loss_falls(folder: Path, tmp_path: Path, capsys) -> None:
    assert train.main(options(folder, tmp_path, "--recipe", "smoke")) == 0
    for name in BUILDERS:
        rows = [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        assert rows[-1]["loss"] < 0.8 * rows[0]["loss"], name
        card = json.loads((tmp_path / name / "card.json").read_text())
        assert card["tokens_seen"] == 12 * 4 * 32
        assert card["corpus_sha256"]["ko"] == corpus.read(folder)[1].sha256
        assert all(0 < bits < 8 for bits in card["validation_bits_per_byte"].values())
        assert registry.trace(registry.load(str(tmp_path / name)), "The wolf").architecture == name
        assert not list((tmp_path / name).glob("unfinished*"))
    capsys.readouterr()
    evaluated = ["evaluate", *(str(tmp_path / name) for name in BUILDERS), "--corpus", str(folder), "--json"]
    assert commands.main(evaluated) == 0
    for row in json.loads(capsys.readouterr().out):
        found = {language: judged["bits_per_byte"] for language, judged in row["languages"].items()}
        assert found == pytest.approx(row["card"], rel=1e-3)
        assert (row["expert_shares"] is not None) == row["model"].endswith("jamba")


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


def test_held_out_rows_are_spread_through_the_text() -> None:
    """Three of ten rows are the first, one of the middle and the last; all ten where more are asked for."""
    stream = np.arange(1, 106, dtype=np.int32)
    rows = evaluation.spaced(stream, context=10, start=0, rows=3)
    assert rows.tolist() == [[0, *range(first, first + 10)] for first in (1, 41, 91)]
    assert evaluation.spaced(stream, context=10, start=0, rows=99)[:, 1].tolist() == [*range(1, 101, 10)]


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
    assert load_balance((rotating,), config).item() == pytest.approx(2.0, rel=1e-3)
    assert load_balance((collapsed,), config).item() == pytest.approx(8.0, rel=1e-3)


def test_a_missing_corpus_and_a_bad_number_are_said_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"stories_en\.txt"):
        train.main(options(tmp_path / "nowhere", tmp_path))
    with pytest.raises(SettingError, match="--steps"):
        train.main(options(folder, tmp_path, "--steps", "0"))
    with pytest.raises(SettingError, match="between 0 and 1"):
        train.main(options(folder, tmp_path, "--lr", "3"))
    with pytest.raises(SettingError, match="'tpu': not on this machine"):
        train.main(options(folder, tmp_path, "--device", "tpu"))


@pytest.mark.parametrize(
    ("english", "said"),
    [(b"", "0 lines"), (b"\xff\xfe a\nb\n", "not UTF-8 at byte 0"), (b"a\nb\n", "shorter --context")],
)
def test_a_text_that_cannot_be_trained_on_is_said_so(english: bytes, said: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "stories_en.txt").write_bytes(english)
    korean = b"c\nd\n" if said.startswith("shorter") else (folder / "reviews_ko.txt").read_bytes()
    (tmp_path / "reviews_ko.txt").write_bytes(korean)
    with pytest.raises(SettingError, match=said):
        train.main(options(tmp_path, tmp_path / "out", "--recipe", "smoke", "--only", "mamba"))


def test_held_out_text_shorter_than_a_row_is_said_so(folder: Path) -> None:
    shared = tokenizer.train([ENGLISH, KOREAN], vocab=300)
    model = BUILDERS["mamba"](SMALL, len(shared)).eval()
    with pytest.raises(SettingError, match="shorter --context"):
        evaluation.judge(model, shared, corpus.read(folder)[0], context=10**6)


def test_bytes_are_not_counted_by_tokens_that_do_not_say_them(folder: Path) -> None:
    shared = tokenizer.train([ENGLISH, KOREAN], vocab=300)
    shared.backend_tokenizer.decoder = decoders.Metaspace()
    model = BUILDERS["mamba"](SMALL, len(shared)).eval()
    with pytest.raises(SettingError, match="byte-level"):
        evaluation.judge(model, shared, corpus.read(folder)[0], context=16)


@pytest.mark.slow
def test_a_finished_model_of_another_recipe_is_left_alone(folder: Path, tmp_path: Path) -> None:
    command = ("--recipe", "smoke", "--only", "mamba")
    assert train.main(options(folder, tmp_path, *command)) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "mamba").iterdir()}
    with pytest.raises(SettingError, match="holds a model of another recipe"):
        train.main(options(folder, tmp_path, *command, "--steps", "5"))
    with pytest.raises(SettingError, match="320 entries and the recipe 300"):
        train.main(options(folder, tmp_path, *command, "--vocab", "300"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "mamba").iterdir()} == before


def test_what_the_command_line_does_not_say_is_the_recipe_s() -> None:
    chosen = train.recipe_of(options(Path(), Path(), "--recipe", "family", "--steps", "40", "--lr", "0.01"))
    family = recipe.RECIPES["family"]
    assert chosen == replace(family, steps=40, warmup=4, cooldown=13, lr=0.01, lr_end=0.001, restarts=())


@pytest.mark.slow
@pytest.mark.parametrize("model", BUILDERS)
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    model: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("--recipe", "smoke", "--only", model)
    assert train.main(options(folder, tmp_path / "whole", *command)) == 0
    evaluated, real = [0], loop.losses

    def stopped(*args):
        evaluated[0] += 1
        if evaluated[0] == 8:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "losses", stopped)
        with pytest.raises(KeyboardInterrupt):
            train.main(options(folder, tmp_path / "parts", *command))
    assert (tmp_path / "parts" / model / loop.UNFINISHED).is_file()
    with pytest.raises(SettingError, match="begun with another recipe"):
        train.main(options(folder, tmp_path / "parts", *command, "--lr", "0.001"))
    assert train.main(options(folder, tmp_path / "parts", *command)) == 0
    whole, parts = (tmp_path / run / model for run in ("whole", "parts"))
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    logs = [[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in (whole, parts)]
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in logs[0]] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in logs[1]
    ]


@pytest.mark.parametrize("text", ("Recipe(steps=0)", "[]", "{}", '{"recipe": null}', '{"shape": {}, "pace": 3}'))
def test_a_recipe_of_other_settings_is_none(text: str) -> None:
    assert recipe.Recipe.read(text) is None


@pytest.mark.parametrize("named", recipe.RECIPES)
def test_a_recipe_is_read_as_it_was_written(named: str) -> None:
    known = asdict(recipe.RECIPES[named])
    assert recipe.Recipe.read(json.dumps(known)) == recipe.RECIPES[named]
    assert recipe.Recipe.read(json.dumps({"recipe": known, "tokens_seen": 1})) == recipe.RECIPES[named]


@pytest.mark.slow
@pytest.mark.parametrize("model", ("rwkv", "jamba"))
def test_a_finished_model_taken_further_is_the_one_of_a_single_command(
    model: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restart rounds the weights as the file does, begins the schedule again and goes on in the text."""
    first = replace(recipe.RECIPES["smoke"], steps=5, warmup=2, cooldown=2)
    both = replace(first, steps=9, restarts=(5,))
    assert [both.rate(step) for step in range(5)] == [first.rate(step) for step in range(5)]
    assert [both.rate(step) for step in range(5, 7)] == [first.rate(step) for step in range(2)]
    for place, recipes in {"parts": (first, both), "whole": (both,)}.items():
        for each in recipes:
            monkeypatch.setattr(recipe, "RECIPES", {"smoke": each})
            assert train.main(options(folder, tmp_path / place, "--recipe", "smoke", "--only", model)) == 0
            if each == first:
                half = (tmp_path / place / model / "model.safetensors").read_bytes()
    whole, parts = (tmp_path / place / model for place in ("whole", "parts"))
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes() != half
    assert json.loads((parts / "card.json").read_text())["tokens_seen"] == 9 * 4 * 32
    assert json.loads((parts / "log.jsonl").read_text().splitlines()[-1])["step"] == 8


def test_the_family_is_matched_within_two_percent() -> None:
    total = {}
    for name, build in BUILDERS.items():
        with torch.device("meta"):
            model = build(FAMILY, 8192)
        total[name] = accounting.params_active(accounting.shape_of(model.config))
        assert 5e6 <= sum(p.numel() for p in model.parameters()) <= 12e6
    assert max(total.values()) / min(total.values()) < 1.02


def test_every_byte_of_a_text_is_counted_once(folder: Path) -> None:
    shared = tokenizer.train([ENGLISH, KOREAN], vocab=400)
    for text in corpus.read(folder):
        stream = corpus.encode(shared, text.validation, language=text.language)
        separators = text.validation.count("\n\n" if text.language == "en" else "\n")
        lost = separators if text.language == "en" else 0  # a blank line is one separator of two bytes
        assert evaluation.token_bytes(shared)[stream].sum() == pytest.approx(
            len(text.validation.encode()) - lost, abs=2
        )


def test_characters_are_counted_where_they_begin(folder: Path) -> None:
    shared = tokenizer.train([ENGLISH, KOREAN], vocab=400)
    for text in ("The wolf went home.", "정말 재미있는 영화였어요. 🐺", "é 𠜎 ﷽"):
        ids = shared(text, add_special_tokens=False)["input_ids"]
        assert evaluation.token_characters(shared)[ids].sum() == len(text)
        assert evaluation.token_bytes(shared)[ids].sum() == len(text.encode())
    for text in corpus.read(folder):
        judged = evaluation.judge(BUILDERS["mamba"](SMALL, len(shared)).eval(), shared, text, context=16, rows=2)
        assert 0 < judged.characters_per_token <= judged.bytes_per_token


def test_a_uniform_model_needs_log2_of_the_vocabulary(folder: Path) -> None:
    """Known answer: equal logits cost log2 V bits a token, whatever the text."""
    shared = tokenizer.train([ENGLISH, KOREAN], vocab=300)
    model = BUILDERS["transformer"](SMALL, len(shared)).eval()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    text = corpus.read(folder)[0]
    judged = evaluation.judge(model, shared, text, context=32)
    assert judged.bits_per_byte * judged.bytes_per_token == pytest.approx(np.log2(len(shared)), rel=1e-3)
    assert judged.unigram_bits_per_byte < judged.bits_per_byte
