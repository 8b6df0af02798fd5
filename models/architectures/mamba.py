"""The Mamba adapter (Gu & Dao 2023)."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.mamba.modeling_mamba import MambaMixer

from models.architectures.continuation import Continuing
from models.records.trace import LayerTrace
from models.switches.sites import Site
from models.tracing.adapter import Adapter
from models.tracing.capture import Capture
from models.tracing.parts import residual_stream, state_space


class MambaAdapter(Adapter):
    """Mamba-1 in transformers format (state-spaces/mamba-*-hf)."""

    name: ClassVar[str] = "mamba"
    bundled: ClassVar[str] = "mamba"
    model_types: ClassVar[frozenset[str]] = frozenset({"mamba"})
    parts: ClassVar[frozenset[str]] = residual_stream.PARTS - {"ffn_write"} | state_space.PARTS | state_space.CAPTURED

    def prepare(self, model: PreTrainedModel) -> PreTrainedModel:
        """Let several tokens follow a cache."""
        for layer in _blocks(model):
            layer.mixer.__class__ = _MambaMixer
        return model

    def run(self, model: PreTrainedModel, ids: Tensor, cache: Any | None, *, last_only: bool) -> tuple[Tensor, Any]:
        """Run with the recurrent cache, which is written into."""
        out = model(input_ids=ids, cache_params=cache, use_cache=True, logits_to_keep=int(last_only))
        return out.logits, out.cache_params

    def blocks(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """List the blocks, each a norm and a mixer."""
        return list(_blocks(model))

    def writers(self, model: PreTrainedModel) -> Sequence[tuple[nn.Module, nn.Module | None]]:
        """List the mixers; no block has a feed-forward."""
        return [(layer.mixer, None) for layer in _blocks(model)]

    def sites(self, model: PreTrainedModel) -> Sequence[Site]:
        """List where switches act: mixers alone."""
        mixers = [layer.mixer for layer in _blocks(model)]
        return [Site(i, "scan", one, one.out_proj, channels=one.intermediate_size) for i, one in enumerate(mixers)]

    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        """Return norm_f."""
        return model.get_submodule("backbone.norm_f")

    def unembed(self, model: PreTrainedModel) -> nn.Module:
        """Return the output head, whose weights are the embedding's where they are tied."""
        return model.get_submodule("lm_head")

    def stream_dtype(self, model: PreTrainedModel) -> torch.dtype:
        """Return float32 where the configuration keeps the stream so whatever the weights are."""
        return torch.float32 if model.config.residual_in_fp32 else model.dtype

    def watched(self, model: PreTrainedModel) -> Iterable[nn.Module]:
        """Ask every mixer for what its selection was made of."""
        for layer in _blocks(model):
            yield from state_space.watched(layer.mixer)

    def layer_traces(self, model: PreTrainedModel, capture: Capture) -> tuple[LayerTrace, ...]:
        """Record the selective state space of every layer; Mamba has no feed-forward."""
        layers = _blocks(model)
        return tuple(
            LayerTrace(i, "mamba", "none", state_space.mamba_parts(layer.mixer, capture))
            for i, layer in enumerate(layers)
        )


def _blocks(model: Any) -> Iterable[Any]:
    layers: Iterable[Any] = model.backbone.layers
    return layers


class _MambaMixer(Continuing, MambaMixer):
    """Mamba's mixer with the state carried from chunk to chunk."""
