"""The adapter of an architecture over its transformers classes."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from models.records.trace import LayerTrace
from models.switches import context, hooks
from models.switches.sites import Site
from models.tracing.capture import Capture


class Readable(Protocol):
    """What cutting a text into tokens needs of a model: no weights."""

    @property
    def name(self) -> str:
        """The source, as errors call it."""

    @property
    def config(self) -> PretrainedConfig:
        """The transformers configuration."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """The tokenizer; None where a folder has none."""


@dataclass(frozen=True, slots=True)
class WithoutWeights:
    """The configuration and the tokenizer of a model whose weights are not read."""

    name: str
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model in evaluation mode with its tokenizer (None where a folder or a seeded shape has none).

    lock: held while hooks are on the model, so that two visitors never read each other's activations.
    """

    name: str
    architecture: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def config(self) -> PretrainedConfig:
        """The transformers configuration."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device


class Adapter(ABC):
    """One architecture. Stateless: everything lives in the Checkpoint and the cache that step returns."""

    name: ClassVar[str]  # key of words, colours and checkpoints
    bundled: ClassVar[str]  # folder under assets/checkpoints
    model_types: ClassVar[frozenset[str]]  # transformers config.model_type values it takes
    parts: ClassVar[frozenset[str]]  # keys of records.PARTS that its layers may show

    def prepare(self, model: PreTrainedModel) -> PreTrainedModel:
        """Mend what transformers gets wrong for this architecture, once after loading."""
        return model

    def forward(self, model: PreTrainedModel, ids: Tensor, cache: Any | None, *, last_only: bool) -> tuple[Tensor, Any]:
        """Run ids (b, l) after what cache holds (None: the start). Returns logits (b, l or 1, vocab) and the cache.

        Parts that models.switches says to switch off are off; ValueError for one that the model does not have.
        """
        with self.switched(model, ids.shape[1], continued=cache is not None):
            return self.run(model, ids, cache, last_only=last_only)

    def switched(
        self, model: PreTrainedModel, length: int, *, continued: bool = False
    ) -> AbstractContextManager[object]:
        """Return a block for one run of length tokens in which everything is off that models.switches says."""
        using = context.using()
        if using is None:
            return nullcontext()
        return hooks.applied(using, self.sites(model), length=length, continued=continued)

    @abstractmethod
    def run(self, model: PreTrainedModel, ids: Tensor, cache: Any | None, *, last_only: bool) -> tuple[Tensor, Any]:
        """Do what forward says, with everything on."""

    @abstractmethod
    def sites(self, model: PreTrainedModel) -> Sequence[Site]:
        """List where switches act, layer by layer."""

    def forward_embedded(self, model: PreTrainedModel, vectors: Tensor) -> Tensor:
        """Run embeddings (b, l, d_model) in place of ids. Returns what the output head receives (b, l, d_model)."""
        found: Tensor = model.base_model(inputs_embeds=vectors, use_cache=False)[0]
        return found

    @abstractmethod
    def blocks(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """List the residual blocks in order: each receives the stream (b, l, d_model) and returns it with its part."""

    @abstractmethod
    def writers(self, model: PreTrainedModel) -> Sequence[tuple[nn.Module, nn.Module | None]]:
        """List mixer and feed-forward of every block, whose outputs the block adds to the stream; None without one."""

    @abstractmethod
    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        """Return the norm between the last block and the output head."""

    @abstractmethod
    def unembed(self, model: PreTrainedModel) -> nn.Module:
        """Return the output head, from d_model to the logits of the vocabulary."""

    def stream_start(self, model: PreTrainedModel) -> nn.Module | None:  # noqa: ARG002 - most need no look
        """Return the module whose output is the stream before the first block; None where that is the block's input."""
        return None

    def stream_dtype(self, model: PreTrainedModel) -> torch.dtype:
        """Return the number type of the stream that the final norm receives."""
        return model.dtype

    @abstractmethod
    def watched(self, model: PreTrainedModel) -> Iterable[nn.Module]:
        """List the modules whose inputs and outputs layer_traces needs."""

    @abstractmethod
    def layer_traces(self, model: PreTrainedModel, capture: Capture) -> tuple[LayerTrace, ...]:
        """Turn one captured run of batch 1 into the record of every layer."""

    def step(self, checkpoint: Checkpoint, ids: Tensor, cache: Any | None) -> tuple[Tensor, Any]:
        """Feed ids (b, l) after what cache holds (None: the start). Returns last logits (b, vocab) and the cache."""
        with torch.inference_mode():
            logits, cache = self.forward(checkpoint.model, ids, cache, last_only=True)
        return logits[:, -1], cache

    def cache_tensors(self, cache: Any) -> list[Tensor]:
        """List every tensor of numbers a cache keeps between decoding steps, without its counters and window sizes."""
        found: list[Tensor] = []
        for layer in cache.layers:
            for value in vars(layer).values():
                held = value.values() if isinstance(value, dict) else (value,)
                found += [t for t in held if isinstance(t, Tensor) and t.is_floating_point()]
        return found

    def cache_bytes(self, cache: Any) -> int:
        """Count the bytes of a live cache."""
        return sum(t.numel() * t.element_size() for t in self.cache_tensors(cache))
