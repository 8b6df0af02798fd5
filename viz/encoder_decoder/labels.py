"""Tokens of a run as people read them, and the id under which its pictures share the step."""

import hashlib
from collections.abc import Sequence

from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import Token
from viz.look.labels import Translate


def label(run: EncoderDecoderRun, token: str, t: Translate) -> str:
    """Return a word as it is, and a special token by its name."""
    if token == run.given[0]:
        return t("viz.encdec.start")
    if token == run.source[-1]:
        return t("viz.encdec.end")
    return t(f"viz.encdec.special.{token[1:-1]}") if token.startswith("<") else token


def labels(run: EncoderDecoderRun, tokens: Sequence[str], t: Translate) -> tuple[str, ...]:
    """Return several labels."""
    return tuple(label(run, token, t) for token in tokens)


def strip_tokens(names: Sequence[str]) -> tuple[Token, ...]:
    """Return labels as tokens of a strip; each covers a character of its own, for there is no text."""
    return tuple(Token(place, place, name, place, place + 1) for place, name in enumerate(names))


def reading_of(run: EncoderDecoderRun) -> str:
    """Return the id of what was written: pictures of it share one step."""
    told = "\0".join(["encoder-decoder", run.task, *run.words, *run.written])
    return hashlib.blake2s(told.encode(), digest_size=8).hexdigest()


def text_of(run: EncoderDecoderRun, t: Translate) -> str:
    """Return the task and the answer in a line."""
    return f"{label(run, run.source[0], t)}: {' '.join(run.words)} → {' '.join(run.answer)}"
