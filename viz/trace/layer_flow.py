"""The way of a text through all layers, as stations that the browser walks: arcs, tiles of state, and doors."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import extremes, percent
from viz.look.labels import Translate, size, template
from viz.look.theme import Theme, mixer_ramp
from viz.mechanism import MechanismSpec, Plane, Size, WalkStep
from viz.trace.carried import state_size, written_share
from viz.trace.channels import Floats, floats
from viz.trace.experts import expert_color
from viz.trace.mechanisms import mechanism_of

READ = 6  # words of a row of attention that arcs are drawn to
TILE = (6, 4)  # rows and columns of a state
BYTES = 4  # of a number of the state, which is kept in 32 bit
CACHE_BYTES = 2  # of a number of keys and values, which are stated in 16 bit
DRAWN = ("chosen_experts", "chosen_weights", "router_probs", "attention", "head_key", "state", "half_life", "dt",
         "scan_input", "write_proj")  # fmt: skip
SIZES = (Size(0, 540, 260), Size(560, 550, 190), Size(900, 570, 130), Size(1300, 660, 120))

Arrays = dict[str, NamedArray]


@figure("layer_flow", needs=("chosen_experts", "chosen_weights", "router_probs"), also=DRAWN[3:])
def layer_flow(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw a station per layer and a thread per token, which goes through the doors of the experts it is sent to.

    A layer with attention draws arcs to the READ words that the shown one reads most, on the mean over its heads; a
    layer with a state the mean of |h| over neighbours in a tile. Steps are layers.
    """
    arrays = arrays_of(trace)
    alt = t("viz.layer_flow.alt", layers=len(trace.layers), tokens=len(trace.tokens))
    each = tuple((alt, finding) for finding in _findings(trace, t))
    at = selected if selected is not None and 0 <= selected < len(trace.tokens) else len(trace.tokens) - 1
    spec = _spec(trace, arrays, alt, selected, theme=theme, t=t)
    return Figure("layer_flow", spec, arrays, alt, t("viz.layer_flow.note"), each[at][1], each)


def arrays_of(trace: ModelTrace) -> Arrays:
    """Return what is drawn, by the names of the planes; those of layers that a model lacks are left out.

    chosen_experts, chosen_weights, kept: of the layers with experts; read_key, read_weight: of those with attention,
    the strongest first, nan where there are fewer words; tile, written: of those with a state.
    """
    routed, reading, holding = (trace.layers_with(part) for part in ("chosen_experts", "attention", "state"))
    arrays: Arrays = {}
    if routed:
        chosen = np.stack([np.asarray(layer.part("chosen_experts")).astype(np.intp) for layer in routed])
        kept = np.stack([np.take_along_axis(floats(one, "router_probs"), own, 1).sum(1) for one, own in zip(
            routed, chosen, strict=True)])  # fmt: skip
        arrays["chosen_experts"] = NamedArray(chosen, ("layer", "token", "choice"))
        arrays["chosen_weights"] = NamedArray(
            np.stack([floats(layer, "chosen_weights") for layer in routed]), ("layer", "token", "choice")
        )
        arrays["kept"] = NamedArray(kept, ("layer", "token"))
    if reading:
        most = [most_read(floats(layer, "attention").mean(0)) for layer in reading]
        arrays["read_key"] = NamedArray(np.stack([key for key, _ in most]), ("layer", "token", "rank"))
        arrays["read_weight"] = NamedArray(np.stack([weight for _, weight in most]), ("layer", "token", "rank"))
    if holding:
        tiles = np.stack([state_size(layer, rows=TILE[0], columns=TILE[1])[0] for layer in holding])
        arrays["tile"] = NamedArray(tiles, ("layer", "token", "row", "column"))
        arrays["written"] = NamedArray(np.stack([written_share(one) for one in holding]), ("layer", "token"))
    return arrays


def most_read(weights: Floats) -> tuple[Floats, Floats]:
    """Return the READ keys with the largest weights of every query (query, key), and these weights, largest first.

    nan where a query has fewer keys with a weight.
    """
    count = min(READ, len(weights))
    order = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    most = np.take_along_axis(weights, order, 1)
    return np.where(most > 0, order, np.nan).astype(np.float32), np.where(most > 0, most, np.nan).astype(np.float32)


