"""The figures of the Mamba page that follow a channel, a component or two tokens, most of them under the hood."""

from typing import NamedTuple

import streamlit as st

from models.records.trace import ModelTrace
from models.tracing import mixing
from pages.shared import controls, parts, presets
from pages.shared.panel import Draw, panel
from pages.shared.reading_bar import Layers
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.channels import farthest_reaching, floats, longest_first, quantile_channels
from viz.trace.content_decay import content_decay, factors_of
from viz.trace.full_layer import full_channel, full_layer
from viz.trace.matrix import channel_matrix
from viz.trace.state import dt_map, hidden_attention
from viz.trace.state_times import state_difference
from viz.trace.state_update import state_update
from viz.trace.step_sizes import ORDERS

PAGE = "mamba"
OFFERED = 8  # channels, evenly through the order of memories
SCOPES = ("scan", "mixer")  # what a map covers


class Channels(NamedTuple):
    """The channels that a picker offers, and the one that is shown."""

    offered: list[int]
    shown: int

    @property
    def place(self) -> int:
        """Where the shown one stands among them."""
        return self.offered.index(self.shown)


def channels_of(trace: ModelTrace, layer: int) -> Channels:
    """Offer channels of a layer, and the chosen one where it is another; first the one that reaches farthest."""
    half_life = floats(trace.layer(layer), "half_life")
    offered = [int(channel) for channel in quantile_channels(half_life, count=OFFERED)]
    chosen = chosen_channel(trace, layer)
    if chosen is None:
        return Channels(offered, offered[farthest_reaching(mixing.channel_mixing(trace.layer(layer), offered))])
    if chosen not in offered:
        order = [int(channel) for channel in longest_first(half_life)]
        offered = sorted([*offered, chosen], key=order.index)
    return Channels(offered, chosen)


def chosen_channel(trace: ModelTrace, layer: int) -> int | None:
    """Return the channel that the visitor chose; None where none is chosen, or the layer does not have it."""
    count = len(floats(trace.layer(layer), "half_life"))
    chosen = session.current().selection("channel", default=-1, allowed=range(count))
    return None if chosen < 0 else chosen


def pick(trace: ModelTrace, layer: int, at: str) -> Channels:
    """Offer the channels above a figure."""
    found = channels_of(trace, layer)
    controls.channel_picker(PAGE, found.offered, default=found.shown, at=at)
    return found


def choice(name: str, options: tuple[str, ...], at: str) -> str:
    """Offer one of a few ways to draw a figure; words controls.<name> and controls.<name>s.<option>."""
    picked = st.segmented_control(
        t(f"controls.{name}"),
        options,
        default=options[0],
        required=True,
        key=f"{PAGE}.{name}.{at}.{session.language()}",
        format_func=lambda one: t(f"controls.{name}s.{one}"),
    )
    return picked or options[0]


def hero(trace: ModelTrace, layers: Layers) -> None:
    """Draw one step of the state at the chosen word: keep, write, read."""
    parts.figure(f"{PAGE}.part.hero", lambda: _hero(trace, layers.shown), on=("layer", "channel"))


def _hero(trace: ModelTrace, layer: int) -> None:
    panel(
        state_update,
        trace,
        key=f"{PAGE}.hero",
        layer=layer,
        channel=chosen_channel(trace, layer),
        subtitle=t("viz.layer", layer=layer),
    )


def steps(trace: ModelTrace, layers: Layers) -> None:
    """Draw the step sizes of a layer, in the order that is chosen above them."""
    parts.figure(f"{PAGE}.part.dt", lambda: _steps(trace, layers.shown), on=("layer",))


def _steps(trace: ModelTrace, layer: int) -> None:
    order = choice("order", ORDERS, "dt")
    marked = presets.marked(PAGE, trace)
    panel(dt_map, trace, key=f"{PAGE}.dt", layer=layer, subtitle=t("viz.layer", layer=layer), order=order,
          marked=marked)  # fmt: skip


def maps(trace: ModelTrace, layers: Layers) -> None:
    """Draw the map of a layer, of its scan or of the whole mixer."""
    parts.figure(f"{PAGE}.part.hidden", lambda: _map(trace, layers.shown), on=("layer",))


def _map(trace: ModelTrace, layer: int) -> None:
    draw: Draw = hidden_attention if choice("scope", SCOPES, "hidden") == SCOPES[0] else full_layer
    panel(draw, trace, key=f"{PAGE}.hidden", layer=layer, subtitle=t("viz.layer", layer=layer))


def channel(trace: ModelTrace, layers: Layers) -> None:
    """Draw the signed weights of one channel, of its scan or of the whole mixer."""
    parts.figure(f"{PAGE}.part.channel", lambda: _channel(trace, layers.shown), on=("layer", "channel"))


def _channel(trace: ModelTrace, layer: int) -> None:
    whole = choice("scope", SCOPES, "channel") == SCOPES[1]
    found = pick(trace, layer, "channel")
    weights = (mixing.mixer_mixing if whole else mixing.channel_mixing)(trace.layer(layer), found.offered)
    draw = full_channel if whole else channel_matrix
    panel(
        lambda shown, **options: draw(weights, shown, **options),
        trace,
        key=f"{PAGE}.channel",
        layer=layer,
        channel=found.shown,
        index=found.place,
        subtitle=t("viz.layer_channel", layer=layer, channel=found.shown),
    )


def factors(trace: ModelTrace, layers: Layers) -> None:
    """Draw content and decay of one component of a channel, both chosen above."""
    parts.figure(f"{PAGE}.part.content_decay", lambda: _factors(trace, layers.shown), on=("layer", "channel"))


def _factors(trace: ModelTrace, layer: int) -> None:
    shown = pick(trace, layer, "content_decay").shown
    found = factors_of(trace.layer(layer), shown)
    component = st.segmented_control(
        t("controls.component"),
        range(len(found.content)),
        default=found.strongest(),
        required=True,
        key=f"{PAGE}.component.{layer}.{shown}",
    )
    panel(
        content_decay,
        trace,
        key=f"{PAGE}.content_decay",
        layer=layer,
        channel=shown,
        component=component,
        subtitle=t("viz.layer_channel", layer=layer, channel=shown),
    )


def difference(trace: ModelTrace, layers: Layers) -> None:
    """Draw the state after two tokens, which are the ends of a slider, and what changed between."""
    parts.figure(f"{PAGE}.part.state_difference", lambda: _difference(trace, layers.shown), on=("layer",))


def _difference(trace: ModelTrace, layer: int) -> None:
    last = len(trace.tokens) - 1
    first, second = (last // 2, last)
    if last:
        first, second = st.select_slider(
            t("controls.times"),
            range(last + 1),
            value=(first, second),
            key=f"{PAGE}.times.{trace.prompt}",
            format_func=lambda n: f"{n} · {trace.tokens[n].label}",
        )
    panel(state_difference, trace, key=f"{PAGE}.state_difference", layer=layer, first=first, second=second,
          subtitle=t("viz.layer", layer=layer))  # fmt: skip
