"""Attention rollout: known products, rows that sum to 1, and a badge that turns red for other layers and orders."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from figure_words import strict

from models import registry
from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz import proof
from viz.gallery import samples
from viz.look.theme import LIGHT
from viz.trace.rollout import attention_rollout, attention_throughout, rollout


def made(*maps: np.ndarray) -> ModelTrace:
    """Return a trace whose layers attend by some maps (query, key), one head each."""
    trace = samples.traces()["transformer"]
    layers = tuple(
        LayerTrace(
            i, "attention", "dense", {"attention": NamedArray(one[None].astype(np.float32), ("head", "query", "key"))}
        )
        for i, one in enumerate(maps)
    )
    return dataclasses.replace(trace, layers=layers, tokens=trace.tokens[: len(maps[0])])


def test_a_product_of_two_layers_by_hand() -> None:
    first = np.array([[1.0, 0.0], [1.0, 0.0]])
    second = np.array([[1.0, 0.0], [0.5, 0.5]])
    trace = made(first, second)
    np.testing.assert_allclose(rollout(trace, 0), [[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(rollout(trace, 1), [[1, 0], [0.25 + 0.75 * 0.5, 0.375]])
    turned = rollout(made(second, first), 1)
    np.testing.assert_allclose(turned, [[1, 0], [0.5 + 0.5 * 0.25, 0.375]])
    np.testing.assert_allclose(rollout(made(np.eye(2), np.eye(2)), 1), np.eye(2))


def test_the_order_of_layers_counts() -> None:
    a = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    b = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert not np.allclose(rollout(made(a, a @ b), 1), rollout(made(b, a), 1))
    assert rollout(made(a, a), 1)[2, 0] == pytest.approx(0.25), "two steps back need two layers"
    assert rollout(made(a, a), 0)[2, 0] == 0


def test_a_model_with_other_layers_has_none(traces: dict[str, ModelTrace]) -> None:
    assert [name for name, trace in traces.items() if attention_throughout(trace)] == ["transformer"]


@pytest.fixture(scope="module")
def run() -> ModelTrace:
    if "transformer" not in registry.bundled():
        pytest.skip("no bundled Transformer")
    return registry.trace(registry.load("transformer"), "Once upon a time a wolf met a wolf: 늑대 🐺")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_rollout_of_a_real_run_is_green_at_every_layer(run: ModelTrace, lang: str) -> None:
    for layer in (0, len(run.layers) - 1):
        figure = attention_rollout(run, theme=LIGHT, t=strict(lang), layer=layer)
        check = proof.check(figure, run, layer=layer)
        assert check is not None and check.passed and check.kind == "recomputed"
        np.testing.assert_allclose(figure.data["rollout"].values.sum(1), 1, atol=1e-5)
    one = registry.trace(registry.load("transformer"), "a")
    assert proof.check(attention_rollout(one, theme=LIGHT, t=strict(lang)), one).passed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [lambda x: np.roll(x, 1, axis=0), lambda x: np.roll(x, 1, axis=1), lambda x: 1.01 * x, lambda x: x * np.nan],
)
def test_a_spoiled_rollout_is_red(run: ModelTrace, change: Callable[[np.ndarray], np.ndarray]) -> None:
    figure = attention_rollout(run, theme=LIGHT, t=strict("en"))
    other = NamedArray(change(figure.data["rollout"].values.copy()), ("query", "key"))
    assert not proof.check(dataclasses.replace(figure, data={"rollout": other}), run).passed  # type: ignore[union-attr]


def test_the_rollout_of_another_layer_is_red(run: ModelTrace) -> None:
    figure = attention_rollout(run, theme=LIGHT, t=strict("en"), layer=1)
    assert not proof.check(figure, run, layer=2).passed  # type: ignore[union-attr]
