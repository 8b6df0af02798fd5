"""Put the stages of a recording together: tests, kernels, one standard run per size, and what is written of them."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from models.bench.record import needs, operators, readme, standard, suite
from models.bench.record.stages import Ending, Say, Stage, Turn, drive
from models.bench.record.state import RecordingState, opened, write_whole
from models.bench.run.lease import Lease
from models.bench.run.runner import LEASE_POLL_S, Runner
from models.bench.store.store import Store
from models.machine import facts
from models.machine.gpus import of as gpu_of
from models.machine.paths import ROOT, data_folder
from models.records.cell import kind_of
from models.records.run import Run

TESTS, KERNELS, TUNING = "tests", "kernels", "tuning"
README = Path("kernels") / "README.md"
RUNS = Path("assets") / "runs"
MEASURED_BY = ("kernels/seqops", "models/operators", "models/opbench", "models/bench/measure")  # what times depend on
VERSIONS = ("torch", "triton", "transformers", "numpy", "numba", "mamba-ssm", "causal-conv1d")


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording on one device: its settings, its state, and the folder that holds assets and kernels."""

    device: str
    out: Path
    state: RecordingState
    asked: standard.Standard
    store: Store
    tests: tuple[Path, ...]
    rows: tuple[str, ...] = ()  # of the kernels; empty: all

    def run(self, *, budget_s: float, say: Say) -> tuple[str, ...]:
        """Run what has not ended, and write after every stage what is recorded; returns what no time was left for."""
        if self.state.said:
            say(self.state.said)
        runner = Runner(self.store, lease=Lease.of)
        try:
            return drive(self.stages(runner), self.state, budget_s=budget_s, say=say)
        finally:
            runner.close()
            self.write_readme()

    def stages(self, runner: Runner) -> tuple[Stage, ...]:
        """Return the stages in their order; the shares are minutes of half an hour."""
        folder = self.out / RUNS
        recorder = standard.Recorder(self.device, self.asked, store=self.store, runner=runner, folder=folder)
        runs = [
            Stage(size, share, 20.0, partial(self._published, partial(recorder.run, size=size)))
            for size, share in self.asked.shares.items()
        ]
        rehearsal = kind_of(self.device) == "cpu"
        logs = self.state.path.parent / self.state.path.stem
        tests = partial(suite.run, files=self.tests, logs=logs, device=self.device)
        compared = operators.KernelCommand(
            "bench-kernels", self.device, logs, ("--quick",) if rehearsal else (), self.rows
        )
        tried = operators.KernelCommand("tune-kernels", self.device, logs)
        rows, tables = (partial(operators.run, command=command) for command in (compared, tried))
        return (
            Stage(TESTS, 4, 10.0, partial(self._alone, tests)),
            Stage(KERNELS, 2, 10.0, partial(self._published, partial(self._alone, rows))),
            *runs,
            *([] if rehearsal else [Stage(TUNING, 2, 30.0, partial(self._published, partial(self._alone, tables)))]),
        )

    def runs(self) -> dict[str, Run]:
        """Return the runs that are written so far, by the path of their file in the project."""
        found = {}
        for size in self.asked.shares:
            path = RUNS / standard.file_name(self.device, size)
            run = self.store.run(self._kept(size).get("run_id", ""))
            if run is not None and (self.out / path).is_file():
                found[path.as_posix()] = run
        return found

    def written(self) -> tuple[str, ...]:
        """Return the paths of all files that were written, as they are in the project."""
        runs = tuple(self.runs())
        return (*runs, README.as_posix()) if runs or self._rows(KERNELS) or self._rows(TUNING) else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the stages in their order."""
        return (TESTS, KERNELS, *self.asked.shares, *([] if kind_of(self.device) == "cpu" else [TUNING]))

    def write_readme(self) -> None:
        """Write the block of this GPU into kernels/README.md, once there is something to write."""
        rows, tables, runs = self._rows(KERNELS), self._rows(TUNING), self.runs()
        if not rows and not tables and not runs:
            return
        path = self.out / README
        before = (path if path.is_file() else ROOT / README).read_text(encoding="utf-8")
        lines = readme.block(self.state.identity, rows, tables, runs, day=time.strftime("%Y-%m-%d"))
        write_whole(path, readme.with_block(before, readme.key(self.state.identity), lines).encode())

    def _kept(self, name: str) -> Mapping[str, Any]:
        """Return what a stage keeps, without beginning one."""
        one = self.state.stages.get(name)
        return {} if one is None else one.kept

    def _rows(self, name: str) -> list[dict[str, Any]]:
        return list(self._kept(name).get("rows", []))

    def _published(self, work: Callable[[Turn], Ending], turn: Turn) -> Ending:
        try:
            return work(turn)
        finally:
            self.write_readme()

    def _alone(self, work: Callable[[Turn], Ending], turn: Turn) -> Ending:
        """Work while nobody else measures on the device; wait for its end for half of the stage's time."""
        lease = Lease.of(self.device)
        while not lease.taken():
            if turn.left_s < turn.allowed_s / 2:
                return Ending(False, (f"another program measures on {self.device}: wait for its end",))
            time.sleep(LEASE_POLL_S)
        try:
            return work(turn)
        finally:
            lease.give_back()


def recording(device: str, *, out: Path | None = None, fresh: bool = False, retry: bool = False) -> Recording:
    """Go on with the recording of a device, or begin one.

    out: in the place of the project's folder, where a GPU is recorded; a CPU is only a rehearsal, in the data folder.
    fresh: forget what was recorded before. retry: do once more what ended with problems.
    """
    rehearsal = kind_of(device) == "cpu"
    path = data_folder() / f"recording-{re.sub(r'[^a-z0-9]', '', device)}.json"
    state = opened(path, identity(device))
    if fresh:
        state.stages.clear()
    if retry:
        reopen(state)
    place = out or (path.with_suffix("") / "project" if rehearsal else ROOT)
    asked = standard.REHEARSAL if rehearsal else standard.ON_GPU
    rows = ("wkv", "scan-step") if rehearsal else ()
    return Recording(device, place, state, asked, Store(), suite.files_marked(), rows)


def reopen(state: RecordingState) -> None:
    """Let every stage with problems be done once more, in new time: tests and kernels anew, of a run what failed."""
    for name, one in state.stages.items():
        if one.problems and one.ended:
            one.ended, one.spent_s = False, 0.0
            if name in (TESTS, KERNELS, TUNING):
                one.kept.clear()
            else:
                one.kept["again"] = True


def identity(device: str) -> dict[str, Any]:
    """Describe what a recording is valid for: processor, GPU, versions, commit and the code that measures."""
    here, gpu = facts.environment(), gpu_of(device)
    return {
        "device_name": facts.device_name(device),
        "device_uuid": None if gpu is None else gpu.uuid,
        **{name: here[name] for name in ("host_cpu", "cores", "python", "commit")},
        **{name: needs.version_of(name) for name in VERSIONS},
        "code": code_digest(),
    }


def code_digest(root: Path = ROOT) -> str:
    """Hash the code that times depend on: a copy without git, or with changes that are not committed, has no commit."""
    found = hashlib.sha256()
    for path in sorted(path for folder in MEASURED_BY for path in (root / folder).rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]
