"""The page of Mamba: the selective state space."""

from models.records.trace import ModelTrace
from pages.learn.mamba import opened
from pages.shared import controls, finders, hood, layout, next_word, parts, reading_bar, state_path, what_if
from pages.shared.panel import Draw, panel
from pages.shared.reading_bar import Layers
from pages.shared.words.i18n import t
from viz.trace.channels import widest_memory
from viz.trace.decay import half_life
from viz.trace.memory_rates import memory_rates
from viz.trace.state import state_film, state_slice
from viz.trace.state_times import state_norm
from viz.trace.survival import memory_histogram, survival

PAGE = "mamba"


def layers_of(trace: ModelTrace) -> Layers:
    """Name the layers of the page; by default the one whose channels' memories differ most."""
    layers = [shown.index for shown in trace.layers_with("state")]
    return Layers("layer", layers, widest_memory(trace))


def pickers(layers: Layers) -> None:
    """Offer the layer, for the whole page."""
    controls.layer_picker(PAGE, layers.options, default=layers.default)


def by_layer(draw: Draw, trace: ModelTrace, layers: Layers, at: str) -> None:
    """Draw one figure of the layer that the page shows."""
    parts.figure(f"{PAGE}.part.{at}", lambda: layer_panel(draw, trace, layers, at), on=("layer",))


def layer_panel(draw: Draw, trace: ModelTrace, layers: Layers, at: str) -> None:
    """Draw one figure, as it is now."""
    layer = layers.shown
    panel(
        draw,
        trace,
        key=f"{PAGE}.{at}",
        layer=layer,
        subtitle=t("viz.layer", layer=layer),
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
    layout.first_figure(PAGE, lambda: opened.hero(reading, layers), traces=[reading])
    next_word.section(PAGE, [reading])
    what_if.section(PAGE, reading)
    layout.chapter(PAGE, 1, lambda: opened.steps(reading, layers))
    layout.chapter(PAGE, 2, lambda: by_layer(state_slice, reading, layers, "slice"))
    layout.chapter(PAGE, 3, lambda: opened.maps(reading, layers))
    layout.under_the_hood(
        PAGE,
        [
            ("state_film", lambda: by_layer(state_film, reading, layers, "film")),
            ("state_path", lambda: path(reading, layers)),
            ("state_norm", lambda: by_layer(state_norm, reading, layers, "state_norm")),
            ("state_difference", lambda: opened.difference(reading, layers)),
            ("channel_matrix", lambda: opened.channel(reading, layers)),
            ("content_decay", lambda: opened.factors(reading, layers)),
            ("survival", lambda: by_layer(survival, reading, layers, "survival")),
            ("half_life", lambda: panel(half_life, reading, key=f"{PAGE}.half_life")),
            ("memory_rates", lambda: by_layer(memory_rates, reading, layers, "memory_rates")),
            ("memory_histogram", lambda: panel(memory_histogram, reading, key=f"{PAGE}.memory_histogram")),
            ("channel_finder", lambda: finders.channels(PAGE, reading)),
            *hood.shared(PAGE, reading),
        ],
    )
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE)
