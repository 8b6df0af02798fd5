"""What the drawn numbers of one forward pass show, in a sentence each; "" where they show nothing, and in a tie.

Every function takes the arrays that its figure draws. Numbers that are written alike are a tie.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from models.records.trace import ModelTrace, Token
from viz.look.extremes import extremes, percent, single_most
from viz.look.labels import Translate, short
from viz.trace.channels import Floats

Places = Mapping[str, str]  # where most of a row stands -> the words for it
GIVES: Places = MappingProxyType(
    {
        "previous": "viz.head_matrix.gives_previous",
        "first": "viz.head_matrix.gives_first",
        "itself": "viz.head_matrix.gives_itself",
        "others": "viz.head_matrix.gives_others",
    }
)
SCORES_AT: Places = MappingProxyType(
    {
        "previous": "viz.head_logits.at_previous",
        "first": "viz.head_logits.at_first",
        "itself": "viz.head_logits.at_itself",
        "others": "viz.head_logits.at_others",
    }
)
MOVES: Places = MappingProxyType(
    {
        "previous": "viz.value_norm_matrix.moves_previous",
        "first": "viz.value_norm_matrix.moves_first",
        "itself": "viz.value_norm_matrix.moves_itself",
        "others": "viz.value_norm_matrix.moves_others",
    }
)
TAKES: Places = MappingProxyType(
    {
        "previous": "viz.takes.previous",
        "first": "viz.takes.first",
        "itself": "viz.takes.itself",
        "others": "viz.takes.others",
    }
)


def row_finding(weights: Floats, words: Places, t: Translate) -> str:
    """Say which of four places gets most of a row of |weights| (query, key), and its mean share.

    The places are the token before, the first, the token itself and all others; the rows are those from the third on,
    for which these are different tokens, each divided by its sum. A row of zeros does not count.
    """
    size = np.tril(np.abs(weights.astype(np.float64)))[2:]
    total = size.sum(1)
    rows = np.flatnonzero(total > 0)
    if not len(rows):
        return ""
    share = size[rows] / total[rows, None]
    each = np.arange(len(rows))
    shares = {
        "previous": float(share[each, rows + 1].mean()),
        "first": float(share[:, 0].mean()),
        "itself": float(share[each, rows + 2].mean()),
    }
    shares["others"] = 1 - sum(shares.values())
    place = single_most(list(shares.values()), percent)
    if place is None:
        return ""
    name = list(shares)[place]
    return t(words[name], share=percent(shares[name]))


def scores_finding(scores: Floats, t: Translate) -> str:
    """Say at which of the four places of row_finding the largest score (query, key) of a row stands most often.

    A row whose largest score stands at two keys does not count.
    """
    counts = dict.fromkeys(SCORES_AT, 0)
    for query in range(2, len(scores)):
        row = scores[query, : query + 1]
        best = np.flatnonzero(row == row.max())
        if len(best) == 1:
            known = {query - 1: "previous", 0: "first", query: "itself"}
            counts[known.get(int(best[0]), "others")] += 1
    place = single_most(list(counts.values()), str)
    if place is None:
        return ""
    name = list(counts)[place]
    return t(SCORES_AT[name], count=counts[name], all=len(scores) - 2)


def mosaic_finding(scores: Floats, even: Floats, layers: Sequence[int], score: str, t: Translate) -> str:
    """Name the head with the highest score (layer, head), beside what even weights score in its layer (layer,)."""
    best = single_most([float(value) for value in scores.ravel()], "{:.2f}".format)
    if best is None:
        return ""
    row, head = divmod(best, scores.shape[1])
    said = {"value": f"{scores[row, head]:.2f}", "uniform": f"{even[row]:.2f}"}
    return t("viz.head_mosaic.highest", score=score, layer=layers[row], head=head, **said)


def film_finding(film: Floats, tokens: Sequence[Token], t: Translate) -> str:
    """Name the token at which the rows (channel, token) change most from the token before.

    The change of a row is a share of its largest magnitude, as it is coloured; the share is a mean over the rows.
    """
    peak = np.abs(film).max(1, keepdims=True)
    steps = (np.abs(np.diff(film.astype(np.float64), axis=1)) / np.where(peak > 0, peak, 1)).mean(0)
    place = single_most([float(step) for step in steps], percent)
    if place is None:
        return ""
    return t("viz.film.changes", at=_named(tokens, place + 1, t), share=percent(float(steps[place])))


def step_finding(mean: Floats, tokens: Sequence[Token], t: Translate) -> str:
    """Name the tokens at which the mean step size (token,) is largest and smallest."""
    found = _ends(mean, tokens, t)
    return t("viz.dt_map.finding", **found) if found else ""


def gate_finding(mean: Floats, tokens: Sequence[Token], t: Translate) -> str:
    """Name the tokens at which the mean receptance (token,) is largest and smallest."""
    found = _ends(mean, tokens, t)
    return t("viz.receptance_map.finding", **found) if found else ""


def frames_finding(frames: Floats, tokens: Sequence[Token], every: int, t: Translate) -> str:
    """Name the token after which the mean |h| of the frames (frame, channel, d_state) is largest, beside the first.

    every: tokens from one frame to the next.
    """
    size = np.abs(frames.astype(np.float64)).mean((1, 2))
    place = single_most([float(value) for value in size], short)
    if place is None or len(size) < 2:
        return ""
    values = {"high": short(float(size[place])), "first": short(float(size[0]))}
    return t("viz.state_slice.finding", at=_named(tokens, place * every, t), **values)


def decay_finding(rate: Floats, reach: float, t: Translate) -> str:
    """Say how many of the curves, e^(-(n - 1) w) of a rate w (channel,), fall to half within the drawn distances.

    reach: the largest drawn distance.
    """
    if len(rate) < 2:
        return ""
    half_life = np.log(2) / rate.astype(np.float64)
    fallen = int((1 + half_life <= reach).sum())
    values = {"shortest": short(float(half_life.min())), "longest": short(float(half_life.max()))}
    return t("viz.decay_curves.finding", fallen=fallen, all=len(rate), **values)


def ribbon_finding(reach: Floats, layers: Sequence[int], t: Translate) -> str:
    """Name the layers in which the tokens look back furthest and least far: the mean of reach (layer, token)."""
    found = extremes(_by_layer(layers, reach.mean(1), t), short)
    return t("viz.layer_ribbon.finding", **found._asdict()) if found and reach.shape[1] > 1 else ""


def stack_finding(maps: Floats, layers: Sequence[int], t: Translate) -> str:
    """Name the layers in which earlier tokens get most and least of a row of |maps| (layer, query, key).

    The share is a mean over the rows from the second on; a row of zeros does not count.
    """
    size = np.abs(maps.astype(np.float64))[:, 1:]
    total, own = size.sum(2), np.diagonal(size, 1, 1, 2)
    if not total.size or (total <= 0).all(1).any():
        return ""
    past = [float((1 - here[sums > 0] / sums[sums > 0]).mean()) for here, sums in zip(own, total, strict=True)]
    found = extremes(_by_layer(layers, np.array(past), t), percent)
    return t("viz.hybrid_stack.finding", **found._asdict()) if found else ""


def lanes_finding(chosen: npt.NDArray[np.integer], experts: int, t: Translate) -> str:
    """Say how often the first choice (layer, token, choice) is that of the token before, over all layers."""
    first = chosen[:, :, 0]
    if first.shape[1] < 2:
        return ""
    kept = float((first[:, 1:] == first[:, :-1]).mean())
    return t("viz.expert_lanes.finding", share=percent(kept), even=f"{1 / experts:.1%}")


def router_finding(kept: float, count: int, margin: float, t: Translate) -> str:
    """Say which share of the probability the chosen experts have, and by how much the last leads the first left out.

    margin: nan where no expert is left out.
    """
    key = "viz.router_bars.finding_one" if count == 1 else "viz.router_bars.finding"
    words = t(key, count=count, kept=percent(kept))
    if np.isnan(margin):
        return words
    return f"{words} {t('viz.router_bars.lead', k=count, next=count + 1, margin=f'{margin:.2f}')}"


def load_finding(load: Floats, layers: Sequence[int], t: Translate) -> str:
    """Name the expert with the largest share of the token slots of its layer (layer, expert)."""
    best = single_most([float(value) for value in load.ravel()], percent)
    if best is None:
        return ""
    row, expert = divmod(best, load.shape[1])
    return t("viz.expert_load.busiest", layer=layers[row], expert=expert, share=percent(float(load[row, expert])))


def surprisal_finding(bits: Floats, tokens: Sequence[Token], t: Translate) -> str:
    """State the mean surprisal (token,) of the tokens that have one, and which token cost most."""
    place = single_most([float(value) for value in bits], short)
    if place is None or np.isfinite(bits).sum() < 2:
        return ""
    values = {"mean": short(float(np.nanmean(bits))), "high": short(float(bits[place]))}
    return t("viz.token_strip.finding", at=_named(tokens, place, t), **values)


def what_if_finding(costs: Floats, tokens: Sequence[Token], t: Translate) -> str:
    """State the mean bits (run, token) of a token before and after, and the token whose bits grew most, or fell most.

    The token is left out in a tie; "" where before and after are written alike.
    """
    if np.isfinite(costs[0]).sum() < 2:
        return ""
    before, after = (short(float(np.nanmean(row))) for row in costs)
    if before == after:
        return ""
    change = costs[1] - costs[0]
    place = single_most([float(value) for value in np.abs(change)], short)
    said = t("viz.what_if.finding", before=before, after=after)
    if place is None:
        return said
    word = "viz.what_if.most_loss" if change[place] > 0 else "viz.what_if.most_gain"
    return f"{said} {t(word, at=_named(tokens, place, t), bits=short(abs(float(change[place]))))}"


def worth_finding(loss: Floats, names: Sequence[str], layers: Sequence[int], t: Translate) -> str:
    """Name the part and the layer whose loss (part, layer) is largest; "" in a tie, and where nothing costs more."""
    place = single_most([float(value) for value in loss.ravel()], short)
    if place is None or not loss.ravel()[place] > 0:
        return ""
    row, column = divmod(place, loss.shape[1])
    return t("viz.part_worth.finding", part=names[row], layer=layers[column], bits=short(float(loss[row, column])))


def lens_finding(ranks: Floats, names: Sequence[str], t: Translate) -> str:
    """Name the row from which on the final prediction is first at half of the tokens or more, by rank (layer, token).

    The last row is the prediction itself; where only it has half of them, the share of the row before is stated.
    """
    share = (ranks == 1).mean(1)
    if len(share) < 2:
        return ""
    late = [row for row, value in enumerate(share) if value < 0.5]
    start = late[-1] + 1 if late else 0
    if start >= len(share) - 1:
        return t("viz.logit_lens.finding_late", row=names[-2], share=percent(float(share[-2])))
    return t("viz.logit_lens.finding", row=names[start], share=percent(float(share[start])))


def near_finding(shares: Mapping[str, Floats], t: Translate) -> str:
    """State for every model (name -> (query, key)) the mean share of the token itself and the one before.

    The rows are those from the third on. "" where a model has none.
    """
    if any(len(map_) < 3 for map_ in shares.values()):
        return ""
    near = {}
    for name, map_ in shares.items():
        rows = np.arange(2, len(map_))
        near[name] = float((map_[rows, rows] + map_[rows, rows - 1]).mean())
    listed = sorted(near.items(), key=lambda item: -item[1])
    told = [t("viz.four_machines.near_one", name=name, share=percent(value)) for name, value in listed]
    return t("viz.four_machines.near", list=", ".join(told))


def likeliest_finding(before: Floats, after: Floats, t: Translate) -> str:
    """Say at how many places the likeliest token after (place,) is another one than before; arrays of ids."""
    return t("viz.what_if_words.finding", changed=int((before != after).sum()), all=len(before))


def guesses_finding(ranks: Floats, t: Translate) -> str:
    """Say at how many places (place,) the likeliest token is the one that came; nan where none came."""
    known = ranks[np.isfinite(ranks)]
    return t("viz.next_word.finding", right=int((known == 1).sum()), all=len(known)) if len(known) else ""


def _ends(mean: Floats, tokens: Sequence[Token], t: Translate) -> dict[str, str]:
    """Name the tokens with the largest and the smallest value (token,); nothing where either is not one token."""
    values = [float(value) for value in mean]
    most, least = single_most(values, short), single_most([-value for value in values], lambda value: short(-value))
    if most is None or least is None or most == least:
        return {}
    names = {"most": _named(tokens, most, t), "least": _named(tokens, least, t)}
    return names | {"high": short(values[most]), "low": short(values[least])}


def named_token(tokens: Sequence[Token], place: int, t: Translate) -> str:
    """Name a token by its label and its number, as the strip does."""
    label = tokens[place].label
    return t("viz.at_token", token=label.removeprefix("\u2423") or label, index=tokens[place].index)


_named = named_token


def _by_layer(layers: Sequence[int], values: Floats, t: Translate) -> list[tuple[str, float]]:
    return [(t("viz.layer", layer=layer), float(value)) for layer, value in zip(layers, values, strict=True)]


def tracked_finding(
    ranks: npt.NDArray[np.integer], names: Sequence[str], tokens: Sequence[Token], label: str, t: Translate
) -> str:
    """Name row and token of the best rank (layer, token) of a followed token, or how many cells share it."""
    best = int(ranks.min())
    at = np.argwhere(ranks == best)
    if len(at) != 1:
        return t("viz.token_lens.finding_many", token=label, count=len(at), rank=f"{best:,}")
    row, place = (int(one) for one in at[0])
    said = {"token": label, "rank": f"{best:,}", "row": names[row], "at": _named(tokens, place, t)}
    return t("viz.token_lens.finding", **said)


def growth_finding(stream: Floats, mixer: Floats, ffn: Floats, trace: ModelTrace, t: Translate) -> list[str]:
    """State for every token how many times as long the stream ends as it began, and its largest write.

    stream (place, token), mixer and ffn (layer, token), nan for none. "" for a token whose stream begins with zeros,
    and where two writes are written alike.
    """
    layers = [layer.index for layer in trace]
    found = []
    for at in range(stream.shape[1]):
        first, last = float(stream[0, at]), float(stream[-1, at])
        writes = np.stack([mixer[:, at], ffn[:, at]], axis=1)
        place = single_most([float(one) for one in writes.ravel()], short)
        if not first or place is None:
            found.append("")
            continue
        row, kind = divmod(place, 2)
        part = t(f"viz.part.{'ffn' if kind else 'mixer'}")
        said = {
            "times": short(last / first),
            "part": part,
            "layer": layers[row],
            "length": short(float(writes[row, kind])),
        }
        found.append(t("viz.residual_norms.finding", **said))
    return found


def rollout_finding(product: Floats, own: Floats, t: Translate) -> str:
    """State the mean share of the token itself in a rollout (query, key) and in the mean attention of its last layer.

    The rows are those from the second on; "" without one.
    """
    if len(product) < 2:
        return ""
    itself = (float(np.diagonal(one)[1:].mean()) for one in (product, own))
    first = float(product[1:, 0].mean())
    kept, attended = itself
    said = {"kept": percent(kept), "attended": percent(attended), "first": percent(first)}
    return t("viz.attention_rollout.finding", **said)


def signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign; what rounds to zero has none.

    >>> signed(-1.25), signed(-0.01)
    ('−1.2', '0.0')
    """
    written = f"{value:+.{digits}f}".replace("-", "−")
    return written if written.strip("+−0.") else written[1:]


def added_finding(values: Floats, names: Sequence[str], t: Translate) -> str:
    """Name the parts that add most and least to the followed logit on average, of values (part, token)."""
    known = values[:, ~np.isnan(values).all(0)]
    if not known.shape[1]:
        return ""
    mean = known.mean(1)
    found = extremes(list(zip(names, (float(one) for one in mean), strict=True)), signed)
    return t("viz.logit_attribution.finding", **found._asdict()) if found else ""


def heads_finding(frames: Floats, layers: Sequence[int], t: Translate) -> str:
    """Name the head that adds most to the followed logit on average, of frames (token, layer, head)."""
    known = frames[~np.isnan(frames).all((1, 2))]
    if not len(known):
        return ""
    mean = known.mean(0)
    best = single_most([float(one) for one in mean.ravel()], lambda value: signed(value, 2))
    if best is None:
        return ""
    row, head = divmod(best, mean.shape[1])
    return t("viz.head_attribution.finding", layer=layers[row], head=head, value=signed(float(mean[row, head]), 2))
