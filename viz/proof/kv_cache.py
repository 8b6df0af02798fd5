"""Check of the cache of keys and values: drawn bytes by plain counting, and beside the live tensors of the run."""

import numpy as np

from models.reconstruction.check import relative, wide, worst
from models.records.trace import Array, ModelTrace
from viz.figure import Figure
from viz.mechanism import MechanismSpec, read
from viz.proof.drawn import Choice, exported, same

ELEMENT = {"float32": 4, "float16": 2, "bfloat16": 2}


def kv_cache(figure: Figure, trace: ModelTrace, _: Choice) -> float:
    """Drawn bytes against the sizes of the captured keys and values, token by token, and against the live cache."""
    if not isinstance(figure.body, MechanismSpec):
        raise TypeError(f"{figure.id} is drawn by another component")
    drawn = read(figure.body.payload())
    layers = trace.layers_with("head_key")
    heads, (own, tokens, width) = layers[0].parts["head_query"].sizes["head"], layers[0].part("head_key").shape
    kept = np.array([[_kept(layer.part("visible"), token) for token in range(tokens)] for layer in layers])
    counts = [n for n in range(1, heads + 1) if not heads % n]
    known = [[sum(2 * n * width * ELEMENT[trace.dtype] * kept[:, token]) for token in range(tokens)] for n in counts]
    settings = drawn.header["settings"]
    told = (settings["layers"], settings["heads"], settings["own"], settings["width"], settings["element"])
    sizes = ([layer.index for layer in layers], heads, own, width, ELEMENT[trace.dtype])
    named = told != sizes or [int(step["key"]) for step in drawn.header["steps"]] != counts
    live = drawn.planes["bytes"][counts.index(own), -1]
    return worst(
        float(named),
        *(same(plane, exported(figure, name)) for name, plane in drawn.planes.items()),
        same(drawn.planes["kv_heads"], wide(np.array(counts))),
        same(drawn.planes["kept"], wide(kept)),
        relative(drawn.planes["bytes"], wide(np.array(known)), wide(np.array(known))),
        relative(live, wide(np.array(trace.cache_bytes)), wide(np.array(trace.cache_bytes))),
        float(settings["live"] != trace.cache_bytes or settings["formula"] != trace.cache_bytes_formula),
    )


def _kept(visible: Array, token: int) -> int:
    """Count the tokens whose keys stay after one: within a window of w the last w - 1, as the library's cache does."""
    reads = [int(row.sum()) for row in visible]
    window = max(reads)
    limited = any(count < place + 1 for place, count in enumerate(reads))
    return min(token + 1, window - 1) if limited and window > 1 else token + 1
