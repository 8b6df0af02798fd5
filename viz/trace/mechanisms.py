"""Assemble a mechanism of a trace: its words, its reading, and what every mechanism says."""

from collections.abc import Mapping
from typing import Any

from models.records.trace import ModelTrace
from viz.look.labels import Translate, template
from viz.look.theme import Theme
from viz.mechanism import MechanismSpec, Plane, Size, WalkStep
from viz.trace.tokens import reading_of


def mechanism_of(
    figure: str,
    alt: str,
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    painter: str,
    planes: Mapping[str, Plane],
    steps: tuple[WalkStep, ...],
    sizes: tuple[Size, ...],
    ramps: Mapping[str, tuple[str, ...]],
    settings: Mapping[str, Any],
    own: Mapping[str, str],
    selected: int | None = None,
    on: bool = False,
    first: int = 0,
    wide: bool = True,
) -> MechanismSpec:
    """Build the spec of a mechanism over a trace's tokens. own: the words that the painter writes, beside words()."""
    count = len(trace.tokens)
    return MechanismSpec(
        id=figure,
        alt=alt,
        theme=theme,
        accent=theme.color(trace.architecture),
        painter=painter,
        tokens=trace.tokens,
        planes=planes,
        steps=steps,
        sizes=sizes,
        ramps=ramps,
        settings=settings,
        words={**words(t), **own},
        reading=reading_of(trace),
        selected=selected if selected is not None and 0 <= selected < count else None,
        on=on,
        first=first,
        wide=wide,
    )


def words(t: Translate) -> Mapping[str, str]:
    """Collect the words that the script of every mechanism shows or speaks."""
    names = ("play", "pause", "back", "on", "steps", "kind", "keys")
    return {name: t(f"viz.mechanism.{name}") for name in names} | {
        "at": template(t, "viz.mechanism.at", "index", "count", "title")
    }
