"""The simulated RWKV versions 5, 6 and 7 against flash-linear-attention's naive recurrences."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.simulation import rwkv
from models.simulation.ladder import ladder

CLOSE = 2e-6  # theirs in float32, relative to the largest entry
TOKENS, SIZES = 23, (5, 7)


def inputs(tokens: int, keys: int, values: int) -> dict[str, np.ndarray]:
    """Fixed numbers without pattern."""
    widths = {"r": keys, "k": keys, "d": keys, "a": keys, "v": values}
    made = {
        name: np.sin(pace * (np.arange(tokens * width) + 1.0) ** 1.5).reshape(tokens, width)
        for pace, (name, width) in enumerate(widths.items(), start=1)
    }
    made["a"] = (1 + made["a"]) / 2
    made["d"] = 2 * made["d"] - 2
    return made | {"u": np.cos(np.arange(keys))}


def theirs(values: np.ndarray) -> torch.Tensor:
    """Shape an array (token, d) as (batch, head, token, d)."""
    return torch.from_numpy(np.ascontiguousarray(values)).float()[None, None]


def equal(ours: np.ndarray, found: torch.Tensor) -> bool:
    known = found[0, 0].double().numpy()
    return bool(np.abs(ours - known).max() < CLOSE * np.abs(known).max())


@pytest.mark.parametrize("keys", SIZES)
@pytest.mark.parametrize("version", [5, 6])
def test_versions_5_and_6(fla_recurrences: SimpleNamespace, version: int, keys: int) -> None:
    x = inputs(TOKENS, keys, 6)
    decay = x["d"] if version == 6 else np.broadcast_to(x["d"][0], x["d"].shape)
    states, outputs = rwkv.wkv6(decay, x["u"], x["r"], x["k"], x["v"]) if version == 6 else rwkv.wkv5(
        x["d"][0], x["u"], x["r"], x["k"], x["v"])  # fmt: skip
    out, state = fla_recurrences.rwkv6(
        theirs(x["r"]), theirs(x["k"]), theirs(x["v"]), theirs(-np.exp(decay)), torch.from_numpy(x["u"]).float()[None],
        scale=1.0, output_final_state=True,
    )  # fmt: skip
    assert equal(outputs, out) and equal(states[-1], state)
    assert not equal(outputs[::-1], out) and not equal(states[-2], state)


@pytest.mark.parametrize("keys", SIZES)
def test_version_7(fla_recurrences: SimpleNamespace, keys: int) -> None:
    """Theirs is S (key, value) <- diag(w) S + b (a^T S) + k^T v; RWKV-7 is a = -kn, b = a_t kn."""
    x = inputs(TOKENS, keys, 6)
    states, outputs = rwkv.wkv7(x["d"], x["a"], x["r"], x["k"], x["v"])
    unit = x["k"] / np.linalg.norm(x["k"], axis=1, keepdims=True)
    out, state = fla_recurrences.delta(
        theirs(x["r"] * keys**0.5), theirs(x["k"]), theirs(x["v"]), theirs(-unit), theirs(x["a"] * unit),
        theirs(np.log(rwkv.kept7(x["d"]))),
    )  # fmt: skip
    assert equal(outputs, out) and equal(states[-1], state)
    assert not equal(rwkv.wkv7(x["d"], 0 * x["a"], x["r"], x["k"], x["v"])[1], out)


def test_the_toy_input_of_the_figure(fla_recurrences: SimpleNamespace) -> None:
    """Version 6 as drawn, from the record alone: keys and values are read off the tokens."""
    made = ladder(strength=1.5, decay=-2, stop=1.5, rate=0.5)
    run = next(run for run in made.runs if run.version == 6)
    k, v, r = (np.zeros((len(made.tokens), 3)) for _ in range(3))
    for n, token in enumerate(made.tokens):
        for array, place, size in ((k, token.key, 1.5), (v, token.value, 1.0), (r, token.asks, 1.0)):
            if place is not None:
                array[n, place] = size
    decay = [[-2 + 1.5 * token.stop] * 3 for token in made.tokens]
    out, state = fla_recurrences.rwkv6(
        theirs(r), theirs(k), theirs(v), theirs(-np.exp(np.array(decay))), torch.ones(1, 3), scale=1.0,
        output_final_state=True,
    )  # fmt: skip
    assert equal(run.output.values, out) and equal(run.state.values[-1], state)
