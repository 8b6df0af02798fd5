"""The Mamba adapter (Gu & Dao 2023)."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.capture import Capture
from models.parts import state_space
from models.records import LayerTrace
from models.spec import Adapter


class MambaAdapter(Adapter):
    """Mamba-1 in transformers format (state-spaces/mamba-*-hf)."""

    name: ClassVar[str] = "mamba"
    bundled: ClassVar[str] = "mamba"
    model_types: ClassVar[frozenset[str]] = frozenset({"mamba"})
    parts: ClassVar[frozenset[str]] = state_space.PARTS

    def forward(self, model: PreTrainedModel, ids: Tensor, cache: Any | None, *, last_only: bool) -> tuple[Tensor, Any]:
        """Run with the recurrent cache; after a cache, one token at a time (see one_by_one)."""
        return one_by_one(model, ids, cache, name="cache_params", last_only=last_only)

    def watched(self, model: PreTrainedModel) -> Iterable[nn.Module]:
        """Ask every mixer for what its selection was made of."""
        for layer in _blocks(model):
            yield from state_space.watched(layer.mixer)

    def layer_traces(self, model: PreTrainedModel, capture: Capture) -> tuple[LayerTrace, ...]:
        """Record the selective state space of every layer; Mamba has no feed-forward."""
        layers = _blocks(model)
        return tuple(
            LayerTrace(i, "mamba", "none", *state_space.mamba_parts(layer.mixer, capture))
            for i, layer in enumerate(layers)
        )


def _blocks(model: Any) -> Iterable[Any]:
    layers: Iterable[Any] = model.backbone.layers
    return layers


def one_by_one(
    model: PreTrainedModel, ids: Tensor, cache: Any | None, *, name: str, last_only: bool
) -> tuple[Tensor, Any]:
    """Run a whole prompt at once, but continue a cache token by token.

    transformers 5.23 restarts the recurrent state from zero when several tokens follow a cache (Mamba and Jamba),
    while its single-token path continues it correctly.
    """
    chunks = (ids,) if cache is None else ids.split(1, dim=1)
    logits = []
    for chunk in chunks:
        out = model(input_ids=chunk, use_cache=True, logits_to_keep=int(last_only), **{name: cache})
        cache = getattr(out, name)
        logits.append(out.logits)
    return (logits[-1] if last_only else torch.cat(logits, dim=1)), cache
