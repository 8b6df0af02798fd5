"""Which tokens an expert gets: of those in some texts, the ones that are most often sent to it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from models import scores
from models.records.trace import NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.look.vega import VegaSpec, styled, table
from viz.trace.channels import Floats, Indices
from viz.trace.expert_findings import words_finding
from viz.trace.expert_load import counted_over, percent_of
from viz.trace.routed import RoutedLayer, Texts, routed_layer, texts_of

SPACE = "\u2423"  # how labels draw the space before a word
MOST = 14  # tokens that are listed
WEIGHT = 2.0  # occurrences of which the expert's share of all tokens counts for as many, in the smoothed share
ROW = 26  # pixels


class Vocabulary(NamedTuple):
    """Different tokens of some texts, by their id.

    ids, seen (word,): how often each occurs; sent (word, expert): how often it goes to an expert; labels: as in the
    first text that has it; load (expert,): an expert's share of all tokens.
    """

    ids: Indices
    labels: tuple[str, ...]
    seen: Indices
    sent: Indices
    load: Floats

    def shares(self, expert: int, *, weight: float = WEIGHT) -> Floats:
        """Return (sent + weight load) / (seen + weight) of every token: few occurrences stay near the load."""
        load = float(self.load[expert])
        return np.asarray((self.sent[:, expert] + weight * load) / (self.seen + weight))


def vocabulary(of: Texts, layer: RoutedLayer) -> Vocabulary:
    """Count the tokens of some texts and where a layer sends them."""
    tokens = [token for trace in texts_of(of) for token in trace.tokens]
    ids, first, place = np.unique([token.id for token in tokens], return_index=True, return_inverse=True)
    marks = scores.sent(layer.all_chosen, layer.experts)
    sent = np.zeros((len(ids), layer.experts), np.intp)
    np.add.at(sent, place.ravel(), marks)
    seen = np.bincount(place.ravel(), minlength=len(ids))
    return Vocabulary(ids, tuple(tokens[n].label for n in first), seen, sent, marks.mean(0))


def most_sent(words: Vocabulary, expert: int) -> Indices:
    """Order the tokens that go to an expert by their smoothed share, the more frequent first where it is the same."""
    share = words.shares(expert)
    order = np.lexsort((words.ids, -words.seen, -share))
    return np.asarray([n for n in order if words.sent[n, expert] > 0][:MOST], np.intp)


def most_telling(of: Texts, layer: int) -> int:
    """Return the expert of a layer whose first token exceeds the expert's share of all tokens most."""
    shown = routed_layer(of, layer)
    words = vocabulary(of, shown)
    leads = [float((words.shares(expert) - words.load[expert]).max()) for expert in range(shown.experts)]
    return leads.index(max(leads))


@figure("expert_words", needs=("chosen_experts", "router_probs"))
def expert_words(of: Texts, *, theme: Theme, t: Translate, layer: int | None = None, expert: int = 0) -> Figure:
    """Draw the tokens that are most often sent to one expert: the bar is the smoothed share, the numbers the counts.

    The line is the expert's share of all tokens.
    """
    shown = routed_layer(of, layer)
    words = vocabulary(of, shown)
    listed = most_sent(words, expert)
    share = words.shares(expert)[listed]
    rows = [
        {"place": n, "label": words.labels[w] or "·", "share": float(value), "whole": 1.0,
         "text": t("viz.expert_words.count", count=int(words.sent[w, expert]), all=int(words.seen[w]))}
        for n, (w, value) in enumerate(zip(listed, share, strict=True))
    ]  # fmt: skip
    load = float(words.load[expert])
    chart = _chart(rows, load, t("viz.expert_words.load", share=percent_of(load)), theme, theme.color(
        texts_of(of)[0].architecture))  # fmt: skip
    data = {
        "token_id": NamedArray(words.ids[listed], ("word",)),
        "sent": NamedArray(words.sent[listed, expert], ("word",)),
        "seen": NamedArray(words.seen[listed], ("word",)),
        "share": NamedArray(share, ("word",)),
    }
    alt_text = t("viz.expert_words.alt", layer=shown.index, expert=expert, count=len(listed))
    note = " ".join((t("viz.expert_words.note", weight=f"{WEIGHT:g}"), counted_over(of, t)))
    finding = words_finding([str(row["label"]).removeprefix(SPACE) for row in rows], share, load, t)
    return Figure("expert_words", chart, data, alt_text, note, finding)


def _chart(rows: Sequence[dict[str, Any]], load: float, said: str, theme: Theme, color: str) -> VegaSpec:
    """Draw a bar per row on a scale of all occurrences, and a line at the load."""
    room = max((sum(13 if ord(c) > 0x1100 else 8 for c in row["label"]) for row in rows), default=20) + 14
    right = max((8 * len(row["text"]) for row in rows), default=20) + 8
    across: Any = {"domain": [0, 1], "nice": False, "range": [min(room, 150), alt.ExprRef(f"width - {right}")]}
    scale = alt.Scale(**across)
    mark = table([{"load": load, "text": said, "top": 18.0, "foot": 22.0 + ROW * len(rows)}])
    rule = mark.mark_rule(color=theme.muted, strokeDash=[4, 4])
    at = alt.X("load:Q", scale=scale, axis=None, title=None)
    line = rule.encode(x=at, y=alt.Y("top:Q", scale=None, axis=None), y2=alt.Y2("foot:Q"))
    name = mark.mark_text(align="left", dx=6, baseline="middle", fontSize=12, color=theme.muted)
    layers: list[alt.Chart] = []
    if rows:
        placed = [{**row, "y": 22.0 + (row["place"] + 0.5) * ROW, "start": 0.0} for row in rows]
        base, y = table(placed), alt.Y("y:Q", scale=None, axis=None)
        x = alt.X("start:Q", scale=scale, axis=None, title=None)
        label = base.mark_text(align="left", font=theme.mono, color=theme.ink, limit=140)
        number = base.mark_text(align="right", font=theme.mono, fontSize=12, color=theme.muted)
        layers += [
            base.mark_rule(color=theme.hairline, strokeWidth=9, opacity=0.6).encode(x=x, x2=alt.X2("whole:Q"), y=y),
            base.mark_rule(color=color, strokeWidth=9).encode(x=x, x2=alt.X2("share:Q"), y=y),
            label.encode(x=alt.value(0), y=y, text=alt.Text("label:N")),
            number.encode(x=alt.value("width"), y=y, text=alt.Text("text:N")),
        ]
    layers += [line, name.encode(x=at, y=alt.value(10), text=alt.Text("text:N"))]
    return styled(layers, theme, height=30 + ROW * max(len(rows), 1))
