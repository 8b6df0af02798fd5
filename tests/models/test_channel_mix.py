"""RWKV-4's token shift and channel mixing as recorded: against transformers' own modules, and rebuilt in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models import registry
from models.reconstruction import channel_mix, time_mix
from models.tracing.adapter import Checkpoint
from models.tracing.parts.channel_mix import PLACES, SHARES, spread

Loader = Callable[[str], Checkpoint]
PROMPT = "Once upon a time a small wolf lived in a wood. 늑대는 배가 고팠다."
CLOSE = 2e-5


def test_the_hidden_layer_is_that_of_transformers(decaying: str, checkpoint_of: Loader) -> None:
    """Its key before the ReLU, seen by a hook of this test in a run of its own."""
    checkpoint = checkpoint_of(decaying)
    trace = registry.trace(checkpoint, PROMPT)
    seen: list[torch.Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: seen.append(output[0]))
        for name, module in checkpoint.model.named_modules()
        if name.endswith("feed_forward.key")
    ]
    registry.adapter("rwkv").step(checkpoint, torch.tensor([[token.id for token in trace.tokens]]), None)
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(trace.layers)
    for layer, known in zip(trace, seen, strict=True):
        np.testing.assert_allclose(layer.part("ffn_key"), known.numpy(), rtol=1e-4, atol=1e-5)
        share = channel_mix.zero_share(layer)
        assert share.shape == (len(trace.tokens),) and ((share > 0) & (share < 1)).all()


def test_it_rebuilds_the_output_and_the_shift_rebuilds_what_is_projected(decaying: str, checkpoint_of: Loader) -> None:
    for layer in registry.trace(checkpoint_of(decaying), PROMPT):
        assert channel_mix.mix_error(layer).max() < CLOSE
        share = layer.part("shift_share").astype(np.float64)
        assert share.shape[0] == len(SHARES)
        assert channel_mix.shift_error(share, layer).max() < CLOSE
        swapped = channel_mix.shift_error(share[::-1], layer).max()
        assert np.allclose(share, share[::-1]) or swapped > 1e-3


def test_the_gated_map_is_the_mean_of_gate_times_p(decaying: str, checkpoint_of: Loader) -> None:
    for layer in registry.trace(checkpoint_of(decaying), PROMPT):
        gated = layer.part("gated_attention")
        known = time_mix.gated_rows(layer, range(len(gated)))
        np.testing.assert_allclose(gated, known, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(gated.sum(1), layer.part("receptance").mean(1), rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 300])
def test_the_kept_places_hold_the_first_and_the_last(count: int) -> None:
    places = spread(count, PLACES)
    assert places[0] == 0 and places[-1] == count - 1 and len(places) == min(count, PLACES)
    assert places == sorted(set(places))


def test_one_token_has_nothing_before_it(decaying: str, checkpoint_of: Loader) -> None:
    trace = registry.trace(checkpoint_of(decaying), "wolf")
    for layer in trace:
        source = layer.part("shift_from")
        assert not source[:, 1, 0].any()  # before the first token
        assert channel_mix.shift_error(layer.part("shift_share").astype(np.float64), layer).max() < CLOSE
