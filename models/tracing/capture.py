"""Capture inputs and outputs of chosen modules, and queries and keys of attention, in one forward pass."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from models.operators import backends, switched
from models.operators.backends import ATTENTION
from models.switches import context
from models.switches.context import LayerSwitches


@dataclass(frozen=True, slots=True)
class AttentionInputs:
    """What one attention call saw.

    query (b, h, l, d_head), key and value (b, h_kv, l, d_head), the scale of q.k, and the mask that the model handed
    over: bool or additive, (b, 1 or h, l, l), or None for every key up to the query.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    mask: Tensor | None = None

    def visible(self) -> Tensor:
        """Return which keys each query of the first sequence may read, bool (l, l); a sliding window is in it."""
        length = self.query.shape[2]
        if self.mask is None:
            return torch.ones(length, length, dtype=torch.bool, device=self.query.device).tril()
        mask = self.mask[0, 0]
        return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


@dataclass(frozen=True, slots=True)
class Capture:
    """First positional input and output of every watched module, and the inputs of every attention call.

    plans: what was switched off in the layer in which a watched module ran, where anything was.
    """

    inputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    outputs: dict[nn.Module, Any] = field(default_factory=dict)
    attention: dict[nn.Module, AttentionInputs] = field(default_factory=dict)
    plans: dict[nn.Module, LayerSwitches] = field(default_factory=dict)


_active: ContextVar[Capture | None] = ContextVar("contextscope_capture", default=None)


@contextmanager
def capturing(modules: Iterable[nn.Module]) -> Iterator[Capture]:
    """Record the run inside the block; hooks come off when it ends, also by an error.

    What other threads run through the same modules meanwhile, such as a lens of an earlier trace, is not recorded.
    """
    capture = Capture()

    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if _active.get() is not capture:
            return
        if args:
            capture.inputs[module] = args[0]
        capture.outputs[module] = output
        if (plan := context.here()) is not None:
            capture.plans[module] = plan

    handles = [module.register_forward_hook(hook) for module in modules]
    token = _active.set(capture)
    try:
        yield capture
    finally:
        _active.reset(token)
        for handle in handles:
            handle.remove()


def observable_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Compute attention exactly as sdpa does, leaving a note of its inputs when somebody watches."""
    capture = _active.get()
    plan = switched.asked(switched.FORGET)
    if capture is not None:
        scale = kwargs.get("scaling")
        scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
        seen = AttentionInputs(query, key, value, scale, attention_mask)
        if plan is not None and plan.forgets:
            seen = replace(seen, mask=switched.visible(plan, seen.visible())[None, None])
        capture.attention[module] = seen
    backends.note_attention(query, key, value, attention_mask)
    if plan is not None and plan.forgets:

        def run(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
            return sdpa_attention_forward(module, q, k, v, mask, **kwargs)[0]

        return switched.attention(run, plan, query, key, value, attention_mask), None
    return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)


AttentionInterface.register(ATTENTION, observable_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
