"""The record of one run of the small encoder-decoder while it writes. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from models.records.trace import NamedArray

Kind = Literal["encoder", "decoder", "cross"]
KINDS: tuple[Kind, ...] = ("encoder", "decoder", "cross")

# dimensions of each array of one kind of attention; query and key count tokens of source or of written words
DIMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "weights": ("layer", "head", "query", "key"),  # as the run computed them; rows sum to 1
        "visible": ("query", "key"),  # 1 where the run let a query read a key
        "query": ("layer", "head", "query", "d_head"),  # times 1 / sqrt(d_head)
        "key": ("layer", "head", "key", "d_head"),
        "value": ("layer", "head", "key", "d_head"),
        "output": ("layer", "head", "query", "d_head"),  # captured: what the output projection receives
    }
)


@dataclass(frozen=True, slots=True)
class AttentionRecord:
    """One kind of attention in all layers and heads of one run; DIMS gives the dimensions of its arrays."""

    weights: NamedArray
    visible: NamedArray
    query: NamedArray
    key: NamedArray
    value: NamedArray
    output: NamedArray

    def __post_init__(self) -> None:
        for name, dims in DIMS.items():
            if getattr(self, name).dims != dims:
                raise ValueError(f"{name} has dims {getattr(self, name).dims}, expected {dims}")


@dataclass(frozen=True, slots=True)
class StackSizes:
    """The shape of the model, as its configuration says."""

    encoder_layers: int
    decoder_layers: int
    heads: int
    d_model: int
    ffn: int
    vocab: int
    parameters: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class EncoderDecoderRun:
    """One input, read once by the encoder, and what the decoder wrote, word by word (batch 1, greedy).

    source: the tokens that the encoder read: the task, words, the end. given: what the decoder read at each step, the
    start and then its own words; written: what it wrote at each step, the end last unless it was cut off. Both have
    one entry for each step. task, words: of the input; expected: the right words, None where there is no right answer.
    logits (step, vocab), hidden (step, d_model): the decoder's last output, before the head (vocab, d_model) and its
    bias (vocab,). self_bytes, cross_bytes (step,): bytes of the live cache after each step; number_bytes: of a number.
    vocabulary: all tokens by id; ids: those written.
    """

    task: str
    words: tuple[str, ...]
    source: tuple[str, ...]
    given: tuple[str, ...]
    written: tuple[str, ...]
    expected: tuple[str, ...] | None
    encoder: AttentionRecord
    decoder: AttentionRecord
    cross: AttentionRecord
    logits: NamedArray
    hidden: NamedArray
    head: NamedArray
    bias: NamedArray
    self_bytes: NamedArray
    cross_bytes: NamedArray
    number_bytes: int
    sizes: StackSizes
    vocabulary: tuple[str, ...]
    dtype: str
    seconds: float

    @property
    def steps(self) -> int:
        """How many tokens the decoder wrote, with the end."""
        return len(self.written)

    @property
    def answer(self) -> tuple[str, ...]:
        """The words that were written, without the end."""
        return self.written[:-1] if self.ended else self.written

    @property
    def ended(self) -> bool:
        """Whether the decoder wrote the end itself."""
        return self.written[-1] == self.source[-1]

    @property
    def right(self) -> bool | None:
        """Whether the answer is the expected one; None where there is no right answer."""
        return None if self.expected is None else self.ended and self.answer == self.expected

    def attention(self, kind: Kind) -> AttentionRecord:
        """Return one kind of attention."""
        found: AttentionRecord = getattr(self, kind)
        return found
