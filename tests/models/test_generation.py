"""A text is written on as the model itself would: argmax of full passes, transformers' generate, and the seed."""

import math
import threading
from collections.abc import Callable
from itertools import islice

import pytest
import torch

from models import registry
from models.counting import accounting
from models.errors import PromptError, SettingError
from models.generation.distribution import Sampling, next_token, shares
from models.generation.stream import MOST_TOKENS, Settings, Step, continue_text, fitting
from models.limits import PROMPT_CHARACTERS, PROMPT_TOKENS
from models.tracing.adapter import Checkpoint

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

PROMPT = "The old sailor tied the boat, and the old dog"
KOREAN = "\uc774 \uc601\ud654\ub294 \uc815\ub9d0"
COUNT = 12

CheckpointOf = Callable[[str], Checkpoint]


def written(checkpoint: Checkpoint, prompt: str, **settings: object) -> list[Step]:
    return list(continue_text(checkpoint, prompt, Settings(**{"tokens": COUNT, **settings})))


def full_pass(checkpoint: Checkpoint, ids: list[int]) -> torch.Tensor:
    """The logits after the last of ids, with no cache from before."""
    adapter = registry.adapter(checkpoint.architecture)
    with torch.inference_mode():
        return adapter.forward(checkpoint.model, torch.tensor([ids]), None, last_only=False)[0][0, -1]


def test_greedy_is_the_argmax_of_full_passes(name: str, checkpoint_of: CheckpointOf) -> None:
    checkpoint = checkpoint_of(name)
    ids = list(registry.encode(checkpoint, PROMPT).ids)
    for step in written(checkpoint, PROMPT):
        logits = full_pass(checkpoint, ids)
        top = logits.topk(2).values
        if float(top[0] - top[1]) > 1e-4 * float(logits.abs().max()):  # else rounding decides between two
            assert step.id == int(logits.argmax())
        assert step.read == len(ids)
        assert step.prob == pytest.approx(float(torch.softmax(logits.double(), -1)[step.id]), rel=2e-3)
        assert step.rank == 1
        ids.append(step.id)


@pytest.mark.parametrize("prompt", [PROMPT, KOREAN])
def test_greedy_is_what_transformers_generates(prompt: str, name: str, checkpoint_of: CheckpointOf) -> None:
    """Their own loop, with their own cache; where it ends a text, so do we."""
    checkpoint = checkpoint_of(name)
    ids = registry.encode(checkpoint, prompt).ids
    with torch.inference_mode():
        theirs = checkpoint.model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=COUNT,
            do_sample=False, pad_token_id=0,
        )  # fmt: skip
    ours = written(checkpoint, prompt)
    assert [step.id for step in ours] == theirs[0, len(ids) :].tolist()
    assert [step.ends for step in ours[:-1]] == [False] * (len(ours) - 1)


def test_bytes_carried_are_those_of_the_formula_at_every_step(name: str, checkpoint_of: CheckpointOf) -> None:
    checkpoint = checkpoint_of(name)
    shape = accounting.shape_of(checkpoint.config)
    for step in written(checkpoint, PROMPT):
        assert step.cache_bytes == accounting.cache_bytes(shape, context=step.read, dtype="float32")


def test_a_seed_draws_the_tokens_that_the_distribution_says(name: str, checkpoint_of: CheckpointOf) -> None:
    """Rebuilt from full passes: the same shares of the same cumulated probabilities."""
    checkpoint, sampling = checkpoint_of(name), Sampling(0.8, 20, 0.9)
    steps = written(checkpoint, PROMPT, greedy=False, sampling=sampling, seed=5)
    ids, lots = list(registry.encode(checkpoint, PROMPT).ids), shares(5)
    for step in steps:
        logits = full_pass(checkpoint, ids)
        found, share = next_token(logits.numpy(), sampling), next(lots)
        within = found.probs[found.order].cumsum()
        if min(abs(within - share)) > 1e-4:  # else rounding decides between two
            assert step.id == found.drawn(share)
        assert step.rank == found.rank(step.id) or found.rank(step.id) > 3
        assert step.prob == pytest.approx(float(torch.softmax(logits.double(), -1)[step.id]), rel=2e-3), (
            "the model's own"
        )
        assert step.drawn_from == pytest.approx(float(found.probs[step.id]), rel=0.05), "after temperature and cuts"
        ids.append(step.id)
    assert [s.id for s in written(checkpoint, PROMPT, greedy=False, sampling=sampling, seed=5)] == [s.id for s in steps]


@pytest.mark.slow
def test_another_seed_writes_another_text(checkpoint_of: CheckpointOf) -> None:
    texts = {"".join(s.text for s in written(checkpoint_of("mamba"), PROMPT, greedy=False, seed=n)) for n in range(4)}
    assert len(texts) > 1


