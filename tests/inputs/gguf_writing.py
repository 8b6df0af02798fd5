"""Write a Llama model and its byte-level tokenizer as a GGUF file, laid out as by the converter of llama.cpp."""

import json
from pathlib import Path
from typing import Any

import gguf
import torch
from transformers import PreTrainedTokenizerFast

NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj"}  # fmt: skip


def write(path: Path, model: Any, tokenizer: PreTrainedTokenizerFast, *, rounded: bool, without: str = "") -> Path:
    """Write a file, matrices in float32 or in blocks of 8 bits (Q8_0). without: a tensor to leave out."""
    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    _vocabulary(writer, tokenizer)
    for name, tensor in _tensors(model):
        if name == without:
            continue
        array = tensor.detach().float().contiguous().numpy()
        if rounded and array.ndim == 2 and array.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(model: Any) -> list[tuple[str, torch.Tensor]]:
    weights, config = model.state_dict(), model.config
    found = [
        ("token_embd.weight", weights["model.embed_tokens.weight"]),
        ("output_norm.weight", weights["model.norm.weight"]),
    ]
    for layer in range(config.num_hidden_layers):
        for name, own in NAMES.items():
            tensor = weights[f"model.layers.{layer}.{own}.weight"]
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name)
            found.append((f"blk.{layer}.{name}.weight", tensor if heads is None else _paired(tensor, heads)))
    return found


def _paired(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Order the rows of each head as llama.cpp rotates them: the two of a pair side by side."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def _vocabulary(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerFast) -> None:
    known = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(known["vocab"], key=known["vocab"].get)
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if one in special else gguf.TokenType.NORMAL for one in tokens])
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in known["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
