"""Rows of a benchmark whose times follow a law, with or without noise between rounds."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from models.records.measurement import Measurement

CONTEXTS = (256, 512, 1024, 2048, 4096, 8192)
Law = Callable[[float], float]  # milliseconds at a context


def timed(
    architecture: str,
    context: int,
    *,
    prefill: float,
    step: float,
    rounds: int = 4,
    moods: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Measurement:
    """Return a row of two steps a round; moods: by phase the factor of each round."""
    factors = {phase: np.ones(rounds) for phase in ("prefill", "decode")} | dict(moods or {})
    values: dict[str, Any] = {
        "run_id": "r", "cell_id": f"{architecture}-{context}-b{changes.get('batch', 1)}", "state": "ok",
        "architecture": architecture, "source": architecture, "context": context, "batch": 1, "device": "cpu",
        "dtype": "float32", "decode_tokens": 2, "seed": 0, "rounds": rounds,
        "prefill_ms_samples": tuple(float(prefill * f) for f in factors["prefill"]),
        "decode_ms_samples": tuple(float(step * f) for f in factors["decode"] for _ in range(2)),
        "e2e_ms_samples": tuple(float(prefill * f + 2 * step * g)
                                for f, g in zip(factors["prefill"], factors["decode"], strict=True)),
        "started_ns": context * 10**9, "ended_ns": context * 10**9 + 10**8,
    }  # fmt: skip
    return Measurement(**(values | changes))


def swept(
    architecture: str,
    *,
    prefill: Law = lambda n: n / 10,
    step: Law = lambda _: 5.0,
    contexts: tuple[int, ...] = CONTEXTS,
    rng: np.random.Generator | None = None,
    noise: float = 0.0,
    rounds: int = 4,
    shared: Mapping[int, Any] | None = None,
    **changes: Any,
) -> list[Measurement]:
    """Return a row per context. shared: by context the factors of the rounds that all architectures went through."""
    found = []
    for context in contexts:
        mood = np.ones(rounds) if shared is None else shared[context]
        own = np.ones(rounds) if rng is None else rng.lognormal(0, noise, rounds)
        moods = {"prefill": mood * own, "decode": mood * own}
        found.append(timed(architecture, context, prefill=prefill(context), step=step(context), rounds=rounds,
                           moods=moods, **changes))  # fmt: skip
    return found


def by_context(rows: list[Measurement]) -> dict[int, Measurement]:
    """Return rows by their context, rising."""
    return {row.context: row for row in sorted(rows, key=lambda row: row.context)}
