"""What a round feeds a model, on the CPU: the whole prompt of the cell at once, then each of its tokens."""

from types import SimpleNamespace

import pytest
from scripted import Fed, checkpoint

from models.bench.measure import cell_run, cpu_share, memory
from models.bench.measure.clock import Clock
from models.records.cell import Cell


@pytest.fixture
def run(monkeypatch):
    """A run of a cell of 23 tokens in a batch of 3 over a model that notes what it is fed."""
    monkeypatch.setattr(Clock, "sentinel", lambda _: 1.0)
    monkeypatch.setattr(cpu_share, "between", lambda *_: None)  # a round is not made again because other tests compute
    made = cell_run.CellRun(Cell("transformer", "x", 23, batch=3, decode_tokens=5), run_id="r")
    made.adapter, made.checkpoint = Fed(), checkpoint()
    made.clock = Clock(made.cell, made.adapter, made.checkpoint)
    return made


def test_a_timed_round_reads_the_whole_prompt_and_decodes_every_token(run):
    made = run.round()
    assert run.adapter.fed == [(3, 23)] + [(3, 1)] * 5
    assert len(made.decode) == 5
    assert made.first_token >= made.prefill
    assert made.e2e >= made.prefill


def test_every_round_reads_a_prompt_of_its_own(run, monkeypatch):
    seen = []
    monkeypatch.setattr(run.adapter, "step", lambda c, ids, cache: (seen.append(ids), Fed().step(c, ids, cache))[1])
    run.round()
    run.round()
    prompts = [ids for ids in seen if ids.shape[1] > 1]
    assert [tuple(ids.shape) for ids in prompts] == [(3, 23)] * 2
    assert not (prompts[0] == prompts[1]).all()


@pytest.mark.slow
def test_the_cache_is_counted_after_exactly_the_prompt(run):
    with memory.watching("cpu") as run.meter:
        run._first_pass()
    assert run.sizes.cache_bytes == 23
    assert run.adapter.fed[1:] == [(3, 23)] + [(3, 1)] * cell_run.WATCHED_STEPS


def test_a_cell_counts_the_seconds_of_its_own_turns(run, monkeypatch):
    """While others have their turn the clock goes on, and nothing is added; a round that is repeated counts whole."""
    now = [100.0]
    unsteady = iter((False, True, True))

    def attempt():
        now[0] += 1.5
        return SimpleNamespace(steady=next(unsteady))

    monkeypatch.setattr(cell_run.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(cell_run, "replace", lambda made, attempts: made)
    monkeypatch.setattr(run, "_attempt", attempt)
    for waited in (7.0, 9.0):
        run.round()
        now[0] += waited
    assert run.spent_s == 4.5
