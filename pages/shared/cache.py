"""All caches of the app: loaded models, traces, counts. Keys are small; sizes are bounded, large ones by bytes.

Any visitor can clear Streamlit's caches (the message clear_cache of the websocket). Objects that are expensive, or that
cannot be made again, are therefore stored in this module.
"""

import hashlib
import logging
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st

from models.errors import ContextscopeError, SettingError, SourceError
from models.reconstruction import Check
from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import ModelTrace
from models.switches.value import NONE, Switches
from pages.shared import gate
from pages.shared.lru_cache import LruCache
from pages.shared.words import units
from viz import proof
from viz.figure import Figure

if TYPE_CHECKING:
    from models.records.steps import StepRun
    from models.sources.gguf_file import Quantisation
    from models.switches.context import Means
    from models.tracing.adapter import WithoutWeights
    from models.tracing.fitting import Fit

T = TypeVar("T")

CACHE_DTYPE = "bfloat16"  # carried bytes are stated in 16 bit, as models are served
SHARE = 4  # loaded models may take a quarter of this machine's memory, recorded traces another
WAIT_POLICY = "OMP_WAIT_POLICY"
LEAST_BYTES = 2**30  # of each, also on a small machine
REMEMBERED_FOLDERS = 64
REMEMBERED_CHECKS = 256
REMEMBERED_FITS = 64  # texts, cut to what a model reads
REMEMBERED_TOKENIZERS = 16  # each with its configuration; up to some tens of megabytes

_log = logging.getLogger(__name__)
_FITS: "LruCache[Fit]" = LruCache(REMEMBERED_FITS)  # each weighs one
_TOKENIZERS: "LruCache[WithoutWeights]" = LruCache(REMEMBERED_TOKENIZERS)
_checking = threading.Lock()
_lru_caches: dict[str, LruCache] = {}  # type: ignore[type-arg]
_folders: dict[str, tuple[str, str]] = {}
_making = threading.Lock()
_running = threading.Semaphore(1)  # one forward pass at a time: two would compete for the cores


def checkpoint(source: str):  # type: ignore[no-untyped-def]  # models.tracing.adapter.Checkpoint imports torch
    """Load a bundled name, a downloaded hub id or a folder once for all visitors; nothing is downloaded.

    Raises SourceError for what is not here or cannot be loaded, SettingError when it does not fit into memory.
    """
    from models import registry

    return _waited(loaded_models(), (source, registry.modified_at(source)), lambda: _loaded(source), _weight_bytes)


def tokenizer(source: str) -> "WithoutWeights":
    """Read the tokenizer and the configuration of a model once for all visitors; no weights, and no download.

    Raises SourceError for what is not here or has no configuration of ours.
    """
    from models import registry

    return _waited(_TOKENIZERS, (source, registry.modified_at(source)), lambda: _tokenizer_of(source), lambda _: 1)


def trace_for(source: str, prompt: str, *, switches: Switches = NONE, means: "Means | None" = None) -> ModelTrace:
    """Run a model over a prompt, once for all visitors; the arrays are read-only. Raises PromptError.

    switches: what is off in the run; means: of this model, which some of them need (pages.shared.ablation).
    """
    from models import registry

    key = (source, registry.modified_at(source), prompt, switches)

    def run() -> ModelTrace:
        from models.switches import context

        with context.use(switches, means=means):
            return _traced(source, prompt)

    return _waited(recorded_traces(), key, run, lambda found: _trace_bytes(source, found))


def read_in_steps(trace: ModelTrace) -> "StepRun":
    """Read the text of a trace again, in one pass and token by token, both timed while no other model runs here."""
    from models import registry

    loaded = checkpoint(trace.checkpoint)
    with gate.released(), _running:
        return registry.token_by_token(loaded, trace)


def repeated_for(source: str) -> ModelTrace:
    """Run a model over random tokens written twice, once for all visitors."""
    from models import registry

    key = (source, registry.modified_at(source), None)  # no prompt
    return _waited(recorded_traces(), key, lambda: _repeated(source), lambda found: _trace_bytes(source, found))


def traced_apart(source: str, prompt: str) -> ModelTrace:
    """Run a model over a prompt and keep nothing of it here, for those that need a small part of many traces."""
    with gate.released():
        return _traced(source, prompt)


def at_once(source: str, prompt: str) -> bool:
    """Return whether trace_for takes little time: it is held, or a bundled model is loaded and need not queue."""
    from models import registry

    stamp = registry.modified_at(source)
    if recorded_traces().held((source, stamp, prompt, NONE)) is not None:
        return True
    if source not in bundled() or loaded_models().held((source, stamp)) is None:
        return False
    free = _running.acquire(blocking=False)
    if free:
        _running.release()
    return free


