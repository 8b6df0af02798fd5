"""RWKV: a memory that fades at learned speeds."""

from typing import Any

from models.records.trace import ModelTrace
from models.tracing.mixing import channel_mixing
from pages.learn.rwkv import versions, ways
from pages.shared import controls, finders, hood, layout, next_word, parts, reading_bar, state_path, what_if
from pages.shared.panel import Draw, panel
from pages.shared.reading_bar import Layers
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.trace.channels import floats, quantile_channels, widest_memory
from viz.trace.decay import decay_curves, effective_attention, half_life_spectrum, receptance_map, wkv_film
from viz.trace.gates import channel_mix_zeros, token_shift
from viz.trace.ink import wkv_ink
from viz.trace.matrix import channel_matrix
from viz.trace.spectrum import half_life_histogram
from viz.trace.wkv_weights import channel_moved, gated_attention, key_curves

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


def layer_panel(draw: Draw, trace: ModelTrace, layers: Layers, at: str, **options: Any) -> None:
    """Draw one figure of the layer that the page shows."""
    layer = layers.shown
    panel(
        draw,
        trace,
        key=f"{PAGE}.{at}",
        layer=layer,
        subtitle=t("viz.layer", layer=layer),
        **options,
    )


def whole(draw: Draw, trace: ModelTrace, at: str) -> None:
    """Draw one figure of all layers."""
    panel(draw, trace, key=f"{PAGE}.{at}")


def fading(trace: ModelTrace, layers: Layers) -> None:
    """Draw how weights fade, with all keys equal or with those of the text, on either axis."""

    def drawn() -> None:
        ways.offer(PAGE, "keys", "axis")
        real = ways.chosen("keys") == "real"
        layer_panel(
            key_curves if real else decay_curves, trace, layers, "keys" if real else "decay",
            scaling=ways.chosen("axis"),
        )  # fmt: skip

    parts.figure(f"{PAGE}.part.decay", drawn, on=("layer", "keys", "axis"))


def attention(trace: ModelTrace, layers: Layers) -> None:
    """Draw the mean over channels of P, without the receptance or with it."""

    def drawn() -> None:
        ways.offer(PAGE, "gate")
        gated = ways.chosen("gate") == "with"
        draw, at = (gated_attention, "gated") if gated else (effective_attention, "effective")
        layer_panel(draw, trace, layers, at)

    parts.figure(f"{PAGE}.part.effective", drawn, on=("layer", "gate"))


def one_channel(trace: ModelTrace, layers: Layers) -> None:
    """Draw one channel, chosen beside it."""
    parts.figure(f"{PAGE}.part.channel", lambda: channel_panel(trace, layers), on=("layer", "channel", "moved"))


def channel_panel(trace: ModelTrace, layers: Layers) -> None:
    """Draw one channel, its weights or what it takes from each token; by default the slowest of the layer."""
    layer = layers.shown
    offered = [int(c) for c in quantile_channels(floats(trace.layer(layer), "half_life"), count=8)]
    everyone = range(len(floats(trace.layer(layer), "half_life")))
    asked = controls.chosen("channel", everyone, default=offered[0])
    channel = controls.channel_picker(
        PAGE, offered if asked in offered else [*offered, asked], default=offered[0], at="channel"
    )
    ways.offer(PAGE, "moved")
    taken = ways.chosen("moved") == "taken"
    draw = channel_moved if taken else channel_matrix
    mixing = channel_mixing(trace.layer(layer), [channel])
    panel(
        lambda shown, **options: draw(mixing, shown, **options),
        trace,
        key=f"{PAGE}.moved" if taken else f"{PAGE}.channel",
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
    layout.first_figure(PAGE, lambda: by_layer(wkv_ink, reading, layers, "ink"), traces=[reading], wide=True)
    next_word.section(PAGE, [reading])
    what_if.section(PAGE, reading)
    layout.section_of(PAGE, "fading", lambda: fading(reading, layers))
    layout.chapter(PAGE, 1, lambda: whole(half_life_spectrum, reading, "spectrum"))
    layout.chapter(PAGE, 2, lambda: attention(reading, layers))
    layout.chapter(PAGE, 3, lambda: by_layer(receptance_map, reading, layers, "receptance"))
    layout.under_the_hood(
        PAGE,
        [
            ("half_life_histogram", lambda: whole(half_life_histogram, reading, "histogram")),
            ("decay_finder", lambda: finders.decays(PAGE, reading)),
            ("channel_matrix", lambda: one_channel(reading, layers)),
            ("wkv_film", lambda: by_layer(wkv_film, reading, layers, "film")),
            ("state_path", lambda: path(reading, layers)),
            ("token_shift", lambda: by_layer(token_shift, reading, layers, "shift")),
            ("channel_mix_zeros", lambda: whole(channel_mix_zeros, reading, "zeros")),
            ("version_ladder", lambda: versions.draw(PAGE)),
            *hood.shared(PAGE, reading),
        ],
    )
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE, {"carried": units.size(layout.carried_by(PAGE, len(reading.tokens)))})
