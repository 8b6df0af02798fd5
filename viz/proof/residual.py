"""The check of the residual stream: the start and all writes are the final stream, and drawn lengths are theirs."""

import numpy as np
import pandas as pd

from models.reconstruction.check import Wide, against_output, relative, wide, worst
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice, chart_rows, exported


def residual_norms(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Start plus captured writes against the captured final stream, and every drawn length against theirs in loops."""
    total = wide(trace.stream[0].part("resid_post"))
    size = np.abs(total)
    known = {"stream": [_lengths(total)], "mixer": [], "ffn": []}
    for layer in trace:
        for part, kind in (("mixer_write", "mixer"), ("ffn_write", "ffn")):
            if part not in layer.parts:
                known[kind].append(np.full(len(total), np.nan))
                continue
            write = wide(layer.part(part))
            total, size = total + write, np.maximum(size, np.abs(write))
            known[kind].append(_lengths(write))
        known["stream"].append(_lengths(wide(layer.part("resid_post"))))
    final = wide(trace.layers[-1].part("resid_post"))
    scale = np.broadcast_to(np.linalg.norm(final, axis=-1, keepdims=True), final.shape)
    rows = chart_rows(figure, "line", "norm")
    drawn = [_drawn_error(rows, kind, np.stack(values)) for kind, values in known.items()]
    told = [_same(exported(figure, kind), np.stack(values)) for kind, values in known.items()]
    return worst(against_output(total, final, np.maximum(size, scale)), *drawn, *told)


def _lengths(rows: Wide) -> Wide:
    return np.array([float(np.sqrt((row * row).sum())) for row in rows])


def _same(found: Wide, known: Wide) -> float:
    if found.shape != known.shape or (np.isnan(found) != np.isnan(known)).any():
        return 1.0
    there = ~np.isnan(known)
    return worst(relative(found[there], known[there], known[there]))


def _drawn_error(rows: pd.DataFrame, kind: str, known: Wide) -> float:
    """Compare the rows of one kind with lengths (place, token), and their means, which stand at token -1."""
    first = -1 if kind == "stream" else 0
    found = np.full((known.shape[0], known.shape[1] + 1), np.nan)
    of_kind = rows[rows["kind"] == kind]
    found[of_kind["place"].to_numpy() - first, of_kind["token"].to_numpy() + 1] = of_kind["norm"].to_numpy()
    whole = np.concatenate([known.mean(1, keepdims=True), known], axis=1)
    return _same(found, np.where(whole > 0, whole, np.nan))
