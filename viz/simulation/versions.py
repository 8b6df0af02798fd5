"""The figure of one toy input through versions 4 to 7 of RWKV."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from models.records.simulated import Ladder, ToyToken, VersionRun
from viz.figure import Figure, figure
from viz.look.labels import Translate, short
from viz.look.theme import RAMP_LENGTH, Theme, diverging
from viz.look.vega import Layer, VegaSpec, styled, table

ROW = 24  # pixels
HEAD, GAP, BLOCK = 1.35, 0.3, 0.75  # rows: above a version, above its output, below it
LABELS = 3.4  # cells left of the first token
WIDE = 600  # pixels of a chart in which a number fits into a cell
KEYS = "ABCDEFGH"


class LadderRow(NamedTuple):
    """One row of a version: its name, (token, value) numbers, whether it is the output, and its name in full."""

    label: str
    values: np.ndarray
    output: bool
    full: str


@figure("version_ladder", of="other")
def version_ladder(ladder: Ladder, *, theme: Theme, t: Translate) -> Figure:
    """Draw the state of every version after each token of a toy input, and below it what the token reads.

    Version 4 has two sums per channel, later ones a matrix (key, value). Colours are signed and on one scale per
    version; numbers stand in the cells where there is room.
    """
    chart = _chart(ladder, theme, t)
    alt_text = t("viz.version_ladder.alt", tokens=len(ladder.tokens))
    data = {f"{part}_{run.version}": getattr(run, part) for run in ladder.runs for part in ("state", "output", "kept")}
    finding = _finding(ladder, t)
    return Figure("version_ladder", chart, data, alt_text, t("viz.version_ladder.note"), finding)


def token_name(token: ToyToken) -> str:
    """Write a token of a toy input: A = 1, a question as A ?, and a full stop.

    >>> token_name(ToyToken(key=0, value=1)), token_name(ToyToken(asks=1)), token_name(ToyToken(stop=True))
    ('A=2', 'B?', '.')
    """
    if token.asks is not None:
        return f"{KEYS[token.asks]}?"
    return f"{KEYS[token.key]}={token.value + 1}" if token.key is not None and token.value is not None else "."


def _rows(run: VersionRun, t: Translate) -> Iterator[LadderRow]:
    """List the rows of a version, its output last."""
    state, version = run.state.values, run.version
    for place in range(state.shape[1]):
        if version == 4:
            label = t(f"viz.version_ladder.{('num', 'den')[place]}")
            full = t(f"viz.version_ladder.{('num_full', 'den_full')[place]}")
        else:
            label, full = KEYS[place], t("viz.version_ladder.key_full", name=KEYS[place])
        yield LadderRow(label, np.asarray(state[:, place]), False, full)
    yield LadderRow(
        t("viz.version_ladder.read"), np.asarray(run.output.values), True, t("viz.version_ladder.read_full")
    )


def _chart(ladder: Ladder, theme: Theme, t: Translate) -> VegaSpec:
    step = ladder.values + 1
    cells: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    y = 1.2
    for run in ladder.runs:
        heads.append({"x": -LABELS, "y": y + HEAD - 0.4, "text": t(f"viz.version_ladder.of.{run.version}")})
        y += HEAD
        rows = list(_rows(run, t))
        shades = _shades(rows, theme)
        for row, colors in zip(rows, shades, strict=True):
            y += GAP if row.output else 0.0
            labels.append(
                {"x": -0.35, "y": y + 0.5, "text": row.label, "shade": theme.ink if row.output else theme.muted}
            )
            cells += [
                _cell(row, colors, at, place, y, step, ladder, run, theme, t)
                for at in range(len(ladder.tokens))
                for place in range(ladder.values)
            ]
            y += 1
        y += BLOCK
    names = [
        {"x": n * step + ladder.values / 2, "y": 0.6, "text": token_name(token)}
        for n, token in enumerate(ladder.tokens)
    ]
    width = len(ladder.tokens) * step - 1
    return styled(_layers(cells, heads, labels, names, width, y, theme, t), theme, height=round(y * ROW) + 10)


def _cell(
    row: LadderRow, colors: list[list[str]], at: int, place: int, y: float, step: int, ladder: Ladder, run: VersionRun,
    theme: Theme, t: Translate,
) -> dict[str, Any]:  # fmt: skip
    value, color = float(row.values[at, place]), colors[at][place]
    x = at * step + place
    where = t("viz.version_ladder.at", version=run.version, token=token_name(ladder.tokens[at]), row=row.full,
              value=place + 1)  # fmt: skip
    return {
        "x": x + 0.03, "x2": x + 0.97, "y": y + 0.03, "y2": y + 0.97, "mx": x + 0.5, "my": y + 0.5, "color": color,
        "ink": theme.text_on(color), "edge": theme.ink if row.output else theme.hairline, "text": _digits(value),
        "at": where, "value": short(value),
    }  # fmt: skip


def _digits(value: float) -> str:
    """Write two decimals, and nothing behind a zero.

    >>> _digits(-0.0243), _digits(0.0)
    ('−0.02', '0')
    """
    return f"{value:.2f}".replace("-", "−") if value else "0"


def _shades(rows: list[LadderRow], theme: Theme) -> list[list[list[str]]]:
    """Return the colour of every number of a version, signed, full at its largest."""
    ramp = diverging(theme)
    high = max(float(np.abs(row.values).max()) for row in rows) or 1.0
    middle = (RAMP_LENGTH - 1) / 2
    return [
        [[ramp[round(middle * (1 + 0.85 * float(value) / high))] for value in token] for token in row.values]
        for row in rows
    ]


def _layers(
    cells: list[dict[str, Any]], heads: list[dict[str, Any]], labels: list[dict[str, Any]], names: list[dict[str, Any]],
    width: float, height: float, theme: Theme, t: Translate,
) -> list[Layer]:  # fmt: skip
    across = alt.Scale(domain=[-LABELS, width], nice=False)
    down = alt.Scale(domain=[0, height], nice=False, reverse=True)
    x, y = alt.X("x:Q", axis=None, scale=across), alt.Y("y:Q", axis=None, scale=down)
    tip = [
        alt.Tooltip("at:N", title=t("viz.version_ladder.where")),
        alt.Tooltip("value:N", title=t("viz.version_ladder.number")),
    ]
    base = table(cells)
    rects = base.mark_rect(cornerRadius=2, strokeWidth=1).encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=alt.Color("color:N", scale=None),
        stroke=alt.Stroke("edge:N", scale=None), tooltip=tip,
    )  # fmt: skip
    shown: Any = alt.ExprRef(f"width > {WIDE} ? 1 : 0")
    size: Any = alt.ExprRef("width > 760 ? 11 : 9.5")
    numbers = base.mark_text(font=theme.mono, fontSize=size, opacity=shown).encode(
        x=alt.X("mx:Q", axis=None, scale=across), y=alt.Y("my:Q", axis=None, scale=down), text=alt.Text("text:N"),
        color=alt.Color("ink:N", scale=None), tooltip=tip,
    )  # fmt: skip
    style: dict[str, Any] = {"fontSize": 13, "baseline": "middle"}
    titles = table(heads).mark_text(**style, align="left", fontWeight=600, color=theme.ink)
    sides = table(labels).mark_text(**style, align="right", font=theme.mono).encode(
        x=x, y=y, text=alt.Text("text:N"), color=alt.Color("shade:N", scale=None)
    )  # fmt: skip
    tops = table(names).mark_text(**style, align="center", font=theme.mono, fontWeight=700, color=theme.ink)
    return [
        rects, numbers, sides, titles.encode(x=x, y=y, text=alt.Text("text:N")),
        tops.encode(x=x, y=y, text=alt.Text("text:N")),
    ]  # fmt: skip


def _finding(ladder: Ladder, t: Translate) -> str:
    """State how much the replaced value still counts against the new one where its key is asked for; "" without one."""
    for at, token in enumerate(ladder.tokens):
        written = [one.value for one in ladder.tokens[:at] if one.key is not None and one.key == token.asks]
        if len(written) < 2 or written[0] is None or written[-1] is None or written[0] == written[-1]:
            continue
        old = {run.version: float(run.output.values[at, written[0]]) for run in ladder.runs}
        new = {run.version: float(run.output.values[at, written[-1]]) for run in ladder.runs}
        if any(new[version] == 0 for version in (5, 6, 7)):
            return ""
        ratios = {f"v{version}": _digits(old[version] / new[version]) for version in (5, 6, 7)}
        return t("viz.version_ladder.finding", name=KEYS[token.asks or 0], **ratios)
    return ""
