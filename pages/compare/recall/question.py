"""One question of a cell: the sequence, the answer of every model, and the positions each layer reads."""

from collections.abc import Mapping

import streamlit as st

from models.recall.examples import Answer, Opened, opened, right_answers
from pages.compare.recall import steps
from pages.compare.recall.results import PAGE, Record
from pages.shared import gate, html
from pages.shared.implementation import what_ran
from pages.shared.lru_cache import LruCache
from pages.shared.panel import panel
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.recall.example import recall_example

APART = 0.1  # of accuracies: about five standard errors of a cell
QUESTIONS = 20  # offered per cell
_MARK = "\0"  # where a number stands in the words around it
_WANTED = "contextscope.recall.wanted"  # the architecture whose wrong answer is looked for in the next run
KEPT = 12  # opened questions, for all visitors
KEPT_CELLS = 48  # whose questions were answered, for all visitors
SHOWN_TOKENS = 300  # longer sequences cannot be read as a strip

Right = Mapping[str, tuple[bool, ...]]  # by architecture, for each offered question of a cell

_QUESTIONS: LruCache[Opened] = LruCache(KEPT)  # each weighs one
_RIGHT: LruCache[Right] = LruCache(KEPT_CELLS)

Place = dict[str, int]  # of a cell along the axes of its task


def question(record: Record) -> None:
    """Offer a choice of a cell and a question, and draw it."""
    at, number = _chosen(record)
    with gate.released():
        found = _opened(record.task, tuple(at.items()), _seed(record), number)
    _sentence(record, found)
    _answers(found)
    traces = [answer.trace for answer in found.answers]
    panel(recall_example, traces, key=f"{PAGE}.example",
          asked_at=found.asked_at, answer_at=found.answer_at, roles=found.roles)  # fmt: skip
    what_ran(PAGE, traces)
    steps.section(found)


def telling(record: Record) -> Place:
    """Return the cell that tells the architectures apart best: recorded accuracies lie farthest apart in it.

    Of those that can be read as a strip; at a distance that training met if one there tells them apart by APART. Of
    equal ones the nearest with the fewest.
    """
    cells: dict[tuple[int, ...], list[float]] = {}
    for every in record.bundled.values():
        for cell in every:
            cells.setdefault(tuple(_place(record, cell.at).values()), []).append(cell.accuracy)
    near = _readable(record)
    spread = {at: max(found) - min(found) for at, found in sorted(cells.items()) if at[0] in near}
    met = [at for at in spread if at[0] <= record.layout.trained_to]
    best = max(met, key=lambda at: spread[at], default=None)
    if best is None or spread[best] < APART:
        best = max(spread, key=lambda at: spread[at])
    return dict(zip(_axes(record), best, strict=True))


def first_split(right: Right) -> int:
    """Return the first question that some answer right and others wrong; the first of all where there is none."""
    split = (n for n, found in enumerate(zip(*right.values(), strict=True)) if len(set(found)) > 1)
    return next(split, 0)


def next_wrong(record: Record, name: str, at: Place, number: int) -> tuple[Place, int] | None:
    """Find the next question that an architecture answers wrong, here or in the cell of which it recalls least."""
    near = _readable(record)
    readable = [cell for cell in record.bundled[name] if cell.at[record.layout.across] in near]
    least = min(readable, key=lambda cell: cell.accuracy)
    for place in (at, _place(record, least.at)):
        right = _right(record, place)[name]
        order = [(number + 1 + step) % QUESTIONS for step in range(QUESTIONS)] if place == at else range(QUESTIONS)
        for question_ in order:
            if not right[question_] and (place, question_) != (at, number):
                return place, question_
    return None if _right(record, at)[name][number] else (at, number)


def _axes(record: Record) -> list[str]:
    return [axis for axis in (record.layout.across, record.layout.up) if axis]


def _place(record: Record, at: Mapping[str, int]) -> Place:
    return {axis: at[axis] for axis in _axes(record)}


def _seed(record: Record) -> int:
    return int(record.about["held_out_seed"]) - 1


