"""The configurations of the bundled models: same width and vocabulary, sizes matched as the card states."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
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

D_MODEL = 128
CONTEXT = 512  # positions declared by the configurations


def transformer(vocab: int) -> PreTrainedModel:
    """Build a Llama-style decoder: RoPE, RMSNorm, SwiGLU, 6 layers of 4 heads."""
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        intermediate_size=344,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def mamba(vocab: int) -> PreTrainedModel:
    """Build a Mamba of 10 blocks, d_inner 256, d_state 16."""
    config = MambaConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        state_size=16,
        num_hidden_layers=10,
        expand=2,
        conv_kernel=4,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return MambaForCausalLM(config)


def rwkv(vocab: int) -> PreTrainedModel:
    """Build an RWKV-4 of 6 layers; time_first gets the zigzag that transformers' initialisation loses."""
    config = RwkvConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        attention_hidden_size=D_MODEL,
        intermediate_size=448,
        num_hidden_layers=6,
        context_length=CONTEXT,
        rescale_every=0,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = RwkvForCausalLM(config)
    with torch.no_grad():
        blocks: Any = model.rwkv.blocks
        for block in blocks:
            zigzag = torch.tensor([(i + 1) % 3 - 1 for i in range(D_MODEL)]) * 0.5
            block.attention.time_first.copy_(math.log(0.3) + zigzag)  # Peng et al. 2023, appendix E
    return model


def jamba(vocab: int) -> PreTrainedModel:
    """Build one period of Jamba's published pattern: attention at layer 4 of 8, 8 experts at odd layers, top 2."""
    config = JambaConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        intermediate_size=96,
        num_hidden_layers=8,
        num_attention_heads=4,
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
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    model = JambaForCausalLM(config)
    with torch.no_grad():  # Mamba's own initialisation of the step size (Gu & Dao 2023, section 3.6), absent upstream
        mixers: list[Any] = [module for module in model.modules() if hasattr(module, "dt_proj")]
        for module in mixers:
            low, high = math.log(1e-3), math.log(1e-1)
            dt = torch.exp(torch.rand_like(module.dt_proj.bias) * (high - low) + low).clamp(min=1e-4)
            module.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
    return model


BUILDERS: Mapping[str, Callable[[int], PreTrainedModel]] = {
    "transformer": transformer,
    "mamba": mamba,
    "rwkv": rwkv,
    "jamba": jamba,
}
