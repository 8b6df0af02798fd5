"""Figures of a selective state space: state, step size, and hidden attention."""

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Axis, Bars, CanvasSpec, Frames, Legend, Matrix, Scale
from viz.canvas.pooling import BUDGET_VALUES, fit_columns
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging, mixer_ramp
from viz.trace.channels import Floats, Indices, binned, floats, layer_with, longest_first, most_varied
from viz.trace.findings import TAKES, film_finding, frames_finding, row_finding, step_finding
from viz.trace.matrix import matrix_picture
from viz.trace.step_sizes import ORDERS, most_varying, separation, write_strength
from viz.trace.tokens import picture, strip_of

FULL_COLOUR = 0.995  # quantile of |h| from which a colour of state_slice is full
DIGITS = 3  # of the numbers of large pictures: the legend writes as many
ROOM = 11  # characters of the first two numbers under a scale that stand apart
FILM_SCOPES = (  # words of the two scales of state_slice, and of the buttons that lead to them
    "viz.scope.frames_sqrt",
    "viz.scope.frame_sqrt",
    "viz.scope.to_film",
    "viz.scope.to_frame",
)


@figure("state_film", needs=("state", "half_life", "dt"), also=("decay_rates",))
def state_film(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    channels: int = 32,
    selected: int | None = None,
) -> Figure:
    """Draw what the state holds after each token: per channel the sum of h over its d_state components, signed.

    Rows are channels, longest memory first: from each of as many equal runs of half-lives the most varied one. Bars:
    the step size dt, averaged over all channels. Every row has its own colour range.
    """
    shown = layer_with(trace, "state", layer)
    summed = floats(shown, "state").sum(-1)  # (token, channel)
    chosen = most_varied(floats(shown, "half_life"), summed, count=channels)
    dt = floats(shown, "dt").mean(1)
    bars = Bars(dt, t("viz.dt.mean"), theme.mixer_color(shown.mixer), template(t, "viz.dt.mean_is", "value"))
    film = summed[:, chosen].T  # (channel, token)
    alt = t("viz.state_film.alt", layer=shown.index, channels=len(chosen))
    spec = film_picture(
        "state_film", film, chosen, shown, trace, theme=theme, t=t, alt=alt, selected=selected, bars=(bars,)
    )
    data = {
        "state_sum": NamedArray(film, ("channel", "token")),
        "channel": NamedArray(chosen, ("channel",)),
        "dt_mean": NamedArray(dt, ("token",)),
    }
    return Figure("state_film", spec, data, alt, finding=film_finding(film, trace.tokens, t))


def film_picture(
    figure: str,
    film: Floats,
    chosen: Indices,
    shown: LayerTrace,
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    alt: str,
    selected: int | None = None,
    bars: tuple[Bars, ...] = (),
) -> CanvasSpec:
    """Build a signed film of single channels over tokens (channel, token), each row with its own colour range."""
    pooled = fit_columns(film.astype(np.float32))
    grid = Matrix(
        values=pooled.values,
        scale=Scale(0.0, 0.0, signed=True, by="row", highs=np.abs(film).max(1)),
        ramps=(diverging(theme),),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=t(f"viz.{figure}.quantity"))),
        pool=(1, pooled.columns),
        rows=Axis(names=tuple(channel_name(shown, c, t=t) for c in chosen)),
        row_height=9,
        max_height=420,
    )
    legend = Legend(t(f"viz.{figure}.quantity"), ((0.0, "−"), (0.5, "0"), (1.0, "+")), t("viz.scope.row"))
    return picture(
        figure,
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected),
        bars=bars,
        grid=grid,
        legends=(legend,),
        note=rows_note(shown, len(chosen), t=t),
    )


