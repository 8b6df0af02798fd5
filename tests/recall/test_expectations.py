"""Verdicts follow from the numbers: each expectation is met, missed and left open by cells made for it."""

from collections.abc import Mapping, Sequence

import pytest

from models.recall import study
from models.recall.expectations import EXPECTED, Finding, findings
from models.records.recall import Accuracy
from pages.shared.words import i18n

TRAINED = {"distance": 64, "pairs": 8}


def cells(accuracy: Mapping[tuple[int, int], float], *, margin: float = 0.02) -> list[Accuracy]:
    return [
        Accuracy({"distance": d, "pairs": p}, a, max(0.0, a - margin), min(1.0, a + margin), 640, 100, 1000)
        for (d, p), a in accuracy.items()
    ]


def flat(value: float, beyond: float | None = None) -> dict[tuple[int, int], float]:
    return {(d, p): value if d <= 64 or beyond is None else beyond for d in (16, 64, 128) for p in (2, 8)}


def judged(runs: Mapping[str, Sequence[Sequence[Accuracy]]], task: str = "mqar") -> dict[str, Finding]:
    return {finding.key: finding for finding in findings(task, runs, TRAINED)}


@pytest.mark.parametrize(("many", "verdict"), [(0.97, "yes"), (0.90, "no"), (0.96, "unclear")])
def test_attention_must_reach_its_limit_with_the_whole_interval(many: float, verdict: str) -> None:
    found = judged({"transformer": [cells({(16, 2): 1.0, (16, 8): many})]})
    assert found["attention_pairs"].verdict == verdict
    assert found["attention_pairs"].observed == {"few": 1.0, "many": pytest.approx(many), "limit": 0.95}


@pytest.mark.parametrize(("many", "verdict"), [(0.7, "yes"), (0.95, "no"), (0.86, "unclear"), (0.83, "unclear")])
def test_a_state_that_fills_up_must_fall_beyond_its_intervals(many: float, verdict: str) -> None:
    """At two pairs 0.9 is 0.77 beyond guessing, as 0.845 is at eight: that accuracy falls there is guessing alone."""
    found = judged({"mamba": [cells({(16, 2): 0.9, (16, 8): many})]})
    assert found["mamba_pairs"].verdict == verdict


def test_seeds_that_disagree_leave_it_open() -> None:
    steep, level = cells({(16, 2): 0.9, (16, 8): 0.5}), cells({(16, 2): 0.8, (16, 8): 0.85})
    assert judged({"rwkv": [steep]})["rwkv_pairs"].verdict == "yes"
    assert judged({"rwkv": [steep, level]})["rwkv_pairs"].verdict == "unclear"
    assert judged({"rwkv": [steep, steep]})["rwkv_pairs"].verdict == "yes"


def test_seeds_are_compared_with_themselves() -> None:
    """Every seed falls, though one of them ends higher than the other begins."""
    good, poor = cells({(16, 2): 0.99, (16, 8): 0.9}), cells({(16, 2): 0.9, (16, 8): 0.5})
    found = judged({"rwkv": [good, poor]})["rwkv_pairs"]
    assert found.verdict == "yes"
    assert found.observed["few"] == pytest.approx((0.99 + 0.9 - 2 * 0.5625) / 2 / (1 - 0.5625))


def test_cells_beyond_training_do_not_count_inside() -> None:
    found = judged({"transformer": [cells(flat(0.99, beyond=0.1))]})
    assert found["attention_pairs"].verdict == "yes"


@pytest.mark.parametrize(
    ("attention", "recurrent", "verdict"), [(0.2, 0.6, "yes"), (0.6, 0.2, "no"), (0.59, 0.6, "unclear")]
)
def test_beyond_training_the_recurrent_model_that_loses_less_is_compared(attention, recurrent, verdict) -> None:
    runs = {
        "transformer": [cells(flat(1.0, beyond=attention))],
        "mamba": [cells(flat(1.0, beyond=recurrent))],
        "rwkv": [cells(flat(1.0, beyond=0.1))],
    }
    found = judged(runs)["beyond_training"]
    assert found.verdict == verdict
    assert found.observed == pytest.approx({"attention": 1 - attention, "recurrent": 1 - recurrent})


def test_beyond_training_what_is_lost_counts_and_not_what_is_left() -> None:
    """Attention is left with less than Mamba in both seeds, and has lost less."""
    runs = {
        "transformer": [cells(flat(0.5, beyond=0.4)), cells(flat(0.6, beyond=0.5))],
        "mamba": [cells(flat(1.0, beyond=0.6)), cells(flat(0.9, beyond=0.6))],
        "rwkv": [cells(flat(1.0, beyond=0.1)), cells(flat(1.0, beyond=0.1))],
    }
    found = judged(runs)["beyond_training"]
    assert found.verdict == "no"
    assert found.observed == pytest.approx({"attention": 0.1, "recurrent": 0.35})
    runs["mamba"][1] = cells(flat(0.65, beyond=0.6))  # this seed loses less than attention, the other more
    assert judged(runs)["beyond_training"].verdict == "unclear"


@pytest.mark.parametrize(
    ("hybrid", "verdict"),
    [((0.97, 0.98), "yes"), ((0.93, 0.99), "yes"), ((0.5, 0.98), "unclear"), ((0.92, 0.93), "no"), ((0.5, 0.6), "no")],
)
def test_a_hybrid_recalls_like_attention_only_where_every_seed_does(hybrid: Sequence[float], verdict: str) -> None:
    runs = {
        "transformer": [cells(flat(0.97)), cells(flat(0.98))],
        "jamba": [cells(flat(value)) for value in hybrid],
    }
    assert judged(runs)["hybrid_recalls"].verdict == verdict


@pytest.mark.parametrize(
    ("near", "far", "verdict"),
    [((0.9,), (0.9,), "yes"), ((0.9,), (0.86,), "unclear"), ((0.9,), (0.84,), "unclear"), ((0.9,), (0.8,), "no"),
     ((0.9, 0.6), (0.88, 0.58), "yes"), ((0.9, 0.9), (0.95, 0.82), "unclear"), ((0.9, 0.6), (0.8, 0.5), "no")],
)  # fmt: skip
def test_selection_loses_nothing_only_where_the_whole_interval_says_so(near, far, verdict: str) -> None:
    runs = {"mamba": [cells({(16, 8): a, (64, 8): b}) for a, b in zip(near, far, strict=True)]}
    assert judged(runs, "induction")["selection_distance"].verdict == verdict


def test_what_was_not_measured_is_not_judged() -> None:
    assert judged({"mamba": []}) == {}
    assert set(judged({"mamba": [cells(flat(0.9))]})) == {"mamba_pairs"}
    assert findings("no such task", {}, {}) == []


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("task", EXPECTED)
def test_every_finding_of_the_record_has_its_words(task: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(i18n.STRICT_VARIABLE, "1")
    record = study.recorded(task)
    runs = {
        name: [[Accuracy(**cell) for cell in run["cells"]] for run in entry["runs"]]
        for name, entry in record["architectures"].items()
    }
    found = findings(task, runs, record["trained_to"])
    assert len(found) == len(EXPECTED[task])
    for finding in found:
        for side in ("expected", "observed"):
            words = i18n.say(
                lang, f"recall.finding.{finding.key}.{side}", **{k: f"{v:.0%}" for k, v in finding.observed.items()}
            )
            assert "{" not in words
        assert i18n.has(lang, f"recall.verdict.{finding.verdict}")
