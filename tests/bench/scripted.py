"""Stand-ins for a model in this process: adapters whose answers are set by hand, and which note what they are fed."""

from types import SimpleNamespace

import torch
from transformers import LlamaConfig

VOCAB = 10


def checkpoint(dtype=torch.float32):
    """Return what stands for a loaded model: one weight, whose type tells in which one it is run."""
    weight = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
    model = SimpleNamespace(parameters=lambda: iter([weight]), buffers=lambda: iter(()))
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    return SimpleNamespace(model=model, config=config, device=torch.device("cpu"), weight=weight)


class Fed:
    """An adapter that notes the shape of everything it is fed, and whose cache is the number of tokens read so far."""

    def __init__(self):
        self.fed = []

    def step(self, _checkpoint, ids, cache):
        self.fed.append(tuple(ids.shape))
        return torch.zeros(len(ids), VOCAB), (cache or 0) + ids.shape[1]

    def cache_bytes(self, cache):
        return cache


class Wrong:
    """An adapter whose logits are 1, and 1 + error where one of the gate's checks alone looks.

    errors: by the type of the weights. check: "cached" (steps of one token), "chunked" (the last piece of four) or
    "batch" (a row alone).
    """

    def __init__(self, check, errors):
        self.check, self.errors = check, errors

    def step(self, checkpoint, ids, cache):
        looked_at = {
            "cached": ids.shape == (len(ids), 1),
            "chunked": ids.shape[1] == 4 and cache is not None,
            "batch": len(ids) == 1,
        }[self.check]
        logits = torch.ones(len(ids), VOCAB, dtype=torch.float64)
        return logits + looked_at * self.errors[checkpoint.weight.dtype], (cache or 0) + ids.shape[1]
