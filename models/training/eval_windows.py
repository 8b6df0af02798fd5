"""Run windows of held-out text through a model and record attention, step sizes and chosen experts of each."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM

from models import registry, scores
from models.operators.backends import ATTENTION
from models.records.trace import LayerTrace
from models.tracing.adapter import Checkpoint
from models.tracing.capture import capturing
from models.training import corpus, evaluation, initial
from models.training.token_classes import kinds, of_kind

SEED = 20261122  # of the random tokens, the shuffles and the untrained model
REPEATED = 64  # random tokens that are written twice, for induction
CHANNELS = 512  # of a layer at most, evenly spaced, whose step sizes are looked at

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]


@dataclass(slots=True)
class Seen:
    """What one window of one language left behind, per layer."""

    language: str
    kinds: Whole  # (l,)
    heads: dict[int, Floats] = field(default_factory=dict)  # (head, [previous_token, punctuation, sink])
    uniform: Floats = field(default_factory=lambda: np.zeros(3))
    rates: dict[tuple[str, int], Floats] = field(default_factory=dict)  # 1 / half-life (channel,)
    steps: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)  # log dt (l, channel)
    experts: dict[int, Whole] = field(default_factory=dict)  # first choice (l,)
    n_experts: int = 0


def windows_of(tokenizer: Any, texts: Sequence[corpus.Text], *, windows: int, length: int) -> dict[str, Ids]:
    """Cut the same number of windows of one length from the held-out text of every language."""
    streams = {t.language: corpus.encode(tokenizer, t.validation, language=t.language) for t in texts}
    length = min(length, *(len(stream) + 1 for stream in streams.values()))
    windows = min(windows, *(len(stream) // (length - 1) for stream in streams.values()))
    return {
        language: evaluation.spaced(stream, context=length - 1, start=_start(tokenizer), rows=windows)
        for language, stream in streams.items()
    }


def _start(tokenizer: Any) -> int:
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return int(start or 0)


def run(checkpoint: Checkpoint, language: str, ids: Ids, *, heads: bool) -> Seen:
    """Run one window (l,); heads: whether to look at attention as well."""
    tokenizer: Any = checkpoint.tokenizer
    found = Seen(language, kinds(tokenizer, ids))
    marks = of_kind(found.kinds, "punctuation")
    found.uniform = _head(scores.uniform(len(ids)), ids, marks)
    for layer in _layers(checkpoint, ids):
        if heads and "attention" in layer.parts:
            weights = layer.part("attention").astype(np.float64)
            found.heads[layer.index] = np.array([_head(head, ids, marks) for head in weights])
        if "half_life" in layer.parts:
            found.rates[layer.mixer, layer.index] = 1 / layer.part("half_life").astype(np.float64)
        if "dt" in layer.parts:
            every = -(-layer.parts["dt"].sizes["channel"] // CHANNELS)
            found.steps[layer.index] = np.log(np.maximum(layer.part("dt")[:, ::every], 1e-30)).astype(np.float32)
        if "chosen_experts" in layer.parts:
            found.experts[layer.index] = layer.part("chosen_experts")[:, 0].astype(np.int64)
            found.n_experts = layer.parts["router_probs"].sizes["expert"]
    return found


def induction(checkpoint: Checkpoint, sequences: int = 4) -> tuple[dict[int, Floats], float]:
    """Return layer -> induction score per head on random tokens written twice, and that of a uniform reader."""
    tokenizer: Any = checkpoint.tokenizer
    rng = np.random.default_rng(SEED)
    special = set(tokenizer.all_special_ids)
    free = np.array([i for i in range(min(len(tokenizer), checkpoint.config.vocab_size)) if i not in special])
    at = scores.PATTERNS.index("induction")
    sums: dict[int, Floats] = {}
    ids = free[:0]
    for _ in range(sequences):
        once = rng.choice(free, size=min(REPEATED, len(free)), replace=False)
        ids = np.concatenate([[_start(tokenizer)], once, once])
        for layer in _layers(checkpoint, ids):
            if "attention" in layer.parts:
                found = [scores.head_patterns(head, ids)[at] for head in layer.part("attention").astype(np.float64)]
                sums[layer.index] = sums.get(layer.index, 0) + np.array(found) / sequences
    return sums, scores.head_patterns(scores.uniform(len(ids)), ids)[at]


def untrained(checkpoint: Checkpoint) -> Checkpoint:
    """Build the same shape with new weights, drawn with SEED as the training draws them."""
    adapter = registry.adapter(checkpoint.architecture)
    options: dict[str, Any] = {"attn_implementation": ATTENTION} if "attention" in adapter.parts else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(copy.deepcopy(checkpoint.config), dtype=torch.float32, **options)
        initial.step_sizes(model)
        initial.bonuses(model)
    ready = adapter.prepare(model.to(checkpoint.device).eval().requires_grad_(False))
    return Checkpoint(checkpoint.name, checkpoint.architecture, ready, checkpoint.tokenizer)


def _layers(checkpoint: Checkpoint, ids: npt.NDArray[np.integer]) -> tuple[LayerTrace, ...]:
    """Run one sequence (l,) with the layers watched."""
    adapter, model = registry.adapter(checkpoint.architecture), checkpoint.model
    batch = torch.from_numpy(ids[None].astype(np.int64)).to(checkpoint.device)
    with checkpoint.lock, torch.inference_mode():
        with capturing(adapter.watched(model)) as capture:
            adapter.forward(model, batch, None, last_only=True)
        return adapter.layer_traces(model, capture)


def _head(weights: npt.NDArray[np.floating], ids: npt.NDArray[np.integer], marks: npt.NDArray[np.bool_]) -> Floats:
    patterns = dict(zip(scores.PATTERNS, scores.head_patterns(weights, ids), strict=True))
    return np.array([patterns["previous_token"], scores.share_on(weights, marks), patterns["sink"]])
