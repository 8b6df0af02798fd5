"""The small encoder-decoder and its runs, shared by all visitors; plain objects, since anybody can clear caches."""

import json
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from models.records.encoder_decoder import EncoderDecoderRun
from pages.shared import gate
from pages.shared.lru_cache import LruCache

if TYPE_CHECKING:
    from models.encoder_decoder.vocabulary import ToySource

KEPT = 128  # runs, each weighs one: some hundred kilobytes
_RUNS: LruCache[EncoderDecoderRun] = LruCache(KEPT)
_MODELS: LruCache[Any] = LruCache(1)


def run_of(source: "ToySource") -> EncoderDecoderRun:
    """Return the run of an input, made once; while it is made other scripts compute. Raises SourceError."""
    key = (source.task, source.words)
    if (held := _RUNS.held(key)) is not None:
        return held
    with gate.released():
        return _RUNS.get(key, lambda: _made(source), lambda _: 1)


def warm() -> None:
    """Load the model and run the first example of every task, before the first visitor."""
    from models.encoder_decoder import vocabulary
    from pages.learn.encoder_decoder import asking

    for example in map(asking.first_of, vocabulary.TASKS):
        for text in set(example.text.values()):
            source = vocabulary.read(example.task, text)
            _RUNS.get((source.task, source.words), partial(_made, source), lambda _: 1)


def _made(source: "ToySource") -> EncoderDecoderRun:
    from models.encoder_decoder import recording, small

    return recording.record(_MODELS.get("small", small.load, lambda _: 1), source)


@cache
def card() -> dict[str, Any]:
    """Return the card of the model; empty where there is none."""
    from models.encoder_decoder import small

    path = small.FOLDER / "card.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
