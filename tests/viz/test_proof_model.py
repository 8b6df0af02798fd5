"""A model or a capture that is spoiled has a red badge, and no number hides another."""

import numpy as np
import pytest
from proof_cases import HEALTHY, RED, TEXT, drawn, is_red, nothing, shifted, spoiled, verdict

from models import registry
from models.reconstruction import Check, reconstruction_errors, worst
from models.records.trace import ModelTrace


def test_a_scan_that_decays_too_fast_in_model_and_record_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wrong kernel ran the model and recorded the states: they agree with each other, not with float64."""
    from models.operators import binding
    from models.tracing.parts import state_space

    ran, traced = binding.selective_scan_fast, state_space.selective_scan_traced
    monkeypatch.setattr(
        binding, "selective_scan_fast", lambda u, dt, A, *rest, **more: ran(u, dt, 1.3 * A, *rest, **more)
    )
    monkeypatch.setattr(
        state_space, "selective_scan_traced", lambda u, dt, A, *rest, **more: traced(u, dt, 1.3 * A, *rest, **more)
    )
    trace = registry.trace(registry.load("mamba"), TEXT)
    for name in ("state_film", "state_slice", "dt_map"):
        assert is_red(verdict(name, drawn(name, trace), trace)), name


def test_a_decay_that_is_wrong_in_model_and_record_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.operators import binding
    from models.tracing.parts import time_mix

    ran, traced = binding.wkv_fast, time_mix.wkv_traced
    monkeypatch.setattr(binding, "wkv_fast", lambda w, *rest, **more: ran(1.3 * w, *rest, **more))
    monkeypatch.setattr(time_mix, "wkv_traced", lambda w, *rest, **more: traced(1.3 * w, *rest, **more))
    trace = registry.trace(registry.load("rwkv"), TEXT)
    for name in ("wkv_film", "receptance_map", "decay_curves", "channel_matrix (rwkv)"):
        assert is_red(verdict(name, drawn(name, trace), trace)), name


@pytest.mark.parametrize(
    ("source", "weight", "layer", "part"),
    [
        ("transformer", "self_attn.o_proj.weight", 4, "value_norm"),
        ("jamba", "feed_forward.experts.gate_up_proj", 3, "chosen_experts"),
        ("jamba", "feed_forward.experts.down_proj", 3, "chosen_experts"),
    ],
)
def test_a_weight_that_changes_after_the_run_is_red(source: str, weight: str, layer: int, part: str) -> None:
    """What is derived on demand uses the model's weights; after the run these are no longer those of the run."""
    checkpoint = registry.load(source)
    trace = registry.trace(checkpoint, TEXT)
    checkpoint.model.base_model.layers[layer].get_parameter(weight).data.mul_(1.05)
    errors = reconstruction_errors(trace.layer(layer))
    assert errors[part] > RED


@pytest.mark.parametrize(
    ("source", "part", "red"),
    [
        ("transformer", "head_output", {"attention", "value_norm"}),
        ("transformer", "head_value", {"attention", "value_norm"}),
        ("transformer", "head_query", {"attention", "attention_logits"}),
        ("transformer", "head_key", {"attention", "attention_logits"}),
        ("transformer", "output_gram", {"value_norm"}),
        ("mamba", "mixer_output", {"state"}),
        ("mamba", "scan_input", {"state"}),
        ("mamba", "gate", {"state"}),
        ("mamba", "read_proj", {"state", "hidden_attention"}),
        ("mamba", "write_proj", {"state", "hidden_attention"}),
        ("mamba", "dt_input", {"dt", "state", "hidden_attention", "half_life"}),
        ("mamba", "dt_weight", {"dt", "state", "hidden_attention", "half_life"}),
        ("mamba", "dt_bias", {"dt", "state", "half_life"}),
        ("mamba", "decay_log", {"decay_rates", "state", "hidden_attention"}),
        ("rwkv", "mixer_output", {"receptance"}),
        ("rwkv", "receptance_logit", {"receptance"}),
        ("rwkv", "time_decay", {"decay_rate", "wkv_num", "effective_attention", "half_life"}),
        ("rwkv", "key", {"wkv_num", "effective_attention"}),
        ("rwkv", "value", {"wkv_num", "receptance"}),
        ("rwkv", "bonus", {"receptance", "effective_attention"}),
        ("jamba", "router_logits", {"router_probs"}),
        ("jamba", "expert_output", {"chosen_experts"}),
        ("jamba", "mixture_output", {"chosen_experts"}),
    ],
)
def test_one_spoiled_capture_is_red(source: str, part: str, red: set[str], runs: dict[str, ModelTrace]) -> None:
    """No number compares a thing with itself: moving either side of a comparison by one place is seen."""
    trace = runs[source]
    layer = trace.layers_with(part)[1].index
    healthy = reconstruction_errors(trace.layer(layer))
    assert max(healthy.values()) < HEALTHY
    for spoil in (shifted, nothing):
        errors = reconstruction_errors(spoiled(trace, part, spoil, layer).layer(layer))
        for name in red:
            assert not errors[name] <= RED, (part, name)


def bumped(values: np.ndarray) -> np.ndarray:
    values.reshape(-1)[-1] += np.abs(values).max()
    return values


def bumped_choice(values: np.ndarray) -> np.ndarray:
    values[-1, 0] = (values[-1, 0] + 1) % 8
    return values


def test_one_recorded_number_is_red_in_its_layer(runs: dict[str, ModelTrace]) -> None:
    """Every part with a check notices one number of its own that grows by the largest."""
    for trace in runs.values():
        for layer in (trace.layers[0], trace.layers[-1]):
            for part in set(reconstruction_errors(layer)) - {"decay_rates", "decay_rate"}:
                errors = reconstruction_errors(
                    spoiled(trace, part, bumped_choice if part == "chosen_experts" else bumped, layer.index).layer(
                        layer.index
                    )
                )
                assert errors[part] > RED, (trace.architecture, part)


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
