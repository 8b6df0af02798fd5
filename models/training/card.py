"""Write the card of a trained checkpoint: card.json for the app, card.md for people."""

import json
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[2] / "assets" / "card_template.md"


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write both cards into a checkpoint folder."""
    (folder / "card.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    recipe = facts["recipe"]
    text = TEMPLATE.read_text(encoding="utf-8").format(
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
