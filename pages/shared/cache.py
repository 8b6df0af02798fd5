"""Every cache of the app: loaded models, traces, counts. Keys are small; every cache is bounded."""

import gc
import threading

import streamlit as st

from models.records import ModelTrace

CARRIED_DTYPE = "bfloat16"  # carried bytes are stated in 16 bit, as models are served

_running = threading.Semaphore(1)  # a forward pass uses every core; a second one at once would slow both


@st.cache_resource(max_entries=6, show_spinner=False, on_release=lambda _: gc.collect())
def checkpoint(name: str):  # type: ignore[no-untyped-def]  # models.spec.Checkpoint would bring torch into pages
    """Load a bundled model once for all visitors. Raises SourceError."""
    from models import registry

    return registry.load(name)


@st.cache_resource(max_entries=12, show_spinner=False, on_release=lambda _: gc.collect())
def trace_for(name: str, prompt: str) -> ModelTrace:
    """Run a bundled model over a prompt, once for all visitors; the arrays are read-only. Raises PromptError."""
    from models import registry

    loaded = checkpoint(name)
    with _running:
        return registry.trace(loaded, prompt)


def rehearse(name: str) -> None:
    """Run a bundled model once and forget it, so that what is compiled on first use is not in anybody's timings."""
    from models import registry

    registry.trace(checkpoint(name), name).derive()


@st.cache_data(max_entries=256, show_spinner=False)
def carried(name: str, tokens: int) -> int:
    """Count the bytes that a bundled model carries after that many tokens, in 16 bit."""
    from models import accounting, registry

    shape = accounting.shape_of(registry.read_config(name))
    return accounting.cache_bytes(shape, context=tokens, dtype=CARRIED_DTYPE)


@st.cache_data(max_entries=1, show_spinner=False)
def bundled() -> tuple[str, ...]:
    """List the bundled models that are present, in the order of the registry."""
    from models import registry

    return registry.bundled()


@st.cache_data(max_entries=1, show_spinner=False)
def training() -> dict[str, tuple[list[tuple[float, float]], dict[str, float]]]:
    """Return the training log and the validation bits per byte of every bundled model."""
    from models import registry

    return {name: (registry.training_log(name), registry.validation_bits(name)) for name in registry.bundled()}


@st.cache_data(max_entries=1, show_spinner=False)
def processor() -> tuple[str, int]:
    """Name where the models run, "GPU" by its name or "CPU", and count the cores."""
    from models.bench import environment

    return "CPU", environment.usable_cores()
