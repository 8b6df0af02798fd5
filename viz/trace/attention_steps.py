"""One attention head step by step: q.k, scale, mask, softmax, times V, and the output of the head."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import percent, single_most
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging, ramp_between
from viz.mechanism import Plane, Size, WalkStep
from viz.trace.attention import chosen_head
from viz.trace.channels import Floats, floats
from viz.trace.mechanisms import mechanism_of

NEEDS = (
    "attention",
    "attention_logits",
    "visible",
    "head_query",
    "query_scale",
    "head_key",
    "head_value",
    "head_output",
)
STEPS = ("dot", "scale", "mask", "softmax", "values", "output")
TITLE, SAYS = "title_", "says_"  # how the names of the words of a step begin
WINDOW = 48  # tokens that are drawn at once at most
SIZES = (Size(0, 870, 230), Size(560, 576, 152), Size(960, 416, 132), Size(1300, 484, 132))
MOST = 1e-6  # by which a scale may differ from 1 / sqrt(d_head), as a share
# The words that the painter writes, and those in which it fills in numbers.
PLAIN = ("scores_title", "weights_title", "value_title", "moved_title", "output_title", "largest", "sum", "captured",
         "masked", "readable")  # fmt: skip
FILLED = {
    "pair": ("reader", "read"),
    "tip_dot": ("value",),
    "tip_scale": ("value",),
    "tip_mask": ("value",),
    "tip_softmax": ("value",),
    "tip_value": ("dim", "value"),
    "tip_output": ("dim", "value"),
    "terms": ("count",),
}


@figure("attention_steps", needs=NEEDS)
def attention_steps(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    head: int | None = None,
    selected: int | None = None,
) -> Figure:
    """Draw one head as it is computed, and one row of it in numbers; without layer and head, the most structured one.

    Planes: query, before the scale, and key (token, d_head); scores, scaled and before the mask, visible and weights
    (query, key); value and output (token, d_head), output as the model computed it.
    """
    layer, head = chosen_head(trace, layer, head)
    arrays = _arrays(trace, layer, head)
    scale = float(trace.layer(layer).part("query_scale")[head])
    weights = np.asarray(arrays["weights"].values, np.float64)
    each = tuple(_said(trace, weights, layer, head, t))
    alt = each[-1][0]
    count = len(trace.tokens)
    spec = mechanism_of(
        "attention_steps",
        alt,
        trace,
        theme=theme,
        t=t,
        painter="attention",
        planes={name: Plane(array.values, array.dims) for name, array in arrays.items()},
        steps=tuple(_steps(arrays, scale, t)),
        sizes=SIZES,
        ramps={"signed": diverging(theme), "weight": ramp_between(theme.card, theme.mixer_color("attention"))},
        settings={"scale": scale, "window": WINDOW, "root": _is_root(scale, arrays["key"].values.shape[1])},
        own=_words(t, count=count),
        selected=selected,
    )
    return Figure("attention_steps", spec, arrays, alt, finding=each[-1][1], each=each)


def _arrays(trace: ModelTrace, layer: int, head: int) -> dict[str, NamedArray]:
    """Return what is drawn of a head, by the names of its planes; a head reads the keys and values of its group."""
    shown = trace.layer(layer)
    group = shown.parts["head_query"].sizes["head"] // shown.parts["head_key"].sizes["kv_head"]
    scale = float(shown.part("query_scale")[head])
    token, pair = ("token", "d_head"), ("query", "key")
    return {
        "query": NamedArray(floats(shown, "head_query")[head] / np.float32(scale), token),
        "key": NamedArray(floats(shown, "head_key")[head // group], token),
        "scores": NamedArray(floats(shown, "attention_logits")[head], pair),
        "visible": NamedArray(np.asarray(shown.part("visible"), np.float32), pair),
        "weights": NamedArray(floats(shown, "attention")[head], pair),
        "value": NamedArray(floats(shown, "head_value")[head // group], token),
        "output": NamedArray(floats(shown, "head_output")[head], token),
    }


def _steps(arrays: Mapping[str, NamedArray], scale: float, t: Translate) -> Iterator[WalkStep]:
    """Say each step; {reader}, {read}, {count}, {hidden} and {dim} are filled in the browser."""
    d_head = arrays["key"].sizes["d_head"]
    visible = arrays["visible"].values
    windowed = bool((visible.sum(1) < np.arange(1, len(visible) + 1)).any())
    left = {"dot": ("reader", "read"), "mask": ("reader", "count", "hidden"), "softmax": ("reader",),
            "values": ("read",), "output": ("count", "dim")}  # fmt: skip
    titles = {"scale": "root" if _is_root(scale, d_head) else "factor"}
    sentences = titles | {"mask": "mask_window" if windowed else "mask"}
    for key in STEPS:
        title = t(f"viz.attention_steps.{TITLE}{titles.get(key, key)}", scale=short(scale))
        says = f"viz.attention_steps.{SAYS}{sentences.get(key, key)}"
        yield WalkStep(key, title, template(t, says, *left.get(key, ()), d=d_head, scale=short(scale)))


def _is_root(scale: float, d_head: int) -> bool:
    return math.isclose(scale * d_head**0.5, 1, rel_tol=MOST)


def _said(trace: ModelTrace, weights: Floats, layer: int, head: int, t: Translate) -> Iterator[tuple[str, str]]:
    """Give alternative text and finding for every token: what it reads most in the drawn row, and how much.

    "" where two weights that are written alike are the largest.
    """
    alt = t("viz.attention_steps.alt", layer=layer, head=head)
    labels = [token.label.removeprefix("\u2423") or token.label for token in trace.tokens]
    for query, row in enumerate(weights):
        best = single_most([float(weight) for weight in row[: query + 1]], percent)
        if best is None:
            yield alt, ""
            continue
        key = "viz.attention_steps.reads_itself" if best == query else "viz.attention_steps.reads"
        yield alt, t(key, reader=labels[query], read=labels[best], share=percent(float(row[best])))


def _words(t: Translate, *, count: int) -> dict[str, str]:
    """Collect what the painter writes."""
    words = {name: t(f"viz.attention_steps.{name}") for name in PLAIN}
    words |= {name: template(t, f"viz.attention_steps.{name}", *values) for name, values in FILLED.items()}
    return words | {"window": template(t, "viz.attention_steps.window", "first", "last", "share", count=count)}
