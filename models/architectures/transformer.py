"""The Transformer adapter: decoder-only models with softmax attention, dense or with experts."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import PreTrainedModel

from models.records.trace import LayerTrace
from models.switches.sites import Site
from models.tracing.adapter import Adapter
from models.tracing.capture import Capture
from models.tracing.parts import attention, experts, residual_stream

LAYER_LISTS = ("layers", "h")  # Llama, Qwen2, Mixtral, GPT-NeoX; GPT-2
NORM_NAMES = ("norm", "final_layer_norm", "ln_f")  # Llama, Mistral, Qwen2, Mixtral; GPT-NeoX; GPT-2
ATTENTION_NAMES = ("self_attn", "attn", "attention")
FEED_FORWARD_NAMES = ("mlp", "block_sparse_moe", "feed_forward")


class TransformerAdapter(Adapter):
    """GPT-2, GPT-NeoX (Pythia), Llama, Mistral, Qwen2 and Mixtral."""

    name: ClassVar[str] = "transformer"
    bundled: ClassVar[str] = "transformer"
    model_types: ClassVar[frozenset[str]] = frozenset({"gpt2", "gpt_neox", "llama", "mistral", "qwen2", "mixtral"})
    parts: ClassVar[frozenset[str]] = residual_stream.PARTS.union(
        *(kind.PARTS | kind.CAPTURED for kind in (attention, experts))
    )

    def run(self, model: PreTrainedModel, ids: Tensor, cache: Any | None, *, last_only: bool) -> tuple[Tensor, Any]:
        """Run with a growing key-value cache."""
        out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=int(last_only))
        return out.logits, out.past_key_values

    def blocks(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """List the decoder layers; GPT-NeoX adds attention and feed-forward at once, the others one after the other."""
        return list(_layers(model))

    def writers(self, model: PreTrainedModel) -> Sequence[tuple[nn.Module, nn.Module | None]]:
        """List attention and the dense or mixed feed-forward."""
        return [(_first(layer, ATTENTION_NAMES), _first(layer, FEED_FORWARD_NAMES)) for layer in _layers(model)]

    def sites(self, model: PreTrainedModel) -> Sequence[Site]:
        """List where switches act: attention with its heads, and a feed-forward that may have experts."""
        heads = model.config.num_attention_heads
        return [_site(i, layer, heads) for i, layer in enumerate(_layers(model))]

    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        """Return the norm after the last layer."""
        return _first(model.base_model, NORM_NAMES)

    def unembed(self, model: PreTrainedModel) -> nn.Module:
        """Return the output head, which some of them share with the embedding."""
        return _first(model, ("lm_head",))

    def watched(self, model: PreTrainedModel) -> Iterable[nn.Module]:
        """Ask for the output projections and the expert blocks."""
        for layer in _layers(model):
            yield attention.output_projection(_first(layer, ATTENTION_NAMES))
            if (block := experts_block(layer)) is not None:
                yield from experts.watched(block)

    def layer_traces(self, model: PreTrainedModel, capture: Capture) -> tuple[LayerTrace, ...]:
        """Record attention of every layer, and its router where it has one."""
        traces = []
        for index, layer in enumerate(_layers(model)):
            parts = attention.attention_parts(_first(layer, ATTENTION_NAMES), capture)
            block = experts_block(layer)
            if block is not None:
                parts |= experts.expert_parts(block, capture)
            traces.append(LayerTrace(index, "attention", "dense" if block is None else "moe", parts))
        return tuple(traces)


def _site(index: int, layer: nn.Module, heads: int) -> Site:
    mixer = _first(layer, ATTENTION_NAMES)
    block = feed_forward_site(_first(layer, FEED_FORWARD_NAMES), normalised=True)
    return Site(index, "attention", mixer, attention.output_projection(mixer), heads=heads, **block)


def feed_forward_site(block: nn.Module, *, normalised: bool = False) -> dict[str, Any]:
    """Return what a site says of a feed-forward; normalised: whether the weights of chosen experts add up to 1."""
    if not hasattr(block, "experts"):
        return {"feed_forward": block}
    router: Any = experts.router_of(block)
    return {"feed_forward": block, "router": router, "experts": router.num_experts, "normalised": normalised}


def experts_block(layer: nn.Module) -> nn.Module | None:
    """Return the mixture-of-experts block of a decoder layer, or None when its feed-forward is dense."""
    for name in FEED_FORWARD_NAMES:
        block = getattr(layer, name, None)
        if block is not None and hasattr(block, "experts"):
            found: nn.Module = block
            return found
    return None


def _layers(model: PreTrainedModel) -> nn.ModuleList:
    found: Any = _first(model.base_model, LAYER_LISTS)
    layers: nn.ModuleList = found
    return layers


def _first(module: nn.Module, names: tuple[str, ...]) -> nn.Module:
    for name in names:
        if hasattr(module, name):
            found: nn.Module = getattr(module, name)
            return found
    raise TypeError(f"{type(module).__name__} has none of {names}")
