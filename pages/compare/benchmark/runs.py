"""Manage stored runs: choose, set another beside, rename, link, export, delete, put back, import."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import streamlit as st

from models.bench.run import runner
from models.bench.store import files
from models.bench.store.store import Store, Summary
from models.errors import ContextscopeError
from models.records.run import Run, fingerprint
from pages.compare.benchmark import address
from pages.compare.benchmark.address import BESIDE, PAGE, REFUSED, forget, show
from pages.shared import gate, html, journal, notices
from pages.shared.layout import moment_text
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import i18n, units
from pages.shared.words.i18n import t

SHOWN = 200  # runs in the list
DRAWN_CELLS = 512  # of a run; ours have at most 128
FILES_PX = 260  # the width of the place for files
FIRST_VIEW = f"{PAGE}.first_view"  # the run that was shown when the visit named none
TYPES = ("jsonl", "json", "csv", "parquet")

_fingerprints: Memo[str] = Memo()
_parts: Memo[tuple[int, Run]] = Memo()


def chosen_run() -> Run | None:
    """Return the run the address names, else the newest one worth showing: of this machine, then a recorded one."""
    store = runner.shared().store
    named = st.query_params.get("run", "")
    first = st.session_state.get(FIRST_VIEW, "")  # a run that another visitor makes meanwhile does not take its place
    with gate.released():
        found = store.run(named) if named else None
        newest = None if found else store.run(first) or store.latest()
        second = store.run(st.query_params.get(BESIDE, ""))
    _opened().update(one.run_id for one in (found, second) if one is not None and one.imported)
    if newest is not None:
        st.session_state[FIRST_VIEW] = newest.run_id
    if named and found is None:
        st.info(t("benchmark.no_such_run"), icon=":material/info:")
    told = st.query_params.get("rows", "")
    if found is not None and told and told != _fingerprint(found):
        st.info(
            t("benchmark.other_rows", there=notices.plain(told[:16]), here=_fingerprint(found)), icon=":material/info:"
        )
    return found or newest


def _fingerprint(run: Run) -> str:
    return _fingerprints.get(run.run_id, (run,), lambda: fingerprint(run))


def drawn(run: Run) -> Run:
    """Return what the page draws of a run: all of it, or its first cells with a sentence that says so.

    The same run gives the same object again, so that what was drawn of it is kept.
    """
    count, part = _parts.get(run.run_id, (run,), lambda: _first_cells(run))
    if part is not run:
        st.info(t("benchmark.many_cells", count=units.count(count), limit=DRAWN_CELLS), icon=":material/info:")
    return part


def _first_cells(run: Run) -> tuple[int, Run]:
    """Count the cells of a run, and return it with its first DRAWN_CELLS; the run itself where it has no more."""
    cells = dict.fromkeys(row.cell_id for row in run.rows)
    if len(cells) <= DRAWN_CELLS:
        return len(cells), run
    kept = set(itertools.islice(cells, DRAWN_CELLS))
    return len(cells), dataclasses.replace(run, rows=tuple(row for row in run.rows if row.cell_id in kept))


def bar(run: Run | None) -> None:
    """Show the list of runs with the one to compare with, the place for files, and the actions on the current run."""
    store = runner.shared().store
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"runs-{PAGE}"):
        with gate.released():
            summaries = _listed(store)
        _list(summaries, run)
        _choose_beside(summaries, run)
        _drop_zone()
        if run is not None:
            with st.popover(t("benchmark.export"), icon=":material/download:", key=f"{PAGE}.export"):
                _exports(run)
        with st.popover(t("benchmark.manage"), icon=":material/more_horiz:", key=f"{PAGE}.manage"):
            _manage(store, run)
    _told()


def _manage(store: Store, run: Run | None) -> None:
    """Give the addresses of the run and of the plan; rename and delete a run of this store."""
    if run is not None:
        st.caption(t("benchmark.permalink"))
        other = {BESIDE: st.query_params[BESIDE]} if BESIDE in st.query_params else {}
        link = session.current().permalink(run=run.run_id, rows=_fingerprint(run), **other)
        st.code(link, language=None, wrap_lines=True)
    st.caption(t("benchmark.permalink_plan"))
    st.code(address.of_plan(), language=None, wrap_lines=True)
    if run is not None and not run.recorded:
        _own(store, run)


def _drop_zone() -> None:
    """Take a file with a run, and say here what is wrong with it."""
    with st.container(key=f"import-{PAGE}", gap="small", width=FILES_PX):
        st.file_uploader(t("benchmark.import"), type=TYPES, key=f"{PAGE}.file", on_change=_take_file)
        if (error := st.session_state.get(REFUSED)) is not None:
            st.warning(notices.plain(notices.sentence(error)), icon=":material/info:")


def _told() -> None:
    """Say what the last action came to; a run that was deleted can be put back."""
    if said := st.session_state.pop(f"{PAGE}.said", None):
        st.warning(notices.plain(said), icon=":material/info:")
    if said := st.session_state.pop(f"{PAGE}.done", None):
        st.toast(notices.plain(said))
    deleted: list[Run] = st.session_state.get(f"{PAGE}.deleted", [])
    if not deleted:
        return
    gone = deleted[-1]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"undo-{PAGE}"):
        st.text(html.forwards(t("benchmark.deleted", title=gone.title or t("benchmark.untitled"))))
        st.button(t("benchmark.undo"), key=f"{PAGE}.undo", icon=":material/undo:", on_click=_put_back, args=(gone,))


def _put_back(gone: Run) -> None:
    def put_back() -> None:
        run_id = runner.shared().store.restore(gone)
        journal.note("restore", run=run_id)
        show(run_id)
        st.session_state[f"{PAGE}.deleted"].remove(gone)

    _tried(put_back)


def other(run: Run) -> Run | None:
    """Return the run that the address sets beside this one, with the cells that are drawn of it; None without one."""
    named = st.query_params.get(BESIDE, "")
    if not named or named == run.run_id:
        return None
    with gate.released():
        found = runner.shared().store.run(named)
    if found is None:
        st.info(t("benchmark.beside.gone"), icon=":material/info:")
        return None
    return drawn(found)


def _choose_beside(summaries: tuple[Summary, ...], run: Run | None) -> None:
    """Ask which run is drawn over this one; the choice goes into the address."""
    known = {found.run_id: found for found in summaries if run is not None and found.run_id != run.run_id}
    if not known:
        return
    key = f"{PAGE}.beside"

    def choose() -> None:
        if st.session_state[key] is None:
            st.query_params.pop(BESIDE, None)
        else:
            st.query_params[BESIDE] = st.session_state[key]

    named = st.query_params.get(BESIDE, "")
    st.session_state[key] = named if named in known else None
    st.selectbox(
        t("benchmark.beside.choose"), list(known), index=None, key=key, format_func=_names(summaries).__getitem__,
        placeholder=t("benchmark.beside.placeholder"), on_change=choose,
    )  # fmt: skip


def _listed(store: Store) -> tuple[Summary, ...]:
    """List the runs a visitor may choose from: of those from files only what this visitor opened."""
    every = store.summaries(imported=_opened())
    named = {st.query_params.get("run", ""), st.query_params.get(BESIDE, "")}
    return (*every[:SHOWN], *(found for found in every[SHOWN:] if found.recorded or found.run_id in named))


def _opened() -> set[str]:
    """Return the runs from files that this visitor has opened, as a file or by a link."""
    found: set[str] = st.session_state.setdefault(f"{PAGE}.opened", set())
    return found


def _list(summaries: tuple[Summary, ...], run: Run | None) -> None:
    known = {found.run_id: found for found in summaries}
    if run is None or run.run_id not in known:
        return
    key = f"{PAGE}.chosen"

    def choose() -> None:
        show(st.session_state[key])

    st.session_state[key] = run.run_id
    st.selectbox(t("benchmark.runs"), list(known), key=key, format_func=_names(summaries).__getitem__, on_change=choose)


def _names(summaries: Iterable[Summary]) -> dict[str, str]:
    """Name every run of a list; Streamlit tells options apart by their words, so those named alike get their ids."""
    names = {found.run_id: _name(found) for found in summaries}
    often = Counter(names.values())
    return {run_id: name if often[name] == 1 else f"{name} · {run_id}" for run_id, name in names.items()}


def _name(found: Summary) -> str:
    when = moment_text(found.created_ns)
    kind = "recorded" if found.recorded else "imported" if found.imported else "own"
    title = html.forwards(found.title) or t("benchmark.untitled")
    return t(f"benchmark.listed.{kind}", title=title, when=when, measured=found.measured, total=found.cells)


def _exports(run: Run) -> None:
    words = i18n.translator(session.language())
    for fmt in files.FORMATS:
        st.download_button(
            t(f"benchmark.format.{fmt}"), partial(files.export, run, fmt, words=words),
            f"{run.run_id}.{fmt}", files.MEDIA_TYPES[fmt], key=f"{PAGE}.export.{fmt}", type="tertiary",
            on_click="ignore",
        )  # fmt: skip


def _own(store: Store, run: Run) -> None:
    """Rename and delete a run of this store; what is deleted can be put back in the same visit."""
    key = f"{PAGE}.title.{run.run_id}"
    st.session_state.setdefault(key, run.title)
    st.text_input(
        t("benchmark.name"), key=key, max_chars=80,
        on_change=lambda: _tried(lambda: store.rename(run.run_id, st.session_state[key]), "rename", run.run_id),
    )  # fmt: skip
    live = (now := runner.shared().progress(run.run_id)) is not None and now.live

    def delete() -> None:
        store.delete(run.run_id)
        journal.note("delete", run=run.run_id)
        st.session_state[f"{PAGE}.deleted"] = [*st.session_state.get(f"{PAGE}.deleted", ()), run]
        st.session_state.pop(FIRST_VIEW, None)
        forget()

    st.button(t("benchmark.delete"), key=f"{PAGE}.delete", icon=":material/delete:", disabled=live,
              on_click=lambda: _tried(delete))  # fmt: skip


def _take_file() -> None:
    file = st.session_state[f"{PAGE}.file"]
    st.session_state.pop(REFUSED, None)
    if file is None:
        return
    store = runner.shared().store
    try:
        known = {found.run_id for found in store.summaries()}
        run_id = store.import_file(file.name, file.getvalue())
    except ContextscopeError as error:
        st.session_state[REFUSED] = error
        return
    journal.note("import", run=run_id)
    st.session_state[f"{PAGE}.done"] = t("benchmark.known_file" if run_id in known else "benchmark.new_file")
    show(run_id)


def _tried(change: Callable[[], object], action: str = "", run_id: str = "") -> None:
    """Apply a change to the store and log it; an error is shown at the next rerun."""
    try:
        change()
        if action:
            journal.note(action, run=run_id)
    except ContextscopeError as error:
        st.session_state[f"{PAGE}.said"] = notices.sentence(error)
