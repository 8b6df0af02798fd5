"""Every cache of the app: loaded models, traces, counts. Keys are small; all are bounded, large ones by bytes.

Any visitor may have Streamlit clear its caches (a message clear_cache of the websocket). What is expensive or cannot be
made again is therefore kept in this module, out of its reach.
"""

import hashlib
import logging
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from models.errors import ContextscopeError, SettingError, SourceError
from models.reconstruction import Check
from models.records.trace import ModelTrace
from pages.shared import gate
from pages.shared.lru_cache import Shelf
from viz import proof
from viz.canvas import CanvasSpec
from viz.figure import Figure

T = TypeVar("T")

CARRIED_DTYPE = "bfloat16"  # carried bytes are stated in 16 bit, as models are served
SHARE = 4  # loaded models may take a quarter of this machine's memory, recorded traces another
WAIT_POLICY = "OMP_WAIT_POLICY"
LEAST_BYTES = 2**30  # of each, also on a small machine
REMEMBERED_FOLDERS = 64
REMEMBERED_CHECKS = 256

_log = logging.getLogger(__name__)
_checking = threading.Lock()
_shelves: dict[str, Shelf] = {}  # type: ignore[type-arg]
_folders: dict[str, tuple[str, str]] = {}
_making = threading.Lock()
_running = threading.Semaphore(1)  # a forward pass uses every core; a second one at once would slow both


def checkpoint(source: str):  # type: ignore[no-untyped-def]  # models.spec.Checkpoint would bring torch into pages
    """Load a bundled name, a downloaded hub id or a folder once for all visitors; nothing is downloaded.

    Raises SourceError for what is not here or cannot be loaded, SettingError when it does not fit into memory.
    """
    from models import registry

    return _waited(loaded_models(), (source, registry.stamp(source)), lambda: _loaded(source), _weight_bytes)


def trace_for(source: str, prompt: str) -> ModelTrace:
    """Run a model over a prompt, once for all visitors; the arrays are read-only. Raises PromptError."""
    from models import registry

    key = (source, registry.stamp(source), prompt)
    return _waited(recorded_traces(), key, lambda: _traced(source, prompt), lambda found: _trace_bytes(source, found))


def serve() -> None:
    """Set this process up to serve visitors: see models.threads. Imports torch with OpenMP threads that wait asleep.

    OpenMP reads its policy once, when it is loaded. The variable is taken back, so that the workers of the benchmark,
    which inherit the environment, measure as they always did; a policy that the operator chose is left alone.
    """
    chosen = os.environ.get(WAIT_POLICY)
    os.environ[WAIT_POLICY] = chosen or "PASSIVE"
    try:
        from models.machine import threads
    finally:
        if chosen is None:
            del os.environ[WAIT_POLICY]
    threads.serve()


def rehearse(source: str) -> None:
    """Run a model once and forget it, so that what is compiled on first use is not in anybody's timings."""
    from models import registry

    registry.trace(checkpoint(source), source).derive()


def loaded_models() -> Shelf:  # type: ignore[type-arg]
    """Return the shelf of loaded models, shared by all visitors."""
    return _shelf("models")


def recorded_traces() -> Shelf[ModelTrace]:
    """Return the shelf of traces, shared by all visitors."""
    return _shelf("traces")


