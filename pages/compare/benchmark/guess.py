"""Ask for a guess before a run, store it with the run, and show it beside the result."""

from collections.abc import Mapping, Sequence

import streamlit as st

from models.bench.judge import verdicts
from models.bench.plan.plan import Plan
from models.records.measurement import Measurement
from models.records.run import Run
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.naming import series_name
from pages.compare.benchmark.verdicts import sentence
from pages.shared import notices
from pages.shared.words import units
from pages.shared.words.i18n import t

QUESTIONS = ("carried", "prefill", "decode")
KEPT = 20  # runs whose guesses are remembered

_GUESSES = f"{PAGE}.guesses"  # run_id -> question -> architecture


def ask(plan: Plan) -> None:
    """Offer the questions, for the longest context of a plan with something to compare."""
    names = list(dict.fromkeys(cell.architecture for cell in plan.cells))
    if len(names) < 2:
        return
    tokens = units.count(max(cell.context for cell in plan.cells))
    with st.expander(t("benchmark.guess.title"), key=f"{PAGE}.guess"):
        st.caption(t("benchmark.guess.text"))
        for question in QUESTIONS:
            key = f"{PAGE}.guess.{question}"
            if st.session_state.get(key) not in (None, *names):
                st.session_state[key] = None
            st.segmented_control(
                t(f"benchmark.guess.{question}", tokens=tokens), names, key=key,
                format_func=lambda name: t(f"nav.{name}"), persist_state="session",
            )  # fmt: skip


def keep(run_id: str) -> None:
    """Remember what is guessed now for a run that begins, and clear the questions for the next one."""
    made = {name: st.session_state.get(f"{PAGE}.guess.{name}") for name in QUESTIONS}
    guessed = {name: str(value) for name, value in made.items() if value}
    if guessed:
        every = {**st.session_state.get(_GUESSES, {}), run_id: guessed}
        st.session_state[_GUESSES] = dict(list(every.items())[-KEPT:])
    for name in QUESTIONS:
        st.session_state[f"{PAGE}.guess.{name}"] = None


def answer(run: Run) -> None:
    """Set the guesses made for a run beside what it has measured so far; nothing where none was made."""
    guessed = st.session_state.get(_GUESSES, {}).get(run.run_id)
    if not guessed:
        return
    with st.container(border=True, key=f"card-{PAGE}.guess"):
        lines = [t("benchmark.guess.answer")]
        for question, name in guessed.items():
            said = _cache_bytes(run.current, name) if question == "carried" else _timed(run.current, question, name)
            lines.append(f"- {notices.plain(t(f'benchmark.guess.of.{question}', name=t(f'nav.{name}')))} "
                         f"{notices.plain(said)}")  # fmt: skip
        st.markdown("\n".join(lines))


def _cache_bytes(rows: Sequence[Measurement], name: str) -> str:
    """Return which architecture carries the fewest bytes at the longest common length, with the smallest batch."""
    sizes = _at_longest(rows)
    if name not in sizes:
        return t("benchmark.guess.open")
    least = min(sizes, key=lambda one: sizes[one])
    if sizes[name] == sizes[least]:
        return t("benchmark.guess.right", why=units.size(sizes[name]))
    values = {"least": series_name(least), "small": units.size(sizes[least]), "own": units.size(sizes[name])}
    return t("benchmark.guess.carries_more", **values)


def _at_longest(rows: Sequence[Measurement]) -> Mapping[str, int]:
    found: dict[int, dict[str, int]] = {}
    swept = [row for row in rows if row.cache_bytes is not None and not row.batch_limit]
    batch = min((row.batch for row in swept), default=1)
    for row in swept:
        if row.batch == batch:
            found.setdefault(row.context, {})[row.architecture] = row.cache_bytes or 0
    names = {row.architecture for row in swept}
    common = [context for context, sizes in found.items() if set(sizes) == names and len(names) > 1]
    return found[max(common)] if common else {}


def _timed(rows: Sequence[Measurement], phase: str, name: str) -> str:
    """Return whether any architecture is faster than the guessed one, by the verdicts of the smallest batch."""
    judged = [
        one for one in verdicts.judged(rows) if one.phase == phase and name in (one.a.architecture, one.b.architecture)
    ]
    batch = min((one.a.batch for one in judged), default=1)
    judged = [one for one in judged if one.a.batch == batch]
    if not judged:
        return t("benchmark.guess.open")
    beaten = [one for one in judged if one.found.kind == ("slower" if one.a.architecture == name else "faster")]
    if beaten:
        said = beaten[0]
        names = (series_name(row.architecture) for row in (said.a, said.b))
        return t("benchmark.guess.beaten", count=len(beaten), why=sentence(said.found, *names, margin=said.margin))
    alike = [one for one in judged if one.found.kind == "indistinguishable"]
    others = ", ".join(series_name((one.b if one.a.architecture == name else one.a).architecture) for one in alike)
    return t("benchmark.guess.shared", others=others) if alike else t("benchmark.guess.first")
