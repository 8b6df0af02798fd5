"""The size of a recurrent state per channel over the text, and the state at two times with their difference."""

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.canvas import Axis, Bars, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging
from viz.trace.channels import binned, floats, layer_with, longest_first, most_varied
from viz.trace.findings import named_token
from viz.trace.state import channel_name, map_picture, robust_end, rows_note
from viz.trace.tokens import picture


@figure("state_norm", needs=("state", "half_life"), also=("decay_rates",))
def state_norm(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw |h_t[c]|, the length of each channel's components after every token, longest memory first, log colours.

    With more than 128 channels a row is the mean of neighbours in that order. Bars: the length of the whole state.
    """
    shown = layer_with(trace, "state", layer)
    state = floats(shown, "state")
    norms = np.linalg.norm(state, axis=2)  # (token, channel)
    rows, runs = binned(norms, longest_first(floats(shown, "half_life")))
    total = np.linalg.norm(norms, axis=1)
    said = template(t, "viz.state_norm.total_is", "value")
    bars = Bars(total, t("viz.state_norm.total"), theme.mixer_color(shown.mixer), said)
    alt = t("viz.state_norm.alt", layer=shown.index, channels=norms.shape[1])
    spec = map_picture(
        "state_norm",
        rows,
        runs,
        shown,
        trace,
        theme=theme,
        t=t,
        alt=alt,
        selected=selected,
        bars=(bars,),
        low=max(float(np.quantile(rows, 0.01)), 1e-12),
        log=True,
    )
    data = {"norm": NamedArray(rows, ("row", "token")), "norm_total": NamedArray(total, ("token",))}
    finding = ""
    if len(total) > 1:
        place = int(total.argmax())
        finding = t("viz.state_norm.finding", at=named_token(trace.tokens, place, t), high=short(float(total[place])),
                    last=short(float(total[-1])))  # fmt: skip
    return Figure("state_norm", spec, data, alt, finding=finding)


@figure("state_difference", needs=("state", "half_life"), also=("decay_rates",))
def state_difference(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    first: int = 0,
    second: int | None = None,
    channels: int = 48,
) -> Figure:
    """Draw the state after two tokens and the later one less the earlier: rows are channels, columns components.

    All three have one signed scale, which ends at a quantile of the magnitudes. first, second: tokens; second is by
    default the last.
    """
    shown = layer_with(trace, "state", layer)
    state = floats(shown, "state")
    last = len(state) - 1 if second is None else second
    chosen = most_varied(floats(shown, "half_life"), state.sum(-1), count=channels)
    before, after = state[first][chosen], state[last][chosen]  # (channel, d_state)
    panels = (before, after, after - before)
    gap = np.full((len(chosen), 1), np.nan, np.float32)
    values = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    high = robust_end(np.stack(panels))
    told = [named_token(trace.tokens, place, t) for place in (first, last)]
    titles = [t("viz.state_difference.after", at=at) for at in told] + [t("viz.state_difference.change")]
    names, labels = _columns(titles, state.shape[2], t)
    grid = Matrix(
        values=values.astype(np.float32),
        scale=Scale(0.0, high, kind="sqrt", signed=True),
        ramps=(diverging(theme),),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=t("viz.state_difference.quantity"))),
        rows=Axis(names=tuple(channel_name(shown, c, t=t) for c in chosen)),
        columns=Axis(names=names, labels=labels),
        row_height=8,
        max_height=400,
        picks="none",
    )
    ends = ((0.0, f"≤ −{short(high)}"), (0.5, "0"), (1.0, f"≥ +{short(high)}"))
    alt = t("viz.state_difference.alt", layer=shown.index, first=told[0], second=told[1], channels=len(chosen))
    note = f"{t('viz.state_difference.note', first=told[0], second=told[1])} {rows_note(shown, len(chosen), t=t)}"
    legend = Legend(t("viz.state_difference.quantity"), ends, t("viz.scope.picture_sqrt"))
    spec = picture("state_difference", alt, trace, theme=theme, t=t, grid=grid, legends=(legend,), note=note)
    data = {
        "first": NamedArray(before, ("channel", "d_state")),
        "second": NamedArray(after, ("channel", "d_state")),
        "difference": NamedArray(panels[2], ("channel", "d_state")),
        "channel": NamedArray(chosen, ("channel",)),
    }
    size = float(np.linalg.norm(state[first]))
    finding = ""
    if size > 0 and first != last:
        share = float(np.linalg.norm(state[last] - state[first])) / size
        finding = t("viz.state_difference.finding", first=told[0], second=told[1], share=f"{share:.2f}")
    return Figure("state_difference", spec, data, alt, finding=finding)


def _columns(titles: list[str], components: int, t: Translate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name every column of three panels with a gap between, and write each panel's title below its middle."""
    names: list[str] = []
    labels: list[str] = []
    for place, title in enumerate(titles):
        if place:
            names.append("")
            labels.append("")
        names += [t("viz.state_difference.column", component=n, panel=title) for n in range(components)]
        labels += [str(n) for n in range(components)]
    return tuple(names), tuple(labels)
