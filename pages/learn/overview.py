"""Overview: one sentence through four machines, and what each has to carry."""

import streamlit as st

from models.records import ModelTrace
from pages.shared import cache, controls, layout
from pages.shared.content import section
from pages.shared.i18n import t
from pages.shared.panel import panel
from viz.curves import growth, training_curves
from viz.mixing import mixing_part
from viz.overview import four_machines

PAGE = "overview"
LENGTHS = (1, 16, 64, 256, 1024, 4096, 16384)  # tokens at which the growth curves are evaluated


def machines(traces: list[ModelTrace]) -> None:
    """Draw the same sentence through every bundled model."""
    worst = max(layer.residuals[mixing_part(layer)] for trace in traces for layer in trace)
    panel(four_machines, traces, key=f"{PAGE}.machines", residual=worst)


def cards(traces: list[ModelTrace]) -> None:
    """Introduce each architecture in two sentences, with the way to its page."""
    st.header(section(PAGE, "cards.title"), anchor=False)
    st.markdown(section(PAGE, "cards.text"))
    for place, trace in zip(st.columns(len(traces), gap="medium"), traces, strict=True):
        name = trace.architecture
        with place, st.container(border=True, key=f"arch-{name}", height="stretch"):
            st.subheader(section(PAGE, f"card.{name}.title"), anchor=False)
            st.markdown(section(PAGE, f"card.{name}.text"))
            layout.link_to(name)


def curves(traces: list[ModelTrace]) -> None:
    """Draw bytes carried against length, for every architecture."""
    here = len(traces[0].tokens)
    lengths = sorted({*LENGTHS, here})
    rows = {trace.architecture: [(n, cache.carried(trace.checkpoint, n)) for n in lengths] for trace in traces}
    panel(growth, rows, key=f"{PAGE}.growth", follow=False, at=here)


def lessons() -> None:
    """Draw how the bundled models were trained, with the bits per byte that each needs on held-out text."""
    known = cache.training()
    panel(training_curves, {name: log for name, (log, _) in known.items()}, key=f"{PAGE}.training", follow=False)
    for name, (_, bits) in known.items():
        st.markdown(t("layout.bits", name=t(f"nav.{name}"), en=f"{bits['en']:.2f}", ko=f"{bits['ko']:.2f}"))


layout.hero(PAGE)
first = controls.reading(PAGE, cache.bundled()[0])
if first is not None:
    every = [cache.trace_for(name, first.prompt) for name in cache.bundled()]
    layout.body(PAGE, lambda: machines(every), traces=every)
    cards(every)
    layout.section_of(PAGE, "growth", lambda: curves(every))
    layout.closing(PAGE, "models", "table")
    layout.under_the_hood(PAGE, [("training_curves", lessons)])
    layout.check_yourself(PAGE)
