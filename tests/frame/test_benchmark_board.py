"""A run while it is measured: what it says, the board of its cells, and what holds or ends it, from hand-made records.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from benchmark_records import Say, planned, prediction, progress, row, run_of, stage_of
from stage import Stage, words_of

from models.bench.plan.plan import Plan
from models.bench.run import runner
from models.bench.run.board import CellProgress
from models.bench.run.job import Progress
from models.records.cell import Cell
from models.records.measurement import Measurement
from pages.compare.benchmark import grid, live
from pages.shared.words import units


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


# --- what it says ------------------------------------------------------------------------------------------------
CELL = Cell("rwkv", "rwkv", 4096)
AT = {"cell": CELL, "phase": "prefill", "round": 5}
MADE, CELL_SAID, ROUND = "made", "cell", "round"
SO_FAR, LEFT = ("benchmark.board.elapsed", {"time": 77}), ("benchmark.left", {"time": 300})


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"state": "queued"}, [("benchmark.queued", {"position": 3})]),
        ({"paused": True, "held_s": 600.0} | AT, [MADE, ("benchmark.paused", {"time": 300})]),
        ({"paused": True} | AT, [MADE, ("benchmark.pausing", {})]),
        ({}, [MADE, SO_FAR, LEFT]),
        ({"remaining_s": None}, [MADE, SO_FAR]),
        ({"phase": "ceilings"}, [MADE, ("benchmark.phase.ceilings", {}), SO_FAR, LEFT]),
        ({"cell": CELL}, [MADE, CELL_SAID, ("benchmark.phase.start", {}), SO_FAR, LEFT]),
        ({"cell": CELL, "phase": "parity"}, [MADE, CELL_SAID, ("benchmark.phase.parity", {}), SO_FAR, LEFT]),
        (AT, [MADE, CELL_SAID, ROUND, SO_FAR, LEFT]),
        (AT | {"remaining_s": None}, [MADE, CELL_SAID, ROUND, SO_FAR]),
    ],
)
def test_a_run_under_way_says_how_many_rounds_are_made_what_it_does_and_how_long(
    say: Say, changes: dict[str, Any], parts: list[Any]
) -> None:
    """A pause ends by itself after 15 minutes: after 10 of them 5 are left."""
    known = {
        MADE: say("benchmark.board.rounds", made="1,234", total="5,678"),
        CELL_SAID: say("benchmark.cell", name=say("nav.rwkv"), tokens="4,096"),
        ROUND: say("benchmark.round", phase=say("benchmark.phase.prefill"), number=5),
    }
    written = []
    for part in parts:
        if isinstance(part, tuple):
            key, values = part
            values = {name: units.duration(one) if name == "time" else one for name, one in values.items()}
            written.append(say(key, **values))
        else:
            written.append(known[part])
    assert live.said(progress(rounds=1234, rounds_total=5678, **changes)) == " · ".join(written)


@pytest.mark.parametrize(("made", "total", "share"), [(0, 44, 0.0), (11, 44, 0.25), (44, 44, 1.0), (50, 44, 1.0),
                                                      (0, 0, 0.0)])  # fmt: skip
def test_the_bar_is_the_part_of_the_rounds_that_are_made(made: int, total: int, share: float) -> None:
    assert live._share(progress(rounds=made, rounds_total=total)) == share


@pytest.mark.parametrize(("state", "under_way"), [("running", True), ("queued", True), ("done", False),
                                                  ("cancelled", False)])  # fmt: skip
def test_only_a_run_that_has_not_ended_is_under_way(monkeypatch, state: str, under_way: bool) -> None:
    asked: list[str] = []
    now = progress(state=state)
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(progress=lambda one: asked.append(one) or now))
    assert live.progress(run_of(run_id="mine")) is (now if under_way else None) and asked == ["mine"]
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(progress=lambda _: None))
    assert live.progress(run_of()) is None


# --- what holds and ends it --------------------------------------------------------------------------------------
class RerunError(Exception):
    """The page is drawn anew, as Streamlit does."""


@pytest.fixture
def under_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Have a run under way. now: its progress; acted, noted: what was done with it; drawn: its boards."""

    def again(*, scope: str) -> None:
        found.reruns.append(scope)
        raise RerunError

    found = SimpleNamespace(now=progress(), acted=[], noted=[], drawn=[], reruns=[])
    acts = {name: lambda run_id, name=name: found.acted.append((name, run_id)) or name != "cancel"
            for name in ("pause", "resume", "cancel")}  # fmt: skip
    here = SimpleNamespace(progress=lambda _: found.now, plan=lambda run_id: f"the plan of {run_id}", **acts)
    monkeypatch.setattr(runner, "shared", lambda: here)
    monkeypatch.setattr(live.journal, "note", lambda action, *, run: found.noted.append((action, run)))
    monkeypatch.setattr(live.grid, "board", lambda *given: found.drawn.append(given))
    monkeypatch.setattr(stage, "rerun", again, raising=False)
    return found


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        ({}, ["benchmark.pause", "benchmark.cancel"]),
        ({"paused": True}, ["benchmark.resume", "benchmark.cancel"]),
        ({"paused": True, "held_s": 1.0}, ["benchmark.resume", "benchmark.cancel"]),
        ({"state": "queued"}, ["benchmark.cancel"]),
    ],
)
def test_a_live_run_is_paused_or_resumed_and_always_cancelled(say: Say, stage: Stage, under_way, now, shown) -> None:
    under_way.now = progress(rounds=3, rounds_total=12, board={"c": CellProgress("ready")}, **now)
    stage.pressed = {"benchmark.pause", "benchmark.resume", "benchmark.cancel"}
    run = run_of(row())
    live._board(run, 4)
    assert [call.options["key"] for call in stage.found("button")] == shown
    assert [call.args[0] for call in stage.found("button")] == [say(key) for key in shown]
    acts = [key.removeprefix("benchmark.") for key in shown]
    assert under_way.acted == [(name, "r") for name in acts]
    assert under_way.noted == [(name, "r") for name in acts if name != "cancel"], "only what was done"
    (bar,) = stage.found("progress")
    assert bar.args == (0.25,) and bar.options["text"] == live.said(under_way.now)
    assert under_way.drawn == [("the plan of r", under_way.now.board, run)] and under_way.reruns == []


