"""Known answers of the mixture of experts and the hybrid plan: J-a to J-d, J-g, J-h of EXPLAINERS.md section 5."""

from collections.abc import Callable

import numpy as np
import torch

from models import registry
from models.counting import accounting
from models.tracing.adapter import Checkpoint

Loader = Callable[[str], Checkpoint]
PROMPT = "Once upon a time a small wolf lived in a wood. 늑대는 배가 고팠다."


def router_weights(checkpoint: Checkpoint) -> list[torch.Tensor]:
    return [p for n, p in checkpoint.model.named_parameters() if n.endswith(("router.weight", "mlp.gate.weight"))]


def test_router_layers_are_the_layers_of_the_plan(routed: str, checkpoint_of: Loader) -> None:
    """J-a: as many as transformers' own router_logits, at the places the configuration says."""
    checkpoint = checkpoint_of(routed)
    trace = registry.trace(checkpoint, PROMPT)
    ids = torch.tensor([[token.id for token in trace.tokens]])
    with torch.inference_mode():
        theirs = checkpoint.model(input_ids=ids, output_router_logits=True, use_cache=False).router_logits
    routed_layers = trace.layers_with("router_logits")
    assert len(theirs) == len(routed_layers)
    plan = [layer.index for layer in accounting.shape_of(checkpoint.config).layers if layer.ffn == "moe"]
    assert [layer.index for layer in routed_layers] == plan
    for layer, logits in zip(routed_layers, theirs, strict=True):  # J-b: raw, rows do not sum to one
        mine = layer.part("router_logits")
        assert np.allclose(mine, logits.numpy(), rtol=1e-5, atol=1e-6)
        assert np.abs(mine.sum(-1) - 1).max() > 1e-3


def test_every_token_takes_top_k_slots_and_keeps_the_right_mass(routed: str, checkpoint_of: Loader) -> None:
    """J-c: kept mass below one where weights stay as routed (Jamba), exactly one where renormalised (Mixtral)."""
    checkpoint = checkpoint_of(routed)
    trace = registry.trace(checkpoint, PROMPT)
    for layer in trace.layers_with("router_probs"):
        probs, chosen, weights = (layer.part(n) for n in ("router_probs", "chosen_experts", "chosen_weights"))
        counts = np.bincount(chosen.ravel(), minlength=probs.shape[1])
        assert counts.sum() == len(trace.tokens) * checkpoint.config.num_experts_per_tok
        assert np.abs(probs.sum(-1) - 1).max() < 1e-6
        assert (weights <= 1).all()
        best = np.sort(probs, axis=1)[:, ::-1][:, : chosen.shape[1]]
        assert np.allclose(np.take_along_axis(probs, chosen, 1), best)
        if checkpoint.config.model_type == "jamba":
            assert (weights.sum(-1) < 1).all() and np.allclose(weights, best, rtol=1e-5)
        else:
            assert np.allclose(weights.sum(-1), 1)


def test_only_attention_layers_of_a_hybrid_grow(checkpoint_of: Loader) -> None:
    """J-g."""
    checkpoint = checkpoint_of("seeded-jamba")
    adapter = registry.adapter(checkpoint.architecture)
    sizes = []
    for length in (4, 9):
        _, cache = adapter.step(checkpoint, torch.ones(1, length, dtype=torch.long), None)
        layers = [type("One", (), {"layers": [layer]})() for layer in cache.layers]
        sizes.append([adapter.cache_bytes(one) for one in layers])
    grown = [i for i, (a, b) in enumerate(zip(*sizes, strict=True)) if a != b]
    assert grown == [i for i, kind in enumerate(checkpoint.config.layers_block_type) if kind == "attention"]


def test_published_jamba_numbers() -> None:
    """J-h."""
    from transformers import JambaConfig

    shape = accounting.shape_of(JambaConfig())
    kv = accounting.kv_bytes(shape, context=262_144, dtype="bfloat16")
    assert sum(layer.mixer == "attention" for layer in shape.layers) == 4
    assert kv == 4 * 2**30
    assert round(accounting.params_total(shape) / 1e9, 2) == 51.57
    assert round(accounting.params_active(shape) / 1e9, 2) == 12.11
