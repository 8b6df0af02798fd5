"""The page of Mamba: the selective state space."""

from models.records.trace import ModelTrace
from models.tracing.mixing import channel_mixing
from pages.shared import controls, hood, layout
from pages.shared.panel import Draw, panel
from pages.shared.words.i18n import t
from viz.trace.channels import farthest_reaching, floats, quantile_channels, widest_memory
from viz.trace.decay import half_life
from viz.trace.matrix import channel_matrix
from viz.trace.state import dt_map, hidden_attention, state_film, state_slice

PAGE = "mamba"


def choose(trace: ModelTrace, at: str) -> int:
    """Offer the layer next to a figure; by default the one whose channels' memories differ most."""
    layers = [shown.index for shown in trace.layers_with("state")]
    return controls.layer_picker(PAGE, layers, default=widest_memory(trace), at=at)


def by_layer(draw: Draw, trace: ModelTrace, at: str) -> None:
    """Draw one figure of the chosen layer."""
    layer = choose(trace, at)
    panel(
        draw,
        trace,
        key=f"{PAGE}.{at}",
        layer=layer,
        subtitle=t("viz.layer", layer=layer),
    )


def one_channel(trace: ModelTrace) -> None:
    """Draw the signed weights of one channel."""
    layer = choose(trace, "channel")
    offered = [int(c) for c in quantile_channels(floats(trace.layer(layer), "half_life"), count=8)]
    mixing = channel_mixing(trace.layer(layer), offered)
    channel = controls.channel_picker(PAGE, offered, default=offered[farthest_reaching(mixing)], at="channel")
    index = offered.index(channel)
    panel(
        lambda shown, **options: channel_matrix(mixing, shown, **options),
        trace,
        key=f"{PAGE}.channel",
        layer=layer,
        channel=channel,
        index=index,
    )


layout.header(PAGE)
found = controls.traced_prompt(PAGE)
if found is not None:
    reading = found
    layout.first_figure(PAGE, lambda: by_layer(state_film, reading, "film"), traces=[reading])
    layout.chapter(PAGE, 1, lambda: by_layer(dt_map, reading, "dt"))
    layout.chapter(PAGE, 2, lambda: by_layer(state_slice, reading, "slice"))
    layout.chapter(PAGE, 3, lambda: by_layer(hidden_attention, reading, "hidden"))
    layout.under_the_hood(
        PAGE,
        [
            ("half_life", lambda: panel(half_life, reading, key=f"{PAGE}.half_life", follow=False)),
            ("channel_matrix", lambda: one_channel(reading)),
            *hood.shared(PAGE, reading),
        ],
    )
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE)
