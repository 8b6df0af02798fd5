"""The block around the mixer, on every page: what the model is built of, and what this run measured there."""

from models.records.anatomy import Anatomy
from models.records.trace import ModelTrace
from pages.shared import ablation, cache, gate
from pages.shared.memo import Memo
from pages.shared.panel import panel
from viz.trace.anatomy import Worths, anatomy

_plans: Memo[Anatomy] = Memo(16)


SIDES = {"mixer": "mixer", "feed_forward": "ffn", "channel_mix": "ffn"}  # part that is switched off -> its branch


def section(page: str, trace: ModelTrace) -> None:
    """Draw the diagram of the model that read the text, with what each branch is worth on it in bits a token."""
    panel(anatomy, trace, key=f"{page}.anatomy", plan=plan_of(trace), worth=worths_of(trace))


def worths_of(trace: ModelTrace) -> Worths:
    """Return what every mixer and feed-forward is worth on the text, by its ablation; () for a model of unknown size.

    It takes as many runs as there are branches, so it is measured for bundled models alone.
    """
    if trace.checkpoint not in cache.bundled() or len(trace.tokens) < 2:
        return ()
    found = ablation.worth(trace.checkpoint, (trace.prompt,), lambda _share: None)
    return tuple(
        (layer, SIDES[kind], float(bits))
        for (kind, _), row in zip(found.parts, found.loss.values, strict=True)
        if kind in SIDES
        for layer, bits in zip(found.layers, row, strict=True)
        if bits == bits  # the layer has the part
    )


def plan_of(trace: ModelTrace) -> Anatomy:
    """Return the parts of the model of a trace; SourceError where it is no longer here."""

    def make() -> Anatomy:
        from models import registry

        with gate.released():
            return registry.anatomy_of(cache.checkpoint(trace.checkpoint))

    return _plans.get(trace.checkpoint, (trace,), make)
