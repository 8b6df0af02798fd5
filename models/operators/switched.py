"""The operators of a layer in which something is switched off (models.switches), on top of whatever serves them.

Each function takes the operator that would have run and the arguments of its call, in transformers' layout: (b, d, l)
and (b, n, l) for Mamba, (b, l, d) for RWKV.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.operators import backends
from models.switches import context
from models.switches.context import LayerSwitches
from models.switches.value import Kind

Operator = Callable[..., Any]

# The kinds of switches that each operator answers to.
SCAN: frozenset[Kind] = frozenset({"selectivity", "step", "write", "read", "decay", "gate", "forget"})
CONV: frozenset[Kind] = frozenset({"convolution", "forget"})
WKV: frozenset[Kind] = frozenset({"decay", "forget"})
SHIFT: frozenset[Kind] = frozenset({"token_shift", "forget"})
RECEPTANCE: frozenset[Kind] = frozenset({"receptance"})
FORGET: frozenset[Kind] = frozenset({"forget"})


def asked(kinds: frozenset[Kind]) -> LayerSwitches | None:
    """Return what is switched off in the layer that is running where it concerns an operator, None where nothing is."""
    plan = context.here()
    return plan if plan is not None and plan.concerns(kinds) else None


def scan(
    run: Operator,
    plan: LayerSwitches,
    u: Tensor,
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
    """Run a selective scan; u, dt, z (b, d, l), B and C (b, n, l)."""
    step = _step(dt, None if delta_bias is None else delta_bias[:, None], delta_softplus)
    if plan.sums is not None:
        for name, values in {"step": step, "write": B, "read": C, "gate": None if z is None else F.silu(z)}.items():
            if values is not None:
                plan.sums.add(name, values.transpose(1, 2))
    inputs, step, A, B, C = _selection(plan, u, step, A, B, C, along=-1)
    skip, inside = (None, D) if inputs is u else (D, None)
    gates = z if skip is None and plan.find("gate") is None else None
    parts, state = [], None
    for place, span in enumerate(_spans(plan, u.shape[-1])):
        fresh = place > 0 or plan.start in plan.forgets
        with backends.carrying(None if fresh else backends.carried_state()):
            y, state = run(
                inputs[..., span], step[..., span], A, B[..., span], C[..., span], inside,
                None if gates is None else gates[..., span], None, False, True, **kwargs,
            )  # fmt: skip
        parts.append(y)
    y = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
    y = y if skip is None else y + u * skip[:, None]
    y = y if gates is not None else _gated(plan, y, z, along=-1)
    return (y, state) if return_last_state else y


def scan_step(
    run: Operator,
    plan: LayerSwitches,
    state: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    z: Tensor | None = None,
    **kwargs: Any,
) -> Tensor:
    """Take one step of a selective scan and write the state; u, dt, z (b, d), B and C (b, n)."""
    if plan.start in plan.forgets:
        state.zero_()
    inputs, step, A, B, C = _selection(plan, u, _step(dt, dt_bias, dt_softplus), A, B, C, along=None)
    skip, inside = (None, D) if inputs is u else (D, None)
    gates = z if skip is None and plan.find("gate") is None else None
    y: Tensor = run(state, inputs, step, A, B, C, inside, None, False, gates, **kwargs)
    y = y if skip is None else y + u * skip
    return y if gates is not None else _gated(plan, y, z, along=None)


def conv(run: Operator, plan: LayerSwitches, x: Tensor, weight: Tensor, *rest: Any, **kwargs: Any) -> Tensor:
    """Run a causal convolution; x (b, d, l), in front of the run's own tokens those that a cache holds."""
    weight = _present(plan, weight)
    y: Tensor = run(x, weight, *rest, **kwargs)
    first = plan.start + plan.length - x.shape[-1]  # position of column 0
    for position in plan.forgets:
        column = position - first
        if 0 < column < x.shape[-1]:
            fresh = x.clone()
            fresh[..., :column] = 0
            y = torch.cat([y[..., :column], run(fresh, weight, *rest, **kwargs)[..., column:]], dim=-1)
    return y


def conv_step(
    run: Operator, plan: LayerSwitches, x: Tensor, held: Tensor, weight: Tensor, *rest: Any, **kwargs: Any
) -> Tensor:
    """Take one step of a causal convolution; held (b, d, k) are the tokens before it and is written."""
    last = max((position for position in plan.forgets if position <= plan.start), default=None)
    if last is not None:
        held[..., : max(held.shape[-1] - (plan.start - last), 0)] = 0
    y: Tensor = run(x, held, _present(plan, weight), *rest, **kwargs)
    return y