@figure("dt_map", needs=("dt", "half_life", "write_proj", "scan_input"), also=("decay_rates",))
def dt_map(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    order: str = ORDERS[0],
    marked: tuple[int, ...] = (),
    selected: int | None = None,
) -> Figure:
    """Draw the step size dt of every channel at every token on a logarithmic colour scale.

    order: of the rows, the longest memory first or the largest variation along the text. With more than 128 channels a
    row is the mean of neighbours in that order. Bars: mean and largest dt of all channels, and |dt B u|, the length of
    all that is written. marked: tokens that the text labels; the finding then says how well dt tells them apart.
    """
    shown = layer_with(trace, "dt", layer)
    dt = floats(shown, "dt")
    ranked = longest_first(floats(shown, "half_life")) if order == ORDERS[0] else most_varying(dt)
    rows, runs = binned(dt, ranked)
    mean, largest = dt.mean(1), dt.max(1)
    written = write_strength(dt, floats(shown, "scan_input"), floats(shown, "write_proj"))
    color = theme.mixer_color(shown.mixer)
    bars = tuple(
        Bars(values, t(f"viz.dt.{name}"), color, template(t, f"viz.dt.{name}_is", "value"))
        for name, values in (("mean", mean), ("largest", largest), ("written", written))
    )
    said = "viz.dt_map.alt" if order == ORDERS[0] else "viz.dt_map.alt_varied"
    alt = t(said, layer=shown.index, channels=dt.shape[1])
    low = max(float(np.quantile(rows, 0.01)), 1e-12)
    spec = map_picture(
        "dt_map",
        rows,
        runs,
        shown,
        trace,
        theme=theme,
        t=t,
        alt=alt,
        selected=selected,
        bars=bars,
        low=low,
        log=True,
        note="" if order == ORDERS[0] else t("viz.rows.most_varied_first"),
    )
    data = {
        "dt": NamedArray(rows, ("row", "token")),
        "dt_mean": NamedArray(mean, ("token",)),
        "dt_largest": NamedArray(largest, ("token",)),
        "written": NamedArray(written, ("token",)),
    }
    finding = step_finding(mean, trace.tokens, t)
    if told := separation(dt, marked):
        data["auc"] = NamedArray(told.channels, ("channel",))
        finding = " ".join([finding, told.said(t)]).strip()
    return Figure("dt_map", spec, data, alt, finding=finding)


def map_picture(
    figure: str,
    rows: Floats,
    runs: list[Indices],
    shown: LayerTrace,
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    alt: str,
    selected: int | None,
    bars: tuple[Bars, ...],
    low: float,
    log: bool = False,
    note: str = "",
) -> CanvasSpec:
    """Build a map of all channels over tokens (row, token) for values >= 0, longest memory first.

    note: on the order of the rows, where it is another.
    """
    pooled = fit_columns(rows.astype(np.float32))
    high = float(rows.max())
    low = min(low, high / 2) if log else low
    middle = (low * high) ** 0.5 if log else (low + high) / 2
    grid = Matrix(
        values=pooled.values,
        scale=Scale(low, high, kind="log" if log else "linear"),
        ramps=(mixer_ramp(shown.mixer, theme),),
        readout=("{column}", "{row}", template(t, "viz.value", "value", name=t(f"viz.{figure}.quantity"))),
        pool=(1, pooled.columns),
        rows=Axis(names=tuple(_run_name(shown, run, t=t) for run in runs)),
        row_height=3,
        max_height=400,
        digits=DIGITS,
    )
    lowest = f"≤ {short(low)}" if float(rows.min()) < low else short(low)
    between = ((0.5, short(middle)),) if len(lowest) + len(short(middle)) <= ROOM else ()
    ticks = ((0.0, lowest), *between, (1.0, short(high)))
    legend = Legend(t(f"viz.{figure}.quantity"), ticks, t("viz.scope.picture_log" if log else "viz.scope.picture"))
    return picture(
        figure,
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected),
        bars=bars,
        grid=grid,
        legends=(legend,),
        note=note or _order_note(shown, t=t),
    )


