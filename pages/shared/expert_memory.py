"""Memory and parameters of a model with experts: of the one that the visitor chose, and of a published one."""

from collections.abc import Mapping
from types import MappingProxyType

from models.records.memory import MemoryCurve
from models.records.trace import ModelTrace
from pages.shared import cache, controls, figure, model_picker, parts, style
from pages.shared.memo import Memo
from pages.shared.words import language
from pages.shared.words.i18n import t
from viz.charts.memory import active_parameters, memory_growth
from viz.figure import Figure

POINTS = 64  # of a curve, evenly spaced
HERE = 32_768  # tokens up to which the chosen model is counted
PUBLISHED: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"jamba": ("jamba-v0.1", 262_144), "transformer": ("mixtral-8x7b", 32_768)}
)  # page -> model of the catalogue, and tokens up to which it is counted
NAMES: Mapping[str, str] = MappingProxyType({"jamba": "Jamba-v0.1", "transformer": "Mixtral-8x7B"})

_curves: Memo[MemoryCurve] = Memo(16)
_drawn: Memo[Figure] = Memo(32)


def memory(page: str, trace: ModelTrace) -> None:
    """Draw what grows with the text and what does not, and how many parameters one token uses."""
    parts.figure(f"{page}.part.memory", lambda: _memory(page, trace), on=("memory_choice",))


def _memory(page: str, trace: ModelTrace) -> None:
    own, published = model_picker.name_of(page), NAMES[page]
    chosen = controls.named_picker(
        page, "memory_choice", t("experts.memory_of"), {0: own, 1: t("experts.published", name=published)}, default=0
    )
    source, longest = PUBLISHED[page] if chosen else (trace.checkpoint, HERE)
    curve = _curves.get((source, longest, chosen), (), lambda: _counted(source, longest, published=bool(chosen)))
    theme, key = style.theme(), (source, longest, chosen, language.current())
    said = published if chosen else own
    for draw, name in ((memory_growth, "memory"), (active_parameters, "parameters")):
        made = _drawn.get((*key, name, theme.mode), (curve,), lambda draw=draw: draw(curve, theme=theme, t=t))  # type: ignore[misc]
        figure.show(made, key=f"{page}.{name}", subtitle=said, source=said)


def _counted(source: str, longest: int, *, published: bool) -> MemoryCurve:
    """Count a model of the catalogue, or the one that reads, at evenly spaced lengths."""
    from models import registry
    from models.counting import accounting, memory
    from models.sources import catalogue

    entry = catalogue.find(source) if published else None
    shape = accounting.shape_of(registry.read_config(source) if entry is None else catalogue.config_of(entry))
    return memory.memory_curve(shape, [longest * n // POINTS for n in range(POINTS + 1)], dtype=cache.CACHE_DTYPE)
