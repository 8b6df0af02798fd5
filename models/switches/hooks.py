"""Act on the modules of a model for one run: replace what mixers, heads, feed-forwards and routers hand on.

Hooks are on the model only while a run with switches lasts, and let the runs of other threads pass.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from models.switches import context
from models.switches.context import LayerSwitches, Means, Sums, Using
from models.switches.sites import Site, has, offered
from models.switches.value import Switch

_OUTPUTS = {"mixer": ("mixer", "layer"), "feed_forward": ("feed_forward", "layer")}
_run: ContextVar[object | None] = ContextVar("contextscope_switched_run", default=None)


@contextmanager
def applied(using: Using, sites: Sequence[Site], *, length: int, continued: bool) -> Iterator[None]:
    """Let switches act on the run inside the block, of length tokens.

    continued: whether the run continues a cache. Raises ValueError for a switch that the model does not have, and for a
    cache that is continued without its position where something is to be forgotten.
    """
    offers = offered(sites)
    if missing := [one.code for one in using.switches if not any(offer.allows(one) for offer in offers)]:
        raise ValueError(f"the model has no {missing[0]}")
    if continued and using.start == 0 and any(one.kind == "forget" for one in using.switches):
        raise ValueError("a cache is continued and something forgotten: use(..., start=) has to say at which position")
    plans = [_plan(using, site, length) for site in sites]
    with _attached(sites, plans):
        yield


@contextmanager
def measuring(sites: Sequence[Site]) -> Iterator[Callable[[], Means]]:
    """Sum what the parts of every layer compute inside the block; the function that it yields returns the means."""
    sums = [Sums() for _ in sites]
    plans = [LayerSwitches((), {}, 0, 0, sums=one) for one in sums]
    with _attached(sites, plans):
        yield lambda: Means({site.index: one.means() for site, one in zip(sites, sums, strict=True)})


def _plan(using: Using, site: Site, length: int) -> LayerSwitches:
    own = tuple(one for one in using.switches.of_layer(site.index) if _concerns(site, one))
    means = {} if using.means is None else using.means.of(site.index)
    return LayerSwitches(own, means, using.start, length)


def _concerns(site: Site, switch: Switch) -> bool:
    """Return whether a layer has the part; layer -1 names every layer that has it."""
    if switch.kind == "layer":
        return True
    frozen = switch.kind == "decay" and switch.how == "mean" and site.kind != "scan"
    return has(site, switch.kind) and not frozen


@contextmanager
def _attached(sites: Sequence[Site], plans: Sequence[LayerSwitches]) -> Iterator[None]:
    run = object()
    handles: list[RemovableHandle] = []
    token = _run.set(run)
    try:
        for site, plan in zip(sites, plans, strict=True):
            if plan.switches or plan.sums is not None:
                handles += _hooks(run, site, plan)
        yield
    finally:
        for handle in handles:
            handle.remove()
        context.enter(None)
        _run.reset(token)


def _hooks(run: object, site: Site, plan: LayerSwitches) -> Iterator[RemovableHandle]:
    yield from _around(run, site.mixer, plan, "mixer")
    if site.feed_forward is not None:
        yield from _around(run, site.feed_forward, plan, "feed_forward")

    def projected(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return _projected(site, plan, module, args[0], output) if _run.get() is run else None

    def routed(_module: nn.Module, _args: object, output: tuple[Tensor, Tensor, Tensor]) -> Any:
        return _routed(site, plan, *output) if _run.get() is run else None

    yield site.projection.register_forward_hook(projected)
    if site.router is not None and any(one.kind == "expert" for one in plan.switches):
        yield site.router.register_forward_hook(routed, prepend=True)  # who records sees the experts that were used


def _around(run: object, module: nn.Module, plan: LayerSwitches, part: str) -> Iterator[RemovableHandle]:
    """Say before a module that its layer is running, and replace what it returns."""

    def before(_module: nn.Module, _args: object) -> None:
        if _run.get() is run:
            context.enter(plan)

    def after(_module: nn.Module, _args: object, output: Any) -> Any:
        if _run.get() is not run:
            return None
        context.enter(None)
        return _output(plan, part, output)

    yield module.register_forward_pre_hook(before)
    yield module.register_forward_hook(after)


def _output(plan: LayerSwitches, part: str, output: Any) -> Any:
    """Return what stands for the output of a mixer or a feed-forward, None where it stays."""
    given: Tensor = output[0] if isinstance(output, tuple) else output
    if plan.sums is not None:
        plan.sums.add(part, given)
        return None
    hows = {one.how for one in plan.switches if one.kind in _OUTPUTS[part]}
    if not hows:
        return None
    replaced = torch.zeros_like(given) if "zero" in hows else _repeated(plan.mean(part), given)
    return (replaced, *output[1:]) if isinstance(output, tuple) else replaced


def _projected(
    site: Site, plan: LayerSwitches, projection: nn.Module, joined: Tensor, _output: Tensor
) -> Tensor | None:
    """Project once more without some heads or channels; what the projection received stays as it is for who watches."""
    if plan.sums is not None:
        plan.sums.add("projection", joined)
        return None
    own = [one for one in plan.switches if one.kind in ("head", "channels")]
    if not own:
        return None
    kept = joined.clone()
    for one in sorted(own, key=lambda one: one.how == "zero"):  # zero, where both are asked for
        columns = site.columns(one, joined.shape[-1]).to(joined.device)
        kept[..., columns] = 0 if one.how == "zero" else plan.mean("projection")[columns].to(joined)
    projected: Tensor = projection.forward(kept)
    return projected


def _routed(
    site: Site, plan: LayerSwitches, logits: Tensor, weights: Tensor, chosen: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Route once more with some experts forbidden, by softmax over those left. With none left, all weights are 0."""
    own = [one for one in plan.switches if one.kind == "expert"]
    forced = {one.index for one in own if one.how == "force"}
    allowed = (forced or set(range(site.experts))) - {one.index for one in own if one.how == "forbid"}
    if not allowed:
        return logits, torch.zeros_like(weights), chosen
    banned = [expert for expert in range(site.experts) if expert not in allowed]
    left = logits.clone()
    left[..., banned] = -torch.inf
    probs, index = torch.softmax(left.float(), dim=-1).topk(chosen.shape[-1], dim=-1)
    probs = probs / probs.sum(dim=-1, keepdim=True) if site.normalised else probs
    return left, probs.to(weights.dtype), index


def _repeated(mean: Tensor, like: Tensor) -> Tensor:
    return mean.to(like).expand_as(like).clone()
