"""Gradients of a model with parts switched off: those of the run that is drawn."""

from collections.abc import Callable

import numpy as np
import pytest

from models import registry
from models.influence.gradient import gradient
from models.influence.reading import embeddings, hidden, logits, reading
from models.influence.replacement import replacement
from models.switches import context
from models.switches.value import Switch, Switches
from models.tracing.adapter import Checkpoint

Loader = Callable[[str], Checkpoint]
TEXT = "The wolf met a wolf, and the wolf said to the King"
OFF = {
    "transformer": Switch("head", 2, 1),
    "mamba": Switch("convolution", -1),
    "rwkv": Switch("receptance", 1),
    "jamba": Switch("mixer", 4),
}


@pytest.mark.parametrize("bundled", OFF)
def test_the_gradient_is_that_of_the_switched_run(bundled: str, checkpoint_of: Loader) -> None:
    checkpoint, switches = checkpoint_of(bundled), Switches.of(OFF[bundled])
    with context.use(switches):
        trace = registry.trace(checkpoint, TEXT)
        found = gradient(checkpoint, trace).values.values
        moved = replacement(checkpoint, trace).values.values
        with reading(checkpoint, grad=False):
            ids = [token.id for token in trace.tokens]
            again = logits(checkpoint, hidden(checkpoint, embeddings(checkpoint, ids)[None])[0]).numpy()
    on = registry.trace(checkpoint, TEXT)
    size = np.abs(trace.logits.values).max()
    assert np.abs(again - trace.logits.values).max() < 1e-4 * size
    assert np.abs(on.logits.values - trace.logits.values).max() > 1e-3 * size, "the switch changes something"
    whole = gradient(checkpoint, on).values.values
    past = np.tri(len(ids), dtype=bool)
    assert (found[~past] == 0).all() and (moved[~past] == 0).all() and (found[past] >= 0).all()
    assert np.abs(found - whole).max() > 1e-3 * whole.max()


@pytest.mark.parametrize("bundled", OFF)
def test_the_slope_under_switches_is_that_of_two_readings(bundled: str, checkpoint_of: Loader) -> None:
    """Along the gradient itself, by two readings of the text."""
    import torch

    from models.influence.gradient import connectivity

    checkpoint = checkpoint_of(bundled)
    ids = [token.id for token in registry.trace(checkpoint, TEXT).tokens][:8]
    with context.use(Switches.of(OFF[bundled])), reading(checkpoint, grad=True):
        own = embeddings(checkpoint, ids)
        vectors = own.clone()[None].requires_grad_(True)
        largest = logits(checkpoint, hidden(checkpoint, vectors)[0, 7])
        best = int(largest.argmax())
        (slope,) = torch.autograd.grad(largest[best], vectors)
        assert np.allclose(connectivity(checkpoint, ids, [7])[0], slope[0].norm(dim=-1).numpy(), rtol=1e-3)
        step = 0.02 / float(slope.norm())
        with torch.no_grad():
            ends = [float(logits(checkpoint, hidden(checkpoint, own[None] + sign * step * slope)[0, 7])[best])
                    for sign in (1, -1)]  # fmt: skip
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float((slope**2).sum()), rel=2e-2)
