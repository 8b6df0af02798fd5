"""Verdicts become ratios of at least 1, the faster first, with their own intervals and sentences."""

import pytest
from benchmark_records import Say, row

from models.bench.judge.statistics import Verdict
from models.bench.judge.verdicts import Judged
from models.records.interval import Interval
from pages.compare.benchmark import ratios

INF = float("inf")


def judged(kind: str, value: float, low: float, high: float) -> Judged:
    found = Verdict(Interval(value, low, high), Interval(value, low / 2, high * 2), kind, 5)
    return Judged("prefill", row("mamba", 2048, batch=8), row("rwkv", 2048, batch=8), found, 0.05)


def test_the_faster_stands_first_and_its_interval_is_turned_with_it(say: Say) -> None:
    slower, faster = ratios.of([judged("slower", 4.0, 2.0, 8.0), judged("faster", 0.25, 0.125, 0.5)], lambda _: "said")
    assert (slower.a, slower.b) == ("rwkv", "mamba") and (faster.a, faster.b) == ("mamba", "rwkv")
    for one in (slower, faster):
        assert (one.value, one.shown, one.deciding) == (4.0, (2.0, 8.0), (1.0, 16.0))
        assert (one.decided, one.margin, one.says, one.phase) == (True, 0.05, "said", "prefill")
        assert one.where == f"{say('benchmark.verdict.at', tokens='2,048')} · {say('benchmark.plan.batch', count=8)}"


@pytest.mark.parametrize("value", [0.9, 1.0, 1.1])
def test_what_cannot_be_told_apart_is_undecided_and_one_round_has_no_ends(say: Say, value: float) -> None:
    (one,) = ratios.of([judged("indistinguishable", value, 0.0, INF)], lambda _: "")
    assert not one.decided and one.value == pytest.approx(max(value, 1 / value))
    assert one.shown == one.deciding == (0.0, INF)
