"""One question of a cell: the sequence, the answer of every model, and the positions each layer reads."""

import streamlit as st

from models.recall.examples import Answer, Opened, opened
from pages.compare.recall.results import PAGE, Record
from pages.shared import gate, html
from pages.shared.implementation import what_ran
from pages.shared.lru_cache import LruCache
from pages.shared.panel import panel
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.recall.example import recall_example

QUESTIONS = 20  # offered per cell
KEPT = 12  # opened questions, for all visitors
SHOWN_TOKENS = 300  # longer sequences cannot be read as a strip

_QUESTIONS: LruCache[Opened] = LruCache(KEPT)  # each weighs one


def question(record: Record) -> None:
    """Offer a choice of a cell and a question, and draw it."""
    at, number = _chosen(record)
    with gate.released():
        found = _opened(record.task, tuple(at.items()), int(record.about["held_out_seed"]) - 1, number)
    _sentence(record, found)
    _answers(found)
    traces = [answer.trace for answer in found.answers]
    panel(recall_example, traces, key=f"{PAGE}.example", follow=False, picks=False,
          asked_at=found.asked_at, answer_at=found.answer_at)  # fmt: skip
    what_ran(PAGE, traces)


def _chosen(record: Record) -> tuple[dict[str, int], int]:
    """Show the choices of a cell and a question; return them."""
    visit, layout = session.current(), record.layout
    number = visit.selection("question", default=0, allowed=range(QUESTIONS))

    def another() -> None:
        visit.select("question", (number + 1) % QUESTIONS)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"choose-{PAGE}"):
        near = _readable(record)
        at = {layout.across: _pick("distance", layout.across, near, len(near) // 2)}
        if layout.up:
            at[layout.up] = _pick("load", layout.up, list(layout.rows), len(layout.rows) // 2)
        st.button(t("recall.another"), key=f"{PAGE}.another", icon=":material/shuffle:", on_click=another)
    return at, number


def _readable(record: Record) -> list[int]:
    """List the distances at which every sequence can be read as a strip; the shortest at least."""
    layout = record.layout
    longest = {
        place: max(
            cell.length for cells in record.bundled.values() for cell in cells if cell.at[layout.across] == place
        )
        for place in layout.places
    }
    return [place for place in layout.places if longest[place] <= SHOWN_TOKENS] or list(layout.places[:1])


def _pick(name: str, axis: str, values: list[int], default: int) -> int:
    """Offer the values of one axis; the choice goes into the address."""
    visit, key = session.current(), f"{PAGE}.{name}.{axis}"
    value = visit.selection(name, default=values[default], allowed=values)

    def changed() -> None:
        visit.select(name, st.session_state[key])

    st.session_state[key] = value
    with st.container(key=f"pick-{key}", width="content"):
        st.segmented_control(t(f"recall.axis.{axis}"), values, key=key, required=True, on_change=changed)
    return value


def _opened(task: str, at: tuple[tuple[str, int], ...], seed: int, number: int) -> Opened:
    """Run the models over a question once for all visitors; the last KEPT are kept."""
    key = (task, at, seed, number)
    return _QUESTIONS.get(key, lambda: opened(task, dict(at), seed=seed, question=number), lambda _: 1)


def _sentence(record: Record, found: Opened) -> None:
    """Write the question and its right answer as a sentence."""
    gap = found.asked_at - found.answer_at
    st.markdown(t(f"recall.asks.{record.task}", asked=found.asked, expected=found.expected, gap=gap,
                  place=found.answer_at))  # fmt: skip


def _answers(found: Opened) -> None:
    """List the answer of each model, its probability, and the bytes it carries at that position."""
    html.show(html.element("ul", (_answer(answer, found) for answer in found.answers), class_="cs-answers"))


def _answer(answer: Answer, found: Opened) -> html.Html:
    name = answer.trace.architecture
    kind, mark = ("good", "✓") if answer.right else ("bad", "✕")
    told = t("recall.answer.right" if answer.right else "recall.answer.wrong", expected=found.expected)
    sure = t("recall.answer.sure", percent=f"{answer.probability:.0%}", right=f"{answer.right_probability:.0%}")
    carried = t("recall.answer.carried", bytes=units.size(answer.trace.cache_bytes))
    return html.element(
        "li",
        html.named(t(f"nav.{name}")),
        html.element("span", answer.label, class_="cs-said"),
        html.badge(kind, mark, told),
        html.element("span", sure, html.element("br"), carried, class_="cs-facts"),
        class_=f"cs-{name}",
    )