def test_top_1_is_greedy(checkpoint_of: CheckpointOf) -> None:
    drawn = written(checkpoint_of("jamba"), PROMPT, greedy=False, sampling=Sampling(top_k=1), seed=9)
    assert [s.id for s in drawn] == [s.id for s in written(checkpoint_of("jamba"), PROMPT)]


@pytest.mark.parametrize("prompt", [PROMPT, KOREAN])
def test_the_text_is_that_of_the_ids(prompt: str, checkpoint_of: CheckpointOf) -> None:
    checkpoint = checkpoint_of("transformer")
    steps = written(checkpoint, prompt, greedy=False, seed=1)
    ids = [step.id for step in steps if not step.ends]
    text = "".join(step.text for step in steps)
    whole = checkpoint.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert whole.rstrip("\ufffd") == text
    assert all(step.label for step in steps)


def test_a_text_ends_with_the_token_that_ends_texts(checkpoint_of: CheckpointOf) -> None:
    steps = list(continue_text(checkpoint_of("transformer"), KOREAN, Settings(tokens=MOST_TOKENS)))
    assert steps[-1].ends and steps[-1].text == "" and len(steps) < MOST_TOKENS


def test_a_model_with_learned_positions_stops_at_its_last(checkpoint_of: CheckpointOf, monkeypatch) -> None:
    """Five positions after 4 tokens: it reads the fifth, and predicts after it, and no more."""
    checkpoint = checkpoint_of("seeded-gpt2")
    shape = accounting.shape_of(checkpoint.config)
    length = len(registry.encode(checkpoint, PROMPT).ids)

    class Short:
        positions, vocab = length + 1, shape.vocab

    monkeypatch.setattr("models.generation.stream.accounting.shape_of", lambda _: Short)
    monkeypatch.setattr("models.generation.stream.accounting.params_total", lambda _: 1)
    assert len(list(continue_text(checkpoint, PROMPT, Settings(tokens=9)))) == 2


def test_the_lock_is_free_between_tokens(checkpoint_of: CheckpointOf) -> None:
    """A trace of the same model by another thread must not wait for the end of the text."""
    checkpoint = checkpoint_of("rwkv")
    writing = continue_text(checkpoint, PROMPT, Settings(tokens=3))
    next(writing)
    got: list[bool] = []

    def take() -> None:
        got.append(checkpoint.lock.acquire(timeout=5))
        if got[0]:
            checkpoint.lock.release()

    other = threading.Thread(target=take)
    other.start()
    other.join()
    assert got == [True]


def test_a_trace_in_between_changes_nothing(checkpoint_of: CheckpointOf) -> None:
    checkpoint = checkpoint_of("jamba")
    plain = [s.id for s in written(checkpoint, PROMPT)]
    writing, mixed = continue_text(checkpoint, PROMPT, Settings(tokens=COUNT)), []
    for step in writing:
        mixed.append(step.id)
        registry.trace(checkpoint, "something else entirely")
    assert mixed == plain


@pytest.mark.parametrize(
    "bad",
    [{"tokens": 0}, {"tokens": MOST_TOKENS + 1}, {"tokens": 2.5}, {"seed": -1}, {"seed": 10**6}, {"seed": math.nan}],
)
def test_settings_outside_their_range_are_refused(bad: dict) -> None:
    with pytest.raises(SettingError):
        Settings(**bad)


def test_a_prompt_that_cannot_be_read_is_refused(checkpoint_of: CheckpointOf) -> None:
    with pytest.raises(PromptError):
        next(continue_text(checkpoint_of("mamba"), "  ", Settings()))


def test_a_longer_text_is_cut_to_what_figures_show(checkpoint_of: CheckpointOf) -> None:
    checkpoint = checkpoint_of("transformer")
    assert fitting(checkpoint, PROMPT) == (PROMPT, False)
    long = "a b c " * 200
    short, cut = fitting(checkpoint, long)
    assert cut and long.startswith(short)
    assert len(registry.encode(checkpoint, short).ids) <= PROMPT_TOKENS
    with pytest.raises(PromptError):
        registry.encode(checkpoint, long[: len(short) + 3])
    assert len(fitting(checkpoint, "word " * 2000)[0]) <= PROMPT_CHARACTERS
    assert fitting(checkpoint, "a\0b") == ("ab", False)


def test_a_stream_can_be_left_at_any_token(checkpoint_of: CheckpointOf) -> None:
    assert len(list(islice(continue_text(checkpoint_of("rwkv"), PROMPT, Settings(tokens=9)), 2))) == 2
