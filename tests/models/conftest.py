"""Checkpoints for the model tests: the bundled ones, and tiny seeded models of every configuration we claim to take."""

from collections.abc import Callable, Mapping

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    JambaConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    PretrainedConfig,
    Qwen2Config,
    RwkvConfig,
)

from models import registry
from models.operators.backends import ATTENTION
from models.records.trace import ModelTrace
from models.sources import weights
from models.tracing.adapter import Checkpoint

VOCAB = registry.read_config(registry.bundled()[0]).vocab_size  # these models read by the bundled tokenizer
SMALL = {"vocab_size": VOCAB, "hidden_size": 24, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 40}

CONFIGS: Mapping[str, Callable[[], PretrainedConfig]] = {
    "gpt2": lambda: GPT2Config(vocab_size=VOCAB, n_embd=24, n_layer=3, n_head=4, n_positions=300),
    "gpt_neox": lambda: GPTNeoXConfig(**SMALL, num_attention_heads=4, intermediate_size=40),
    "llama": lambda: LlamaConfig(**SMALL, **HEADS),
    "qwen2": lambda: Qwen2Config(**SMALL, **HEADS),
    "mistral": lambda: MistralConfig(**SMALL, **HEADS, sliding_window=5),
    "mixtral": lambda: MixtralConfig(**SMALL, **HEADS, num_local_experts=4, num_experts_per_tok=2),
    "mamba": lambda: MambaConfig(**SMALL, state_size=5, pad_token_id=0),
    "rwkv": lambda: RwkvConfig(**SMALL, intermediate_size=40, rescale_every=2),
    "jamba": lambda: JambaConfig(**{**SMALL, "num_hidden_layers": 5}, **HEADS, num_experts=4, num_experts_per_tok=2,
                                 attn_layer_period=4, attn_layer_offset=2, mamba_d_state=5, mamba_dt_rank=3),
}  # fmt: skip


def seeded(kind: str) -> Checkpoint:
    """Build a tiny model with seeded weights and the bundled tokenizer."""
    torch.manual_seed(7)
    config = CONFIGS[kind]()
    adapter = registry.adapter_for(config, source=kind)
    options = {} if kind in ("mamba", "rwkv") else {"attn_implementation": ATTENTION}
    model = AutoModelForCausalLM.from_config(config, **options).eval().requires_grad_(False)
    return Checkpoint(kind, adapter.name, adapter.prepare(model), weights.read_tokenizer(registry.bundled()[0]))


@pytest.fixture(scope="session")
def checkpoint_of() -> Callable[[str], Checkpoint]:
    """Return a loader that keeps what it loaded: bundled names and kinds of CONFIGS prefixed by 'seeded-'."""
    loaded: dict[str, Checkpoint] = {}

    def get(name: str) -> Checkpoint:
        if name not in loaded:
            loaded[name] = seeded(name[7:]) if name.startswith("seeded-") else registry.load(name)
        return loaded[name]

    return get


@pytest.fixture(scope="session")
def trace_of(checkpoint_of: Callable[[str], Checkpoint]) -> Callable[[str, str], ModelTrace]:
    """Return a tracer that keeps its traces, whose arrays are read-only: one for each model and prompt."""
    kept: dict[tuple[str, str], ModelTrace] = {}

    def get(name: str, prompt: str) -> ModelTrace:
        if (name, prompt) not in kept:
            kept[name, prompt] = registry.trace(checkpoint_of(name), prompt)
        return kept[name, prompt]

    return get


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise `name` over every model, and `attentive`, `selective`, `decaying`, `routed` by the part they show."""
    every = [a.bundled for a in registry.ADAPTERS] + [f"seeded-{kind}" for kind in CONFIGS]
    shows = {"attentive": "attention", "selective": "dt", "decaying": "decay_rate", "routed": "router_probs"}
    for fixture, part in [("name", None), *shows.items()]:
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [n for n in every if part is None or part in _parts(n)])


def _parts(name: str) -> frozenset[str]:
    if name == "seeded-mixtral":
        return registry.adapter("transformer").parts
    kind = name.removeprefix("seeded-")
    found = next(a for a in registry.ADAPTERS if kind in (a.name, *a.model_types))
    dense = {"transformer", "gpt2", "gpt_neox", "llama", "qwen2", "mistral"}
    return found.parts - {"router_probs"} if kind in dense else found.parts
