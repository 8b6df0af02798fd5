"""The check of the next token: every drawn number again from the logits of the run, by sums instead of by sorting."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.reconstruction.check import Wide, relative, wide, worst
from models.records.trace import ModelTrace
from viz.canvas.payload import decode
from viz.figure import Figure
from viz.proof.drawn import Choice, exported, number, same
from viz.ranking import Ranking

NAMES = ("rank", "logit", "own", "scaled", "drawn")


def next_word(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Everything that the browser gets of every trace against its logits, and the words against its tokens."""
    if not isinstance(figure.body, Ranking):
        raise TypeError(f"{figure.id} is no ranked list")
    header, planes = decode(figure.body.payload())
    if len(header["columns"]) != len(traces):
        return 1.0
    errors = []
    for n, (column, trace) in enumerate(zip(header["columns"], traces, strict=True)):
        sent = {name: wide(planes[column[name]]) for name in (*NAMES, "label", "places", "kept", "mass")}
        wanted = choice.get("at") or ()
        at = wanted[n] if isinstance(wanted, Sequence) and n < len(wanted) else len(trace.tokens) - 1
        errors += [
            float(column["at"] != at or at not in sent["places"]),
            _copies_error(figure, n, trace, sent),
            _lists_error(column, sent, trace, choice),
            _guess_error(column, trace, choice, n),
            _before_error(column, [wide(plane) for plane in planes], sent, traces, n),
        ]
    return worst(*errors)


def _before_error(
    column: dict[str, Any], planes: Sequence[Wide], sent: dict[str, Wide], traces: Sequence[ModelTrace], n: int
) -> float:
    """Compare the ranks that the first version gives the rows of another, at the tokens that match."""
    if column["before"] is None:
        return float(n > 0 and column["steps"] is not None)
    rows = column["rows"]
    told, steps = planes[column["before"]].reshape(-1, rows), column["steps"]
    logits, labels = sent["logit"].reshape(-1, rows), sent["label"].reshape(-1, rows)
    for row, place in enumerate(sent["places"].astype(int)):
        if place not in steps:
            if not np.isnan(told[row]).all():
                return 1.0
            continue
        first, here = wide(traces[0].logits.values[steps.index(place)]), wide(traces[n].logits.values[place])
        for at in np.flatnonzero(~np.isnan(labels[row])):
            meant = np.flatnonzero(here.astype(np.float32) == np.float32(logits[row, at]))
            if told[row, at] not in [1 + (first > first[one]).sum() for one in meant]:
                return 1.0
    return 0.0


def _copies_error(figure: Figure, n: int, trace: ModelTrace, sent: dict[str, Wide]) -> float:
    """Compare what is exported with what is drawn, in float32."""
    own = {"place": "places", **{name: name for name in (*NAMES, "kept", "mass")}}
    pairs = [(_exported(figure, name, n, trace).ravel(), sent[drawn]) for name, drawn in own.items()]
    return worst(*(same(given.astype(np.float32), drawn) for given, drawn in pairs))


def _exported(figure: Figure, name: str, n: int, trace: ModelTrace) -> Wide:
    """Return what is exported of one model: a row of the array of all, or its own array."""
    if name in figure.data:
        return wide(exported(figure, name)[n])
    key = f"{name}_{n}" if f"{name}_{n}" in figure.data else f"{name}_{trace.architecture}"
    return wide(exported(figure, key)[0])


def _lists_error(column: dict[str, object], sent: dict[str, Wide], trace: ModelTrace, choice: Choice) -> float:
    """Recompute every list of a column; 1 where a word, an order or a place is not what it should be."""
    labels, rows = column["labels"], column["rows"]
    if not isinstance(labels, list) or not isinstance(rows, int) or column["vocabulary"] != trace.logits.sizes["vocab"]:
        return 1.0
    lists = {name: sent[name].reshape(-1, rows) for name in ("label", *NAMES)}
    errors: list[float] = []
    for n, place in enumerate(sent["places"].astype(int)):
        z = wide(trace.logits.values[place])
        found = {name: values[n] for name, values in lists.items()}
        ids = _ids(found, labels, trace, z)
        real = trace.tokens[place + 1].id if place + 1 < len(trace.tokens) else None
        if ids is None or ids.get(rows - 1) != real or len(ids) < min(rows - 1, len(z)):
            return 1.0
        totals = float(sent["kept"][n]), float(sent["mass"][n])
        errors += [_order_error(ids, rows, z), _numbers_error(found, ids, z, totals, choice)]
    return worst(*errors)


