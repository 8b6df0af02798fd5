"""Write the card of a trained checkpoint: card.json for the app, card.md for readers, and card.md of its siblings."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models import units
from models.machine.paths import ASSETS
from models.training import family_comparison, recipe

TEMPLATE = ASSETS / "model_card.md"
UNKNOWN = "not recorded"


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write both cards into a checkpoint folder; card.md of the models beside it names the new one as well."""
    (folder / "card.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for sibling in family_comparison.family(folder):
        render(sibling.folder)


def render(folder: Path) -> None:
    """Write card.md from card.json, the configuration and the cards beside it."""
    facts: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    judged = {f"{name}_{lang}": value for lang, found in facts["validation"].items() for name, value in found.items()}
    text = TEMPLATE.read_text(encoding="utf-8").format(
        **facts["recipe"] | judged | {"precision": _precision(facts["recipe"])},
        architecture=facts["architecture"],
        sizes=family_comparison.sizes(folder),
        tokens_seen=facts["tokens_seen"],
        read=f"{facts['tokens_seen'] / 1e6:,.1f} million tokens",
        epochs=facts["epochs"],
        experts=_experts(facts["expert_shares"]),
        command=_command(facts),
        schedule=_schedule(facts["recipe"]),
        family=family_comparison.comparison_text(family_comparison.family(folder)),
        structure=_structure(facts.get("structure")),
        sha_en=facts["corpus_sha256"]["en"],
        sha_ko=facts["corpus_sha256"]["ko"],
        time=units.duration(facts["seconds"], digits=2, length="long"),
        threads=facts["threads"],
        device=facts.get("device", UNKNOWN),
        torch=facts["torch"],
    )
    (folder / "card.md").write_text(text, encoding="utf-8")


def _precision(known: Mapping[str, Any]) -> str:
    """State the number type of the computation; older recipes do not contain it."""
    kind = known.get("precision", "float32")
    if kind == "float32":
        return "float32 throughout"
    return f"products in {kind} (torch.autocast); weights and optimiser in float32"


def _experts(shares: list[list[float]] | None) -> str:
    """State the range of the experts' load, in multiples of an equal share."""
    if shares is None:
        return "none"
    fair = [share * len(layer) for layer in shares for share in layer]
    return (
        f"each takes {min(fair):.2f} to {max(fair):.2f} times its fair share of the tokens (held-out text, all layers)"
    )


def _command(facts: Mapping[str, Any]) -> str:
    """Return the command that trains this again: the named recipe with the fewest options that gives this one.

    Where none does, because the recipes have changed since, only what was trained is named.
    """
    read = recipe.Recipe.read(json.dumps(facts["recipe"]))  # what an older card does not name has its default
    known = json.loads(json.dumps(facts["recipe"] if read is None else asdict(read)))
    start = f"python -m models train --corpus FOLDER --only {facts['architecture']}"
    found = [
        (len(changes), name, changes)
        for name, named in recipe.RECIPES.items()
        for changes in [_changes(json.loads(json.dumps(asdict(named))), known)]
        if _gives(name, changes, known)
    ]
    if not found:
        return start
    _, name, changes = min(found, key=lambda one: one[:2])
    words = [word for option, value in changes.items() for word in (f"--{option}", str(value))]
    return " ".join([start, "--recipe", name, *words])


def _changes(named: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changes a recipe to another as far as options of the command can."""
    return {name: known.get(name) for name in recipe.CHANGEABLE if named.get(name) != known.get(name)}


def _gives(name: str, changes: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    given: dict[str, Any] = json.loads(json.dumps(asdict(recipe.changed(name, changes))))
    return given == known


def _schedule(known: Mapping[str, Any]) -> str:
    """State the schedule of the learning rate; older recipes have no cool-down."""
    if "cooldown" not in known:
        return f"cosine to {known['lr_end']}"
    told = f"falling linearly to {known['lr_end']} over the last {known['cooldown']} steps"
    if known.get("restarts"):
        steps = " and ".join(units.count(step) for step in known["restarts"])
        told += f"; at step {steps} again from the start, with weights rounded to half precision and a new optimiser"
    if known.get("repeats"):
        told += (
            f"; from step {units.count(known['repeats_from'])} on {known['repeats']:.0%} of the rows are text that "
            "repeats (passages, shuffled words, drawn tokens, names, brackets, pairs: models/training/repeats.py)"
        )
    return told


def _structure(structure: Mapping[str, Any] | None) -> str:
    """List what the measured structure carries, and what it does not."""
    if structure is None:
        return "Not measured."
    how = (
        f"Measured on {structure['windows']} windows of {structure['length']} tokens of the held-out text of each "
        "language; what counts as structure is written in assets/structure.yaml."
    )
    return "\n".join([how, "", *(f"- {finding['text']}" for finding in structure["findings"])])
