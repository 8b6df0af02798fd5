"""RWKV 4 to 7 on a toy input: plain loops from the papers' equations, known answers, and what each version adds."""

import math

import numpy as np
import pytest

from models.errors import SettingError
from models.simulation import rwkv
from models.simulation.ladder import KEYS, TOKENS, VALUES, ladder

T, D = 6, 4
CLOSE = 1e-12


def inputs(tokens: int = T, size: int = D) -> dict[str, np.ndarray]:
    """Fixed numbers without pattern."""
    place = np.arange(tokens * size, dtype=float)
    made = {
        name: np.sin(pace * (place + 1) ** 1.5).reshape(tokens, size)
        for name, pace in zip("rkvda", range(1, 6), strict=True)
    }
    made["a"] = (1 + made["a"]) / 2
    made["d"] -= 2
    return made | {"u": np.cos(np.arange(size))}


def test_version_4_is_a_softmax_over_the_past() -> None:
    """wkv_t = sum_i softmax_i(-(t-1-i) w + k_i ; u + k_t) v_i, gated by sigmoid(r)."""
    x = inputs()
    states, outputs = rwkv.wkv4(x["d"][0], x["u"], x["r"], x["k"], x["v"])
    for c in range(D):
        w = math.exp(x["d"][0][c])
        for t in range(T):
            scores = [-(t - 1 - i) * w + x["k"][i][c] for i in range(t)] + [x["u"][c] + x["k"][t][c]]
            odds = [math.exp(s) for s in scores]
            wkv = sum(o * x["v"][i][c] for i, o in enumerate(odds)) / sum(odds)
            assert outputs[t][c] == pytest.approx(wkv / (1 + math.exp(-x["r"][t][c])), rel=CLOSE)
            past = [math.exp(-(t - i) * w + x["k"][i][c]) for i in range(t + 1)]
            assert states[t][1][c] == pytest.approx(sum(past), rel=CLOSE)
            assert states[t][0][c] == pytest.approx(sum(p * x["v"][i][c] for i, p in enumerate(past)), rel=1e-11)


@pytest.mark.parametrize("version", [5, 6])
def test_versions_5_and_6_are_sums_over_the_past(version: int) -> None:
    """S_t[i, j] = sum_s k_s[i] v_s[j] prod_(s < m <= t) w_m[i]; the bonus u multiplies the present token alone."""
    x = inputs()
    decay = x["d"] if version == 6 else np.broadcast_to(x["d"][0], (T, D))
    made = rwkv.wkv6(x["d"], x["u"], x["r"], x["k"], x["v"]) if version == 6 else rwkv.wkv5(
        x["d"][0], x["u"], x["r"], x["k"], x["v"])  # fmt: skip
    states, outputs = made

    def held(t: int, i: int, j: int) -> float:
        total = 0.0
        for s in range(t + 1):
            kept = math.prod(math.exp(-math.exp(decay[m][i])) for m in range(s + 1, t + 1))
            total += x["k"][s][i] * x["v"][s][j] * kept
        return total

    for t in range(T):
        for j in range(D):
            for i in range(D):
                assert states[t][i][j] == pytest.approx(held(t, i, j), rel=1e-10, abs=1e-14)
            read = sum(
                x["r"][t][i] * ((held(t - 1, i, j) if t else 0.0) + x["u"][i] * x["k"][t][i] * x["v"][t][j])
                for i in range(D)
            )
            assert outputs[t][j] == pytest.approx(read, rel=1e-10, abs=1e-14)


def test_version_7_removes_what_the_key_held() -> None:
    """Entry by entry: S[j, i] <- S[j, i] w_i - (S[j] . kn) a_i kn_i + v_j k_i (S is value by key)."""
    x = inputs()
    states, outputs = rwkv.wkv7(x["d"], x["a"], x["r"], x["k"], x["v"])
    s = [[0.0] * D for _ in range(D)]
    for t in range(T):
        size = math.sqrt(sum(value * value for value in x["k"][t]))
        unit = [value / size for value in x["k"][t]]
        w = [math.exp(-math.exp(-0.5) / (1 + math.exp(-d))) for d in x["d"][t]]
        assert all(0.545 < one < 1 for one in w)
        s = [
            [
                s[j][i] * w[i]
                - sum(s[j][m] * unit[m] for m in range(D)) * x["a"][t][i] * unit[i]
                + x["v"][t][j] * x["k"][t][i]
                for i in range(D)
            ]
            for j in range(D)
        ]
        for j in range(D):
            assert outputs[t][j] == pytest.approx(sum(s[j][i] * x["r"][t][i] for i in range(D)), rel=1e-10)
            for i in range(D):
                assert states[t][i][j] == pytest.approx(s[j][i], rel=1e-10, abs=1e-14)


