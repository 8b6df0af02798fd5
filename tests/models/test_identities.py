"""Known answers for every architecture: causality, caches, prefixes, reconstruction (EXPLAINERS.md section 5)."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models import registry
from models.counting import accounting
from models.operators import backends
from models.reconstruction import reconstruction_errors
from models.records.trace import ModelTrace
from models.tracing.adapter import Checkpoint

PROMPT = "The wolf was hungry. 늑대는 배가 고팠다. “Who is there?” said the King 🐺"
Loader = Callable[[str], Checkpoint]


def relative(x: torch.Tensor, y: torch.Tensor) -> float:
    return ((x - y).abs().max() / y.abs().max()).item()


def ids_of(checkpoint: Checkpoint, length: int) -> torch.Tensor:
    return (torch.arange(length)[None] * 37 + 11) % checkpoint.config.vocab_size


def full(checkpoint: Checkpoint, ids: torch.Tensor) -> torch.Tensor:
    adapter = registry.adapter(checkpoint.architecture)
    with torch.inference_mode():
        return adapter.forward(checkpoint.model, ids, None, last_only=False)[0]


@pytest.fixture
def trace(name: str, trace_of: Callable[[str, str], ModelTrace]) -> ModelTrace:
    return trace_of(name, PROMPT)


def test_every_reconstruction_error_is_small(trace: ModelTrace) -> None:
    """T-c, M-a, R-a, J-d: what is recorded rebuilds what the model's own modules returned."""
    for layer in trace:
        errors = reconstruction_errors(layer)
        assert errors, f"layer {layer.index} proves nothing"
        for part, error in errors.items():
            assert error < 1e-5, (layer.index, part)


def test_layers_show_only_declared_parts(trace: ModelTrace) -> None:
    declared = registry.adapter(trace.architecture).parts
    assert {part for layer in trace for part in layer.parts} <= declared


def test_editing_a_token_leaves_earlier_logits_alone(name: str, checkpoint_of: Loader) -> None:
    """T-f."""
    checkpoint = checkpoint_of(name)
    ids = ids_of(checkpoint, 20)
    edited = ids.clone()
    edited[0, 12] += 1
    before, after = full(checkpoint, ids), full(checkpoint, edited)
    assert relative(after[:, :12], before[:, :12]) < 1e-6
    assert relative(after[:, 12:], before[:, 12:]) > 1e-4


@pytest.mark.parametrize("batch", (1, 3))
def test_cache_bytes_are_the_formula_at_every_length(name: str, batch: int, checkpoint_of: Loader) -> None:
    """T-g, M-e, R-e, J-g."""
    checkpoint = checkpoint_of(name)
    adapter, shape = registry.adapter(checkpoint.architecture), accounting.shape_of(checkpoint.config)
    for length in (1, 5, 33):
        _, cache = adapter.step(checkpoint, ids_of(checkpoint, length).repeat(batch, 1), None)
        expected = accounting.cache_bytes(shape, context=length, batch=batch, dtype="float32")
        assert adapter.cache_bytes(cache) == expected


def test_trace_reports_live_bytes_equal_to_the_formula(trace: ModelTrace) -> None:
    assert trace.cache_bytes == trace.cache_bytes_formula > 0


@pytest.mark.parametrize("batch", (1, 3))
def test_token_by_token_equals_one_pass(name: str, batch: int, checkpoint_of: Loader) -> None:
    """R-d for all, and at batches above one, where transformers' own RWKV step is wrong."""
    checkpoint = checkpoint_of(name)
    adapter = registry.adapter(checkpoint.architecture)
    ids = torch.cat([ids_of(checkpoint, 14).roll(i, 1) for i in range(batch)])
    logits, cache = adapter.step(checkpoint, ids[:, :6], None)
    steps = [logits]
    for t in range(6, 14):
        logits, cache = adapter.step(checkpoint, ids[:, t : t + 1], cache)
        steps.append(logits)
    assert relative(torch.stack(steps, 1), full(checkpoint, ids)[:, 5:]) < 2e-5


def test_chunks_equal_one_pass(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    adapter, ids = registry.adapter(checkpoint.architecture), ids_of(checkpoint, 21)
    cache = None
    for chunk in ids.split(8, dim=1):
        logits, cache = adapter.step(checkpoint, chunk, cache)
    assert relative(logits, full(checkpoint, ids)[:, -1]) < 2e-5


def test_fast_and_reference_operators_agree_with_transformers(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    ids = ids_of(checkpoint, 33)
    with backends.use("transformers"):
        theirs = full(checkpoint, ids)
    for choice in ("fast", "reference"):
        with backends.use(choice):
            assert relative(full(checkpoint, ids), theirs) < 1e-5, choice


def test_surprisal_is_the_negative_log_probability(trace: ModelTrace) -> None:
    ids = np.array([token.id for token in trace.tokens])
    logits = trace.logits.values.astype(np.float64)
    log_p = (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )
    expected = -log_p[np.arange(len(ids) - 1), ids[1:]] / np.log(2)
    assert np.isnan(trace.surprisal.values[0])
    assert np.allclose(trace.surprisal.values[1:], expected, rtol=1e-4)


def test_recorded_arrays_cannot_be_written(trace: ModelTrace) -> None:
    for layer in trace:
        for part in layer.parts.values():
            with pytest.raises(ValueError, match="read-only"):
                part.values[...] = 0


@pytest.mark.slow
def test_two_threads_do_not_read_each_other(checkpoint_of: Loader) -> None:
    from concurrent.futures import ThreadPoolExecutor

    checkpoint = checkpoint_of(registry.ADAPTERS[-1].bundled)
    prompts = [f"The wolf said {i} words to the King" for i in range(6)]
    alone = [registry.trace(checkpoint, p) for p in prompts]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda p: registry.trace(checkpoint, p), prompts))
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.logits.values, b.logits.values)
        assert all(
            np.array_equal(x.part(n), y.part(n), equal_nan=True) for x, y in zip(a, b, strict=True) for n in x.parts
        )
