"""What the cache of keys and values holds after each token, layer by layer, for any number of key-value heads."""

from collections.abc import Iterator

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate, size, template
from viz.look.theme import Theme, ramp_between
from viz.mechanism import Plane, Size, WalkStep
from viz.trace.channels import Floats
from viz.trace.mechanisms import mechanism_of

SIZES = (Size(0, 300, 216), Size(560, 300, 142))
ELEMENT = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes of a number
SAYS = "says_"  # how the names of the sentences begin
PROMPT = 0.6  # of the text: where the prompt ends until the visitor chooses a token


@figure("kv_cache", needs=("head_query", "head_key", "visible"))
def kv_cache(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw the bytes of the cache, layer on layer, after each token, and those of other numbers of key-value heads.

    Planes: kept (layer, token), the tokens whose keys and values a layer holds after a token; bytes (heads, token), of
    all layers, for each number of key-value heads that divides the number of query heads. One step for each number.
    """
    layers = trace.layers_with("head_key")
    first = layers[0].parts
    heads, own = first["head_query"].sizes["head"], first["head_key"].sizes["kv_head"]
    width, element = first["head_key"].sizes["d_head"], ELEMENT[trace.dtype]
    kept = np.stack([kept_tokens(layer) for layer in layers])
    options = [n for n in range(1, heads + 1) if heads % n == 0]
    counted = np.array([[2 * n * width * element * int(count) for count in kept.sum(0)] for n in options], np.float64)
    arrays = {
        "kept": NamedArray(kept, ("layer", "token")),
        "bytes": NamedArray(counted, ("kv_heads", "token")),
        "kv_heads": NamedArray(np.array(options, np.int64), ("kv_heads",)),
    }
    last = len(trace.tokens) - 1
    alt = t("viz.kv_cache.alt", layers=len(layers), tokens=last + 1, heads=own, bytes=size(trace.cache_bytes))
    spec = mechanism_of(
        "kv_cache",
        alt,
        trace,
        theme=theme,
        t=t,
        painter="kv_cache",
        planes={name: Plane(array.values, array.dims) for name, array in arrays.items()},
        steps=tuple(_steps(options, heads, own, t)),
        sizes=SIZES,
        ramps={"layer": ramp_between(theme.card, theme.color(trace.architecture))},
        settings={
            "layers": [layer.index for layer in layers], "heads": heads, "own": own, "width": width, "element": element,
            "live": trace.cache_bytes, "formula": trace.cache_bytes_formula,
        },
        own=_words(t),
        selected=round(PROMPT * last) if selected is None else selected,
        first=options.index(own),
        wide=False,
    )  # fmt: skip
    finding = t("viz.kv_cache.finding", bytes=size(trace.cache_bytes), tokens=last + 1)
    note = t("viz.kv_cache.note", dtype=trace.dtype, element=element)
    return Figure("kv_cache", spec, arrays, alt, note, finding)


def kept_tokens(layer: LayerTrace) -> Floats:
    """Return how many tokens a layer's cache holds after each token: all, or the last w - 1 of a window of w.

    A window shows in the rows that may not read all of the past; w = 1 keeps the whole (models.counting.accounting).
    """
    seen = np.asarray(layer.part("visible"), np.float64).sum(1)
    all_of_them = np.arange(1, len(seen) + 1, dtype=np.float64)
    window = seen.max()
    limited = bool((seen < all_of_them).any()) and window > 1
    return np.minimum(all_of_them, window - 1) if limited else all_of_them


def _steps(options: list[int], heads: int, own: int, t: Translate) -> Iterator[WalkStep]:
    """Say what each number of key-value heads is called; {tokens}, {bytes}, {more} are filled in the browser."""
    for count in options:
        kind = "all" if count == heads else "one" if count == 1 else "some"
        title = t("viz.kv_cache.title_own" if count == own else "viz.kv_cache.title", count=count)
        says = template(t, f"viz.kv_cache.{SAYS}{kind}", "tokens", "bytes", "more", count=count, heads=heads)
        yield WalkStep(str(count), title, says)


def _words(t: Translate) -> dict[str, str]:
    plain = ("prefill", "decode", "live", "formula", "layer_sum")
    words = {name: t(f"viz.kv_cache.{name}") for name in plain}
    filled = {"tip": ("layer", "tokens", "bytes"), "line": ("count",)}
    return words | {name: template(t, f"viz.kv_cache.{name}", *values) for name, values in filled.items()}
