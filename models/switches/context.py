"""The switches that hold in a block of code, and what they mean for the layer that is running.

Both are context variables: they hold for the block that sets them, end with it, and two threads may run one model with
different switches at the same time.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from models.switches.value import FROZEN, NONE, Kind, Switch, Switches

LayerMeans = Mapping[str, Tensor]  # projection, mixer, feed_forward, gate, receptance, step, write, read


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """What stands for a part that is replaced by its mean, per layer, over the tokens of some texts."""

    layers: Mapping[int, LayerMeans]

    def of(self, layer: int) -> LayerMeans:
        """Return the means of a layer, empty where none were measured."""
        return self.layers.get(layer, MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class Using:
    """Switches that hold, the means they need, and the position of the first token that is run."""

    switches: Switches
    means: Means | None
    start: int


@dataclass(slots=True, eq=False)
class Sums:
    """Sums of what a layer computes, over all tokens of the runs in which they are measured."""

    total: dict[str, Tensor] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: Tensor) -> None:
        """Add values (b, l, width)."""
        rows = values.detach().float().reshape(-1, values.shape[-1])
        self.total[name] = self.total.get(name, torch.zeros(rows.shape[1], device=rows.device)) + rows.sum(0)
        self.tokens[name] = self.tokens.get(name, 0) + len(rows)

    def means(self) -> LayerMeans:
        """Return the mean of everything that was added, (width,) each."""
        return MappingProxyType({name: total / self.tokens[name] for name, total in self.total.items()})


@dataclass(frozen=True, slots=True, eq=False)
class LayerSwitches:
    """What is switched off in the layer that is running.

    start, length: position of the first token of this run, and how many it has. sums: where the layer is measured.
    """

    switches: tuple[Switch, ...]
    means: LayerMeans
    start: int
    length: int
    sums: Sums | None = None

    def find(self, kind: Kind) -> Switch | None:
        """Return the switch of a kind without an index; of several, open and zero stand before a mean."""
        found = [switch for switch in self.switches if switch.kind == kind]
        return next((one for one in found if one.how != "mean"), found[0] if found else None)

    def concerns(self, kinds: frozenset[Kind]) -> bool:
        """Return whether a switch is of one of these kinds, or the layer is measured."""
        return self.sums is not None or any(switch.kind in kinds for switch in self.switches)

    def mean(self, name: str) -> Tensor:
        """Return a mean, (width,)."""
        return self.means[name]

    @property
    def frozen(self) -> frozenset[Kind]:
        """Which of dt, B and C stand at their means."""
        whole = self.find("selectivity") is not None
        return frozenset(kind for kind in FROZEN if whole or self.find(kind) is not None)

    @property
    def forgets(self) -> tuple[int, ...]:
        """The positions before which all is forgotten, ascending."""
        return tuple(sorted({switch.index for switch in self.switches if switch.kind == "forget"}))


_using: ContextVar[Using | None] = ContextVar("contextscope_switches", default=None)
_here: ContextVar[LayerSwitches | None] = ContextVar("contextscope_switched_layer", default=None)


@contextmanager
def use(switches: Switches, *, means: Means | None = None, start: int = 0) -> Iterator[None]:
    """Run models with parts switched off inside the block; blocks in one another add up. NONE changes nothing.

    means: of the model that runs, where a part is replaced by its mean. start: the position of the first token that
    the block runs, where it continues a cache; a cache that is continued at several places needs a block for each.
    Raises ValueError for a mean that was not measured, and in the run for a layer or index that the model lacks.
    """
    outer = _using.get()
    whole = switches if outer is None else outer.switches | switches
    known = means if means is not None or outer is None else outer.means
    if whole.need_means and known is None:
        raise ValueError("a part is replaced by its mean, which was not measured: hand over its means")
    token = _using.set(Using(whole, known, start) if whole else None)
    try:
        yield
    finally:
        _using.reset(token)


def using() -> Using | None:
    """Return the switches that hold, None where everything is on."""
    return _using.get()


def chosen() -> Switches:
    """Return the set that holds, NONE where everything is on."""
    found = _using.get()
    return NONE if found is None else found.switches


def here() -> LayerSwitches | None:
    """Return what is switched off in the layer that is running, None for nothing."""
    return _here.get()


def enter(plan: LayerSwitches | None) -> None:
    """Say which layer is running, None for none."""
    _here.set(plan)
