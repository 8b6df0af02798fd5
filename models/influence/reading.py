"""Run a checkpoint on embeddings of a text in place of its tokens, several versions at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from models import registry
from models.counting import accounting
from models.machine import threads
from models.tracing.adapter import Checkpoint


@contextmanager
def reading(checkpoint: Checkpoint, *, grad: bool) -> Iterator[None]:
    """Hold a model on its own threads, with gradients or without."""
    wanted = threads.threads_for(accounting.params_total(accounting.shape_of(checkpoint.config)))
    with checkpoint.lock, threads.limited(wanted), torch.set_grad_enabled(grad):
        yield


def table(checkpoint: Checkpoint) -> Tensor:
    """Return the embeddings of the whole vocabulary (vocab, d_model), apart from the model."""
    weight: Tensor = next(checkpoint.model.get_input_embeddings().parameters())
    return weight.detach()


def embeddings(checkpoint: Checkpoint, ids: Sequence[int]) -> Tensor:
    """Return the embeddings (token, d_model) of a text, apart from the model."""
    found: Tensor = checkpoint.model.get_input_embeddings()(torch.tensor(list(ids), device=checkpoint.device))
    return found.detach()


def hidden(checkpoint: Checkpoint, vectors: Tensor) -> Tensor:
    """Return what the output head receives (version, token, d_model) for embeddings (version, token, d_model).

    What models.switches says to switch off is off.
    """
    adapter, model = registry.adapter(checkpoint.architecture), checkpoint.model
    with adapter.switched(model, vectors.shape[1]):
        return adapter.forward_embedded(model, vectors)


def logits(checkpoint: Checkpoint, received: Tensor) -> Tensor:
    """Return the logits (..., vocab) of what the output head receives (..., d_model)."""
    head = registry.adapter(checkpoint.architecture).unembed(checkpoint.model)
    found: Tensor = head(received.to(next(head.parameters()).dtype))
    return found.float() if found.dtype in (torch.float16, torch.bfloat16) else found
