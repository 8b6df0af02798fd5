"""Every registered figure, and those of them that one trace allows."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import viz
from models.records.trace import ModelTrace, NamedArray
from viz.figure import Figure, Registered, registered
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.trace.matrix import channel_matrix


def every() -> Mapping[str, Registered]:
    """Import every module of viz, so that all figures register themselves, and return them by id."""
    for module in pkgutil.walk_packages(viz.__path__, "viz."):
        if "gallery" not in module.name.split("."):
            importlib.import_module(module.name)
    return registered()


def gallery(trace: ModelTrace, *, theme: Theme, t: Translate, mixing: NamedArray | None = None) -> Iterator[Figure]:
    """Draw every figure that the parts of a trace allow, with default options.

    mixing: (channel, query, key) of one channel of the first recurrent layer, for channel_matrix.
    """
    for draw in figures_of(trace):
        made = draw(theme=theme, t=t)
        if made is not None:
            yield made
    recurrent = trace.layers_with("half_life")
    if mixing is not None and recurrent:
        yield channel_matrix(mixing, trace, theme=theme, t=t, layer=recurrent[0].index, channel=0)


def figures_of(trace: ModelTrace) -> Sequence[Callable[..., Figure | None]]:
    """List the figures of one trace that this trace allows, with the trace filled in."""
    return [partial(entry.draw, trace) for entry in every().values() if entry.of == "trace" and entry.allowed(trace)]
