"""The small encoder-decoder: its words, tasks, masks, cache and record against plain computations and transformers."""

import json
import math
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import MarianMTModel

from models.__main__ import main
from models.encoder_decoder import batches, card, evaluation, recording, small, tasks, training, vocabulary
from models.encoder_decoder.answers import expected
from models.encoder_decoder.grammar import grammar, particle
from models.encoder_decoder.small import Small
from models.encoder_decoder.vocabulary import LISTS, TASKS
from models.errors import PromptError, SourceError
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.records.encoder_decoder import DIMS, KINDS, AttentionRecord, EncoderDecoderRun
from models.records.trace import NamedArray

SENTENCE = "어제 작은 고양이가 정원에서 빨간 공을 보았다"
INPUTS = [("translate", SENTENCE), ("reverse", "a b c d"), ("copy", "가"), ("sort", "fox ball fox")]


@pytest.fixture(scope="module")
def untrained() -> Small:
    """Return the model with seeded weights: identities hold for any."""
    return Small(small.build(seed=3), "untrained")


@pytest.fixture(scope="module", params=INPUTS, ids=lambda one: one[0])
def run(request: pytest.FixtureRequest, untrained: Small) -> EncoderDecoderRun:
    return recording.record(untrained, vocabulary.read(*request.param), most=9)


# --- words
def test_a_vocabulary_names_every_word_once_and_specials_first() -> None:
    words = vocabulary.tokens()
    assert len(words) == len(set(words))
    assert words[:3] == ("<pad>", "<s>", "</s>")
    assert vocabulary.ids(("<pad>", "</s>")) == [0, 2]
    for one in (*grammar().korean(), *grammar().english(), "가", "-가", "a"):
        assert one in words
    with pytest.raises(KeyError):
        vocabulary.ids(("elephant",))


@pytest.mark.parametrize(
    ("noun", "role", "wanted"),
    [
        ("고양이", "subject", "가"),
        ("곰", "subject", "이"),
        ("사과", "object", "를"),
        ("책", "object", "을"),
        ("학교", "place", "에서"),
    ],
)
def test_a_particle_follows_the_last_syllable(noun: str, role: str, wanted: str) -> None:
    assert particle(noun, role, grammar()) == wanted


def test_a_sentence_is_cut_into_words_and_particles() -> None:
    found = vocabulary.read("translate", f"  {SENTENCE}. ")
    assert found.words == ("어제", "작은", "고양이", "-가", "정원", "-에서", "빨간", "공", "-을", "보았다")
    assert found.tokens == ("<translate>", *found.words, "</s>")
    assert vocabulary.written(found.words) == SENTENCE
    assert vocabulary.read("sort", "Fox BALL").words == ("fox", "ball")


@pytest.mark.parametrize(
    ("task", "text", "key", "values"),
    [
        ("translate", "호랑이가 공을 본다", "errors.toy_unknown_word", {"word": "호랑이가"}),
        ("translate", "the cat", "errors.toy_unknown_word", {"word": "the"}),
        ("copy", "a elephant", "errors.toy_unknown_item", {"word": "elephant"}),
        ("copy", "a ball", "errors.toy_mixed", {"word": "a", "other": "ball"}),
        ("sort", "고양이 가", "errors.toy_mixed", {"word": "고양이", "other": "가"}),
        ("copy", "  ", "errors.toy_empty", {}),
        ("copy", "a " * 17, "errors.toy_long", {"count": 17, "most": 16}),
    ],
)
def test_what_cannot_be_read_is_named(task: str, text: str, key: str, values: dict[str, object]) -> None:
    with pytest.raises(PromptError) as told:
        vocabulary.read(task, text)
    assert told.value.key == key
    assert values.items() <= told.value.values.items()


def test_an_unknown_word_comes_with_the_known_nouns() -> None:
    for task, text, noun in (("translate", "호랑이", "고양이"), ("copy", "tiger", "cat"), ("copy", "호랑이", "고양이")):
        with pytest.raises(PromptError) as told:
            vocabulary.read(task, text)
        assert noun in str(told.value.values["nouns"])


# --- tasks
def test_examples_depend_on_the_seed_alone() -> None:
    first, again, other = (list(islice(tasks.examples(seed, held=False), 40)) for seed in (5, 5, 6))
    assert first == again != other


