"""The bundled models on our operators against transformers' own eager path: logits, decoding and every gradient."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from models import registry
from models.operators import backends
from models.sources import weights
from models.tracing.adapter import Checkpoint

LENGTHS = (1, 7, 63, 200)
TIE = 1e-6  # of router probabilities, which float32 holds to 6e-8
LOGITS, GRADIENT = 5e-6, 2e-5  # both in float32, relative to the largest entry of the tensor
EAGER = {"attn_implementation": "eager", "experts_implementation": "eager"}  # read by the models that have them
CACHES = ("past_key_values", "cache_params", "state")  # what transformers calls its cache, by architecture


class Pair(NamedTuple):
    """One bundled model as we load it, and as transformers runs it without any of our parts."""

    ours: Checkpoint
    eager: Any


@pytest.fixture(scope="module")
def pair_of() -> Callable[[str], Pair]:
    """Return a loader that keeps what it loaded."""
    loaded: dict[str, Pair] = {}

    def get(name: str) -> Pair:
        if name not in loaded:
            bundled = registry.adapter(name).bundled
            eager = AutoModelForCausalLM.from_pretrained(
                weights.CHECKPOINTS / bundled, dtype=torch.float32, **EAGER
            ).eval()
            loaded[name] = Pair(registry.load(bundled), eager)
        return loaded[name]

    return get


def relative(x: Tensor, reference: Tensor) -> float:
    return ((x - reference).abs().max() / reference.abs().max()).item()


def prompts(batch: int, length: int, vocab: int) -> Tensor:
    ids = torch.arange(batch * length).view(batch, length)
    return (ids * ids * 37 + ids * 101 + 11) % vocab


def loss(model: nn.Module, ids: Tensor) -> Tensor:
    logits = model(input_ids=ids, use_cache=False).logits
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def gradients(model: nn.Module, ids: Tensor) -> dict[str, Tensor]:
    """Return the gradient of the loss for every parameter, and leave the model as it was."""
    model.requires_grad_(True)
    try:
        loss(model, ids).backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    finally:
        model.requires_grad_(False)
        for parameter in model.parameters():
            parameter.grad = None


@pytest.mark.parametrize("l", LENGTHS)
@pytest.mark.parametrize("b", (1, 3))
@pytest.mark.parametrize("name", [a.name for a in registry.ADAPTERS])
def test_logits(pair_of: Callable[[str], Pair], name: str, b: int, l: int) -> None:
    ours, eager = pair_of(name)
    ids = prompts(b, l, ours.config.vocab_size)
    with torch.inference_mode():
        logits, _ = registry.adapter(name).forward(ours.model, ids, None, last_only=False)
        with backends.use("transformers"):
            expected = eager(input_ids=ids, use_cache=False).logits
    settled = settled_routes(ours, ids)
    assert settled.float().mean() > 0.8
    assert relative(logits[settled], expected[settled]) < LOGITS


def settled_routes(checkpoint: Checkpoint, ids: Tensor) -> Tensor:
    """Return (b, l): whether neither a token nor any before it has two experts tied for the last place.

    Where the probabilities differ by less than float32 can tell, rounding decides the route, and what follows differs.
    """
    config = checkpoint.config
    top = getattr(config, "num_experts_per_tok", 0)
    if not hasattr(config, "num_experts"):
        return torch.ones_like(ids, dtype=torch.bool)
    with torch.inference_mode():
        routes = checkpoint.model(input_ids=ids, use_cache=False, output_router_logits=True).router_logits
    margins = []
    for logits in routes:
        best = logits.view(*ids.shape, -1).softmax(-1).topk(top + 1, dim=-1).values  # (b, l, top + 1)
        margins.append(best[..., top - 1] - best[..., top])
    return (torch.stack(margins).amin(0) > TIE).cumprod(1).bool()


@pytest.mark.parametrize(("b", "l"), ((1, 33), (3, 63)))
@pytest.mark.parametrize("name", [a.name for a in registry.ADAPTERS])
def test_gradient_of_every_parameter(pair_of: Callable[[str], Pair], name: str, b: int, l: int) -> None:
    ours, eager = pair_of(name)
    ids = prompts(b, l, ours.config.vocab_size)
    with backends.use("transformers"):
        expected = gradients(eager, ids)
    found = gradients(ours.model, ids)
    assert set(found) == set(expected) == {name for name, _ in ours.model.named_parameters()}
    for parameter, gradient in expected.items():
        assert relative(found[parameter], gradient) < GRADIENT, parameter


@pytest.mark.parametrize("name", [a.name for a in registry.ADAPTERS])
def test_decoding_one_sequence(pair_of: Callable[[str], Pair], name: str) -> None:
    """At batch 1, after a whole prompt and one token at a time, transformers' own caches are right."""
    ours, eager = pair_of(name)
    ids = prompts(1, 40, ours.config.vocab_size)
    cache, kept = None, {}
    for piece in ids.split([25] + [1] * 15, dim=1):
        logits, cache = registry.adapter(name).step(ours, piece, cache)
        with torch.inference_mode(), backends.use("transformers"):
            out = eager(input_ids=piece, use_cache=True, **kept)
        kept = {key: out[key] for key in CACHES if key in out}
        assert len(kept) == 1
        assert relative(logits, out.logits[:, -1]) < LOGITS
