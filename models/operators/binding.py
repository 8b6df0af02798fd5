"""Put one dispatcher per operator where the transformers classes look for it; models.operators.backends selects.

transformers looks its operators up as globals of the modelling modules, and its experts as methods. Each dispatcher
keeps the signature and layout of what it stands for: (b, d, l) and (b, n, l) for Mamba, where seqops has (b, l, d).
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from seqops.causal_conv import causal_conv_fast, causal_conv_ref, causal_conv_step
from seqops.moe import moe_fast, moe_ref
from seqops.selective_scan import selective_scan_fast, selective_scan_ref, selective_scan_step
from seqops.wkv import WkvState, wkv_fast, wkv_ref, wkv_step
from torch import Tensor
from transformers.activations import ACT2FN
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.models.jamba import modeling_jamba
from transformers.models.mamba import modeling_mamba
from transformers.models.mixtral import modeling_mixtral
from transformers.models.rwkv import modeling_rwkv

from models.operators import backends, switched
from models.switches.value import Kind

Operator = Callable[..., Any]
Dispatcher = Callable[[Operator], Operator]

_upstream: dict[str, Operator] = {}


def upstream(name: str) -> Operator:
    """Return transformers' own torch code of an operator, as it was before: a name of FUNCTIONS. KeyError otherwise."""
    return _upstream["wkv" if name == "wkv_step" else name]


def _switchable(asks: frozenset[Kind], altered: Operator) -> Callable[[Dispatcher], Dispatcher]:
    """Lead the calls of a dispatcher through altered where the layer that runs has a switch of one of these kinds."""

    def around(dispatcher: Dispatcher) -> Dispatcher:
        def dispatching(original: Operator) -> Operator:
            plain = dispatcher(original)

            @functools.wraps(plain)
            def operator(*args: Any, **kwargs: Any) -> Any:
                plan = switched.asked(asks)
                return plain(*args, **kwargs) if plan is None else altered(plain, plan, *args, **kwargs)

            return operator

        return dispatching

    return around


