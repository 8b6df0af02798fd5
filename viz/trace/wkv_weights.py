"""What RWKV's weights become with the receptance, with the value, and with the keys of the text."""

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import single_most
from viz.look.labels import Translate, short
from viz.look.theme import Theme
from viz.trace.channels import Floats, Indices, floats, layer_with, quantile_channels
from viz.trace.decay_charts import Scaling
from viz.trace.findings import named_token
from viz.trace.key_charts import keys_chart
from viz.trace.matrix import matrix_picture, mean_map

FAR = 2  # steps back from which a strong key is told


@figure("gated_attention", needs=("gated_attention",))
def gated_attention(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw the effective attention behind the receptance: mean over channels of sigma(r) P (query, key)."""
    return mean_map("gated_attention", trace, theme=theme, t=t, layer=layer, selected=selected)


@figure("channel_moved", of="channel")
def channel_moved(
    mixing: NamedArray,
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int,
    channel: int,
    index: int = 0,
    selected: int | None = None,
) -> Figure:
    """Draw what one channel of RWKV takes from each token: sigma(r_t) P_ti v_i, signed; a row adds up to its output.

    mixing: (channel, query, key) of models.tracing.mixing.channel_mixing, whose rows sum to 1; index: which of its
    channels to draw; channel: its number in the model.
    """
    shown = trace.layer(layer)
    gate, value = floats(shown, "receptance")[:, channel], floats(shown, "value")[:, channel]
    moved = gate[:, None] * np.asarray(mixing.values[index]) * value[None]
    spec = matrix_picture(
        "channel_moved", moved, trace, theme=theme, t=t, color=theme.mixer_color(shown.mixer), selected=selected,
        alt=t("viz.channel_moved.alt", layer=layer, channel=channel),
    )  # fmt: skip
    data = {"moved": NamedArray(np.asarray(moved), mixing.dims[1:])}
    return Figure("channel_moved", spec, data, spec.alt, finding=_moved_finding(moved[-1], trace, t))


@figure("key_curves", needs=("decay_rate", "bonus", "key", "half_life"))
def key_curves(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    channels: int = 5,
    scaling: Scaling = "linear",
    selected: int | None = None,
) -> Figure:
    """Draw the weights P that channels over all half-lives give to the past of the chosen token, with its real keys.

    As decay_curves, which takes all keys as equal. Weights of a channel add up to 1 over the text up to the token.
    """
    shown = layer_with(trace, "decay_rate", layer)
    chosen = quantile_channels(floats(shown, "half_life"), count=channels)
    rate, bonus = floats(shown, "decay_rate")[chosen], floats(shown, "bonus")[chosen]
    key = floats(shown, "key")[:, chosen]
    share, total = weights_of(rate, bonus, key)
    color = theme.mixer_color(shown.mixer)
    chart = keys_chart(rate, bonus, key, total, chosen, trace, selected, color, scaling, theme=theme, t=t)
    alt_text = t("viz.key_curves.alt", layer=shown.index, channels=len(chosen))
    data = {
        "share": NamedArray(share, ("channel", "query", "key")),
        "channel": NamedArray(chosen, ("channel",)),
        "log_total": NamedArray(total, ("channel", "token")),
    }
    each = tuple((alt_text, _finding(share[:, n, : n + 1], chosen, shown, trace, t)) for n in range(len(trace.tokens)))
    last = selected if selected is not None and 0 <= selected < len(trace.tokens) else len(trace.tokens) - 1
    return Figure("key_curves", chart, data, alt_text, t("viz.key_curves.note"), each[last][1], each)


def _moved_finding(row: Floats, trace: ModelTrace, t: Translate) -> str:
    """Say what the channel hands on at the last token, and the token that gives the largest part of it; "" in a tie."""
    place = single_most([abs(float(value)) for value in row], short)
    if place is None:
        return ""
    values = {"sum": short(float(row.sum())), "most": short(float(row[place]))}
    return t("viz.channel_moved.finding", at=named_token(trace.tokens, place, t), **values)


def weights_of(rate: Floats, bonus: Floats, key: Floats) -> tuple[Floats, Floats]:
    """Return P (channel, query, key) and the logarithm of what it was divided by (channel, query), in float64.

    rate, bonus (channel,), key (token, channel).
    """
    w, u, k = (np.asarray(values, np.float64) for values in (rate, bonus, key.T))
    place = np.arange(k.shape[1])
    distance = place[:, None] - place[None]  # (query, key)
    score = k[:, None, :] - np.maximum(distance - 1, 0) * w[:, None, None]
    score = np.where(distance == 0, (u[:, None] + k)[:, None, :], score)
    score = np.where(distance < 0, -np.inf, score)
    top = score.max(2)
    total = top + np.log(np.exp(score - top[..., None]).sum(2))
    return np.exp(score - total[..., None]), total


def _finding(row: Floats, chosen: Indices, shown: LayerTrace, trace: ModelTrace, t: Translate) -> str:
    """Name the token, at least FAR steps back, that has the largest weight (channel, key) of any drawn channel."""
    past = row[:, : -FAR or None] if row.shape[1] > FAR else row[:, :0]
    if not past.size:
        return ""
    channel, place = divmod(int(past.argmax()), past.shape[1])
    return t(
        "viz.key_curves.finding",
        at=named_token(trace.tokens, place, t),
        share=f"{float(past[channel, place]):.1%}",
        half_life=short(float(floats(shown, "half_life")[chosen[channel]])),
    )
