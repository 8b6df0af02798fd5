"""The record of one forward pass: frozen numpy arrays with named dimensions. Imports no torch."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating] | npt.NDArray[np.integer]

# Every part a layer may show, with its dimensions. A part not listed here cannot be recorded.
PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # attention (Vaswani et al. 2017)
        "attention": ("head", "query", "key"),  # softmax weights; rows sum to 1, zero above the diagonal
        "attention_logits": ("head", "query", "key"),  # q.k / sqrt(d_head), unmasked
        "value_norm": ("head", "query", "key"),  # |A_tj v_j W_O| (Kobayashi et al. 2020)
        "visible": ("query", "key"),  # 1 where a query may read a key: the past, within the window where there is one
        "head_query": ("head", "token", "d_head"),  # after rotation by position, times the scale of q.k
        "query_scale": ("head",),  # what q.k is multiplied with, 1 / sqrt(d_head) in most models
        "head_key": ("kv_head", "token", "d_head"),  # after rotation
        "head_value": ("kv_head", "token", "d_head"),
        "head_output": ("head", "token", "d_head"),  # captured: what the output projection receives
        "output_gram": ("head", "d_head", "d_head_of"),  # W_O W_O^T of each head
        # selective state space (Gu & Dao 2023); the paper's letters in brackets
        "dt": ("token", "channel"),  # step size after softplus
        "decay_rates": ("channel", "d_state"),  # A < 0
        "write_proj": ("token", "d_state"),  # B
        "read_proj": ("token", "d_state"),  # C
        "skip": ("channel",),  # D
        "scan_input": ("token", "channel"),  # u, after convolution and SiLU
        "gate": ("token", "channel"),  # SiLU(z)
        "state": ("token", "channel", "d_state"),  # h after each token
        "dt_input": ("token", "dt_rank"),  # delta, from which dt = softplus(W delta + b)
        "dt_weight": ("channel", "dt_rank"),  # W
        "dt_bias": ("channel",),  # b
        "decay_log": ("channel", "d_state"),  # log |A|, as the model stores it
        "hidden_attention": ("query", "key"),  # mean over channels of |alpha| (Ali et al. 2024)
        "conv_input": ("token", "channel"),  # x, what the short convolution receives
        "conv_weight": ("channel", "tap"),  # the oldest token's tap first
        "conv_bias": ("channel",),
        "output_norm": ("channel",),  # length of each channel's column of the output projection
        "full_layer": ("query", "key"),  # mean over channels of |M|, from x to mixer_output (Zimerman et al. 2025)
        "half_distance": ("channel",),  # tokens beyond the nearest until mean |alpha| halves; inf: not in this text
        # RWKV-4 (Peng et al. 2023)
        "decay_rate": ("channel",),  # w > 0; the factor per token is exp(-w)
        "bonus": ("channel",),  # u, added to the present token's key
        "key": ("token", "channel"),
        "value": ("token", "channel"),
        "receptance": ("token", "channel"),  # after the sigmoid
        "wkv_num": ("token", "channel"),  # the state after each token: num e^max / den e^max
        "wkv_den": ("token", "channel"),
        "wkv_max": ("token", "channel"),
        "effective_attention": ("query", "key"),  # mean over channels of P; rows sum to 1
        "gated_attention": ("query", "key"),  # mean over channels of receptance P
        "time_decay": ("channel",),  # log w, as the model stores it
        "receptance_logit": ("token", "channel"),  # r, captured before the sigmoid
        # RWKV-4's token shift mu x_t + (1 - mu) x_(t-1), in the order of tracing.parts.channel_mix.SHARES
        "shift_share": ("share", "d_model"),  # mu
        "shift_from": ("sublayer", "when", "place", "d_model"),  # captured at some tokens: x_t, then x_(t-1)
        "shifted": ("share", "place", "d_model"),  # captured: what the projections receive there
        # RWKV-4's channel mixing: sigmoid(r) W relu(k)^2
        "ffn_key": ("token", "hidden"),  # k, captured before the ReLU
        "ffn_value_weight": ("feature", "hidden"),  # W, some output features
        "ffn_receptance_logit": ("token", "feature"),  # r, captured
        "ffn_output": ("token", "feature"),  # captured
        # both recurrent mixers
        "mixer_output": ("token", "channel"),  # captured: what the output projection receives
        "half_life": ("channel",),  # tokens until the slowest component halves (at the mean dt for Mamba)
        # mixture of experts
        "router_logits": ("token", "expert"),
        "router_probs": ("token", "expert"),  # softmax over all experts
        "chosen_experts": ("token", "choice"),
        "chosen_weights": ("token", "choice"),  # what multiplies each chosen expert's output
        # the residual stream (Elhage et al. 2021) and what the logit lens reads in resid_post (nostalgebraist 2020)
        "resid_pre": ("token", "d_model"),  # what the layer's block starts from
        "resid_post": ("token", "d_model"),  # resid_pre and all that the block adds
        "mixer_write": ("token", "d_model"),  # captured: what the mixer adds to the stream
        "ffn_write": ("token", "d_model"),  # captured: what the feed-forward adds; no part of a block without one
        "lens_tokens": ("token", "choice"),  # ids of the most likely tokens, most likely first (ModelTrace.label_of)
        "lens_probs": ("token", "choice"),  # their probabilities
        "lens_entropy": ("token",),  # of all tokens' probabilities, in bits
        "lens_rank_final": ("token",),  # of the token that the model itself finds most likely; 1 is the first
        "lens_prob_final": ("token",),
        "lens_rank_next": ("token",),  # of the token that really comes next; nan at the last position
        "lens_prob_next": ("token",),
        "expert_output": ("token", "expert", "feature"),  # E_e(x) of every expert, in some output features
        "mixture_output": ("token", "feature"),  # captured: the block's output in the same features
    }
)


@dataclass(frozen=True, slots=True)
class NamedArray:
    """An array whose dimensions have names. The array is made read-only.

    Raises ValueError when the number of names is not the number of dimensions.
    """

    values: Array
    dims: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.dims) != self.values.ndim:
            raise ValueError(f"{len(self.dims)} names {self.dims} for an array of shape {self.values.shape}")
        self.values.setflags(write=False)

    @property
    def sizes(self) -> dict[str, int]:
        """Map each dimension to its length."""
        return dict(zip(self.dims, self.values.shape, strict=True))


@dataclass(frozen=True, slots=True)
class Token:
    """One token as the model read it and as a person may read it.

    label: readable text, a leading space drawn as U+2423; a token that is only some bytes of a character carries the
    whole character, with piece / pieces saying which of how many tokens it is (1 of 1 for an ordinary token).
    start, end: the span of characters of the prompt that the token covers (pieces of a character share its span).
    """

    index: int
    id: int
    label: str
    start: int
    end: int
    piece: int = 1
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class Alignment:
    """Several cuts of one prompt on a common axis of segments (models.alignment.align_all).

    segments: in order, as tokens whose index is that of the first text's token there, or their own place where it has
    none; owners: for each text and segment the token that the segment lies in, -1 for none.
    """

    segments: tuple[Token, ...]
    owners: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence about a prompt that could be run: a key of assets/words (remarks.<key>) and its values."""

    key: str
    values: Mapping[str, int]


