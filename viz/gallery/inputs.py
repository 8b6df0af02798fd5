"""Fixed rows, cells and curves for gallery figures that draw no single trace."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from models.alignment import align_edit
from models.records.influence import Influence
from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.memory import MemoryCurve
from models.records.recall import Accuracy
from models.records.simulated import Ladder, ToyToken, Version, VersionRun
from models.records.trace import ModelTrace, NamedArray
from models.records.what_if import Bits, Worth
from viz.bench.generation import CrossingMark, Spent
from viz.bench.predictions import PredictedCell
from viz.bench.ratios import Ratio
from viz.gallery.encoder_decoder import sample_run
from viz.gallery.evidence import asked, plan
from viz.gallery.samples import LENGTH, wave
from viz.recall.maps import layout_of

Traces = Mapping[str, ModelTrace]
Call = tuple[tuple[Any, ...], dict[str, Any]]  # positional and keyword arguments
CONTEXTS = (128, 512, 2048)
NAMES = ("transformer", "mamba", "rwkv", "jamba")
GUESS = 0.125


def rows() -> list[Measurement]:
    """Return benchmark rows of all architectures: several contexts and batches, with everything measured."""
    return [
        _row(name, context, batch, 1.0 + place)
        for place, name in enumerate(NAMES)
        for context in CONTEXTS
        for batch in (1, 8)
    ]


def _row(name: str, context: int, batch: int, pace: float) -> Measurement:
    step = pace * (1 + context / 4096) * (1 + batch / 16)
    weights, cache = 4_000_000, int(512 * context * batch * pace)
    return Measurement(
        "sample", f"{name}-{context}-{batch}", "ok", name, name, context, batch, "cpu", "float32", 32, 0,
        prefill_ms_samples=(step * context / 50, step * context / 48),
        decode_ms_samples=(step, 1.05 * step, 1.1 * step),
        cache_bytes=cache, peak_bytes=2 * cache, bytes_weights=weights, bytes_logits=1000,
        pred_bytes=weights + 2 * cache, launch_fraction=0.3 / pace, harness_ms=0.02, ops_per_token=200,
        bandwidth_bytes_per_s=2e10, peak_flops_per_s=1e11, mbu=0.3 / pace, mfu=0.4 / pace,
        energy_j_per_token=0.2 * pace,
        decode_tokens_per_s=1000 * batch / step, batch_limit="memory" if batch == 8 else "",
        sentinel_before_ms=1.0, sentinel_after_ms=1.0 + context / 40_000, started_ns=context * 10**9,
    )  # fmt: skip


def pairs() -> list[Ratio]:
    """Return ratios of a run in both phases: decided ones, one too close to 1, one of a single round."""
    names = itertools.combinations(NAMES, 2)
    found = [
        Ratio(phase, a, b, "2,048", value, (0.9 * value, 1.1 * value), (0.85 * value, 1.2 * value), 0.01,
              0.85 * value > 1.01, f"{a}, {b}")
        for place, (a, b) in enumerate(names)
        for phase, value in (("prefill", 1.02 + place), ("decode", 40 / (1 + place)))
    ]  # fmt: skip
    alone = (0.0, math.inf)
    return [*found, Ratio("decode", "rwkv", "mamba", "2,048", 1.5, alone, alone, 0.01, False, "once")]


def cells(seed: int = 0) -> dict[str, list[Accuracy]]:
    """Return the cells of a recall task of three architectures; a later seed is weaker, more so in later ones."""
    return {
        name: [_cell(d, p, place + seed * place / 4) for d in (16, 64, 128) for p in (2, 8)]
        for place, name in enumerate(NAMES[:3])
    }


def _cell(distance: int, pairs: int, place: float) -> Accuracy:
    share = max(GUESS, 1 - pairs / 20 - place * distance / 300)
    return Accuracy(
        {"distance": distance, "pairs": pairs},
        share,
        low=share - 0.03,
        high=min(1, share + 0.03),
        count=640,
        length=100,
        bytes_carried=1024 * distance,
    )


def simulated() -> Ladder:
    """Return versions 4 to 7 on three tokens: two writes to one key, and a question."""
    tokens = (ToyToken(key=0, value=1), ToyToken(key=0, value=2), ToyToken(asks=0))
    runs = (_version(4, 2), _version(5, 3), _version(6, 3), _version(7, 3))
    return Ladder(tokens, 3, 3, runs)


def _version(version: Version, rows: int) -> VersionRun:
    dims = ("token", "sum" if rows == 2 else "key", "channel" if rows == 2 else "value")
    return VersionRun(
        version,
        NamedArray(wave(3, rows, 3, pace=version), dims),
        NamedArray(wave(3, 3, pace=version + 1), ("token", "value")),
        NamedArray(np.full((3, 3), 0.5), ("token", "key")),
    )


def guess(_: Mapping[str, int]) -> float:
    """Say what guessing scores."""
    return GUESS


def curve(place: int) -> list[tuple[int, float]]:
    """Return a falling curve of (step, loss)."""
    return [(step, 8 / (1 + step / 100) + place / 4 + 0.05 * np.sin(step)) for step in range(1, 400, 4)]


def _recall(_: Traces) -> Call:
    every = cells()
    return (every, layout_of(every["transformer"], ("distance", "pairs"), guess=guess, trained_to=64)), {}


def _far(_: Traces) -> Call:
    every = {name: [cell for cell in own if cell.at["pairs"] == own[0].at["pairs"]] for name, own in cells().items()}
    return (every,), {"axis": "distance", "trained_to": 64, "guess": guess}


def _seeds(_: Traces) -> Call:
    runs = {name: [(seed, cells(seed)[name]) for seed in (0, 1, 2)] for name in cells()}
    return (runs,), {"bundled": 0, "guess": guess}


def _channel(traces: Traces) -> Call:
    trace = traces["mamba"]
    mixing = NamedArray(np.tril(wave(1, LENGTH, LENGTH)).astype(np.float32), ("channel", "query", "key"))
    return (mixing, trace), {"layer": trace.layers_with("half_life")[0].index, "channel": 0}


def _moved(traces: Traces) -> tuple[NamedArray, ModelTrace]:
    mixing = np.tril(np.abs(wave(1, LENGTH, LENGTH)))
    return NamedArray((mixing / mixing.sum(2, keepdims=True)).astype(np.float32), ("channel", "query", "key")), traces[
        "rwkv"
    ]


def _predictions(_: Traces) -> Call:
    """Return cells whose memory is predicted well, and whose times are predicted a third too short."""
    every = rows()
    peaks = [(row, float(row.peak_bytes or 0)) for row in every]
    found = {
        "bytes": [
            PredictedCell(row.architecture, row.context, row.batch, 4.2e6 + held, 4e6 + held) for row, held in peaks
        ],
        "decode": [_timed(row, row.decode_ms_samples[1]) for row in every],
        "prefill": [_timed(row, row.prefill_ms_samples[0]) for row in every],
    }
    return (found,), {}


def _timed(row: Measurement, ms: float) -> PredictedCell:
    return PredictedCell(row.architecture, row.context, row.batch, ms / 1500, ms / 1000)


def _generation(_: Traces) -> Call:
    lengths = (1.0, 384.0, 1152.0, 1920.0)
    spent = {
        name: Spent(tuple((n, _around(0.3 + n * (1 + place + place * n / 2000) / 100)) for n in lengths), lengths)
        for place, name in enumerate(NAMES)
    }
    marks = [CrossingMark("mamba", "rwkv", Interval(900.0, 700.0, 1100.0), 12.0)]
    return (spent,), {"prompt": 128, "crossings": marks}


def _slopes(traces: Traces) -> list[Influence]:
    """Return a gradient for each sample trace: fixed positive numbers, zero to the future."""
    return [
        Influence("gradient", trace.checkpoint, trace.prompt, NamedArray(
            np.tril(1.1 + wave(LENGTH, LENGTH, pace=2 + place)).astype(np.float32), ("query", "key")))
        for place, trace in enumerate(traces.values())
    ]  # fmt: skip


def _edit(traces: Traces) -> Call:
    """Return the sample text before and after its third token was changed."""
    before = list(traces.values())
    tokens = tuple(
        dataclasses.replace(token, id=2, label="was") if token.index == 2 else token for token in before[0].tokens
    )
    after = [
        dataclasses.replace(
            trace,
            tokens=tokens,
            surprisal=NamedArray(np.asarray(trace.surprisal.values[::-1], np.float32), ("token",)),
        )
        for trace in before
    ]
    return ([*before, *after],), {"alignment": align_edit(before[0].tokens, tokens)}


def _around(value: float) -> Interval:
    return Interval(value, 0.95 * value, 1.05 * value)


def _again(trace: ModelTrace) -> list[ModelTrace]:
    """Return a reading and another one of the same text, with other logits and the bits that they give."""
    logits = np.asarray(trace.logits.values, np.float64)[:, ::-1] * 0.7
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    ids = [token.id for token in trace.tokens]
    costs = [np.nan, *(-log_p[place, token] / np.log(2) for place, token in enumerate(ids[1:]))]
    return [
        trace,
        dataclasses.replace(
            trace,
            logits=NamedArray(logits.astype(np.float32), trace.logits.dims),
            surprisal=NamedArray(np.array(costs, np.float32), ("token",)),
        ),
    ]


def _worth() -> Worth:
    """Return what three parts of four layers are worth; one layer lacks one."""
    loss = np.array([[2.5, 0.3, 0.12, 0.4], [0.1, -0.02, np.nan, 0.05], [0.8, 0.2, 0.0, 0.31]])
    parts = (("mixer", "zero"), ("convolution", "zero"), ("feed_forward", "zero"))
    return Worth(parts, (0, 1, 2, 3), NamedArray(loss, ("part", "layer")), Bits(240.0, 40))


def _memory(_: Traces) -> Call:
    lengths = (0, 64, 1024)
    total = {"embeddings": 900, "attention": 300, "mamba": 1200, "experts": 4000, "router": 30}
    active = total | {"experts": 1000}
    kept = tuple(512 * n for n in lengths)
    curve = MemoryCurve(lengths, kept, tuple(8 * n for n in kept), 12_860, 90_000, total, active, "bfloat16")
    return (curve,), {}


# figure -> its arguments, where the kind of figure alone does not say them
OWN: Mapping[str, Callable[[Traces], Call]] = MappingProxyType(
    {
        "channel_matrix": _channel,
        "anatomy": lambda traces: ((traces["jamba"],), {"plan": plan(traces["jamba"])}),
        "token_lens": lambda traces: ((traces["transformer"],), {"lens": asked(traces["transformer"])[0]}),
        "logit_attribution": lambda traces: ((traces["jamba"],), {"found": asked(traces["jamba"])[1]}),
        "head_attribution": lambda traces: ((traces["transformer"],), {"found": asked(traces["transformer"])[1]}),
        "decay_finder": lambda traces: (([traces["rwkv"]] * 2,), {"marked": (1, 3)}),
        "head_finder": lambda traces: (([traces["transformer"]] * 3,), {"marked": (1, 0)}),
        "expert_finder": lambda traces: (([traces["jamba"]] * 3,), {"marked": (1, 0)}),
        "recall_example": lambda traces: ((list(traces.values()),), {"asked_at": LENGTH - 1, "answer_at": 2}),
        "recall_map": _recall,
        "recall_against_bytes": _recall,
        "recall_far": _far,
        "recall_lessons": lambda _: (({name: curve(place) for place, name in enumerate(NAMES)},), {}),
        "recall_seeds": _seeds,
        "recall_what_if": lambda _: (
            ({run: [_cell(d, 2, place) for d in (16, 64, 128)] for place, run in enumerate(("before", "after"))},),
            {"architecture": "mamba", "across": "distance", "guess": guess},
        ),
        "prediction_error": _predictions,
        "ratios": lambda _: ((pairs(),), {}),
        "state_path": lambda traces: (([traces["mamba"], dataclasses.replace(traces["mamba"], prompt="again")],), {}),
        "side_rows": lambda traces: ((list(traces.values()),), {"gradients": tuple(_slopes(traces))}),
        "edit_surprisal": _edit,
        "what_if": lambda traces: ((_again(traces["mamba"]),), {}),
        "what_if_words": lambda traces: ((_again(traces["mamba"]),), {}),
        "part_worth": lambda _: ((_worth(),), {}),
        "channel_moved": lambda traces: (_moved(traces), {"layer": 0, "channel": 0}),
        "version_ladder": lambda _: ((simulated(),), {}),
        "sentinel_strip": lambda _: ((rows(),), {"limit": 0.1}),
        "carried_bytes": lambda _: (([(name, 4096 * 3**place) for place, name in enumerate(NAMES)],), {}),
        "generation_time": _generation,
        "memory_growth": _memory,
        "active_parameters": _memory,
        "growth": lambda _: (({name: [(n, 4096 + n * 64 * p) for n in CONTEXTS] for p, name in enumerate(NAMES)},), {}),
        "training_curves": lambda _: (({name: curve(place) for place, name in enumerate(NAMES)},), {}),
    }
)


WHOLE = frozenset({"two_stacks", "decoder_cache"})  # figures of a run that are of no single head


def arguments(figure_id: str, of: str, traces: Traces) -> Call | None:
    """Return what a figure is called with; None where no sample of its kind is here."""
    if figure_id in OWN:
        return OWN[figure_id](traces)
    if of == "run":
        return (sample_run(),), {} if figure_id in WHOLE else {"layer": 1, "head": 0}
    if of == "traces":
        return (list(traces.values()),), {}
    return ((rows(),), {}) if of == "rows" else None