def _right(record: Record, at: Place) -> Right:
    """Let the models answer all offered questions of a cell, once for all visitors."""
    key = (record.task, tuple(at.items()), _seed(record))

    def answered() -> Right:
        return right_answers(record.task, at, seed=_seed(record), questions=QUESTIONS)

    with gate.released():
        return _RIGHT.get(key, answered, lambda _: 1)


def _chosen(record: Record) -> tuple[Place, int]:
    """Show the choices of a cell and a question; return them.

    Without a choice: the cell that tells the architectures apart best, and its first question that splits them.
    """
    visit, layout, best = session.current(), record.layout, telling(record)
    wanted, missing = st.session_state.pop(_WANTED, None), ""
    if wanted in record.bundled:
        found = next_wrong(record, wanted, _now(record, best), _number(record, best))
        if found is None:
            missing = t("recall.never_wrong", name=t(f"nav.{wanted}"), count=QUESTIONS)
        else:
            for name, value in zip(("distance", "load"), found[0].values(), strict=False):
                visit.select(name, value)
            visit.select("question", found[1])
    number = _number(record, best)

    def another() -> None:
        visit.select("question", (number + 1) % QUESTIONS)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"choose-{PAGE}"):
        near = _readable(record)
        at = {layout.across: _pick("distance", layout.across, near, best)}
        if layout.up:
            at[layout.up] = _pick("load", layout.up, list(layout.rows), best)
        st.button(t("recall.another"), key=f"{PAGE}.another", icon=":material/shuffle:", on_click=another)
    _finders(record)
    st.caption(missing or t("recall.begins"))
    return at, number


def _now(record: Record, best: Place) -> Place:
    """Return the cell that is chosen, before its choices are shown."""
    visit, layout = session.current(), record.layout
    offered = {"distance": _readable(record), "load": list(layout.rows)}
    return {
        axis: visit.selection(name, default=best[axis], allowed=offered[name])
        for name, axis in zip(offered, _axes(record), strict=False)
    }


def _number(record: Record, best: Place) -> int:
    """Return the question that is chosen in the chosen cell."""
    split = first_split(_right(record, _now(record, best)))
    return session.current().selection("question", default=split, allowed=range(QUESTIONS))


def _finders(record: Record) -> None:
    """Offer, for each architecture, to find a question that it answers wrong."""

    def find(name: str) -> None:
        st.session_state[_WANTED] = name

    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"find-{PAGE}"):
        st.caption(t("recall.find"), width="content")
        for name in record.bundled:
            st.button(
                t(f"nav.{name}"),
                key=f"{PAGE}.find.{name}",
                help=t("recall.find_one", name=t(f"nav.{name}")),
                on_click=find,
                args=(name,),
            )


def _readable(record: Record) -> list[int]:
    """List the distances at which every sequence can be read as a strip; the shortest at least."""
    layout = record.layout
    longest = dict.fromkeys(layout.places, 0)
    for cells in record.bundled.values():
        for cell in cells:
            place = cell.at[layout.across]
            longest[place] = max(longest[place], cell.length)
    return [place for place in layout.places if longest[place] <= SHOWN_TOKENS] or list(layout.places[:1])


def _pick(name: str, axis: str, values: list[int], best: Place) -> int:
    """Offer the values of one axis; the choice goes into the address."""
    visit, key = session.current(), f"{PAGE}.{name}.{axis}"
    value = visit.selection(name, default=best[axis], allowed=values)

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
    share = f"{answer.right_probability:.0%}"
    bar = html.element(
        "span", html.element("span", style=f"width:{100 * answer.right_probability:.1f}%"), class_="cs-bar"
    )
    before, after = t("recall.answer.sure", share=_MARK).split(_MARK)
    sure = html.element("span", before, html.element("b", share), after, class_="cs-sure")
    carried = t("recall.answer.carried", bytes=units.size(answer.trace.cache_bytes))
    return html.element(
        "li",
        html.named(t(f"nav.{name}")),
        html.element("span", answer.label, class_="cs-said"),
        html.badge(kind, mark, told),
        bar,
        html.element("span", sure, html.element("br"), carried, class_="cs-facts"),
        class_=f"cs-{name}",
    )
