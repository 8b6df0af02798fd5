"""How the small models were trained: their common budget, and the loss of every seed."""

import streamlit as st

from models.recall import study
from pages.compare.recall.results import BUNDLED_SEED, PAGE, Record
from pages.shared.panel import panel
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.recall.maps import recall_lessons


def budget(record: Record) -> None:
    """State the budget and the sizes, and draw the loss while the bundled models learned."""
    first = next(iter(record.about["architectures"].values()))["runs"][0]
    facts = first["budget"]
    st.markdown(t("recall.budget", steps=units.count(facts['steps']), tokens=units.count(facts['tokens']),
                  seeds=max(map(len, record.runs.values()))))  # fmt: skip
    rows = [
        {
            t("recall.column.name"): t(f"nav.{name}"),
            t("recall.column.parameters"): units.count(entry["parameters"]),
            t("recall.column.active"): units.count(entry["parameters_active"]),
            t("recall.column.bytes"): units.size(entry["bytes_float16"]),
            t("recall.column.rate"): f"{entry['lr']:g}",
            t("recall.column.seconds"): " / ".join(f"{run['training_s']:.0f}" for run in entry["runs"]),
        }
        for name, entry in record.about["architectures"].items()
    ]
    st.dataframe(rows, key=f"{PAGE}.sizes", hide_index=True, width="stretch")
    panel(recall_lessons, _logs(record.task, tuple(record.runs)), key=f"{PAGE}.lessons")


@st.cache_data(max_entries=3, show_spinner=False)
def _logs(task: str, architectures: tuple[str, ...]) -> dict[str, list[tuple[int, float]]]:
    return {name: study.training_log(task, name, BUNDLED_SEED) for name in architectures}
