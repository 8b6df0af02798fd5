"""The plan of the next run, the line before it, and what is offered where it is too large or too long.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from benchmark_records import Say, planned, planner_of, prediction, progress, stage_of
from stage import Stage, bare

from models.bench.plan.plan import Plan
from models.bench.run import runner
from models.bench.run.job import Progress
from models.records.cell import Cell
from models.sources import sizes
from pages.compare.benchmark import planning, settings
from pages.shared.words import units

GIB = 2**30


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


@pytest.fixture
def planner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Have a machine with a processor and two GPUs, and every choice at its default, in a visit that has begun."""
    stage.session_state["benchmark.begun"] = True
    return planner_of(stage, monkeypatch)


class Machine(SimpleNamespace):
    """In place of the runner: nothing runs, and the rates are those of now."""

    def __init__(self, **more: Any) -> None:
        known = {"now": {}, "waits": 0, "speed": "rates", "submitted": []}
        super().__init__(**(known | more))

    def rates(self) -> str:
        return self.speed

    def waiting(self, _device: str) -> int:
        return self.waits

    def progress(self, run_id: str) -> Progress | None:
        return self.now.get(run_id)

    def submit(self, plan: Plan) -> str:
        self.submitted.append(plan)
        return "r9"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(runner, "shared", lambda: found)
    return found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note what each plan is made of. Each has one cell more than the one before, so that no two are alike."""
    found: list[dict[str, Any]] = []

    def make(sources: Any, contexts: Any, **options: Any) -> Plan:
        found.append({"sources": sources, "contexts": contexts} | options)
        return planned(*(("mamba", 64 * (n + 1)) for n in range(len(found))))

    monkeypatch.setattr(planning, "make_plan", make)
    return found


# --- the plan of a visit -----------------------------------------------------------------------------------------
def test_a_plan_is_made_of_the_choices_or_asks_for_some(say: Say, planner: Stage, machine: Machine, made) -> None:
    state = planner.session_state
    state.update({"benchmark.device": "cuda:1", "benchmark.size": "130m", "benchmark.architectures": ["rwkv", "mamba"],
                  "benchmark.match": "total", "benchmark.dtype": "bfloat16", "benchmark.seed": 5})  # fmt: skip
    plan = planning.section(shown="", begun=bool)
    assert plan is not None and len(plan.cells) == 1
    (asked,) = made
    assert asked == {
        "sources": sizes.sources("130m", ["mamba", "rwkv"], match="total"),
        "contexts": (256, 512, 1024, 2048, 4096, 8192),
        "device": "cuda:1", "size": "130m", "batches": [1], "budget_s": 90, "rounds": 5, "decode_tokens": 24, "seed": 5,
        "dtype": "bfloat16", "view": "architecture", "kernels": "fast", "attention": "auto", "experts": "auto",
        "throughput": False, "rates": "rates",
    }  # fmt: skip
    for name in ("architectures", "contexts", "batches"):
        planner.clear()
        kept, state[f"benchmark.{name}"] = state[f"benchmark.{name}"], []
        assert planning.section(shown="", begun=bool) is None
        (line,) = planner.said("expander")
        assert line == say("benchmark.plan.empty")
        assert planner.keyed("benchmark.run").options["disabled"] is True
        state[f"benchmark.{name}"] = kept
    assert len(made) == 1


def test_the_plan_of_a_visit_stays_while_speed_and_memory_change_until_it_is_made_anew(
    planner: Stage, machine: Machine, made
) -> None:
    first = planning.section(shown="", begun=bool)
    machine.speed = "other rates"
    assert planning.section(shown="", begun=bool) is first and len(made) == 1
    planner.pressed = {"benchmark.plan_again"}
    assert planning.section(shown="", begun=bool) is first, "the button stands below the plan of this run of the page"
    planner.pressed = set()
    again = planning.section(shown="", begun=bool)
    assert again is not first and [one["rates"] for one in made] == ["rates", "other rates"]


@pytest.mark.parametrize(
    ("name", "other"),
    [("architectures", ["mamba"]), ("size", "130m"), ("device", "cpu"), ("contexts", [256]), ("batches", [4]),
     ("budget_s", 91), ("rounds", 6), ("decode_tokens", 32), ("seed", 1), ("throughput", True), ("dtype", "float16"),
     ("view", "as_shipped"), ("kernels", "reference"), ("attention", "math"), ("experts", "loop"),
     ("match", "total")],
)  # fmt: skip
def test_another_choice_is_another_plan_and_going_back_gives_the_first_again(
    planner: Stage, machine: Machine, made, name: str, other: Any
) -> None:
    first = planning._planned(settings.chosen())
    before = planner.session_state[f"benchmark.{name}"]
    planner.session_state[f"benchmark.{name}"] = other
    assert planning._planned(settings.chosen()) is not first and len(made) == 2
    planner.session_state[f"benchmark.{name}"] = before
    assert planning._planned(settings.chosen()) is first and len(made) == 2


def test_a_ready_plan_by_its_name_alone_is_no_other_plan(planner: Stage, machine: Machine, made) -> None:
    asked = settings.chosen()
    assert planning._planned(asked | {"preset": "careful"}) is planning._planned(asked)


def test_a_visit_keeps_sixteen_plans_and_those_it_looked_at_last(planner: Stage, machine: Machine, made) -> None:
    asked = settings.chosen()
    plans = [planning._planned(asked | {"seed": seed}) for seed in range(16)]
    assert planning._planned(asked | {"seed": 0}) is plans[0]
    planning._planned(asked | {"seed": 16})
    assert len(planner.session_state["benchmark.plans"]) == 16 and len(made) == 17
    assert planning._planned(asked | {"seed": 0}) is plans[0], "looked at since"
    assert planning._planned(asked | {"seed": 15}) is plans[15]
    assert planning._planned(asked | {"seed": 1}) is not plans[1], "the one that nobody looked at for longest is gone"


# --- its line ----------------------------------------------------------------------------------------------------
def cells_of_three() -> Plan:
    """Make a plan of 1, 5 and 2 minutes, the last of which does not fit; the largest process has 6 MiB."""
    cells = tuple(Cell("mamba", "mamba", 2**n, device="cuda:1") for n in (6, 7, 8))
    return Plan(cells, (prediction(1), prediction(5), prediction(2, fits=False)))


def test_the_line_has_the_cells_the_time_of_those_that_fit_and_the_largest_process(say: Say) -> None:
    total = say("benchmark.plan.total", cells=3, time=units.duration(360), memory="6 MiB")
    assert planning._line(cells_of_three()) == say("benchmark.plan.line", total=total)
    unfit = Plan(cells_of_three().cells, (prediction(1, fits=False),) * 3)
    none = say("benchmark.plan.total_unfit", cells=3)
    assert planning._line(unfit) == say("benchmark.plan.line", total=none), "no time and no memory of what cannot run"


def test_a_plan_of_which_something_fits_can_be_started(stage: Stage, machine: Machine) -> None:
    planning._start(cells_of_three(), shown="", begun=bool)
    assert stage.keyed("benchmark.run").options["disabled"] is False and stage.said("warning") == []
    planning._start(None, shown="", begun=bool)
    assert stage.keyed("benchmark.run").options["disabled"] is True


@pytest.mark.parametrize(
    ("mine", "waits", "told"),
    [
        ({}, 0, []),
        ({}, 3, [("others", 3)]),
        ({"a": {"state": "running"}}, 1, ["yours"]),
        ({"a": {"state": "running"}, "b": {"state": "queued"}}, 4, ["yours", ("others", 2)]),
        ({"a": {"state": "queued"}}, 3, ["yours_waits", ("others", 2)]),
        ({"a": {"state": "done"}, "b": {"state": "cancelled"}}, 1, [("others", 1)]),
        ({"a": {"state": "running", "device": "cuda:0"}}, 2, [("others", 2)]),
    ],
)
def test_the_line_before_a_plan_says_whose_runs_are_on_its_device(
    say: Say, stage: Stage, machine: Machine, mine: dict[str, Any], waits: int, told: list[Any]
) -> None:
    machine.now = {run_id: progress(run_id=run_id, **({"device": "cuda:1"} | now)) for run_id, now in mine.items()}
    machine.now["x"] = progress(run_id="x", device="cuda:1")  # of somebody else
    machine.waits = waits
    stage.session_state["benchmark.started"] = ["forgotten by the runner", *mine]
    known = [say(f"benchmark.queue.{one[0]}", count=one[1]) if isinstance(one, tuple) else
             say(f"benchmark.queue.{one}") for one in told]  # fmt: skip
    planning._start(cells_of_three(), shown="", begun=bool)
    assert stage.said("text") == ([" · ".join(known)] if known else [])


def test_another_visitor_counts_a_run_that_the_first_calls_its_own(say: Say, stage: Stage, machine: Machine) -> None:
    machine.now, machine.waits = {"a": progress(run_id="a", device="cpu")}, 1
    stage.session_state["benchmark.started"] = ["a"]
    assert planning._queue("cpu") == say("benchmark.queue.yours")
    stage.session_state.clear()  # of another visit nothing is known
    assert planning._queue("cpu") == say("benchmark.queue.others", count=1)


def test_run_submits_the_plan_and_leads_to_its_run(stage: Stage, machine: Machine, monkeypatch) -> None:
    begun: list[str] = []
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr(planning.journal, "note", lambda action, *, run: noted.append((action, run)))
    stage.query_params = {"run": "old", "rows": "0123", "lang": "ko"}
    stage.pressed = {"benchmark.run"}
    drawn, plan = planned(("rwkv", 64)), planned(("mamba", 64))
    monkeypatch.setattr(planning.settings, "chosen", lambda: "a number that was typed, and Run pressed at once")
    monkeypatch.setattr(planning, "_planned", {planning.settings.chosen(): plan}.__getitem__)
    stage.query_params["plan"] = "rounds:9"
    planning._start(drawn, shown="old", begun=begun.append)
    assert (machine.submitted, begun, noted) == ([plan], ["r9"], [("start", "r9")])
    assert stage.query_params == {"run": "r9", "lang": "ko"}, "the fingerprint was of the rows of the run before"
    assert stage.session_state["benchmark.started"] == ["r9"]
    assert stage.session_state["benchmark.former"] == {"r9": "old"}


def test_a_visit_remembers_its_last_twenty_runs_and_what_was_shown_before_each(stage: Stage) -> None:
    for number in range(23):
        planning.remember(f"r{number}", f"before {number}" if number % 2 else "")
    assert stage.session_state["benchmark.started"] == [f"r{number}" for number in range(3, 23)]
    assert stage.session_state["benchmark.former"] == {f"r{n}": f"before {n}" for n in range(1, 23, 2)}


# --- a plan of which nothing fits --------------------------------------------------------------------------------
def too_large(*mib: int, free_bytes: int = 4 * GIB, size: str = "7b") -> Plan:
    cells = tuple(Cell("mamba", "mamba", 64 * (n + 1), size=size) for n in range(len(mib)))
    held = (replace(prediction(one - 1), fits=False) for one in mib)
    return Plan(cells, tuple(held), free_bytes=free_bytes)


@pytest.fixture
def smaller(planner: Stage, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Have sizes of whose smallest cells some fit: size -> the MiB of each that fits. Notes what was asked for."""
    found: dict[str, list[Any]] = {"asked": []}

    def make(sources: Any, contexts: Any, **options: Any) -> Plan:
        found["asked"].append({"sources": sources, "contexts": contexts} | options)
        held = found.get(options["size"], [])
        cells = tuple(Cell("mamba", "mamba", 64) for _ in range(len(held) + 1))
        return Plan(cells, (*(prediction(one - 1) for one in held), prediction(9, fits=False)))

    monkeypatch.setattr(planning, "make_plan", make)
    planner.session_state.update({"benchmark.device": "cpu", "benchmark.size": "7b"})
    return found


