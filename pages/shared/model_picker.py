"""Choose the model of an architecture: bundled, published and downloaded on demand, or a local folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from models.errors import ContextscopeError, PromptError, SourceError
from models.records.trace import ModelTrace
from models.sources import downloadable, downloads, hub
from models.sources.downloadable import Offer
from pages.shared import cache, gate, journal, notices
from pages.shared.state import connection, session
from pages.shared.words import units
from pages.shared.words.i18n import t

if TYPE_CHECKING:
    from models.tracing.fitting import Fit

FOLDERS_VARIABLE = "CONTEXTSCOPE_LOCAL_FOLDERS"  # on or off; unset: on for who sits at this machine
POLL_S = 0.5  # while a download runs
_OFF, _ON = frozenset({"0", "off", "no", "false"}), frozenset({"1", "on", "yes", "true"})
_DOWNLOAD_REFUSED = "contextscope.download_refused"  # with a model: the error of its button
_REFUSED = "contextscope.refused"  # architecture -> the error of the last folder that was typed


def chip(architecture: str) -> None:
    """Show which model reads the text, and offer the others behind it."""
    with st.popover(
        t("models.chip", name=notices.plain(name_of(architecture))), type="tertiary", key=f"{architecture}.model"
    ):
        st.caption(t("models.intro"))
        busy, source = _busy(architecture), chosen(architecture)
        st.fragment(gate.gated(_choices), run_every=POLL_S if busy else None)(architecture, busy, source)
        _folder(architecture)


def chosen(architecture: str) -> str:
    """Return the source of the model that reads for an architecture: the visitor's choice, or the bundled one."""
    source = session.current().model(architecture)
    if source is None or (downloadable.find(source) is None and not folders_allowed()):
        return cache.architectures()[architecture]
    return source


def chosen_here(architecture: str) -> str:
    """Return the chosen source where it is on this machine, else the bundled one."""
    source = chosen(architecture)
    here = downloadable.find(source) is None or hub.downloaded(source)
    return source if here else cache.architectures()[architecture]


def name_of(architecture: str) -> str:
    """Return the short name of the chosen model."""
    source = chosen(architecture)
    if source == cache.architectures()[architecture]:
        return t("models.bundled")
    offer = downloadable.find(source)
    return offer.name if offer else Path(source).name


def read(architecture: str, prompt: str) -> tuple[ModelTrace, ContextscopeError | None]:
    """Run the chosen model over a prompt; where it cannot be had, the bundled one, with the reason.

    Raises PromptError for a prompt that cannot be read.
    """
    source, bundled = chosen(architecture), cache.architectures()[architecture]
    try:
        return cache.trace_for(source, prompt), None
    except PromptError:
        raise
    except ContextscopeError as error:
        if source == bundled:
            raise
        return cache.trace_for(bundled, cache.fitted(bundled, prompt).text), error


def at_once(architecture: str, prompt: str) -> bool:
    """Return whether the chosen model has read a prompt, or will have in a moment."""
    return cache.at_once(chosen(architecture), prompt)


def fitted(architecture: str, prompt: str) -> "Fit":
    """Return as much of a prompt as the chosen model reads, or the bundled one where that has no tokenizer here.

    The weights are not asked for: where they turn out not to load, `read` cuts the text anew for the bundled model.
    """
    source, bundled = chosen(architecture), cache.architectures()[architecture]
    try:
        return cache.fitted(source, prompt)
    except ContextscopeError:
        if source == bundled:
            raise
        return cache.fitted(bundled, prompt)


def code_of(architecture: str) -> str:
    """Return how an address names the chosen model: a bundled name, a hub id, or the code of a folder."""
    source = chosen(architecture)
    known = source in cache.bundled() or downloadable.find(source) is not None
    return source if known else session.folder_code(architecture, source)


def folders_allowed() -> bool:
    """Return whether this visitor may open folders of the machine that the app runs on.

    Unless a setting says so, only who sits at it: the server listens there alone, and no proxy brings others.
    """
    wish = os.environ.get(FOLDERS_VARIABLE, "").strip().lower()
    if wish in _OFF | _ON:
        return wish in _ON
    return str(st.get_option("server.address") or "") in connection.LOCAL_NAMES and connection.is_local()


def _busy(architecture: str) -> bool:
    return any(offer.id in downloads.running() for offer in downloadable.of(architecture))


def _choices(architecture: str, busy: bool, source: str) -> None:
    """List the bundled and the offered models; drawn again by itself while a download runs.

    busy, source: as they were when the whole page was drawn; it is drawn again when one of them has changed.
    """
    with st.container(key=f"models-{architecture}", gap="small"):
        _bundled(architecture)
        for offer in downloadable.of(architecture):
            _offered(architecture, offer)
    if (_busy(architecture), chosen(architecture)) != (busy, source):
        st.rerun()


def _choose(architecture: str, source: str | None) -> None:
    session.current().choose_model(architecture, source)
    _refusals().pop(architecture, None)
    st.session_state[f"{architecture}.folder"] = (
        source if source is not None and downloadable.find(source) is None else ""
    )


def _bundled(architecture: str) -> None:
    source = cache.architectures()[architecture]
    total, active = cache.parameters(source), cache.active_parameters(source)
    key = "models.bundled_facts" if active == total else "models.bundled_facts_active"
    facts = t(key, params=units.compact(total), active=units.compact(active))
    with _row(t("models.bundled_row"), facts):
        _use(architecture, None, used=chosen(architecture) == source)


