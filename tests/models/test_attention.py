"""T-a and T-b: the drawn attention is transformers' own."""

from collections.abc import Callable

import numpy as np
import torch

from models import registry
from models.tracing.adapter import Checkpoint

Loader = Callable[[str], Checkpoint]
PROMPT = "Once upon a time a wolf met a wolf. 늑대가 늑대를 만났다."


def test_rows_sum_to_one_and_the_future_is_zero(attentive: str, checkpoint_of: Loader) -> None:
    """T-a."""
    trace = registry.trace(checkpoint_of(attentive), PROMPT)
    assert trace.layers_with("attention")
    for layer in trace.layers_with("attention"):
        weights = layer.part("attention")
        assert np.abs(weights.sum(-1) - 1).max() < 1e-6
        assert not np.triu(weights, 1).any()


def test_attention_equals_the_eager_attentions_of_transformers(attentive: str, checkpoint_of: Loader) -> None:
    """T-b: our softmax of the hooked q and k against the weights that transformers' eager path returns.

    A score s in float32 is rounded by eps |s|, and exp makes of that a relative error of the weight.
    """
    checkpoint = checkpoint_of(attentive)
    trace = registry.trace(checkpoint, PROMPT)
    ids = torch.tensor([[token.id for token in trace.tokens]])
    eager = type(checkpoint.model)(checkpoint.config.__class__.from_dict(checkpoint.config.to_dict()))
    eager.set_attn_implementation("eager")
    eager.load_state_dict(checkpoint.model.state_dict())
    with torch.inference_mode():
        theirs = eager.eval()(input_ids=ids, output_attentions=True, use_cache=False).attentions
    layers = trace.layers_with("attention")
    assert len([a for a in theirs if a is not None]) == len(layers)
    for layer, weights in zip(layers, theirs, strict=True):
        scores = layer.part("attention_logits")
        largest = max(8.0, np.abs(scores[np.isfinite(scores)]).max())
        assert np.abs(layer.part("attention") - weights[0].numpy()).max() < np.finfo(np.float32).eps * largest


def test_value_norm_is_zero_where_attention_is(attentive: str, checkpoint_of: Loader) -> None:
    for layer in registry.trace(checkpoint_of(attentive), PROMPT).layers_with("value_norm"):
        norm, weights = layer.part("value_norm"), layer.part("attention")
        assert (norm >= 0).all()
        assert not norm[weights == 0].any()
