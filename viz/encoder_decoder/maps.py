"""Maps of one head: the encoder over its source, the decoder over its own words, and the decoder over the source."""

import numpy as np

from models.records.encoder_decoder import EncoderDecoderRun, Kind
from models.records.trace import NamedArray
from viz.canvas import Axis, Bars, CanvasSpec, Legend, Matrix, Scale, Strip
from viz.encoder_decoder.findings import Floats, both_ways_finding, masked_finding, strongest_finding
from viz.encoder_decoder.labels import labels, reading_of, strip_tokens
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, sequential
from viz.trace.tokens import words

COLOR = "transformer"  # the layout is that of the Transformer of 2017


def weights_of(run: EncoderDecoderRun, kind: Kind, layer: int, head: int) -> Floats:
    """Return the weights (query, key) of one head; IndexError for a layer or head that the run does not have."""
    found = run.attention(kind).weights.values
    if not (0 <= layer < found.shape[0] and 0 <= head < found.shape[1]):
        raise IndexError(f"layer {layer}, head {head} of {found.shape[:2]}")
    return np.asarray(found[layer, head], np.float32)


@figure("encoder_map", of="run")
def encoder_map(run: EncoderDecoderRun, *, theme: Theme, t: Translate, layer: int, head: int) -> Figure:
    """Draw one head of the encoder (query, key): every word of the source may read every other."""
    weights = weights_of(run, "encoder", layer, head)
    names = labels(run, run.source, t)
    alt = t("viz.encoder_map.alt", layer=layer, head=head)
    spec = _square("encoder_map", alt, weights, names, theme=theme, t=t, reading="", masked=False)
    return _figure("encoder_map", spec, weights, finding=both_ways_finding(weights, t))


@figure("decoder_map", of="run")
def decoder_map(run: EncoderDecoderRun, *, theme: Theme, t: Translate, layer: int, head: int) -> Figure:
    """Draw one head of the decoder's self-attention (query, key): a word reads itself and those written before it."""
    weights = weights_of(run, "decoder", layer, head)
    names = labels(run, run.given, t)
    alt = t("viz.decoder_map.alt", layer=layer, head=head)
    spec = _square("decoder_map", alt, weights, names, theme=theme, t=t, reading=reading_of(run), masked=True)
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
        selected_row=len(written) - 1,
    )
    spec = CanvasSpec("cross_map", alt, theme, color, None, (), grid, (_legend(high, t),), "", words(t), reading_of(run))
    return _figure("cross_map", spec, weights, finding=strongest_finding(weights, written, source, t))


def _square(
    name: str, alt: str, weights: Floats, names: tuple[str, ...], *, theme: Theme, t: Translate, reading: str, masked: bool
) -> CanvasSpec:
    """Draw tokens against themselves: strip, the shown row as bars, the map."""
    color, high = theme.color(COLOR), float(weights.max())
    last = len(names) - 1
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
        selected_row=last,
    )
    strip = Strip(
        tokens=strip_tokens(names),
        surprisal=np.full(len(names), np.nan, np.float32),
        selected=last,
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