def _spec(
    trace: ModelTrace, arrays: Arrays, alt: str, selected: int | None, *, theme: Theme, t: Translate
) -> MechanismSpec:
    experts = trace.layers_with("router_probs")[0].parts["router_probs"].sizes["expert"]
    mixers = sorted({layer.mixer for layer in trace})
    stations = list(_stations(trace, theme, t))
    settings: dict[str, Any] = {
        "stations": stations, "experts": experts, "doors": [expert_color(e, theme) for e in range(experts)],
        "tile": TILE, "read": READ,
    }  # fmt: skip
    return mechanism_of(
        "layer_flow",
        alt,
        trace,
        theme=theme,
        t=t,
        painter="stations",
        planes={name: Plane(array.values, array.dims) for name, array in arrays.items()},
        steps=tuple(_steps(trace, t)),
        sizes=SIZES,
        ramps={mixer: mixer_ramp(mixer, theme) for mixer in mixers},
        settings=settings,
        own=_words(t),
        selected=selected,
    )


def _stations(trace: ModelTrace, theme: Theme, t: Translate) -> Iterator[dict[str, Any]]:
    """Describe every layer: what it is, and its row in the planes of its kind, -1 for none."""
    rows = {part: [one.index for one in trace.layers_with(part)] for part in ("chosen_experts", "attention", "state")}
    for layer in trace:
        place = {name: known.index(layer.index) if layer.index in known else -1 for name, known in rows.items()}
        yield {
            "index": layer.index, "mixer": layer.mixer, "name": t(f"viz.mixer.{layer.mixer}"),
            "color": theme.mixer_color(layer.mixer), "routed": place["chosen_experts"], "reads": place["attention"],
            "holds": place["state"], "heads": _sizes(layer, "attention").get("head", 0), "carries": _carries(layer),
        }  # fmt: skip


def _carries(layer: LayerTrace) -> str:
    """Write the bytes that a layer carries on: of its state, or of the keys and values of each word; "" for neither."""
    if "state" in layer.parts:
        sizes = _sizes(layer, "state")
        return size(sizes["channel"] * sizes["d_state"] * BYTES)
    if "head_key" in layer.parts:
        sizes = _sizes(layer, "head_key")
        return size(2 * sizes["kv_head"] * sizes["d_head"] * CACHE_BYTES)
    return ""


def _sizes(layer: LayerTrace, part: str) -> dict[str, int]:
    return layer.parts[part].sizes if part in layer.parts else {}


def _steps(trace: ModelTrace, t: Translate) -> Iterator[WalkStep]:
    """Say each layer; {word}, {before}, {read} and so on are filled in the browser."""
    for layer in trace:
        mixer = t(f"viz.mixer.{layer.mixer}")
        known = layer.mixer if layer.mixer in ("attention", "mamba") and _carries(layer) else "other"
        values = {"layer": layer.index, "bytes": _carries(layer), "heads": _sizes(layer, "attention").get("head", 0)}
        left = {"attention": ("word", "read", "share", "count"), "mamba": ("word", "share"), "other": ("word",)}[known]
        said = template(t, f"viz.layer_flow.{known}_says", *left, **values, mixer=mixer)
        rest = "doors" if "router_probs" in layer.parts else "dense"
        then = template(t, f"viz.layer_flow.{rest}_then", "word", "doors")
        yield WalkStep(str(layer.index), f"{layer.index} {mixer}", f"{said} {then}")


def _findings(trace: ModelTrace, t: Translate) -> Iterator[str]:
    """Say for every token in which layers the router is surest and least sure, by what the chosen experts keep."""
    routed = trace.layers_with("router_probs")
    kept = [_kept(layer) for layer in routed]
    for at, token in enumerate(trace.tokens):
        named = [(t("viz.layer", layer=layer.index), float(own[at])) for layer, own in zip(routed, kept, strict=True)]
        found = extremes(named, percent)
        label = token.label.removeprefix("\u2423") or token.label
        yield t("viz.layer_flow.finding", token=label, **found._asdict()) if found else ""


def _kept(layer: LayerTrace) -> Floats:
    chosen = np.asarray(layer.part("chosen_experts")).astype(np.intp)
    return np.asarray(np.take_along_axis(floats(layer, "router_probs"), chosen, 1).sum(1))


def _words(t: Translate) -> dict[str, str]:
    """Collect what the painter writes."""
    plain: Sequence[str] = ("doors", "others", "nobody")
    filled = {
        "window": ("first", "last", "count"), "door": ("expert", "layer"), "took": ("count", "list"),
        "station": ("layer", "name"), "weight": ("value",), "to": ("expert",), "group": ("first", "last"),
        "more": ("count",), "per_word": ("bytes",),
    }  # fmt: skip
    words = {name: t(f"viz.layer_flow.{name}") for name in plain}
    return words | {name: template(t, f"viz.layer_flow.{name}", *values) for name, values in filled.items()}
