"""Known answers and an oracle for the distance at which the weight of a selective scan has fallen to half."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from models import registry
from models.tracing.adapter import Checkpoint
from models.tracing.mixing import channel_mixing
from models.tracing.parts import half_distance as half_distance_module
from models.tracing.parts.half_distance import half_distance

Loader = Callable[[str], Checkpoint]
PROMPT = "Once upon a time a small wolf lived in a wood. 늑대는 배가 고팠다."


def alphas(dt: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Sum alpha (channel, query, key) by its definition: plain loops over query, key and component, in float64."""
    length, channels = dt.shape
    found = np.zeros((channels, length, length))
    for k in range(channels):
        for t in range(length):
            for j in range(t + 1):
                elapsed = sum(dt[i, k] for i in range(j + 1, t + 1))
                for n in range(a.shape[1]):
                    found[k, t, j] += c[t, n] * math.exp(a[k, n] * elapsed) * dt[j, k] * b[j, n]
    return found


def by_definition(alpha: np.ndarray) -> float:
    """Find D - 1 of one channel (query, key): the first distance D at which the mean |alpha| is half of that at 1."""
    length = len(alpha)
    mean = [np.mean([abs(alpha[t, t - n]) for t in range(n, length)]) for n in range(1, length)]  # from distance 1 on
    for n in range(1, len(mean)):
        if mean[n] <= mean[0] / 2:
            part = (math.log(mean[n - 1]) - math.log(mean[0] / 2)) / (math.log(mean[n - 1]) - math.log(mean[n]))
            return n - 1 + part  # mean[n - 1] stands at distance n, that is n - 1 beyond the nearest
    return math.inf


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(x, dtype=np.float64)) for x in arrays]


def problem(length: int, channels: int, d_state: int) -> list[np.ndarray]:
    place = np.arange(length * max(channels, d_state) * 4, dtype=np.float64)
    wave = np.sin((place + 1) ** 1.5)
    dt = 0.05 + 0.4 * np.abs(wave[: length * channels]).reshape(length, channels)
    a = -np.arange(1.0, d_state + 1) * np.linspace(0.2, 2.0, channels)[:, None]
    b = wave[: length * d_state].reshape(length, d_state)
    c = wave[7 : 7 + length * d_state].reshape(length, d_state)
    return [dt, a, b, c]


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 3.0])
def test_one_component_has_the_half_life_of_its_exponential(rate: float) -> None:
    length = 80
    dt, a = np.full((length, 1), 0.5), np.array([[-rate / 0.5]])
    found = half_distance(*tensors(dt, a, np.ones((length, 1)), np.full((length, 1), -2.0)))
    assert found.item() == pytest.approx(math.log(2) / rate, rel=1e-9)


def test_one_fast_component_among_slow_ones_shortens_it() -> None:
    """99 % of the weight lies on a component that halves in 1 token: the slowest, of 100 tokens, does not say it."""
    length, rates = 120, np.array([[math.log(2) / 100, math.log(2)]])
    read = np.tile([0.01, 0.99], (length, 1))
    found = half_distance(*tensors(np.ones((length, 1)), -rates, np.ones((length, 2)), read)).item()
    slow, fast = 0.01 * 2 ** (-np.arange(1, 4) / 100), 0.99 * 2.0 ** -np.arange(1, 4)
    mean = slow + fast  # at distances 1, 2, 3
    assert mean[1] > mean[0] / 2 > mean[2]
    assert found == pytest.approx(1 + math.log(mean[1] / (mean[0] / 2)) / math.log(mean[1] / mean[2]), rel=1e-9)
    assert found < 1.1


@pytest.mark.parametrize(("length", "channels", "d_state"), [(24, 5, 3), (9, 3, 1), (2, 2, 2), (17, 4, 16)])
def test_it_is_what_plain_loops_give(length: int, channels: int, d_state: int) -> None:
    arrays = problem(length, channels, d_state)
    expected = [by_definition(channel) for channel in alphas(*arrays)]
    np.testing.assert_allclose(half_distance(*tensors(*arrays)).numpy(), expected, rtol=1e-9)


def test_channels_are_worked_on_in_parts_and_dropped_when_done(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = tensors(*problem(30, 11, 4))
    whole = half_distance(*arrays)
    assert torch.isfinite(whole).any()
    monkeypatch.setattr(half_distance_module, "CHANNELS", 3)
    torch.testing.assert_close(half_distance(*arrays), whole)


def test_a_text_that_is_too_short_and_a_channel_that_writes_nothing_have_no_number() -> None:
    slow = tensors(np.full((6, 1), 0.001), [[-1.0]], np.ones((6, 1)), np.ones((6, 1)))
    assert half_distance(*slow).item() == math.inf
    assert math.isnan(half_distance(*[x[:1] if len(x) == 6 else x for x in slow]).item())
    silent = tensors(np.full((6, 1), 0.5), [[-1.0]], np.zeros((6, 1)), np.ones((6, 1)))
    assert math.isnan(half_distance(*silent).item())


def test_the_recorded_one_is_that_of_the_recorded_operator(selective: str, checkpoint_of: Loader) -> None:
    trace = registry.trace(checkpoint_of(selective), PROMPT)
    for layer in trace.layers_with("half_distance"):
        count = layer.parts["half_distance"].sizes["channel"]
        assert layer.parts["half_distance"].sizes == layer.parts["half_life"].sizes
        chosen = sorted({0, count // 3, count - 1})
        expected = [by_definition(alpha.astype(np.float64)) for alpha in channel_mixing(layer, chosen).values]
        np.testing.assert_allclose(layer.part("half_distance")[chosen], expected, rtol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("bundled", ["mamba", "jamba"])
def test_the_slowest_component_lasts_far_longer_than_the_weights_of_most_channels(
    bundled: str, checkpoint_of: Loader
) -> None:
    """What the pages say: the two numbers differ severalfold, so one must not be shown for the other."""
    text = "One day a girl named Mina found a box in the wood. Mina called the wolf, and the wolf called the king. " * 3
    layers = registry.trace(checkpoint_of(bundled), text).layers_with("half_distance")
    slowest = np.concatenate([layer.part("half_life") for layer in layers])
    measured = np.concatenate([layer.part("half_distance") for layer in layers])
    assert np.median(slowest) > 3 * np.median(measured)
    assert np.mean(slowest > 2 * measured) > 0.6
