"""The check of a model's diagram: counts add up to all parameters, and written lengths are those of the record."""

import re

import numpy as np

from models.reconstruction.check import Wide, relative, wide, worst
from models.records.anatomy import Anatomy
from models.records.trace import ModelTrace
from models.units import count, number
from viz.diagram import Diagram
from viz.figure import Figure
from viz.proof.drawn import Choice, exported

PLACES = ("resid_pre", "resid_post", "mixer_write", "ffn_write")


def anatomy(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn counts against the plan, their sum against all parameters, lengths against plain sums of the record."""
    plan = choice["plan"]
    if not isinstance(plan, Anatomy) or not isinstance(figure.body, Diagram):
        raise TypeError("anatomy is checked for an Anatomy")
    parameters, layers = exported(figure, "parameters"), exported(figure, "layers")
    inside = float((parameters * layers).sum())
    whole = inside + sum(one.count for one in plan.around)
    known = np.array([[_mean(trace, kind.layers, part) for part in PLACES] for kind in plan.kinds])
    drawn = exported(figure, "length")
    if drawn.shape != known.shape or (np.isnan(drawn) != np.isnan(known)).any():
        return 1.0
    there = ~np.isnan(known)
    return worst(
        float(whole != plan.total),
        relative(drawn[there], known[there], known[there]),
        _words_error(figure.body, plan, known),
    )


def _mean(trace: ModelTrace, layers: tuple[int, ...], part: str) -> float:
    """Average the length of a part over the tokens of some layers, token by token; nan where a layer lacks it."""
    if part not in trace.layer(layers[0]).parts:
        return float("nan")
    found = [np.sqrt(float(row @ row)) for layer in layers for row in _rows(trace, layer, part)]
    return float(np.mean(found))


def _rows(trace: ModelTrace, layer: int, part: str) -> Wide:
    return wide(trace.layer(layer).part(part))


def _words_error(body: Diagram, plan: Anatomy, known: Wide) -> float:
    """Return 1 where a box, a column or a sum does not say its own number, else 0."""
    if len(body.columns) != len(plan.kinds) or count(plan.total) not in body.total:
        return 1.0
    for column, kind, row in zip(body.columns, plan.kinds, known, strict=True):
        told = [box for branch in column.branches for step in branch.steps for box in step if box.weights]
        named = sorted(one.count for one in kind.components)
        if sorted(_counted(box.detail) for box in told) != sorted(count(one) for one in named):
            return 1.0
        said = [column.enters, column.leaves, *(branch.adds for branch in column.branches)]
        lengths = [row[0], row[1], row[2], row[3]]
        if any(number(float(value)) not in words for words, value in zip(said, lengths, strict=False)):
            return 1.0
        if count(kind.count) not in column.note:
            return 1.0
    return 0.0


def _counted(detail: str) -> str:
    """Return the number of parameters that a box says, after its shapes."""
    found = re.search(r"[\d,]+", detail.rpartition("·")[2])
    return found[0] if found else ""
