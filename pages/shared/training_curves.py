"""How the bundled models were trained: logged loss, tokens read, bits per byte on held-out text."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.shared import cache, html
from pages.shared.panel import panel
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.charts.curves import training_curves


def training_section(page: str) -> None:
    """Draw how the bundled models were trained, with the bits per byte that each needs on held-out text."""
    known, cards_of = cache.training(), list(cache.training_cards().values())
    panel(training_curves, {name: log for name, (log, _) in known.items()}, key=f"{page}.training")
    for words in {budget(card) for card in cards_of}:  # one text, as all had the same
        st.markdown(words)
    html.show(bits_table({name: bits for name, (_, bits) in known.items()}))
    judged = [card["validation"] for card in cards_of if "validation" in card]
    if len(judged) == len(known) > 1:
        st.markdown(apart(judged))


def bits_table(bits: Mapping[str, Mapping[str, float]]) -> html.Html:
    """Set the bits per byte that each model needs on held-out text in one table, a column per language of the text."""
    head = (t("training.bits"), t("training.bits_en"), t("training.bits_ko"))
    rows = [
        html.row(
            html.heading(html.named(t(f"nav.{name}"))),
            *(f"{of[lang]:.2f}" for lang in ("en", "ko")),
            class_=f"cs-{name}",
        )
        for name, of in bits.items()
    ]
    return html.table(rows, kind="cs-bits", head=head)


def budget(card: Mapping[str, Any]) -> str:
    """State how many tokens a model read, and where training continued; older cards do not state the passes."""
    recipe = card["recipe"]
    restarts = " · ".join(
        units.count(step * recipe["batch"] * recipe["context"]) for step in recipe.get("restarts", ())
    )
    read = t(
        "training.read_epochs" if "epochs" in card else "training.read", tokens=units.count(card['tokens_seen']),
        epochs=f"{card.get('epochs', 0):.2f}", steps=units.count(recipe['steps']), rows=recipe["batch"],
        context=recipe["context"],
    )  # fmt: skip
    return f"{read} {t('training.restarted', tokens=restarts)}" if restarts else read


def apart(judged: Sequence[Mapping[str, Mapping[str, float]]]) -> str:
    """State the factor between the models on held-out text, and the worst model relative to token frequencies."""
    values: dict[str, str] = {}
    for language in ("en", "ko"):
        bits = [found[language]["bits_per_byte"] for found in judged]
        last = max(found[language]["bits_per_byte"] / found[language]["unigram_bits_per_byte"] for found in judged)
        values |= {language: f"{max(bits) / min(bits):.2f}", f"share_{language}": f"{last:.0%}"}
    return t("training.spread", **values)
