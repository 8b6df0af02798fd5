"""Counts of published models are those on record, defaults are those of transformers, and nothing is guessed."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig

from models import registry
from models.counting import accounting
from models.errors import SettingError, SourceError
from models.sources import catalogue

FAMILIES = pytest.mark.parametrize("family", accounting.FAMILIES)

HEADS = {"mamba": {}, "jamba": {"num_attention_heads": 8, "num_key_value_heads": 4}}


@FAMILIES
def test_defaults_are_those_of_transformers(family):
    made = AutoConfig.for_model(family)
    assert (
        accounting.shape_of({"model_type": family}) == accounting.shape_of(made) == accounting.shape_of(made.to_dict())
    )


@pytest.mark.parametrize("family", ["mamba", "jamba"])
@pytest.mark.parametrize("width", [40, 48, 56])
def test_an_automatic_rank_is_rounded_up(family, width):
    """Gu & Dao 2023, section 3.6: a sixteenth of the width; transformers rounds it up."""
    expected = {40: 3, 48: 3, 56: 4}[width]
    assert accounting.shape_of({"model_type": family, "hidden_size": width, **HEADS[family]}).dt_rank == expected
    made = AutoConfig.for_model(family, hidden_size=width, **HEADS[family])
    assert getattr(made, "time_step_rank", None) == expected or getattr(made, "mamba_dt_rank", None) == expected


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


@pytest.mark.parametrize("name", registry.bundled())
def test_the_operations_of_a_prompt_are_the_products_that_torch_counts(name):
    """torch counts matrix products; attention (fused) and the scan are not among them and are left out here as well."""
    adapter, checkpoint, tokens = registry.adapter(name), registry.load(name), 33
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        adapter.step(checkpoint, torch.ones(1, tokens, dtype=torch.long), None)
    shape = accounting.shape_of(checkpoint.model.config)
    attention = shape.count("attention") * 4 * shape.n_heads * shape.d_head * (tokens // 2)
    scan = shape.count("mamba") * shape.d_inner * (7 * shape.d_state + 2 * shape.d_conv)
    counted = accounting.prefill_flops(shape, tokens=tokens) - tokens * (attention + scan)
    assert counter.get_total_flops() == counted


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
