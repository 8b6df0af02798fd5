"""RWKV: a memory that fades at learned speeds."""

from models.records.trace import ModelTrace
from models.tracing.mixing import channel_mixing
from pages.shared import controls, hood, layout, next_word, parts, reading_bar, state_path, what_if
from pages.shared.panel import Draw, panel
from pages.shared.reading_bar import Layers
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.trace.channels import floats, quantile_channels, widest_memory
from viz.trace.decay import decay_curves, effective_attention, half_life_spectrum, receptance_map, wkv_film
from viz.trace.matrix import channel_matrix

PAGE = "rwkv"


def layers_of(trace: ModelTrace) -> Layers:
    """Name the layers of the page; by default the one whose channels' memories differ most."""
    layers = [shown.index for shown in trace.layers_with("decay_rate")]
    return Layers("layer", layers, widest_memory(trace))


def pickers(layers: Layers) -> None:
    """Offer the layer, for the whole page."""
    controls.layer_picker(PAGE, layers.options, default=layers.default)


def by_layer(draw: Draw, trace: ModelTrace, layers: Layers, at: str) -> None:
    """Draw one figure of the chosen layer."""
    parts.figure(f"{PAGE}.part.{at}", lambda: layer_panel(draw, trace, layers, at), on=("layer",))


def layer_panel(draw: Draw, trace: ModelTrace, layers: Layers, at: str) -> None:
    """Draw one figure of the layer that the page shows."""
    layer = layers.shown
    panel(
        draw,
        trace,
        key=f"{PAGE}.{at}",
        layer=layer,
        subtitle=t("viz.layer", layer=layer),
    )


def spectrum(trace: ModelTrace) -> None:
    """Draw the half-lives of every layer."""
    panel(
        half_life_spectrum,
        trace,
        key=f"{PAGE}.spectrum",
    )


def one_channel(trace: ModelTrace, layers: Layers) -> None:
    """Draw one channel, chosen beside it."""
    parts.figure(f"{PAGE}.part.channel", lambda: channel_panel(trace, layers), on=("layer", "channel"))


def channel_panel(trace: ModelTrace, layers: Layers) -> None:
    """Draw the effective attention of one channel; by default the slowest of the layer."""
    layer = layers.shown
    offered = [int(c) for c in quantile_channels(floats(trace.layer(layer), "half_life"), count=8)]
    channel = controls.channel_picker(PAGE, offered, default=offered[0], at="channel")
    mixing = channel_mixing(trace.layer(layer), [channel])
    panel(
        lambda shown, **options: channel_matrix(mixing, shown, **options),
        trace,
        key=f"{PAGE}.channel",
        layer=layer,
        channel=channel,
    )


def path(trace: ModelTrace, layers: Layers) -> None:
    """Draw the path of the state in the layer that the page shows."""
    parts.figure(f"{PAGE}.part.state_path", lambda: state_path.draw(PAGE, trace, layers.shown), on=("layer",))


layout.header(PAGE)
found = controls.traced_prompt(PAGE)
if found is not None:
    reading = found
    layers = layers_of(reading)
    reading_bar.show(PAGE, reading, pickers=lambda: pickers(layers), layers=layers)
    layout.first_figure(PAGE, lambda: by_layer(decay_curves, reading, layers, "decay"), traces=[reading])
    next_word.section(PAGE, [reading])
    what_if.section(PAGE, reading)
    layout.chapter(PAGE, 1, lambda: spectrum(reading))
    layout.chapter(PAGE, 2, lambda: by_layer(effective_attention, reading, layers, "effective"))
    layout.chapter(PAGE, 3, lambda: by_layer(receptance_map, reading, layers, "receptance"))
    layout.under_the_hood(
        PAGE,
        [
            ("state_path", lambda: path(reading, layers)),
            ("wkv_film", lambda: by_layer(wkv_film, reading, layers, "film")),
            ("channel_matrix", lambda: one_channel(reading, layers)),
            *hood.shared(PAGE, reading),
        ],
    )
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE, {"carried": units.size(layout.carried_by(PAGE, len(reading.tokens)))})
