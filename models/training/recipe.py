"""Train the bundled models: one command, one seed, the same tokens in the same order for every architecture."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from models import binding  # noqa: F401 - binds the fast operators
from models.errors import SettingError
from models.training import corpus, tokenizer
from models.training.shapes import BUILDERS, FAMILY, SMALL, Shape

TURN = 100  # steps
OUT = Path(__file__).resolve().parents[2] / "assets" / "checkpoints"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run."""

    shape: Shape = SMALL
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

    @classmethod
    def read(cls, text: str) -> "Recipe | None":
        """Read a recipe from JSON, alone or in a card; None for one that has other settings than today's."""
        try:
            known: dict[str, Any] = json.loads(text)
            known = known.get("recipe", known)
            known |= {name: tuple(known[name]) for name in ("betas", "restarts") if name in known}
            return cls(**(known | {"shape": Shape(**known["shape"])}))
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
        """Whether a model that was finished by another recipe stands where this one has a restart."""
        return finished.steps in self.restarts and self.begins_as(finished, finished.steps)

    def begins_as(self, other: "Recipe", steps: int) -> bool:
        """Whether the first steps of a run are the same by both recipes."""
        alike = replace(self, steps=0, restarts=()) == replace(other, steps=0, restarts=())
        made = [[at for at in recipe.restarts if at < steps] for recipe in (self, other)]
        return alike and made[0] == made[1] and all(self.rate(step) == other.rate(step) for step in range(steps))


RECIPES: Mapping[str, Recipe] = {
    "smoke": Recipe(vocab=320, context=32, batch=4, steps=12, warmup=2, cooldown=8),
    "small": Recipe(),
    "family": Recipe(
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
    ),
}
OVERRIDES = {  # option -> (lowest value, what it is)
    "steps": (1, "optimiser steps"),
    "batch": (1, "rows per step"),
    "context": (1, "tokens per row"),
    "vocab": (257, "tokenizer entries"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m models train`."""
    parser.add_argument("--corpus", type=Path, required=True, help="folder with stories_en.txt and reviews_ko.txt")
    parser.add_argument("--out", type=Path, default=OUT, help="where the checkpoint folders go (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=sorted(BUILDERS), help="train these architectures (default: all)")
    described = "; ".join(f"{name}: {_described(recipe)}" for name, recipe in RECIPES.items())
    parser.add_argument("--recipe", choices=RECIPES, default="family", help=f"{described} (default: %(default)s)")
    for name, (_, what) in OVERRIDES.items():
        parser.add_argument(f"--{name}", type=int, help=f"{what}, instead of the recipe's")
    parser.add_argument(
        "--lr", type=float, help="peak learning rate, instead of the recipe's; a tenth of it at the end"
    )
    parser.add_argument("--seed", type=int, help="seed of weights and order, instead of the recipe's")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for torch's choice (%(default)s)")


def main(args: argparse.Namespace) -> int:
    """Train the tokenizer if it is not there, then every architecture asked for; go on where a run was interrupted.

    They take turns, so that a stop leaves them close together.
    """
    from models.training.loop import Training, trained

    recipe = recipe_of(args)
    if args.device not in ("cpu", "cuda") or (args.device == "cuda" and not torch.cuda.is_available()):
        raise SettingError("errors.setting_value", f"--device {args.device!r}: not on this machine", name="device",
                           value=args.device)  # fmt: skip
    if args.threads:
        torch.set_num_threads(args.threads)
    texts = corpus.read(args.corpus)
    shared = _tokenizer(args.out, texts, recipe.vocab)
    streams = {text.language: corpus.encode(shared, text.train, language=text.language) for text in texts}
    rows = corpus.windows(list(streams.values()), context=recipe.context, start=shared.bos_token_id, seed=recipe.seed)
    unfinished = [
        Training(name, recipe, rows, args.out / name, len(shared), device=args.device)
        for name in args.only or BUILDERS
        if not trained(recipe, args.out / name)
    ]
    while unfinished:
        for training in unfinished:
            training.advance(TURN)
            if training.done:
                training.save(texts, shared)
        unfinished = [training for training in unfinished if not training.done]
    return 0


def recipe_of(args: argparse.Namespace) -> Recipe:
    """Return the named recipe with what the command line changes; SettingError for a number out of range."""
    recipe = RECIPES[args.recipe]
    changed = {name: value for name in (*OVERRIDES, "lr", "seed") if (value := getattr(args, name)) is not None}
    for name, (low, _) in OVERRIDES.items():
        if (value := changed.get(name, low)) < low:
            message = f"--{name} must be at least {low}, got {value}"
            raise SettingError("errors.setting_range", message, name=name, value=value, low=low, high="any")
    if (lr := changed.get("lr")) is not None:
        if not 0 < lr < 1:
            message = f"--lr must be between 0 and 1, got {lr}"
            raise SettingError("errors.setting_range", message, name="lr", value=lr, low=0, high=1)
        changed["lr_end"] = lr / 10
    if "steps" in changed:
        changed["warmup"] = min(recipe.warmup, max(1, changed["steps"] // 10))
        changed["cooldown"] = min(recipe.cooldown, changed["steps"] // 3)
        changed["restarts"] = tuple(at for at in recipe.restarts if at < changed["steps"])
    return replace(recipe, **changed)


def _described(recipe: Recipe) -> str:
    return (
        f"width {recipe.shape.width}, {recipe.vocab} tokens in the vocabulary, "
        f"{recipe.steps} steps of {recipe.batch} x {recipe.context}, {recipe.precision}"
    )


def _tokenizer(out: Path, texts: tuple[corpus.Text, ...], vocab: int) -> PreTrainedTokenizerFast:
    """Return the tokenizer of the models trained there, or train one; SettingError where it has another size."""
    folder = out / "tokenizer"
    if not (folder / "tokenizer.json").is_file():
        shared = tokenizer.train([text.train for text in texts], vocab=vocab)
        shared.save_pretrained(folder)
        return shared
    known: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    if len(known) > vocab:
        message = f"{folder} has {len(known)} entries and the recipe {vocab}: choose another --out, or delete it"
        raise SettingError("errors.setting_value", message, name="vocab", value=len(known))
    return known
