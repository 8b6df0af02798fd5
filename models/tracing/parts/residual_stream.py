"""The residual stream around every block, and its logit lens: the model's own final norm and head."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.records.trace import Array, LayerTrace, LazyGroup, LazyParts, NamedArray, Parts, with_lazy
from models.tracing.capture import Capture
from models.tracing.parts import named

STREAM = frozenset({"resid_pre", "resid_post"})
WRITES = frozenset({"mixer_write", "ffn_write"})
TRACKED = ("final", "next")  # the model's own last prediction at a position, and the token that really comes next
LENS = frozenset({"lens_tokens", "lens_probs", "lens_entropy"}) | {
    f"lens_{what}_{name}" for what in ("rank", "prob") for name in TRACKED
}
PARTS = STREAM | WRITES | LENS
TOP_K = 5  # most likely tokens that are kept for every position of every layer
CHUNK_BYTES = 32 * 2**20  # logits (token, vocab) that are held at once
NO_TOKEN = -1  # in an array of ids: nothing to follow at this position

Ids = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Readout:
    """What turns a residual stream into logits: the final norm, the output head, and the number type of the stream."""

    norm: nn.Module
    head: nn.Module
    dtype: torch.dtype

    def logits(self, stream: Array) -> Tensor:
        """Return the logits (token, vocab) in float32 of a stream (token, d_model), as the model makes its own.

        Norm and head run in their own number type, so the stream after the last block gives the model's logits.
        """
        weight = next(self.head.parameters())
        normed = self.norm(torch.tensor(stream, device=weight.device, dtype=self.dtype))
        logits: Tensor = self.head(normed.to(weight.dtype))
        return logits.float()

    def chunks(self, stream: Array) -> Iterator[tuple[slice, Tensor]]:
        """Yield the logits of some positions after others, so that (token, vocab) is never held whole."""
        rows = max(1, CHUNK_BYTES // (4 * next(self.head.parameters()).shape[0]))
        for start in range(0, len(stream), rows):
            at = slice(start, start + rows)
            yield at, self.logits(stream[at])


Writers = Sequence[tuple[nn.Module, nn.Module | None]]


def watched(
    blocks: Sequence[nn.Module], norm: nn.Module, start: nn.Module | None, writers: Writers
) -> Sequence[nn.Module]:
    """List what must be asked for: every block and its writers, the final norm, and what makes the stream before."""
    writing = [module for pair in writers for module in pair if module is not None]
    return [*([] if start is None else [start]), *blocks, *writing, norm]


def writes(writers: Writers, capture: Capture) -> tuple[Parts, ...]:
    """Return what mixer and feed-forward of every block added to the stream of batch 1, each (token, d_model)."""
    return tuple(
        {
            name: named(name, _output(capture.outputs[module]))
            for name, module in zip(("mixer_write", "ffn_write"), pair, strict=True)
            if module is not None
        }
        for pair in writers
    )


def _output(found: Any) -> Tensor:
    """Return the hidden states (token, d_model) among what a module of batch 1 gave back."""
    hidden: Tensor = found[0] if isinstance(found, tuple) else found
    return hidden.reshape(-1, hidden.shape[-1])


def streams(
    blocks: Sequence[nn.Module], norm: nn.Module, start: nn.Module | None, capture: Capture
) -> tuple[NamedArray, ...]:
    """Return the stream of batch 1 before the first block and after every block, each (token, d_model) in float32.

    start: the module whose output is the stream before the first block; None where that is the first block's input.
    The stream after a block is what the next block, after the last one what the final norm, received.
    """
    received = [capture.inputs[module] for module in (*blocks, norm)]
    if start is not None:
        received[0] = capture.outputs[start]
    return tuple(named("resid_post", stream[0]) for stream in received)


def record(
    layers: Sequence[LayerTrace],
    stream: Sequence[NamedArray],
    written: Sequence[Parts],
    readout: Readout,
    *,
    logits: NamedArray,
    ids: Ids,
) -> tuple[LayerTrace, tuple[LayerTrace, ...]]:
    """Add the stream and its lens to every layer; return also the embedding, as a layer -1 without a block.

    stream: of streams, one more than layers; written: of writes. logits (token, vocab) of the run, ids (token,) of the
    prompt. The lens is derived when asked for.
    """
    following = {"final": logits.values.argmax(axis=-1), "next": np.append(ids[1:], NO_TOKEN)}
    embedding = LayerTrace(-1, "none", "none", _lazy_parts({"resid_post": stream[0]}, readout, following))
    recorded = []
    for i, layer in enumerate(layers):
        around = {"resid_pre": stream[i], "resid_post": stream[i + 1], **written[i]}
        recorded.append(layer.extended(_lazy_parts(around, readout, following)))
    return embedding, tuple(recorded)


def follow(stream: Array, readout: Readout, ids: Ids) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return probability and rank (token,) of one token id per position in a stream (token, d_model).

    Rank 1 is the most likely token; tokens with equal logits share the better rank. nan where the id is NO_TOKEN.
    """
    found = [_followed(logits, torch.as_tensor(ids[at])) for at, logits in readout.chunks(stream)]
    prob, rank = (torch.cat(columns).numpy() for columns in zip(*found, strict=True))
    return prob, rank


def lens(stream: Array, readout: Readout, following: Mapping[str, Ids]) -> Parts:
    """Build the parts of LENS from a stream (token, d_model); following: ids (token,) by name of TRACKED."""
    rows: dict[str, list[Tensor]] = {name: [] for name in LENS}
    for at, logits in readout.chunks(stream):
        probs = torch.softmax(logits, dim=-1)
        top = most_likely(logits, TOP_K)
        rows["lens_tokens"].append(top.to(torch.int32))
        rows["lens_probs"].append(probs.gather(1, top))
        rows["lens_entropy"].append(torch.special.entr(probs).sum(dim=-1) / np.log(2))
        for name, ids in following.items():
            prob, rank = _followed(logits, torch.as_tensor(ids[at]))
            rows[f"lens_prob_{name}"].append(prob)
            rows[f"lens_rank_{name}"].append(rank)
    return {name: named(name, torch.cat(columns)) for name, columns in rows.items()}


def most_likely(logits: Tensor, count: int) -> Tensor:
    """Return the ids (token, count) of the largest logits (token, vocab), largest first; of equals the lower id first.

    torch.topk leaves the order of equals open, and they would differ from the model's own argmax.
    """
    left, found = logits.clone(), []
    for _ in range(min(count, logits.shape[-1])):
        found.append(left.argmax(dim=-1, keepdim=True))
        left.scatter_(1, found[-1], -torch.inf)
    return torch.cat(found, dim=1)


def _followed(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    chosen = logits.gather(1, ids.to(logits.device).clamp(min=0)[:, None])  # (token, 1)
    prob = (chosen - logits.logsumexp(dim=-1, keepdim=True)).exp()[:, 0].cpu()
    rank = 1 + (logits > chosen).sum(dim=-1).float().cpu()
    absent = ids == NO_TOKEN
    return prob.masked_fill(absent, torch.nan), rank.masked_fill(absent, torch.nan)


def _lazy_parts(stream: Parts, readout: Readout, following: Mapping[str, Ids]) -> LazyParts:
    @torch.inference_mode()
    def derive() -> Parts:
        return lens(stream["resid_post"].values, readout, following)

    return with_lazy(stream, LazyGroup(LENS, derive))
