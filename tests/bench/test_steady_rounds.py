"""Which rounds count: the sentinel, the best of the machine, and how long a cell waited for cores."""

import dataclasses
import doctest
from pathlib import Path

import pytest
from scripted import Fed, checkpoint

from models.bench.measure import cell_run, cpu_share
from models.bench.measure.clock import Clock
from models.bench.measure.cpu_share import CpuShare, CpuTimes
from models.bench.plan.plan import Plan, Prediction
from models.bench.plan.prediction import MOST_ROUNDS
from models.bench.run import host, schedule, sentinel
from models.bench.run.job import Job
from models.bench.run.schedule import InterleavedSchedule
from models.bench.store import validation
from models.errors import SourceError
from models.machine import facts
from models.records.cell import Cell
from models.records.interval import Interval
from models.records.measurement import CPU_WAITED, PROTOCOL_VERSION, SENTINEL_SLOWER, Measurement
from pages.compare.benchmark import verdicts

TIMES = CpuTimes(ran=10, waited=5, busy=100, stolen=0)


# --- how much of the CPU time ------------------------------------------------------------------------------------
def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(cpu_share) == (0, 2)


@pytest.mark.parametrize(
    ("after", "waited", "others"),
    [
        (CpuTimes(110, 5, 200, 0), 0.0, 0.0),
        (CpuTimes(110, 105, 300, 0), 0.5, 1.0),
        (CpuTimes(110, 5, 200, 200), 0.5, 0.0),  # what a hypervisor takes of eight cores, of which four are ours
        (CpuTimes(110, 1, 150, 0), 0.0, 0.0),  # a thread that has ended took its counters along
    ],
)
def test_the_share_is_what_was_waited_for_of_what_was_asked_for(after, waited, others, monkeypatch) -> None:
    monkeypatch.setattr(facts, "usable_cores", lambda: 4)
    monkeypatch.setattr(cpu_share.os, "cpu_count", lambda: 8)
    assert cpu_share.between(TIMES, after) == CpuShare(pytest.approx(waited), pytest.approx(others))


def test_nothing_is_known_where_nothing_ran_or_the_system_does_not_count(monkeypatch, tmp_path: Path) -> None:
    assert cpu_share.between(TIMES, TIMES) is None
    assert cpu_share.between(TIMES, None) is None
    monkeypatch.setattr(cpu_share, "_TASKS", tmp_path)
    assert cpu_share.read() is None
    for text in ("", "one two three", "5"):
        (tmp_path / "1").mkdir(exist_ok=True)
        (tmp_path / "1" / "schedstat").write_text(text)
        assert cpu_share.read() is None


def test_the_counters_of_this_process_grow() -> None:
    before = cpu_share.read()
    if before is None:
        pytest.skip("this system does not count")
    sum(n * n for n in range(300_000))
    after = cpu_share.read()
    assert after is not None
    assert after.ran > before.ran
    assert after.busy >= before.busy
    assert after.waited >= before.waited


# --- which rounds are steady -------------------------------------------------------------------------------------
@pytest.fixture
def run(monkeypatch):
    """A cell whose sentinel and share are set by a test: run.readings, run.share."""
    made = cell_run.CellRun(Cell("transformer", "x", 23, decode_tokens=5), run_id="r", sentinel_best_ms=1.0)
    made.readings, made.share = iter(()), None
    monkeypatch.setattr(Clock, "sentinel", lambda _: next(made.readings))
    monkeypatch.setattr(cpu_share, "read", lambda: None)
    monkeypatch.setattr(cpu_share, "between", lambda *_: made.share)
    made.adapter, made.checkpoint = Fed(), checkpoint()
    made.clock = Clock(made.cell, made.adapter, made.checkpoint)
    return made


def test_a_round_that_waited_long_for_cores_is_not_steady(run) -> None:
    for waited, steady in ((None, True), (0.0, True), (0.9 * CPU_WAITED, True), (1.1 * CPU_WAITED, False)):
        run.readings, run.share = iter([1.0, 1.0]), None if waited is None else CpuShare(waited, 2.0)
        made = run._attempt()
        assert (made.steady, made.waited, made.others) == (steady, waited, None if waited is None else 2.0)


def test_a_round_far_from_the_best_of_the_machine_is_not_steady_though_its_sentinel_stands_still(run) -> None:
    far = 1 + SENTINEL_SLOWER["cpu"]
    for reading, steady in ((0.98 * far, True), (1.02 * far, False), (75.0, False)):
        run.readings = iter([reading, reading])
        assert run._attempt().steady is steady
    assert run.best == 1.0
    run.readings = iter([0.95, 0.9])
    assert run._attempt().steady
    assert run.best == 0.9


def test_a_machine_that_nothing_is_known_of_is_held_against_its_own_best(run) -> None:
    run.best = None
    run.readings = iter([4.0, 4.1, 2.0, 2.0, 4.0, 4.0])
    assert [run._attempt().steady for _ in range(3)] == [True, True, False]
    assert run.best == 2.0


