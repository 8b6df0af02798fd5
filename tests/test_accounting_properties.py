"""Counts equal torch's on the meta device, and live cache objects byte for byte, for random configurations."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from models import registry
from models.counting import accounting
from models.tracing.adapter import Checkpoint

FAMILIES = pytest.mark.parametrize("family", accounting.FAMILIES)
BOOL = st.booleans()
PREFIX, REST = st.integers(1, 24), st.integers(0, 4)


def quick(examples):
    """Return the settings of a bounded search that draws the same examples every time."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=slow)


def _gpt2(draw):
    heads = draw(st.integers(1, 5))
    sizes = {"n_embd": heads * draw(st.integers(1, 9)), "n_head": heads, "n_layer": draw(st.integers(1, 4))}
    return sizes | {"n_positions": draw(st.integers(28, 70)), "n_inner": draw(st.sampled_from([None, 1, 21]))}


def _gpt_neox(draw):
    heads = draw(st.integers(1, 4))
    sizes = {"hidden_size": heads * draw(st.sampled_from([8, 16])), "num_attention_heads": heads}
    sizes |= {"num_hidden_layers": draw(st.integers(1, 4)), "intermediate_size": draw(st.integers(1, 50))}
    return sizes | {"attention_bias": draw(BOOL), "use_parallel_residual": draw(BOOL)}


def _decoder(draw, *, layers=1):
    """Draw heads, groups and a head size that may differ from the width's share."""
    heads = draw(st.integers(1, 6))
    groups = draw(st.sampled_from([k for k in (1, 2, 3, 4, 5, 6) if heads % k == 0]))
    sizes = {"hidden_size": heads * draw(st.sampled_from([2, 4, 8])), "num_key_value_heads": groups}
    sizes |= {"num_hidden_layers": draw(st.integers(layers, layers + 3)), "num_attention_heads": heads}
    own = draw(st.sampled_from([None, 2, 6, 10]))
    return sizes | {"intermediate_size": draw(st.integers(1, 50))} | ({} if own is None else {"head_dim": own})


def _window(draw):
    return draw(st.sampled_from([None, 1, 2, 3, 8, 100]))


def _llama(draw):
    return _decoder(draw) | {"attention_bias": draw(BOOL), "mlp_bias": draw(BOOL)}


def _mistral(draw):
    return _decoder(draw) | {"sliding_window": _window(draw)}


def _qwen2(draw):
    sizes, window = _decoder(draw), _window(draw)
    sizes |= {"use_sliding_window": window is not None, "sliding_window": window}
    return sizes | {"max_window_layers": draw(st.integers(0, sizes["num_hidden_layers"]))}


def _mixtral(draw):
    experts = draw(st.integers(1, 5))
    sizes = {"num_local_experts": experts, "num_experts_per_tok": draw(st.integers(1, experts))}
    return _decoder(draw) | sizes | {"sliding_window": _window(draw)}


def _mamba(draw):
    sizes = {"hidden_size": 2 * draw(st.integers(2, 20)), "expand": draw(st.integers(1, 3))}
    sizes |= {"num_hidden_layers": draw(st.integers(1, 4)), "state_size": draw(st.integers(1, 17))}
    sizes |= {"conv_kernel": draw(st.integers(2, 5)), "use_bias": draw(BOOL), "use_conv_bias": draw(BOOL)}
    return sizes | {"time_step_rank": draw(st.sampled_from(["auto", 1, 3]))}


def _rwkv(draw):
    # from 2 on: transformers divides by layers less one, and by width less one
    sizes = {"hidden_size": draw(st.integers(2, 40)), "num_hidden_layers": draw(st.integers(2, 5))}
    return sizes | {"intermediate_size": draw(st.sampled_from([None, 1, 33]))}


