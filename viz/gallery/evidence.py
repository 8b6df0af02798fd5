"""Add the inputs of checks and the logit lens to the sample traces, by the dimensions of PARTS."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from models.records.anatomy import Anatomy, BlockKind, Component
from models.records.trace import PARTS, Attribution, LayerTrace, ModelTrace, NamedArray, TokenLens
from viz.gallery.samples import CHANNELS, D_STATE, EXPERTS, HEADS, IDS, LENGTH, Values, named, softmax, traces, wave

SIZES: Mapping[str, int] = MappingProxyType(
    {
        "head": HEADS, "kv_head": 1, "query": LENGTH, "key": LENGTH, "token": LENGTH, "d_head": 3, "d_head_of": 3,
        "channel": CHANNELS, "d_state": D_STATE, "dt_rank": 2, "expert": EXPERTS, "feature": 4, "d_model": 6,
        "share": 5, "sublayer": 2, "when": 2, "place": 8, "hidden": 12,
    }
)  # fmt: skip
# What a layer of a kind records beside what it shows.
ATTENTION = ("visible", "head_query", "query_scale", "head_key", "head_value", "head_output", "output_gram")
SCAN = ("dt_input", "dt_weight", "dt_bias", "decay_log", "mixer_output")
TIME_MIX = (
    "time_decay", "receptance_logit", "mixer_output", "shift_from", "shifted", "ffn_value_weight",
    "ffn_receptance_logit", "ffn_output",
)  # fmt: skip
EXPERT = ("expert_output", "mixture_output")
WRITES = ("mixer_write", "ffn_write")
OF_KIND: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"attention": ATTENTION, "mamba": SCAN, "rwkv": TIME_MIX, "moe": EXPERT}
)
TOP = 5


def complete() -> dict[str, ModelTrace]:
    """Return the sample traces with all that a real one records."""
    return {name: completed(trace) for name, trace in traces().items()}


def completed(trace: ModelTrace) -> ModelTrace:
    """Add evidence, the residual stream and the logit lens to a trace; its last layer reads the trace's own logits."""
    last = len(trace.layers) - 1
    logits = [wave(*trace.logits.values.shape, pace=1 + (layer + 2) / 3) for layer in range(-1, last)]
    logits.append(np.asarray(trace.logits.values, np.float64))
    start = _arrays(("resid_post",))
    embedding = LayerTrace(-1, "none", "none", named(start | lens(logits[0], logits[-1])))
    stream = start["resid_post"]
    layers = []
    for layer, own in zip(trace.layers, logits[1:], strict=True):
        more = _arrays((*OF_KIND.get(layer.mixer, ()), *OF_KIND.get(layer.ffn, ()))) | lens(own, logits[-1])
        more |= _written(layer, stream)
        stream = more["resid_post"]
        layers.append(dataclasses.replace(layer, parts={**layer.parts, **named(more)}))
    return dataclasses.replace(trace, embedding=embedding, layers=tuple(layers), label_of=label_of)


