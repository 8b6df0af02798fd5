"""Build the four small models, equal in active parameters: two layers of width 64 or their equivalent."""

from collections.abc import Callable, Mapping
from pathlib import Path
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

from models import registry
from models.errors import SourceError
from models.sources import resolve
from models.tracing.adapter import Checkpoint
from models.training import initial

D_MODEL = 64
INIT = 0.08  # standard deviation of matrices and embeddings where the architecture has no rule of its own
POSITIONS = 1024  # declared by the configurations; longer than every cell
FOLDER = resolve.CHECKPOINTS / "micro"
NO_TEXT: dict[str, Any] = {"tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": None}


def transformer(vocab: int) -> PreTrainedModel:
    """Build a Llama-style decoder of 2 layers: RoPE, RMSNorm, SwiGLU, 2 heads."""
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        intermediate_size=252,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        initializer_range=INIT,
        pad_token_id=None,
        **NO_TEXT,
    )
    return LlamaForCausalLM(config)


def mamba(vocab: int) -> PreTrainedModel:
    """Build a Mamba of 4 blocks, two for each layer of mixer and feed-forward (Gu & Dao 2023, section 3.4)."""
    config = MambaConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        state_size=16,
        num_hidden_layers=4,
        expand=2,
        conv_kernel=4,
        pad_token_id=None,
        **NO_TEXT,
    )
    return MambaForCausalLM(config)


def rwkv(vocab: int) -> PreTrainedModel:
    """Build an RWKV-4 of 2 layers; time_first gets the zigzag that transformers' initialisation loses."""
    config = RwkvConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        attention_hidden_size=D_MODEL,
        intermediate_size=348,
        num_hidden_layers=2,
        context_length=POSITIONS,
        rescale_every=0,
        **NO_TEXT,
    )
    model = RwkvForCausalLM(config)
    with torch.no_grad():
        model.rwkv.embeddings.weight.normal_(0, INIT)  # it is the head too: upstream's 1e-4 would start it at zero
    initial.bonuses(model)
    return model


def jamba(vocab: int) -> PreTrainedModel:
    """Build a Jamba of 2 layers: Mamba with a dense feed-forward, attention with 4 experts of which 2 are used."""
    config = JambaConfig(
        vocab_size=vocab,
        hidden_size=D_MODEL,
        intermediate_size=140,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        attn_layer_period=2,
        attn_layer_offset=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        num_experts=4,
        num_experts_per_tok=2,
        mamba_d_state=16,
        mamba_d_conv=4,
        mamba_expand=2,
        mamba_dt_rank=4,
        router_aux_loss_coef=0.01,
        max_position_embeddings=POSITIONS,
        initializer_range=INIT,
        pad_token_id=None,
        **NO_TEXT,
    )
    model = JambaForCausalLM(config)
    initial.step_sizes(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv1d):
            module.reset_parameters()  # as Mamba's: INIT would leave four taps next to nothing
    return model


BUILDERS: Mapping[str, Callable[[int], PreTrainedModel]] = {
    "transformer": transformer,
    "mamba": mamba,
    "rwkv": rwkv,
    "jamba": jamba,
}


def build(architecture: str, vocab: int, *, seed: int) -> PreTrainedModel:
    """Build one architecture with seeded weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BUILDERS[architecture](vocab)
    return registry.adapter_for(model.config, source=architecture).prepare(model)


def folder(task: str, architecture: str) -> Path:
    """Return the folder of the trained small model of a task."""
    return FOLDER / task / architecture


def load(task: str, architecture: str, *, device: str = "cpu") -> Checkpoint:
    """Load a trained micro-model in float32, without tokenizer; SourceError when it is not there."""
    place = folder(task, architecture)
    if not saved(place):
        message = f"there is no trained {architecture} for {task} in {place}: python -m models recall train makes it"
        raise SourceError("errors.source_not_found", message, source=str(place))
    return registry.load(str(place), device=device)


def trained(task: str) -> tuple[str, ...]:
    """Return the architectures that have a trained micro-model for a task."""
    return tuple(name for name in BUILDERS if saved(folder(task, name)))


def saved(place: Path) -> bool:
    """Return whether a folder contains a complete model: configuration and weights."""
    return all((place / name).is_file() for name in ("config.json", "model.safetensors"))
