"""python -m models train: one command, one seed, the same tokens in the same order for every architecture."""

import argparse
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from models.errors import SettingError
from models.operators import binding  # noqa: F401 - binds the fast operators
from models.training import corpus, tokenizer
from models.training.loop import Training, trained
from models.training.recipe import CHANGEABLE, OUT, OVERRIDES, RECIPES, Recipe, changed
from models.training.repeats import Repeats
from models.training.shapes import BUILDERS

TURN = 100  # steps


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
    short = recipe.repeats_short * recipe.batch
    repeats = (
        Repeats(shared, texts, streams, context=recipe.context, seed=recipe.seed, short=short)
        if recipe.repeats
        else None
    )
    unfinished = [
        Training(name, recipe, rows, args.out / name, len(shared), repeats=repeats, device=args.device)
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
    return changed(args.recipe, {name: getattr(args, name) for name in CHANGEABLE})


def _described(recipe: Recipe) -> str:
    return (
        f"width {recipe.shape.width}, {recipe.vocab} tokens in the vocabulary, "
        f"{recipe.steps} steps of {recipe.batch} x {recipe.context}, {recipe.precision}"
    )


def _tokenizer(out: Path, texts: tuple[corpus.Text, ...], vocab: int) -> PreTrainedTokenizerFast:
    """Return the tokenizer of the models trained there, or train one; SettingError where it has another size."""
    kept = [place for place in (out / "tokenizer", *(out / name for name in BUILDERS))
            if (place / "tokenizer.json").is_file()]  # fmt: skip
    folder = kept[0] if kept else out / "tokenizer"
    if not kept:
        shared = tokenizer.train([text.train for text in texts], vocab=vocab)
        shared.save_pretrained(folder)
        return shared
    known: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    if len(known) > vocab:
        message = f"{folder} has {len(known)} entries and the recipe {vocab}: choose another --out, or delete it"
        raise SettingError("errors.setting_value", message, name="vocab", value=len(known))
    return known