@_switchable(switched.SCAN, switched.scan)
def _scan(original: Operator) -> Operator:
    def mamba_selective_scan(
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
        choice = backends.resolve("scan", hidden_states)
        if choice in ("transformers", "package"):
            run = original if choice == "transformers" else backends.packaged("scan")
            kwargs = kwargs if choice == "transformers" else {}
            return run(hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus, return_last_state, **kwargs)
        scan = selective_scan_fast if choice == "fast" else selective_scan_ref
        step = dt.transpose(1, 2)  # (b, l, d)
        if delta_bias is not None:
            step = step + delta_bias.to(step.dtype)
        step = F.softplus(step) if delta_softplus else step
        u, B, C = (x.transpose(1, 2) for x in (hidden_states, B, C))
        y, state = scan(u, step, A, B, C, D, initial_state=backends.carried_state())
        y = y.transpose(1, 2)  # (b, d, l)
        y = y if z is None else y * F.silu(z)
        return (y, state) if return_last_state else y

    return mamba_selective_scan


@_switchable(switched.SCAN, switched.scan_step)
def _scan_step(original: Operator) -> Operator:
    def mamba_selective_state_update(
        state: Tensor,
        hidden_states: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None = None,
        dt_bias: Tensor | None = None,
        dt_softplus: bool = False,
        z: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        choice = backends.resolve("scan_step", hidden_states)
        if choice == "transformers":
            return original(state, hidden_states, dt, A, B, C, D, dt_bias, dt_softplus, z, **kwargs)
        if choice == "package":
            run = backends.packaged("scan_step")
            return run(state, hidden_states, dt, A, B, C, D=D, z=z, dt_bias=dt_bias, dt_softplus=dt_softplus)
        dt = dt if dt_bias is None else dt + dt_bias.to(dt.dtype)
        dt = F.softplus(dt) if dt_softplus else dt
        if choice == "fast":
            y, after = selective_scan_step(state, hidden_states, dt, A, B, C, D)
        else:
            u, dt, B, C = (x[:, None] for x in (hidden_states, dt, B, C))
            y, after = selective_scan_ref(u, dt, A, B, C, D, initial_state=state)
            y = y[:, 0]
        state.copy_(after)
        return (y if z is None else y * F.silu(z)).to(hidden_states.dtype)

    return mamba_selective_state_update


@_switchable(switched.CONV, switched.conv)
def _conv(original: Operator) -> Operator:
    def causal_conv1d_fn(
        hidden_states: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None, **kwargs: Any
    ) -> Any:
        choice = backends.resolve("conv", hidden_states)
        if choice == "transformers":
            return original(hidden_states, weight, bias, activation, **kwargs)
        if choice == "package":
            return backends.packaged("conv")(hidden_states, weight, bias, activation=activation)
        conv = causal_conv_fast if choice == "fast" else causal_conv_ref
        y, _ = conv(hidden_states.transpose(1, 2).to(weight.dtype), weight, bias)
        return _activated(y, activation).to(hidden_states.dtype).transpose(1, 2)

    return causal_conv1d_fn


@_switchable(switched.CONV, switched.conv_step)
def _conv_step(original: Operator) -> Operator:
    def causal_conv1d_update(
        hidden_states: Tensor,
        conv_state: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        activation: str | None = None,
    ) -> Any:
        choice = backends.resolve("conv_step", hidden_states)
        if choice == "transformers":
            return original(hidden_states, conv_state, weight, bias, activation)
        if choice == "package":
            return backends.packaged("conv_step")(hidden_states, conv_state, weight, bias, activation)
        window = conv_state[..., -(weight.shape[-1] - 1) :].transpose(1, 2).to(weight.dtype)  # (b, K-1, d)
        y, _ = causal_conv_step(window, hidden_states.squeeze(-1).to(weight.dtype), weight, bias)
        conv_state.copy_(torch.cat([conv_state[..., 1:], hidden_states], dim=-1))
        return _activated(y, activation).to(hidden_states.dtype)[..., None]

    return causal_conv1d_update


def _fused(original: Operator) -> Operator:
    """Stand for the layer that mamba-ssm fuses whole in training; None leads through the operators above."""

    def mamba_inner_fn(xz: Tensor, *args: Any, **kwargs: Any) -> Any:
        return original(xz, *args, **kwargs) if backends.resolve("scan", xz) == "package" else None

    return mamba_inner_fn


@_switchable(switched.WKV, switched.wkv)
def _wkv(original: Operator) -> Operator:
    def rwkv_linear_attention(
        time_decay: Tensor,
        time_first: Tensor,
        key: Tensor,
        value: Tensor,
        state: Any = None,
        return_state: bool = False,
    ) -> Any:
        one = key.shape[1] == 1 and state is not None and not torch.is_grad_enabled()
        choice = backends.resolve("wkv_step" if one else "wkv", key)
        if choice == "transformers":
            return original(time_decay, time_first, key, value, state, return_state)
        decay = torch.exp(time_decay.float())
        if one and choice == "fast":
            out, end = wkv_step(WkvState(*state), decay, time_first, key[:, 0], value[:, 0])
            return out[:, None].to(key.dtype), list(end)
        wkv = wkv_ref if choice == "reference" else wkv_fast
        start = None if state is None else WkvState(*state)
        y, end = wkv(decay, time_first, key, value, initial_state=start)
        return y.to(key.dtype), list(end) if return_state or state is not None else None

    return rwkv_linear_attention


def _experts(original: Operator) -> Operator:
    def forward(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Any:
        backends.note_experts(top_k_index)
        configured = self.config._experts_implementation or "eager"
        choice = backends.resolve("experts", hidden_states, named=configured)
        name = configured if choice == "transformers" else backends.EXPERTS.get(choice)
        if name is not None:
            run = ALL_EXPERTS_FUNCTIONS.get_interface(name, original)
            return run(self, hidden_states, top_k_index, top_k_weights)
        moe = moe_ref if choice == "reference" else moe_fast
        return moe(hidden_states, self.gate_up_proj, self.down_proj, top_k_index, top_k_weights, self.act_fn)

    return forward


def _activated(y: Tensor, activation: str | None) -> Tensor:
    out: Tensor = y if activation is None else ACT2FN[activation](y)
    return out


_MAMBA: dict[str, tuple[str, Dispatcher]] = {
    "conv": ("causal_conv1d_fn", _conv),
    "conv_step": ("causal_conv1d_update", _conv_step),
    "scan": ("mamba_selective_scan", _scan),
    "scan_step": ("mamba_selective_state_update", _scan_step),
    "fused": ("mamba_inner_fn", _fused),
}


def _bind(owner: Any, attribute: str, name: str, dispatcher: Dispatcher) -> None:
    """Replace an operator by its dispatcher, once; behind every wrapper lies upstream's own torch code."""
    present = getattr(owner, attribute)
    if getattr(present, "bound_by", None) == __name__:
        return
    original = inspect.unwrap(present)
    _upstream[name] = original
    bound = dispatcher(present if name == "fused" else original)
    bound.bound_by = __name__  # type: ignore[attr-defined]
    setattr(owner, attribute, bound)


for _module in (modeling_mamba, modeling_jamba):
    for _name, (_attribute, _dispatcher) in _MAMBA.items():
        _bind(_module, _attribute, _name, _dispatcher)
_bind(modeling_rwkv, "rwkv_linear_attention", "wkv", _wkv)
for _owner in (modeling_jamba.JambaExperts, modeling_mixtral.MixtralExperts):
    _bind(_owner, "forward", "experts", _experts)
