"""Two runs are joined cell by cell only where they measured the same thing; every refusal says why."""

import dataclasses

import pytest

from models.bench.judge.comparison import REASONS, compare
from models.bench.store.recorded import read_file
from models.bench.store.store import RECORDED
from models.records.run import Run
from pages.shared.words import i18n


@pytest.fixture
def cell(measurement):
    """Build a row of five rounds with four steps each; factor slows it down."""

    def build(context=64, factor=1.0, **changes):
        shares = (1.0, 1.03, 0.98, 1.01, 0.99)
        values = {
            "rounds": 5,
            "decode_tokens": 4,
            "prefill_ms_samples": tuple(20 * factor * share for share in shares),
            "decode_ms_samples": tuple(factor * share * (1 + 0.01 * step) for share in shares for step in range(4)),
            "config_hash": "abc",
            "peak_bytes": 1000,
        }
        return measurement("x", context, **(values | changes))

    return build


def run_of(*rows):
    return Run("x", "", 1, (), {}, rows, "done")


def sentences(refused):
    for each in refused:
        said = {i18n.say(lang, each.key, **each.values) for lang in i18n.LANGS}
        assert len(said) == len(i18n.LANGS)
        assert not any("None" in text for text in said)


def test_a_slowed_cell_is_slower_and_the_same_cell_is_not_told_apart(cell):
    found = compare(run_of(cell(), cell(128, 2.0)), run_of(cell(128), cell()))
    assert found.refused == ()
    same, slowed = found.pairs
    assert (same.a.context, slowed.a.context, slowed.b.context) == (64, 128, 128)
    assert {phase: told.kind for phase, told in same.verdicts.items()} == dict.fromkeys(
        ("prefill", "decode"), "indistinguishable"
    )
    assert {phase: told.kind for phase, told in slowed.verdicts.items()} == dict.fromkeys(
        ("prefill", "decode"), "slower"
    )
    assert slowed.verdicts["decode"].ratio.low < 2.0 + 1e-9 and slowed.verdicts["decode"].ratio.high > 2.0 - 1e-9
    backwards = compare(run_of(cell()), run_of(cell(factor=2.0)))
    assert backwards.pairs[0].verdicts["decode"].kind == "faster", "the first run took less time"


@pytest.mark.parametrize(("share", "kind"), [(1.035, "indistinguishable"), (1.09, "slower")])
def test_between_runs_less_than_five_per_cent_is_no_difference(cell, share, kind):
    """Steady rounds, so that the interval alone would tell both apart."""
    steady = {"decode_ms_samples": (1.0,) * 20, "prefill_ms_samples": (20.0,) * 5}
    slowed = {name: tuple(share * value for value in values) for name, values in steady.items()}
    (pair,) = compare(run_of(cell(**slowed)), run_of(cell(**steady))).pairs
    assert {told.kind for told in pair.verdicts.values()} == {kind}


def test_rounds_are_compared_not_steps(cell):
    """Forty steps of one round say no more about the next round than one step does."""
    one = {"rounds": 1, "decode_tokens": 40, "decode_ms_samples": (1.0,) * 40, "prefill_ms_samples": (1.0,)}
    two = one | {"decode_ms_samples": (1.5,) * 40}
    (pair,) = compare(run_of(cell(**one)), run_of(cell(**two))).pairs
    assert pair.verdicts["decode"].kind == "indistinguishable"
    assert pair.verdicts["decode"].rounds == 1


OTHERWISE = {
    "architecture": {"architecture": "rwkv"},
    "size": {"size": "130m"},
    "protocol_version": {"protocol_version": 1},
    "view": {"view": "as_shipped"},
    "host": {"environment": {"host_cpu": "y"}},
    "device": {"device": "cuda:0"},
    "dtype": {"dtype": "bfloat16"},
    "config_hash": {"config_hash": "abd"},
    "context": {"context": 65},
    "batch": {"batch": 4},
    "decode_tokens": {"decode_tokens": 2},
    "kernels": {"kernels": "reference"},
    "attention": {"attention": "math"},
    "experts": {"experts": "grouped"},
    "captured": {"graph": "captured"},
    "state": {"state": "unstable", "prefill_ms_samples": (), "decode_ms_samples": (), "rounds": 0},
}
FAILED = {"state": "oom", "prefill_ms_samples": (), "decode_ms_samples": (), "rounds": None, "config_hash": ""}


@pytest.mark.parametrize("reason", OTHERWISE)
def test_what_was_measured_otherwise_is_refused_with_the_reason(cell, reason):
    one, other = cell(), cell(**OTHERWISE[reason])
    for a, b in ((one, other), (other, one)):
        found = compare(run_of(a), run_of(b))
        assert found.pairs == ()
        assert found.refused[0].reason == reason
        assert found.refused[0].cell is a and not found.refused[0].second
        sentences(found.refused)


def test_what_was_not_measured_is_refused_for_that_and_for_nothing_else(cell):
    """A cell that never ran has no configuration: to call its model another one would be untrue."""
    whole, failed = run_of(cell()), run_of(cell(**FAILED))
    for a, b, reason in ((failed, whole, "unmeasured"), (whole, failed, "unmeasured_there"),
                         (failed, failed, "unmeasured")):  # fmt: skip
        found = compare(a, b)
        assert found.pairs == ()
        assert [(one.reason, one.second) for one in found.refused] == [(reason, False)], "one cell, one sentence"
        sentences(found.refused)
    more = compare(whole, run_of(cell(), cell(128, **FAILED)))
    assert len(more.pairs) == 1
    assert [(one.reason, one.second, one.cell.context) for one in more.refused] == [("unmeasured_there", True, 128)]