@pytest.mark.parametrize("task", TASKS)
def test_the_right_answers_are_those_of_another_computation(task: str) -> None:
    for one in islice(tasks.examples(1, held=True, tasks=(task,)), 200):
        assert expected(one.source) == one.target
        assert len(one.target) < batches.MOST
        if task == "sort":
            pairs = zip(one.target, one.target[1:], strict=False)
            assert sorted(one.source.words) == sorted(one.target) and all(a <= b for a, b in pairs)


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        (SENTENCE, "the small cat saw the red ball in the garden yesterday"),
        ("여우를 토끼가 찾는다", "the rabbit finds the fox"),
        ("매일 선생님이 학교에서 학생을 기다린다", "the teacher waits for the student at the school every day"),
        ("고양이가", None),
        ("공이 고양이를 본다", None),
        ("고양이가 곰이 본다", None),
        ("작은 본다", None),
    ],
)
def test_a_sentence_is_taken_apart_by_its_particles(korean: str, english: str | None) -> None:
    found = expected(vocabulary.read("translate", korean))
    assert found == (None if english is None else tuple(english.split()))


def test_nothing_held_out_is_trained_on() -> None:
    recipe = training.ToyRecipe(steps=40)
    seen = {one.source.words for batch in training.batches(recipe) for one in batch}
    assert len(seen) > 2000
    assert not any(map(tasks.held_out, seen))
    asked = {one.source.words for task in TASKS for one in evaluation.drawn(task, seed=1, inputs=100)}
    assert len(asked) > 190 and all(map(tasks.held_out, asked))  # a list may be asked in several tasks
    assert not asked & seen


def test_about_an_eighth_is_held_out() -> None:
    rng = np.random.default_rng(0)
    drawn = [tasks.draw("copy", rng, lengths=(6, 6)).source.words for _ in range(4000)]
    assert abs(sum(map(tasks.held_out, drawn)) / len(drawn) - 1 / tasks.PARTS) < 0.02


# --- masks
def full_pass(model: MarianMTModel, found: EncoderDecoderRun):
    """Run encoder and decoder once over all that was read and written, without a cache."""
    ids = torch.tensor([vocabulary.ids(found.source)])
    given = torch.tensor([vocabulary.ids(found.given)])
    with torch.inference_mode():
        return model(input_ids=ids, decoder_input_ids=given, output_attentions=True, use_cache=False)


def test_the_decoder_reads_nothing_that_comes_later_and_the_encoder_does(untrained: Small) -> None:
    found = recording.record(untrained, vocabulary.read("copy", "a b c d e"), most=7)
    whole = full_pass(untrained.model, found)
    for weights in whole.decoder_attentions:
        assert (weights.triu(1) == 0).all(), "exact: the mask is minus infinity"
    for weights in whole.encoder_attentions:
        assert (weights > 0).all()
    for weights in whole.cross_attentions:
        assert (weights > 0).all()
        assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-6)


def test_the_record_holds_one_full_pass(untrained: Small, run: EncoderDecoderRun) -> None:
    """What was written step by step with the cache is what one pass over all of it gives."""
    whole = full_pass(untrained.model, run)
    told = {"encoder": whole.encoder_attentions, "decoder": whole.decoder_attentions, "cross": whole.cross_attentions}
    for kind in KINDS:
        weights = torch.stack(told[kind])[:, 0].numpy()
        np.testing.assert_allclose(run.attention(kind).weights.values, weights, atol=2e-6)
        seen = (weights > 0).all((0, 1))
        assert (run.attention(kind).visible.values.astype(bool) == seen).all()
    np.testing.assert_allclose(run.logits.values, whole.logits[0].numpy(), atol=5e-5)
    assert whole.logits[0].argmax(-1).tolist() == vocabulary.ids(run.written)


def test_what_is_written_is_what_transformers_generates(untrained: Small, run: EncoderDecoderRun) -> None:
    ids = torch.tensor([vocabulary.ids(run.source)])
    with torch.inference_mode():
        rows = untrained.model.generate(ids, max_new_tokens=9, do_sample=False, num_beams=1)
    assert rows[0, 1:].tolist() == vocabulary.ids(run.written)
    assert (run.given[0], run.given[1:]) == ("<s>", run.written[:-1])


def test_padding_changes_nothing(untrained: Small) -> None:
    sources = [vocabulary.read(*one) for one in INPUTS]
    together = batches.answers(untrained.model, sources)
    assert together == [batches.answers(untrained.model, [one])[0] for one in sources]
    ids, mask = batches.sources_of(sources)
    assert (mask.sum(1) == torch.tensor([len(one.tokens) for one in sources])).all() and (mask == 0).any()
    given = torch.ones((len(sources), 3), dtype=torch.long)
    with torch.inference_mode():
        padded = untrained.model(input_ids=ids, attention_mask=mask, decoder_input_ids=given).logits
        for row, source in enumerate(sources):
            one = torch.tensor([vocabulary.ids(source.tokens)])
            alone = untrained.model(input_ids=one, decoder_input_ids=given[:1]).logits
            assert torch.allclose(padded[row], alone[0], atol=2e-5)


