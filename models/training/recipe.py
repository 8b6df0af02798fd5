"""Recipes of the bundled models: sizes, text, schedule, precision, seed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.errors import SettingError
from models.machine.paths import ASSETS
from models.training.shapes import FAMILY, SMALL, TrainingShape

OUT = ASSETS / "checkpoints"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run."""

    shape: TrainingShape = SMALL
    vocab: int = 4096
    context: int = 256
    batch: int = 16
    steps: int = 700
    warmup: int = 60
    cooldown: int = 200
    lr: float = 2.5e-3
    lr_end: float = 2.5e-4
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    seed: int = 20261122
    precision: str = "float32"  # of products and sums over tokens; weights and optimiser are always float32
    restarts: tuple[int, ...] = ()  # steps at which a finished model is taken further: see Training
    repeats: float = 0.0  # share of the rows that are text that repeats (see repeats.py) ...
    repeats_from: int = 0  # ... from this step on,
    repeats_short: int = 0  # ... for as many steps short lists alone

    @classmethod
    def read(cls, text: str) -> "Recipe | None":
        """Read a recipe from JSON, alone or in a card; None for one that has other settings than today's."""
        try:
            known: dict[str, Any] = json.loads(text)
            known = known.get("recipe", known)
            known |= {name: tuple(known[name]) for name in ("betas", "restarts") if name in known}
            return cls(**(known | {"shape": TrainingShape(**known["shape"])}))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: a linear warm-up, a plateau, a linear cool-down to lr_end.

        From every restart on it goes so again. Until the cool-down it does not depend on how many steps there are: an
        unfinished run may still be given more.
        """
        begun = max((at for at in self.restarts if at <= step), default=0)
        end = min((at for at in self.restarts if at > step), default=self.steps)
        rise = min(1.0, (step - begun + 1) / self.warmup)
        left = min(1.0, (end - step) / (self.cooldown + 1)) if self.cooldown else 1.0
        return min(self.lr * rise, self.lr_end + (self.lr - self.lr_end) * left)

    def goes_on_from(self, finished: "Recipe") -> bool:
        """Return whether a model finished by another recipe is a restart point of this one."""
        return finished.steps in self.restarts and self.begins_as(finished, finished.steps)

    def begins_as(self, other: "Recipe", steps: int) -> bool:
        """Whether the first steps of a run are the same by both recipes."""
        known, asked = (
            replace(recipe, steps=0, restarts=(), repeats=0.0, repeats_from=0, repeats_short=0)
            for recipe in (self, other)
        )
        alike = known == asked and self._mixture(steps) == other._mixture(steps)
        made = [[at for at in recipe.restarts if at < steps] for recipe in (self, other)]
        return alike and made[0] == made[1] and all(self.rate(step) == other.rate(step) for step in range(steps))

    def _mixture(self, steps: int) -> tuple[float, int, int]:
        """Return the share of text that repeats in the first steps, from which on, and how long in short lists."""
        told = (self.repeats, self.repeats_from, self.repeats_short)
        return told if self.repeats and self.repeats_from < steps else (0.0, 0, 0)


_FAMILY = Recipe(
    FAMILY,
    vocab=8192,
    context=512,
    batch=4,
    steps=3900,
    warmup=100,
    cooldown=500,
    lr=2e-3,
    lr_end=2e-4,
    precision="bfloat16",
    restarts=(1500,),
)
RECIPES: Mapping[str, Recipe] = {
    "smoke": Recipe(vocab=320, context=32, batch=4, steps=12, warmup=2, cooldown=8),
    "small": Recipe(),
    "family": _FAMILY,
    "family_repeats": replace(
        _FAMILY, steps=6400, restarts=(1500, 3900), repeats=0.5, repeats_from=3900, repeats_short=900
    ),
}
OVERRIDES: Mapping[str, tuple[int, str]] = {  # option -> (lowest value, what it is)
    "steps": (1, "optimiser steps"),
    "batch": (1, "rows per step"),
    "context": (1, "tokens per row"),
    "vocab": (257, "tokenizer entries"),
}
CHANGEABLE = (*OVERRIDES, "lr", "seed")


def changed(name: str, changes: Mapping[str, Any]) -> Recipe:
    """Return the named recipe with some settings changed; the schedule is shortened with the steps.

    changes: values by the names of OVERRIDES, "lr" and "seed"; None leaves a setting as it is. Raises SettingError for
    a number out of range.
    """
    recipe = RECIPES[name]
    given = {setting: value for setting, value in changes.items() if value is not None}
    for setting, (low, _) in OVERRIDES.items():
        if (value := given.get(setting, low)) < low:
            message = f"--{setting} must be at least {low}, got {value}"
            raise SettingError("errors.setting_range", message, name=setting, value=value, low=low, high="any")
    if (lr := given.get("lr")) is not None:
        if not 0 < lr < 1:
            message = f"--lr must be between 0 and 1, got {lr}"
            raise SettingError("errors.setting_range", message, name="lr", value=lr, low=0, high=1)
        given["lr_end"] = lr / 10
    if "steps" in given:
        given["warmup"] = min(recipe.warmup, max(1, given["steps"] // 10))
        given["cooldown"] = min(recipe.cooldown, given["steps"] // 3)
        given["restarts"] = tuple(at for at in recipe.restarts if at < given["steps"])
    return replace(recipe, **given)
