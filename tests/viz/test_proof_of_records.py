"""A record that is spoiled after the run turns the badge of every figure that draws it red."""

from typing import Any

import numpy as np
import pytest
from proof_cases import DRAWN, SPOILED, drawn, is_red, spoiled, verdict

from models.records import ModelTrace

HARMLESS = {
    ("state_film", "dt", "next channel"),  # the bars are the mean over all channels
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