def wkv(
    run: Operator,
    plan: LayerSwitches,
    decay: Tensor,
    first: Tensor,
    key: Tensor,
    value: Tensor,
    state: Any = None,
    return_state: bool = False,
) -> Any:
    """Run WKV; key and value (b, l, d)."""
    if plan.find("decay") is not None:
        decay = torch.full_like(decay, -torch.inf)  # of log w: nothing fades
    forgets = any(plan.start <= position < plan.start + plan.length for position in plan.forgets)
    if not forgets:
        return run(decay, first, key, value, state, return_state)
    parts, end = [], state
    for place, span in enumerate(_spans(plan, key.shape[1])):
        begin = None if place or plan.start in plan.forgets else end
        y, end = run(decay, first, key[:, span], value[:, span], begin, True)
        parts.append(y)
    return torch.cat(parts, dim=1), end if return_state or state is not None else None


def shifted(plan: LayerSwitches, shifted: Tensor) -> Tensor:
    """Return what stands for the token before each token, (b, l, d)."""
    if plan.find("token_shift") is not None:
        return torch.zeros_like(shifted)
    at = [position - plan.start for position in plan.forgets if 0 <= position - plan.start < shifted.shape[1]]
    if at:
        shifted = shifted.clone()
        shifted[:, at] = 0
    return shifted


def receptance(plan: LayerSwitches, values: Tensor) -> Tensor:
    """Return what stands for sigmoid(r), (b, l, d)."""
    if plan.sums is not None:
        plan.sums.add("receptance", values)
    switch = plan.find("receptance")
    if switch is None:
        return values
    return torch.ones_like(values) if switch.how == "open" else plan.mean("receptance").to(values).expand_as(values)


def attention(
    run: Operator, plan: LayerSwitches, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> Tensor:
    """Attend; query (b, h, l, d_head), output (b, l, h, d_head). run takes query, key, value and mask.

    From a forgotten position on, queries find no earlier key. Rows before it are those of the whole call, so they are
    the same bits. The keys stay in the cache, and positions are counted on.
    """
    out: Tensor = run(query, key, value, mask)
    first = plan.start + query.shape[2] - key.shape[2]  # position of the first key
    for position in plan.forgets:
        row, column = max(position - plan.start, 0), position - first
        if row < query.shape[2] and column > 0:
            left = None if mask is None else mask[..., row:, column:]
            fresh = run(query[:, :, row:], key[:, :, column:], value[:, :, column:], left)
            out = torch.cat([out[:, :row], fresh], dim=1)
    return out


def visible(plan: LayerSwitches, seen: Tensor) -> Tensor:
    """Return which keys each query of a whole text may read, bool (l, l), after what is forgotten."""
    seen = seen.clone()
    for position in plan.forgets:
        seen[position:, :position] = False
    return seen


def frozen(plan: LayerSwitches, name: str, values: Tensor) -> Tensor:
    """Return dt, B or C (l, width) as the run had them: name is step, write or read."""
    return plan.mean(name).to(values).expand_as(values) if name in plan.frozen else values


def gate(plan: LayerSwitches, values: Tensor) -> Tensor:
    """Return SiLU(z) (l, width) as the run had it."""
    switch = plan.find("gate")
    if switch is None:
        return values
    return torch.ones_like(values) if switch.how == "open" else plan.mean("gate").to(values).expand_as(values)


def _step(dt: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
    dt = dt if bias is None else dt + bias.to(dt.dtype)
    return F.softplus(dt) if softplus else dt


def _selection(
    plan: LayerSwitches, u: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor, *, along: int | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return input, dt, A, B and C with what is frozen at its mean; along: the dimension of tokens, None for none.

    With the decay frozen, dt is its mean and the input u dt / mean(dt), so that dt B u is written as it was.
    """

    def mean(name: str, like: Tensor) -> Tensor:
        found = plan.mean(name).to(like)
        return (found if along is None else found[:, None]).expand_as(like)

    step = mean("step", step) if "step" in plan.frozen else step
    B = mean("write", B) if "write" in plan.frozen else B
    C = mean("read", C) if "read" in plan.frozen else C
    decay = plan.find("decay")
    if decay is None:
        return u, step, A, B, C
    if decay.how == "keep":
        return u, step, torch.zeros_like(A), B, C
    fixed = mean("step", step)
    return u * (step / fixed), fixed, A, B, C


def _gated(plan: LayerSwitches, y: Tensor, z: Tensor | None, *, along: int | None) -> Tensor:
    """Return an output with its gate, or what stands for it."""
    switch = plan.find("gate")
    if z is None or (switch is not None and switch.how == "open"):
        return y
    if switch is None:
        return y * F.silu(z)
    mean = plan.mean("gate").to(y)
    return y * (mean if along is None else mean[:, None])


def _spans(plan: LayerSwitches, length: int) -> Sequence[slice]:
    """Return the parts of this run between which everything is forgotten, as slices of its tokens."""
    cuts = [position - plan.start for position in plan.forgets if 0 < position - plan.start < length]
    edges = [0, *cuts, length]
    return [slice(a, b) for a, b in pairwise(edges)]


def _present(plan: LayerSwitches, weight: Tensor) -> Tensor:
    """Return the weights (d, k) of a convolution, those of earlier tokens zero where it is switched off."""
    if plan.find("convolution") is None:
        return weight
    present = torch.zeros_like(weight)
    present[:, -1] = weight[:, -1]
    return present
