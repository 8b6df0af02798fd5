"""The input of the page: a task, words of the toy vocabulary, ready examples, and the words that are known."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import streamlit as st

from models.encoder_decoder import vocabulary
from models.encoder_decoder.grammar import grammar
from models.encoder_decoder.vocabulary import TASKS, ToySource
from models.errors import PromptError
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from pages.shared import html, notices, unfolding
from pages.shared.state import session
from pages.shared.words.i18n import t

PAGE = "encoder-decoder"
SHOWN = ("translate", "copy", "reverse", "sort")  # tasks in the order that they are offered
LONGEST = 200  # characters of an input
_GOOD = "contextscope.toy.good"  # the last input that could be read
_BOX = f"{PAGE}.words"


@dataclass(frozen=True, slots=True)
class ReadyInput:
    """A ready input. label, text, watch: by language."""

    id: str
    task: str
    label: Mapping[str, str]
    text: Mapping[str, str]
    watch: Mapping[str, str]


@cache
def examples() -> tuple[ReadyInput, ...]:
    """Read the ready inputs."""
    return tuple(ReadyInput(**one) for one in read_yaml(ASSETS / "toy_examples.yaml"))


def first_of(task: str) -> ReadyInput:
    """Return the first ready input of a task."""
    return next(one for one in examples() if one.task == task)


def source() -> ToySource | None:
    """Offer task, words and examples; return the input, the last good one where this one cannot be read, else None."""
    visit = session.current()
    task = TASKS[visit.selection("task", default=TASKS.index(SHOWN[0]), allowed=range(len(TASKS)))]
    text = visit.words or first_of(task).text[visit.lang]
    with st.container(key=f"prompt-{PAGE}", gap="xsmall"):
        _task(task)
        _box(text)
        _chips(task, text)
        note = st.empty()
        _known()
    try:
        found = vocabulary.read(task, text)
    except PromptError as error:
        good: ToySource | None = st.session_state.get(_GOOD)
        notices.explain(error, also=t("notices.still_showing") if good is not None else "")
        return good
    st.session_state[_GOOD] = found
    chosen = _example_of(task, text)
    if chosen is not None:
        note.caption(notices.plain(chosen.watch[visit.lang]))
    return found


def _task(task: str) -> None:
    """Offer the tasks; where the words do not suit another one, its first example takes their place."""
    key = f"{PAGE}.task"
    visit = session.current()

    def changed() -> None:
        wanted = st.session_state[key]
        if wanted is None:
            return
        try:
            vocabulary.read(wanted, visit.words)
        except PromptError:
            visit.words = ""
        visit.select("task", TASKS.index(wanted))

    st.session_state[key] = task
    st.segmented_control(
        t("toy.task"), SHOWN, key=key, required=True, format_func=lambda name: t(f"toy.task.{name}"), on_change=changed
    )


def _box(text: str) -> None:
    visit = session.current()

    def typed() -> None:
        visit.words = st.session_state[_BOX] or " "  # a box that was emptied is not one that nobody has used

    st.session_state[_BOX] = text.strip()
    st.text_input(
        t("toy.words"), key=_BOX, max_chars=LONGEST, placeholder=t("toy.placeholder"), on_change=typed,
        label_visibility="collapsed",
    )  # fmt: skip


def _chips(task: str, text: str) -> None:
    visit = session.current()

    def choose(example: ReadyInput) -> None:
        visit.words = example.text[visit.lang]
        visit.select("task", TASKS.index(example.task))

    shown = _example_of(task, text)
    with st.container(horizontal=True, gap="xsmall", key=f"chips-{PAGE}"):
        for example in examples():
            st.button(
                f"{t(f'toy.task.{example.task}')}: {example.label[visit.lang]}",
                key=f"{PAGE}.example.{example.id}",
                type="primary" if example is shown else "secondary",
                help=notices.plain(example.watch[visit.lang]),
                on_click=choose,
                args=(example,),
            )


def _example_of(task: str, text: str) -> ReadyInput | None:
    """Return the example with this task and text, in any language; None for an input of the visitor's own."""
    return next((one for one in examples() if one.task == task and text in one.text.values()), None)


def _known() -> None:
    """Unfold the words that the model knows."""
    with unfolding.section(t("toy.known"), key=f"{PAGE}.known") as opened:
        if opened.open:
            rows = [html.row(html.heading(title), words) for title, words in _groups()]
            html.show(html.scrolling(html.table(rows, kind="cs-toy")))


def _groups() -> Iterator[tuple[str, str]]:
    """Yield a name and the words of each group, with their English where they have one."""
    words = grammar()

    def pairs(found: tuple[tuple[str, str], ...]) -> str:
        return ", ".join(f"{korean} {english}" for korean, english in found)

    yield t("toy.group.letters"), " ".join(words.letters)
    yield t("toy.group.syllables"), " ".join(words.syllables)
    yield t("toy.group.animate"), pairs(words.animate)
    yield t("toy.group.things"), pairs(words.things)
    yield t("toy.group.adjectives"), pairs(words.adjectives)
    at_place = words.particles["place"][0]
    yield (
        t("toy.group.places"),
        ", ".join(f"{noun}{at_place} {at} the {english}" for noun, at, english in words.places),
    )
    yield t("toy.group.times"), pairs(tuple((korean, english) for korean, english, _ in words.times))
    verbs = ((one.present, one.english_present, one.past, one.english_past) for one in words.verbs)
    yield t("toy.group.verbs"), ", ".join(f"{now} {writes} / {then} {wrote}" for now, writes, then, wrote in verbs)
    yield t("toy.group.particles"), " ".join(words.endings())
