"""One question of a recall task: where every layer of every model looks at the moment it must answer."""

from collections.abc import Sequence

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.canvas import Axis, CanvasSpec, Legend, Matrix, Scale, Strip
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, sequential
from viz.recall.findings import answer_finding
from viz.trace.matrix import MIXING, mixing_of
from viz.trace.tokens import words

PAIR = ("key", "value")


@figure("recall_example", of="traces", also=MIXING)
def recall_example(
    traces: Sequence[ModelTrace],
    *,
    asked_at: int,
    answer_at: int,
    theme: Theme,
    t: Translate,
    roles: Sequence[str] = (),
) -> Figure:
    """Draw, for every layer of every model, the share of each token in what the asking token reads.

    Shares are |M_tj| / sum_j |M_tj| of the asking row: attention averaged over heads, hidden or effective attention
    averaged over channels. asked_at, answer_at: places of the asking token and of the answer in the sequence; roles:
    what each token is for (models.recall.tasks).
    """
    shares, layers = [], []
    for trace in traces:
        for layer in trace:
            row = np.abs(mixing_of(layer)[asked_at])
            shares.append(row / (row.sum() or 1))
            layers.append((trace.architecture, layer))
    values = np.stack(shares).astype(np.float32)  # (layer of every model, token)
    names = [trace.architecture for trace in traces]
    labels = tuple(
        t("viz.recall_example.row", name=t(f"viz.architecture.{name}"), layer=layer.index) for name, layer in layers
    )
    high = float(values.max())
    tokens = traces[0].tokens
    purposes = _purposes(roles, len(tokens))
    places = {asked_at: t("viz.recall_example.asked"), answer_at: t("viz.recall_example.answer")}
    grid = Matrix(
        values=values,
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=tuple(sequential(name, theme) for name in names),
        readout=(
            "{row}",
            "{column}",
            template(t, "viz.value", "value", name=t("viz.recall_example.quantity")),
        ),
        rows=Axis(
            names=labels,
            labels=labels,
            notes=tuple(_kind(name, layer.mixer, t) for name, layer in layers),
            colors=tuple(theme.mixer_color(layer.mixer) for _, layer in layers),
        ),
        row_ramps=tuple(names.index(name) for name, _ in layers),
        row_height=30,
        max_height=420,
    )
    strip = Strip(
        tokens=tokens,
        surprisal=np.full(len(tokens), np.nan, dtype=np.float32),
        selected=answer_at,
        role="columns",
        readout=("{label}", "{extra}"),
        extra=tuple(places.get(i, "") for i in range(len(tokens))),
        roles=purposes,
        pairs=tuple((i - 1, i) for i in range(1, len(purposes)) if (purposes[i - 1], purposes[i]) == PAIR),
    )
    alt = t("viz.recall_example.alt", count=len(traces), answer=answer_at)
    legends = tuple(
        Legend(t(f"viz.architecture.{name}"), ((0.0, "0"), (0.5, short(high / 4)), (1.0, short(high))), ramp=i)
        for i, name in enumerate(names)
    )
    spec = CanvasSpec("recall_example", alt, theme, theme.ink, strip, (), grid, legends,
                      t("viz.recall_example.note"), words(t))  # fmt: skip
    data = {"share": NamedArray(values, ("row", "token"))}
    return Figure("recall_example", spec, data, alt, finding=answer_finding(values[:, answer_at], labels, t))


def _kind(architecture: str, mixer: str, t: Translate) -> str:
    """Name the kind of a layer, where the name of the model does not say it."""
    kind = t(f"viz.mixer.{mixer}")
    return "" if kind == t(f"viz.architecture.{architecture}") else kind


def _purposes(roles: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the role of each token; what follows a key is its value, unless it has a role of its own."""
    found = ["value" if role == "other" and i and roles[i - 1] == "key" else role for i, role in enumerate(roles)]
    return tuple(found[:count])
