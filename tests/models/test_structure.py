"""Structure: hand-made heads, memories, steps and experts give known numbers; what is random is not claimed."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import registry, scores
from models.__main__ import main
from models.cli import train
from models.records.trace import PARTS, LayerTrace, NamedArray
from models.tracing.parts import half_life
from models.training import card, claims, corpus, eval_windows, recipe, structure, tokenizer
from models.training.token_classes import KINDS, kinds, of_kind

ENGLISH_WORDS = "wolf king went into wood said home once upon time there was cat never old river 3 12"
KOREAN_WORDS = "정말 재미있는 영화 배우들 연기가 좋았다 음악도 좋고 이야기도 감동 최고 마지막 장면 1편 8점"


def written(words: str, *, seed: int, sentences: int = 700) -> str:
    """Write sentences of random words with commas and full stops."""
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(sentences):
        chosen = rng.choice(words.split(), size=rng.integers(3, 9))
        lines.append(" ".join(word + ("," if rng.random() < 0.15 else "") for word in chosen) + ".\n")
    return "".join(lines)


TEXTS = (
    corpus.Text("en", "", written(ENGLISH_WORDS, seed=1), ""),
    corpus.Text("ko", "", written(KOREAN_WORDS, seed=2), ""),
)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def measured(checkpoint_of, monkeypatch):
    """Return a function that measures hand-made layers: made(ids, labels) -> layers, and the same for untrained."""
    trained = checkpoint_of("seeded-llama")
    new = replace(trained, name="untrained")

    def measure(made, before=None):
        def layers(checkpoint, ids):
            labels = kinds(checkpoint.tokenizer, ids)
            return (before if checkpoint is new and before else made)(ids, labels)

        monkeypatch.setattr(eval_windows, "_layers", layers)
        monkeypatch.setattr(structure, "untrained", lambda _: new)
        found = structure.measure(trained, TEXTS)
        return found, {finding.id: finding for finding in claims.findings(found)}

    return measure


def layer(mixer: str, ffn: str, **parts: np.ndarray) -> LayerTrace:
    return LayerTrace(
        0, mixer, ffn, {name: NamedArray(np.asarray(values), PARTS[name]) for name, values in parts.items()}
    )


def one_hot(columns: np.ndarray) -> np.ndarray:
    return np.eye(len(columns), dtype=np.float32)[columns]


def test_information_and_lift_of_known_tables() -> None:
    told = np.diag([30, 30, 30, 30])
    assert scores.information(told) == pytest.approx(2.0)
    np.testing.assert_allclose(scores.lifts(told), 4 * np.eye(4))
    apart = np.outer([1, 2, 3], [5, 1, 4, 2])
    assert scores.information(apart) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(scores.lifts(apart), 1)
    binary = np.array([[40, 10], [10, 40]])  # a symmetric channel with error 0.2: 1 - H(0.2)
    assert scores.information(binary) == pytest.approx(1 + 0.2 * math.log2(0.2) + 0.8 * math.log2(0.8))
    assert not np.isnan(scores.lifts(np.zeros((2, 3), dtype=int))).any()


def test_shares_and_uniform_reader() -> None:
    marked = np.array([False, True, False, False, True])
    np.testing.assert_allclose(scores.uniform(5).sum(1), 1)
    assert scores.share_on(scores.uniform(5), marked) == pytest.approx(np.mean([1 / 2, 1 / 3, 1 / 4, 2 / 5]))
    assert scores.share_on(one_hot(np.array([0, 1, 1, 1, 4])), marked) == pytest.approx(1)
    assert scores.share_on(np.ones((1, 1)), marked[:1]) == 0


def test_counts_of_labels_and_choices() -> None:
    counted = scores.together(np.array([0, 1, 1, 2]), np.array([3, 0, 0, 1]), (3, 4))
    assert counted.tolist() == [[0, 0, 0, 1], [2, 0, 0, 0], [0, 1, 0, 0]]


def test_tokens_are_sorted_by_kind() -> None:
    shared = tokenizer.train([written(ENGLISH_WORDS, seed=1) * 3, written(KOREAN_WORDS, seed=2)], vocab=500)
    text = 'The wolf, 12 영화!\n🐺 "좋았다"'
    encoded = shared(text, return_offsets_mapping=True)
    names = [KINDS[k] for k in kinds(shared, np.array(encoded["input_ids"]))]
    assert names[0] == "special"
    found: dict[str, set[str]] = {}
    for name, (start, end) in zip(names[1:], encoded["offset_mapping"][1:], strict=True):
        found.setdefault(name, set()).add(text[start:end].strip())
    assert found["punctuation"] == {",", "!", '"'}
    assert "".join(sorted(found["digits"])) in ("12", "1212")
    assert found["space"] == {""}
    assert "🐺" in found["bytes"]
    assert {"wolf", "T"} <= found["word_start"] | {"T"}
    assert "he" in found["word_inside"] or "h" in found["word_inside"]
    assert not any(part.isascii() for part in found.get("hangul_start", set()) | found.get("hangul_inside", set()))


def known_heads(ids: np.ndarray, labels: np.ndarray) -> tuple[LayerTrace, ...]:
    """Make four heads: uniform, previous token, punctuation (else itself), induction (else itself)."""
    here = np.arange(len(ids))
    marks = of_kind(labels, "punctuation")
    last_mark = np.maximum.accumulate(np.where(marks, here, -1))
    after = here.copy()
    for t in here:
        twins = np.flatnonzero(ids[:t] == ids[t])
        after[t] = twins[-1] + 1 if len(twins) else t
    heads = [
        scores.uniform(len(ids)),
        one_hot(np.maximum(here - 1, 0)),
        one_hot(np.where(last_mark >= 0, last_mark, here)),
        one_hot(after),
    ]
    return (layer("attention", "dense", attention=np.stack(heads).astype(np.float32)),)


def test_known_heads_are_found_and_named(measured) -> None:
    found, said = measured(known_heads)
    assert (found.heads["previous_token"].layer, found.heads["previous_token"].head) == (0, 1)
    assert found.heads["previous_token"].value == {"en": 1.0, "ko": 1.0}
    assert found.heads["punctuation"].head == 2
    assert min(found.heads["punctuation"].value.values()) > 2
    assert found.heads["punctuation"].every[0][0] == pytest.approx(1, abs=1e-3)  # the uniform reader
    assert (found.heads["induction"].head, found.heads["induction"].value["random"]) == (3, pytest.approx(1, abs=1e-3))
    length, repeated = structure.LENGTH, eval_windows.REPEATED
    assert found.heads["previous_token"].uniform == pytest.approx(np.mean(1 / np.arange(2, length + 1)), abs=1e-4)
    expected = np.mean(1 / np.arange(repeated + 2, 2 * repeated + 2))
    assert found.heads["induction"].uniform == pytest.approx(expected, abs=1e-4)
    assert said["previous_token"].holds and said["punctuation"].holds and said["induction"].holds
    assert "Layer 0, head 1" in said["previous_token"].text
    assert not said["sink"].holds


def test_random_heads_give_no_claim(measured) -> None:
    def made(ids: np.ndarray, labels: np.ndarray) -> tuple[LayerTrace, ...]:
        weights = np.tril(np.random.default_rng(len(ids)).gamma(1.0, size=(6, len(ids), len(ids))))
        return (layer("attention", "dense", attention=weights / weights.sum(-1, keepdims=True)),)

    _, said = measured(made)
    assert not any(finding.holds for finding in said.values())
    assert all(finding.text.startswith("No head") for finding in said.values())


def test_a_head_of_one_language_alone_is_not_claimed(measured) -> None:
    def made(ids: np.ndarray, labels: np.ndarray) -> tuple[LayerTrace, ...]:
        korean = np.isin(labels, [KINDS.index("hangul_start"), KINDS.index("hangul_inside")]).any()
        (known,) = known_heads(ids, labels)
        weights = known.part("attention").copy()
        if korean:
            weights[1] = weights[0]
        return (layer("attention", "dense", attention=weights),)

    found, said = measured(made)
    assert not said["previous_token"].holds
    assert found.heads["punctuation"].head == 2


def test_half_lives_of_hand_set_rates_and_steps(measured) -> None:
    """dt doubles from window to window; the half-life is taken at its mean over all of them."""
    rates = -np.array([[1.0, 7.0], [2.0, 5.0], [1e-3, 3.0], [50.0, 90.0]])
    used: list[np.ndarray] = []

    def made(ids: np.ndarray, labels: np.ndarray) -> tuple[LayerTrace, ...]:
        dt = np.full((len(ids), 4), 0.1 * (1 + len(used) % 2)) * np.array([1.0, 2.0, 1.0, 0.5])
        used.append(dt)
        lives = half_life(torch.from_numpy(np.abs(rates).min(1) * dt.mean(0))).numpy()
        return (layer("mamba", "none", dt=dt, half_life=lives),)

    found, said = measured(made, made)
    mean = np.mean(used[: len(used) // 2], axis=(0, 1))
    expected = math.log(2) / (np.array([1.0, 2.0, 1e-3, 50.0]) * mean)
    (memory,) = found.memories
    assert memory.quantiles[50] == pytest.approx(np.median(expected), rel=1e-3)
    assert memory.ratio == pytest.approx(np.divide(*np.percentile(expected, [95, 5])), rel=1e-3)
    assert (memory.below, memory.above) == ((expected < 2).mean(), (expected > 64).mean()) == (0.5, 0.25)
    assert said["spread"].holds and said["short_and_long"].holds
    assert said["spread"].text.endswith("training has hardly moved them.")
    assert not said["step_size"].holds  # dt does not know the token


def test_rwkv_half_lives_are_those_of_its_weights(checkpoint_of) -> None:
    checkpoint = checkpoint_of("seeded-rwkv")
    decay = [m.time_decay.detach() for m in checkpoint.model.modules() if hasattr(m, "time_decay")]
    lives = math.log(2) / np.exp(torch.cat(decay).double().numpy())
    (memory,) = structure.measure(checkpoint, TEXTS, windows=2, length=16).memories
    for quantile, value in memory.quantiles.items():
        assert value == pytest.approx(np.percentile(lives, quantile), rel=1e-3)
    assert memory.channels == len(lives)


def test_a_step_that_knows_punctuation_has_the_known_ratio(measured) -> None:
    base = np.array([0.01, 0.1, 1.0])
    shares: list[float] = []

    def made(ids: np.ndarray, labels: np.ndarray) -> tuple[LayerTrace, ...]:
        marks = of_kind(labels, "punctuation")
        shares.append(float(marks[1:].mean()))
        dt = base * np.where(marks, 3.0, 1.0)[:, None]
        return (layer("mamba", "none", dt=dt, half_life=math.log(2) / dt.mean(0)),)

    def plain(ids: np.ndarray, labels: np.ndarray) -> tuple[LayerTrace, ...]:
        dt = np.repeat(base[None], len(ids), axis=0)
        return (layer("mamba", "none", dt=dt, half_life=math.log(2) / dt.mean(0)),)

    found, said = measured(made, plain)
    expected = 3 ** (1 - np.mean(shares))
    assert found.steps.kind == "punctuation"
    assert found.steps.factor == pytest.approx(expected, rel=1e-3)
    assert found.steps.ratio[0]["punctuation"] == pytest.approx(expected, rel=1e-3)
    assert found.steps.chance < expected
    assert found.untrained.steps.factor == 1
    assert said["step_size"].holds and "punctuation marks" in said["step_size"].text


def routed(first: np.ndarray, experts: int) -> tuple[LayerTrace, ...]:
    chosen = np.stack([first, (first + 1) % experts], axis=1)
    probs = np.full((len(first), experts), 1 / experts)
    return (layer("mamba", "moe", chosen_experts=chosen, router_probs=probs),)


def by_lot(experts: int):
    rng = np.random.default_rng(5)
    return lambda ids, labels: routed(rng.integers(0, experts, len(ids)), experts)


def test_experts_by_kind_have_the_known_lift_and_information(measured) -> None:
    seen: list[np.ndarray] = []

    def made(ids: np.ndarray, labels: np.ndarray) -> tuple[LayerTrace, ...]:
        seen.append(labels[1:])
        return routed(labels, len(KINDS))

    found, said = measured(made, by_lot(len(KINDS)))
    counts = np.bincount(np.concatenate(seen), minlength=len(KINDS))
    share = counts[counts > 0] / counts.sum()
    (routing,) = found.routing
    usual = [k for k in np.flatnonzero(counts >= structure.FEWEST) if KINDS[k] != "special"]
    rarest = min(usual, key=lambda k: counts[k])
    assert (routing.kind, routing.expert) == (KINDS[rarest], rarest)
    assert routing.lift == pytest.approx(counts.sum() / counts[rarest], rel=1e-3)
    assert routing.count == routing.of == counts[rarest]
    entropy = -(share * np.log2(share)).sum()
    assert 0.5 * entropy < routing.information < entropy  # less what windows of one language share by chance
    assert said["experts"].holds and "1 of 1 layers" in said["experts"].text


def test_random_experts_tell_nothing(measured) -> None:
    found, said = measured(by_lot(8), by_lot(8))
    (routing,) = found.routing
    assert abs(routing.information) < 0.02
    assert not said["experts"].holds
    assert "No expert prefers" in said["experts"].text


def test_a_preference_that_the_untrained_router_has_too_is_not_claimed(measured) -> None:
    _, said = measured(lambda ids, labels: routed(labels, len(KINDS)), lambda ids, labels: routed(labels, len(KINDS)))
    assert not said["experts"].holds


@pytest.mark.slow
def test_every_model_is_measured_and_an_untrained_one_claims_nothing(name, checkpoint_of) -> None:
    checkpoint = checkpoint_of(name)
    found = structure.measure(checkpoint, TEXTS, windows=8, length=33)
    said = claims.findings(found)
    assert said
    shows = registry.adapter(checkpoint.architecture).parts
    assert bool(found.heads) == ("attention" in shows)
    assert bool(found.memories) == ("half_life" in shows)
    assert (found.windows, found.length, found.tokens) == (8, 33, 2 * 8 * 33)
    json.dumps(asdict(found), allow_nan=False)
    if name.startswith("seeded-"):
        assert {finding.id for finding in said if finding.holds} <= {"spread", "short_and_long"}
    assert all("{" not in finding.text and "nan" not in finding.text for finding in said)


@pytest.mark.slow
def test_measuring_twice_gives_the_same_numbers_and_leaves_chance_alone(checkpoint_of) -> None:
    checkpoint = checkpoint_of("seeded-jamba")
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    first = structure.measure(checkpoint, TEXTS, windows=3, length=20)
    assert torch.equal(torch.rand(4), wanted)
    assert structure.measure(checkpoint, TEXTS, windows=3, length=20) == first


def test_a_short_text_gives_shorter_windows(checkpoint_of) -> None:
    short = tuple(replace(text, validation=text.validation[:60]) for text in TEXTS)
    found = structure.measure(checkpoint_of("seeded-mixtral"), short)
    assert found.windows == 1
    assert found.length < structure.LENGTH
    assert not any(finding.holds for finding in claims.findings(found))


def test_every_sentence_is_written_for_yes_and_no() -> None:
    for rule in claims.table()["scores"].values():
        assert rule["at_least"] > 0 and rule["found"] and rule["otherwise"]
    assert set(claims.table()["kinds"]) == set(KINDS)
    assert set(structure.HEAD_SCORES) < set(claims.table()["scores"])


@pytest.mark.parametrize("named", recipe.RECIPES)
@pytest.mark.parametrize("changed", [{}, {"steps": 30}, {"lr": 0.004, "seed": 7}], ids=["as it is", "steps", "lr"])
def test_the_command_in_a_card_gives_its_recipe(named: str, changed: dict[str, float]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    words = ["--recipe", named, *(word for key, value in changed.items() for word in (f"--{key}", str(value)))]
    trained = train.recipe_of(parser.parse_args(["--corpus", "x", *words]))
    command = card._command({"architecture": "mamba", "recipe": json.loads(json.dumps(asdict(trained)))})
    again = train.recipe_of(parser.parse_args(command.split()[4:]))
    assert again == trained
    odd = {"architecture": "mamba", "recipe": {**asdict(trained), "lr_end": 0.123}}
    assert "--recipe" not in card._command(odd)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Train a Jamba for a moment; returns its corpus and its folder."""
    import argparse

    root = tmp_path_factory.mktemp("structure")
    (root / "stories_en.txt").write_text(written(ENGLISH_WORDS, seed=1, sentences=3000), encoding="utf-8")
    (root / "reviews_ko.txt").write_text(written(KOREAN_WORDS, seed=2, sentences=3000), encoding="utf-8")
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    words = ["--corpus", str(root), "--out", str(root / "out"), "--recipe", "smoke", "--steps", "3", "--only", "jamba"]
    assert train.main(parser.parse_args(words)) == 0
    return root, root / "out" / "jamba"


