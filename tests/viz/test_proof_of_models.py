"""Pictures of several models, wrong kernels, and weights or captures that change after the run: all red."""

import dataclasses

import numpy as np
import pytest
from proof_cases import (
    HEALTHY,
    MAPS,
    RED,
    TEXT,
    drawn,
    english,
    is_red,
    nothing,
    shifted,
    spoiled,
    verdict,
)

from models import registry
from models.alignment import align_all
from models.reconstruction import reconstruction_errors
from models.records import LayerTrace, ModelTrace
from viz import proof
from viz.overview import four_machines
from viz.recall_example import recall_example
from viz.theme import LIGHT

# --- several models ---------------------------------------------------------------------------------------------
MIXING = {"transformer": "attention", "mamba": "hidden_attention", "rwkv": "effective_attention"}


@pytest.mark.parametrize("architecture", MIXING)
@pytest.mark.parametrize("kind", ["transposed", "shifted", "mirrored", "random", "squared", "log", "constant", "nan"])
def test_a_spoiled_map_of_one_machine_is_red(architecture: str, kind: str, runs: dict[str, ModelTrace]) -> None:
    traces = list(runs.values())
    healthy = proof.check(four_machines(traces, theme=LIGHT, t=english), traces)
    assert healthy is not None and healthy.error < HEALTHY
    part = MIXING[architecture]
    others = [spoiled(t, part, MAPS[kind]) if t.architecture == architecture else t for t in traces]
    check = proof.check(four_machines(others, theme=LIGHT, t=english), others)
    assert check is not None and is_red(check), check


def last_head(layer: LayerTrace) -> np.ndarray:
    """Return what looks like the mean over heads, and is the last head alone."""
    values = layer.part(MIXING.get(layer.mixer, "attention"))
    return values[-1] if layer.mixer == "attention" else values


def test_machines_in_another_order_and_means_of_something_else_are_red(
    runs: dict[str, ModelTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = list(runs.values())
    figure = four_machines(traces[::-1], theme=LIGHT, t=english)
    assert is_red(proof.check(figure, traces))  # type: ignore[arg-type]
    monkeypatch.setattr("viz.overview.mixing_of", last_head)
    assert is_red(proof.check(four_machines(traces, theme=LIGHT, t=english), traces))  # type: ignore[arg-type]


def test_machines_that_cut_a_text_differently_are_laid_out_as_they_say(runs: dict[str, ModelTrace]) -> None:
    """One model reads half of the words as single tokens; the check follows each token to its place."""
    first = runs["rwkv"]
    traces = [first, registry.trace(registry.load("transformer"), TEXT)]
    alignment = align_all(first.prompt, [trace.tokens for trace in traces])
    figure = four_machines(traces, theme=LIGHT, t=english, alignment=alignment)
    check = proof.check(figure, traces, alignment=alignment)
    assert check is not None and check.error < HEALTHY
    owners = (tuple(alignment.owners[0][::-1]), alignment.owners[1])
    assert is_red(proof.check(figure, traces, alignment=dataclasses.replace(alignment, owners=owners)))  # type: ignore[arg-type]


@pytest.mark.parametrize("asked_at", [12, 20])
def test_the_asking_row_is_checked(asked_at: int, runs: dict[str, ModelTrace]) -> None:
    traces = list(runs.values())
    choice = {"asked_at": asked_at, "answer_at": 3}
    figure = recall_example(traces, theme=LIGHT, t=english, **choice)
    check = proof.check(figure, traces, **choice)
    assert check is not None and check.error < HEALTHY
    assert is_red(proof.check(figure, traces, asked_at=asked_at - 1, answer_at=3))  # type: ignore[arg-type]
    for architecture, part in MIXING.items():
        for kind in ("transposed", "shifted", "random", "squared", "nan"):
            others = [spoiled(t, part, MAPS[kind]) if t.architecture == architecture else t for t in traces]
            other = proof.check(recall_example(others, theme=LIGHT, t=english, **choice), others, **choice)
            assert other is not None and is_red(other), (architecture, kind)


# --- the model is spoiled ---------------------------------------------------------------------------------------
def test_a_scan_that_decays_too_fast_in_model_and_record_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wrong kernel ran the model and recorded the states: they agree with each other, not with float64."""
    from models import binding
    from models.parts import state_space

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
    from models import binding
    from models.parts import time_mix

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
