"""Compare a trained model with the models of the same recipe and text."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import registry, units
from models.counting import accounting

SAME = ("recipe", "corpus_sha256", "tokens_seen")  # what makes two cards comparable
LANGUAGES: Mapping[str, str] = {"en": "English", "ko": "Korean"}
ALONE = "No other model stands beside it that was trained by this recipe on this text."


@dataclass(frozen=True, slots=True)
class Sibling:
    """One model of the family: its folder, its card, and its parameters counted from its configuration."""

    folder: Path
    card: Mapping[str, Any]
    parameters: int
    active: int

    def bits(self, language: str) -> float:
        """Return its bits per byte on held-out text."""
        return float(self.card["validation"][language]["bits_per_byte"])

    def unigram(self, language: str) -> float:
        """Return what token frequencies alone need there."""
        return float(self.card["validation"][language]["unigram_bits_per_byte"])


def family(folder: Path) -> tuple[Sibling, ...]:
    """Return the models beside a folder, itself included, that share its recipe and text and have been judged."""
    own = _card(folder)
    found = [(path.parent, _card(path.parent)) for path in sorted(folder.parent.glob("*/card.json"))]
    return tuple(
        _sibling(place, card)
        for place, card in found
        if "validation" in card and all(card.get(name) == own.get(name) for name in SAME)
    )


def comparison_text(siblings: Sequence[Sibling]) -> str:
    """Write the comparison of the family as Markdown: bits per byte, the factor between the models, and its reason."""
    if len(siblings) < 2:
        return ALONE
    head = "| model | parameters | used by one token |" + "".join(
        f" {name}, bits per byte |" for name in LANGUAGES.values()
    )
    rule = "|---|---|---|" + "---|" * len(LANGUAGES)
    rows = [
        f"| {sibling.card['architecture']} | {sibling.parameters:,} | {sibling.active:,} |"
        + "".join(f" {sibling.bits(language):.3f} |" for language in LANGUAGES)
        for sibling in siblings
    ]
    return "\n".join([head, rule, *rows, "", *(_spread(siblings, lang) for lang in LANGUAGES), "", _why(siblings)])


def sizes(folder: Path) -> str:
    """Write the parameters of a model, and those that one token uses where they are fewer."""
    shape = accounting.shape_of(registry.read_config(str(folder)))
    total, active = accounting.params_total(shape), accounting.params_active(shape)
    return units.count(total) if total == active else f"{total:,}, of which one token uses {active:,}"


def spread(values: Sequence[float]) -> float:
    """Return the factor between the largest and the smallest."""
    return max(values) / min(values)


def _spread(siblings: Sequence[Sibling], language: str) -> str:
    """State the factor between the models in a language, and how far the worst is below token frequencies."""
    ordered = sorted(siblings, key=lambda sibling: sibling.bits(language))
    best, last = ordered[0], ordered[-1]
    share = last.bits(language) / last.unigram(language)
    return (
        f"- {LANGUAGES[language]}: a factor of {spread([s.bits(language) for s in siblings]):.2f} from "
        f"{best.card['architecture']} ({best.bits(language):.3f}) to {last.card['architecture']} "
        f"({last.bits(language):.3f}), which needs {share:.0%} of what token frequencies alone would "
        f"({last.unigram(language):.3f})."
    )


def _why(siblings: Sequence[Sibling]) -> str:
    """Name what is equal, which leaves the architecture, and what was not done to make the bits equal."""
    recipe, tokens = siblings[0].card["recipe"], siblings[0].card["tokens_seen"]
    uneven = spread([sibling.active for sibling in siblings]) - 1
    return (
        f"Equal for all {len(siblings)}: tokenizer, the {tokens:,} tokens and their order, batches, optimiser, "
        f"schedule and the parameters that one token uses, within {uneven:.1%}. Equal as well is the peak learning "
        f"rate, {recipe['lr']:g}: none was tuned for an architecture, and one rate need not suit all alike. What is "
        "left of the difference is how quickly each learns by this one recipe from so few tokens. It is no rank of the "
        "architectures: with more tokens, or each with its own best rate, the order may change."
    )


def _sibling(folder: Path, card: Mapping[str, Any]) -> Sibling:
    shape = accounting.shape_of(registry.read_config(str(folder)))
    return Sibling(folder, card, accounting.params_total(shape), accounting.params_active(shape))


def _card(folder: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return known
