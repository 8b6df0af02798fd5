"""Check of RWKV's memory as ink: every plane that travels to the browser, beside the run and each other."""

import numpy as np

from models.reconstruction import channel_mix, time_mix
from models.reconstruction.check import Wide, absolute, against_output, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.mechanism import Drawn, MechanismSpec, read
from viz.proof.drawn import Choice, exported, number, same
from viz.trace.ink import STEPS, STREAM

PLANES = 12_000_000  # exponentials that the P of one picture may take: of longer texts fewer channels are recomputed


def wkv_ink(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """P of the drawn rates, bonuses and keys, times drawn values and gates, against the drawn output of the model.

    Each plane is also compared with the run, and with what the figure exports; the stream must add up, and the zeros
    are those of the hidden layer that rebuilds the output of the channel mixing.
    """
    if not isinstance(figure.body, MechanismSpec):
        raise TypeError(f"{figure.id} is drawn by another component")
    layer = number(choice, "layer")
    shown = trace.layer(layer) if layer is not None else trace.layers_with("decay_rate")[0]
    drawn = read(figure.body.payload())
    channels = [int(channel) for channel in drawn.header["settings"]["channels"]]
    steps = [step["key"] for step in drawn.header["steps"]]
    named = drawn.header["labels"] != [token.label for token in trace.tokens] or steps != list(STEPS)
    held = channels != [int(channel) for channel in figure.data["channel"].values]
    copies = [same(plane, exported(figure, name)) for name, plane in drawn.planes.items()]
    return worst(
        float(named), float(held), *copies, *_run_errors(drawn, shown, channels), *_row_errors(drawn),
        *_block_errors(drawn, shown),
    )  # fmt: skip


def _run_errors(drawn: Drawn, shown: LayerTrace, channels: list[int]) -> list[float]:
    """Compare planes with the weights and the captured arrays of the layer; channels are ordered by half-life."""
    planes = drawn.planes
    rates, half_life = time_mix.rates(shown)[channels], time_mix.half_lives(shown)[channels]
    found = [
        worst(relative(planes["rate"], rates, rates)),
        worst(relative(planes["half_life"], half_life, half_life)),
        same(planes["bonus"], wide(shown.part("bonus")[channels])),
        worst(absolute(planes["receptance"], time_mix.receptance(shown)[:, channels])),
        worst(np.maximum(half_life[1:] - half_life[:-1], 0.0)),
    ]
    for name, part in (("key", "key"), ("value", "value"), ("output", "mixer_output")):
        found.append(same(planes[name], wide(shown.part(part)[:, channels])))
    return found


def _row_errors(drawn: Drawn) -> list[float]:
    """Rebuild the output of every token from the drawn planes, as the script weighs the words."""
    planes = drawn.planes
    length, count = planes["key"].shape
    kept = max(1, min(count, PLANES // (length * length)))
    picked = np.unique(np.linspace(0, count - 1, kept).round().astype(int))
    found = []
    for c in picked:
        share = shares_of(planes["rate"][c], planes["bonus"][c], planes["key"][:, c])
        gate, value = planes["receptance"][:, c], planes["value"][:, c]
        terms = gate * (share @ np.abs(value))
        found.append(worst(against_output(gate * (share @ value), planes["output"][:, c], terms)))
    return found


def shares_of(rate: float, bonus: float, key: Wide) -> Wide:
    """Return P of one channel (query, key), row by row."""
    found = np.zeros((len(key), len(key)))
    for t in range(len(key)):
        score = key[: t + 1] - np.arange(t - 1, -2, -1) * rate
        score[t] = bonus + key[t]
        weight = np.exp(score - score.max())
        found[t, : t + 1] = weight / weight.sum()
    return found


def _block_errors(drawn: Drawn, shown: LayerTrace) -> list[float]:
    """Compare lengths and zeros with the run; before + mixing + channel mixing must be the stream after the block."""
    parts = [wide(shown.part(part)) for part in STREAM]
    lengths = np.array([[np.sqrt((row**2).sum()) for row in part] for part in parts])
    terms = np.abs(parts[0]) + np.abs(parts[1]) + np.abs(parts[2])
    return [
        same(drawn.planes["stream"], lengths),
        worst(against_output(parts[0] + parts[1] + parts[2], parts[3], terms)),
        worst(absolute(drawn.planes["zeros"], channel_mix.zero_share(shown))),
        worst(channel_mix.mix_error(shown)),
    ]
