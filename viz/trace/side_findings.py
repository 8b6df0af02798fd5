"""What the pictures of several models beside each other show, in a sentence each; "" where they show nothing."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.records.trace import Alignment, ModelTrace
from viz.look.extremes import percent
from viz.look.labels import Translate
from viz.trace.channels import Floats


def nearest_finding(
    traces: Sequence[ModelTrace], axis: Alignment, names: Sequence[str], maps: Sequence[Floats], t: Translate
) -> list[str]:
    """Name, for every token of the first text, the earlier token with the largest share in each map (query, key).

    The token itself does not count. "" for a token before which there is none, and where a map has no such row.
    """
    found = []
    ends = [_ends_of(own) for own in axis.owners]
    for token in range(len(traces[0].tokens)):
        place, said = ends[0].get(token), []
        for n, (trace, map_) in enumerate(zip(traces, maps, strict=True)):
            at = -1 if place is None else axis.owners[n][place]
            row = map_[at, :at] if at > 0 else np.zeros(0)
            if not len(row) or np.isnan(row).any():
                continue
            best = int(row.argmax())
            label = trace.tokens[best].label.removeprefix("\u2423") or trace.tokens[best].label
            values = {"name": names[n], "token": label, "back": at - best, "share": percent(float(row[best]))}
            said.append(t("viz.side_rows.largest_one", **values))
        found.append(t("viz.side_rows.largest", list=", ".join(said)) if said else "")
    return found


def _ends_of(owners: Sequence[int]) -> dict[int, int]:
    """Return the last segment of each token."""
    return {token: place for place, token in enumerate(owners) if token >= 0}


def surprisals_finding(names: Sequence[str], bits: Sequence[Floats], t: Translate) -> str:
    """State what the whole text costs each model, in bits, least first; "" for a single token."""
    if any(np.isfinite(row).sum() < 1 for row in bits):
        return ""
    total = sorted(zip((float(np.nansum(row)) for row in bits), names, strict=True))
    listed = ", ".join(t("viz.side_surprisal.total_one", name=name, bits=f"{value:.0f}") for value, name in total)
    return t("viz.side_surprisal.total", list=listed)


def changed_finding(names: Sequence[str], values: Floats, moved: npt.NDArray[np.bool_], t: Translate) -> str:
    """State the mean size of the change (model, segment) after the first changed token, for each model."""
    if not moved.any():
        return ""
    later = values[:, int(np.flatnonzero(moved)[0]) :].astype(np.float64)
    if not np.isfinite(later).any(1).all():
        return ""
    mean = sorted(zip((float(v) for v in np.nanmean(np.abs(later), axis=1)), names, strict=True), reverse=True)
    listed = ", ".join(t("viz.edit_surprisal.change_one", name=name, bits=f"{value:.2f}") for value, name in mean)
    return t("viz.edit_surprisal.change", list=listed)


def reach_finding(names: Sequence[str], distances: Sequence[float], t: Translate) -> str:
    """State the mean distance in tokens of each map, nearest first."""
    ordered = sorted(zip(distances, names, strict=True))
    listed = ", ".join(t("viz.side_reach.mean_one", name=name, tokens=f"{value:.1f}") for value, name in ordered)
    return t("viz.side_reach.mean", list=listed)
