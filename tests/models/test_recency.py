"""What the overview says of its maps: those of recurrent models rank tokens hardly better than recency."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models import registry
from models.tracing.adapter import Checkpoint
from pages.shared.words import content, i18n
from viz.trace.overview import row_shares

Loader = Callable[[str], Checkpoint]
HARDLY = 0.1  # of a rank correlation
ROWS = 5  # of each text, from a third of it to its end


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Correlate ranks (Spearman 1904)."""
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def gradients(checkpoint: Checkpoint, ids: list[int], rows: list[int]) -> list[np.ndarray]:
    """Return |d (largest logit at t) / d (embedding of j)|_2 for j <= t, one array for each row t."""
    model = checkpoint.model
    with checkpoint.lock:
        vectors = model.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_(True)
        logits = model(inputs_embeds=vectors, use_cache=False).logits[0]
        found = []
        for t in rows:
            (grad,) = torch.autograd.grad(logits[t].max(), vectors, retain_graph=True)
            found.append(grad[0, : t + 1].norm(dim=-1).numpy())
    return found


def texts() -> list[str]:
    general = content.table("presets")["general"]
    return [example["text"][lang] for example in general for lang in ("en", "ko")][:8]


def agreement(checkpoint: Checkpoint) -> tuple[float, float]:
    """Return the mean rank correlation with the gradient: of the map's row, and of recency ("later counts more")."""
    by_map, by_recency = [], []
    for text in texts():
        trace = registry.trace(checkpoint, text)
        shares, ids = row_shares(trace), [token.id for token in trace.tokens]
        rows = sorted({int(t) for t in np.linspace(len(ids) // 3, len(ids) - 1, ROWS)})
        for t, gradient in zip(rows, gradients(checkpoint, ids, rows), strict=True):
            by_map.append(spearman(shares[t, : t + 1], gradient))
            by_recency.append(spearman(np.arange(t + 1), gradient))
    return float(np.mean(by_map)), float(np.mean(by_recency))


@pytest.mark.slow
@pytest.mark.parametrize("bundled", ["mamba", "rwkv", "jamba"])
def test_the_map_ranks_tokens_hardly_better_than_recency(bundled: str, checkpoint_of: Loader) -> None:
    by_map, by_recency = agreement(checkpoint_of(bundled))
    assert by_map <= by_recency + HARDLY, (by_map, by_recency)


@pytest.mark.slow
def test_the_map_of_the_transformer_ranks_tokens_far_better_than_recency(checkpoint_of: Loader) -> None:
    """The measure can say otherwise: the sentence is not about the Transformer."""
    by_map, by_recency = agreement(checkpoint_of("transformer"))
    assert by_map > by_recency + 2 * HARDLY, (by_map, by_recency)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_sentence_names_the_models_it_was_measured_on(lang: str) -> None:
    words = i18n.words(lang)["viz.four_machines.recency"]
    assert all(name in words for name in ("Mamba", "RWKV", "Jamba")) and "Transformer" not in words
