"""Recorded and live accuracy of a task, and which of the two is on screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from models.recall import curriculum, evaluation, study
from models.recall.live import FAR_QUERIES, QUERIES, Key, LiveRun, LiveRuns
from models.records.recall import Accuracy
from pages.shared import journal
from viz.recall.maps import Layout, layout_of

TASKS = tuple(curriculum.TASKS)
PAGE = "recall"
BUNDLED_SEED = 0  # of the models in assets/checkpoints/micro
_LIVE = "contextscope.recall.live"  # (task, far) -> seed of the visitor's last live run
_LEFT = "contextscope.recall.left"  # the runs that the visitor has stopped

_LIVE_RUNS = LiveRuns()

Cells = Mapping[str, list[Accuracy]]
About = Mapping[str, Any]  # a record in assets as it was read


@dataclass(frozen=True, slots=True)
class Record:
    """The recorded results of a task. runs: (seed, cells) by architecture; about: the record in assets."""

    task: str
    layout: Layout
    runs: Mapping[str, list[tuple[int, list[Accuracy]]]]
    about: About

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


@st.cache_resource(max_entries=len(TASKS), show_spinner=False)
def far_record(task: str) -> tuple[Cells, About] | None:
    """Read what is recorded of the far cells of a task, and the record in assets; None when nothing is."""
    about = study.recorded_far(task)
    if about is None:
        return None
    return {name: [Accuracy(**cell) for cell in cells] for name, cells in about["architectures"].items()}, about


def live(task: str, *, far: bool = False) -> LiveRun | None:
    """Return the visitor's live run of a task, under way or finished; None before the first."""
    seed = _seeds().get((task, far))
    return None if seed is None else live_runs().get(_key(task, seed, far=far))


def watched(task: str, *, far: bool = False) -> bool:
    """Return whether the visitor's run of a task is active; after a stop, until its last cell."""
    run = live(task, far=far)
    return run is not None and run.running and (run.key not in _left() or run.stopping)


def stop(task: str, *, far: bool = False) -> None:
    """Stop the visitor's run; others who asked for the same one go on watching it."""
    run = live(task, far=far)
    if run is not None and run.key not in _left():
        _left().add(run.key)
        live_runs().leave(run.key)
        journal.note("recall_stop", run=f"{task}-{run.key.seed}")


def start(task: str, *, far: bool = False) -> None:
    """Measure a task on the sequences after those the visitor has measured: never the recorded ones."""
    seeds = _seeds()
    seeds[task, far] = seeds.get((task, far), evaluation.SEED) + 1
    live_runs().start(_key(task, seeds[task, far], far=far))
    journal.note("recall_start", run=f"{task}-{seeds[task, far]}")


def _key(task: str, seed: int, *, far: bool) -> Key:
    return Key(task, seed, FAR_QUERIES if far else QUERIES, far)


def _seeds() -> dict[tuple[str, bool], int]:
    seeds: dict[tuple[str, bool], int] = st.session_state.setdefault(_LIVE, {})
    return seeds


def _left() -> set[Key]:
    left: set[Key] = st.session_state.setdefault(_LEFT, set())
    return left
