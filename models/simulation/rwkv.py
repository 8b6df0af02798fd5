"""The time mixing of RWKV-4 to RWKV-7 on one head, as the papers write it, in float64 token by token.

Peng et al. 2023 (version 4), 2024 (versions 5 "Eagle" and 6 "Finch"), 2025 (version 7 "Goose"). Left out is what stands
around it: token shift, projections, normalisation, output gate, and the bonus that version 7 adds after normalisation.
Shapes: r, k (t, key), v (t, value), decay (key,) or (t, key), bonus u (key,). States are returned after every token.
"""

import numpy as np
import numpy.typing as npt

Wide = npt.NDArray[np.float64]


def wkv4(decay: Wide, u: Wide, r: Wide, k: Wide, v: Wide) -> tuple[Wide, Wide]:
    """Run version 4: two sums per channel. decay: d, the factor per token is exp(-exp(d)).

    Returns the sums (t, 2, channel), numerator first, and sigmoid(r) wkv (t, channel); keys and values have one size.
    """
    factor = np.exp(-np.exp(decay))
    num, den = np.zeros(v.shape[1]), np.zeros(v.shape[1])
    states, outputs = [], []
    for r_t, k_t, v_t in zip(r, k, v, strict=True):
        now = np.exp(u + k_t)
        wkv = (num + now * v_t) / (den + now)
        outputs.append(wkv / (1 + np.exp(-r_t)))
        num, den = factor * num + np.exp(k_t) * v_t, factor * den + np.exp(k_t)
        states.append(np.stack([num, den]))
    return np.stack(states), np.stack(outputs)


def wkv5(decay: Wide, u: Wide, r: Wide, k: Wide, v: Wide) -> tuple[Wide, Wide]:
    """Run version 5: a matrix, whose rows fade at fixed speeds, exp(-exp(d)). Returns states (t, key, value), outputs.

    S_t = diag(w) S_(t-1) + k_t^T v_t, output r_t (S_(t-1) + diag(u) k_t^T v_t).
    """
    return wkv6(np.broadcast_to(decay, k.shape), u, r, k, v)


def wkv6(decay: Wide, u: Wide, r: Wide, k: Wide, v: Wide) -> tuple[Wide, Wide]:
    """Run version 6: as version 5, with a decay d_t of every token (t, key)."""
    factor = np.exp(-np.exp(decay))
    state = np.zeros((k.shape[1], v.shape[1]))
    states, outputs = [], []
    for w_t, r_t, k_t, v_t in zip(factor, r, k, v, strict=True):
        written = np.outer(k_t, v_t)
        outputs.append(r_t @ (state + u[:, None] * written))
        state = w_t[:, None] * state + written
        states.append(state)
    return np.stack(states), np.stack(outputs)


def kept7(decay: Wide) -> Wide:
    """Return version 7's factor per token, exp(-e^(-1/2) sigmoid(d)), between 0.545 and 1."""
    return np.asarray(np.exp(-np.exp(-0.5) / (1 + np.exp(-decay))))


def wkv7(decay: Wide, rate: Wide, r: Wide, k: Wide, v: Wide) -> tuple[Wide, Wide]:
    """Run version 7: before a value is written, what its key held is taken out at the in-context rate a (t, key).

    S_t = S_(t-1) (diag(w_t) - kn_t^T (a_t kn_t)) + v_t^T k_t in the paper's orientation (value, key), kn = k / |k|,
    output S_t r_t^T. The removal key is the key itself and the written one is not scaled (xi = 1, alpha = 0).
    Returns states (t, key, value), the transpose of S, and outputs (t, value).
    """
    factor = kept7(decay)
    state = np.zeros((v.shape[1], k.shape[1]))  # S of the paper
    states, outputs = [], []
    for w_t, a_t, r_t, k_t, v_t in zip(factor, rate, r, k, v, strict=True):
        size = float(np.sqrt((k_t**2).sum()))
        unit = k_t / size if size > 0 else k_t
        state = state @ (np.diag(w_t) - np.outer(unit, a_t * unit)) + np.outer(v_t, k_t)
        outputs.append(state @ r_t)
        states.append(state.T)
    return np.stack(states), np.stack(outputs)
