"""Direct logit attribution: what every part of a model, and every head, adds to the logit of a token."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.records.trace import Array, Attribution, ModelTrace, NamedArray
from viz.canvas import Axis, Frames, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging
from viz.trace.findings import added_finding, heads_finding, signed
from viz.trace.state import FILM_SCOPES
from viz.trace.tokens import picture, strip_of

ROW, HEIGHT = 34, 1200  # pixels: of a row, of all rows at most

Wide = npt.NDArray[np.float64]


@figure("logit_attribution", of="asked")
def logit_attribution(
    trace: ModelTrace, *, theme: Theme, t: Translate, found: Attribution, selected: int | None = None
) -> Figure:
    """Draw what the embedding, every mixer and feed-forward and the biases add to a logit, (part, token), signed.

    found: of one token per position. The column of a position adds up to the logit that the model gave; what rounding
    leaves is stated below. Without a token to follow, as after the last word of a text, a column is empty.
    """
    rows = parts_of(trace, found, theme, t)
    names, labels = tuple(row.name for row in rows), tuple(row.label for row in rows)
    values = np.stack([row.added for row in rows])
    count = len(trace.tokens)
    at = selected if selected is not None and 0 <= selected < count else count - 1
    high = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    token_notes = tuple(_note(trace, found, values, place, t) for place in range(count))
    numbers = tuple(tuple("" if np.isnan(one) else signed(float(one)) for one in column) for column in values.T)
    grid = Matrix(
        values=values.astype(np.float32),
        scale=Scale(0.0, high, kind="sqrt", signed=True),
        ramps=(diverging(theme),),
        readout=("{row} · {column}", template(t, "viz.value", "value", name=t("viz.logit_attribution.quantity"))),
        rows=Axis(names=names, labels=labels, notes=numbers[at], colors=tuple(row.color for row in rows)),
        token_notes=numbers,
        row_height=ROW,
        max_height=HEIGHT,
    )
    alt = t("viz.logit_attribution.alt", parts=len(names), tokens=count)
    legend = Legend(
        t("viz.logit_attribution.quantity"),
        ((0.0, f"−{short(high)}"), (0.5, "0"), (1.0, f"+{short(high)}")),
        t("viz.scope.picture_sqrt"),
    )
    spec = picture(
        "logit_attribution",
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=at),
        grid=grid,
        legends=(legend,),
        note=token_notes[at],
        token_notes=token_notes,
    )
    data = {"added": NamedArray(values, ("part", "token")), "logit": found.logit, "token_id": found.ids}
    return Figure("logit_attribution", spec, data, alt, finding=added_finding(values, names, t))


class Part(NamedTuple):
    """A row: its name, a short one for the axis, its colour, and what it adds at every token, (token,)."""

    name: str
    label: str
    color: str
    added: Wide


def parts_of(trace: ModelTrace, found: Attribution, theme: Theme, t: Translate) -> list[Part]:
    """List what adds to the logit: the embedding, the parts of every layer in their order, the biases if any."""
    embedding, bias = t("viz.logit_lens.embedding"), t("viz.logit_attribution.bias")
    rows = [Part(embedding, embedding, theme.ink, _wide(found.embedding.values))]
    for n, layer in enumerate(trace):
        color = theme.mixer_color(layer.mixer)
        rows.append(_part(layer.index, t(f"viz.mixer.{layer.mixer}"), color, found.mixer.values[n], t))
        if layer.ffn != "none":
            name = t("viz.part.ffn_short") if layer.ffn == "dense" else t(f"viz.ffn.{layer.ffn}")
            rows.append(_part(layer.index, name, theme.muted, found.ffn.values[n], t))
    if np.nanmax(np.abs(found.bias.values), initial=0.0) > 0:
        rows.append(Part(bias, bias, theme.ink, _wide(found.bias.values)))
    return rows


def _part(layer: int, part: str, color: str, added: Array, t: Translate) -> Part:
    return Part(t("viz.layer_part", layer=layer, part=part), f"{layer} · {part}", color, _wide(added))


def _wide(values: Array) -> Wide:
    return np.asarray(values, np.float64)


def _note(trace: ModelTrace, found: Attribution, values: Wide, at: int, t: Translate) -> str:
    """Say whose logit the column of a token adds up to, and what rounding leaves."""
    token = int(found.ids.values[at])
    if token < 0:
        return t("viz.logit_attribution.none", at=trace.tokens[at].label)
    logit, total = float(found.logit.values[at]), float(values[:, at].sum())
    said = {
        "at": trace.tokens[at].label,
        "token": trace.label_of(token),
        "sum": f"{total:.2f}",
        "logit": f"{logit:.2f}",
    }
    return t("viz.logit_attribution.sum", **said, left=f"{abs(logit - total):.0e}")


@figure("head_attribution", of="asked", also=("head_output",))
def head_attribution(
    trace: ModelTrace, *, theme: Theme, t: Translate, found: Attribution, selected: int | None = None
) -> Figure:
    """Draw what every head adds to the logit at one token after another: rows are layers with heads, columns heads."""
    layers = sorted(found.heads)
    most = max(len(found.heads[layer].values) for layer in layers)
    frames = np.full((len(trace.tokens), len(layers), most), np.nan)
    for row, layer in enumerate(layers):
        values = np.asarray(found.heads[layer].values, np.float64)
        frames[:, row, : len(values)] = values.T
    high = float(np.nanmax(np.abs(frames), initial=0.0)) or 1.0
    shown = np.where(np.isnan(frames), 0.0, frames)
    highs = np.abs(shown).max((1, 2))
    grid = Frames(
        values=shown.astype(np.float32),
        scale=Scale(0.0, high, kind="sqrt", signed=True),
        ramps=(diverging(theme),),
        readout=(
            "{row} · {column} · {frame}",
            template(t, "viz.value", "value", name=t("viz.logit_attribution.quantity")),
        ),
        frame_highs=np.where(highs > 0, highs, high).astype(np.float32),
        scopes=tuple(t(key) for key in FILM_SCOPES),
        rows=Axis(labels=tuple(t("viz.layer", layer=layer) for layer in layers)),
        columns=Axis(
            names=tuple(t("viz.head", head=head) for head in range(most)),
            labels=tuple(str(head) for head in range(most)),
            title=t("viz.head_attribution.columns"),
        ),
        row_height=30,
        max_height=520,
        picks="none",
    )
    alt = t("viz.head_attribution.alt", heads=sum(len(one.values) for one in found.heads.values()))
    legend = Legend(
        t("viz.logit_attribution.quantity"),
        ((0.0, f"≤ −{short(high)}"), (0.5, "0"), (1.0, f"≥ +{short(high)}")),
        grid.scopes[0],
    )
    strip = strip_of(trace, t=t, selected=selected, role="frames")
    spec = picture("head_attribution", alt, trace, theme=theme, t=t, strip=strip, grid=grid, legends=(legend,))
    data = {
        "added": NamedArray(frames, ("token", "layer", "head")),
        "layer": NamedArray(np.array(layers), ("layer",)),
        "token_id": found.ids,
    }
    return Figure("head_attribution", spec, data, alt, finding=heads_finding(frames, layers, t))
