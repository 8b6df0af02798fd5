"""Write the card of a trained checkpoint: card.json for the app, card.md for people."""

import json
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[2] / "assets" / "card_template.md"


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write both cards into a checkpoint folder."""
    (folder / "card.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    judged = {f"{name}_{lang}": value for lang, found in facts["validation"].items() for name, value in found.items()}
    text = TEMPLATE.read_text(encoding="utf-8").format(
        **facts["recipe"],
        **judged,
        architecture=facts["architecture"],
        parameters=facts["parameters"],
        tokens_seen=facts["tokens_seen"],
        epochs=facts["epochs"],
        experts=_experts(facts["expert_shares"]),
        sha_en=facts["corpus_sha256"]["en"],
        sha_ko=facts["corpus_sha256"]["ko"],
        minutes=facts["seconds"] / 60,
        threads=facts["threads"],
        device=facts["device"],
        torch=facts["torch"],
    )
    (folder / "card.md").write_text(text, encoding="utf-8")


def _experts(shares: list[list[float]] | None) -> str:
    """Say between which multiples of its fair share any expert lies."""
    if shares is None:
        return "none"
    fair = [share * len(layer) for layer in shares for share in layer]
    return (
        f"each takes {min(fair):.2f} to {max(fair):.2f} times its fair share of the tokens (held-out text, all layers)"
    )