def test_a_sentinel_that_moved_is_not_steady(run) -> None:
    run.readings = iter([1.0, 1.12])
    assert not run._attempt().steady


# --- what is asked of a worker -----------------------------------------------------------------------------------
class Asked:
    """Stands for a host: notes how cells are opened, and answers rounds that are as unsteady as it is told."""

    def __init__(self, steady) -> None:
        self.steady, self.opened, self.turns = iter(steady), [], 0
        self.seconds, self.reading = 1.0, None

    def roofline_peaks(self, *_, **__):
        return None

    def open(self, cell, **options):
        self.opened.append(options)
        return self

    def ask(self, message, *, until, **_):
        if message == "round":
            self.turns += 1
            said = {"event": until, "seconds": self.seconds, "attempts": 1, "relative": 0.5}
            return said | {"steady": next(self.steady), "sentinel_ms": self.reading}
        if message == "finish":
            return {"event": until, "row": row().to_row()}
        return {"event": until}

    def close(self):
        pass


def cell_and_guess(context=16):
    guess = Prediction(1, 1, 1, 1, prefill_ms=1.0, decode_ms=1.0, seconds=1.0, fits=True)
    return Cell("rwkv", "rwkv", context, decode_tokens=2, rounds=3), guess


def scheduled(steady, monkeypatch, *, kept=None, sentinel_best_ms=None):
    cell, guess = cell_and_guess()
    worker = Asked(steady)
    job = Job("r", Plan((cell,), (guess,), budget_s=None), None)
    monkeypatch.setattr(schedule, "_skip", lambda *_: None)
    keep = (lambda row, _: kept.append(row)) if kept is not None else lambda *_: None
    return InterleavedSchedule(job, worker, note=lambda **_: None, keep=keep, sentinel_best_ms=sentinel_best_ms), worker


@pytest.mark.parametrize(
    ("steady", "seconds", "turns"),
    [
        ([True] * 9, 1.0, 3),
        ([True, False, True, False, True], 1.0, 5),
        ([False] * 99, 1.0, 3 * MOST_ROUNDS),
        ([False] * 99, schedule.EXTRA_S, 3),  # a long cell has no time for more
        ([True, False] * 9, schedule.EXTRA_S / 2.5, 3),
    ],
)
def test_a_cell_has_its_rounds_when_enough_were_steady(steady, seconds, turns, monkeypatch) -> None:
    kept: list[Measurement] = []
    made, worker = scheduled(steady, monkeypatch, kept=kept)
    worker.seconds = seconds
    made.measure([cell_and_guess()])
    assert worker.turns == turns
    assert len(kept) == 1


def test_threads_of_workers_sleep_while_they_wait_unless_the_operator_says_so(monkeypatch) -> None:
    seen = []

    class Process:
        stdout, pid = (), 0

        def __init__(self, *_, env, **__):
            seen.append(env.get("OMP_WAIT_POLICY"))

        def wait(self):
            return 0

        def poll(self):
            return 0

    monkeypatch.setattr(host.subprocess, "Popen", Process)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    host._Server(("x",), 2)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    host._Server(("x",), 2)
    assert seen == ["PASSIVE", "ACTIVE"]


# --- the best of this machine ------------------------------------------------------------------------------------
def row(**facts_) -> Measurement:
    known = {"run_id": "r", "cell_id": "c", "state": "ok", "architecture": "rwkv", "source": "rwkv", "context": 16,
             "batch": 1, "device": "cpu", "dtype": "float32", "decode_tokens": 2, "seed": 0,
             "environment": {"host_cpu": "mine", "torch": "2"}, "sentinel_best_ms": 0.8}  # fmt: skip
    return Measurement(**(known | facts_))


def test_the_least_reading_of_a_run_is_passed_on_to_its_later_cells(monkeypatch) -> None:
    made, worker = scheduled([True] * 6, monkeypatch, sentinel_best_ms=0.7)
    worker.reading = 0.5
    made.measure([cell_and_guess(16)])
    made.measure([cell_and_guess(32)])
    assert [one["sentinel_best_ms"] for one in worker.opened] == [0.7, 0.5]


def test_the_best_is_that_of_this_machine_alone(monkeypatch) -> None:
    monkeypatch.setattr(facts, "environment", lambda: {"host_cpu": "mine", "torch": "2"})
    monkeypatch.setattr(facts, "device_name", lambda device: "a card")
    others = [
        row(sentinel_best_ms=0.1, environment={"host_cpu": "yours", "torch": "2"}),
        row(sentinel_best_ms=0.1, environment={"host_cpu": "mine", "torch": "1"}),
        row(sentinel_best_ms=0.1, protocol_version=PROTOCOL_VERSION - 1),
        row(sentinel_best_ms=0.2, device="cuda:0", environment={"host_cpu": "mine", "torch": "2", "device_name": "no"}),
        row(sentinel_best_ms=0.3, device="cuda:0",
            environment={"host_cpu": "mine", "torch": "2", "device_name": "a card"}),
        row(sentinel_best_ms=None), row(sentinel_best_ms=0.0),
    ]  # fmt: skip
    assert sentinel.best_known(others, "cpu") is None
    assert sentinel.best_known([*others, row(), row(sentinel_best_ms=0.7)], "cpu") == 0.7
    assert sentinel.best_known(others, "cuda:0") == 0.3


