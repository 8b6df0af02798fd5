"""Configurations of the bundled models: one width and vocabulary for all, sizes matched as the cards state.

Depth counts pairs of a mixer and a feed-forward: two Mamba blocks stand for one Transformer layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transformers import (
    JambaConfig,
    JambaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    RwkvConfig,
    RwkvForCausalLM,
)

from models.training import initial


@dataclass(frozen=True, slots=True)
class TrainingShape:
    """What decides the sizes: width, layers and heads, Mamba's blocks, and the feed-forward width of each model."""

    width: int
    layers: int
    heads: int
    mamba_blocks: int
    transformer_ffn: int
    rwkv_ffn: int
    jamba_ffn: int
    context: int = 512  # positions declared by the configurations


SMALL = TrainingShape(128, 6, 4, 10, 344, 448, 96)
FAMILY = TrainingShape(224, 6, 8, 12, 704, 944, 192)  # 5.9 M parameters each, Jamba 5.9 M active of 9.0 M


def transformer(shape: TrainingShape, vocab: int) -> PreTrainedModel:
    """Build a Llama-style decoder: RoPE, RMSNorm, SwiGLU."""
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=shape.width,
        intermediate_size=shape.transformer_ffn,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def mamba(shape: TrainingShape, vocab: int) -> PreTrainedModel:
    """Build a Mamba with d_inner twice the width and d_state 16."""
    config = MambaConfig(
        vocab_size=vocab,
        hidden_size=shape.width,
        state_size=16,
        num_hidden_layers=shape.mamba_blocks,
        expand=2,
        conv_kernel=4,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return MambaForCausalLM(config)


def rwkv(shape: TrainingShape, vocab: int) -> PreTrainedModel:
    """Build an RWKV-4; time_first gets the zigzag that transformers' initialisation loses."""
    config = RwkvConfig(
        vocab_size=vocab,
        hidden_size=shape.width,
        attention_hidden_size=shape.width,
        intermediate_size=shape.rwkv_ffn,
        num_hidden_layers=shape.layers,
        context_length=shape.context,
        rescale_every=0,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = RwkvForCausalLM(config)
    initial.bonuses(model)
    return model


def jamba(shape: TrainingShape, vocab: int) -> PreTrainedModel:
    """Build one period of Jamba's published pattern: attention at layer 4 of 8, 8 experts at odd layers, top 2."""
    config = JambaConfig(
        vocab_size=vocab,
        hidden_size=shape.width,
        intermediate_size=shape.jamba_ffn,
        num_hidden_layers=8,
        num_attention_heads=shape.heads,
        num_key_value_heads=2,
        attn_layer_period=8,
        attn_layer_offset=4,
        expert_layer_period=2,
        expert_layer_offset=1,
        num_experts=8,
        num_experts_per_tok=2,
        mamba_d_state=16,
        mamba_d_conv=4,
        mamba_expand=2,
        router_aux_loss_coef=0.01,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    model = JambaForCausalLM(config)
    initial.step_sizes(model)
    return model


BUILDERS: Mapping[str, Callable[[TrainingShape, int], PreTrainedModel]] = {
    "transformer": transformer,
    "mamba": mamba,
    "rwkv": rwkv,
    "jamba": jamba,
}
