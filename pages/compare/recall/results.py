"""Recorded and live accuracy of a task, and which of the two is on screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from models.recall import curriculum, evaluation, study
from models.recall.live import Key, LiveRun, LiveRuns
from models.records.recall import Accuracy
from pages.shared import journal
from viz.recall.maps import Layout, layout_of

TASKS = tuple(curriculum.TASKS)
PAGE = "recall"
BUNDLED_SEED = 0  # of the models in assets/checkpoints/micro
_LIVE = "contextscope.recall.live"  # task -> seed of the visitor's last live run
_LEFT = "contextscope.recall.left"  # the runs that the visitor has stopped

_LIVE_RUNS = LiveRuns()

Cells = Mapping[str, list[Accuracy]]


@dataclass(frozen=True, slots=True)
class Record:
    """The recorded results of a task. runs: (seed, cells) by architecture; about: the record in assets."""

    task: str
    layout: Layout
    runs: Mapping[str, list[tuple[int, list[Accuracy]]]]
    about: Mapping[str, Any]

    @property
    def bundled(self) -> Cells:
        """The cells of the models that are bundled, by architecture."""
        return {name: cells for name, every in self.runs.items() for seed, cells in every if seed == BUNDLED_SEED}


def live_runs() -> LiveRuns:
    """Return the live runs of this server, the same for all visitors; clearing Streamlit's caches leaves them alone."""
    return _LIVE_RUNS


@st.cache_resource(max_entries=len(TASKS), show_spinner=False)
def record(task: str) -> Record | None:
    """Read what is recorded of a task; None when nothing is."""
    about = study.recorded(task)
    if about is None:
        return None
    runs = {
        name: [(run["seed"], [Accuracy(**cell) for cell in run["cells"]]) for run in entry["runs"]]
        for name, entry in about["architectures"].items()
    }
    cells = [cell for every in runs.values() for _, found in every for cell in found]
    axes = about["axes"]
    layout = layout_of(cells, axes, guess=curriculum.task(task).guess, trained_to=about["trained_to"][axes[0]])
    return Record(task, layout, runs, about)


def live(task: str) -> LiveRun | None:
    """Return the visitor's live run of a task, under way or finished; None before the first."""
    seed = _seeds().get(task)
    return None if seed is None else live_runs().get(Key(task, seed))


def watched(task: str) -> bool:
    """Return whether the visitor's run of a task is active; after a stop, until its last cell."""
    run = live(task)
    return run is not None and run.running and (run.key not in _left() or run.stopping)


def stop(task: str) -> None:
    """Stop the visitor's run; others who asked for the same one go on watching it."""
    run = live(task)
    if run is not None and run.key not in _left():
        _left().add(run.key)
        live_runs().leave(run.key)
        journal.note("recall_stop", run=f"{task}-{run.key.seed}")


def start(task: str) -> None:
    """Measure a task on the sequences after those the visitor has measured: never the recorded ones."""
    seeds = _seeds()
    seeds[task] = seeds.get(task, evaluation.SEED) + 1
    live_runs().start(Key(task, seeds[task]))
    journal.note("recall_start", run=f"{task}-{seeds[task]}")


def _seeds() -> dict[str, int]:
    seeds: dict[str, int] = st.session_state.setdefault(_LIVE, {})
    return seeds


def _left() -> set[Key]:
    left: set[Key] = st.session_state.setdefault(_LEFT, set())
    return left
