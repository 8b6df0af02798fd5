"""Turn the measured structure of a model into sentences, by the thresholds of assets/structure.yaml."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.tracing.adapter import Checkpoint
from models.training import corpus
from models.training.structure import LONG, SHORT, HeadScore, Memory, Routing, Steps, Structure, measure

TABLE = ASSETS / "structure.yaml"


@dataclass(frozen=True, slots=True)
class CardFinding:
    """One question about a model: which, whether its numbers reach the threshold, and the sentence with the numbers."""

    id: str
    holds: bool
    text: str


@cache
def table() -> Mapping[str, Any]:
    """Read the thresholds and sentences."""
    known: Mapping[str, Any] = read_yaml(TABLE)
    return known


def facts(checkpoint: Checkpoint, texts: Sequence[corpus.Text]) -> dict[str, Any]:
    """Measure a checkpoint; return the entry "structure" of its card."""
    found = measure(checkpoint, texts)
    return {**asdict(found), "findings": [asdict(finding) for finding in findings(found)]}


def findings(structure: Structure) -> tuple[CardFinding, ...]:
    """Answer every question that the model has parts for, yes or no, with its numbers."""
    return tuple(_findings(structure))


def _findings(found: Structure) -> Iterator[CardFinding]:
    before = found.untrained
    for name, score in found.heads.items():
        yield _head(name, score)
    for memory in found.memories:
        same = next((m for m in before.memories if m.mixer == memory.mixer), None) if before else None
        yield _spread(memory, same)
        yield _short_and_long(memory, same)
    if found.steps is not None:
        yield _steps(found.steps, before.steps if before else None)
    if found.routing:
        yield _experts(found.routing, before.routing if before else ())


def _head(name: str, score: HeadScore) -> CardFinding:
    words = table()["languages"]
    values = " / ".join(f"{_number(x)} ({words.get(lang, lang)})" for lang, x in score.value.items())
    holds = min(score.value.values()) >= _least(name)
    return _finding(
        name,
        holds,
        layer=score.layer,
        head=score.head,
        values=values,
        median=_number(score.median),
        uniform=_number(score.uniform),
    )


def _spread(memory: Memory, before: Memory | None) -> CardFinding:
    rule, untrained, moved = table()["scores"]["spread"], "unknown", ""
    if before is not None:
        low, high = _number(before.quantiles[5]), _number(before.quantiles[95])
        untrained = f"{low} and {high}, a factor of {_number(before.ratio)}"
        ratios = [memory.quantiles[q] / before.quantiles[q] for q in (5, 95)]
        moved = "" if max(*ratios, *(1 / ratio for ratio in ratios)) > rule["moved"] else rule["unmoved"]
    return _finding(
        "spread",
        memory.ratio >= _least("spread"),
        mixer=memory.mixer,
        channels=memory.channels,
        low=_number(memory.quantiles[5]),
        high=_number(memory.quantiles[95]),
        median=_number(memory.quantiles[50]),
        ratio=_number(memory.ratio),
        untrained=untrained,
        moved=moved,
    )


def _short_and_long(memory: Memory, before: Memory | None) -> CardFinding:
    least = _least("short_and_long")
    return _finding(
        "short_and_long",
        min(memory.below, memory.above) >= least,
        mixer=memory.mixer,
        least=_number(100 * least),
        below=_number(100 * memory.below),
        above=_number(100 * memory.above),
        short=_number(SHORT),
        long=_number(LONG),
        short_layer=max(memory.layers, key=lambda i: memory.layers[i]["below"]),
        long_layer=max(memory.layers, key=lambda i: memory.layers[i]["above"]),
        untrained_below="?" if before is None else _number(100 * before.below),
        untrained_above="?" if before is None else _number(100 * before.above),
    )


def _steps(steps: Steps, before: Steps | None) -> CardFinding:
    untrained = before.factor if before else None
    return _finding(
        "step_size",
        steps.factor >= _least("step_size") and steps.factor > max(steps.chance, untrained or 1.0),
        kind=table()["kinds"][steps.kind],
        layer=steps.layer,
        factor=_number(steps.factor),
        ratio=_number(steps.ratio[steps.layer][steps.kind]),
        chance=_number(steps.chance),
        untrained="?" if untrained is None else _number(untrained),
    )


def _experts(routing: tuple[Routing, ...], before: tuple[Routing, ...]) -> CardFinding:
    lift = max((layer.lift for layer in before), default=0.0)
    information = max((layer.information for layer in before), default=0.0)
    passing = [layer for layer in routing if _prefers(layer, untrained_lift=lift, untrained_information=information)]
    best = max(passing or routing, key=lambda layer: layer.lift)
    return _finding(
        "experts",
        bool(passing),
        passing=len(passing),
        layers=len(routing),
        layer=best.layer,
        expert=best.expert,
        kind=table()["kinds"].get(best.kind, "tokens"),
        count=best.count,
        of=best.of,
        lift=_number(best.lift),
        lift_chance=_number(best.lift_chance),
        information=_number(best.information),
        untrained_lift=_number(lift) if before else "?",
        untrained_information=_number(information) if before else "?",
    )


def _prefers(layer: Routing, *, untrained_lift: float, untrained_information: float) -> bool:
    """Whether a layer's strongest preference passes the table, chance, and every layer of the untrained model.

    An untrained router tells kinds apart as well, since it tells apart the few tokens that make up some kinds.
    """
    rule = table()["scores"]["experts"]
    bits = max(layer.chance, rule["information"], rule["over_untrained"] * untrained_information)
    return (
        layer.lift >= _least("experts")
        and layer.lift > max(layer.lift_chance, untrained_lift)
        and layer.information >= bits
    )


def _finding(name: str, holds: bool, **values: object) -> CardFinding:
    rule = table()["scores"][name]
    sentence: str = rule["found" if holds else "otherwise"]
    return CardFinding(name, holds, sentence.format(at_least=_number(rule["at_least"]), **values))


def _least(name: str) -> float:
    return float(table()["scores"][name]["at_least"])


def _number(value: float) -> str:
    """Write three significant digits, whole numbers as such."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