Parts = Mapping[str, NamedArray]


class LazyGroup:
    """Parts that cost as much as the run itself, worked out from it when one of them is first asked for, and once.

    parts: the names it will have; compute returns exactly these.
    """

    def __init__(self, parts: Iterable[str], compute: Callable[[], Parts]) -> None:
        self.parts = frozenset(parts)
        self._compute: Callable[[], Parts] | None = compute
        self._lock = threading.Lock()
        self._result: Parts = {}

    def result(self) -> Parts:
        """Return the parts; ValueError when they are not the ones announced."""
        with self._lock:
            if self._compute is not None:
                parts = self._compute()
                if parts.keys() != self.parts:
                    raise ValueError(f"derived {sorted(parts)}: not what was announced")
                for name, part in parts.items():
                    _check(name, part)
                self._result, self._compute = parts, None  # what compute held is free again
            return self._result


class LazyParts(Mapping[str, NamedArray]):
    """Parts some of which are derived when first asked for; names and length are known at once."""

    def __init__(self, ready: Parts, later: Mapping[str, LazyGroup]) -> None:
        self.ready: Parts = ready
        self._later: Mapping[str, LazyGroup] = later

    def __getitem__(self, name: str) -> NamedArray:
        return self.ready[name] if name in self.ready else self._later[name].result()[name]

    def __contains__(self, name: object) -> bool:
        return name in self.ready or name in self._later

    def __iter__(self) -> Iterator[str]:
        yield from self.ready
        yield from self._later

    def __len__(self) -> int:
        return len(self.ready) + len(self._later)

    def only(self, names: Collection[str]) -> "LazyParts":
        """Return some of the parts; what is not derived yet is derived when it is asked for, as here."""
        later = {name: group for name, group in self._later.items() if name in names}
        return LazyParts({name: part for name, part in self.ready.items() if name in names}, later)

    def __or__(self, other: "LazyParts") -> "LazyParts":
        return LazyParts({**self.ready, **other.ready}, {**self._later, **other._later})


def with_lazy(parts: Parts, *groups: LazyGroup) -> LazyParts:
    """Join what a layer has at once with what is derived on demand."""
    return LazyParts(parts, {name: group for group in groups for name in group.parts})


def _lazy(parts: Parts) -> LazyParts:
    return parts if isinstance(parts, LazyParts) else LazyParts(parts, {})


def _check(name: str, part: NamedArray) -> None:
    if PARTS.get(name) != part.dims:
        raise ValueError(f"part {name!r} has dims {part.dims}, expected {PARTS.get(name)}")