def plan(trace: ModelTrace) -> Anatomy:
    """Build every layer of a trace of two or three parts of fixed sizes."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for layer in trace:
        kinds.setdefault((layer.mixer, layer.ffn), []).append(layer.index)
    norm, head = Component("norm_mixer", ((6,),), 6), Component("head", ((12, 6),), 72)
    own = {
        "attention": Component("q", ((6, 6),), 36), "mamba": Component("conv", ((8, 1, 4), (8,)), 40),
        "rwkv": Component("wkv", ((6,), (6,)), 12),
        "dense": Component("up", ((24, 6),), 144), "moe": Component("experts", ((8, 12, 6),), 576),
        "channel_mix": Component("ffn_k", ((24, 6),), 144),
    }  # fmt: skip
    blocks = tuple(
        BlockKind(mixer, ffn, tuple(layers), (norm, *(own[one] for one in (mixer, ffn) if one in own)))
        for (mixer, ffn), layers in kinds.items()
    )
    around = (Component("embedding", ((12, 6),), 72), Component("final_norm", ((6,),), 6), head)
    total = sum(kind.count * len(kind.layers) for kind in blocks) + sum(one.count for one in around)
    return Anatomy(blocks, around, total, False, 6, HEADS, 1, EXPERTS, 2)


def _written(layer: LayerTrace, stream: Values) -> dict[str, Values]:
    """Let mixer and feed-forward of a layer write fixed arrays into a stream (token, d_model)."""
    wrote = {name: wave(*stream.shape, pace=1 + (layer.index + 2) / (n + 4)) for n, name in enumerate(WRITES)}
    if layer.ffn == "none":
        del wrote["ffn_write"]
    return wrote | {"resid_pre": stream, "resid_post": stream + sum(wrote.values())}


def asked(trace: ModelTrace, token: int = 3) -> tuple[TokenLens, Attribution]:
    """Follow a token of the sample vocabulary through a completed trace, and split its logit by a fixed direction."""
    shown = [one.part("lens_probs")[:, -1] * 0.5 for one in trace.stream]
    own = softmax(np.asarray(trace.logits.values, np.float64))[:, token]
    prob = np.stack([*shown[:-1], own]).astype(np.float32)
    last = 1 + (np.asarray(trace.logits.values) > np.asarray(trace.logits.values)[:, [token]]).sum(-1)
    rank = np.stack([*(np.full(LENGTH, 6) for _ in shown[:-1]), last]).astype(np.float32)
    followed = TokenLens(
        token, label_of(token), NamedArray(prob, ("layer", "token")), NamedArray(rank, ("layer", "token"))
    )
    return followed, attribution(trace)


def attribution(trace: ModelTrace) -> Attribution:
    """Split the logits of the likeliest tokens of a completed trace: a fixed direction, and a bias that fits."""
    logits = np.asarray(trace.logits.values, np.float64)
    ids, toward = logits.argmax(-1), wave(LENGTH, SIZES["d_model"], pace=7)

    def added(layer: LayerTrace, part: str) -> Values:
        if part not in layer.parts:
            return np.full(LENGTH, np.nan)
        return np.asarray((np.asarray(layer.part(part), np.float64) * toward).sum(-1))

    embedding = added(trace.stream[0], "resid_post")
    mixer, ffn = (np.stack([added(layer, part) for layer in trace]) for part in WRITES)
    logit = logits.max(-1)
    heads = {layer.index: wave(HEADS, LENGTH, pace=2 + layer.index) for layer in trace if "head_output" in layer.parts}
    at = {layer.index: n for n, layer in enumerate(trace)}
    of_token = {
        "ids": ids,
        "embedding": embedding,
        "bias": logit - embedding - mixer.sum(0) - np.nansum(ffn, 0),
        "logit": logit,
    }
    return Attribution(
        **{name: NamedArray(values, ("token",)) for name, values in of_token.items()},
        mixer=NamedArray(mixer, ("layer", "token")),
        ffn=NamedArray(ffn, ("layer", "token")),
        toward=NamedArray(toward, ("token", "d_model")),
        heads={index: NamedArray(values, ("head", "token")) for index, values in heads.items()},
        head_bias={index: NamedArray(mixer[at[index]] - values.sum(0), ("token",)) for index, values in heads.items()},
    )


def lens(logits: Values, final: Values, ids: Sequence[int] = IDS) -> dict[str, Values]:
    """Read logits (token, vocab) as the logit lens does. final: those of the model itself; ids: those of the text."""
    probs, order = softmax(logits), np.argsort(-logits, axis=-1, kind="stable")
    following = np.append(ids[1:], -1)
    found: dict[str, Values] = {
        "lens_tokens": order[:, :TOP].astype(np.int32),
        "lens_probs": np.take_along_axis(probs, order[:, :TOP], -1),
        "lens_entropy": -(probs * np.log2(probs)).sum(-1),
    }
    for name, wanted in (("final", final.argmax(-1)), ("next", following)):
        absent = wanted < 0
        own = np.take_along_axis(probs, np.where(absent, 0, wanted)[:, None], -1)
        found[f"lens_prob_{name}"] = np.where(absent, np.nan, own[:, 0])
        found[f"lens_rank_{name}"] = np.where(absent, np.nan, 1 + (probs > own).sum(-1))
    return found


def label_of(token: int) -> str:
    """Name an id of the sample vocabulary."""
    return f"w{token}"


def _arrays(parts: tuple[str, ...]) -> dict[str, Values]:
    """Give every part that PARTS knows a fixed array of its dimensions; 0 and 1 below the diagonal for visible."""
    arrays = {part: wave(*(SIZES[dim] for dim in PARTS[part]), pace=1 + len(part) / 9) for part in parts}
    if "visible" in arrays:
        arrays["visible"] = np.tri(LENGTH)
        arrays["query_scale"] = np.full(HEADS, SIZES["d_head"] ** -0.5)
    return arrays
