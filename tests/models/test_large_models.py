"""A model of 32 layers and 50,000 words: what opening a page computes, and what waits until it is looked at."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MambaConfig

from models import registry
from models.operators.backends import ATTENTION
from models.records.trace import LazyParts, ModelTrace
from models.sources import weights
from models.tracing.adapter import Checkpoint
from models.tracing.parts import attention, residual_stream
from viz.trace.attention import most_telling_head

LAYERS, VOCAB = 32, 50_000
SIZES = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": LAYERS}
CONFIGS = {
    "llama": lambda: LlamaConfig(**SIZES, num_attention_heads=4, intermediate_size=48),
    "mamba": lambda: MambaConfig(**SIZES, state_size=4, pad_token_id=0),
}


def built(kind: str) -> Checkpoint:
    torch.manual_seed(3)
    config = CONFIGS[kind]()
    adapter = registry.adapter_for(config, source=kind)
    options = {"attn_implementation": ATTENTION} if kind == "llama" else {}
    model = AutoModelForCausalLM.from_config(config, **options).eval().requires_grad_(False)
    return Checkpoint(kind, adapter.name, adapter.prepare(model), weights.read_tokenizer(registry.bundled()[0]))


class Heads:
    """Count how many rows of logits the output head is asked for outside the run of the model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        own = residual_stream.Readout.logits

        def counted(readout: residual_stream.Readout, stream: Any) -> torch.Tensor:
            self.rows += len(stream)
            return own(readout, stream)

        monkeypatch.setattr(residual_stream.Readout, "logits", counted)


@pytest.fixture(params=CONFIGS)
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[ModelTrace, Heads]:
    heads = Heads(monkeypatch)
    checkpoint = built(request.param)
    return registry.trace(checkpoint, "Once upon a time a wolf met a wolf"), heads


def derived(trace: ModelTrace) -> list[tuple[int, str]]:
    """List the parts that were worked out so far, (layer, part), of those that wait until they are looked at."""
    found = []
    for layer in trace.stream:
        assert isinstance(layer.parts, LazyParts)
        for name, group in layer.parts._later.items():
            if group._compute is None:
                found.append((layer.index, name))
    return found


def test_opening_derives_nothing_and_asks_the_head_for_nothing_more(opened: tuple[ModelTrace, Heads]) -> None:
    trace, heads = opened
    assert derived(trace) == [] and heads.rows == 0
    assert len(trace.layers) == LAYERS and trace.logits.sizes["vocab"] == VOCAB


def test_the_logits_are_held_once(opened: tuple[ModelTrace, Heads]) -> None:
    """The record holds one float32 for each token and word; no part of a layer is as large."""
    trace, _ = opened
    assert trace.logits.values.nbytes == 4 * len(trace.tokens) * VOCAB
    for layer in trace.stream:
        ready = layer.parts.ready if isinstance(layer.parts, LazyParts) else layer.parts
        assert all(part.values.nbytes < trace.logits.values.nbytes / 10 for part in ready.values())


def test_one_layer_of_the_lens_is_one_pass_of_the_head(opened: tuple[ModelTrace, Heads]) -> None:
    trace, heads = opened
    assert trace.layer(5).part("lens_tokens").shape == (len(trace.tokens), residual_stream.TOP_K)
    assert heads.rows == len(trace.tokens)
    assert {layer for layer, _ in derived(trace)} == {5}
    assert trace.layer(5).part("lens_rank_next").shape == (len(trace.tokens),)
    assert heads.rows == len(trace.tokens), "all parts of the lens come from one pass"


def test_the_attribution_reads_one_row_of_the_head_for_each_token() -> None:
    checkpoint = built("llama")
    trace = registry.trace(checkpoint, "Once upon a time")
    ids = trace.logits.values.argmax(-1).tolist()
    found = registry.attribution_of(checkpoint, trace, ids)
    assert derived(trace) == [], "it needs no attention map and no lens"
    total = found.embedding.values + found.bias.values + found.mixer.values.sum(0) + found.ffn.values.sum(0)
    assert np.abs(total - found.logit.values).max() < 1e-5 * max(1.0, np.abs(found.logit.values).max())
    assert len(found.heads) == LAYERS


def test_the_default_head_needs_maps_and_no_output_projection() -> None:
    """The Transformer page looks for the head to show first: it reads every map, and multiplies no value by W_O."""
    trace = registry.trace(built("llama"), "Once upon a time a wolf")
    most_telling_head(trace)
    parts = {part for _, part in derived(trace)}
    assert "attention" in parts and not parts & (attention.MOVING | residual_stream.LENS)
    assert trace.layer(3).part("value_norm").shape == (4, len(trace.tokens), len(trace.tokens))
    assert {layer for layer, part in derived(trace) if part == "value_norm"} == {3}
