"""The terminal's words about a run: verdicts that follow the times, progress that fits a line."""

import dataclasses

from models.bench.judge.comparison import BETWEEN_RUNS
from models.bench.judge.statistics import NEGLIGIBLE
from models.bench.judge.verdicts import judged
from models.bench.plan.plan import Cell
from models.bench.run.job import Progress
from models.cli import bench_report
from models.records.measurement import Measurement


def row(architecture, context, milliseconds, **changes):
    rounds = 5
    jitter = [1 + 0.002 * i for i in range(rounds)]
    asked = {
        "run_id": "r",
        "cell_id": f"{architecture}-{context}",
        "state": "ok",
        "architecture": architecture,
        "source": architecture,
        "context": context,
        "batch": 1,
        "device": "cpu",
        "dtype": "float32",
        "decode_tokens": 2,
        "seed": 0,
        "rounds": rounds,
        "prefill_ms_samples": tuple(10 * milliseconds * j for j in jitter),
        "decode_ms_samples": tuple(milliseconds * j for j in jitter for _ in range(2)),
    }
    return Measurement(**(asked | changes))


def test_verdicts_follow_the_times_at_the_longest_common_context():
    rows = [
        row("transformer", 64, 1.0),
        row("transformer", 256, 9.0),
        row("transformer", 1024, 99.0),
        row("mamba", 64, 2.0),
        row("mamba", 256, 3.0),
        row("rwkv", 256, 3.0),
    ]
    lines = bench_report.verdict_lines(rows)
    assert len(lines) == 6  # three pairs, two phases
    assert all(" at 256 tokens, batch 1: " in line for line in lines)
    (slower,) = [line for line in lines if line.startswith("decode") and "transformer is slower than mamba" in line]
    assert "3.00 times the time" in slower
    assert sum("mamba and rwkv cannot be told apart" in line for line in lines) == 2


def test_cells_that_did_not_take_turns_must_differ_by_more():
    """Three per cent are a difference in one spell of the machine, and none between two."""
    first = row("mamba", 64, 1.0)
    together, later = (row("rwkv", 64, 1.03, started_ns=began, ended_ns=began + 10_000) for began in (5_000, 50_000))
    first = dataclasses.replace(first, started_ns=1_000, ended_ns=11_000)
    kinds = {}
    for name, other in (("together", together), ("later", later)):
        found = [one for one in judged([first, other]) if one.phase == "decode"]
        kinds[name] = found[0].found.kind, found[0].margin
    assert kinds == {"together": ("faster", NEGLIGIBLE), "later": ("indistinguishable", BETWEEN_RUNS)}


def test_cells_that_were_not_measured_or_differ_in_batch_have_no_verdict():
    failed = row("mamba", 64, 1.0, state="oom", prefill_ms_samples=(), decode_ms_samples=())
    assert bench_report.verdict_lines([row("transformer", 64, 1.0), failed]) == []
    largest = row("mamba", 64, 1.0, batch=8, batch_limit="cap")
    other = row("transformer", 64, 1.0, batch=8)
    assert bench_report.verdict_lines([largest, other]) == []
    each = [row(name, 64, time, batch=batch) for batch in (1, 8) for name, time in (("mamba", 1.0), ("rwkv", 2.0))]
    said = bench_report.verdict_lines(each)
    assert len(said) == 4
    assert sum("batch 8: mamba is faster than rwkv" in line for line in said) == 2


def test_one_round_tells_nothing_apart():
    rows = [row(name, 64, time, rounds=None) for name, time in (("mamba", 1.0), ("rwkv", 50.0))]
    (decode,) = [line for line in bench_report.verdict_lines(rows) if line.startswith("decode")]
    assert "nothing can be told apart" in decode, "prefills are rounds of their own, steps are not"


def progress(**changes):
    asked = {
        "run_id": "r",
        "state": "running",
        "position": 0,
        "total": 8,
        "done": 2,
        "cell": Cell("mamba", "mamba", 8192, 8),
        "phase": "decode",
        "round": 3,
        "worker_pid": 1,
        "elapsed_s": 20.0,
        "remaining_s": 185.0,
    }
    return Progress(**(asked | changes))


def test_progress_says_how_far_it_is_and_what_is_left():
    line = bench_report.progress_line(progress(), width=None)
    assert line == "[#####...............] 2/8 cells, about 3.1 min left  mamba 8,192 tokens, batch 8 round 3 decode"
    assert bench_report.progress_line(progress(), width=40) == line[:40]
    assert bench_report.progress_line(progress(state="queued", cell=None)) == "starting"
    assert "waiting for 2" in bench_report.progress_line(progress(state="queued", position=2))