def _ids(found: dict[str, Wide], labels: list[str], trace: ModelTrace, z: Wide) -> dict[int, int] | None:
    """Return the ids that the drawn names stand for, by row; None where a name is of no token with the drawn logit."""
    near = z.astype(np.float32)[None] == found["logit"].astype(np.float32)[:, None]
    ids: dict[int, int] = {}
    for row in np.flatnonzero(~np.isnan(found["label"])):
        name, last = labels[int(found["label"][row])], row == len(near) - 1
        meant = [int(one) for one in np.flatnonzero(near[row]) if trace.label_of(int(one)) == name]
        fresh = meant if last else [one for one in meant if one not in ids.values()]
        if not fresh:
            return None
        ids[int(row)] = fresh[0]
    return ids


def _order_error(ids: dict[int, int], rows: int, z: Wide) -> float:
    """Return 1 when a row does not hold the token of its place: larger logits before it, of equals the lower ids."""
    best = [(row, one) for row, one in ids.items() if row < rows - 1]
    return float(any((z > z[one]).sum() + (z[:one] == z[one]).sum() != row for row, one in best))


def _numbers_error(
    found: dict[str, Wide], ids: dict[int, int], z: Wide, totals: tuple[float, float], choice: Choice
) -> float:
    """Compare the numbers of one list with those that its tokens have under the settings."""
    heat, top_k, top_p = _settings(choice)
    at, every = list(ids), np.array(list(ids.values()))
    own = _softmax(z)
    heated = own if heat == 1 else _softmax(z / heat)
    kept, mass = _kept(heated, z, top_k, top_p)
    stays = kept[every]
    return worst(
        float(not np.array_equal(found["rank"][at], 1 + (z[None] > z[every][:, None]).sum(-1))),
        float(not np.array_equal(np.isnan(found["scaled"][at]), ~stays)),
        float(totals[0] != kept.sum()),
        abs(totals[1] - mass) / mass,
        relative(found["own"][at], own[every], own[every]),
        relative(found["logit"][at], z[every], np.abs(z).max()),
        relative(found["scaled"][at][stays], z[every][stays] / heat, np.abs(z).max() / heat),
        relative(found["drawn"][at], np.where(stays, heated[every] / mass, 0.0), heated[every] / mass),
    )


def _settings(choice: Choice) -> tuple[float, int | None, float]:
    heat, top_p = choice.get("temperature", 1.0), choice.get("top_p", 1.0)
    if not isinstance(heat, int | float) or not isinstance(top_p, int | float):
        raise TypeError("the settings are no numbers")
    return float(heat), number(choice, "top_k"), float(top_p)


def _softmax(scores: Wide) -> Wide:
    above = scores - scores.max()
    return wide(np.exp(above - np.log(np.exp(above).sum())))


def _kept(heated: Wide, z: Wide, top_k: int | None, top_p: float) -> tuple[np.ndarray, float]:
    """Return which tokens stay (vocab,), and their mass: a token stays while the mass before it is below p."""
    if top_k is None and top_p == 1:
        return heated > 0, 1.0
    place = np.empty(len(z), np.int64)
    place[np.lexsort((np.arange(len(z)), -z))] = np.arange(len(z))
    stays = (place < (top_k or len(z))) & (heated > 0)
    if top_p < 1:
        by_place = np.zeros(len(z))
        by_place[place] = np.where(stays, heated, 0.0) / heated[stays].sum()
        before = np.concatenate([[0.0], np.cumsum(by_place)[:-1]])
        stays &= before[place] < top_p
    return stays, float(heated[stays].sum())


def _guess_error(column: dict[str, object], trace: ModelTrace, choice: Choice, n: int) -> float:
    """Compare a guess, its rank and its probability with the logits; 1 where one is told and none was made."""
    made = choice.get("guesses") or ()
    token = made[n] if isinstance(made, Sequence) and n < len(made) else None
    told = column["guess"]
    if token is None or told is None:
        return float(token is not told)
    if not isinstance(told, list) or not isinstance(column["at"], int):
        return 1.0
    z = wide(trace.logits.values[column["at"]])
    label, rank, own = told
    same_words = label == trace.label_of(token) and rank == 1 + int((z > z[token]).sum())
    return worst(float(not same_words), abs(own - _softmax(z)[token]) / max(_softmax(z)[token], 1e-30))
