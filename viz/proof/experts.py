"""Checks of what is counted over the experts of a layer, of one text or of several.

Every count is made again in plain loops from the experts of largest score, by the captured scores of the router. Of one
text, whose outputs are captured too, the recorded choices must also give these.
"""

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from math import comb

import numpy as np

from models.reconstruction import experts as reconstruction
from models.reconstruction.check import Numbers, Wide, absolute, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice, chart_rows, exported, map_of, names_error, number, picture_error, same
from viz.proof.finder import finder_error

Texts = Sequence[ModelTrace]
OfTexts = Callable[[Figure, Texts, Choice], float]
SMOOTHING = 2.0  # as the definition of the vocabulary says


def of_one(check: OfTexts) -> Callable[[Figure, ModelTrace, Choice], float]:
    """Return a check of several texts as one of a single trace, whose captured outputs are compared too."""

    def checked(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
        layers = trace.layers_with("chosen_experts")
        outputs = [
            reconstruction.mixture_error(one.part("chosen_experts"), one.part("chosen_weights"), one) for one in layers
        ]
        return worst(check(figure, [trace], choice), *outputs)

    return checked


def expert_load(figure: Figure, traces: Texts, _choice: Choice) -> float:
    """Drawn shares against a count of the choices."""
    drawn, layers = exported(figure, "load"), _layers(traces)
    known = np.stack([_counts(layer) / sum(map(len, _routes(layer))) / _choices(layer) for layer in layers])
    if drawn.shape != known.shape:
        return 1.0
    return worst(
        absolute(drawn, known), _choice_errors(layers), _rows_error(figure, layers), picture_error(figure, drawn[None])
    )


def expert_balance(figure: Figure, traces: Texts, _choice: Choice) -> float:
    """Written measures against sums over the experts, one by one."""
    drawn, layers = exported(figure, "balance"), _layers(traces)
    known = np.array([_balance(layer) for layer in layers])
    texts = map_of(figure).texts  # type: ignore[union-attr]
    written = [[float(row[0]), float(row[1]), float(row[3])] for row in texts]
    told = [abs(value - wanted) <= 0.0051 for row, own in zip(written, known, strict=True)
            for value, wanted in zip(row, own[[0, 1, 3]], strict=True)]  # fmt: skip
    errors = same(drawn, known), _choice_errors(layers), _rows_error(figure, layers), picture_error(figure, drawn[None])
    return worst(*errors, 0.0 if all(told) else 1.0)


def expert_pairs(figure: Figure, traces: Texts, choice: Choice) -> float:
    """Drawn shares of all pairs against a loop over the tokens, in the drawn order, under the names of the experts."""
    layer = _layer(traces, choice)
    experts = layer[0].parts["router_probs"].sizes["expert"]
    counts, tokens = np.zeros((experts, experts)), np.zeros(experts)
    for text in _routes(layer):
        for chosen in text:
            for one in chosen:
                tokens[one] += 1
            for one, other in combinations(chosen, 2):
                counts[one, other] += 1
                counts[other, one] += 1
    known = np.full(counts.shape, np.nan)
    for one in range(experts):
        for other in range(experts):
            if one != other and tokens[one]:
                known[one, other] = counts[one, other] / tokens[one]
    order = [int(place) for place in figure.data["order"].values]
    if sorted(order) != list(range(experts)):
        return 1.0
    drawn = map_of(figure)
    names = [names_error(axis.labels, [[one] for one in order]) for axis in (drawn.rows, drawn.columns)]
    by_number = choice.get("by_cluster") is False and order != list(range(experts))
    values = known[np.ix_(order, order)]
    errors = same(exported(figure, "share"), known), same(exported(figure, "count"), counts)
    return worst(*errors, *names, float(by_number), picture_error(figure, values[None]), _choice_errors([layer]))


def expert_locality(figure: Figure, traces: Texts, _choice: Choice) -> float:
    """Drawn shares against neighbours one by one, ticks against all pairs of a text, lines against the formulas."""
    layers = _layers(traces)
    found = np.array([_repeats(layer) for layer in layers]).T
    shuffled = np.array([_shuffled(layer) for layer in layers]).T
    experts, count = layers[0][0].parts["router_probs"].sizes["expert"], _choices(layers[0])
    even = np.array([1 / experts, 1 - comb(experts - count, count) / comb(experts, count)])
    errors = [same(exported(figure, name), wanted) for name, wanted in
              (("repeated", found), ("shuffled", shuffled), ("even", even))]  # fmt: skip
    shown = 1 if count == 1 else 2
    for mark, column, wanted in (("circle", "share", found), ("tick", "shuffled", shuffled)):
        rows = chart_rows(figure, mark, column)
        errors.append(same(rows[column].to_numpy(dtype=np.float64), wanted[:shown].ravel()))
        names = [[layer[0].index] for _ in range(shown) for layer in layers]
        errors.append(names_error([str(label) for label in rows["label"]], names))
    errors.append(same(chart_rows(figure, "rule", "even")["even"].to_numpy(dtype=np.float64), even[:shown]))
    return worst(*errors, _choice_errors(layers))


def expert_words(figure: Figure, traces: Texts, choice: Choice) -> float:
    """Listed tokens against a count of all tokens of the texts: their counts, shares and order, and none left out."""
    layer, expert = _layer(traces, choice), number(choice, "expert") or 0
    seen: dict[int, int] = {}
    sent: dict[int, int] = {}
    label: dict[int, str] = {}
    for trace, text in zip(traces, _routes(layer), strict=True):
        for token, chosen in zip(trace.tokens, text, strict=True):
            seen[token.id] = seen.get(token.id, 0) + 1
            sent[token.id] = sent.get(token.id, 0) + (expert in chosen)
            label.setdefault(token.id, token.label)
    load = sum(sent.values()) / sum(seen.values())
    share = {word: (sent[word] + SMOOTHING * load) / (seen[word] + SMOOTHING) for word in seen}
    ids = [int(word) for word in figure.data["token_id"].values]
    rest = [share[word] for word in seen if sent[word] and word not in ids]
    missed = bool(rest) and (not ids or max(rest) > min(share[word] for word in ids) + 1e-9)
    drawn = [exported(figure, name) for name in ("sent", "seen", "share")]
    known = [wide(np.array([counts[word] for word in ids], np.float64)) for counts in (sent, seen, share)]
    errors = [same(one, other) for one, other in zip(drawn, known, strict=True)]
    if ids:
        rows = chart_rows(figure, "rule", "share")
        errors.append(same(rows["share"].to_numpy(dtype=np.float64), known[2]))
        errors.append(float([str(one) for one in rows["label"]] != [label[word] or "·" for word in ids]))
    errors.append(same(chart_rows(figure, "rule", "load")["load"].to_numpy(dtype=np.float64), wide(np.array([load]))))
    return worst(*errors, float(missed), _falling(known[2]), _choice_errors([layer]))


def _layers(traces: Texts) -> list[tuple[LayerTrace, ...]]:
    """Return each layer with experts as the traces of all texts have it."""
    return list(zip(*(trace.layers_with("router_probs") for trace in traces), strict=True))


def _layer(traces: Texts, choice: Choice) -> tuple[LayerTrace, ...]:
    layers, wanted = _layers(traces), number(choice, "layer")
    if wanted is None:
        return layers[len(layers) // 2]
    return next(one for one in layers if one[0].index == wanted)


def _choices(layer: Sequence[LayerTrace]) -> int:
    return layer[0].parts["chosen_experts"].sizes["choice"]


def _routes(layer: Sequence[LayerTrace]) -> list[list[list[int]]]:
    """Return the experts of largest score, first choice first, of every token of every text."""
    found = []
    for one in layer:
        best = np.argsort(-wide(one.part("router_logits")), axis=1, kind="stable")[:, : _choices(layer)]
        found.append([[int(expert) for expert in row] for row in best])
    return found


def _choice_errors(layers: Sequence[Sequence[LayerTrace]]) -> float:
    """Return the worst error of the recorded choices, which must be the experts of largest probability."""
    return worst(*(reconstruction.choice_error(_whole(one), one) for layer in layers for one in layer))


def _whole(layer: LayerTrace) -> Numbers:
    """Return the recorded choices; IndexError where one is no expert."""
    chosen = layer.part("chosen_experts")
    if chosen.min() < 0:
        raise IndexError(f"layer {layer.index} chooses expert {chosen.min()}")
    return chosen


def _counts(layer: Sequence[LayerTrace]) -> Wide:
    counts = np.zeros(layer[0].parts["router_probs"].sizes["expert"])
    for text in _routes(layer):
        for chosen in text:
            for expert in chosen:
                counts[expert] += 1
    return counts


def _balance(layer: Sequence[LayerTrace]) -> list[float]:
    counts = _counts(layer)
    tokens, slots, experts = sum(map(len, _routes(layer))), counts.sum(), len(counts)
    mean = np.concatenate([reconstruction.probabilities(one) for one in layer]).mean(0)
    entropy = -sum(count / slots * np.log(count / slots) for count in counts if count)
    auxiliary = experts * sum(count / tokens * p for count, p in zip(counts, mean, strict=True))
    even = np.log(experts) if experts > 1 else 1.0
    return [entropy / even if experts > 1 else 1.0, counts.max() / counts.mean(), float((counts == 0).sum()), auxiliary]


def _repeats(layer: Sequence[LayerTrace]) -> tuple[float, float]:
    pairs = [pair for text in _routes(layer) for pair in pairwise(text)]
    return _shares(pairs)


def _shuffled(layer: Sequence[LayerTrace]) -> tuple[float, float]:
    first = common = count = 0.0
    for text in _routes(layer):
        if len(text) < 2:
            continue
        chosen = np.array(text)
        later = np.triu_indices(len(text), 1)
        one = float((chosen[later[0], 0] == chosen[later[1], 0]).mean())
        two = float((chosen[later[0]][:, :, None] == chosen[later[1]][:, None]).any((1, 2)).mean())
        first, common, count = first + one * (len(text) - 1), common + two * (len(text) - 1), count + len(text) - 1
    return (first / count, common / count) if count else (np.nan, np.nan)


def _shares(pairs: Sequence[tuple[list[int], list[int]]]) -> tuple[float, float]:
    """Return the shares of pairs with the same first expert and with any in common; nan without pairs."""
    if not pairs:
        return np.nan, np.nan
    first = sum(one[0] == other[0] for one, other in pairs) / len(pairs)
    return first, sum(not set(one).isdisjoint(other) for one, other in pairs) / len(pairs)


def _rows_error(figure: Figure, layers: Sequence[Sequence[LayerTrace]]) -> float:
    return names_error(map_of(figure).rows.labels, [[layer[0].index] for layer in layers])


def _falling(values: Wide) -> float:
    return float(np.maximum(np.diff(values), 0).max(initial=0.0))


def expert_finder(figure: Figure, traces: Texts, _choice: Choice) -> float:
    """Every column against a loop over the tokens of the visitor's text, and of the sample."""
    layers = traces[0].layers_with("router_probs")
    rows = [(layer.index, expert) for layer in layers for expert in range(layer.parts["router_probs"].sizes["expert"])]
    here, there = ([_measured(layer) for layer in _layers(texts)] for texts in (traces[:1], traces[1:]))
    known = {}
    for key in ("load", "first", "weight", "again"):
        columns = {"here": here, "there": there}
        told = {side: np.concatenate([one[key] for one in found]) for side, found in columns.items()}
        if key != "weight":
            chance = "all" if key == "again" else "even"
            told |= {
                f"chance_{side}": np.concatenate([one[chance] for one in found]) for side, found in columns.items()
            }
        known[key] = told
    return worst(finder_error(figure, rows, known), _choice_errors(_layers(traces)))


def _measured(layer: Sequence[LayerTrace]) -> dict[str, Wide]:
    """Measure the experts of a layer over some texts, one token after the other."""
    experts = layer[0].parts["router_probs"].sizes["expert"]
    slots, firsts, heavy, followed, again = (np.zeros(experts) for _ in range(5))
    tokens = 0
    for one, text in zip(layer, _routes(layer), strict=True):
        weights = wide(one.part("chosen_weights"))
        for at, chosen in enumerate(text):
            tokens += 1
            firsts[chosen[0]] += 1
            for place, expert in enumerate(chosen):
                slots[expert] += 1
                heavy[expert] += weights[at, place]
                if at:
                    followed[expert] += 1
                    again[expert] += expert in text[at - 1]
    none = np.full(experts, np.nan)
    return {
        "load": slots / slots.sum(), "first": firsts / tokens, "even": np.full(experts, 1 / experts),
        "weight": np.divide(heavy, slots, out=none.copy(), where=slots > 0),
        "again": np.divide(again, followed, out=none.copy(), where=followed > 0), "all": slots / tokens,
    }  # fmt: skip
