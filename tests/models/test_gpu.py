"""The same records on a GPU: run where there is one."""

import numpy as np
import pytest
import torch

from models import registry
from models.reconstruction import reconstruction_errors

PROMPT = "Once upon a time a small wolf lived in a wood. 늑대는 배가 고팠다."

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("checkpoint_name", [a.bundled for a in registry.ADAPTERS])
def test_a_trace_on_the_gpu_is_the_trace_on_the_cpu(checkpoint_name: str) -> None:
    here, there = (registry.trace(registry.load(checkpoint_name, device=device), PROMPT) for device in ("cpu", "cuda"))
    assert there.device.startswith("cuda")
    scale = np.abs(here.logits.values).max()
    assert np.abs(there.logits.values - here.logits.values).max() < 2e-3 * scale
    loops = {"scan", "wkv"} & set(there.implementation)
    assert all("Triton" in there.implementation[f] or "mamba-ssm" in there.implementation[f] for f in loops)
    for layer in there:
        assert all(error < 1e-3 for error in reconstruction_errors(layer).values()), layer.index


@pytest.mark.parametrize("checkpoint_name", [a.bundled for a in registry.ADAPTERS])
def test_decoding_on_the_gpu_continues_the_prompt(checkpoint_name: str) -> None:
    checkpoint = registry.load(checkpoint_name, device="cuda")
    adapter = registry.adapter(checkpoint.architecture)
    ids = (torch.arange(12, device="cuda")[None] * 37 + 11) % checkpoint.config.vocab_size
    _, cache = adapter.step(checkpoint, ids[:, :8], None)
    for t in range(8, 12):
        logits, cache = adapter.step(checkpoint, ids[:, t : t + 1], cache)
    whole, _ = adapter.step(checkpoint, ids, None)
    assert ((logits - whole).abs().max() / whole.abs().max()).item() < 2e-3
