"""Numbers about the step size of a selective scan: order of channels, strength of a write, labelled tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viz.look.labels import Translate
from viz.trace.channels import Floats, Indices

ORDERS = ("half_life", "variance")


def most_varying(dt: Floats) -> Indices:
    """Order channels by the standard deviation of log dt (token, channel) along the text, largest first."""
    return np.argsort(-np.log(np.maximum(dt, 1e-30)).std(0), kind="stable")


def write_strength(dt: Floats, u: Floats, write: Floats) -> Floats:
    """Return |dt_t B_t u_t| over all channels and components, (token,); dt, u (token, channel), write (token, d_state).

    The write is an outer product, so its length is that of dt u times that of B.
    """
    return np.asarray(np.linalg.norm(dt * u, axis=1) * np.linalg.norm(write, axis=1))


@dataclass(frozen=True, slots=True)
class Separation:
    """How well dt tells labelled tokens from the others, as area under the ROC curve: 0.5 is none, 1 is wholly.

    mean: of the mean over channels; channels (channel,): of each channel by itself; count: labelled tokens.
    """

    mean: float
    channels: Floats
    count: int

    def said(self, t: Translate) -> str:
        """Say it in a sentence, with the range over channels."""
        low, middle, high = (f"{float(np.quantile(self.channels, share)):.2f}" for share in (0.0, 0.5, 1.0))
        return t("viz.dt_map.auc", count=self.count, mean=f"{self.mean:.2f}", low=low, middle=middle, high=high)


def separation(dt: Floats, marked: Sequence[int]) -> Separation | None:
    """Return how well dt (token, channel) separates the marked tokens; None where all or none of them are marked."""
    labels = np.zeros(len(dt), bool)
    labels[[token for token in marked if 0 <= token < len(dt)]] = True
    if labels.all() or not labels.any():
        return None
    return Separation(float(auc(dt.mean(1)[:, None], labels)[0]), auc(dt, labels), int(labels.sum()))


def auc(scores: Floats, labels: Sequence[bool] | np.ndarray) -> Floats:
    """Return the share of (labelled, other) pairs in which the labelled token scores higher, ties one half.

    scores (token, column); returns (column,).

    >>> auc(np.array([[3.0], [1.0], [2.0]]), [True, False, True]).tolist()
    [1.0]
    """
    chosen = np.asarray(labels, bool)
    one, other = scores[chosen][:, None], scores[~chosen][None]
    return np.asarray(((one > other) + 0.5 * (one == other)).mean((0, 1)))