def fitted(source: str, prompt: str) -> "Fit":
    """Return as much of a prompt as a model reads; its text is one that trace_for can run, or is refused there."""
    from models import registry

    key = (source, registry.modified_at(source), prompt)
    return _waited(_FITS, key, lambda: registry.fitted(tokenizer(source), prompt), lambda _: 1)


def fitted_here(code: str, prompt: str) -> "Fit | None":
    """Return the same for a model as an address names it, where its tokenizer is held; None where it is not."""
    from models import registry

    typed = typed_folders().get(code)
    source = typed[1] if typed else code
    stamps = [key for key in _TOKENIZERS.keys() if isinstance(key, tuple) and key[0] == source]  # noqa: SIM118 - no dict
    known = _TOKENIZERS.held(stamps[-1]) if stamps else None
    return None if known is None else registry.fitted(known, prompt)


def waited(lru: LruCache[T], key: Hashable, make: Callable[[], T]) -> T:
    """Return an entry of a cache of small things; while it is made, other scripts compute."""
    return _waited(lru, key, make, lambda _: 1)


def turn() -> threading.Semaphore:
    """Return what is held during a forward pass, so that there is one at a time."""
    return _running


def serve() -> None:
    """Set the threads of this process for a server (see models.machine.threads) and import torch with passive waiting.

    OpenMP reads its policy once, when it is loaded. The variable is then removed again, so that the workers of the
    benchmark, which inherit the environment, are not affected. A policy that the operator set stays.
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
    """Run a model once without caching the trace, to compile its operators before the first visitor."""
    from models import registry

    registry.trace(checkpoint(source), source).derive()


def loaded_models() -> LruCache:  # type: ignore[type-arg]
    """Return the cache of loaded models, shared by all sessions."""
    return _lru_cache("models")


def recorded_traces() -> LruCache[ModelTrace]:
    """Return the cache of traces, shared by all sessions."""
    return _lru_cache("traces")


def budget_bytes() -> int:
    """Return the limit in bytes of cached models, and equally of cached traces."""
    from models.machine import facts

    return max(LEAST_BYTES, (facts.total_memory() or 0) // SHARE)


def typed_folders() -> dict[str, tuple[str, str]]:
    """Return the folders that were typed on this server since it started: code -> (architecture, path)."""
    return _folders


def remember_folder(code: str, architecture: str, path: str) -> None:
    """Store a typed folder; the oldest is dropped above the limit."""
    known = typed_folders()
    known[code] = (architecture, path)
    while len(known) > REMEMBERED_FOLDERS:
        del known[next(iter(known))]


def check_of(figure: Figure, trace: Any, choice: Mapping[str, object]) -> Check | None:
    """Check what a figure draws of a trace, or of several; the verdict on the same picture is kept.

    choice: what was handed to the figure function. None for a figure that draws nothing of a run.
    """
    traces = [trace] if isinstance(trace, ModelTrace | EncoderDecoderRun) else trace
    if not isinstance(traces, list) or not all(isinstance(one, ModelTrace | EncoderDecoderRun) for one in traces):
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
def checked_pictures() -> dict[tuple[object, ...], tuple[list[weakref.ref[Any]], Check | None]]:
    """Return the verdicts on pictures that were checked, the latest last, with the traces they are about."""
    return {}


def _print_of(figure: Figure) -> bytes:
    """Return a digest of everything that a figure draws and exports."""
    found = hashlib.blake2b(figure.id.encode(), digest_size=16)
    found.update(figure.body.payload())
    for name, array in figure.data.items():
        found.update(name.encode() + np.ascontiguousarray(array.values).tobytes())
    return found.digest()


def cache_bytes(source: str, tokens: int) -> int:
    """Count the bytes that a model carries after that many tokens, in 16 bit."""
    return _carried(source, _stamp(source), tokens)


def cache_bytes_until(source: str, tokens: int) -> tuple[int, ...]:
    """Count the bytes that a model carries after 1, 2, ... and that many tokens, in 16 bit."""
    return _carried_until(source, _stamp(source), tokens)


def parameters(source: str) -> int:
    """Count the parameters of a model from its configuration."""
    return _parameters(source, _stamp(source))[0]


def active_parameters(source: str) -> int:
    """Count the parameters that one token uses."""
    return _parameters(source, _stamp(source))[1]


def _stamp(source: str) -> Any:
    """Return when the files of a folder changed last: part of the key of everything that is read from them.

    Bundled models come with the program and stay as they are while it runs: their files are not looked at.
    """
    from models import registry

    return 0.0 if source in bundled() else registry.modified_at(source)


@st.cache_data(max_entries=256, show_spinner=False)
def _carried(source: str, stamp: Any, tokens: int) -> int:  # noqa: ARG001  # the stamp is part of the key
    from models import registry
    from models.counting import accounting

    shape = accounting.shape_of(registry.read_config(source))
    return accounting.cache_bytes(shape, context=tokens, dtype=CACHE_DTYPE)


@st.cache_data(max_entries=64, show_spinner=False)
def _carried_until(source: str, stamp: Any, tokens: int) -> tuple[int, ...]:  # noqa: ARG001  # the stamp is part of the key
    from models import registry
    from models.counting import accounting

    shape = accounting.shape_of(registry.read_config(source))
    return tuple(accounting.cache_bytes(shape, context=n, dtype=CACHE_DTYPE) for n in range(1, tokens + 1))


@st.cache_data(max_entries=64, show_spinner=False)
def _parameters(source: str, stamp: Any) -> tuple[int, int]:  # noqa: ARG001  # the stamp is part of the key
    from models import registry
    from models.counting import accounting

    shape = accounting.shape_of(registry.read_config(source))
    return accounting.params_total(shape), accounting.params_active(shape)


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


def structure(source: str) -> dict[str, Any]:
    """Return what a model's card measured of its structure on held-out text; empty where it has no such card."""
    return _structure(source, _stamp(source))


