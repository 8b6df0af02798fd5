"""Every figure of a run has a badge that is computed from what is drawn; healthy ones pass, and nan is red."""

import numpy as np
import pytest
import yaml
from proof_cases import ASSETS, DRAWN, HEALTHY, drawn, is_red, verdict

from models import registry
from models.reconstruction import Check, worst
from models.records import ModelTrace
from viz import proof


# --- healthy ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DRAWN)
def test_a_healthy_figure_passes(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    check = verdict(name, drawn(name, trace), trace)
    assert check.passed and check.error < HEALTHY, check
    assert check.limit == 1e-4


def test_every_figure_of_a_run_has_a_check() -> None:
    """What draws a trace is checked; costs and results of the benchmark are not of a trace."""
    facts = yaml.safe_load((ASSETS / "figures.yaml").read_text("utf-8"))
    of_no_run = {
        "carried_bytes", "growth", "training_curves", "memory_vs_context", "decode_vs_context",
    }  # fmt: skip
    checked = {name.split()[0] for name in DRAWN} | {"four_machines", "recall_example"}
    assert checked == {*proof.CHECKS, *proof.CHECKS_OF_ALL}
    before_the_costs = list(facts)[: list(facts).index("memory_vs_context")]
    assert set(before_the_costs) - checked <= of_no_run, "a figure of a run without a check"


# --- the number -------------------------------------------------------------------------------------------------
def test_nan_hides_behind_no_larger_number() -> None:
    assert np.isnan(worst(1e-7, float("nan"), 2e-7)) and np.isnan(worst(np.array([1.0, np.nan]), 3.0))
    assert worst() == 0 and worst(np.zeros(0)) == 0 and worst(0.1, np.array([0.3, 0.2])) == 0.3
    assert not Check("rebuilds", float("nan"), 1e-4).passed
    assert not Check("rebuilds", float("inf"), 1e-4).passed


@pytest.mark.parametrize(("error", "passed"), [(0.9e-4, True), (1.1e-4, False)])
def test_the_limit_is_the_limit(error: float, passed: bool) -> None:
    assert Check("recomputed", error, 1e-4).passed is passed


def test_a_picture_that_cannot_be_compared_is_red(runs: dict[str, ModelTrace]) -> None:
    trace = runs["mamba"]
    figure = drawn("hidden_attention", trace)
    short = registry.trace(registry.load("mamba"), "Once")
    assert is_red(verdict("hidden_attention", figure, short))
    assert is_red(verdict("state_film", drawn("state_film", trace), runs["rwkv"]))
