"""The block around a mixer: what a model is built of, with its shapes, its parameters and what this run measured."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from models.records.anatomy import Anatomy, BlockKind, Component
from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray
from models.units import count as written
from viz.diagram import BlockColumn, Box, Branch, Diagram
from viz.figure import Figure, figure
from viz.look.labels import Translate, short
from viz.look.theme import Theme
from viz.trace.channels import Floats

# The steps of a mixer and of a feed-forward; a name in parentheses is an operation without weights.
MIXERS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "attention": (("norm_mixer",), ("qkv", "q", "k", "v"), ("(attend)",), ("o",)),
        "mamba": (
            ("norm_mixer",), ("in_proj",), ("conv",), ("x_proj", "inner_norms", "dt_proj"), ("scan",), ("(gate)",),
            ("out_proj",),
        ),
        "rwkv": (("norm_mixer",), ("shift",), ("r", "rwkv_k", "rwkv_v"), ("wkv",), ("(receive)",), ("rwkv_o",)),
    }
)  # fmt: skip
FFNS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "dense": (("norm_ffn",), ("gate", "up"), ("(activation)",), ("down",)),
        "moe": (("norm_ffn",), ("router",), ("experts",)),
        "channel_mix": (("norm_ffn",), ("ffn_shift",), ("ffn_k", "ffn_r"), ("(square)",), ("ffn_v",)),
        "none": (),
    }
)
LIVE: Mapping[str, str] = MappingProxyType(  # box -> the recorded part whose length stands in it
    {
        "(attend)": "head_output", "conv": "scan_input", "dt_proj": "dt", "(gate)": "mixer_output", "r": "receptance",
        "rwkv_k": "key", "rwkv_v": "value", "(receive)": "mixer_output",
    }
)  # fmt: skip
ZEROS = {"(square)": "ffn_key"}  # box -> the part before a ReLU whose share of zeros stands in it, where it is recorded
BEFORE = ("embedding", "positions", "embedding_norm")  # what stands before the blocks
STREAM = ("resid_pre", "resid_post", "mixer_write", "ffn_write")
Worths = tuple[tuple[int, str, float], ...]  # layer, "mixer" or "ffn", bits a token


@figure("anatomy", of="asked", also=(*STREAM, *LIVE.values(), *(part for part in ZEROS.values() if part in PARTS)))
def anatomy(trace: ModelTrace, *, theme: Theme, t: Translate, plan: Anatomy, worth: Worths = ()) -> Figure:
    """Draw one diagram per kind of block: norms, mixer and feed-forward with their parts, and what is added.

    plan: of the model of the trace. Lengths are means over the tokens and the layers of a kind. worth: what a layer's
    mixer or feed-forward is worth, where that was measured.
    """
    columns = tuple(_column(kind, trace, plan, worth, theme, t) for kind in plan.kinds)
    before = tuple(_around(one, t) for key in BEFORE if (one := plan.of(key)))
    after = (*(_around(one, t) for one in plan.around if one.key not in (*BEFORE, "head")), _head(plan, t))
    blocks = sum(kind.count * len(kind.layers) for kind in plan.kinds)
    split = {"blocks": written(blocks), "around": written(plan.total - blocks)}
    total = t("viz.anatomy.total", total=written(plan.total), **split)
    alt = t("viz.anatomy.alt", kinds=len(columns), layers=len(trace.layers))
    body = Diagram("anatomy", alt, theme, before, columns, after, total)
    key = "viz.anatomy.finding" if len(columns) > 1 else "viz.anatomy.finding_one"
    finding = t(key, share=f"{blocks / plan.total:.0%}", layers=len(trace.layers), kinds=len(columns))
    return Figure("anatomy", body, _exported(trace, plan), alt, t("viz.anatomy.note"), finding)


def _exported(trace: ModelTrace, plan: Anatomy) -> dict[str, NamedArray]:
    """Name the drawn numbers: parameters and layers of every kind, and the mean lengths at its stream and branches."""
    lengths = np.array(
        [[mean_length(layers_of(trace, kind.layers), part) for part in STREAM] for kind in plan.kinds], np.float64
    )
    return {
        "parameters": NamedArray(np.array([kind.count for kind in plan.kinds]), ("kind",)),
        "layers": NamedArray(np.array([len(kind.layers) for kind in plan.kinds]), ("kind",)),
        "length": NamedArray(lengths, ("kind", "place")),
    }


def layers_of(trace: ModelTrace, layers: Sequence[int]) -> list[LayerTrace]:
    """Return the layers of a kind."""
    return [trace.layer(layer) for layer in layers]


def mean_length(layers: Sequence[LayerTrace], part: str) -> float:
    """Return the mean over layers and tokens of the length of a part, all its numbers at a token; nan without it."""
    found = [_lengths(layer, part).mean() for layer in layers if part in layer.parts]
    return float(np.mean(found)) if found else float("nan")


def _lengths(layer: LayerTrace, part: str) -> Floats:
    values = np.asarray(layer.part(part), np.float64)
    if layer.parts[part].dims[0] == "head":
        values = values.swapaxes(0, 1)
    return np.asarray(np.sqrt((values.reshape(len(values), -1) ** 2).sum(1)))


def _column(
    kind: BlockKind, trace: ModelTrace, plan: Anatomy, worth: Worths, theme: Theme, t: Translate
) -> BlockColumn:
    layers = layers_of(trace, kind.layers)
    named = {part: _length_words(mean_length(layers, part), t) for part in STREAM}
    branches = [_branch("mixer", kind, MIXERS[kind.mixer], layers, plan, worth, theme, t)]
    if kind.ffn != "none":
        branches.append(_branch("ffn", kind, FFNS[kind.ffn], layers, plan, worth, theme, t))
    return BlockColumn(
        title=t("viz.anatomy.kind", mixer=t(f"viz.mixer.{kind.mixer}"), ffn=t(f"viz.ffn.{kind.ffn}"))
        if kind.ffn != "none"
        else t(f"viz.mixer.{kind.mixer}"),
        note=t("viz.anatomy.blocks", count=len(kind.layers), layers=ranges(kind.layers), params=written(kind.count)),
        enters=t("viz.anatomy.enters", width=plan.width, length=named["resid_pre"]),
        leaves=t("viz.anatomy.leaves", length=named["resid_post"]),
        branches=tuple(branches),
        parallel=kind.parallel,
    )


def _branch(
    side: str, kind: BlockKind, steps: Sequence[Sequence[str]], layers: Sequence[LayerTrace], plan: Anatomy,
    worth: Worths, theme: Theme, t: Translate,
) -> Branch:  # fmt: skip
    """Draw the boxes of mixer or feed-forward that this kind has; a part without a place in the steps stands last."""
    parts = {one.key: one for one in kind.components}
    drawn = []
    for step in steps:
        boxes = tuple(_box(key, parts.get(key), layers, plan, t) for key in step if key in parts or key.startswith("("))
        if boxes:
            drawn.append(boxes)
    every = {key for table in (*MIXERS.values(), *FFNS.values()) for step in table for key in step}
    if side == "mixer" and (left := [one for one in kind.components if one.key not in every]):
        drawn.append(tuple(_box(one.key, one, layers, plan, t) for one in left))
    name = t(f"viz.mixer.{kind.mixer}") if side == "mixer" else t(f"viz.anatomy.ffn.{kind.ffn}")
    color = theme.mixer_color(kind.mixer) if side == "mixer" else theme.muted
    bits = [value for layer, where, value in worth if layer in kind.layers and where == side]
    return Branch(
        name,
        color,
        tuple(drawn),
        adds=t("viz.anatomy.adds", length=_length_words(mean_length(layers, f"{side}_write"), t)),
        worth=t("viz.anatomy.worth", bits=f"{float(np.mean(bits)):.2f}") if bits else "",
    )


def _box(key: str, part: Component | None, layers: Sequence[LayerTrace], plan: Anatomy, t: Translate) -> Box:
    """Write one box: its name, the shapes and the number of its weights, and what this run measured there."""
    plain = key.strip("()")
    told = {"heads": plan.heads, "kv": plan.kv_heads, "experts": plan.experts, "top": plan.top_k}
    name = t(f"viz.anatomy.box.{plain}", **told)
    detail = "" if part is None else t("viz.anatomy.detail", shapes=shapes_of(part), params=written(part.count))
    return Box(name, detail, _live(key, layers, t), weights=part is not None)


def _live(key: str, layers: Sequence[LayerTrace], t: Translate) -> str:
    part = ZEROS.get(key)
    if part is not None and part in PARTS and all(part in layer.parts for layer in layers):
        zeros = float(np.mean([(np.asarray(layer.part(part)) <= 0).mean() for layer in layers]))
        return t("viz.anatomy.zeros", share=f"{zeros:.0%}")
    if key not in LIVE:
        return ""
    length = mean_length(layers, LIVE[key])
    return "" if np.isnan(length) else t("viz.anatomy.length", length=short(length))


def _length_words(length: float, t: Translate) -> str:
    return "" if np.isnan(length) else t("viz.anatomy.length", length=short(length))


def _around(part: Component, t: Translate) -> Box:
    detail = t("viz.anatomy.detail", shapes=shapes_of(part), params=written(part.count))
    return Box(t(f"viz.anatomy.box.{part.key}"), detail)


def _head(plan: Anatomy, t: Translate) -> Box:
    part = plan.of("head")
    if part is None:
        return Box(t("viz.anatomy.box.head"), t("viz.anatomy.tied"), weights=False)
    return _around(part, t)


def shapes_of(part: Component) -> str:
    """Write the shapes of the weights of a part, equal ones once: 2 × (224 × 224).

    >>> shapes_of(Component("shift", ((1, 1, 8), (1, 1, 8)), 16))
    '2 × (8)'
    """
    told: dict[str, int] = {}
    for shape in part.shapes:
        plain = [size for size in shape if size != 1] or [1]
        words = " × ".join(f"{size:,}" for size in plain)
        told[words] = told.get(words, 0) + 1
    return " + ".join(words if count == 1 else f"{count} × ({words})" for words, count in told.items())


def ranges(numbers: Sequence[int]) -> str:
    """Write whole numbers in order, neighbours as a range.

    >>> ranges([0, 1, 2, 4, 6, 7])
    '0–2, 4, 6, 7'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = [f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(told)
