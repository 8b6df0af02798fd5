"""A sample run of an encoder-decoder from numpy formulas: every array agrees with the others, as in a real run."""

from typing import Any

import numpy as np

from models.records.encoder_decoder import DIMS, AttentionRecord, EncoderDecoderRun, StackSizes
from models.records.trace import NamedArray
from viz.gallery.samples import Values, softmax, wave

LAYERS, HEADS, D_HEAD = 2, 2, 3
SOURCE = ("<reverse>", "a", "b", "c", "</s>")
WRITTEN = ("c", "b", "a", "</s>")
VOCABULARY = ("<pad>", "<s>", "</s>", "<copy>", "<reverse>", "a", "b", "c", "d", "e")


def sample_run(
    source: tuple[str, ...] = SOURCE,
    written: tuple[str, ...] = WRITTEN,
    *,
    expected: tuple[str, ...] | None = ("c", "b", "a"),
) -> EncoderDecoderRun:
    """Return a run over a source that wrote some words, the end last; its arrays follow from waves."""
    given = ("<s>", *written[:-1])
    keys, steps, width = len(source), len(written), HEADS * D_HEAD
    head = wave(len(VOCABULARY), width, pace=0.7)
    hidden = np.stack([3 * head[VOCABULARY.index(word)] for word in written]) + 0.2 * wave(steps, width)
    bias = np.zeros(len(VOCABULARY))
    each = 2 * LAYERS * width * 4
    return EncoderDecoderRun(
        task=source[0].strip("<>"),
        words=source[1:-1],
        source=source,
        given=given,
        written=written,
        expected=expected,
        encoder=attention(np.ones((keys, keys)), pace=1.1),
        decoder=attention(np.tri(steps), pace=1.7),
        cross=attention(np.ones((steps, keys)), pace=2.3),
        logits=_named(hidden @ head.T + bias, "step", "vocab"),
        hidden=_named(hidden, "step", "d_model"),
        head=_named(head, "vocab", "d_model"),
        bias=_named(bias, "vocab"),
        self_bytes=NamedArray(each * np.arange(1, steps + 1), ("step",)),
        cross_bytes=NamedArray(np.full(steps, each * keys), ("step",)),
        number_bytes=4,
        sizes=StackSizes(LAYERS, LAYERS, HEADS, width, 8, len(VOCABULARY), 1000),
        vocabulary=VOCABULARY,
        dtype="float32",
        seconds=0.01,
    )


def attention(visible: Values, *, pace: float) -> AttentionRecord:
    """Build one kind of attention from waves as queries, keys and values, over the cells that are visible."""
    queries, keys = visible.shape
    query, key = wave(LAYERS, HEADS, queries, D_HEAD, pace=pace), 2 * wave(LAYERS, HEADS, keys, D_HEAD, pace=pace + 1)
    value = wave(LAYERS, HEADS, keys, D_HEAD, pace=pace + 2)
    weights = softmax(np.where(visible > 0, np.einsum("lhqd,lhkd->lhqk", query, key), -np.inf))
    arrays: dict[str, Any] = {"weights": weights, "query": query, "key": key, "value": value, "output": weights @ value}
    found = {name: _named(array, *DIMS[name]) for name, array in arrays.items()}
    return AttentionRecord(visible=NamedArray(visible.astype(np.uint8), DIMS["visible"]), **found)


def _named(array: Values, *dims: str) -> NamedArray:
    return NamedArray(array.astype(np.float32), dims)
