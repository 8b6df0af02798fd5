"""The Jamba adapter (Lieber et al. 2024): attention and Mamba layers, dense and with experts."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.jamba.modeling_jamba import JambaMambaMixer

from models.architectures.continuation import Continuing
from models.architectures.transformer import experts_block, feed_forward_site
from models.records.trace import LayerTrace
from models.switches.sites import Site
from models.tracing.adapter import Adapter
from models.tracing.capture import Capture
from models.tracing.parts import attention, experts, residual_stream, state_space


class JambaAdapter(Adapter):
    """Jamba in transformers format (ai21labs/Jamba-*). The layer plan is read from the layers, never from a pattern."""

    name: ClassVar[str] = "jamba"
    bundled: ClassVar[str] = "jamba"
    model_types: ClassVar[frozenset[str]] = frozenset({"jamba"})
    parts: ClassVar[frozenset[str]] = residual_stream.PARTS.union(
        *(kind.PARTS | kind.CAPTURED for kind in (attention, state_space, experts))
    )

    def prepare(self, model: PreTrainedModel) -> PreTrainedModel:
        """Let several tokens follow a cache."""
        for layer in _layers(model):
            if hasattr(layer, "mamba"):
                layer.mamba.__class__ = _JambaMixer
        return model

    def run(self, model: PreTrainedModel, ids: Tensor, cache: Any | None, *, last_only: bool) -> tuple[Tensor, Any]:
        """Run with the hybrid cache, which is written into."""
        given = _given(model, ids)
        out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=int(last_only), **given)
        return out.logits, out.past_key_values

    def forward_embedded(self, model: PreTrainedModel, vectors: Tensor) -> Tensor:
        """Run embeddings in place of ids."""
        found: Tensor = model.base_model(inputs_embeds=vectors, use_cache=False, **_given(model, vectors))[0]
        return found

    def blocks(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """List the decoder layers, each with attention or Mamba and a feed-forward."""
        return list(_layers(model))

    def writers(self, model: PreTrainedModel) -> Sequence[tuple[nn.Module, nn.Module | None]]:
        """List attention or Mamba, and the dense or mixed feed-forward."""
        return [(getattr(layer, "mamba", None) or layer.self_attn, layer.feed_forward) for layer in _layers(model)]

    def sites(self, model: PreTrainedModel) -> Sequence[Site]:
        """List where switches act: attention or Mamba, and a feed-forward that may have experts."""
        return [_site(i, layer, model.config.num_attention_heads) for i, layer in enumerate(_layers(model))]

    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        """Return final_layernorm."""
        return model.get_submodule("model.final_layernorm")

    def unembed(self, model: PreTrainedModel) -> nn.Module:
        """Return the output head."""
        return model.get_submodule("lm_head")

    def watched(self, model: PreTrainedModel) -> Iterable[nn.Module]:
        """Ask each layer for what its kind of mixer and feed-forward shows."""
        for layer in _layers(model):
            if hasattr(layer, "mamba"):
                yield from state_space.watched(layer.mamba)
            else:
                yield attention.output_projection(layer.self_attn)
            if (block := experts_block(layer)) is not None:
                yield from experts.watched(block)

    def layer_traces(self, model: PreTrainedModel, capture: Capture) -> tuple[LayerTrace, ...]:
        """Record the mixer of every layer, and its router where it has one."""
        return tuple(_layer(i, layer, capture) for i, layer in enumerate(_layers(model)))


class _JambaMixer(Continuing, JambaMambaMixer):
    """Jamba's Mamba mixer with the state carried from chunk to chunk."""


def _layers(model: Any) -> Iterable[Any]:
    layers: Iterable[Any] = model.model.layers
    return layers


def _site(index: int, layer: Any, heads: int) -> Site:
    feed_forward = feed_forward_site(layer.feed_forward)
    if hasattr(layer, "mamba"):
        mixer = layer.mamba
        return Site(index, "scan", mixer, mixer.out_proj, channels=mixer.intermediate_size, **feed_forward)
    mixer = layer.self_attn
    return Site(index, "attention", mixer, attention.output_projection(mixer), heads=heads, **feed_forward)


def _given(model: Any, ids: Tensor) -> dict[str, Any]:
    """Return what transformers would ask an attention layer of the cache for, where there is none: unused.

    It is positions and masks. Jamba encodes no positions, and a batch without padding needs no mask in a Mamba layer.
    """
    if any(hasattr(layer, "self_attn") for layer in _layers(model)):
        return {}
    positions = torch.arange(ids.shape[1], device=ids.device)[None]
    return {"position_ids": positions, "attention_mask": {"full_attention": None, "linear_attention": None}}


def _layer(index: int, layer: Any, capture: Capture) -> LayerTrace:
    if hasattr(layer, "mamba"):
        mixer = "mamba"
        parts = state_space.mamba_parts(layer.mamba, capture)
    else:
        mixer = "attention"
        parts = attention.attention_parts(layer.self_attn, capture)
    block = experts_block(layer)
    if block is None:
        return LayerTrace(index, mixer, "dense", parts)
    return LayerTrace(index, mixer, "moe", parts | experts.expert_parts(block, capture))
