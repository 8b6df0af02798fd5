"""Take a loaded model apart: every parameter once, under the role that its module has in the block."""

import re
from collections.abc import Iterable, Sequence

from torch import nn

from models.counting import accounting
from models.records.anatomy import Anatomy, BlockKind, Component
from models.tracing.adapter import Adapter, Checkpoint

OTHER = "other"  # a parameter that no role names
# Role of a parameter by its path inside a block, the first that fits. Paths of transformers' modules.
INSIDE: tuple[tuple[str, str], ...] = (
    (r"(ln_1|input_layernorm|ln1|norm)\.", "norm_mixer"),
    (r"(ln_2|post_attention_layernorm|pre_ff_layernorm|ln2)\.", "norm_ffn"),
    (r"pre_ln\.", "embedding_norm"),  # RWKV: in the first block, before what that block adds to
    (r"(attn\.c_attn|attention\.query_key_value)\.", "qkv"),
    (r"self_attn\.q_proj\.", "q"),
    (r"self_attn\.k_proj\.", "k"),
    (r"self_attn\.v_proj\.", "v"),
    (r"(self_attn\.o_proj|attn\.c_proj|attention\.dense)\.", "o"),
    (r"(mixer|mamba)\.in_proj\.", "in_proj"),
    (r"(mixer|mamba)\.conv1d\.", "conv"),
    (r"(mixer|mamba)\.x_proj\.", "x_proj"),
    (r"(mixer|mamba)\.(dt|b|c)_layernorm\.", "inner_norms"),
    (r"(mixer|mamba)\.dt_proj\.", "dt_proj"),
    (r"(mixer|mamba)\.(A_log|D)$", "scan"),
    (r"(mixer|mamba)\.out_proj\.", "out_proj"),
    (r"attention\.time_mix_\w+$", "shift"),
    (r"attention\.(time_decay|time_first)$", "wkv"),
    (r"attention\.receptance\.", "r"),
    (r"attention\.key\.", "rwkv_k"),
    (r"attention\.value\.", "rwkv_v"),
    (r"attention\.output\.", "rwkv_o"),
    (r"feed_forward\.time_mix_\w+$", "ffn_shift"),
    (r"feed_forward\.receptance\.", "ffn_r"),
    (r"feed_forward\.key\.", "ffn_k"),
    (r"feed_forward\.value\.", "ffn_v"),
    (r"(mlp\.gate|feed_forward\.router)\.", "router"),
    (r"(mlp|feed_forward)\.experts\.", "experts"),
    (r"(mlp|feed_forward)\.gate_proj\.", "gate"),
    (r"mlp\.(c_fc|dense_h_to_4h)\.|(mlp|feed_forward)\.up_proj\.", "up"),
    (r"mlp\.(c_proj|dense_4h_to_h)\.|(mlp|feed_forward)\.down_proj\.", "down"),
)
AROUND: tuple[tuple[str, str], ...] = (
    (r"(wte|embed_in|embed_tokens|embeddings)\.weight$", "embedding"),
    (r"wpe\.weight$", "positions"),
    (r"(ln_f|norm|norm_f|final_layer_norm|final_layernorm|ln_out)\.(weight|bias)$", "final_norm"),
    (r"(lm_head|embed_out|head)\.(weight|bias)$", "head"),
)
Named = tuple[str, nn.Parameter]


def anatomy(adapter: Adapter, checkpoint: Checkpoint) -> Anatomy:
    """Return every part of a model with its shapes and parameters; a weight that two modules share counts once."""
    model, shape = checkpoint.model, accounting.shape_of(checkpoint.config)
    inside: set[int] = set()
    kinds: dict[tuple[str, str, tuple[Component, ...]], list[int]] = {}
    around: list[Component] = []
    for index, block in enumerate(adapter.blocks(model)):
        named = list(block.named_parameters())
        inside |= {id(one) for _, one in named}
        parts = _components(named, INSIDE)
        around += [one for one in parts if one.key == "embedding_norm"]
        layer = shape.layers[index]
        key = layer.mixer, layer.ffn, tuple(one for one in parts if one.key != "embedding_norm")
        kinds.setdefault(key, []).append(index)
    rest = [(name, one) for name, one in model.named_parameters() if id(one) not in inside]
    around = [*_components(rest, AROUND), *around]
    parallel = bool(getattr(checkpoint.config, "use_parallel_residual", False))
    head, embedding = adapter.unembed(model), model.get_input_embeddings()
    return Anatomy(
        kinds=tuple(
            BlockKind(mixer, ffn, tuple(layers), parts, parallel) for (mixer, ffn, parts), layers in kinds.items()
        ),
        around=tuple(around),
        total=sum(one.numel() for one in model.parameters()),
        tied=getattr(head, "weight", None) is getattr(embedding, "weight", 0),
        width=shape.d_model,
        heads=shape.n_heads,
        kv_heads=shape.n_kv_heads,
        experts=shape.n_experts,
        top_k=shape.top_k,
    )


def _components(named: Iterable[Named], roles: Sequence[tuple[str, str]]) -> tuple[Component, ...]:
    """Gather parameters by role, in the order in which the roles first appear in `roles`; OTHER last."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, one in named:
        found.setdefault(_role(name, roles), []).append(one)
    order = [*dict.fromkeys(role for _, role in roles), OTHER]
    return tuple(
        Component(key, tuple(tuple(one.shape) for one in found[key]), sum(one.numel() for one in found[key]))
        for key in order
        if key in found
    )


def _role(name: str, roles: Sequence[tuple[str, str]]) -> str:
    return next((role for pattern, role in roles if re.search(rf"(?:^|\.){pattern}", name)), OTHER)
