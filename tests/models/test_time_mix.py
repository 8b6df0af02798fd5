"""Known answers of RWKV-4: R-a, R-b, R-c, R-f of EXPLAINERS.md section 5."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from models import registry
from models.tracing.adapter import Checkpoint
from models.tracing.mixing import channel_mixing

Loader = Callable[[str], Checkpoint]
PROMPT = "Once upon a time a small wolf lived in a wood. 늑대는 배가 고팠다."


def relative(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.abs(x - y).max() / np.abs(y).max())


def test_effective_attention_is_a_distribution(decaying: str, checkpoint_of: Loader) -> None:
    """R-a."""
    for layer in registry.trace(checkpoint_of(decaying), PROMPT).layers_with("effective_attention"):
        per_channel = channel_mixing(layer, range(layer.part("bonus").shape[0])).values
        assert np.abs(per_channel.sum(-1) - 1).max() < 1e-6
        assert not np.triu(per_channel, 1).any()
        assert np.allclose(per_channel.mean(0), layer.part("effective_attention"), atol=1e-6)


def test_state_over_time_is_the_direct_recurrence(decaying: str, checkpoint_of: Loader) -> None:
    """R-b: in double precision, without the running maximum."""
    for layer in registry.trace(checkpoint_of(decaying), PROMPT).layers_with("wkv_num"):
        w, k, v = (layer.part(n).astype(np.float64) for n in ("decay_rate", "key", "value"))
        num = den = np.zeros_like(w)
        for t in range(len(k)):
            num, den = np.exp(-w) * num + np.exp(k[t]) * v[t], np.exp(-w) * den + np.exp(k[t])
            scale = np.exp(layer.part("wkv_max")[t].astype(np.float64))
            assert relative(layer.part("wkv_num")[t] * scale, num) < 2e-5
            assert relative(layer.part("wkv_den")[t] * scale, den) < 2e-5


def test_final_state_is_the_live_state_of_transformers(decaying: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(decaying)
    trace = registry.trace(checkpoint, PROMPT)
    ids = torch.tensor([[token.id for token in trace.tokens]])
    _, state = registry.adapter("rwkv").step(checkpoint, ids, None)
    for layer in trace:
        for part, live in zip(("wkv_num", "wkv_den", "wkv_max"), state[2:], strict=True):
            assert relative(layer.part(part)[-1], live[0, :, layer.index].numpy()) < 1e-5


def test_half_life_halves(decaying: str, checkpoint_of: Loader) -> None:
    """R-c."""
    for layer in registry.trace(checkpoint_of(decaying), PROMPT):
        assert np.allclose(np.exp(-layer.part("decay_rate") * layer.part("half_life")), 0.5, rtol=1e-6)


def test_training_mode_and_back_keeps_the_logits(decaying: str, checkpoint_of: Loader) -> None:
    """R-f: transformers rescales weights in evaluation; the prepared model must not drift by it."""
    checkpoint = checkpoint_of(decaying)
    model = copy.deepcopy(checkpoint.model)
    ids = torch.arange(12)[None] + 40
    with torch.inference_mode():
        before = model(input_ids=ids, use_cache=True).logits
        training = model.train()(input_ids=ids, use_cache=True).logits
        after = model.eval()(input_ids=ids, use_cache=True).logits
    assert torch.equal(before, after) and torch.equal(before, training)
