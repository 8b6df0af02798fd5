"""Routes of the tokens through the experts of all layers, as ribbons by kind of token."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray, Token
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.plotly import PlotTable, behaviour, escaped, plotted
from viz.look.theme import Theme, ramp_between

KINDS = ("word_start", "word_inside", "digits", "punctuation", "other")  # in the order of their colours
HEIGHT = 460
SPACE = "␣"  # how labels of tokens draw the space before a word


@figure("expert_routes", needs=("chosen_experts",), also=("router_probs",))
def expert_routes(trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw a column per layer with experts and a ribbon per way through them, as wide as tokens take it.

    A token stands at the expert of its largest weight in each layer; further experts that it is sent to are left out.
    The first column is the kind of token, which gives the colour.
    """
    layers = trace.layers_with("chosen_experts")
    first = np.stack([np.asarray(layer.part("chosen_experts"))[:, 0] for layer in layers], axis=1)  # (token, layer)
    kinds = kinds_of(trace.tokens)
    shown = [n for n, kind in enumerate(KINDS) if kind in kinds]
    colors = [_colors(theme)[n] for n in shown]
    codes = [shown.index(KINDS.index(kind)) for kind in kinds]
    # two ends for every colour make steps: a scale of colours would be blended
    steps = [[(n + end) / len(shown), color] for n, color in enumerate(colors) for end in (0, 1)]
    ribbons: dict[str, Any] = {
        "type": "parcats", "meta": "routes", "arrangement": "fixed", "hoveron": "color",
        "hovertemplate": t("viz.expert_routes.here", count="%{count}") + "<extra></extra>",
        "dimensions": [_kinds_column(kinds, t), *(_column(layer, first[:, n], t) for n, layer in enumerate(layers))],
        "line": {"color": codes, "colorscale": steps, "cmin": -0.5, "cmax": len(shown) - 0.5, "shape": "hspline"},
        "labelfont": {"size": 13, "color": theme.muted}, "tickfont": {"size": 13, "color": theme.ink},
    }  # fmt: skip
    layout = {"margin": {"l": 72, "r": 20, "t": 40, "b": 16}}
    table, still = _table(trace, layers, kinds, first, t), behaviour(t) | {"displayModeBar": False}
    body = plotted([ribbons], layout, table, theme=theme, t=t, height=HEIGHT, config=still)
    data = {
        "first_expert": NamedArray(first.astype(np.int64), ("token", "layer")),
        "kind": NamedArray(np.array([KINDS.index(kind) for kind in kinds]), ("token",)),
    }
    alt = t("viz.expert_routes.alt", tokens=len(kinds), layers=len(layers))
    return Figure("expert_routes", body, data, alt, _note(layers, t), _finding(first, kinds, layers, t))


def _colors(theme: Theme) -> tuple[str, ...]:
    """Return a colour for each of KINDS; none of them is that of an expert or of an architecture."""
    grey, red = ramp_between(theme.card, theme.ink), ramp_between(theme.card, theme.negative)
    return grey[235], grey[140], red[255], red[110], grey[60]


def kinds_of(tokens: Sequence[Token]) -> list[str]:
    """Name the kind of every token by its label: one of KINDS.

    A letter begins a word after a space or a sign, and where the text begins; what is neither letter, digit nor sign,
    as a mark of the document or a piece of a character, is "other".
    """
    found: list[str] = []
    for token in tokens:
        text = token.label.removeprefix(SPACE)
        sign = text[:1]
        if token.pieces > 1 or not sign or (text.startswith("<") and text.endswith(">") and len(text) > 2):
            found.append("other")
        elif sign.isalpha():
            inside = text == token.label and bool(found) and found[-1].startswith("word")
            found.append("word_inside" if inside else "word_start")
        elif sign.isnumeric():
            found.append("digits")
        else:
            found.append("punctuation" if unicodedata.category(sign)[0] in "PS" else "other")
    return found


def _kinds_column(kinds: Sequence[str], t: Translate) -> dict[str, Any]:
    present = [kind for kind in KINDS if kind in kinds]
    words = [escaped(t(f"viz.expert_routes.{kind}")) for kind in present]
    return {
        "label": escaped(t("viz.expert_routes.kind")), "values": [present.index(kind) for kind in kinds],
        "categoryorder": "array", "categoryarray": list(range(len(present))), "ticktext": words,
    }  # fmt: skip


def _column(layer: LayerTrace, chosen: Any, t: Translate) -> dict[str, Any]:
    present = sorted({int(expert) for expert in chosen})
    return {
        "label": escaped(t("viz.layer", layer=layer.index)), "values": [int(expert) for expert in chosen],
        "categoryorder": "array", "categoryarray": present, "ticktext": [str(expert) for expert in present],
    }  # fmt: skip


def _note(layers: Sequence[LayerTrace], t: Translate) -> str:
    most = max(layer.parts["chosen_experts"].sizes["choice"] for layer in layers)
    words = [t("viz.expert_routes.note")]
    return " ".join(words + ([t("viz.expert_routes.note_further", count=most)] if most > 1 else []))


def _finding(first: Any, kinds: Sequence[str], layers: Sequence[LayerTrace], t: Translate) -> str:
    """Say how many different ways the tokens take, and how many tokens share the commonest; "" for a single token."""
    if len(kinds) < 2:
        return ""
    ways = Counter(tuple(int(expert) for expert in row) for row in first)
    most = max(ways.values())
    return t("viz.expert_routes.finding", tokens=len(kinds), ways=len(ways), layers=len(layers), most=most)


def _table(
    trace: ModelTrace, layers: Sequence[LayerTrace], kinds: Sequence[str], first: Any, t: Translate
) -> PlotTable:
    head = (t("viz.expert_routes.token"), t("viz.expert_routes.kind"), *(t("viz.layer", layer=one.index) for one in
            layers))  # fmt: skip
    rows = [
        (f"{token.index} · {token.label}", t(f"viz.expert_routes.{kind}"), *(str(int(expert)) for expert in row))
        for token, kind, row in zip(trace.tokens, kinds, first, strict=True)
    ]
    return PlotTable(head, tuple(rows))
