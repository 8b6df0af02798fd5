"""Which experts of a layer work on the same tokens: all pairs."""

import numpy as np

from models import scores
from models.records.trace import NamedArray
from viz.canvas import Axis, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate, template
from viz.look.theme import Theme, sequential
from viz.trace.channels import Floats, Indices
from viz.trace.expert_findings import pairs_finding
from viz.trace.expert_load import counted_over, percent_of
from viz.trace.routed import Texts, routed_layer, texts_of
from viz.trace.tokens import picture


@figure("expert_pairs", needs=("chosen_experts", "router_probs"))
def expert_pairs(of: Texts, *, theme: Theme, t: Translate, layer: int | None = None, by_cluster: bool = True) -> Figure:
    """Draw the share of one expert's tokens that are sent to another one too: N_ij / N_i, all pairs of a layer.

    Without a layer the middle one. by_cluster: experts that share many tokens stand together, else in the order of
    their numbers. An expert without a token has no row of values.
    """
    shown = routed_layer(of, layer)
    counts = scores.pair_counts(shown.all_chosen, shown.experts)
    tokens = scores.sent(shown.all_chosen, shown.experts).sum(0)
    share = shares_of(counts, tokens)
    order = scores.clustered(likeness(counts, tokens)) if by_cluster else list(range(shown.experts))
    values = share[np.ix_(order, order)]
    even = (shown.top_k - 1) / max(shown.experts - 1, 1)
    high = float(np.nanmax(values, initial=0.0)) or 1.0
    names = tuple(t("viz.expert", expert=e) for e in order)
    grid = Matrix(
        values=values.astype(np.float32),
        scale=Scale(0.0, high),
        ramps=(sequential(texts_of(of)[0].architecture, theme),),
        readout=(
            "{cell}",
            template(t, "viz.expert_pairs.ratio", "ratio"),
        ),
        rows=Axis(names=names, labels=names),
        columns=Axis(names=names, labels=tuple(str(e) for e in order), title=t("viz.expert_pairs.columns")),
        row_height=34,
        max_height=560,
        texts=tuple(tuple("" if np.isnan(one) else percent_of(float(one)) for one in row) for row in values),
        whole_texts=True,
        cell_names=tuple(
            tuple(
                ""
                if i == j
                else t("viz.expert_pairs.pair", count=int(counts[i, j]), all=int(tokens[i]), one=i, other=j)
                for j in order
            )
            for i in order
        ),
        picks="none",
        baseline=even or None,
    )
    alt_text = t("viz.expert_pairs.alt", layer=shown.index, experts=shown.experts)
    legend = Legend(t("viz.expert_pairs.quantity"), ((0.0, "0"), (1.0, f"{high:.0%}")), t("viz.scope.picture"))
    note = " ".join((t("viz.expert_pairs.note", share=percent_of(even)), counted_over(of, t)))
    spec = picture("expert_pairs", alt_text, texts_of(of)[0], theme=theme, t=t, grid=grid, legends=(legend,), note=note)
    data = {
        "share": NamedArray(share, ("expert", "other")),
        "count": NamedArray(counts, ("expert", "other")),
        "order": NamedArray(np.array(order), ("place",)),
    }
    finding = pairs_finding(counts, len(shown.all_chosen), shown.top_k, t)
    return Figure("expert_pairs", spec, data, alt_text, finding=finding)


def shares_of(counts: Indices, tokens: Indices) -> Floats:
    """Divide counts (expert, other) by the tokens of the expert; nan on the diagonal and without a token."""
    share = np.full(counts.shape, np.nan)
    used = tokens > 0
    share[used] = counts[used] / tokens[used, None]
    np.fill_diagonal(share, np.nan)
    return share


def likeness(counts: Indices, tokens: Indices) -> Floats:
    """Return how much two experts share, symmetric: N_ij over the tokens that either has (Jaccard 1912)."""
    either = tokens[:, None] + tokens[None] - counts
    return np.asarray(counts / np.where(either > 0, either, 1))
