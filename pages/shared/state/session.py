"""Typed access to the visitor's choices, stored in session_state and encoded in the URL."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import streamlit as st

from models import alignment
from models.limits import BOX_CHARACTERS, PROMPT_CHARACTERS
from models.records.trace import Token
from models.sources import downloadable, resolve
from models.switches.value import Switches
from pages.shared import cache, history, site
from pages.shared.words import content
from pages.shared.words import language as languages

_PREFIX = "contextscope."
_SELECTABLE = re.compile(
    r"(?:[a-z]{1,16}_)?(?:layer|head|channel|expert|sample|choice|frame|task|distance|load|question"
    r"|temperature|topk|topp|draw|length|seed|mode|reader|measure|tracked|architecture"
    r"|strength|decay|stop|rate|keys|axis|gate|moved)"
)
_SECRET = secrets.token_bytes(32)  # of this server, until it ends, as are the folders that were typed on it
_OFF_LIMIT = 400  # characters of an address that may name what is switched off
_MODELS_LIMIT = 600  # characters of an address that may name models
_NUMBER = re.compile(r"[0-9]{1,6}")
_FOLDER = "folder-"  # how the codes of folders begin
TOLD = "frame.told"  # the key of the field in which the browser leaves the chosen token for the next run
_TOLD = re.compile(
    r"(?P<reading>[0-9a-f]{16}):(?:(?P<token>[0-9]{1,5})(?::(?P<start>[0-9]{1,5})-(?P<end>[0-9]{1,5}))?)?"
)
OTHER = ("side-by-side",)  # pages that compare two texts
_LONGS = 4  # long texts that a visit remembers
WORDS_CHARACTERS = 200  # of the words that a page of its own input reads
_SHOWN = 80  # characters of an address that a note repeats


class Session:
    """The choices of one visitor. The URL is read once, when the session starts; every value is checked on use."""

    @property
    def page(self) -> str:
        """The key of the page being shown: overview, transformer, ..."""
        return str(_get("page", "overview"))

    @property
    def lang(self) -> str:
        """The language code."""
        return language()

    @lang.setter
    def lang(self, code: str) -> None:
        if code in languages.LANGS:
            _put("lang", code)
            languages.choose(code)

    @property
    def prompt(self) -> str:
        """The text that every page reads; until the visitor writes one, the first example in their language."""
        text = _get("prompt", None)
        return str(text) if text is not None else content.first_example(self.lang)

    @prompt.setter
    def prompt(self, text: str) -> None:
        text = text[:BOX_CHARACTERS]
        if text != self.prompt:
            _put("prompt", text)
            self.pick(None)

    @property
    def other(self) -> str:
        """The second text of a page that compares two, "" until the visitor has changed a copy of the first."""
        return str(_get("other", None) or "")

    @other.setter
    def other(self, text: str) -> None:
        _put("other", text[:BOX_CHARACTERS] or None)

    @property
    def selected(self) -> int | None:
        """The index of the chosen token, shared by all pages; None until one is chosen."""
        token = _get("token", None)
        return token if isinstance(token, int) else None

    @selected.setter
    def selected(self, index: int | None) -> None:
        _put("token", index)
        _put("heard", st.session_state.get(TOLD))  # what the browser told before counts no longer

    @property
    def span(self) -> tuple[int, int] | None:
        """The characters of the chosen token, by which it is found again in other tokens; None where unknown."""
        span = _get("span", None)
        return span if isinstance(span, tuple) and self.selected is not None else None

    def pick(self, index: int | None, span: tuple[int, int] | None = None) -> None:
        """Choose a token, with its characters where they are known, or none."""
        self.selected = index
        _put("span", None if index is None else span)

    def reads(self, reading: str) -> None:
        """Note the id of the text that the page reads; what the browser tells of another is not heard."""
        _put("reading", (reading, self.prompt))

    def hear(self) -> None:
        """Take over the token that the browser told last, <reading>:<token>:<start>-<end>, of the text still shown."""
        told = st.session_state.get(TOLD)
        found = _TOLD.fullmatch(told) if isinstance(told, str) else None
        if found is None or told == _get("heard", None):
            return
        _put("heard", told)
        if _get("reading", None) != (found["reading"], self.prompt):
            return
        span = None if found["start"] is None else (int(found["start"]), int(found["end"]))
        self.pick(None if found["token"] is None else int(found["token"]), span)

    def token(self, count: int) -> int | None:
        """Return the chosen token if a text of count tokens has it."""
        token = self.selected
        if token is not None and not 0 <= token < count:
            if self._of_link("token"):
                self._miss("token", token)
                self.selected = None
            return None
        return token

    def token_in(self, tokens: Sequence[Token]) -> int | None:
        """Return the chosen token among those of a text: by its characters where they are known, else by number."""
        index, span = self.token(len(tokens)), self.span
        if span is None:
            return index
        if index is not None and alignment.covering([(t.start, t.end) for t in tokens])[index] == span:
            return index
        return alignment.matching(tokens, span)

    @property
    def words(self) -> str:
        """The words that this page alone reads; "" until the visitor writes some."""
        every: dict[str, str] = st.session_state.setdefault(f"{_PREFIX}words", {})
        return every.get(self.page, "")

    @words.setter
    def words(self, text: str) -> None:
        every: dict[str, str] = st.session_state.setdefault(f"{_PREFIX}words", {})
        every[self.page] = text[:WORDS_CHARACTERS]

    def model(self, architecture: str) -> str | None:
        """Return the model that the visitor chose for an architecture: a hub id or a folder; None for the bundled."""
        source = self._models().get(architecture)
        return str(source) if source else None

    def choose_model(self, architecture: str, source: str | None) -> None:
        """Choose a model for an architecture: an offered hub id, a folder that was checked, or None for the bundled."""
        every = self._models()
        if source is None:
            every.pop(architecture, None)
        else:
            every[architecture] = source

    def selection(self, name: str, *, default: int, allowed: Sequence[int] | range) -> int:
        """Return the layer, head, channel, ... chosen on this page; the default when none or an impossible one is."""
        value = self._selections().get(name)
        if value is None or value in allowed:
            return default if value is None else value
        if self._of_link(name):
            self._miss(name, value)
            del self._selections()[name]
        return default

    @property
    def linked(self) -> bool:
        """Whether the address contains a choice that this visit has neither used nor answered yet."""
        return bool(_get("linked", None) or _get("missed", None))

    def missed(self) -> list[tuple[str, str]]:
        """Return, once, the choices of the address that do not exist: (layer, token, model, ..., value)."""
        found: list[tuple[str, str]] = list(_get("missed", None) or ())  # type: ignore[call-overload]
        _put("missed", [])
        _put("linked", set())
        return found

    def _of_link(self, name: str) -> bool:
        return (self.page, name) in (_get("linked", None) or ())  # type: ignore[operator]

    def _miss(self, name: str, value: object) -> None:
        missed: list[tuple[str, str]] = st.session_state.setdefault(f"{_PREFIX}missed", [])
        missed.append((name.rpartition("_")[2], str(value)[:_SHOWN]))

    def select(self, name: str, value: int) -> None:
        """Remember a layer, head, channel, ... of this page."""
        if not _SELECTABLE.fullmatch(name):
            raise ValueError(f"selection {name!r}: expected one of {_SELECTABLE.pattern}")
        self._selections()[name] = int(value)

    @property
    def off(self) -> tuple[str, ...]:
        """The codes of what is switched off on this page (models.switches.value), in the order of choice."""
        every: dict[str, tuple[str, ...]] = st.session_state.setdefault(f"{_PREFIX}off", {})
        return every.get(self.page, ())

    @off.setter
    def off(self, codes: Sequence[str]) -> None:
        st.session_state.setdefault(f"{_PREFIX}off", {})[self.page] = tuple(dict.fromkeys(codes))

    def not_off(self, code: str) -> None:
        """Take back what the model of this page does not have; of a link, it is said."""
        self.off = [one for one in self.off if one != code]
        if self._of_link("off"):
            self._miss("off", code)

    def point(self, page: str, anchor: str) -> None:
        """Ask the document to show the figure or section with an anchor on a page."""
        _, _, turn = self._pointed()
        _put("pointed", (page, anchor, turn + 1))

    @property
    def pointed(self) -> tuple[str, int] | None:
        """The anchor that the document of this page has to show, and the how many-th it is in this visit."""
        page, anchor, turn = self._pointed()
        return (anchor, turn) if page == self.page else None

    @property
    def attempt(self) -> dict[str, str]:
        """What the visitor tries and the page has not set yet: choice -> rule."""
        asked: dict[str, str] = st.session_state.get(f"{_PREFIX}attempt", {})
        return asked

    @attempt.setter
    def attempt(self, sets: dict[str, str]) -> None:
        _put("attempt", sets)

    def _pointed(self) -> tuple[str, str, int]:
        told: tuple[str, str, int] = st.session_state.get(f"{_PREFIX}pointed", ("", "", 0))
        return told

    def query(self) -> dict[str, str]:
        """Return what the URL has to say to come back here; defaults are left out."""
        written: dict[str, str] = {}
        if _get("lang", None) is not None:
            written["lang"] = self.lang
        if _get("prompt", None) is not None:
            written["text"] = self._addressed()
        if self.other and self.page in OTHER:
            written["other"] = self.other[:PROMPT_CHARACTERS]
        if self.words:
            written["words"] = self.words
        if self.selected is not None:
            written["token"] = str(self.selected)
        if models := self._written_models():
            written["model"] = ",".join(models)
        if self.off:
            written["off"] = "~".join(self.off)
        return written | {name: str(value) for name, value in sorted(self._selections().items())}

    @property
    def restored(self) -> bool:
        """Whether this run shows what the address said at an earlier time: the visitor went back or forward."""
        return history.is_step()

    def forget(self) -> None:
        """Return to the defaults of all that the address of this page says, before the one of another time is read."""
        for name in ("prompt", "other", "token", "span", "lang"):
            _put(name, None)
        self.words = ""
        for architecture in [name for name in self._models() if self.page in (name, *site.OF_ALL)]:
            self.choose_model(architecture, None)
        self._selections().clear()
        self.off = ()

    def permalink(self, **more: str) -> str:
        """Return the full address of the choices here, in this language; more: further parts, if they say anything."""
        url = urlsplit(st.context.url or "")
        address = f"{url.scheme}://{url.netloc}{url.path}" if url.netloc else f"/{site.page(self.page).url_path}"
        parts = {"lang": self.lang} | self.query() | more
        return f"{address}?{urlencode({name: value for name, value in parts.items() if value})}"

    def _addressed(self) -> str:
        """Return as much of the text as an address carries, more than is read of it; the whole is remembered."""
        text = self.prompt
        if len(text) > PROMPT_CHARACTERS:
            longs = self._longs()
            longs.pop(text[:PROMPT_CHARACTERS], None)
            longs[text[:PROMPT_CHARACTERS]] = text
            while len(longs) > _LONGS:
                del longs[next(iter(longs))]
        return text[:PROMPT_CHARACTERS]

    def _longs(self) -> dict[str, str]:
        """Return the latest texts that no address carries whole, by what their address says: Back finds them again."""
        every: dict[str, str] = st.session_state.setdefault(f"{_PREFIX}longs", {})
        return every

    def _models(self) -> dict[str, str]:
        every: dict[str, str] = st.session_state.setdefault(f"{_PREFIX}models", {})
        return every

    def _written_models(self) -> list[str]:
        """Write the models that this page shows as the address may carry them: a folder only by its code."""
        shown = {name: source for name, source in self._models().items() if self.page in (name, *site.OF_ALL)}
        return [source if downloadable.find(source) else folder_code(name, source) for name, source in shown.items()]

    def _selections(self) -> dict[str, int]:
        every: dict[str, dict[str, int]] = st.session_state.setdefault(f"{_PREFIX}places", {})
        return every.setdefault(self.page, {})


def current() -> Session:
    """Return the session of the visitor whose script is running."""
    return Session()


def start(page: str) -> Session:
    """Enter a page. The first call of a session reads the valid choices from the URL, and so does a step in history."""
    _put("page", page)
    session = current()
    session.hear()
    if not _get("started", False):
        _put("started", True)
        _read_url(session)
    elif session.restored:
        session.forget()
        _read_url(session)
    return session


def language() -> str:
    """Return the visitor's language code."""
    return languages.current()