def test_a_plan_of_which_nothing_fits_says_what_it_needs_and_offers_the_nearest_size_that_does(
    say: Say, planner: Stage, smaller
) -> None:
    """4 GiB are free, of which a cell may fill nine tenths; the smallest cell needs 5 GiB."""
    smaller.update({"1.4b": [3000, 2048], "130m": [512], "bundled": [64]})
    planner.session_state.update({"benchmark.batches": [8, 4], "benchmark.contexts": [1024, 256]})
    planning._start(too_large(7 * 1024, 5 * 1024, 9 * 1024), shown="", begun=bool)
    assert planner.keyed("benchmark.run").options["disabled"] is True
    (said,) = planner.said("warning")
    assert bare(said) == say("benchmark.plan.nothing_fits", need="5 GiB", room="3.6 GiB", free="4 GiB")
    button = planner.keyed("benchmark.smaller")
    name = sizes.tier("1.4b").name[planning.session.language()]
    assert button.args == (say("benchmark.plan.take_size", size=name, need="2 GiB"),)
    assert [one["size"] for one in smaller["asked"]] == ["2.8b", "1.4b"], "from the next smaller one on"
    assert smaller["asked"][0]["sources"] == sizes.sources("2.8b", match="active")
    assert {one["places"][0] for one in smaller["asked"]} == {(4, 256)}, "the least batch and length that were chosen"
    planner.pressed = {"benchmark.smaller"}
    planning._start(too_large(5 * 1024), shown="", begun=bool)
    assert planner.session_state["benchmark.size"] == "1.4b"


