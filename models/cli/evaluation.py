"""python -m models evaluate: bits per byte of models on held-out text, and the use of their experts."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.cli.output import print_json, print_table
from models.errors import SettingError, SourceError

CONTEXT = 256  # where no card says what the model was trained on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("sources", nargs="*", metavar="MODEL", help="bundled names or checkpoint folders (all bundled)")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with stories_en.txt and reviews_ko.txt")
    parser.add_argument("--context", type=int, help=f"tokens per row (those of the model's card, else {CONTEXT})")
    parser.add_argument("--rows", type=int, default=128, help="rows per language (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Judge every model on the last 2 % of each text, which none was trained on; a row per model and language."""
    for name in ("context", "rows"):
        if (value := getattr(args, name)) is not None and value < 1:
            message = f"--{name} must be at least 1, got {value}"
            raise SettingError("setting_range", message, name=name, value=value, low=1, high="any")
    from models import registry
    from models.training import corpus

    texts = corpus.read(args.corpus)
    found = [_judged(source, texts, args) for source in args.sources or registry.bundled()]
    if args.json:
        print_json(found)
        return 0
    header = ("model", "language", "bits/byte", "in its card", "token frequencies", "bytes/token", "characters/token")
    rows = [
        (row["model"], language, judged["bits_per_byte"], row["card"].get(language), judged["unigram_bits_per_byte"],
         judged["bytes_per_token"], judged["characters_per_token"])
        for row in found
        for language, judged in row["languages"].items()
    ]  # fmt: skip
    print_table([header, *rows])
    for row in found:
        if row["expert_shares"]:
            fair = [share * len(layer) for layer in row["expert_shares"] for share in layer]
            print(f"{row['model']}: every expert takes {min(fair):.2f} to {max(fair):.2f} times its fair share")
    return 0


def _judged(source: str, texts: tuple[Any, ...], args: argparse.Namespace) -> dict[str, Any]:
    from models import registry
    from models.training import evaluation

    checkpoint = registry.load(source)
    if checkpoint.tokenizer is None:
        raise SourceError("no_tokenizer", f"{source} has no tokenizer, so its text has no tokens", source=source)
    tokenizer: Any = checkpoint.tokenizer
    card = registry.card_of(source)
    context = args.context or card.get("recipe", {}).get("context", CONTEXT)
    judged = {
        text.language: asdict(evaluation.judge(checkpoint.model, tokenizer, text, context=context, rows=args.rows))
        for text in texts
    }
    shares = None
    if getattr(checkpoint.config, "num_experts_per_tok", None):
        shares = evaluation.expert_shares(checkpoint.model, tokenizer, texts, context=context)
    known = card.get("validation_bits_per_byte", {})
    return {"model": source, "context": context, "languages": judged, "card": known, "expert_shares": shares}
