"""Where switches act in a layer, and which a model offers. Adapters list the sites of their models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.switches.value import GROUPS, HOWS, How, Kind, Switch

Mixer = Literal["attention", "scan", "wkv"]


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """The modules of one layer that switches act on.

    mixer: returns what the layer adds to the stream, or a tuple that begins with it. projection: receives the outputs
    of its heads or channels side by side, (b, l, heads d_head) or (b, l, channels). feed_forward: likewise, None where
    there is none. router: returns logits, weights and indices of the chosen experts; normalised: whether the weights of
    the chosen ones are divided by their sum.
    """

    index: int
    kind: Mixer
    mixer: nn.Module
    projection: nn.Module
    heads: int = 0
    channels: int = 0
    feed_forward: nn.Module | None = None
    router: nn.Module | None = None
    experts: int = 0
    normalised: bool = False

    def columns(self, switch: Switch, width: int) -> Tensor:
        """Return which inputs of the projection belong to a head or a group of channels; width: of all inputs."""
        if switch.kind == "head":
            size = width // self.heads
            return torch.arange(switch.index * size, (switch.index + 1) * size)
        return group_of(half_lives(self), switch.index)


@dataclass(frozen=True, slots=True)
class Switchable:
    """One kind of switch that a model has: what may replace the part, in which layers, and how many heads, ... there.

    count: of heads, groups or experts in each of the layers; 0 for a kind without an index, and for tokens.
    """

    kind: Kind
    hows: tuple[How, ...]
    layers: tuple[int, ...]
    count: int

    def allows(self, switch: Switch) -> bool:
        """Return whether a switch is one of these; the number of a token is not looked at."""
        same = switch.kind == self.kind and switch.how in self.hows and switch.layer in (-1, *self.layers)
        return same and (self.count == 0 or switch.index < self.count)


def offered(sites: Sequence[Site]) -> tuple[Switchable, ...]:
    """List the switches that a model has, in the order of KINDS."""
    found: list[Switchable] = []
    for kind in HOWS:
        layers = tuple(site.index for site in sites if has(site, kind))
        if layers:
            hows = tuple(how for how in HOWS[kind] if any(_has_how(site, kind, how) for site in sites))
            found.append(Switchable(kind, hows, layers, max(_count(site, kind) for site in sites)))
    return tuple(found)


def has(site: Site, kind: Kind) -> bool:
    """Return whether a layer has the part that a kind of switch is about."""
    if kind == "head":
        return site.heads > 0
    if kind == "channels":
        return site.channels >= GROUPS
    if kind in ("convolution", "gate", "selectivity", "step", "write", "read"):
        return site.kind == "scan"
    if kind in ("token_shift", "receptance"):
        return site.kind == "wkv"
    if kind == "decay":
        return site.kind in ("scan", "wkv")
    if kind == "expert":
        return site.experts > 1
    if kind in ("feed_forward", "layer"):  # without a feed-forward the layer is its mixer
        return site.feed_forward is not None
    return True


def half_lives(site: Site) -> Tensor:
    """Return the half-life of every channel of a recurrent mixer from its weights alone, (channel,), in tokens.

    Of a selective scan that of the slowest component at dt = softplus(bias), which the token does not change.
    """
    mixer = site.mixer
    if site.kind == "wkv":
        rate = torch.exp(_weight(mixer, "time_decay"))
    else:
        slowest = torch.exp(_weight(mixer, "A_log")).amin(dim=1)
        rate = slowest * F.softplus(_weight(mixer, "dt_proj.bias"))
    return torch.log(torch.tensor(2.0)) / rate.cpu()


def group_of(half_life: Tensor, group: int) -> Tensor:
    """Return the channels of a group: GROUPS of nearly equal size, by half-life, equal ones by their number."""
    order = torch.sort(half_life, stable=True).indices
    return order.tensor_split(GROUPS)[group]


def _has_how(site: Site, kind: Kind, how: How) -> bool:
    frozen = kind == "decay" and how == "mean"  # a decay that no token changes is frozen as it is
    return has(site, kind) and (site.kind == "scan" or not frozen)


def _count(site: Site, kind: Kind) -> int:
    return {"head": site.heads, "channels": GROUPS if site.channels else 0, "expert": site.experts}.get(kind, 0)


def _weight(module: nn.Module, name: str) -> Tensor:
    return module.get_parameter(name).detach().float()
