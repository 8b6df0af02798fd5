"""Checks of the figures of an encoder-decoder run, by the arrays that they draw."""

import re

import numpy as np

from models.reconstruction import encoder_decoder as reconstruction
from models.reconstruction.check import Wide, absolute, relative, wide, worst
from models.records.encoder_decoder import KINDS, EncoderDecoderRun, Kind
from viz.exchange import ExchangeSpec, StacksSpec
from viz.exchange.spec import Block
from viz.figure import Figure
from viz.hero import decode
from viz.proof.drawn import Choice, chart_rows, exported, matrix, number, picture_error, same


def encoder_map(figure: Figure, run: EncoderDecoderRun, choice: Choice) -> float:
    """Drawn A V_h against the captured output of the head, and drawn A against the softmax."""
    return _map(figure, run, "encoder", choice)


def decoder_map(figure: Figure, run: EncoderDecoderRun, choice: Choice) -> float:
    """The same of the decoder's self-attention, with nothing above the diagonal."""
    drawn, copies = matrix(figure, "attention")
    above = np.triu(exported(figure, "attention"), 1)
    return worst(copies, np.abs(above), _against(drawn, run, "decoder", choice))


def cross_map(figure: Figure, run: EncoderDecoderRun, choice: Choice) -> float:
    """The same of cross-attention."""
    return _map(figure, run, "cross", choice)


def cross_lines(figure: Figure, run: EncoderDecoderRun, choice: Choice) -> float:
    """Lines as cross_map; drawn probabilities against the softmax of the decoder's last output in float64."""
    body = figure.body
    if not isinstance(body, ExchangeSpec):
        raise TypeError(f"{figure.id} is no exchange")
    header, planes = decode(body.payload())
    weights, probs = exported(figure, "attention"), exported(figure, "probability")
    ids = figure.data["token"].values.astype(int)
    known = reconstruction.next_words(run)
    shown = [
        same(planes[header["weights"]].reshape(weights.shape), weights),
        same(planes[header["guesses"]["probs"]].reshape(probs.shape), probs),
        float(tuple(header["place"]) != (number(choice, "layer"), number(choice, "head"))),
        float((len(header["source"]), len(header["written"])) != weights.shape[::-1]),
        float([list(row) for row in header["guesses"]["labels"]] != _names(run, ids, header)),
    ]
    best = np.argsort(-known, axis=1, kind="stable")[:, : ids.shape[1]]
    order = absolute(np.take_along_axis(known, ids, 1), np.take_along_axis(known, best, 1))
    return worst(
        *shown, order, absolute(probs, np.take_along_axis(known, ids, 1)), _against(weights, run, "cross", choice)
    )


def two_stacks(figure: Figure, run: EncoderDecoderRun, choice: Choice) -> float:  # noqa: ARG001 - nothing is chosen
    """Every drawn mask: where it says that a word is read there is weight, and none elsewhere, in every layer and head.

    The softmax over the cells of the drawn mask gives the captured weights.
    """
    body = figure.body
    if not isinstance(body, StacksSpec):
        raise TypeError(f"{figure.id} is no picture of stacks")
    encoder, decoder = body.encoder.blocks, body.decoder.blocks
    drawn: dict[Kind, Block] = {"encoder": encoder[-1], "cross": decoder[-2], "decoder": decoder[-1]}
    layers = {"encoder": body.encoder.layers, "cross": body.decoder.layers, "decoder": body.decoder.layers}
    errors: list[Wide | float] = []
    for kind in KINDS:
        mask, found = drawn[kind].mask, run.attention(kind)
        if mask is None:
            return 1.0
        errors += [same(exported(figure, f"{kind}_mask"), mask), float(layers[kind] != len(found.weights.values))]
        errors.append(_masked_error(wide(mask), run, kind))
    return worst(*errors)


def decoder_cache(figure: Figure, run: EncoderDecoderRun, choice: Choice) -> float:  # noqa: ARG001 - nothing is chosen
    """Drawn bytes against the formula, and the ends of the bars against both."""
    own, source = reconstruction.cache_bytes(run)
    rows = chart_rows(figure, "bar", "high")
    of_source, of_own = (rows[rows["kind"] == kind] for kind in ("source", "own"))
    return worst(
        relative(exported(figure, "own"), own, own),
        relative(exported(figure, "source"), source, source),
        same(wide(of_source["high"].to_numpy()), source),
        same(wide(of_own["low"].to_numpy()), source),
        same(wide(of_own["high"].to_numpy()), source + own),
    )


def _map(figure: Figure, run: EncoderDecoderRun, kind: Kind, choice: Choice) -> float:
    drawn = exported(figure, "attention")
    return worst(picture_error(figure, drawn[None]), _against(drawn, run, kind, choice), _told(figure, choice))


def _against(drawn: Wide, run: EncoderDecoderRun, kind: Kind, choice: Choice) -> Wide:
    layer, head = number(choice, "layer"), number(choice, "head")
    if layer is None or head is None:
        raise ValueError("a map is of one layer and one head")
    return reconstruction.weight_error(drawn, run, kind, layer, head)


def _told(figure: Figure, choice: Choice) -> float:
    """Return 1 where the words for the picture name another layer or head than the one that was chosen."""
    named = set(re.findall(r"\d+", figure.alt))
    return float(not {str(number(choice, "layer")), str(number(choice, "head"))} <= named)


def _masked_error(mask: Wide, run: EncoderDecoderRun, kind: Kind) -> Wide:
    found = run.attention(kind)
    scores = np.einsum("lhqd,lhkd->lhqk", wide(found.query.values), wide(found.key.values))
    scores = np.where(mask.astype(bool), scores, -np.inf)
    odds = np.exp(scores - scores.max(-1, keepdims=True))
    return absolute(odds / odds.sum(-1, keepdims=True), found.weights.values)


def _names(run: EncoderDecoderRun, ids: np.ndarray, header: dict[str, object]) -> list[list[str]]:
    """Return the names that the words of ids have to have; special ones as the picture calls them itself."""
    labels = header["guesses"]["labels"]  # type: ignore[index]
    return [
        [
            labels[step][place] if word.startswith("<") else word
            for place, word in enumerate(run.vocabulary[i] for i in row)
        ]
        for step, row in enumerate(ids)
    ]
