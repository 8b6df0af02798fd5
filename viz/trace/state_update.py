"""The hero of a selective state space: keep, write, read - one component on a line, then every one, token by token."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging, mixer_ramp
from viz.mechanism import Plane, Size, WalkStep
from viz.trace.channels import Floats, Indices, floats, layer_with, longest_first, most_varied
from viz.trace.findings import named_token
from viz.trace.mechanisms import mechanism_of
from viz.trace.survival import survival_of

STEPS = ("before", "keep", "write", "films", "read", "left")
FIRST = STEPS.index("left")  # shown until the visitor walks
SIZES = (Size(0, 752, 300), Size(560, 512, 170), Size(900, 512, 124))
SENT_DIGITS = {"state": 4, "left": 3}  # of the large arrays; the picture writes three
CELLS = 130_000  # numbers of the drawn states that travel at most


@figure(
    "state_update",
    needs=("state", "dt", "decay_rates", "write_proj", "read_proj", "scan_input", "skip", "half_life"),
)
def state_update(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    channel: int | None = None,
    channels: int = 24,
    selected: int | None = None,
) -> Figure:
    """Draw h before x keep + write = h after at the chosen token, the read C.h + D u, and what is left of the write.

    keep = exp(dt A), write = dt B u. One component of one channel stands on a line; the films hold some channels, the
    slowest on top, among them the chosen one. channel: without it the most varied of them. selected: without it the
    token at which that channel moves most. What is left is the share of |write| of the channel, and of the whole layer,
    after every later token.
    """
    shown = layer_with(trace, "state", layer)
    state = floats(shown, "state")
    count = max(1, min(channels, CELLS // max(state.shape[0] * state.shape[2], 1)))
    rows = chosen_rows(shown, channel, count)
    begin = first_cell(shown, rows, channel)
    data = update_arrays(shown, rows)
    ids = [int(one) for one in rows]
    spec = mechanism_of(
        "state_update",
        t("viz.state_update.alt", layer=shown.index, channels=len(ids)),
        trace,
        theme=theme,
        t=t,
        painter="state_update",
        planes={
            name: Plane(array.values, array.dims, SENT_DIGITS.get(name))
            for name, array in data.items()
            if name != "channel"
        },
        steps=tuple(_step(name, t) for name in STEPS),
        sizes=SIZES,
        ramps={"signed": diverging(theme), "share": mixer_ramp(shown.mixer, theme)},
        settings={"channels": ids, "cell": begin, "color": theme.mixer_color(shown.mixer), "negative": theme.negative},
        own=_words(t),
        selected=most_moved(data, begin[0]) if selected is None else selected,
        on=True,
    )
    body = dataclasses.replace(spec, first=FIRST)
    return Figure("state_update", body, data, body.alt, finding=update_finding(trace, data, begin[0], t))


def chosen_rows(shown: LayerTrace, channel: int | None, count: int) -> Indices:
    """Choose the channels of the films, slowest first: as the state film does, with the chosen one in place of one."""
    half_life = floats(shown, "half_life")
    rows = most_varied(half_life, floats(shown, "state").sum(-1), count=count)
    if channel is None or channel in rows:
        return rows
    place = {int(one): n for n, one in enumerate(longest_first(half_life))}
    near = min(range(len(rows)), key=lambda n: abs(place[int(rows[n])] - place[channel]))
    found = [channel if n == near else int(one) for n, one in enumerate(rows)]
    return np.array(sorted(found, key=place.__getitem__), np.intp)


def first_cell(shown: LayerTrace, rows: Indices, channel: int | None) -> tuple[int, int]:
    """Return the cell that is worked out at first: row of the channel, and its component of the largest mean |h|.

    Without a channel the row in which the sum over components varies most, relative to its largest magnitude.
    """
    state = floats(shown, "state")[:, rows]
    summed = state.sum(-1)
    peak = np.abs(summed).max(0)
    varied = int((summed.std(0) / np.where(peak > 0, peak, 1)).argmax())
    row = varied if channel is None else [int(one) for one in rows].index(channel)
    return row, int(np.abs(state[:, row]).mean(0).argmax())


def update_arrays(shown: LayerTrace, rows: Indices) -> dict[str, NamedArray]:
    """Collect what the picture is made of, for the drawn channels: h, dt, A, B, C, D, u, y, and what is left."""
    state, read = floats(shown, "state")[:, rows], floats(shown, "read_proj")
    u, skip = floats(shown, "scan_input")[:, rows], floats(shown, "skip")[rows]
    output = np.einsum("tcn,tn->tc", state, read) + skip * u
    left = np.nan_to_num(survival_of(shown)).astype(np.float32)
    return {
        "state": NamedArray(np.ascontiguousarray(state), ("token", "channel", "d_state")),
        "dt": NamedArray(floats(shown, "dt")[:, rows].copy(), ("token", "channel")),
        "rates": NamedArray(floats(shown, "decay_rates")[rows].copy(), ("channel", "d_state")),
        "write": NamedArray(floats(shown, "write_proj").copy(), ("token", "d_state")),
        "read": NamedArray(read.copy(), ("token", "d_state")),
        "skip": NamedArray(skip.copy(), ("channel",)),
        "input": NamedArray(u.copy(), ("token", "channel")),
        "output": NamedArray(output, ("token", "channel")),
        "left": NamedArray(left, ("word", "token")),
        "channel": NamedArray(np.asarray(rows), ("channel",)),
    }


def keep_and_write(data: Mapping[str, NamedArray]) -> tuple[Floats, Floats]:
    """Return keep = exp(dt A) and write = dt B u of the drawn channels, (token, channel, d_state), in float64."""
    dt, rates, write, u = (np.asarray(data[name].values, np.float64) for name in ("dt", "rates", "write", "input"))
    return np.exp(dt[:, :, None] * rates), (dt * u)[:, :, None] * write[:, None, :]


def most_moved(data: Mapping[str, NamedArray], row: int) -> int:
    """Return the token after which the components of a channel have moved most."""
    state = np.asarray(data["state"].values, np.float64)[:, row]
    return int(np.linalg.norm(np.diff(state, axis=0, prepend=0), axis=1).argmax())


def update_finding(trace: ModelTrace, data: Mapping[str, NamedArray], row: int, t: Translate) -> str:
    """Name the token after which the components of a channel have moved most, relative to their largest length."""
    state = np.asarray(data["state"].values, np.float64)[:, row]
    if len(state) < 2:
        return ""
    size = float(np.linalg.norm(state, axis=1).max())
    if size <= 0:
        return ""
    place = most_moved(data, row)
    moved = float(np.linalg.norm(state[place] - (state[place - 1] if place else 0)))
    return t(
        "viz.state_update.finding",
        channel=int(data["channel"].values[row]),
        at=named_token(trace.tokens, place, t),
        share=percent(moved / size),
        size=short(size),
    )


def _step(name: str, t: Translate) -> WalkStep:
    given: dict[str, tuple[str, ...]] = {
        "before": ("channel", "component", "before", "word"),
        "keep": ("keep", "kept"),
        "write": ("word", "write", "after"),
        "films": ("word",),
        "read": ("channel", "output"),
        "left": ("word", "channel", "end", "layer"),
    }
    return WalkStep(name, t(f"viz.state_update.{name}_title"), template(t, f"viz.state_update.{name}", *given[name]))


def _words(t: Translate) -> dict[str, Any]:
    plain = ("line", "film_before", "film_keep", "film_write", "film_after", "reading", "terms", "leaves", "nothing",
             "this_channel", "all_channels")  # fmt: skip
    told: dict[str, Any] = {name: t(f"viz.state_update.{name}") for name in plain}
    told["cell"] = template(t, "viz.state_update.cell", "channel", "component")
    told["left_at"] = template(t, "viz.state_update.left_at", "word", "share")
    return told
