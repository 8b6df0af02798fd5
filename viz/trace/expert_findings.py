"""What the drawn counts of experts show, in a sentence each; "" where they show nothing, and in a tie."""

from collections.abc import Sequence

import numpy as np

from viz.look.extremes import extremes, percent, single_most
from viz.look.labels import Translate
from viz.trace.channels import Floats, Indices


def balance_finding(entropy: Floats, layers: Sequence[int], t: Translate) -> str:
    """Name the layers whose shares are most and least even: the entropy over log E (layer,)."""
    named = [(t("viz.layer", layer=layer), float(one)) for layer, one in zip(layers, entropy, strict=True)]
    found = extremes(named, "{:.2f}".format)
    return t("viz.expert_balance.finding", **found._asdict()) if found else ""


def pairs_finding(counts: Indices, tokens: int, top_k: int, t: Translate) -> str:
    """Name the pair (expert, expert) with the most tokens of all, beside what an even draw gives a pair."""
    experts = len(counts)
    one, other = np.triu_indices(experts, 1)
    place = single_most([float(value) for value in counts[one, other]], str)
    if place is None or not tokens:
        return ""
    even = top_k * (top_k - 1) / (experts * (experts - 1))
    share = float(counts[one[place], other[place]]) / tokens
    values = {"share": percent(share), "even": f"{even:.1%}"}
    return t("viz.expert_pairs.finding", one=int(one[place]), other=int(other[place]), **values)


def locality_finding(found: Floats, shuffled: Floats, layers: Sequence[int], t: Translate) -> str:
    """Name the layer in which neighbours share the first expert most beyond other orders of the tokens (layer,)."""
    place = single_most([float(value) for value in found - shuffled], percent)
    if place is None:
        return ""
    values = {"share": percent(float(found[place])), "shuffled": percent(float(shuffled[place]))}
    return t("viz.expert_locality.finding", layer=layers[place], **values)


def words_finding(labels: Sequence[str], share: Floats, load: float, t: Translate) -> str:
    """Name the first token of the list with its smoothed share, beside the expert's share of all tokens."""
    if not labels:
        return t("viz.expert_words.nothing")
    return t("viz.expert_words.finding", token=labels[0], share=percent(float(share[0])), load=percent(load))