def test_where_no_smaller_size_fits_none_is_offered(say: Say, planner: Stage, smaller) -> None:
    planning._start(too_large(512, free_bytes=128 * 2**20), shown="", begun=bool)
    (said,) = planner.said("warning")
    assert bare(said) == say("benchmark.plan.nothing_fits", need="512 MiB", room=units.size(0.9 * 2**27),
                             free="128 MiB")  # fmt: skip
    assert not planner.has("benchmark.smaller")
    assert [one["size"] for one in smaller["asked"]] == ["2.8b", "1.4b", "130m", "bundled"]
    smaller["asked"].clear()
    planning._start(too_large(512, size="bundled"), shown="", begun=bool)
    assert smaller["asked"] == [] and not planner.has("benchmark.smaller"), "below the least there is nothing"


def test_a_plan_of_which_every_length_is_too_long_says_how_many_positions_there_are(
    say: Say, planner: Stage, smaller
) -> None:
    smaller["bundled"] = [64]
    long = {"positions_needed": 9000, "positions": 8192}
    cells = tuple(Cell("transformer", "t", n, size="130m") for n in (16384, 32768))
    planning._start(Plan(cells, (prediction(1, fits=False, **long),) * 2), shown="", begun=bool)
    assert planner.said("warning") == [say("benchmark.plan.all_too_long", limit="8,192")]
    assert planner.keyed("benchmark.run").options["disabled"] is True
    assert not planner.has("benchmark.smaller"), "a smaller model has no more positions"


