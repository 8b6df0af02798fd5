"""RWKV's memory as ink: what a channel still gives to each word, and one WKV in numbers."""

from collections.abc import Iterator

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import percent, single_most
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme
from viz.mechanism import Plane, Size, WalkStep
from viz.trace.channels import Floats, Indices, floats, quantile_channels
from viz.trace.mechanisms import mechanism_of
from viz.trace.wkv_weights import weights_of

STEPS = ("equal", "keys", "num", "den", "wkv", "gate", "block")
CHANNELS = 96  # that the slider holds at most
STREAM = ("resid_pre", "mixer_write", "ffn_write", "resid_post")  # whose lengths the last step writes
WINDOW = 48  # tokens that are drawn at once at most
SIZES = (Size(0, 690, 190), Size(560, 640, 128), Size(960, 470, 128))
# The words that the painter writes, and those in which it fills in numbers.
PLAIN = ("equal_title", "keys_title", "slow", "num", "den", "wkv", "gate", "output", "captured",
         "stream_before", "time_mixing", "channel_mixing", "stream_after", "zeros")  # fmt: skip
FILLED = {
    "half_life": ("value",),
    "now": ("value",),
    "channel": ("channel", "value"),
    "window": ("first", "last"),
    "tip_keys": ("share", "k"),
    "tip_equal": ("value", "back"),
    "others": ("count",),
}
LEFT = {
    "equal": ("channel", "half_life", "dark", "past", "reader"),
    "keys": ("best", "share", "reader"),
    "num": ("top",),
    "den": (),
    "wkv": (),
    "gate": (),
    "block": ("reader",),
}
NEEDS = ("decay_rate", "bonus", "half_life", "key", "value", "receptance", "mixer_output", "resid_pre", "resid_post",
         "ffn_key", "mixer_write", "ffn_write")  # fmt: skip


@figure("wkv_ink", needs=NEEDS)
def wkv_ink(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw the text in the ink that a channel of a layer leaves of it, and how its WKV comes about at one token.

    The slider holds channels evenly through the order of half-lives, longest first in the planes. Planes: half_life,
    rate, bonus (channel,); key, value, receptance, output (token, channel), output as the model computed it; stream
    (part, token): the length of the residual stream before the block, of what time mixing and channel mixing add, and
    of the stream after; zeros (token,): of the channel mixing.
    """
    shown = trace.layer(layer) if layer is not None else trace.layers_with("decay_rate")[0]
    chosen = quantile_channels(floats(shown, "half_life"), count=CHANNELS)
    arrays = _arrays(shown, chosen)
    start = _start(floats(shown, "half_life")[chosen], len(trace.tokens))
    alt = t("viz.wkv_ink.alt", layer=shown.index)
    each = tuple((alt, finding) for finding in _findings(trace, arrays, start, t))
    spec = mechanism_of(
        "wkv_ink",
        alt,
        trace,
        theme=theme,
        t=t,
        painter="ink",
        planes={name: Plane(array.values, array.dims) for name, array in arrays.items()},
        steps=tuple(_steps(t)),
        sizes=SIZES,
        ramps={},
        settings={"channels": chosen.tolist(), "start": start, "window": WINDOW},
        own=_words(t),
        selected=selected,
    )
    data = {**arrays, "channel": NamedArray(chosen, ("channel",))}
    return Figure("wkv_ink", spec, data, alt, finding=each[-1][1], each=each)


def _arrays(shown: LayerTrace, chosen: Indices) -> dict[str, NamedArray]:
    """Return what is drawn of some channels of a layer, by the names of its planes."""
    channel, both = ("channel",), ("token", "channel")
    found = {
        "half_life": NamedArray(floats(shown, "half_life")[chosen], channel),
        "rate": NamedArray(floats(shown, "decay_rate")[chosen], channel),
        "bonus": NamedArray(floats(shown, "bonus")[chosen], channel),
    }
    for name, part in (("key", "key"), ("value", "value"), ("receptance", "receptance"), ("output", "mixer_output")):
        found[name] = NamedArray(floats(shown, part)[:, chosen], both)
    lengths = [np.linalg.norm(floats(shown, part).astype(np.float64), axis=1) for part in STREAM]
    return found | {
        "stream": NamedArray(np.stack(lengths), ("part", "token")),
        "zeros": NamedArray((floats(shown, "ffn_key") <= 0).mean(1), ("token",)),
    }


def _start(half_life: Floats, tokens: int) -> int:
    """Return the channel that is shown at first: the one whose half-life is nearest to a fifth of the text."""
    return int(np.abs(np.log(half_life) - np.log(max(tokens / 5, 1))).argmin())


def _steps(t: Translate) -> Iterator[WalkStep]:
    for key in STEPS:
        yield WalkStep(key, t(f"viz.wkv_ink.title.{key}"), template(t, f"viz.wkv_ink.says.{key}", *LEFT[key]))


def _words(t: Translate) -> dict[str, str]:
    words = {name: t(f"viz.wkv_ink.{name}") for name in PLAIN}
    return words | {name: template(t, f"viz.wkv_ink.{name}", *values) for name, values in FILLED.items()}


def _findings(trace: ModelTrace, arrays: dict[str, NamedArray], start: int, t: Translate) -> Iterator[str]:
    """Say for every token which earlier one has most of the weight in the channel shown at first; "" in a tie."""
    one = slice(start, start + 1)
    rate, bonus, key = (np.asarray(arrays[name].values, np.float64)[..., one] for name in ("rate", "bonus", "key"))
    share = weights_of(rate, bonus, key)[0][0]
    labels = [token.label.removeprefix("␣") or token.label for token in trace.tokens]
    half_life = short(float(arrays["half_life"].values[start]))
    for token, row in enumerate(share):
        best = single_most([float(value) for value in row[:token]], percent) if token else None
        if best is None:
            yield ""
            continue
        yield t("viz.wkv_ink.finding", reader=labels[token], best=labels[best], share=percent(float(row[best])),
                half_life=half_life)  # fmt: skip