def test_version_6_with_one_decay_is_version_5() -> None:
    x = inputs()
    same = rwkv.wkv6(np.broadcast_to(x["d"][0], (T, D)), x["u"], x["r"], x["k"], x["v"])
    for one, other in zip(same, rwkv.wkv5(x["d"][0], x["u"], x["r"], x["k"], x["v"]), strict=True):
        assert np.array_equal(one, other)
    assert not np.allclose(same[0], rwkv.wkv6(x["d"], x["u"], x["r"], x["k"], x["v"])[0])


def test_version_7_without_a_rate_only_adds() -> None:
    """a = 0 leaves the outer products of version 6, under version 7's decay."""
    x = inputs()
    states, _ = rwkv.wkv7(x["d"], 0 * x["a"], x["r"], x["k"], x["v"])
    inverse = np.log(-np.log(rwkv.kept7(x["d"])))  # the d at which version 6 keeps as much
    known, _ = rwkv.wkv6(inverse, x["u"], x["r"], x["k"], x["v"])
    assert np.allclose(states, known, rtol=1e-10)


def test_version_7_without_decay_replaces_the_whole_value() -> None:
    """a = 1 and w = 1: the key reads exactly the value written last (the delta rule)."""
    key, never = np.array([[0.6, 0.8], [0.6, 0.8]]), np.full((2, 2), -60.0)
    values = np.array([[3.0, -1.0], [0.5, 2.0]])
    states, outputs = rwkv.wkv7(never, np.ones((2, 2)), key, key, values)
    assert np.allclose(key[1] @ states[1], values[1]) and np.allclose(outputs[1], values[1])


def test_a_token_without_a_key_removes_nothing() -> None:
    nothing = np.zeros((1, D))
    states, outputs = rwkv.wkv7(nothing, nothing + 1, nothing, nothing, nothing)
    assert not states.any() and not outputs.any()


def outputs_of(**settings: float) -> dict[int, np.ndarray]:
    chosen = {"strength": 1.0, "decay": -3.0, "stop": 2.0, "rate": 1.0} | settings
    return {run.version: run.output.values for run in ladder(**chosen).runs}


def test_what_each_version_adds() -> None:
    """Asked for A, whose value 1 became 2: version 5 gives both, 7 the new one; the full stop makes B fade in 6."""
    asked_a, asked_b = (n for n, token in enumerate(TOKENS) if token.asks is not None)
    found = outputs_of()
    assert found[5][asked_a][0] / found[5][asked_a][1] > 0.75
    assert abs(found[7][asked_a][0]) < 0.05 < 0.9 < found[7][asked_a][1]
    assert found[6][asked_b][1] < found[5][asked_b][1]
    assert np.allclose(outputs_of(stop=0.0)[6], outputs_of(stop=0.0)[5])
    # Version 4 has no addresses: both questions find the same mean, but for the gate and two steps of fading.
    gate = [[1 / (1 + math.exp(-1.0)) if key == asks else 0.5 for key in range(KEYS)] for asks in (0, 1)]
    mean_a, mean_b = found[4][asked_a] / gate[0], found[4][asked_b] / gate[1]
    assert np.argsort(mean_a).tolist() == np.argsort(mean_b).tolist()


def test_the_shapes_of_the_ladder() -> None:
    runs = ladder(strength=1, decay=-3, stop=2, rate=0.5).runs
    assert [run.version for run in runs] == [4, 5, 6, 7]
    assert [run.state.values.shape for run in runs] == [(len(TOKENS), 2, VALUES)] + 3 * [(len(TOKENS), KEYS, VALUES)]
    for run in runs:
        assert np.isfinite(run.state.values).all() and np.isfinite(run.output.values).all()
        assert ((run.kept.values > 0) & (run.kept.values < 1)).all()


@pytest.mark.parametrize("setting", ["strength", "decay", "stop", "rate"])
def test_settings_have_a_range(setting: str) -> None:
    with pytest.raises(SettingError, match=setting):
        outputs_of(**{setting: 99.0})
