"""Counts equal torch's on the meta device, and live cache objects byte for byte, for random configurations."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from models import accounting, catalogue, registry
from models.errors import SettingError, SourceError
from models.spec import Checkpoint

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def _attention(draw, *, grouped: bool):
    heads = draw(st.sampled_from([1, 2, 4, 6]))
    head_dim = draw(st.sampled_from([4, 8, 10]))
    kv_heads = draw(st.sampled_from([k for k in (1, 2, 3, 4, 6) if heads % k == 0])) if grouped else heads
    return {"hidden_size": heads * head_dim, "num_attention_heads": heads, "num_key_value_heads": kv_heads}


@st.composite
def config(draw, family):
    """Draw a small configuration of a family."""
    sizes = {"vocab_size": draw(st.integers(8, 90)), "tie_word_embeddings": draw(st.booleans())}
    layers = draw(st.integers(1, 5))
    width = draw(st.sampled_from([16, 24, 40]))
    ffn = draw(st.sampled_from([8, 33, 64]))
    if family == "gpt2":
        heads = draw(st.sampled_from([1, 2, 4]))
        sizes |= {
            "n_embd": 8 * heads,
            "n_head": heads,
            "n_layer": layers,
            "n_positions": 64,
            "n_inner": draw(st.sampled_from([None, 20])),
        }
    elif family == "gpt_neox":
        heads = draw(st.sampled_from([1, 2, 4]))
        sizes |= {
            "hidden_size": 8 * heads,
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "intermediate_size": ffn,
        }
        sizes |= {"attention_bias": draw(st.booleans()), "max_position_embeddings": 64}
    elif family == "mamba":
        sizes |= {"hidden_size": width, "num_hidden_layers": layers, "state_size": draw(st.sampled_from([1, 4, 16]))}
        sizes |= {
            "expand": draw(st.sampled_from([1, 2, 3])),
            "conv_kernel": draw(st.sampled_from([2, 4])),
            "use_bias": draw(st.booleans()),
        }
        sizes |= {"use_conv_bias": draw(st.booleans()), "time_step_rank": draw(st.sampled_from(["auto", 3]))}
    elif family == "rwkv":
        deep = max(layers, 2)  # transformers divides by the number of layers less one
        sizes |= {
            "hidden_size": width,
            "num_hidden_layers": deep,
            "intermediate_size": draw(st.sampled_from([None, ffn])),
        }
    else:
        layers = max(layers, 3) if family == "jamba" else layers  # its cache wants both kinds of layer
        sizes |= {"num_hidden_layers": layers, "intermediate_size": ffn} | _attention(draw, grouped=True)
        sizes |= _extra(draw, family, layers)
    return AutoConfig.for_model(family, **sizes)


def _extra(draw, family, layers):
    window = draw(st.sampled_from([None, 2, 7]))
    experts = draw(st.sampled_from([2, 4]))
    return {
        "llama": lambda: {
            "attention_bias": draw(st.booleans()),
            "mlp_bias": draw(st.booleans()),
            "head_dim": draw(st.sampled_from([None, 6])),
        },
        "mistral": lambda: {"sliding_window": window, "head_dim": draw(st.sampled_from([None, 6]))},
        "qwen2": lambda: {
            "use_sliding_window": window is not None,
            "sliding_window": window,
            "max_window_layers": draw(st.integers(0, layers)),
        },
        "mixtral": lambda: {
            "num_local_experts": experts,
            "num_experts_per_tok": draw(st.integers(1, experts)),
            "sliding_window": window,
        },
        "jamba": lambda: {
            "num_experts": draw(st.sampled_from([1, experts])),
            "num_experts_per_tok": 1,
            "attn_layer_period": 3,
            "attn_layer_offset": draw(st.integers(0, 2)),
            "expert_layer_period": 2,
            "expert_layer_offset": draw(st.integers(0, 1)),
            "mamba_d_state": draw(st.sampled_from([2, 16])),
            "mamba_expand": draw(st.sampled_from([1, 2])),
            "mamba_dt_rank": draw(st.sampled_from(["auto", 3])),
            "mamba_conv_bias": draw(st.booleans()),
            "mamba_proj_bias": draw(st.booleans()),
        },
    }[family]()


FAMILIES = pytest.mark.parametrize("family", accounting.FAMILIES)


@FAMILIES
def test_defaults_are_those_of_transformers(family):
    made = AutoConfig.for_model(family)
    assert (
        accounting.shape_of({"model_type": family}) == accounting.shape_of(made) == accounting.shape_of(made.to_dict())
    )


@FAMILIES
def test_parameters_equal_torch_on_the_meta_device(family):
    @settings(max_examples=20, deadline=None, suppress_health_check=SLOW, derandomize=True)
    @given(config(family))
    def check(made):
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(made)
        model.tie_weights()
        assert accounting.params_total(accounting.shape_of(made)) == sum(p.numel() for p in model.parameters())

    check()


@FAMILIES
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_cache_bytes_equal_the_live_cache(family, dtype):
    @settings(max_examples=6, deadline=None, suppress_health_check=SLOW, derandomize=True)
    @given(config(family), st.integers(1, 20), st.integers(1, 3))
    def check(made, context, batch):
        adapter = registry.adapter_for(made, source=family)
        made._experts_implementation = "eager"  # the grouped product wants aligned widths, which random ones are not
        model = adapter.prepare(AutoModelForCausalLM.from_config(made, dtype=getattr(torch, dtype)).eval())
        shape = accounting.shape_of(made)
        _, cache = adapter.step(
            Checkpoint(family, adapter.name, model, None), torch.zeros(batch, context, dtype=torch.long), None
        )
        own = [t for t in adapter.cache_tensors(cache) if t.ndim > 0]  # a window layer also keeps its size as a scalar
        live = sum(t.numel() * t.element_size() for t in own)
        assert accounting.cache_bytes(shape, context=context, batch=batch, dtype=dtype) == live

    check()


def test_active_parameters_leave_out_the_experts_not_chosen():
    made = AutoConfig.for_model(
        "mixtral",
        vocab_size=16,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_local_experts=4,
        num_experts_per_tok=1,
    )
    shape = accounting.shape_of(made)
    assert accounting.params_total(shape) - accounting.params_active(shape) == 2 * 3 * (3 * 8 * 12)


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry["id"])
def test_catalogue_numbers(entry):
    """Every entry is counted as recorded, or refused in one line that names it."""
    if catalogue.model_type(entry) is None or catalogue.unknown_fields(entry):
        with pytest.raises(SourceError, match=f"^{entry['id']}: [^\n]+$"):
            catalogue.shape(entry)
        return
    shape = catalogue.shape(entry)
    assert accounting.params_total(shape) == entry["params_total_computed"]
    assert accounting.params_active(shape) == entry["params_active_computed"]
    assert accounting.kv_bytes(shape, context=1) == entry["kv_bytes_per_token_16bit"]


# Table 1 of Lieber et al. 2024 (Jamba) and of the Jamba-1.5 report: KV cache at 256K tokens in 16 bit, in GiB.
@pytest.mark.parametrize(
    ("name", "gib"),
    [
        ("llama2-7b", 128),
        ("mistral-7b", 32),
        ("mixtral-8x7b", 32),
        ("jamba-v0.1", 4),
        ("jamba-1.5-large", 9),
        ("llama3.1-70b", 80),
        ("mixtral-8x22b", 56),
    ],
)
def test_published_cache_tables(name, gib):
    assert accounting.kv_bytes(catalogue.shape(catalogue.find(name)), context=262_144) == gib * 2**30


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("jamba-v0.1", 51.570, 12.110),
        ("mixtral-8x7b", 46.703, 12.880),
        ("jamba-1.5-large", 398.555, 94.149),
        ("llama2-7b", 6.738, 6.738),
    ],
)
def test_published_sizes(name, total, active):
    shape = catalogue.shape(catalogue.find(name))
    assert round(accounting.params_total(shape) / 1e9, 3) == total
    assert round(accounting.params_active(shape) / 1e9, 3) == active


# Table 2 of Peng et al. 2023 (RWKV): forward FLOPs per token are 2 (V d + 13 d^2 L).
@pytest.mark.parametrize("name", ["rwkv-4-169m", "rwkv-4-430m", "rwkv-4-1b5", "rwkv-4-3b", "rwkv-4-7b", "rwkv-4-14b"])
def test_rwkv_operations_are_those_of_its_paper(name):
    shape = catalogue.shape(catalogue.find(name))
    d, layers = shape.d_model, len(shape.layers)
    assert accounting.flops_per_token(shape, context=1) == 2 * (shape.vocab * d + 13 * d * d * layers)


def test_state_does_not_depend_on_the_context_and_keys_do():
    jamba = catalogue.shape(catalogue.find("jamba-v0.1"))
    assert accounting.kv_bytes(jamba, context=2000) == 2 * accounting.kv_bytes(jamba, context=1000)
    assert accounting.state_bytes(jamba) == round(15.75 * 2**20)
    mamba = catalogue.shape(catalogue.find("mamba-2.8b"))
    assert (
        accounting.cache_bytes(mamba, context=10) == accounting.cache_bytes(mamba, context=10**6) == round(22.5 * 2**20)
    )


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"model_type": "t5"},
        {"model_type": "llama", "hidden_size": "wide"},
        {"model_type": "llama", "num_attention_heads": 0},
        {"model_type": "mixtral", "num_experts_per_tok": 9},
        {"model_type": "gpt2", "n_layer": 0},
    ],
)
def test_unusable_configurations_are_refused(broken):
    with pytest.raises(SourceError):
        accounting.shape_of(broken)


def test_unknown_number_types_are_refused():
    with pytest.raises(SettingError):
        accounting.cache_bytes(accounting.shape_of({"model_type": "gpt2"}), context=1, dtype="int4")


def test_no_entry_is_guessed():
    entry = next(e for e in catalogue.entries() if e["id"] == "jamba-1.6-mini")
    with pytest.raises(SourceError, match="layers"):
        catalogue.config_of(entry)
    with pytest.raises(SourceError, match="its record says"):
        catalogue.config_of(dict(catalogue.find("gpt2")) | {"hidden": 1600, "heads": 25})
