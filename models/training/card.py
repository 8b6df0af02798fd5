"""Write the card of a trained checkpoint: card.json for the app, card.md for people."""

import json
from pathlib import Path
from typing import Any

TEMPLATE = """# contextscope/{architecture}

A small {architecture} language model trained for Contextscope, so that its figures show a trained model offline.

| | |
|---|---|
| parameters | {parameters:,} |
| tokens seen | {tokens_seen:,} |
| validation bits per byte, English stories | {bits_en} |
| validation bits per byte, Korean reviews | {bits_ko} |
| recipe | `python -m models train --corpus FOLDER --only {architecture}` with seed {seed}: {steps} steps of {batch} x {context} tokens, AdamW, peak learning rate {lr}, cosine to {lr_end}, weight decay {weight_decay}, clip {clip} |
| training time | {minutes:.0f} minutes on {threads} CPU threads, torch {torch} |
| data | 47 public-domain English story books (Project Gutenberg) and Korean film reviews (NSMC, CC0); the last 2 % of each file held out |
| SHA-256 of stories_en.txt | {sha_en} |
| SHA-256 of reviews_ko.txt | {sha_ko} |
| format | transformers, safetensors, float16 |

It has read a few million tokens: it knows spelling, frequent words and simple grammar of both languages, and little else.
"""


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write both cards into a checkpoint folder."""
    (folder / "card.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    recipe = facts["recipe"]
    text = TEMPLATE.format(
        **recipe,
        architecture=facts["architecture"],
        parameters=facts["parameters"],
        tokens_seen=facts["tokens_seen"],
        bits_en=facts["validation_bits_per_byte"]["en"],
        bits_ko=facts["validation_bits_per_byte"]["ko"],
        sha_en=facts["corpus_sha256"]["en"],
        sha_ko=facts["corpus_sha256"]["ko"],
        minutes=facts["seconds"] / 60,
        threads=facts["threads"],
        torch=facts["torch"],
    )
    (folder / "card.md").write_text(text, encoding="utf-8")
