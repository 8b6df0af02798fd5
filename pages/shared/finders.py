"""The finders of the pages: which figure opens, and by which choices of the page, when a row is pressed."""

from models.records.trace import ModelTrace
from pages.shared import parts, sample
from pages.shared.finder import opens, shown
from pages.shared.panel import panel
from viz.trace.decay_finder import decay_finder
from viz.trace.heads import head_finder

HEADS_AT = {"jamba": "attention_layer"}  # page -> the choice of a layer with heads, where it is not "layer"


def heads(page: str, trace: ModelTrace) -> None:
    """Draw the finder of heads; opening a row chooses its head for the page."""
    layer = HEADS_AT.get(page, "layer")
    traces = [trace, sample.trace(trace), sample.repeated(trace)]
    parts.figure(f"{page}.part.head_finder", lambda: _heads(page, traces, layer), on=(layer, "head"))


def _heads(page: str, traces: list[ModelTrace], layer: str) -> None:
    panel(
        head_finder,
        traces,
        key=f"{page}.head_finder",
        picked=opens(page, "head_matrix", item="head", layer=layer),
        marked=shown(layer, "head"),
    )


def decays(page: str, trace: ModelTrace) -> None:
    """Draw the finder of RWKV's channels; opening a row leads to the picture of its channel."""
    traces = [trace, sample.trace(trace)]
    parts.figure(f"{page}.part.decay_finder", lambda: _decays(page, traces), on=("layer", "channel"))


def _decays(page: str, traces: list[ModelTrace]) -> None:
    panel(
        decay_finder,
        traces,
        key=f"{page}.decay_finder",
        picked=opens(page, "channel_matrix", item="channel"),
        marked=shown("layer", "channel"),
    )
