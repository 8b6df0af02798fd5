"""The block around the mixer, on every page: what the model is built of, and what this run measured there."""

from models.records.anatomy import Anatomy
from models.records.trace import ModelTrace
from pages.shared import cache, gate
from pages.shared.memo import Memo
from pages.shared.panel import panel
from viz.trace.anatomy import Worths, anatomy

_plans: Memo[Anatomy] = Memo(16)


def section(page: str, trace: ModelTrace, *, worth: Worths = ()) -> None:
    """Draw the diagram of the model that read the text.

    worth: of (layer, "mixer" or "ffn"), bits a token, where it was measured; it then stands at its branch.
    """
    panel(anatomy, trace, key=f"{page}.anatomy", plan=plan_of(trace), worth=worth)


def plan_of(trace: ModelTrace) -> Anatomy:
    """Return the parts of the model of a trace; SourceError where it is no longer here."""

    def make() -> Anatomy:
        from models import registry

        with gate.released():
            return registry.anatomy_of(cache.checkpoint(trace.checkpoint))

    return _plans.get(trace.checkpoint, (trace,), make)
