"""The RWKV-4 adapter (Peng et al. 2023)."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.rwkv.modeling_rwkv import RwkvFeedForward, RwkvSelfAttention

from models.operators import switched
from models.records.trace import LayerTrace
from models.switches.sites import Site
from models.tracing.adapter import Adapter
from models.tracing.capture import Capture
from models.tracing.parts import channel_mix, residual_stream, time_mix


class RwkvAdapter(Adapter):
    """RWKV-4 in transformers format (RWKV/rwkv-4-*-pile)."""

    name: ClassVar[str] = "rwkv"
    bundled: ClassVar[str] = "rwkv"
    model_types: ClassVar[frozenset[str]] = frozenset({"rwkv"})
    parts: ClassVar[frozenset[str]] = (
        residual_stream.PARTS | time_mix.PARTS | time_mix.CAPTURED | channel_mix.PARTS | channel_mix.CAPTURED
    )

    def prepare(self, model: PreTrainedModel) -> PreTrainedModel:
        """Undo two traps: rescaled weights in evaluation, and one-token steps that mix up the batch."""
        model.config.rescale_every = 0  # the weights as trained: float32 needs no rescaling against overflow
        for block in _blocks(model):
            block.attention.__class__ = _SelfAttention
            block.feed_forward.__class__ = _FeedForward
        return model

    def run(self, model: PreTrainedModel, ids: Tensor, cache: Any | None, *, last_only: bool) -> tuple[Tensor, Any]:
        """Run with the five state tensors, copied first: transformers writes into them."""
        state = _empty_state(model, ids) if cache is None else [s.clone() for s in cache]
        out = model(input_ids=ids, state=state, use_cache=True, logits_to_keep=int(last_only))
        return out.logits, out.state

    def blocks(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """List the blocks, each a time mix and a channel mix.

        As shipped, transformers halves the stream after every rescale_every blocks at inference, and the weights of
        later blocks with it. prepare turns that off, so the recorded stream is never halved. Where it is on, the stream
        is recorded as the next block or the final norm receives it: the last one gives the model's logits either way.
        """
        return list(_blocks(model))

    def writers(self, model: PreTrainedModel) -> Sequence[tuple[nn.Module, nn.Module | None]]:
        """List time mix and channel mix."""
        return [(block.attention, block.feed_forward) for block in _blocks(model)]

    def sites(self, model: PreTrainedModel) -> Sequence[Site]:
        """List where switches act: time mix and channel mix."""
        return [_site(i, block) for i, block in enumerate(_blocks(model))]

    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        """Return ln_out."""
        return model.get_submodule("rwkv.ln_out")

    def unembed(self, model: PreTrainedModel) -> nn.Module:
        """Return the output head."""
        return model.get_submodule("head")

    def stream_start(self, model: PreTrainedModel) -> nn.Module | None:
        """Return the norm of the embedding: it stands inside the first block, but before what that block adds to."""
        return model.get_submodule("rwkv.blocks.0.pre_ln")

    def watched(self, model: PreTrainedModel) -> Iterable[nn.Module]:
        """Ask every block for the projections of its time mix and channel mix, and for what both start from."""
        for block in _blocks(model):
            yield from time_mix.watched(block.attention)
            yield from channel_mix.watched(block)

    def layer_traces(self, model: PreTrainedModel, capture: Capture) -> tuple[LayerTrace, ...]:
        """Record the time mix and the channel mix of every layer."""
        return tuple(
            LayerTrace(i, "rwkv", "channel_mix", time_mix.time_mix_parts(block.attention, capture)).extended(
                channel_mix.channel_mix_parts(block, capture)
            )
            for i, block in enumerate(_blocks(model))
        )

    def cache_tensors(self, cache: Any) -> list[Tensor]:
        """The five tensors (b, d, layers): two token shifts and num, den, max of WKV."""
        return list(cache)


def _blocks(model: Any) -> Iterable[Any]:
    blocks: Iterable[Any] = model.rwkv.blocks
    return blocks


def _site(index: int, block: Any) -> Site:
    mixer = block.attention
    return Site(
        index, "wkv", mixer, mixer.output, channels=mixer.attention_hidden_size, feed_forward=block.feed_forward
    )


def _empty_state(model: Any, ids: Tensor) -> list[Tensor]:
    """Return the state before the first token: two shifts as wide as the model, num, den and max as wide as WKV.

    transformers gives all five the width of the model, which fails when attention_hidden_size is another.
    """
    config = model.config
    widths = (config.hidden_size, config.hidden_size, *[config.attention_hidden_size] * 3)
    dtypes = (model.dtype, model.dtype, *[torch.float32] * 3)
    state = [
        torch.zeros(len(ids), width, config.num_hidden_layers, dtype=dtype, device=ids.device)
        for width, dtype in zip(widths, dtypes, strict=True)
    ]
    state[4] -= 1e30
    return state


def _shifted(hidden: Tensor, previous: Tensor | None) -> Tensor:
    """Return the token before each token of hidden (b, l, d); previous (b, d) stands before the first."""
    first = torch.zeros_like(hidden[:, :1]) if previous is None else previous[:, None].to(hidden.dtype)
    before = torch.cat([first, hidden[:, :-1]], dim=1)
    plan = switched.asked(switched.SHIFT)
    return before if plan is None else switched.shifted(plan, before)


def _mix(hidden: Tensor, shifted: Tensor, share: Tensor) -> Tensor:
    return hidden * share + shifted * (1 - share)


class _SelfAttention(RwkvSelfAttention):
    """Time mix whose one-token step keeps the batch: upstream broadcasts (b, d) against (b, 1, d) to (b, b, d)."""

    def extract_key_value(self, hidden: Tensor, state: Any = None) -> tuple[Tensor, Tensor, Tensor, Any]:
        shifted = _shifted(hidden, None if state is None else state[1][:, :, self.layer_id])
        key = self.key(_mix(hidden, shifted, self.time_mix_key))
        value = self.value(_mix(hidden, shifted, self.time_mix_value))
        receptance = torch.sigmoid(self.receptance(_mix(hidden, shifted, self.time_mix_receptance)))
        if (plan := switched.asked(switched.RECEPTANCE)) is not None:
            receptance = switched.receptance(plan, receptance)
        if state is not None:
            state[1][:, :, self.layer_id] = hidden[:, -1]
        return receptance, key, value, state


class _FeedForward(RwkvFeedForward):
    """Channel mix with the same correction."""

    def forward(self, hidden: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        shifted = _shifted(hidden, None if state is None else state[0][:, :, self.layer_id])
        key = torch.square(torch.relu(self.key(_mix(hidden, shifted, self.time_mix_key))))
        receptance = torch.sigmoid(self.receptance(_mix(hidden, shifted, self.time_mix_receptance)))
        if state is not None:
            state[0][:, :, self.layer_id] = hidden[:, -1]
        return receptance * self.value(key), state