def _read_url(session: Session) -> None:
    params = st.query_params
    session.lang = languages.understood(params.get("lang", "")) or ""
    if text := params.get("text", ""):
        session.prompt = session._longs().get(text, text)
    session.other = params.get("other", "")
    if words := params.get("words", ""):
        session.words = words
    _read_models(session, params.get("model", ""))
    named = [name for name in params if name == "token" or _SELECTABLE.fullmatch(name)]
    for name in named:
        value = _number(params.get(name, ""))
        if value is None:
            session._miss(name, params.get(name, ""))
        elif name == "token":
            session.selected = value
        else:
            session.select(name, value)
    if switched := params.get("off", ""):
        named.append("off")
        try:
            session.off = [one.code for one in Switches.read_all(switched[:_OFF_LIMIT])]
        except ValueError:
            session._miss("off", switched)
    _put("linked", {(session.page, name) for name in named})


def folder_code(architecture: str, path: str) -> str:
    """Return the code of a local folder in the address: not a path, and valid only on the server where it was typed.

    A secret of this server goes into it, so that nobody can find out by trying which path a link stands for.
    """
    text = f"{architecture}\0{path}".encode(errors="surrogatepass")
    return _FOLDER + hashlib.blake2s(text, key=_SECRET, digest_size=8).hexdigest()


def _read_models(session: Session, text: str) -> None:
    """Take over the models of an address: offered ones, and folders that were typed on this server; all else is not."""
    for name in text[:_MODELS_LIMIT].split(","):
        offer = resolve.offered(name)
        if offer is not None:
            session.choose_model(offer.architecture, offer.id)
        elif name in cache.typed_folders():
            session.choose_model(*cache.typed_folders()[name])
        elif name.strip():
            session._miss("folder" if name.startswith(_FOLDER) else "model", name)


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _get(name: str, default: object) -> object:
    return st.session_state.get(f"{_PREFIX}{name}", default)


def _put(name: str, value: object) -> None:
    st.session_state[f"{_PREFIX}{name}"] = value
