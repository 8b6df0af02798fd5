"""Write a text on with a model, one token per step of its own decoding with cache."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from models import registry
from models.counting import accounting
from models.errors import SettingError
from models.generation.distribution import PLAIN, Floats, Sampling, next_token, shares
from models.generation.writing import Writer
from models.limits import PROMPT_CHARACTERS
from models.machine import threads
from models.tracing.adapter import Checkpoint
from models.tracing.tokens import clean, label_of

MOST_TOKENS = 64  # that one continuation may write
MOST_SEED = 99_999


@dataclass(frozen=True, slots=True)
class Settings:
    """How a text is continued. greedy: always the most likely token; else drawn, reproducibly, from sampling.

    Raises SettingError for a number of tokens or a seed outside its range.
    """

    tokens: int = 24
    greedy: bool = True
    sampling: Sampling = field(default=PLAIN)
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = (("tokens", self.tokens, 1, MOST_TOKENS), ("seed", self.seed, 0, MOST_SEED))
        for name, value, low, high in ranges:
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                message = f"{name} is {value}: choose a whole number from {low} to {high}"
                raise SettingError("errors.setting_range", message, name=name, value=value, low=low, high=high)


@dataclass(frozen=True, slots=True)
class Step:
    """One token that was written.

    text: what is whole with it, "" inside a character; label: the token alone, readable. prob: the model's own
    probability (temperature 1, whole vocabulary); drawn_from: its probability among those that could be drawn, 1 when
    greedy; rank: its place in the model's distribution, 1 is the most likely. read: tokens that the model had read;
    cache_bytes: what it carried then, counted on its live tensors. ends: this is the token that ends a text.
    """

    index: int
    id: int
    label: str
    text: str
    prob: float
    drawn_from: float
    rank: int
    read: int
    cache_bytes: int
    ends: bool = False


def continue_text(checkpoint: Checkpoint, prompt: str, settings: Settings) -> Iterator[Step]:
    """Yield the tokens that a model writes after a prompt; every step costs one pass over one token.

    Ends after settings.tokens, after a token that ends texts, and where the model has no further position. Greedy gives
    the argmax of full passes over the growing text. The lock of the checkpoint is held during each pass only.
    Raises PromptError and SourceError as registry.trace does, on the first step.
    """
    encoded = registry.encode(checkpoint, prompt)
    shape = accounting.shape_of(checkpoint.config)
    tokenizer = checkpoint.tokenizer
    if tokenizer is None:  # encode has refused it
        return
    room = settings.tokens if not shape.positions else min(settings.tokens, shape.positions - len(encoded.ids) + 1)
    feed, writer, label, ends = (
        _feeder(checkpoint),
        Writer(tokenizer, encoded.ids),
        label_of(tokenizer),
        _ends(checkpoint),
    )
    lots = shares(settings.seed)
    following, cache = list(encoded.ids), None
    read = 0
    for index in range(room):
        logits, cache, carried = feed(following, cache)
        read += len(following)
        found = next_token(logits, PLAIN if settings.greedy else settings.sampling)
        token = found.greedy() if settings.greedy else found.drawn(next(lots))
        over = token in ends
        yield Step(
            index, token, label(token), "" if over else writer.write(token), float(found.own[token]),
            1.0 if settings.greedy else float(found.probs[token]), found.rank(token), read, carried, over,
        )  # fmt: skip
        if over:
            return
        following = [token]


def fitting(checkpoint: Checkpoint, text: str) -> tuple[str, bool]:
    """Return as much of a text, from its start, as can be shown in the figures, and whether something was cut off.

    The limits are those of a prompt: PROMPT_CHARACTERS, and PROMPT_TOKENS of this model's tokens.
    """
    fit = registry.fitted(checkpoint, text[:PROMPT_CHARACTERS])
    return clean(fit.text)[0], fit.left_out > 0 or len(text) > PROMPT_CHARACTERS


def _feeder(checkpoint: Checkpoint) -> Callable[[list[int], Any], tuple[Floats, Any, int]]:
    """Return what reads ids after a cache: the logits (vocab,) after the last, the new cache, and its bytes."""
    adapter = registry.adapter(checkpoint.architecture)
    wanted = threads.threads_for(accounting.params_total(accounting.shape_of(checkpoint.config)))

    def feed(ids: list[int], cache: Any) -> tuple[Floats, Any, int]:
        with checkpoint.lock, threads.limited(wanted):
            logits, cache = adapter.step(checkpoint, torch.tensor([ids], device=checkpoint.device), cache)
            return np.asarray(logits[0].float().cpu().numpy(), np.float64), cache, adapter.cache_bytes(cache)

    return feed


def _ends(checkpoint: Checkpoint) -> frozenset[int]:
    """List the ids that end a text for transformers' generate: those of the generation config, else of the config."""
    own = getattr(checkpoint.model, "generation_config", None)
    found = getattr(own, "eos_token_id", None)
    if found is None:
        found = getattr(checkpoint.config, "eos_token_id", None)
    return frozenset([found] if isinstance(found, int) else found or ())
