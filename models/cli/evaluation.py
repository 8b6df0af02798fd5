"""python -m models evaluate: bits per byte of models on held-out text, the use of experts, structure; their cards."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.cli.output import SOURCES, print_json, print_table
from models.errors import SettingError, SourceError

CONTEXT = 256  # where no card says what the model was trained on
ROWS = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("sources", nargs="*", metavar="MODEL", help=f"each {SOURCES} (all bundled)")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with stories_en.txt and reviews_ko.txt")
    parser.add_argument("--context", type=int, help=f"tokens per row (those of the model's card, else {CONTEXT})")
    parser.add_argument("--rows", type=int, help=f"rows per language ({ROWS})")
    parser.add_argument(
        "--structure", action="store_true", help="measure heads, half-lives, step sizes and experts as well"
    )
    parser.add_argument(
        "--write-card", action="store_true", help="write what was measured into each model's card; nothing else changes"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Judge every model on the last 2 % of each text, which none was trained on; a row per model and language."""
    for name in ("context", "rows"):
        if (value := getattr(args, name)) is not None and value < 1:
            message = f"--{name} must be at least 1, got {value}"
            raise SettingError("errors.setting_range", message, name=name, value=value, low=1, high="any")
        if args.write_card and value is not None:
            message = f"--write-card takes no --{name}: cards hold the standard measurement"
            raise SettingError("errors.setting_value", message, name=name, value=value)
    from models import registry
    from models.training import corpus

    texts = corpus.read(args.corpus)
    sources = args.sources or registry.bundled()
    if args.write_card:
        for source in sources:  # before anything is measured
            _trained_on(source, texts)
    found = [_judged(source, texts, args) for source in sources]
    if args.json:
        print_json(found)
    else:
        _print(found)
    return 0


def _print(found: list[dict[str, Any]]) -> None:
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
    for row in found:
        for finding in row.get("structure", {}).get("findings", ()):
            print(f"{row['model']}: {'yes' if finding['holds'] else 'no '}  {finding['text']}")


def _judged(source: str, texts: tuple[Any, ...], args: argparse.Namespace) -> dict[str, Any]:
    from models import registry
    from models.training import claims, evaluation

    checkpoint = registry.load(source)
    if checkpoint.tokenizer is None:
        raise SourceError("errors.no_tokenizer", f"{source} has no tokenizer, so its text has no tokens", source=source)
    tokenizer: Any = checkpoint.tokenizer
    card = registry.card_of(source)
    context = args.context or card.get("recipe", {}).get("context", CONTEXT)
    judged = {
        text.language: asdict(
            evaluation.judge(checkpoint.model, tokenizer, text, context=context, rows=args.rows or ROWS)
        )
        for text in texts
    }
    shares = None
    if getattr(checkpoint.config, "num_experts_per_tok", None):
        shares = evaluation.expert_shares(checkpoint.model, tokenizer, texts, context=context)
    known = card.get("validation_bits_per_byte", {})
    found = {"model": source, "context": context, "languages": judged, "card": known, "expert_shares": shares}
    if args.structure or args.write_card:
        found["structure"] = claims.facts(checkpoint, texts)
    if args.write_card:
        _rewrite(source, texts, card, found, tokenizer)
    return found


def _trained_on(source: str, texts: tuple[Any, ...]) -> None:
    """Raise SourceError for a model without a card, SettingError for one that was trained on another corpus."""
    from models import registry

    card = registry.card_of(source)
    if not card:
        raise SourceError("errors.no_card", f"{source} has no card.json of a training to write into", source=source)
    hashes = {text.language: text.sha256 for text in texts}
    if card.get("corpus_sha256") != hashes:
        message = f"{source} was trained on another corpus than this one: its card would not be true"
        raise SettingError("errors.setting_value", message, name="corpus", value=source)


def _rewrite(
    source: str, texts: tuple[Any, ...], card: Mapping[str, Any], found: Mapping[str, Any], tokenizer: Any
) -> None:
    """Write the card again with what was measured now; what was recorded in training stays as it is."""
    from models.sources import weights
    from models.training import card as card_module
    from models.training import evaluation

    facts = {
        **card,
        "validation_bits_per_byte": {lang: row["bits_per_byte"] for lang, row in found["languages"].items()},
        "validation": found["languages"],
        "expert_shares": found["expert_shares"],
        "structure": found["structure"],
    }
    if "epochs" not in facts:
        per_epoch = evaluation.tokens_of_an_epoch(tokenizer, texts, context=found["context"])
        facts["epochs"] = round(facts["tokens_seen"] / per_epoch, 3)
    card_module.write(Path(weights.locate(source)), facts)