@figure("state_slice", needs=("state", "half_life"), also=("decay_rates",))
def state_slice(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    channels: int = 48,
    selected: int | None = None,
) -> Figure:
    """Draw the state h itself, one frame per token: rows are channels (longest memory first), columns its components.

    A prompt too long for the payload shows every n-th token. The signed colour range ends at a quantile of all |h|, or,
    as the reader switches, of those of the frame: a few strong cells, which get a dot, must not pale all others.
    """
    shown = layer_with(trace, "state", layer)
    state = floats(shown, "state")  # (token, channel, d_state)
    chosen = most_varied(floats(shown, "half_life"), state.sum(-1), count=channels)
    every = -(-len(state) * len(chosen) * state.shape[2] // BUDGET_VALUES)
    frames = state[::every][:, chosen]  # (frame, channel, d_state)
    high = robust_end(frames)
    grid = Frames(
        values=frames.astype(np.float32),
        scale=Scale(0.0, high, kind="sqrt", signed=True),
        ramps=(diverging(theme),),
        readout=(
            "{row}",
            template(t, "viz.state_slice.cell", "column", "frame"),
            template(t, "viz.value", "value", name=t("viz.state_slice.quantity")),
        ),
        frame_pool=every,
        frame_highs=np.array([robust_end(frame) for frame in frames], np.float32),
        scopes=tuple(t(key) for key in FILM_SCOPES),
        digits=DIGITS,
        rows=Axis(names=tuple(channel_name(shown, c, t=t) for c in chosen)),
        columns=Axis(labels=tuple(str(n) for n in range(state.shape[2])), title=t("viz.state_slice.columns")),
        row_height=8,
        max_height=400,
        picks="none",
    )
    alt = t("viz.state_slice.alt", layer=shown.index, channels=len(chosen), components=state.shape[2])
    legend = Legend(
        t("viz.state_slice.quantity"),
        ((0.0, f"≤ −{short(high)}"), (0.5, "0"), (1.0, f"≥ +{short(high)}")),
        t(FILM_SCOPES[0]),
    )
    spec = picture(
        "state_slice",
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected, role="frames"),
        grid=grid,
        legends=(legend,),
        note=" ".join([rows_note(shown, len(chosen), t=t), *([t("viz.every_nth", every=every)] if every > 1 else [])]),
    )
    data = {"state": NamedArray(frames, ("token", "channel", "d_state")), "channel": NamedArray(chosen, ("channel",))}
    return Figure("state_slice", spec, data, alt, finding=frames_finding(frames, trace.tokens, every, t))


@figure("hidden_attention", needs=("hidden_attention",))
def hidden_attention(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw the attention hidden in a selective scan: mean over channels of |alpha| (query, key), Ali et al. 2024."""
    shown = layer_with(trace, "hidden_attention", layer)
    alt = t("viz.hidden_attention.alt", layer=shown.index)
    values, color = floats(shown, "hidden_attention"), theme.mixer_color(shown.mixer)
    spec = matrix_picture("hidden_attention", values, trace, theme=theme, t=t, color=color, alt=alt, selected=selected)
    data = {"hidden_attention": shown.parts["hidden_attention"]}
    return Figure("hidden_attention", spec, data, alt, finding=row_finding(values, TAKES, t))


def robust_end(values: Floats) -> float:
    """Return the quantile FULL_COLOUR of the magnitudes, from which a colour is full; of mostly zeros the largest."""
    size = np.abs(values)
    return float(np.quantile(size, FULL_COLOUR)) or float(size.max())


def channel_name(shown: LayerTrace, channel: int, *, t: Translate) -> str:
    """Name a channel with its half-life in tokens; of several components, with that of the slowest, and say so."""
    half_life = short(float(floats(shown, "half_life")[channel]))
    key = "viz.channel_slowest" if _has_components(shown) else "viz.channel"
    return t(key, channel=int(channel), half_life=half_life)


def _has_components(shown: LayerTrace) -> bool:
    """Return whether the channels of a layer have components that decay at rates of their own (Mamba, not RWKV)."""
    return "decay_rates" in shown.parts


def _order_note(shown: LayerTrace, *, t: Translate) -> str:
    return t("viz.rows.slowest_first" if _has_components(shown) else "viz.rows.longest_first")


def rows_note(shown: LayerTrace, drawn: int, *, t: Translate) -> str:
    """State in which order the rows stand, and how many of all channels they are."""
    count = shown.parts["half_life"].sizes["channel"]
    return " ".join([_order_note(shown, t=t), *([t("viz.rows.some", shown=drawn, all=count)] if drawn < count else [])])


def _run_name(shown: LayerTrace, run: Indices, *, t: Translate) -> str:
    if len(run) == 1:
        return channel_name(shown, run[0], t=t)
    half_life = floats(shown, "half_life")[run]
    return t(
        "viz.channels_slowest" if _has_components(shown) else "viz.channels",
        count=len(run),
        channels=", ".join(map(str, run)),
        half_life=short(float(half_life.mean())),
    )
