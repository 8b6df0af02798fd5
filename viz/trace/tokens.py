"""The reader's tokens as a strip, alone or above another picture."""

import hashlib
import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from models.records.trace import ModelTrace
from viz.canvas import Bars, CanvasSpec, Frames, Legend, Matrix, Strip, Tiles
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme
from viz.trace.findings import surprisal_finding


@figure("token_strip")
def token_strip(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw the tokens alone, each with the surprisal it cost the model: -log2 p(token | before), in bits."""
    spec = picture(
        "token_strip",
        t("viz.token_strip.alt", count=len(trace.tokens)),
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected),
        note=" ".join([t("viz.token_strip.note"), _blind_guess(trace, t)]),
    )
    finding = surprisal_finding(np.asarray(trace.surprisal.values, np.float64), trace.tokens, t)
    return Figure("token_strip", spec, {"surprisal": trace.surprisal}, spec.alt, finding=finding)


def picture(
    figure: str,
    alt: str,
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    strip: Strip | None = None,
    bars: tuple[Bars, ...] = (),
    grid: Matrix | Frames | Tiles | None = None,
    legends: tuple[Legend, ...] = (),
    note: str = "",
    token_notes: tuple[str, ...] = (),
) -> CanvasSpec:
    """Assemble a canvas picture of a trace: its accent is the architecture's colour, its words come from t."""
    accent = theme.color(trace.architecture)
    return CanvasSpec(
        figure, alt, theme, accent, strip, bars, grid, legends, note, words(t), reading_of(trace), token_notes
    )


def reading_of(trace: ModelTrace) -> str:
    """Return the id of a text as one model reads it: pictures of the same reading share one selection."""
    return hashlib.blake2s(f"{trace.checkpoint}\0{trace.prompt}".encode(), digest_size=8).hexdigest()


def strip_of(
    trace: ModelTrace,
    *,
    t: Translate,
    selected: int | None = None,
    role: Literal["columns", "rows", "frames"] = "columns",
    extra: tuple[str, ...] = (),
) -> Strip:
    """Build the strip of a trace. selected out of range is no selection."""
    count = len(trace.tokens)
    return Strip(
        tokens=trace.tokens,
        surprisal=trace.surprisal.values.astype(np.float32),
        selected=selected if selected is not None and 0 <= selected < count else None,
        role=role,
        readout=(
            "{label}",
            template(t, "viz.strip.facts", "index", "id"),
            template(t, "viz.strip.surprisal", "bits", "p"),
            "{extra}",
        ),
        extra=extra,
    )


def words(t: Translate) -> Mapping[str, str]:
    """Collect the interface words that the canvas itself shows or speaks."""
    return {
        "play": t("viz.words.play"),
        "pause": t("viz.words.pause"),
        "time": t("viz.words.time"),
        "frame": template(t, "viz.words.frame", "index", "label"),
        "picture": t("viz.words.picture"),
        "keys": t("viz.words.keys"),
        "summed": t("viz.words.summed"),
        "strongest": t("viz.words.strongest"),
        "zoom": t("viz.words.zoom"),
        "zoom_in": t("viz.words.zoom_in"),
        "zoom_out": t("viz.words.zoom_out"),
        "zoom_whole": t("viz.words.zoom_whole"),
        "zoom_hint": template(t, "viz.words.zoom_hint", "count"),
        "zoom_all": template(t, "viz.words.zoom_all", "count"),
        "zoom_range": template(t, "viz.words.zoom_range", "first", "last", "count"),
        "zoom_rows": template(t, "viz.words.zoom_rows", "top", "bottom", "first", "last", "count"),
    }


def _blind_guess(trace: ModelTrace, t: Translate) -> str:
    """Say what a guess among all tokens of this model costs: log2 of how many there are, in bits."""
    vocab = trace.logits.sizes["vocab"]
    return t("viz.token_strip.guess", vocab=f"{vocab:,}", bits=short(math.log2(vocab)))
