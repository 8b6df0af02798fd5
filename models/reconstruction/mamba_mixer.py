"""The operator of a whole Mamba mixer in float64, token by token, beside the output that the run captured."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction import state_space
from models.reconstruction.check import Wide, against_output, wide
from models.records.trace import LayerTrace


def convolved(layer: LayerTrace, channels: Sequence[int]) -> Wide:
    """Return conv(x) + b of channels, tap by tap, (token, channel)."""
    chosen = list(channels)
    x, taps = wide(layer.part("conv_input"))[:, chosen], wide(layer.part("conv_weight"))[chosen]
    out = np.tile(wide(layer.part("conv_bias"))[chosen], (len(x), 1))
    for t in range(len(x)):
        for n in range(min(taps.shape[1], t + 1)):
            out[t] += taps[:, -1 - n] * x[t - n]
    return out


def slopes(layer: LayerTrace, channels: Sequence[int]) -> Wide:
    """Return sigmoid(conv(x) + b) of channels, (token, channel)."""
    return 0.5 * (1 + np.tanh(convolved(layer, channels) / 2))


def operator(layer: LayerTrace, channel: int) -> tuple[Wide, Wide, Wide]:
    """Return M of one channel (query, key), the size of its terms, and what the bias of the convolution adds (token,).

    M = SiLU(z)_i (alpha + D)_im sigmoid_m w_(m-j), summed over the convolved tokens m, in plain loops.
    """
    alpha, size = state_space.operator(layer, channel)
    taps = wide(layer.part("conv_weight"))[channel]
    slope, gate = slopes(layer, [channel])[:, 0], wide(layer.part("gate"))[:, channel]
    skip, bias = float(layer.part("skip")[channel]), float(layer.part("conv_bias")[channel])
    scan = (alpha + skip * np.eye(len(alpha))) * slope
    sizes = (size + abs(skip) * np.eye(len(alpha))) * slope
    out, terms = np.zeros_like(alpha), np.zeros_like(alpha)
    for j in range(len(alpha)):
        for n in range(min(len(taps), len(alpha) - j)):
            out[:, j] += scan[:, j + n] * taps[-1 - n]
            terms[:, j] += sizes[:, j + n] * abs(taps[-1 - n])
    return gate[:, None] * out, np.abs(gate)[:, None] * terms, gate * scan.sum(1) * bias


def mixed_error(drawn: Wide, layer: LayerTrace, channel: int) -> Wide:
    """Compare M x and what the bias adds with the captured output of one channel, (token,); drawn (query, key)."""
    x = wide(layer.part("conv_input"))[:, channel]
    _, _, added = operator(layer, channel)
    output = wide(layer.part("mixer_output"))[:, channel]
    return against_output(drawn @ x + added, output, np.abs(drawn) @ np.abs(x) + np.abs(added))


def mean_rows(layer: LayerTrace, rows: Sequence[int]) -> Wide:
    """Return some rows of the mean over all channels of |M|, (row, key), backwards in time."""
    dt, rates = state_space.step_sizes(layer), state_space.decay_rates(layer)
    write, read = wide(layer.part("write_proj")), wide(layer.part("read_proj"))
    taps, gate, skip = (wide(layer.part(name)) for name in ("conv_weight", "gate", "skip"))
    slope = slopes(layer, range(dt.shape[1]))
    found = np.zeros((len(rows), len(dt)))
    for row, i in enumerate(rows):
        reach = np.broadcast_to(read[i], rates.shape).copy()
        scan = np.zeros((i + 1, dt.shape[1]))  # of the convolved tokens
        for m in range(i, -1, -1):
            scan[m] = ((reach @ write[m]) * dt[m] + (skip if m == i else 0.0)) * slope[m]
            reach *= np.exp(dt[m, :, None] * rates)
        for j in range(i + 1):
            near = range(min(taps.shape[1], i + 1 - j))
            found[row, j] = np.abs(gate[i] * sum(scan[j + n] * taps[:, -1 - n] for n in near)).mean()
    return found