def test_every_reason_is_tried_here_and_has_its_words():
    assert {*OTHERWISE, "unmeasured", "unmeasured_there", "rounds", "once"} == set(REASONS)
    for lang in i18n.LANGS:
        assert all(i18n.has(lang, f"store.refused.{reason}") for reason in REASONS)


def test_the_same_gpu_under_another_number_is_the_same_device(cell):
    gpu = {"host_cpu": "x", "device_name": "NVIDIA H100"}
    found = compare(run_of(cell(device="cuda:0", environment=gpu)), run_of(cell(device="cuda:1", environment=gpu)))
    assert len(found.pairs) == 1
    other = cell(device="cuda:0", environment=gpu | {"device_name": "NVIDIA H200"})
    (refused,) = compare(run_of(cell(device="cuda:0", environment=gpu)), run_of(other)).refused
    assert (refused.reason, refused.values["mine"], refused.values["theirs"]) == (
        "device",
        "NVIDIA H100",
        "NVIDIA H200",
    )


def test_every_cell_of_either_run_is_paired_or_refused(cell):
    a = run_of(cell(64), cell(128), cell(256), cell(64, batch=2, cell_id="two"))
    b = run_of(cell(128), cell(64), cell(512), cell(64, architecture="rwkv", cell_id="other"))
    found = compare(a, b)
    assert [pair.a.context for pair in found.pairs] == [64, 128]
    refused = {
        (each.second, each.cell.architecture, each.cell.context, each.cell.batch): each.reason for each in found.refused
    }
    assert refused == {
        (False, "mamba", 256, 1): "context",
        (False, "mamba", 64, 2): "batch",
        (True, "mamba", 512, 1): "context",
        (True, "rwkv", 64, 1): "architecture",
    }
    assert found.refused[0].values == {"mine": 256, "theirs": "64, 128, 512"}
    sentences(found.refused)


def test_a_row_is_joined_once_and_a_measured_one_first(cell):
    untimed, twin = cell(**OTHERWISE["state"]), cell(cell_id="twin")
    found = compare(run_of(cell(), twin), run_of(untimed, twin))
    assert len(found.pairs) == 1 and found.pairs[0].b.timed
    assert [each.reason for each in found.refused] == ["state"]
    lone = compare(run_of(cell(), twin), run_of(cell()))
    assert [(each.reason, each.second) for each in lone.refused] == [("once", False)]
    again = cell(cache_bytes=7)
    (pair,) = compare(run_of(cell(), again), run_of(cell(), untimed)).pairs
    assert (pair.a, pair.b) == (again, cell()), "of a cell that was measured again one row counts"
    extra = compare(run_of(cell()), run_of(cell(), twin))
    assert [(each.reason, each.second) for each in extra.refused] == [("once", True)]
    sentences([*found.refused, *lone.refused, *extra.refused])


def test_what_else_differs_is_said(cell):
    a = cell(threads=1, environment={"host_cpu": "x", "commit": "1"}, implementation={"scan": "loop"})
    b = cell(threads=2, environment={"host_cpu": "x", "commit": "2"}, implementation={"scan": "fused"}, peak_bytes=500)
    (pair,) = compare(run_of(a), run_of(b)).pairs
    assert pair.changed == {"threads": (1, 2), "commit": ("1", "2"), "scan": ("loop", "fused")}
    assert pair.ratio("peak_bytes") == 2.0
    assert pair.ratio("energy_j_per_token") is None


def test_clock_and_temperature_of_the_moment_are_no_difference(cell):
    moments = ({"sm_clock_mhz": 1980, "temperature_c": 41}, {"sm_clock_mhz": 1200, "temperature_c": 70})
    a, b = (cell(environment={"host_cpu": "x", "power_limit_w": 700} | moment) for moment in moments)
    (pair,) = compare(run_of(a), run_of(b)).pairs
    assert pair.changed == {}
    (pair,) = compare(run_of(a), run_of(cell(environment=b.environment | {"power_limit_w": 500}))).pairs
    assert pair.changed == {"power_limit_w": (700, 500)}


def test_empty_runs_have_nothing_to_say(cell):
    assert (compare(run_of(), run_of()).pairs, compare(run_of(), run_of()).refused) == ((), ())
    (refused,) = compare(run_of(cell()), run_of()).refused
    assert refused.reason == "architecture"


def test_a_recorded_run_is_the_same_as_itself():
    run = read_file(RECORDED / "quick-cpu.jsonl", recorded=True)
    found = compare(run, run)
    assert len(found.pairs) == len(run.rows)
    assert found.refused == ()
    assert {told.kind for pair in found.pairs for told in pair.verdicts.values()} == {"indistinguishable"}
    assert all(pair.changed == {} for pair in found.pairs)
    older = dataclasses.replace(run, rows=tuple(dataclasses.replace(row, protocol_version=1) for row in run.rows))
    assert {each.reason for each in compare(run, older).refused} == {"protocol_version"}
