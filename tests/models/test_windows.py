"""Sliding windows: what is recorded of a windowed head is the model's own, for every window from 1 to past the text."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    JambaConfig,
    MistralConfig,
    MixtralConfig,
    PretrainedConfig,
    Qwen2Config,
    RwkvConfig,
)

from models import registry
from models.counting import accounting
from models.operators.backends import ATTENTION
from models.records.trace import ModelTrace
from models.sources import weights as source_weights
from models.tracing.adapter import Checkpoint
from viz.trace.attention import SCORES, head_scores
from viz.trace.matrix import look_back, mixing_of
from viz.trace.overview import row_shares

TEXT = "Once upon a time a wolf met a wolf. 늑대"
LENGTH = 14  # tokens of TEXT
VOCAB = registry.read_config(registry.bundled()[0]).vocab_size
SMALL = {"vocab_size": VOCAB, "hidden_size": 24, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 40}

WINDOWED: dict[str, Callable[[int], PretrainedConfig]] = {
    "mistral": lambda window: MistralConfig(**SMALL, **HEADS, sliding_window=window),
    "mixtral": lambda window: MixtralConfig(
        **SMALL, **HEADS, sliding_window=window, num_local_experts=4, num_experts_per_tok=2
    ),
    "qwen2": lambda window: Qwen2Config(
        **SMALL, **HEADS, sliding_window=window, use_sliding_window=True, max_window_layers=1
    ),
    "qwen2-types": lambda window: Qwen2Config(
        **SMALL,
        **HEADS,
        sliding_window=window,
        use_sliding_window=True,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
}


def windowed(layer: int, family: str) -> bool:
    """Say whether a layer of these configurations has a window."""
    return {"qwen2": layer >= 1, "qwen2-types": layer != 1}.get(family, True)


def checkpoint_of_config(name: str, config: PretrainedConfig) -> Checkpoint:
    torch.manual_seed(11)
    adapter = registry.adapter_for(config, source=name)
    options = {"attn_implementation": ATTENTION} if "attention" in adapter.parts else {}
    model = AutoModelForCausalLM.from_config(config, **options).eval().requires_grad_(False)
    for parameter in model.parameters():  # sharper than freshly drawn: a wrong window moves the weights visibly
        if parameter.ndim == 2:
            parameter.mul_(4)
    return Checkpoint(name, adapter.name, adapter.prepare(model), source_weights.read_tokenizer(registry.bundled()[0]))


def eager_weights(checkpoint: Checkpoint, trace: ModelTrace) -> list[np.ndarray]:
    """Return transformers' own attention weights of its eager path, (head, query, key) per layer."""
    ids = torch.tensor([[token.id for token in trace.tokens]])
    eager = type(checkpoint.model)(checkpoint.config.__class__.from_dict(checkpoint.config.to_dict()))
    eager.set_attn_implementation("eager")
    eager.load_state_dict(checkpoint.model.state_dict())
    with torch.inference_mode():
        theirs = eager.eval()(input_ids=ids, output_attentions=True, use_cache=False).attentions
    return [weights[0].numpy() for weights in theirs]


@pytest.mark.parametrize("window", range(1, LENGTH + 2))
@pytest.mark.parametrize("family", WINDOWED)
def test_recorded_weights_are_those_of_the_eager_path(family: str, window: int) -> None:
    checkpoint = checkpoint_of_config(family, WINDOWED[family](window))
    trace = registry.trace(checkpoint, TEXT)
    length = len(trace.tokens)
    assert length == LENGTH
    age = np.arange(length)[:, None] - np.arange(length)[None, :]
    for layer, theirs in zip(trace, eager_weights(checkpoint, trace), strict=True):
        weights, norms = layer.part("attention"), layer.part("value_norm")
        assert np.abs(weights - theirs).max() < 1e-5
        if windowed(layer.index, family):
            assert not weights[:, age >= window].any(), "a weight older than the window"
            assert not norms[:, age >= window].any()
            assert (weights[:, (age >= 0) & (age < window)] > 0).all()
    assert trace.cache_bytes == trace.cache_bytes_formula


def test_scores_distances_and_the_overview_follow_the_window() -> None:
    window = 4
    checkpoint = checkpoint_of_config("mistral", WINDOWED["mistral"](window))
    trace = registry.trace(checkpoint, TEXT)
    theirs = eager_weights(checkpoint, trace)
    scores = head_scores(trace).values
    sink = SCORES.index("sink")
    for row, (layer, weights) in enumerate(zip(trace, theirs, strict=True)):
        assert np.allclose(scores[row, :, sink], weights[:, 1:, 0].mean(-1), atol=1e-5)
        assert look_back(mixing_of(layer)).max() < window
        assert not mixing_of(layer)[window:, 0].any()
    shares = np.mean([weights.mean(0) for weights in theirs], axis=0)
    assert np.allclose(row_shares(trace), shares, atol=1e-5)


def test_a_window_is_seen_at_all() -> None:
    """The same weights with and without a window differ: the tests above compare something."""
    narrow = registry.trace(checkpoint_of_config("mistral", WINDOWED["mistral"](3)), TEXT)
    wide = registry.trace(checkpoint_of_config("mistral", WINDOWED["mistral"](64)), TEXT)
    assert np.abs(narrow.layer(0).part("attention") - wide.layer(0).part("attention")).max() > 1e-2


@pytest.mark.parametrize("length", (1, 3, 4, 9))
def test_counters_of_a_sliding_cache_are_no_cache_bytes(length: int) -> None:
    checkpoint = checkpoint_of_config("mistral", WINDOWED["mistral"](4))
    adapter = registry.adapter(checkpoint.architecture)
    _, cache = adapter.step(checkpoint, torch.ones(1, length, dtype=torch.long), None)
    held = adapter.cache_tensors(cache)
    assert all(tensor.is_floating_point() for tensor in held) and len(held) == 2 * SMALL["num_hidden_layers"]
    shape = accounting.shape_of(checkpoint.config)
    assert adapter.cache_bytes(cache) == accounting.cache_bytes(shape, context=length, dtype="float32")


UNUSUAL: dict[str, Callable[[], PretrainedConfig]] = {
    "jamba without attention": lambda: JambaConfig(
        **SMALL, **HEADS, num_experts=4, num_experts_per_tok=2, attn_layer_period=8, attn_layer_offset=7,
        mamba_d_state=5, mamba_dt_rank=3),
    "rwkv, wider attention": lambda: RwkvConfig(**SMALL, intermediate_size=40, attention_hidden_size=48),
    "rwkv, narrower attention": lambda: RwkvConfig(**SMALL, intermediate_size=40, attention_hidden_size=16),
}  # fmt: skip


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_unusual_plans_run_and_chunks_equal_one_pass(unusual: str) -> None:
    """transformers' own entry fails on both: a cache without attention, and a state of another width."""
    checkpoint = checkpoint_of_config(unusual, UNUSUAL[unusual]())
    trace = registry.trace(checkpoint, TEXT)
    assert trace.cache_bytes == trace.cache_bytes_formula > 0
    adapter = registry.adapter(checkpoint.architecture)
    ids, cache = torch.tensor([[token.id for token in trace.tokens]]), None
    for chunk in ids.split(4, dim=1):
        logits, cache = adapter.step(checkpoint, chunk, cache)
    last = trace.logits.values[-1]
    assert np.abs(logits[0].numpy() - last).max() < 2e-5 * np.abs(last).max()
    for token in ids.split(1, dim=1)[:2]:
        _, cache = adapter.step(checkpoint, token, cache)
