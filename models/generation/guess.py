"""A reader's guess of the next word as a token: the first one that the tokenizer makes of it."""

from models.errors import PromptError
from models.generation.distribution import Floats
from models.tracing.adapter import Checkpoint
from models.tracing.tokens import clean

LONGEST = 40  # characters of a guess


def guessed_token(checkpoint: Checkpoint, word: str, logits: Floats) -> int:
    """Return the token that a word begins with, after a space or without one: the one that the model finds likelier.

    logits (vocab,) of the place that the word is guessed for. Raises PromptError for a word without a token.
    """
    text = clean(word)[0].strip()[:LONGEST]
    tokenizer = checkpoint.tokenizer
    found: list[int] = []
    if text and tokenizer is not None:
        for written in (f" {text}", text):
            ids = tokenizer(written, add_special_tokens=False)["input_ids"]
            found += [int(one) for one in ids[:1] if int(one) < len(logits)]
    if not found:
        raise PromptError("errors.prompt_empty", "the guess is empty: type a word")
    return max(found, key=lambda one: float(logits[one]))