@pytest.mark.parametrize("now", [progress(done=5), progress(state="done"), progress(state="cancelled"), None])
def test_the_page_is_drawn_anew_when_a_row_came_and_when_the_run_ended(stage, under_way, now: Progress | None) -> None:
    under_way.now = now
    with pytest.raises(RerunError):
        live._board(run_of(row()), 4)
    assert under_way.reruns == ["app"], "all of it, not the board alone"


def test_the_board_keeps_itself_in_step_from_the_rows_that_the_page_has(say: Say, stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(live.gate, "gated", lambda draw: lambda *given: stage._called("live", *given))
    run = run_of(row())
    live.board(run, progress())
    assert [call.args for call in stage.found("live")] == [(run, 4)]
    assert stage.found("fragment")[0].options == {"run_every": live.POLL_S}
    assert f">{say('benchmark.board.title')}<" in stage.said("html")[0]


def test_a_run_whose_plan_is_not_known_here_has_no_board(stage: Stage, under_way, monkeypatch) -> None:
    here = SimpleNamespace(progress=lambda _: progress(), plan=lambda _: None)
    monkeypatch.setattr(runner, "shared", lambda: here)
    live._board(run_of(row()), 4)
    assert under_way.drawn == [] and len(stage.found("progress")) == 1


# --- the board ---------------------------------------------------------------------------------------------------
PLACE = Cell("mamba", "mamba", 512, rounds=4)
DOTS = re.compile(r'<i class="(cs-[a-z-]+)"></i>')


def standing(now: CellProgress, *, fits: bool = True, found: Measurement | None = None, **facts: Any) -> str:
    return str(grid._standing(PLACE, prediction(2, fits=fits, **facts), now, found, "512"))


def kind_of(markup: str) -> str:
    return re.findall(r'<td[^>]*class="([^"]*)"', markup)[0]


def test_a_cell_that_waits_shows_how_long_it_should_take_or_why_it_will_not_be_measured(say: Say) -> None:
    waits = standing(CellProgress())
    assert (words_of(waits), kind_of(waits)) == (units.duration(120), "cs-waits") and 'data-at="512"' in waits
    for facts, why in (({}, "too_large"), ({"positions_needed": 9}, "too_long")):
        lost = standing(CellProgress(), fits=False, **facts)
        assert (words_of(lost), kind_of(lost)) == (f"3 MiB {say(f'benchmark.plan.{why}')}", "cs-hatched")


@pytest.mark.parametrize(
    ("now", "told", "kind", "dots"),
    [
        (CellProgress("loading"), "benchmark.board.loading", "cs-open cs-now", ""),
        (CellProgress("ready"), "benchmark.board.ready", "cs-open", ""),
        (CellProgress("measuring"), "benchmark.board.measuring", "cs-open cs-now", ""),
        (CellProgress("measuring", (False,)), "benchmark.board.measuring", "cs-open cs-now", "u"),
        (CellProgress("measuring", (True, False, True), 9.0, (1.0, 2.0), (4.0, 2.0)), 0.003, "cs-open cs-now", "sus"),
        (CellProgress("ready", (True, True, True), 9.0, (1.0,) * 3, (5.0, 2.0, 9.0)), 0.005, "cs-open", "sss"),
        (CellProgress("ready", (True, False) * 3, 9.0, (1.0,) * 3, (7.0,) * 3), 0.007, "cs-open", "sususu"),
    ],
)
def test_a_cell_that_is_open_shows_its_rounds_and_the_median_step_so_far(
    say: Say, now: CellProgress, told: str | float, kind: str, dots: str
) -> None:
    """Four rounds are planned: those to come are rings, and where more were made there are more dots than four."""
    markup = standing(now)
    words = say(told) if isinstance(told, str) else say("benchmark.board.step", time=units.duration(told))
    assert (words_of(markup), kind_of(markup)) == (words, kind)
    names = {"s": "cs-steady", "u": "cs-unsteady"}
    assert DOTS.findall(markup) == [names[dot] for dot in dots] + ["cs-to-come"] * max(4 - len(dots), 0)
    label = say("benchmark.board.dots", made=len(dots), total=max(4, len(dots)))
    assert 'role="img"' in markup and f'aria-label="{label}"' in markup and markup.count("aria-label") == 1


@pytest.mark.parametrize("state", ["ok", "unstable"])
def test_a_cell_that_is_done_shows_its_time_of_a_token_and_its_most_memory(say: Say, state: str) -> None:
    found = row(state=state, rounds=1, prefill_ms_samples=(1.0,), tpot_ms_med=3.0, peak_bytes=5 * 2**20)
    markup = standing(CellProgress(state, (True,) * 4, 9.0, (), (8.0,)), found=found)
    step = say("benchmark.board.step", time=units.duration(0.003))
    assert (words_of(markup), kind_of(markup)) == (f"{step} 5 MiB", "cs-measured") and 'data-at="512"' in markup
    assert DOTS.findall(markup) == [], "its rounds are over"
    bare_row = row(state=state, rounds=1, prefill_ms_samples=(1.0,), tpot_ms_med=3.0)
    assert words_of(standing(CellProgress(state), found=bare_row)) == step, "of a device that tells no memory"


def test_a_cell_that_is_done_without_a_steady_round_shows_its_memory_and_no_time(say: Say) -> None:
    found = row(state="unstable", rounds=0, tpot_ms_med=3.0, peak_bytes=7 * 2**20)
    assert found.measured and not found.timed
    markup = standing(CellProgress("unstable", (False,) * 12), found=found)
    assert (words_of(markup), kind_of(markup)) == (f"{say('viz.state.untimed')} 7 MiB", "cs-measured")


@pytest.mark.parametrize("state", ["oom", "timeout", "killed", "failed", "cancelled", "parity_fail",
                                   "predicted_oom_skipped"])  # fmt: skip
def test_a_cell_that_was_not_measured_says_what_became_of_it(say: Say, state: str) -> None:
    markup = standing(CellProgress(state), fits=state != "predicted_oom_skipped", found=row(state=state))
    assert (words_of(markup), kind_of(markup)) == (say(f"viz.state.{state}"), "cs-hatched")


def test_a_cell_that_is_measured_again_shows_its_rounds_not_its_former_row(say: Say) -> None:
    found = row(tpot_ms_med=3.0, prefill_ms_samples=(1.0,), rounds=1)
    assert kind_of(standing(CellProgress("loading"), found=found)) == "cs-open cs-now"
    assert words_of(standing(CellProgress("loading"), found=found)) == say("benchmark.board.loading")


def test_the_board_has_each_cell_of_its_plan_in_its_place_with_its_own_state(say: Say, stage: Stage) -> None:
    plan = planned(("mamba", 64), ("mamba", 128), ("rwkv", 64), dropped=(Cell("rwkv", "rwkv", 128),))
    done = row("mamba", 64, cell_id=plan.cells[0].cell_id, rounds=1, prefill_ms_samples=(1.0,), tpot_ms_med=2.0,
               peak_bytes=9 * 2**20)  # fmt: skip
    states = {plan.cells[0].cell_id: CellProgress("ok"), plan.cells[1].cell_id: CellProgress("loading")}
    grid.board(plan, states, run_of(done))
    (table,) = stage.said("html")
    lines = [re.findall(r"<td[^>]*>.*?</td>", line) for line in table.split("<tr>")[1:]]
    assert [[words_of(cell) for cell in cells] for cells in lines if cells] == [
        [f"{say('benchmark.board.step', time=units.duration(0.002))} 9 MiB", say("benchmark.board.loading")],
        [units.duration(180), say("benchmark.plan.left_out")],
    ]
    assert stage.said("caption") == [say("benchmark.board.key")]
    assert stage.has("benchmark-board")


def test_the_board_names_the_largest_batches_of_its_plan(say: Say, stage: Stage) -> None:
    swept, largest = (
        Cell("mamba", "mamba", 64),
        Cell("mamba", "mamba", 64, batch=32, largest=True, batch_limit="memory"),
    )
    grid.board(Plan((swept, largest), (prediction(1),) * 2), {}, run_of())
    assert say("benchmark.plan.largest", tokens="64") in stage.said("html")[1]
