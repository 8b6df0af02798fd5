"""The finder of RWKV's channels: every number by a plain loop over P, and a check that turns red for other numbers."""

import dataclasses

import numpy as np
import pytest
from time_mix_records import LAYERS, WIDTH, trace_of, weights

from models.records.trace import PARTS, ModelTrace, NamedArray
from viz import proof
from viz.look.theme import LIGHT
from viz.proof.finder import table_of
from viz.trace.decay_finder import METRICS, decay_finder, reach


@pytest.fixture(scope="module")
def like(traces) -> ModelTrace:
    return traces["rwkv"]


def texts(like: ModelTrace, *lengths: int) -> list[ModelTrace]:
    return [trace_of(like, length) for length in lengths]


def known(trace: ModelTrace, layer: int, channel: int, *, equal: bool = False) -> tuple[float, float]:
    """Average the share of earlier tokens and its distance over the tokens from the second on."""
    shown = trace.layer(layer)
    key = shown.part("key")[:, channel].astype(float)
    key = 0 * key if equal else key
    rate, bonus = float(shown.part("decay_rate")[channel]), float(shown.part("bonus")[channel])
    rows = [weights(rate, bonus, key, t) for t in range(1, len(key))]
    far = [sum(p * (len(row) - 1 - i) for i, p in enumerate(row)) for row in rows]
    return sum(1 - row[-1] for row in rows) / len(rows), sum(far) / len(rows)


def test_every_number_is_that_of_a_plain_loop(like, english) -> None:
    own, sample = texts(like, 9, 5)
    figure = decay_finder([own, sample], theme=LIGHT, t=english)
    rows, columns = table_of(figure)
    assert rows == [(layer, channel) for layer in range(LAYERS) for channel in range(WIDTH)]
    assert list(columns) == list(METRICS)
    for at, (layer, channel) in enumerate(rows):
        for trace, side in ((own, "here"), (sample, "there")):
            past, distance = known(trace, layer, channel)
            even_past, even_distance = known(trace, layer, channel, equal=True)
            assert columns["past"][side][at] == pytest.approx(past, rel=1e-5)
            assert columns["distance"][side][at] == pytest.approx(distance, rel=1e-5)
            assert columns["past"][f"chance_{side}"][at] == pytest.approx(even_past, rel=1e-5)
            assert columns["distance"][f"chance_{side}"][at] == pytest.approx(even_distance, rel=1e-5)
            gate = trace.layer(layer).part("receptance")[:, channel]
            assert columns["receptance"][side][at] == pytest.approx(float(gate.mean()), rel=1e-5)
    assert set(columns["half_life"]) == {"here"}
    halves = columns["half_life"]["here"]
    layer, channel = rows[int(halves.argmax())]
    assert f"layer {layer} · channel {channel}" in figure.finding


def test_strong_keys_do_not_overflow() -> None:
    key = np.array([[300.0], [-300.0], [10.0], [-10.0]])
    past, distance = reach(np.array([0.5]), np.array([1.0]), key)
    assert np.isfinite(past).all() and past[0] == pytest.approx(1.0) and distance[0] == pytest.approx(2.0)


def test_a_single_token_has_no_past(like, english) -> None:
    one, sample = texts(like, 1, 5)
    figure = decay_finder([one, sample], theme=LIGHT, t=english)
    _, columns = table_of(figure)
    assert np.isnan(columns["past"]["here"]).all() and np.isfinite(columns["past"]["there"]).all()
    check = proof.check(figure, [one, sample])
    assert check is not None and check.passed


SPOILS = {
    "key": lambda v: np.roll(v, 1, axis=0),
    "bonus": lambda v: v[::-1],
    "decay_rate": lambda v: 3 * v,
    "receptance": lambda v: np.roll(v, 1, axis=1),
    "mixer_output": lambda v: v[:, ::-1],
    "half_life": lambda v: v[::-1],
}


@pytest.mark.parametrize("part", SPOILS)
def test_a_picture_of_another_record_is_red(like, english, part: str) -> None:
    traces = texts(like, 8, 6)
    check = proof.check(decay_finder(traces, theme=LIGHT, t=english), traces)
    assert check is not None and check.passed and check.error < 1e-5
    layers = []
    for layer in traces[0]:
        bad = NamedArray(np.array(SPOILS[part](np.array(layer.part(part)))), PARTS[part])
        layers.append(dataclasses.replace(layer, parts={**layer.parts, part: bad}))
    spoiled = dataclasses.replace(traces[0], layers=tuple(layers))
    check = proof.check(decay_finder([spoiled, traces[1]], theme=LIGHT, t=english), traces)
    assert check is not None and not check.error <= 1e-3
