"""Every badge is computed from what is drawn: healthy figures pass, a record that is spoiled after the run is red."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from proof_cases import (
    DRAWN,
    HEALTHY,
    MAPS,
    Spoil,
    another,
    drawn,
    is_red,
    logs,
    next_channel,
    nothing,
    one_nan,
    spoiled,
    token_before,
    verdict,
    waves,
)

from models import registry
from models.records.trace import ModelTrace
from viz import proof
from viz.gallery.figures import every


@pytest.mark.parametrize("name", DRAWN)
def test_a_healthy_figure_passes(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    check = verdict(name, drawn(name, trace), trace)
    assert check.passed and check.error < HEALTHY, check
    assert check.limit == 1e-4


@pytest.mark.parametrize("text", ["wolf", "Once upon a time"])
def test_half_lives_longer_than_a_short_text_pass(text: str) -> None:
    """Most channels halve beyond the text, so the median stands at its length: a true picture, not a red badge."""
    trace = registry.trace(registry.load("mamba"), text)
    distances = [layer.part("half_distance") for layer in trace.layers_with("half_distance")]
    assert any(np.isinf(np.median(row)) for row in distances)
    check = verdict("half_life", drawn("half_life", trace), trace)
    assert check.passed and check.error < HEALTHY, check


def test_every_check_of_one_run_is_tried_here() -> None:
    asked = {entry.id for entry in every().values() if entry.of == "asked"}  # test_attribution.py, test_anatomy.py
    tried = {name.split()[0] for name in DRAWN}
    assert {*proof.CHECKS} - asked <= tried <= {*proof.CHECKS}


HEADS: dict[str, Spoil] = MAPS | {"another head": another}
TOKENS: dict[str, Spoil] = {
    "token before": token_before, "next channel": next_channel, "random": waves, "squared": np.square, "log": logs,
    "a third more": lambda v: 1.3 * v, "one token": lambda v: np.concatenate([v[:5], 0 * v[5:6], v[6:]]),
    "nan": nothing, "one nan": one_nan,
}  # fmt: skip
CHANNELS: dict[str, Spoil] = {
    "next channel": another, "reversed": lambda v: v[::-1], "without ln 2": lambda v: v / np.log(2),
    "threefold": lambda v: 3 * v, "squared": np.square, "random": waves, "nan": nothing,
}  # fmt: skip
CHOSEN: dict[str, Spoil] = {
    "the next expert": lambda v: (v + 1) % 8, "the last choice first": lambda v: v[:, ::-1],
    "the token before": token_before, "one token": lambda v: np.concatenate([v[:5], (v[5:6] + 3) % 8, v[6:]]),
    "no expert": lambda v: v + 800,
}  # fmt: skip
WEIGHTS: dict[str, Spoil] = {
    "reversed": lambda v: v[:, ::-1], "a fifth stronger": lambda v: 1.2 * v, "token before": token_before,
    "adding up to 1": lambda v: v / v.sum(1, keepdims=True), "nan": nothing,
}  # fmt: skip
# Figures that count cannot be drawn of what is no expert.
KNOWN = {name: spoil for name, spoil in CHOSEN.items() if name != "no expert"}

SPOILED: Mapping[str, Mapping[str, Mapping[str, Spoil]]] = {
    "head_matrix": {"attention": HEADS},
    "head_logits": {"attention_logits": HEADS | {"2 S + 1": lambda v: 2 * v + 1}},
    "value_norm_matrix": {"value_norm": HEADS},
    "head_mosaic": {"attention": HEADS},
    "state_film": {"state": {"components reversed": lambda v: v * 0 + v[..., :1], **TOKENS}, "half_life": CHANNELS,
                   "dt": TOKENS},
    "state_slice": {"state": {"components reversed": lambda v: v[..., ::-1], **TOKENS}, "half_life": CHANNELS},
    "dt_map": {"dt": TOKENS, "half_life": CHANNELS},
    "hidden_attention": {"hidden_attention": MAPS},
    "half_life": {"half_life": CHANNELS},
    "channel_matrix (mamba)": {"dt": TOKENS, "write_proj": {"another": token_before}, "decay_rates": {
        "next channel": another, "twice": lambda v: 2 * v}},
    "channel_matrix (rwkv)": {
        "key": TOKENS | {"one token": lambda v: np.concatenate([v[:5], v[5:6] + 4, v[6:]])},
        "bonus": {"left out": lambda v: 0 * v, "next channel": another},
        "decay_rate": {"threefold": lambda v: 3 * v}},
    "decay_curves": {"decay_rate": CHANNELS, "bonus": {"left out": lambda v: 0 * v, "next channel": another},
                     "half_life": CHANNELS},
    "half_life_spectrum": {"half_life": CHANNELS},
    "effective_attention": {"effective_attention": MAPS},
    "receptance_map": {"receptance": {"before the sigmoid": lambda v: np.log(v / (1 - v)), **TOKENS},
                       "half_life": CHANNELS},
    "gated_attention": {"gated_attention": MAPS},
    "wkv_ink": {"key": TOKENS, "value": TOKENS, "receptance": TOKENS, "decay_rate": CHANNELS,
                "bonus": {"left out": lambda v: 0 * v, "next channel": another}, "mixer_output": TOKENS,
                "ffn_key": {"token before": token_before, "negative": lambda v: -v, "nan": nothing},
                "ffn_write": {"twice": lambda v: 2 * v, "nan": nothing}},
    "channel_moved": {"value": TOKENS, "receptance": TOKENS, "key": {"token before": token_before}},
    "key_curves": {"key": TOKENS, "decay_rate": CHANNELS,
                   "bonus": {"left out": lambda v: 0 * v, "next channel": another}},
    "half_life_histogram": {"half_life": {name: CHANNELS[name] for name in ("threefold", "squared", "random", "nan")}},
    "token_shift": {"shift_share": {
        "next channel": next_channel, "another mixture": another, "one minus": lambda v: 1 - v, "random": waves,
        "nan": nothing}},
    "channel_mix_zeros": {"ffn_key": {
        "token before": token_before, "next unit": next_channel, "negative": lambda v: -v, "random": waves,
        "nan": nothing}},
    "wkv_film": {"wkv_max": {"token before": token_before, "a third more": lambda v: 1.3 * v, "nan": nothing},
                 "wkv_num": TOKENS, "wkv_den": {"token before": token_before, "random": waves, "nan": nothing},
                 "half_life": CHANNELS},
    "full_layer": {"full_layer": MAPS},
    "full_channel": {"dt": TOKENS, "conv_weight": {"reversed": lambda v: v[:, ::-1], "another": another},
                     "conv_input": {"token before": token_before, "next channel": next_channel},
                     "conv_bias": {"left out": lambda v: 0 * v - 3, "another": another},
                     "gate": {"token before": token_before, "nan": nothing}},
    "content_decay": {"dt": TOKENS, "write_proj": {"token before": token_before}, "decay_rates": {"another": another},
                      "read_proj": {"token before": token_before, "nan": nothing}},
    "survival": {"dt": TOKENS, "decay_rates": {"twice": lambda v: 2 * v}},
    "memory_histogram": {"half_distance": CHANNELS},
    "memory_rates": {"dt": TOKENS, "decay_rates": {"next channel": another, "twice": lambda v: 2 * v},
                     "half_distance": {"twice": lambda v: 2 * v, "nan": nothing}},
    "state_norm": {"state": TOKENS, "half_life": CHANNELS},
    "state_difference": {"state": {k: v for k, v in TOKENS.items() if k != "one token"}, "half_life": CHANNELS},
    "reach": {"attention": {k: v for k, v in MAPS.items() if k != "one token"},
              "hidden_attention": {k: v for k, v in MAPS.items() if k != "one token"}},
    "layer_ribbon": {"attention": {k: v for k, v in MAPS.items() if k not in ("a third more", "sevenfold")},
                     "hidden_attention": {k: v for k, v in MAPS.items() if k != "one token"},
                     "chosen_experts": CHOSEN, "chosen_weights": WEIGHTS},
    "expert_lanes": {"chosen_experts": KNOWN, "chosen_weights": WEIGHTS},
    "router_bars": {"router_probs": {"temperature 3": lambda v: v ** (1 / 3) / (v ** (1 / 3)).sum(1, keepdims=True),
                                     "token before": token_before, "next expert": next_channel, "nan": nothing},
                    "chosen_experts": {"the next expert": lambda v: (v + 1) % 8, "token before": token_before}},
    "expert_load": {"chosen_experts": CHOSEN},
    "expert_balance": {"chosen_experts": KNOWN, "router_probs": {"nan": nothing}},
    "expert_pairs": {"chosen_experts": KNOWN},
    "expert_locality": {"chosen_experts": KNOWN},
    "expert_words": {"chosen_experts": KNOWN},
    "layer_flow": {"attention": {k: v for k, v in MAPS.items() if k != "one token"}, "state": TOKENS,
                   "chosen_experts": KNOWN, "chosen_weights": WEIGHTS},
    "hybrid_stack": {"attention": MAPS, "hidden_attention": MAPS},
}  # fmt: skip


HARMLESS = {
    ("memory_rates", "dt", "token before"),  # the mean over all tokens
    ("state_film", "dt", "next channel"),  # the bars are the mean over all channels
    ("half_life_histogram", "half_life", "nan"),  # columns without numbers cannot be drawn either
    ("half_life", "half_life", "nan"),  # an axis without numbers cannot be drawn: see the finished picture below
    ("layer_ribbon", "attention", "one token"),  # one query of one head of eight: its mean is checked, not its zero
    ("decay_curves", "half_life", "threefold"),  # orders channels, and so does three times it
    ("decay_curves", "half_life", "without ln 2"),
    ("decay_curves", "half_life", "squared"),
    ("decay_curves", "half_life", "nan"),
    ("decay_curves", "half_life", "next channel"),
    ("decay_curves", "half_life", "reversed"),
    ("decay_curves", "half_life", "random"),
}
RECORD_CASES = [
    pytest.param(name, part, kind, id=f"{name}-{part}-{kind}")
    for name, parts in SPOILED.items()
    for part, spoils in parts.items()
    for kind in spoils
    if (name, part, kind) not in HARMLESS
]


@pytest.mark.parametrize(("name", "part", "kind"), RECORD_CASES)
def test_a_spoiled_record_is_red(name: str, part: str, kind: str, runs: dict[str, ModelTrace]) -> None:
    """The figure is drawn from the spoiled record, and checked against the same spoiled trace."""
    trace = spoiled(runs[DRAWN[name][0]], part, SPOILED[name][part][kind])
    check = verdict(name, drawn(name, trace), trace)
    assert is_red(check), check


@pytest.mark.parametrize("name", ["state_film", "state_slice"])
def test_one_channel_wiped_at_one_token_is_red(name: str, runs: dict[str, ModelTrace]) -> None:
    """A maximum over a whole layer misses a fourth of these; a number per channel and token misses none."""
    trace = runs["mamba"]
    for layer in (0, 5, 11):
        figure = drawn(name, trace, layer=layer)
        for row, channel in enumerate(figure.data["channel"].values[::7]):
            token = (5 * row + 3) % len(trace.tokens)

            def wiped(values: np.ndarray, token: int = token, channel: int = int(channel)) -> np.ndarray:
                values[token, channel] = 0
                return values

            other = spoiled(trace, "state", wiped, layer)
            redrawn = drawn(name, other, layer=layer)
            if channel in redrawn.data["channel"].values:  # the choice of rows may have moved on to another channel
                check = verdict(name, redrawn, other, layer=layer)
                assert not check.passed, (layer, token, channel, check)


LAYERED = [name for name, (_, _, choice) in DRAWN.items() if choice.get("layer") is not None and name != "head_mosaic"]


@pytest.mark.parametrize("name", LAYERED)
def test_a_picture_of_another_layer_head_or_token_is_red(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    choice = DRAWN[name][2]
    figure = drawn(name, trace)
    layers = [layer.index for layer in trace if layer.mixer == trace.layer(choice["layer"]).mixer]
    layers = [n for n in layers if set(trace.layer(n).parts) == set(trace.layer(choice["layer"]).parts)]
    wrong: list[dict[str, Any]] = [{"layer": n} for n in layers if n != choice["layer"]]
    wrong += [{key: choice[key] + 1} for key in ("head", "channel", "position") if key in choice]
    assert len(wrong) >= 3
    for other in wrong:
        assert is_red(verdict(name, figure, trace, **other)), other


SWAPPED = {"state", "dt", "attention", "attention_logits", "value_norm", "hidden_attention", "effective_attention",
           "receptance", "wkv_num", "half_life", "decay_rate", "chosen_experts"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name, parts in SPOILED.items() for part in parts if part in SWAPPED]
)
def test_the_part_of_another_layer_is_red(name: str, part: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    layers = trace.layers_with(part)
    at = DRAWN[name][2].get("layer")
    at = layers[0].index if at is None else at
    if (name, part) == ("decay_curves", "half_life") or len(layers) < 2:
        return  # orders channels; Jamba has one attention layer
    source = next(layer for layer in layers if layer.index != at)
    other = spoiled(trace, part, lambda _: np.array(source.part(part)), at)
    assert is_red(verdict(name, drawn(name, other), other))