# --- the record, by plain loops in float64
@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_outputs_follow_from_what_was_captured(run: EncoderDecoderRun, kind: str) -> None:
    found = run.attention(kind)
    layers, heads, queries, _ = found.weights.values.shape
    for layer in range(layers):
        for head in range(heads):
            q, k, v = (getattr(found, name).values[layer, head].astype(float) for name in ("query", "key", "value"))
            for t in range(queries):
                reads = [j for j in range(len(k)) if kind != "decoder" or j <= t]
                scores = [math.exp(sum(a * b for a, b in zip(q[t], k[j], strict=True))) for j in reads]
                shares = [score / sum(scores) for score in scores]
                told = found.weights.values[layer, head, t]
                assert told[reads] == pytest.approx(shares, abs=1e-5)
                assert told.sum() == pytest.approx(1, abs=1e-6) and (np.delete(told, reads) == 0).all()
                output = sum(share * v[j] for share, j in zip(shares, reads, strict=True))
                np.testing.assert_allclose(found.output.values[layer, head, t], output, atol=1e-5)


def test_keys_of_cross_attention_come_from_the_encoder_and_queries_from_the_decoder(untrained: Small) -> None:
    found = recording.record(untrained, vocabulary.read("copy", "a b c"), most=5)
    attention = untrained.model.model.decoder.layers[1].encoder_attn
    ids = torch.tensor([vocabulary.ids(found.source)])
    with torch.inference_mode():
        encoded = untrained.model.model.encoder(input_ids=ids).last_hidden_state[0]
        keys = attention.k_proj(encoded).view(len(encoded), small.HEADS, -1).transpose(0, 1)
    np.testing.assert_allclose(found.cross.key.values[1], keys.numpy(), atol=1e-5)
    assert found.cross.query.values.shape[2] == found.steps and found.cross.key.values.shape[2] == len(found.source)


def test_the_cache_of_self_attention_grows_and_that_of_cross_attention_does_not(run: EncoderDecoderRun) -> None:
    each = 2 * small.LAYERS * small.WIDTH * 4
    assert run.self_bytes.values.tolist() == [each * step for step in range(1, run.steps + 1)]
    assert set(run.cross_bytes.values.tolist()) == {each * len(run.source)}
    assert run.number_bytes == 4


def test_the_model_is_left_as_it_was(untrained: Small) -> None:
    def hooks() -> int:
        return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in untrained.model.modules())

    before = hooks()
    recording.record(untrained, vocabulary.read("copy", "a"), most=2)
    assert hooks() == before


def test_a_run_says_whether_it_is_right(untrained: Small) -> None:
    found = recording.record(untrained, vocabulary.read("copy", "a b"), most=3)
    ended = replace(found, written=("a", "b", "</s>"))
    assert ended.right and ended.answer == ("a", "b") and ended.ended
    assert replace(found, written=("a", "b", "b")).right is False, "cut off before its end"
    assert replace(ended, expected=None).right is None


def test_an_array_of_other_dimensions_is_refused(run: EncoderDecoderRun) -> None:
    arrays = {name: getattr(run.cross, name) for name in DIMS}
    arrays["weights"] = NamedArray(np.array(arrays["weights"].values), ("head", "layer", "query", "key"))
    with pytest.raises(ValueError, match="weights has dims"):
        AttentionRecord(**arrays)


# --- training and saving
def test_two_trainings_of_one_seed_are_one(tmp_path: Path) -> None:
    recipe = training.ToyRecipe(steps=3, batch=8, warmup=1)
    with (tmp_path / "log").open("w") as log:
        first = training.train(recipe, log=log)
    again, other = training.train(recipe), training.train(replace(recipe, seed=1))
    pairs = zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 2]


def test_the_learning_rate_warms_up_and_falls() -> None:
    recipe = training.ToyRecipe(steps=100, warmup=10, lr_end=0.1)
    assert [training.factor(step, recipe) for step in (0, 9, 50)] == [0.1, 1.0, 1.0]
    assert training.factor(75, recipe) == pytest.approx(0.55)
    assert training.factor(100, recipe) == pytest.approx(0.1)