@dataclass(frozen=True, slots=True)
class LayerTrace:
    """One layer: which mixer and feed-forward it has, and the parts it shows.

    mixer: "attention", "mamba", "rwkv", or "none" for the embedding; ffn: "dense", "moe", "channel_mix" or "none".
    parts may be LazyParts: what a T x T operator costs is paid when it is looked at. How well they rebuild what the run
    captured says models.reconstruction.
    """

    index: int
    mixer: str
    ffn: str
    parts: Parts

    def __post_init__(self) -> None:
        for name in self.parts:
            if name not in PARTS:
                raise ValueError(f"part {name!r} is not one of {sorted(PARTS)}")
        ready = self.parts.ready if isinstance(self.parts, LazyParts) else self.parts
        for name, part in ready.items():
            _check(name, part)

    def part(self, name: str) -> Array:
        """Return the array of a part; KeyError names what the layer has."""
        if name not in self.parts:
            raise KeyError(f"layer {self.index} ({self.mixer}) shows {sorted(self.parts)}, not {name!r}")
        return self.parts[name].values

    def extended(self, more: LazyParts) -> "LayerTrace":
        """Return the layer with further parts; nothing is derived."""
        return replace(self, parts=_lazy(self.parts) | more)


@dataclass(frozen=True, slots=True)
class TokenLens:
    """One token of the vocabulary, followed through the residual stream of a trace by the logit lens.

    prob, rank: (layer, token); row 0 is the embedding, row i + 1 the stream after layer i. Rank 1 is the most likely.
    """

    id: int
    label: str
    prob: NamedArray
    rank: NamedArray


@dataclass(frozen=True, slots=True)
class Attribution:
    """What every part of a model adds to the logit of one token per position (direct logit attribution).

    The final norm is taken with the scale that it had in the run, so that the logit is a sum (Elhage et al. 2021).
    ids (token,): the tokens that are followed, -1 for none, where all numbers are nan. embedding, bias, logit (token,):
    the stream before the first block; the biases of final norm and head; the logit that the model gave. mixer, ffn
    (layer, token): ffn is nan in a block without feed-forward. heads: of layers with heads, (head, token); head_bias
    (token,): what the bias of their output projection adds, so that both together are the mixer. toward (token,
    d_model): what a write x at a position adds is x times toward.
    """

    ids: NamedArray
    embedding: NamedArray
    mixer: NamedArray
    ffn: NamedArray
    bias: NamedArray
    logit: NamedArray
    toward: NamedArray
    heads: Mapping[int, NamedArray]
    head_bias: Mapping[int, NamedArray]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ModelTrace:
    """One real forward pass over one prompt (batch 1).

    logits (token, vocab); surprisal (token,) in bits, -log2 p(token | before), nan for the first.
    cache_bytes: bytes of the live cache tensors after these tokens; cache_bytes_formula: the same by accounting.
    implementation: which code ran, per function ("scan": "seqops compiled loop (CPU)", ...).
    remarks: what is unusual about the prompt, for the visitor.
    embedding: the stream before the first block as a layer -1 with resid_post and its lens; label_of: readable text
    of any id of the vocabulary, also of tokens that are not in the prompt (without a tokenizer the id itself).
    """

    checkpoint: str
    architecture: str
    prompt: str
    tokens: tuple[Token, ...]
    logits: NamedArray
    surprisal: NamedArray
    layers: tuple[LayerTrace, ...]
    cache_bytes: int
    cache_bytes_formula: int
    implementation: Mapping[str, str]
    device: str
    dtype: str
    seconds: float
    remarks: tuple[Remark, ...] = ()
    embedding: LayerTrace | None = None
    label_of: Callable[[int], str] = str

    @property
    def stream(self) -> tuple[LayerTrace, ...]:
        """List what has a resid_post in the order of the run: the embedding, then every layer."""
        return self.layers if self.embedding is None else (self.embedding, *self.layers)

    def layer(self, index: int) -> LayerTrace:
        """Return the layer with this index; IndexError says how many there are."""
        if not 0 <= index < len(self.layers):
            raise IndexError(f"layer {index} of {len(self.layers)}")
        return self.layers[index]

    def layers_with(self, part: str) -> tuple[LayerTrace, ...]:
        """Return the layers that show a part, in order."""
        return tuple(layer for layer in self.layers if part in layer.parts)

    def derive(self) -> None:
        """Work out everything that would otherwise be derived when first looked at."""
        for layer in self.stream:
            for name in layer.parts:
                layer.parts[name]

    def only(self, names: Collection[str]) -> "ModelTrace":
        """Return the trace with some parts of its layers alone, and with no logits: small enough to keep many.

        Layers that show none of the parts stay, without any.
        """
        layers = tuple(replace(layer, parts=_lazy(layer.parts).only(names)) for layer in self.layers)
        logits = NamedArray(np.zeros((0, self.logits.sizes["vocab"]), np.float32), self.logits.dims)
        return replace(self, layers=layers, embedding=None, logits=logits)

    def __iter__(self) -> Iterator[LayerTrace]:
        return iter(self.layers)
