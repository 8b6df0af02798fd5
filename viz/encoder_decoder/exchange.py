"""The decoder looks at the source while it writes: cross-attention as lines, with the likeliest next words."""

from collections.abc import Mapping

import numpy as np

from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import NamedArray
from viz.encoder_decoder.findings import Floats, crossing_finding
from viz.encoder_decoder.heads import COLOR, resting_step, weights_of
from viz.encoder_decoder.labels import label, labels, reading_of
from viz.exchange import ExchangeSpec, LikelyWords
from viz.figure import Figure, figure
from viz.look.labels import Translate, template
from viz.look.theme import Theme

BEST = 5  # next words at a step
PAGE = "encoder-decoder"


@figure("cross_lines", of="run")
def cross_lines(run: EncoderDecoderRun, *, theme: Theme, t: Translate, layer: int, head: int) -> Figure:
    """Draw one head of cross-attention as lines (step, source), and the BEST likeliest words at every step."""
    weights = weights_of(run, "cross", layer, head)
    ids, probs = next_words(run)
    names = tuple(labels(run, [run.vocabulary[token] for token in row], t) for row in ids)
    written = tuple(
        row.index(word) if word in row else -1 for row, word in zip(names, labels(run, run.written, t), strict=True)
    )
    alt = t("viz.cross_lines.alt", layer=layer, head=head, count=run.steps)
    spec = ExchangeSpec(
        "cross_lines",
        alt,
        theme,
        theme.color(COLOR),
        PAGE,
        reading_of(run),
        labels(run, run.source, t),
        labels(run, run.written, t),
        weights,
        LikelyWords(names, probs.astype(np.float32), written),
        (layer, head),
        resting_step(run),
        note=t("viz.cross_lines.note"),
        words=_words(run, t),
    )
    data = {
        "attention": NamedArray(weights, ("step", "source")),
        "token": NamedArray(ids, ("step", "choice")),
        "probability": NamedArray(probs, ("step", "choice")),
    }
    return Figure("cross_lines", spec, data, alt, finding=_finding(run, weights, t))


def next_words(run: EncoderDecoderRun) -> tuple[np.ndarray, Floats]:
    """Return ids and probabilities of the likeliest words at every step, best first; of equals the lower id."""
    logits = run.logits.values.astype(np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    probs = odds / odds.sum(1, keepdims=True)
    best = np.argsort(-logits, axis=1, kind="stable")[:, :BEST]
    return best, np.take_along_axis(probs, best, axis=1)


def _finding(run: EncoderDecoderRun, weights: Floats, t: Translate) -> str:
    """Say whether the answer is right, and how many of the strongest lines cross."""
    verdict = {
        None: "viz.cross_lines.no_answer",
        True: "viz.cross_lines.right",
        False: "viz.cross_lines.wrong",
    }[run.right]
    said = t(verdict, answer=" ".join(run.answer) or "–", expected=" ".join(run.expected or ()))
    return f"{said} {crossing_finding(weights, t)}".strip()


def _words(run: EncoderDecoderRun, t: Translate) -> Mapping[str, str]:
    plain = ("source", "written", "next", "play", "pause", "back", "on", "speed", "time", "kind", "keys")
    return {name: t(f"viz.cross_lines.words.{name}") for name in plain} | {
        "at": template(t, "viz.cross_lines.words.at", "step", "count", "word"),
        "reads": template(t, "viz.cross_lines.words.reads", "word", "source", "share"),
        "likeliest": template(t, "viz.cross_lines.words.likeliest", "word", "share"),
        "start": label(run, run.given[0], t),
    }
