"""How far back the layers of a model read: the share of |M| by distance, its mean, and where 90 % of it lie."""

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.canvas import Axis, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.extremes import extremes, percent
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, mixer_ramp
from viz.trace.channels import Floats
from viz.trace.matrix import MIXING, mixing_of
from viz.trace.tokens import picture

MOST = 0.9  # the share of |M| that lies within the reach


def mass_by_distance(mixing: Floats) -> Floats:
    """Return the share of the sum of |mixing| (query, key) that lies at each distance query - key, (distance,).

    Zeros where nothing is read. A short distance has more pairs of tokens than a long one.
    """
    size = np.abs(mixing.astype(np.float64))
    mass = np.array([np.trace(size, -n) for n in range(len(size))])
    total = mass.sum()
    return np.asarray(mass / total if total > 0 else mass)


def mean_distance(mass: Floats) -> float:
    """Return sum_ij |M_ij| (i - j) / sum_ij |M_ij| of a mass by distance."""
    return float(mass @ np.arange(len(mass)))


def reach_of(mass: Floats, share: float = MOST) -> int:
    """Return the smallest distance within which at least a share of the mass lies."""
    return int(np.searchsorted(np.cumsum(mass), share * mass.sum() - 1e-12))


@figure("reach", also=MIXING)
def reach(trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw the share of |M| by distance, a row per layer, with the mean distance and the reach of 90 % beside it.

    M is attention averaged over heads, hidden attention or effective attention.
    """
    layers = [shown for shown in trace if any(name in shown.parts for name in MIXING)]
    mass = np.stack([mass_by_distance(mixing_of(shown)) for shown in layers])  # (layer, distance)
    mean = np.array([mean_distance(row) for row in mass])
    far = np.array([reach_of(row) for row in mass])
    notes = tuple(t("viz.reach.row", mean=short(one), far=int(n)) for one, n in zip(mean, far, strict=True))
    mixers = sorted({shown.mixer for shown in layers})
    grid = Matrix(
        values=mass.astype(np.float32),
        scale=Scale(0.0, float(mass.max()), kind="sqrt"),
        ramps=tuple(mixer_ramp(mixer, theme) for mixer in mixers),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=t("viz.reach.quantity"))),
        rows=Axis(
            names=tuple(f"{t('viz.layer', layer=one.index)} · {note}" for one, note in zip(layers, notes, strict=True)),
            labels=tuple(f"{shown.index} {t(f'viz.mixer.{shown.mixer}')}" for shown in layers),
            notes=notes,
            colors=tuple(theme.mixer_color(shown.mixer) for shown in layers),
        ),
        columns=Axis(
            names=tuple(t("viz.reach.distance", count=n) for n in range(mass.shape[1])),
            labels=tuple(str(n) for n in range(mass.shape[1])),
            title=t("viz.reach.columns"),
        ),
        row_ramps=tuple(mixers.index(shown.mixer) for shown in layers),
        row_height=30,
        max_height=560,
        picks="none",
    )
    alt = t("viz.reach.alt", layers=len(layers))
    ends = ((0.0, "0"), (1.0, short(float(mass.max()))))
    legends = tuple(
        Legend(t("viz.reach.quantity"), ends, t("viz.scope.picture_sqrt"), ramp=place) for place in range(len(mixers))
    )
    spec = picture("reach", alt, trace, theme=theme, t=t, grid=grid, legends=legends)
    data = {
        "mass": NamedArray(mass, ("layer", "distance")),
        "mean_distance": NamedArray(mean, ("layer",)),
        "reach": NamedArray(far, ("layer",)),
    }
    named = [(t("viz.layer", layer=shown.index), float(one)) for shown, one in zip(layers, mean, strict=True)]
    found = extremes(named, short)
    finding = t("viz.reach.finding", **found._asdict()) if found and mass.shape[1] > 1 else ""
    return Figure("reach", spec, data, alt, t("viz.reach.note", share=percent(MOST)), finding)
