"""The curves that a badge compares: their largest difference is its error."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.reconstruction.check import Compared, Wide, watching, wide
from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import ModelTrace
from viz import proof
from viz.figure import Figure

POINTS = 200  # of a curve at most


@dataclass(frozen=True, slots=True)
class Curves:
    """One row of a comparison, through the place of its largest error.

    own, rebuilt, error (point,): the reference, what is drawn or rebuilt from it, and |rebuilt - own| relative to the
    terms that are summed, as in the badge. count: numbers of the row; where they are more than POINTS, the one with the
    largest error of each of POINTS runs of neighbours is kept. output: whether own is the output of the model itself.
    along_text: whether the row is one number per token.
    """

    own: Wide
    rebuilt: Wide
    error: Wide
    count: int
    output: bool
    along_text: bool


def curves(figure: Figure, trace: proof.Drawn, **choice: object) -> tuple[Curves, ...]:
    """Check a figure again and return the rows of what the check compared that matter to a reader.

    First the model's own output beside the one rebuilt from the picture, where the check has such a comparison, at its
    worst place; then the comparison that gave the badge its error, where that is another one. None of the first have a
    larger error than the badge. Nothing where no two arrays gave the error: single numbers, a name or an order.
    """
    with watching() as seen:
        verdict = proof.check(figure, trace, **choice)
    if verdict is None:
        return ()
    with np.errstate(all="ignore"):
        blamed = [one for one in seen if _equal(one.errors, verdict.error).any()]
        if not blamed:
            return ()
        outputs = [one for one in seen if one.output and not (one.errors.max() > verdict.error)]
        own = max(outputs, key=lambda one: float(np.nan_to_num(one.errors.max(), nan=np.inf)), default=None)
        shown = [own] if own is not None else []
        if own is None or not _equal(own.errors, verdict.error).any():
            shown.append(blamed[0])
        return tuple(_row(one, _tokens(trace), verdict.error) for one in shown)


def _tokens(trace: proof.Drawn) -> int:
    """Count the tokens along which the rows of a comparison may run."""
    if isinstance(trace, EncoderDecoderRun):
        return trace.steps
    return len((trace if isinstance(trace, ModelTrace) else trace[0]).tokens)


def _equal(errors: Wide, error: float) -> npt.NDArray[np.bool_]:
    return np.isnan(errors) if math.isnan(error) else errors == error


def _row(one: Compared, tokens: int, error_of_badge: float) -> Curves:
    """Take the numbers along the text through the worst place of a comparison, or through that of the badge's error.

    Without an axis of so many tokens they are those along the last axis.
    """
    errors = np.atleast_1d(one.errors)
    blamed = np.argwhere(_equal(errors, error_of_badge))
    place = blamed[0] if len(blamed) else np.argwhere(_equal(errors, float(errors.max())))[0]
    along = [axis for axis, size in enumerate(errors.shape) if size == tokens]
    long = [axis for axis, size in enumerate(errors.shape) if size > 1]
    axis = along[-1] if along else long[-1] if long else errors.ndim - 1
    at = tuple(slice(None) if other == axis else int(index) for other, index in enumerate(place))
    own, rebuilt = (np.broadcast_to(values, errors.shape)[at] for values in (one.expected, one.found))
    error = errors[at]
    kept = _kept(error)
    by_text = len(along) == 1 or (len(along) > 1 and len(along) == errors.ndim)
    return Curves(wide(own[kept]), wide(rebuilt[kept]), wide(error[kept]), len(error), one.output, by_text)


def _kept(error: Wide) -> npt.NDArray[np.intp]:
    """Choose at most POINTS of a row: of each run of neighbours the one with the largest error, nan above all."""
    if len(error) <= POINTS:
        return np.arange(len(error))
    size = np.where(np.isnan(error), np.inf, error)
    return np.array([int(run[size[run].argmax()]) for run in np.array_split(np.arange(len(error)), POINTS)])