@pytest.mark.slow
def test_a_card_is_written_again_with_its_training_facts(smoke: tuple[Path, Path], capsys) -> None:
    root, folder = smoke
    before = json.loads((folder / "card.json").read_text())
    known = {**before, "seconds": 1234.5, "device": "a machine elsewhere"}
    (folder / "card.json").write_text(json.dumps(known))
    words = ["evaluate", str(folder), "--corpus", str(root), "--write-card"]
    assert main(words) == 0
    said = capsys.readouterr().out
    after = json.loads((folder / "card.json").read_text())
    measured_now = {"validation", "validation_bits_per_byte", "expert_shares", "structure"}
    assert {k: v for k, v in after.items() if k not in measured_now} == {
        k: v for k, v in known.items() if k not in measured_now
    }
    for language, bits in before["validation_bits_per_byte"].items():
        assert after["validation_bits_per_byte"][language] == pytest.approx(bits, rel=1e-3)
    text = (folder / "card.md").read_text()
    for finding in after["structure"]["findings"]:
        assert f"- {finding['text']}\n" in text
        assert finding["text"] in said
    assert "a machine elsewhere" in text and "21 minutes" in text
    written_once = (folder / "card.json").read_bytes()
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["structure"] == after["structure"]
    assert (folder / "card.json").read_bytes() == written_once