def budget_bytes() -> int:
    """State how many bytes of models, and again of traces, are kept at most."""
    from models.machine import facts

    return max(LEAST_BYTES, (facts.total_memory() or 0) // SHARE)


def typed_folders() -> dict[str, tuple[str, str]]:
    """Return the folders that were typed on this server since it started: code -> (architecture, path)."""
    return _folders


def remember_folder(code: str, architecture: str, path: str) -> None:
    """Remember a folder that somebody typed; the oldest is forgotten when there are too many."""
    known = typed_folders()
    known[code] = (architecture, path)
    while len(known) > REMEMBERED_FOLDERS:
        del known[next(iter(known))]


def check_of(figure: Figure, trace: Any, choice: Mapping[str, object]) -> Check | None:
    """Check what a figure draws of a trace, or of several; the verdict on the same picture is kept.

    choice: what was handed to the figure function. None for a figure that draws nothing of a run.
    """
    traces = [trace] if isinstance(trace, ModelTrace) else trace
    if not isinstance(traces, list) or not all(isinstance(one, ModelTrace) for one in traces):
        return None
    key = (_print_of(figure), *(id(one) for one in traces), repr(sorted(choice.items(), key=lambda item: item[0])))
    known = checked_pictures()
    with _checking:
        found = known.pop(key, None)
    if found is None or any(ref() is not one for ref, one in zip(found[0], traces, strict=True)):
        found = [weakref.ref(one) for one in traces], proof.check(figure, trace, **choice)
    with _checking:
        known[key] = found
        while len(known) > REMEMBERED_CHECKS:
            del known[next(iter(known))]
    return found[1]


@st.cache_resource(max_entries=1, show_spinner=False)
def checked_pictures() -> dict[tuple[object, ...], tuple[list[weakref.ref[ModelTrace]], Check | None]]:
    """Return the verdicts on pictures that were checked, the latest last, with the traces they are about."""
    return {}


def _print_of(figure: Figure) -> bytes:
    """Return a digest of everything that a figure draws and exports."""
    found = hashlib.blake2b(figure.id.encode(), digest_size=16)
    body = figure.body
    found.update(body.payload() if isinstance(body, CanvasSpec) else _chart_bytes(body))
    for name, array in figure.data.items():
        found.update(name.encode() + np.ascontiguousarray(array.values).tobytes())
    return found.digest()


def _chart_bytes(chart: Any) -> bytes:
    """Write a chart and its rows as bytes.

    Altair's own writer refuses more than 5,000 rows, and what it does with rows is a setting of the whole process,
    which Streamlit changes while it draws: the rows are therefore taken out before.
    """
    rows: list[bytes] = []
    bare = chart.copy(deep=True)  # data frames are not copied
    waiting = [bare]
    while waiting:
        part = waiting.pop()
        if isinstance(part.data, pd.DataFrame):
            columns = ",".join(map(str, part.data.columns))
            rows.append(columns.encode() + pd.util.hash_pandas_object(part.data, index=False).to_numpy().tobytes())
            part.data = alt.NamedData(name=f"rows{len(rows)}")
        waiting += getattr(part, "layer", ())
    return b"".join([bare.to_json().encode(), *rows])


@st.cache_data(max_entries=256, show_spinner=False)
def carried(source: str, tokens: int) -> int:
    """Count the bytes that a model carries after that many tokens, in 16 bit."""
    from models import registry
    from models.counting import accounting

    shape = accounting.shape_of(registry.read_config(source))
    return accounting.cache_bytes(shape, context=tokens, dtype=CARRIED_DTYPE)


@st.cache_data(max_entries=64, show_spinner=False)
def parameters(source: str) -> int:
    """Count the parameters of a model from its configuration."""
    from models import registry
    from models.counting import accounting

    return accounting.params_total(accounting.shape_of(registry.read_config(source)))


@st.cache_data(max_entries=16, show_spinner=False)
def active_parameters(source: str) -> int:
    """Count the parameters that one token uses."""
    from models import registry
    from models.counting import accounting

    return accounting.params_active(accounting.shape_of(registry.read_config(source)))


@st.cache_data(max_entries=1, show_spinner=False)
def bundled() -> tuple[str, ...]:
    """List the bundled models that are present, in the order of the registry."""
    from models import registry

    return registry.bundled()


@st.cache_data(max_entries=1, show_spinner=False)
def architectures() -> dict[str, str]:
    """Return the bundled model of every architecture, in the order of the registry."""
    from models import registry

    return {adapter.name: adapter.bundled for adapter in registry.ADAPTERS if adapter.bundled in registry.bundled()}


@st.cache_data(max_entries=16, show_spinner=False)
def structure(source: str) -> dict[str, Any]:
    """Return what a model's card measured of its structure on held-out text; empty where it has no such card."""
    from models import registry

    found: dict[str, Any] = registry.card_of(source).get("structure") or {}
    return found


@st.cache_data(max_entries=1, show_spinner=False)
def training() -> dict[str, tuple[list[tuple[float, float]], dict[str, float]]]:
    """Return the training log and the validation bits per byte of every bundled model that states them."""
    from models import registry

    return {
        name: (registry.training_log(name), registry.validation_bits(name))
        for name in registry.bundled()
        if registry.is_documented(name)
    }


@st.cache_data(max_entries=1, show_spinner=False)
def training_cards() -> dict[str, dict[str, Any]]:
    """Return the card of every bundled model that states its training."""
    from models import registry

    return {name: registry.card_of(name) for name in registry.bundled() if registry.is_documented(name)}


@st.cache_data(max_entries=1, show_spinner=False)
def processor() -> tuple[str, int]:
    """Name where the models run, a GPU by its name or "CPU", and count the cores."""
    from models import registry
    from models.machine import facts

    device = registry.preferred_device()
    return "CPU" if device == "cpu" else facts.device_name(device), facts.usable_cores()


def _waited(shelf: Shelf[T], key: Hashable, make: Callable[[], T], weigh: Callable[[T], int]) -> T:
    """Return what a shelf holds; while it is made, by this script or another, other scripts compute."""
    held = shelf.held(key)
    if held is not None:
        return held
    with gate.released():
        return shelf.get(key, make, weigh)


def _shelf(name: str) -> Shelf:  # type: ignore[type-arg]
    with _making:
        return _shelves.get(name) or _shelves.setdefault(name, Shelf(budget_bytes()))


def _loaded(source: str):  # type: ignore[no-untyped-def]
    from models import registry

    if source not in bundled():
        _check_here(source)
        _check_memory(source)
    return registry.load(source, device=registry.preferred_device())


def _check_here(source: str) -> None:
    """Refuse to go to a network: what is neither a folder nor downloaded is not loaded."""
    from models import registry

    if not registry.is_here(source):
        raise SourceError(
            "errors.not_downloaded", f"{source!r} is not on this machine yet: download it first", source=source
        )


def _check_memory(source: str) -> None:
    """Make room for a model and refuse it when the machine does not have what it takes."""
    from models import registry
    from models.machine import facts

    need = registry.need_bytes(source)
    loaded_models().make_room(registry.weight_bytes(source))
    free = facts.free_memory()
    if free is not None and need > free:
        message = f"{source!r} takes about {need} bytes of memory, {free} are free: take a smaller one"
        raise SettingError("errors.memory_short", message, source=source, need=_gib(need), free=_gib(free))


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _traced(source: str, prompt: str) -> ModelTrace:
    from models import registry

    loaded = checkpoint(source)
    encoded = registry.encode(loaded, prompt)  # before its turn: a slow tokenizer holds up nobody else
    with _running:
        if source in bundled():
            return registry.trace_encoded(loaded, encoded)
        try:
            return registry.trace_encoded(loaded, encoded)
        except ContextscopeError:
            raise
        except Exception as error:  # a model nobody has tried: the reason to the log, a sentence to the visitor
            _log.exception("%s cannot be run", source)
            detail = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise SourceError(
                "errors.cannot_run", f"{source!r} cannot be run: {detail}", source=source, detail=detail
            ) from error


def _weight_bytes(loaded) -> int:  # type: ignore[no-untyped-def]
    return sum(tensor.numel() * tensor.element_size() for tensor in loaded.model.parameters())


def _trace_bytes(source: str, found: ModelTrace) -> int:
    """Count what a trace will hold when all its figures have been opened."""
    from models import registry
    from models.counting import accounting
    from models.sources import downloadable

    shape = accounting.shape_of(registry.read_config(source))
    return downloadable.trace_bytes(shape, tokens=len(found.tokens))
