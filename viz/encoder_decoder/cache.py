"""What the decoder keeps in order to write on: keys and values of its own words, and those of the source."""

import altair as alt
import numpy as np

from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import NamedArray
from viz.encoder_decoder.heads import COLOR
from viz.encoder_decoder.labels import labels
from viz.figure import Figure, figure
from viz.look.labels import Translate, size
from viz.look.theme import Theme
from viz.look.vega import styled, table

HEIGHT = 300
OWN, SOURCE = "own", "source"


@figure("decoder_cache", of="run")
def decoder_cache(run: EncoderDecoderRun, *, theme: Theme, t: Translate) -> Figure:
    """Draw the bytes of both caches after every step, (step,): measured on the live cache."""
    own = np.asarray(run.self_bytes.values, np.int64)
    source = np.asarray(run.cross_bytes.values, np.int64)
    names = labels(run, run.written, t)
    kinds = {SOURCE: t("viz.decoder_cache.source"), OWN: t("viz.decoder_cache.own")}
    colors = [theme.muted, theme.color(COLOR)]
    rows = [
        {"step": step + 1, "word": name, "kind": kind, "title": kinds[kind], "low": low, "high": low + bytes_,
         "middle": low + bytes_ / 2, "told": size(bytes_)}
        for step, name in enumerate(names)
        for kind, low, bytes_ in ((SOURCE, 0, int(source[step])), (OWN, int(source[step]), int(own[step])))
    ]  # fmt: skip
    top = int((own + source).max())
    x = alt.X(
        "step:O", title=t("viz.decoder_cache.steps"), axis=alt.Axis(labelAngle=0), scale=alt.Scale(paddingInner=0.25)
    )
    y = alt.Y("low:Q", title=t("viz.decoder_cache.bytes"), scale=alt.Scale(domain=[0, top * 1.12]), axis=None)
    color = alt.Color("kind:N", scale=alt.Scale(domain=[SOURCE, OWN], range=colors), legend=None)
    tip = [alt.Tooltip("word:N", title=t("viz.decoder_cache.word")), alt.Tooltip("title:N", title=" "),
           alt.Tooltip("told:N", title=t("viz.decoder_cache.bytes"))]  # fmt: skip
    bars = table(rows).mark_bar(cornerRadius=2).encode(x=x, y=y, y2=alt.Y2("high:Q"), color=color, tooltip=tip)
    last = [
        row | {"text": f"{row['title']}: {row['told']}", "at": row["high"] if row["kind"] == OWN else 0}
        for row in rows[-2:]
    ]
    spec = styled([bars, *_names(last, theme)], theme, height=HEIGHT)
    said = {"own": size(int(own[-1])), "source": size(int(source[-1])), "count": run.steps}
    data = {"own": NamedArray(own, ("step",)), "source": NamedArray(source, ("step",))}
    finding = t("viz.decoder_cache.finding", **said, each=size(int(own[-1]) // run.steps))
    return Figure("decoder_cache", spec, data, t("viz.decoder_cache.alt", **said), finding=finding)


def _names(last: list[dict[str, object]], theme: Theme) -> list[alt.Chart]:
    """Write both kinds of bytes at the left end: above all bars, in the colours of the bars."""
    found = []
    for place, (row, color) in enumerate(zip(last, (theme.muted, theme.color(COLOR)), strict=True)):
        named = table([row]).mark_text(align="left", baseline="top", fontSize=13, fontWeight=600, color=color)
        found.append(named.encode(x=alt.value(0), y=alt.value(2 + 18 * (1 - place)), text=alt.Text("text:N")))
    return found