@pytest.mark.slow
def test_a_card_is_not_written_where_it_would_not_be_true(smoke: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    root, folder = smoke
    before = (folder / "card.json").read_bytes()
    for name in corpus.FILES.values():
        (tmp_path / name).write_text((root / name).read_text(encoding="utf-8") + "one more line.\n", encoding="utf-8")
    (tmp_path / "bare").mkdir()
    for path in folder.iterdir():
        if not path.name.startswith("card"):
            (tmp_path / "bare" / path.name).write_bytes(path.read_bytes())
    for words, complaint in (
        ([str(folder), "--corpus", str(tmp_path)], "another corpus"),
        ([str(folder), "--corpus", str(root), "--rows", "3"], "standard measurement"),
        ([str(tmp_path / "bare"), "--corpus", str(root)], "no card.json"),
    ):
        assert main(["evaluate", *words, "--write-card"]) == 2
        assert complaint in capsys.readouterr().err
    assert (folder / "card.json").read_bytes() == before


@pytest.mark.slow
def test_experts_of_a_random_model_of_a_text_of_few_words_are_not_claimed(checkpoint_of) -> None:
    """An untrained router tells words apart; over twenty words that looks like a preference for kinds."""
    found = structure.measure(checkpoint_of("seeded-mixtral"), TEXTS)
    said = {finding.id: finding for finding in claims.findings(found)}
    assert max(layer.lift for layer in found.routing) > claims.table()["scores"]["experts"]["at_least"]
    assert not said["experts"].holds