# --- rows without a steady round ---------------------------------------------------------------------------------
def flat(**facts_) -> dict[str, object]:
    return row(**facts_).to_row()


def test_a_row_without_a_steady_round_opens_and_one_that_says_so_with_times_does_not() -> None:
    opened = validation._row("file", 1, flat(state="unstable", rounds=0, rounds_unsteady=3, cache_bytes=64))
    assert (opened.measured, opened.timed, opened.cache_bytes) == (True, False, 64)
    for bad in (
        {"state": "unstable", "rounds": 0, "decode_ms_samples": (1.0, 2.0)},
        {"state": "unstable", "rounds": 0, "prefill_ms_samples": (1.0,)},
        {"state": "unstable", "rounds": 0, "tpot_ms_med": 1.0},
        {"state": "unstable", "rounds": 0, "mbu": 0.5},
        {"state": "ok", "rounds": 0},
        {"state": "unstable", "rounds": 1},
    ):
        with pytest.raises(SourceError):
            validation._row("file", 1, flat(**bad))


def test_times_are_not_lost_when_a_cell_is_measured_again_on_a_busy_machine() -> None:
    from models.bench.run import remeasure
    from models.cli.bench_report import whole
    from models.records.run import Run

    good = row(rounds=1, prefill_ms_samples=(1.0,), decode_ms_samples=(1.0, 2.0))
    untimed, lost = row(state="unstable", rounds=0), row(state="failed")
    for rows, shown in (
        ([good, untimed], good), ([untimed, good], good), ([lost, untimed], untimed), ([untimed, lost], untimed),
        ([good, lost, untimed], good), ([good, good], good),
    ):  # fmt: skip
        assert Run("r", "", 1, (), {}, tuple(rows)).current == (shown,)
    cell = dataclasses.asdict(Cell("rwkv", "rwkv", 16, decode_tokens=2))
    named = [dataclasses.replace(one, cell_id=Cell(**cell).cell_id) for one in (untimed, good)]
    for one, again in zip(named, ((named[0].cell_id,), ()), strict=True):
        run = Run("r", "", 1, (cell,), {}, (one,))
        assert remeasure.unfinished_cells(run) == again
        assert whole(run) is (again == ())


def test_rounds_of_different_turns_are_not_paired() -> None:
    from models.bench.judge.comparison import of_same_turns
    from models.bench.judge.statistics import verdict

    drifting = [[1.0], [2.0], [4.0], [8.0]]
    slower = [[1.5], [3.0], [6.0], [12.0]]
    assert verdict(drifting, slower).kind == "faster"
    assert verdict(drifting, slower, paired=False).kind == "indistinguishable"
    assert of_same_turns(row(rounds_unsteady=0), row())
    assert not of_same_turns(row(rounds_unsteady=1), row())


def test_no_verdict_is_passed_on_a_cell_without_times() -> None:
    from models.bench.judge.comparison import compare
    from models.bench.judge.verdicts import judged
    from models.records.run import Run

    times = {"rounds": 3, "prefill_ms_samples": (9.0, 9.1, 9.2), "decode_ms_samples": (2.0, 2.1, 2.0, 2.1, 2.0, 2.1)}
    short = [row(context=16, **times), row(context=16, architecture="mamba", cell_id="m", **times)]
    untimed = row(context=64, state="unstable", rounds=0, cell_id="u")
    long = [untimed, row(context=64, architecture="mamba", cell_id="n", **times)]
    assert {one.a.context for one in judged([*short, *long])} == {16}
    run = Run("a", "", 1, (), {}, (untimed,))
    other = Run("b", "", 1, (), {}, (dataclasses.replace(untimed, state="ok", **times),))
    found = compare(run, other)
    assert found.pairs == ()
    assert [one.reason for one in found.refused] == ["state"]


@pytest.mark.parametrize("gap", [None, "rwkv", "mamba"])
def test_growth_is_paired_only_where_no_round_was_left_out(measurement, monkeypatch, gap):
    """The fifth of five rounds and the fourth of four were not made in the same turn."""
    asked = []
    found = Interval(1.0, 0.9, 1.1)
    monkeypatch.setattr(verdicts, "compare_exponents", lambda a, b, *, paired: asked.append(paired) or found)
    rows = [
        measurement("r", context, architecture=name, prefill_ms_samples=(context**power,) * 3,
                    rounds_unsteady=int(name == gap and context == 256))
        for name, power in (("mamba", 1.0), ("rwkv", 2.0))
        for context in (128, 256, 512)
    ]  # fmt: skip
    verdicts.growth_line(tuple(rows))
    assert asked == [gap is None]
