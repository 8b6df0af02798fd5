"""What every part of every layer is worth: the bits a token that texts cost more with it switched off."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from models import registry
from models.ablation.bits import bits_of
from models.records.trace import NamedArray
from models.records.what_if import Worth
from models.switches import context
from models.switches.context import Means
from models.switches.sites import Switchable
from models.switches.value import How, Kind, Switch, Switches
from models.tracing.adapter import Checkpoint
from models.tracing.tokens import Encoded

# The parts of a block, and what stands in the place of each: a gate of 1 would scale what it lets through.
PARTS: tuple[tuple[Kind, How], ...] = (
    ("mixer", "zero"),
    ("convolution", "zero"),
    ("token_shift", "zero"),
    ("gate", "mean"),
    ("receptance", "mean"),
    ("selectivity", "mean"),
    ("feed_forward", "zero"),
)


def worth_of(
    checkpoint: Checkpoint,
    texts: Sequence[Encoded],
    *,
    means: Means,
    turn: AbstractContextManager[object] | None = None,
    told: Callable[[float], None] = lambda _: None,
) -> Worth:
    """Run texts once with everything on and once for every part of every layer.

    means: of this checkpoint. turn: is entered for every single run. told: is given the share that is done after it.
    """
    held = turn or nullcontext()
    offers = {offer.kind: offer for offer in registry.switches_of(checkpoint)}
    found = [(kind, how) for kind, how in PARTS if kind in offers]
    parts = tuple((_named(kind, offers), how) for kind, how in found)
    layers = tuple(sorted({layer for kind, _ in found for layer in offers[kind].layers}))
    loss = np.full((len(parts), len(layers)), np.nan)
    with held:
        base = bits_of(checkpoint, texts)
    runs = [(row, kind, how, layer) for row, (kind, how) in enumerate(found) for layer in offers[kind].layers]
    for done, (row, kind, how, layer) in enumerate(runs, start=1):
        with held, context.use(Switches.of(Switch(kind, layer, how=how)), means=means):
            loss[row, layers.index(layer)] = bits_of(checkpoint, texts).per_token - base.per_token
        told(done / len(runs))
    return Worth(parts, layers, NamedArray(loss, ("part", "layer")), base)


def _named(kind: Kind, offers: Mapping[Kind, Switchable]) -> str:
    """Call a feed-forward that reads the token before as well what it is: channel mixing."""
    shifts = kind == "feed_forward" and "token_shift" in offers
    return "channel_mix" if shifts and offers["token_shift"].layers == offers[kind].layers else kind
