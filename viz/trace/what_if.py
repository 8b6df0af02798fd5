"""One text read with something switched off, beside the reading with everything on."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from models.records.what_if import Worth
from models.records.what_if import what_if as compared
from viz.canvas import Axis, Bars, CanvasSpec, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging, sequential
from viz.ranking import Ranking
from viz.trace.channels import Floats
from viz.trace.findings import likeliest_finding, what_if_finding, worth_finding
from viz.trace.next_word import BEST, plain_lists, ranking_words
from viz.trace.tokens import picture, strip_of, words

ROW = 40  # pixels of a row


@figure("what_if", of="traces")
def what_if(traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw the bits of every token before and after, and the change of its log2 probability.

    traces: the text read with everything on, then with something off. ValueError for other than two of one text.
    """
    before, after = traces
    found = compared(before, after)
    costs = -np.asarray(found.log_probs.values, np.float64)
    change, high = found.change, float(np.nanmax(costs[:, 1:], initial=1.0))
    names = (t("viz.what_if.before"), t("viz.what_if.after"))
    grid = Matrix(
        values=costs.astype(np.float32),
        scale=Scale(0.0, high),
        ramps=(diverging(theme), sequential(before.architecture, theme)),  # bars below zero take the first one's end
        row_ramps=(1, 1),
        readout=("{row} · {column}", template(t, "viz.value", "value", name=t("viz.what_if.quantity"))),
        rows=Axis(names=names, labels=names),
        texts=tuple(tuple("" if np.isnan(v) else f"{v:.1f}" for v in row) for row in costs),
        whole_texts=True,
        row_height=ROW,
        max_height=2 * ROW,
    )
    alt = t("viz.what_if.alt", tokens=len(before.tokens))
    spec = picture(
        "what_if",
        alt,
        before,
        theme=theme,
        t=t,
        strip=strip_of(before, t=t, selected=selected),
        bars=(
            Bars(
                change.astype(np.float32),
                t("viz.what_if.change"),
                theme.color(before.architecture),
                template(t, "viz.what_if.change_is", "value"),
            ),
        ),
        grid=grid,
        legends=(Legend(t("viz.what_if.quantity"), ((0.0, "0"), (1.0, short(high))), ramp=1),),
        note=t("viz.what_if.note"),
    )
    data = {"log_probs": found.log_probs, "change": NamedArray(change, ("token",))}
    return Figure("what_if", spec, data, alt, finding=what_if_finding(costs, before.tokens, t))


@figure("what_if_words", of="traces")
def what_if_words(traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, at: Sequence[int] = ()) -> Figure:
    """Draw the likeliest next tokens before and after, at every token of the text.

    traces: as what_if takes them. at: the token of each that is shown first, the last without it.
    """
    before, after = traces
    places = [at[n] if n < len(at) else len(one.tokens) - 1 for n, one in enumerate((before, after))]
    columns, data = plain_lists((before, after), places, theme, t)
    names = (t("viz.what_if.before"), t("viz.what_if.after"))
    named = tuple(dataclasses.replace(one, name=name) for one, name in zip(columns, names, strict=True))
    alt = t("viz.what_if_words.alt", best=BEST)
    spec = Ranking("what_if_words", alt, theme, named, False, ranking_words(t))
    first = np.asarray(data["id"].values[:, :, 0], np.float64)
    whole = len(before.tokens) > 1 and first.shape[1] == len(before.tokens)
    finding = likeliest_finding(first[0], first[1], t) if whole else ""
    return Figure("what_if_words", spec, data, alt, finding=finding)


@figure("part_worth", of="other")
def part_worth(worth: Worth, *, theme: Theme, t: Translate) -> Figure:
    """Draw the bits a token that a text costs more with a part of a layer switched off, (part, layer)."""
    loss: Floats = np.asarray(worth.loss.values, np.float64)
    high = float(np.nanmax(np.abs(loss)))
    names = tuple(t(f"viz.part_worth.{kind}_{how}") for kind, how in worth.parts)
    layers = tuple(str(layer) for layer in worth.layers)
    grid = Matrix(
        values=loss.astype(np.float32),
        scale=Scale(0.0, high, kind="sqrt", signed=True),
        ramps=(diverging(theme),),
        readout=(
            "{row} · {column}",
            template(t, "viz.value", "value", name=t("viz.part_worth.quantity")),
            t("viz.part_worth.click"),
        ),
        rows=Axis(names=names, labels=names),
        columns=Axis(names=tuple(t("viz.layer", layer=one) for one in layers), labels=layers,
                     title=t("viz.part_worth.layers")),
        texts=tuple(tuple("" if np.isnan(v) else _signed(float(v)) for v in row) for row in loss),
        whole_texts=True,
        row_height=ROW,
        max_height=ROW * len(names),
        picks="none",
        reports=True,
    )  # fmt: skip
    legend = Legend(
        t("viz.part_worth.quantity"),
        ((0.0, f"\u2212{short(high)}"), (0.5, "0"), (1.0, f"+{short(high)}")),
        t("viz.scope.picture_sqrt"),
    )
    alt = t("viz.part_worth.alt", parts=len(names), layers=len(layers), base=short(worth.base.per_token))
    spec = CanvasSpec("part_worth", alt, theme, theme.ink, grid=grid, legends=(legend,),
                      note=t("viz.part_worth.note", base=short(worth.base.per_token), tokens=worth.base.tokens),
                      words=words(t))  # fmt: skip
    return Figure("part_worth", spec, {"loss": worth.loss}, alt, finding=worth_finding(loss, names, worth.layers, t))


def _signed(value: float) -> str:
    """Write a loss with two decimals and its sign: +0.12, −0.03; a difference of less is 0."""
    return "0" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "\u2212")