def test_what_is_too_long_is_not_what_the_smallest_cell_needs(say: Say, planner: Stage, smaller) -> None:
    """A cell of 1 GiB would have room but not the positions; the sentence is of those that lack the room."""
    plan = too_large(1024, 5 * 1024)
    short, large = plan.predictions
    plan = replace(plan, predictions=(replace(short, positions_needed=9000, positions=8192), large))
    planning._start(plan, shown="", begun=bool)
    assert bare(planner.said("warning")[0]) == say(
        "benchmark.plan.nothing_fits", need="5 GiB", room="3.6 GiB", free="4 GiB"
    )


# --- more time ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "left_out", "offered"),
    [
        (90, {90: 7, 600: 7, 1800: 3}, (4, 1800)),
        (90, {90: 7, 600: 6}, (1, 600)),
        (90, {90: 7, 600: 7, 1800: 7}, None),
        (90, {90: 0}, None),
        (89, {89: 5, 90: 3}, (2, 90)),
        (600, {600: 5, 1800: 1}, (4, 1800)),
        (1800, {1800: 5}, None),
    ],
)
def test_more_time_is_the_least_of_a_ready_plan_in_which_more_cells_are_measured(
    say: Say, planner: Stage, machine: Machine, monkeypatch, asked: int, left_out: dict[int, int], offered
) -> None:
    budgets: list[int] = []

    def make(_sources: Any, _contexts: Any, *, budget_s: int, **_: Any) -> Plan:
        budgets.append(budget_s)
        return planned(("mamba", 64), dropped=(Cell("mamba", "mamba", 9),) * left_out[budget_s])

    monkeypatch.setattr(planning, "make_plan", make)
    planner.session_state["benchmark.budget_s"] = asked
    planner.pressed = {"benchmark.more_time"}
    planning.section(shown="", begun=bool)
    assert budgets == list(left_out), "none is planned that could not be offered"
    assert planner.has("benchmark.more_time") == (offered is not None)
    if offered is not None:
        count, budget = offered
        words = say("benchmark.plan.more_time", count=count, time=units.duration(budget))
        assert planner.keyed("benchmark.more_time").args == (words,)
    assert planner.session_state["benchmark.budget_s"] == (offered[1] if offered else asked)
