"""The sizes of a model of any family, from which parameters and bytes are counted."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the plan: mixer "attention", "mamba" or "rwkv"; ffn "dense", "moe", "channel_mix" or "none".

    window: the most tokens an attention layer looks back on (sliding window), None for all.
    """

    index: int
    mixer: str
    ffn: str
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model that any count needs; zero where the architecture has no such thing."""

    model_type: str
    vocab: int
    d_model: int
    layers: tuple[Layer, ...]
    tied: bool
    norm_weights: int  # per channel of a norm: 1 for RMSNorm, 2 for LayerNorm with its bias
    norms_per_layer: int
    extra_norms: int = 1  # outside the layers
    positions: int = 0  # learned position vectors
    n_heads: int = 0
    n_kv_heads: int = 0
    d_head: int = 0
    qkv_bias: bool = False
    out_bias: bool = False
    d_ff: int = 0
    gated_ffn: bool = False
    ffn_bias: bool = False
    n_experts: int = 0
    top_k: int = 0
    d_inner: int = 0
    d_state: int = 0
    d_conv: int = 0
    dt_rank: int = 0
    conv_bias: bool = False
    proj_bias: bool = False
    inner_norms: bool = False  # Jamba's RMSNorms of dt, B and C
    d_attention: int = 0  # RWKV's attention width
    _counts: dict[str, int] = field(init=False, repr=False, compare=False)  # layers by mixer and by feed-forward

    def __post_init__(self) -> None:
        counts = Counter(kind for layer in self.layers for kind in {layer.mixer, layer.ffn})
        object.__setattr__(self, "_counts", dict(counts))

    def count(self, kind: str) -> int:
        """Return the number of layers with this mixer or feed-forward."""
        return self._counts.get(kind, 0)
