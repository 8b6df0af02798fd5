"""Draw what stands around the figures of the Mamba page, without Streamlit."""

from collections.abc import Callable

import pytest
from stage import Stage

from pages.shared import (
    cache,
    continuing,
    controls,
    figure,
    figure_menu,
    implementation,
    layout,
    next_word,
    panel,
    parts,
    prompt,
    reading_bar,
)
from viz.gallery import samples

Say = Callable[..., str]
MODULES = (
    continuing,
    controls,
    figure,
    figure_menu,
    implementation,
    layout,
    next_word,
    panel,
    parts,
    prompt,
    reading_bar,
)
TRACES = samples.traces()


def stage_of(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw parts of the Mamba page without Streamlit."""
    made = Stage().on(monkeypatch, *MODULES)
    made.session_state["contextscope.page"] = "mamba"
    monkeypatch.setattr(
        cache, "architectures", lambda: {name: name for name in ("transformer", "mamba", "rwkv", "jamba")}
    )
    monkeypatch.setattr(cache, "bundled", lambda: ("transformer", "mamba", "rwkv", "jamba"))
    return made
