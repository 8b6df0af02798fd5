"""Bind the sequence operators into the transformers classes, and tell which implementation ran.

transformers looks its operators up as module globals, so one dispatcher per operator is put there once; the choice
itself is a context variable, so two threads can use different implementations at the same time.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import torch
import torch.nn.functional as F
from seqops.causal_conv import causal_conv_fast, causal_conv_ref
from seqops.selective_scan import selective_scan_fast, selective_scan_ref
from seqops.wkv import WkvState, wkv_fast, wkv_ref
from torch import Tensor
from transformers.activations import ACT2FN
from transformers.models.jamba import modeling_jamba
from transformers.models.mamba import modeling_mamba
from transformers.models.rwkv import modeling_rwkv

Choice = Literal["fast", "reference", "transformers"]
CHOICES: tuple[Choice, ...] = ("fast", "reference", "transformers")

_choice: ContextVar[Choice] = ContextVar("contextscope_implementation", default="fast")
_used: ContextVar[dict[str, str] | None] = ContextVar("contextscope_used", default=None)

_LABELS: Mapping[Choice, str] = {
    "fast": "seqops compiled loop (CPU)",
    "reference": "seqops reference loop",
    "transformers": "transformers",
}


@contextmanager
def use(choice: Choice) -> Iterator[None]:
    """Run the operators of Mamba, Jamba and RWKV on one implementation inside the block.

    "fast" is the default and applies to CPU tensors; tensors elsewhere run what transformers itself has bound.
    Raises ValueError for another name.
    """
    if choice not in CHOICES:
        raise ValueError(f"implementation {choice!r}: expected one of {CHOICES}")
    token = _choice.set(choice)
    try:
        yield
    finally:
        _choice.reset(token)


@contextmanager
def recording() -> Iterator[dict[str, str]]:
    """Collect which implementation each operator used: {"scan": "seqops compiled loop (CPU)", ...}."""
    used: dict[str, str] = {}
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)


def report() -> dict[str, str]:
    """Return what would run now on CPU tensors, per operator."""
    label = _LABELS[_choice.get()]
    return {"conv": label, "scan": label, "wkv": label}


def _resolve(operator: str, tensor: Tensor) -> Choice:
    choice = _choice.get()
    if choice == "fast" and tensor.device.type != "cpu":
        choice = "transformers"
    used = _used.get()
    if used is not None:
        used[operator] = _LABELS[choice] if choice != "transformers" else f"transformers on {tensor.device.type}"
    return choice


def _scan_dispatcher(original: Callable[..., Any]) -> Callable[..., Any]:
    def mamba_selective_scan(  # the layout of transformers: (b, d, l) and (b, n, l)
        hidden_states: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None = None,
        z: Tensor | None = None,
        delta_bias: Tensor | None = None,
        delta_softplus: bool = False,
        return_last_state: bool = False,
        **kwargs: Any,
    ) -> Any:
        choice = _resolve("scan", hidden_states)
        if choice == "transformers":
            return original(hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus, return_last_state, **kwargs)
        scan = selective_scan_fast if choice == "fast" else selective_scan_ref
        step = dt.transpose(1, 2)  # (b, l, d)
        if delta_bias is not None:
            step = step + delta_bias.to(step.dtype)
        step = F.softplus(step) if delta_softplus else step
        y, state = scan(hidden_states.transpose(1, 2), step, A, B.transpose(1, 2), C.transpose(1, 2), D)
        y = y.transpose(1, 2)  # (b, d, l)
        y = y if z is None else y * F.silu(z)
        return (y, state) if return_last_state else y

    return mamba_selective_scan


def _conv_dispatcher(original: Callable[..., Any]) -> Callable[..., Any]:
    def causal_conv1d_fn(
        hidden_states: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None, **kwargs: Any
    ) -> Tensor:
        choice = _resolve("conv", hidden_states)
        if choice == "transformers":
            out: Tensor = original(hidden_states, weight, bias, activation, **kwargs)
            return out
        conv = causal_conv_fast if choice == "fast" else causal_conv_ref
        y = conv(hidden_states.transpose(1, 2).to(weight.dtype), weight, bias)
        y = y if activation is None else ACT2FN[activation](y)
        return y.to(hidden_states.dtype).transpose(1, 2)

    return causal_conv1d_fn


def _wkv_dispatcher(original: Callable[..., Any]) -> Callable[..., Any]:
    def rwkv_linear_attention(
        time_decay: Tensor,
        time_first: Tensor,
        key: Tensor,
        value: Tensor,
        state: Any = None,
        return_state: bool = False,
    ) -> tuple[Tensor, Any]:
        choice = _resolve("wkv", key)
        if choice == "transformers":
            out: tuple[Tensor, Any] = original(
                time_decay, time_first, key, value, state=state, return_state=return_state
            )
            return out
        wkv = wkv_fast if choice == "fast" else wkv_ref
        start = None if state is None else WkvState(*state)
        y, end = wkv(torch.exp(time_decay.float()), time_first, key, value, initial_state=start)
        return y.to(key.dtype), list(end) if return_state or state is not None else None

    return rwkv_linear_attention


def _bind() -> None:
    modules: tuple[Any, ...] = (modeling_mamba, modeling_jamba)
    for module in modules:
        if getattr(module.mamba_selective_scan, "__module__", "") != __name__:
            module.mamba_selective_scan = _scan_dispatcher(module.mamba_selective_scan)
            module.causal_conv1d_fn = _conv_dispatcher(module.causal_conv1d_fn)
    if getattr(modeling_rwkv.rwkv_linear_attention, "__module__", "") != __name__:
        modeling_rwkv.rwkv_linear_attention = _wkv_dispatcher(modeling_rwkv.rwkv_linear_attention)


_bind()
