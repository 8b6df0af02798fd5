"""Check of the hero of a selective state space: what travels to the browser against loops in float64."""

import numpy as np

from models.reconstruction import state_space
from models.reconstruction.check import Wide, absolute, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.mechanism import MechanismSpec, read
from viz.proof.drawn import Choice, channels_of, chosen_layer, descent_error, exported, number, same
from viz.trace.state_update import SENT_DIGITS

WORDS = 6  # whose writes are followed to the end of the text, all of whose channels are multiplied on


def state_update(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn h against a float64 scan and read as the captured output; keep and write of h, token by token.

    dt, A, B, C, D and u are compared with the weights and the captured inputs, h after with keep h before + write made
    of them, y with C.h + D u, and what is left with writes multiplied on. What travels must be what is exported.
    """
    layer, channels = chosen_layer(trace, choice, "state"), channels_of(figure)
    if not isinstance(figure.body, MechanismSpec):
        raise TypeError(f"{figure.id} is no mechanism")
    drawn = read(figure.body.payload())
    sent = {name: exported(figure, name) for name in drawn.planes}
    wanted = number(choice, "channel")
    if drawn.header["settings"]["channels"] != channels or (wanted is not None and wanted not in channels):
        return 1.0
    known = state_space.scan(layer, channels)
    if sent["state"].shape != known.state.shape or len(drawn.header["labels"]) != len(known.state):
        return 1.0
    copies = [_copy_error(drawn.planes[name], sent[name], SENT_DIGITS.get(name)) for name in sent]
    return worst(
        relative(sent["state"], known.state, known.mass),
        state_space.read_error(sent["state"], layer, channels),
        _step_error(sent, known.mass),
        *_given_errors(sent, layer, channels),
        _output_error(sent),
        _left_error(sent["left"], layer),
        descent_error(state_space.half_lives(layer)[channels]),
        *copies,
    )


def _copy_error(found: Wide, told: Wide, digits: int | None) -> float:
    """Compare what travels with what is exported; of an array that is rounded on the way, what is beyond rounding."""
    if digits is None or found.shape != told.shape:
        return same(found, told)
    rounding = 0.51 * 10.0 ** (1 - digits) * np.abs(told)
    beyond = np.where(np.abs(found - told) <= rounding, 0.0, found - told)
    return worst(relative(beyond, np.zeros_like(told), np.full(told.shape, np.abs(told).max(initial=0.0))))


def _step_error(sent: dict[str, Wide], mass: Wide) -> Wide:
    """Compare h after each token with keep h before + write, all of which are drawn."""
    found = np.zeros_like(sent["state"])
    before = np.zeros_like(sent["state"][0])
    for t, after in enumerate(sent["state"]):
        keep = np.exp(sent["dt"][t][:, None] * sent["rates"])
        found[t] = keep * before + np.outer(sent["dt"][t] * sent["input"][t], sent["write"][t])
        before = after
    return relative(found, sent["state"], mass)


def _given_errors(sent: dict[str, Wide], layer: LayerTrace, channels: list[int]) -> list[Wide]:
    dt, rates = state_space.step_sizes(layer)[:, channels], state_space.decay_rates(layer)[channels]
    found = [relative(sent["dt"], dt, dt), relative(sent["rates"], rates, np.abs(rates))]
    parts = (("write", "write_proj", False), ("read", "read_proj", False), ("input", "scan_input", True))
    for name, part, picked in parts:
        expected = wide(layer.part(part))
        expected = expected[:, channels] if picked else expected
        found.append(relative(sent[name], expected, np.full(expected.shape, np.abs(expected).max(initial=0.0))))
    skip = wide(layer.part("skip"))[channels]
    return [*found, relative(sent["skip"], skip, np.maximum(np.abs(skip), 1.0))]


def _output_error(sent: dict[str, Wide]) -> Wide:
    terms = sent["state"] * sent["read"][:, None, :]
    skip = sent["skip"] * sent["input"]
    scale = np.abs(terms).sum(2) + np.abs(skip)
    return relative(sent["output"], terms.sum(2) + skip, scale)


def _left_error(left: Wide, layer: LayerTrace) -> Wide | float:
    """Compare the shares of some words, 0 before them, with their writes in all channels multiplied on."""
    dt, rates = state_space.step_sizes(layer), state_space.decay_rates(layer)
    if left.shape != (len(dt),) * 2 or left[np.tril_indices(len(dt), -1)].any():
        return 1.0
    errors = []
    for j in np.unique(np.linspace(0, len(dt) - 1, min(WORDS, len(dt))).round()).astype(int):
        u, write = wide(layer.part("scan_input"))[j], wide(layer.part("write_proj"))[j]
        kept = np.abs(dt[j] * u)[:, None] * np.abs(write)
        total = kept.sum()
        for i in range(j, len(dt)):
            kept = kept * np.exp(dt[i][:, None] * rates) if i > j else kept
            errors.append(worst(absolute(left[j, i : i + 1], np.array([kept.sum() / total if total > 0 else 0.0]))))
    return worst(*errors)