def quantisation(source: str) -> "Quantisation | None":
    """Return how the weights of a GGUF file are stored; None for any other model."""
    return _quantisation(source, _stamp(source))


@st.cache_data(max_entries=16, show_spinner=False)
def _quantisation(source: str, stamp: Any) -> "Quantisation | None":  # noqa: ARG001  # the stamp is part of the key
    from models import registry

    return registry.quantisation(source)


@st.cache_data(max_entries=16, show_spinner=False)
def _structure(source: str, stamp: Any) -> dict[str, Any]:  # noqa: ARG001  # the stamp is part of the key
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


def _waited(lru: LruCache[T], key: Hashable, make: Callable[[], T], weigh: Callable[[T], int]) -> T:
    """Return an entry of a cache; while it is made, by this script or another, other scripts compute."""
    held = lru.held(key)
    if held is not None:
        return held
    with gate.released():
        return lru.get(key, make, weigh)


def _lru_cache(name: str) -> LruCache:  # type: ignore[type-arg]
    with _making:
        return _lru_caches.get(name) or _lru_caches.setdefault(name, LruCache(budget_bytes()))


def _loaded(source: str):  # type: ignore[no-untyped-def]
    from models import registry

    if source not in bundled():
        _check_here(source)
        _check_memory(source)
    return registry.load(source, device=registry.preferred_device(), known=tokenizer(source))


def _tokenizer_of(source: str) -> "WithoutWeights":
    from models import registry

    if source not in bundled():
        _check_here(source)
    return registry.without_weights(source)


def _check_here(source: str) -> None:
    """Refuse to go to a network: what is neither a folder nor downloaded is not loaded."""
    from models import registry

    if not registry.is_here(source):
        raise SourceError(
            "errors.not_downloaded", f"{source!r} is not on this machine yet: download it first", source=source
        )


def _check_memory(source: str) -> None:
    """Free memory for a model; raises SettingError if the machine has too little."""
    from models import registry
    from models.machine import facts

    need = registry.need_bytes(source)
    loaded_models().make_room(registry.weight_bytes(source))
    free = facts.free_memory()
    if free is not None and need > free:
        message = f"{source!r} takes about {need} bytes of memory, {free} are free: take a smaller one"
        raise SettingError("errors.memory_short", message, source=source, need=units.size(need), free=units.size(free))


def _traced(source: str, prompt: str) -> ModelTrace:
    from models import registry

    loaded = checkpoint(source)
    return _run(source, loaded, registry.encode(loaded, prompt))  # before its turn: a slow tokenizer holds up nobody


def _repeated(source: str) -> ModelTrace:
    from models import registry

    loaded = checkpoint(source)
    return _run(source, loaded, registry.repeated(loaded))


def _run(source: str, loaded: Any, encoded: Any) -> ModelTrace:
    """Run a loaded model over encoded tokens when it is its turn."""
    from models import registry

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
    """Return the bytes of a trace when all its figures have been opened."""
    from models import registry
    from models.counting import accounting
    from models.sources import downloadable

    shape = accounting.shape_of(registry.read_config(source))
    return downloadable.trace_bytes(shape, tokens=len(found.tokens))