def _offered(architecture: str, offer: Offer) -> None:
    """Show one published model with its facts and the actions that are possible now."""
    key = "models.facts" if offer.params_active == offer.params_total else "models.facts_active"
    facts = t(key, params=units.compact(offer.params_total), active=units.compact(offer.params_active),
              download=units.decimal_size(offer.download_bytes), memory=units.size(offer.need_bytes))  # fmt: skip
    licence = t("models.licence", licence=offer.licence or t("models.licence_unknown"), tokenizer=offer.tokenizer,
                vocabulary=units.count(offer.vocabulary))  # fmt: skip
    page = f"[{t('models.page')}](https://huggingface.co/{offer.id})"
    unknown = offer.unknown[session.language()]
    under = [f"{notices.plain(licence)} · {page}", *([notices.plain(unknown)] if unknown else [])]
    progress = downloads.progress(offer.id)
    with _row(offer.name, facts, *under):
        if hub.downloaded(offer.id):
            _use(architecture, offer.id, used=chosen(architecture) == offer.id)
        elif progress is not None and progress.state == "running":
            st.button(t("models.cancel"), key=f"{architecture}.cancel.{offer.id}", on_click=_cancel_download,
                      args=(offer.id,))  # fmt: skip
        else:
            label = "models.go_on" if progress is not None and progress.done_bytes else "models.download"
            st.button(t(label), key=f"{architecture}.download.{offer.id}", on_click=_download, args=(offer,))
    refused = st.session_state.get(f"{_DOWNLOAD_REFUSED}.{offer.id}")
    if refused is not None and downloads.running():  # it holds until the other one is here
        st.caption(notices.plain(notices.sentence(refused)))
    if progress is not None and not hub.downloaded(offer.id):
        _state(progress)


def _download(offer: Offer) -> None:
    """Start a download, or store the reason why it cannot start for the next rerun."""
    try:
        downloads.start(offer.id, revision=offer.revision)
    except ContextscopeError as error:
        st.session_state[f"{_DOWNLOAD_REFUSED}.{offer.id}"] = error
        return
    st.session_state.pop(f"{_DOWNLOAD_REFUSED}.{offer.id}", None)
    journal.note("download", model=offer.id)


def _cancel_download(model: str) -> None:
    downloads.cancel(model)
    journal.note("cancel_download", model=model)


def _row(name: str, *lines: str) -> "st.delta_generator.DeltaGenerator":
    """Write the name and facts of a model at the left; what can be done with it goes to the right."""
    left, right = st.columns((0.76, 0.24), gap="small", vertical_alignment="top")
    with left, st.container(gap=None):
        st.markdown(f"**{notices.plain(name)}**")
        st.caption("  \n".join([notices.plain(lines[0]), *lines[1:]]))
    return right


def _use(architecture: str, source: str | None, *, used: bool) -> None:
    if used:
        st.caption(t("models.in_use"), width="content")
    else:
        st.button(t("models.use"), key=f"{architecture}.use.{source}", on_click=_choose, args=(architecture, source))


def _state(progress: downloads.DownloadProgress) -> None:
    done, total = progress.done_bytes, progress.total_bytes
    if progress.state == "failed" and progress.error is not None:
        st.caption(notices.plain(notices.sentence(progress.error)))
    elif progress.state == "cancelled":
        st.caption(t("models.cancelled", done=units.decimal_size(done)))
    elif progress.state == "running":
        words = t("models.asking")
        if total:
            rate = units.decimal_size(progress.bytes_per_s)
            words = t("models.progress", done=units.decimal_size(done), total=units.decimal_size(total), rate=rate)
        st.progress(min(1.0, done / total) if total else 0.0, text=words)


def _folder(architecture: str) -> None:
    """Take a folder of this machine, or say why not."""
    if not folders_allowed():
        st.caption(t("models.folders_off"))
        return
    key, source = f"{architecture}.folder", session.current().model(architecture)

    def typed() -> None:
        _open_folder(architecture, st.session_state[key] or "")

    st.session_state.setdefault(key, source if source is not None and downloadable.find(source) is None else "")
    st.text_input(
        t("models.folder"), key=key, placeholder=t("models.folder_placeholder"), on_change=typed, max_chars=500
    )
    error = _refusals().get(architecture)
    if error is not None:
        notices.explain(error)
    else:
        st.caption(t("models.folder_text"))


def _open_folder(architecture: str, path: str) -> None:
    """Check what was typed before it is chosen: a folder with a model of this architecture."""
    from models import registry

    if not path.strip():
        _choose(architecture, None)
        return
    try:
        place = registry.checked(path, architecture=architecture)
    except ContextscopeError as error:
        if "found" in error.values:
            error.values["found"] = t(f"nav.{error.values['found']}")
        _refusals()[architecture] = _without_oracle(error, path)
        return
    cache.remember_folder(session.folder_code(architecture, place), architecture, place)
    _choose(architecture, place)


def _without_oracle(error: ContextscopeError, path: str) -> ContextscopeError:
    """Return one error for absent, forbidden and unsuitable folders, which reveals nothing about the disk."""
    if error.key.removeprefix("errors.") not in ("no_folder", "no_config"):
        return error
    source = path.strip()[:200]
    return SourceError(
        "errors.no_model_folder", f"{source!r} is no folder with a config.json on this machine", source=source
    )


def _refusals() -> dict[str, ContextscopeError]:
    found: dict[str, ContextscopeError] = st.session_state.setdefault(_REFUSED, {})
    return found