def _jamba(draw):
    period = draw(st.integers(2, 3))
    sizes = _decoder(draw, layers=period)  # its cache wants both kinds of layer
    experts = draw(st.integers(1, 4))
    sizes |= {"num_experts": experts, "num_experts_per_tok": draw(st.integers(1, experts))}
    sizes |= {"attn_layer_period": period, "attn_layer_offset": draw(st.integers(0, period - 1))}
    sizes |= {"expert_layer_period": 2, "expert_layer_offset": draw(st.integers(0, 1))}
    sizes |= {"mamba_d_state": draw(st.integers(1, 17)), "mamba_d_conv": draw(st.integers(2, 5))}
    sizes |= {"mamba_expand": draw(st.integers(1, 3)), "mamba_dt_rank": draw(st.sampled_from(["auto", 3]))}
    return sizes | {"mamba_conv_bias": draw(BOOL), "mamba_proj_bias": draw(BOOL)}


SIZES = {
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
    "llama": _llama,
    "mistral": _mistral,
    "qwen2": _qwen2,
    "mixtral": _mixtral,
    "mamba": _mamba,
    "rwkv": _rwkv,
    "jamba": _jamba,
}


@st.composite
def config(draw, family):
    """Draw a small configuration of a family."""
    common = {"vocab_size": draw(st.integers(3, 90)), "tie_word_embeddings": draw(BOOL)}
    return AutoConfig.for_model(family, **common | SIZES[family](draw), pad_token_id=None)


def _on_meta(made):
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(made)
    model.tie_weights()
    return model


def _idle(model, made):
    """Count the parameters of the experts that one token does not use, from the shapes of the live tensors."""
    stacks = [p for name, p in model.named_parameters() if ".experts." in name]
    return sum(p[0].numel() * (p.shape[0] - made.num_experts_per_tok) for p in stacks)


def test_every_family_is_drawn():
    assert set(SIZES) == set(accounting.FAMILIES)


@FAMILIES
def test_parameters_equal_torch_on_the_meta_device(family):
    @quick(20)
    @given(config(family))
    def check(made):
        model, shape = _on_meta(made), accounting.shape_of(made)
        total = sum(p.numel() for p in model.parameters())
        assert accounting.params_total(shape) == sum(accounting.parameter_terms(shape).values()) == total
        assert accounting.params_active(shape) == total - _idle(model, made)

    check()


@quick(10)
@given(config("rwkv"), st.integers(2, 50))
def test_an_attention_width_of_its_own_is_counted(made, width):
    """Parameters only: transformers 5.23 makes RWKV's state as wide as the model and cannot run such a model."""
    made.attention_hidden_size = width
    shape = accounting.shape_of(made)
    assert accounting.params_total(shape) == sum(p.numel() for p in _on_meta(made).parameters())


def _live_bytes(made, *, prefix, rest, batch, dtype):
    """Read a prefix at once and the rest token by token; return the bytes of the cache that is then held."""
    adapter = registry.adapter_for(made, source=made.model_type)
    made._experts_implementation = "eager"  # the grouped product wants aligned widths, which random ones are not
    model = adapter.prepare(AutoModelForCausalLM.from_config(made, dtype=getattr(torch, dtype)).eval())
    checkpoint, cache = Checkpoint(made.model_type, adapter.name, model, None), None
    for length in (prefix, *[1] * rest):
        _, cache = adapter.step(checkpoint, torch.zeros(batch, length, dtype=torch.long), cache)
    held = [t for t in adapter.cache_tensors(cache) if t.ndim > 0]  # a window layer also keeps its size as a scalar
    return sum(t.numel() * t.element_size() for t in held)


@FAMILIES
def test_cache_bytes_equal_the_live_cache(family):
    @quick(14)
    @given(config(family), PREFIX, REST, st.integers(1, 3), st.sampled_from(["float32", "bfloat16"]))
    def check(made, prefix, rest, batch, dtype):
        counted = accounting.cache_bytes(accounting.shape_of(made), context=prefix + rest, batch=batch, dtype=dtype)
        assert counted == _live_bytes(made, prefix=prefix, rest=rest, batch=batch, dtype=dtype)

    check()