def test_a_saved_model_is_read_again(tmp_path: Path) -> None:
    model, whole = small.build(seed=3), small.build(seed=3).state_dict()
    small.save(model, tmp_path)
    read = small.load(tmp_path).model.state_dict()
    for name, told in whole.items():  # positions are no weights: they are computed again, in full precision
        assert torch.equal(told if "embed_positions" in name else told.half().float(), read[name]), name
    (tmp_path / small.VOCABULARY).write_text('["other"]')
    with pytest.raises(SourceError, match="other words"):
        small.load(tmp_path)
    with pytest.raises(SourceError, match="train-encoder-decoder"):
        small.load(tmp_path / "nowhere")


def test_the_command_trains_measures_and_writes_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    try:
        assert (
            main(["train-encoder-decoder", "--steps", "2", "--batch", "4", "--inputs", "3", "--out", str(tmp_path)])
            == 0
        )
    finally:
        torch.set_num_threads(threads)
    assert "translate" in capsys.readouterr().out
    facts = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == card.page(facts)
    assert facts["recipe"]["steps"] == 2 and len(facts["accuracy"]) == len(TASKS) + len(LISTS)
    assert small.load(tmp_path).model.config.d_model == small.WIDTH


@pytest.mark.parametrize("option", ["steps", "batch", "inputs", "threads"])
def test_a_number_out_of_range_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-encoder-decoder", f"--{option}", "0"]) == 2
    assert f"--{option} must be at least 1" in capsys.readouterr().err


# --- the bundled model
@pytest.fixture(scope="module")
def bundled() -> Small:
    return small.load()


def test_the_bundled_model_is_small_and_its_card_is_written_from_its_facts(bundled: Small) -> None:
    facts = json.loads((small.FOLDER / "card.json").read_text(encoding="utf-8"))
    assert (small.FOLDER / "card.md").read_text(encoding="utf-8") == card.page(facts)
    assert (small.FOLDER / "model.safetensors").stat().st_size < 2 * 2**20
    assert facts["parameters"] == sum(one.numel() for one in bundled.model.parameters() if one.requires_grad)
    assert facts["recipe"] == json.loads(json.dumps(asdict(training.ToyRecipe())))


@pytest.mark.parametrize("task", TASKS)
def test_the_bundled_model_does_on_fresh_inputs_what_its_card_says(bundled: Small, task: str) -> None:
    facts = json.loads((small.FOLDER / "card.json").read_text(encoding="utf-8"))
    told = next(one for one in facts["accuracy"] if one["task"] == task and one["lengths"] is None)
    found = evaluation.measure(bundled.model, task, seed=evaluation.SEED + 7, inputs=150)
    assert found.accuracy >= told["accuracy"] - 0.05
    assert found.count == 150 and found.low <= found.accuracy <= found.high


def test_a_wrong_answer_is_counted_as_one(bundled: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "answers", lambda _model, sources: [("a",) for _ in sources])
    assert evaluation.measure(bundled.model, "translate", seed=1, inputs=20).accuracy == 0.0


# --- which models use which layout
LAYOUTS = read_yaml(ASSETS / "layouts.yaml")
TINY = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OWN = {
    "JambaConfig": {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "mamba_dt_rank": 4,
                    "use_mamba_kernels": False},
    "MixtralConfig": {"num_local_experts": 2},
    "ModernBertConfig": {"cls_token_id": 1, "sep_token_id": 2},
    "BertConfig": {},
}  # fmt: skip


@pytest.mark.parametrize("one", LAYOUTS, ids=lambda one: one["name"])
def test_transformers_confirms_the_layout_of_every_named_model(one: dict[str, object]) -> None:
    assert one.keys() == {"name", "year", "layout", "config", "source", "url", "use"}
    assert one["use"].keys() == {"en", "ko"} and str(one["url"]).startswith("https://")  # type: ignore[attr-defined]
    kind = getattr(transformers, str(one["config"]))
    assert bool(kind().is_encoder_decoder) == (one["layout"] == "both")
    if one["layout"] == "both":
        return
    given = TINY if one["config"] != "BertConfig" else {k: v for k, v in TINY.items() if k != "num_key_value_heads"}
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(kind(**{**given, **OWN.get(str(one["config"]), {})})).eval()
    with torch.inference_mode():
        short, long = (
            model(input_ids=torch.tensor([[5, 6, 7, *more]])).last_hidden_state[0, :3] for more in ((), (8,))
        )
    later = float((short - long).abs().max())
    assert later > 1e-4 if one["layout"] == "encoder" else later < 1e-5, "whether a later word changes earlier ones"
