"""Maps of one head: the encoder over its source, the decoder over its own words, and the decoder over the source."""

import numpy as np

from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import NamedArray
from viz.canvas import Axis, Bars, CanvasSpec, Legend, Matrix, Scale, Strip
from viz.encoder_decoder.findings import Floats, both_ways_finding, masked_finding, pointed_finding
from viz.encoder_decoder.heads import COLOR, resting_step, weights_of
from viz.encoder_decoder.labels import labels, reading_of, strip_tokens
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, sequential
from viz.trace.tokens import words


@figure("encoder_map", of="run")
def encoder_map(run: EncoderDecoderRun, *, theme: Theme, t: Translate, layer: int, head: int) -> Figure:
    """Draw one head of the encoder (query, key): every word of the source may read every other."""
    weights = weights_of(run, "encoder", layer, head)
    names = labels(run, run.source, t)
    alt = t("viz.encoder_map.alt", layer=layer, head=head)
    spec = _square("encoder_map", alt, weights, names, len(names) - 1, theme=theme, t=t, reading="", masked=False)
    return _figure("encoder_map", spec, weights, finding=both_ways_finding(weights, t))


@figure("decoder_map", of="run")
def decoder_map(run: EncoderDecoderRun, *, theme: Theme, t: Translate, layer: int, head: int) -> Figure:
    """Draw one head of the decoder's self-attention (query, key): a word reads itself and those written before it."""
    weights = weights_of(run, "decoder", layer, head)
    names = labels(run, run.given, t)
    alt = t("viz.decoder_map.alt", layer=layer, head=head)
    shown = resting_step(run)
    spec = _square("decoder_map", alt, weights, names, shown, theme=theme, t=t, reading=reading_of(run), masked=True)
    return _figure("decoder_map", spec, weights, finding=masked_finding(weights, t))


@figure("cross_map", of="run")
def cross_map(run: EncoderDecoderRun, *, theme: Theme, t: Translate, layer: int, head: int) -> Figure:
    """Draw one head of cross-attention (query, key): written words down, the words of the source across."""
    weights = weights_of(run, "cross", layer, head)
    written, source = labels(run, run.written, t), labels(run, run.source, t)
    alt = t("viz.cross_map.alt", layer=layer, head=head)
    color = theme.color(COLOR)
    high = float(weights.max())
    grid = Matrix(
        values=weights,
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=(sequential(COLOR, theme),),
        readout=_readout(t),
        picks="row",
        rows=Axis(names=written, labels=written, title=t("viz.cross_map.rows")),
        columns=Axis(names=source, labels=source, title=t("viz.cross_map.columns")),
        follows=True,
        row_height=28,
        max_height=530,
        selected_row=resting_step(run),
    )
    spec = CanvasSpec(
        "cross_map", alt, theme, color, None, (), grid, (_legend(high, t),), "", words(t), reading_of(run)
    )
    return _figure("cross_map", spec, weights, finding=pointed_finding(weights, t))


def _square(
    name: str,
    alt: str,
    weights: Floats,
    names: tuple[str, ...],
    shown: int,
    *,
    theme: Theme,
    t: Translate,
    reading: str,
    masked: bool,
) -> CanvasSpec:
    """Draw tokens against themselves: strip, the row that is shown until one is chosen as bars, the map."""
    color, high = theme.color(COLOR), float(weights.max())
    grid = Matrix(
        values=np.where(np.tri(len(names), dtype=bool), weights, np.nan).astype(np.float32) if masked else weights,
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=(sequential(COLOR, theme),),
        readout=_readout(t),
        triangle=masked,
        row_tokens=True,
        rows=Axis(title=t("viz.matrix.rows")),
        columns=Axis(title=t("viz.matrix.columns")),
        row_height=28,
        max_height=530,
        picks="row",
        selected_row=shown,
    )
    strip = Strip(
        tokens=strip_tokens(names),
        surprisal=np.full(len(names), np.nan, np.float32),
        selected=shown,
        readout=("{label}", template(t, "viz.encdec.place", "index")),
    )
    bars = (Bars(None, template(t, "viz.matrix.bars", "row"), color),)
    return CanvasSpec(name, alt, theme, color, strip, bars, grid, (_legend(high, t),), "", words(t), reading)


def _readout(t: Translate) -> tuple[str, ...]:
    return (
        template(t, "viz.matrix.pair", "row", "column"),
        template(t, "viz.value", "value", name=t("viz.encdec.quantity")),
    )


def _legend(high: float, t: Translate) -> Legend:
    return Legend(
        t("viz.encdec.quantity"), ((0.0, "0"), (0.5, short(high / 4)), (1.0, short(high))), t("viz.scope.picture_sqrt")
    )


def _figure(name: str, spec: CanvasSpec, weights: Floats, *, finding: str) -> Figure:
    return Figure(name, spec, {"attention": NamedArray(weights, ("query", "key"))}, spec.alt, finding=finding)
