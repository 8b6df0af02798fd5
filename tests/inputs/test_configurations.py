"""Configurations of the kind that people report: each is counted, or refused in one sentence that names the cause.

The ids are those of the review that collected them; I10 is in tests/bench/test_spreadsheets.py, I11 in
tests/frame/test_links.py.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from reported import TEXT, answer, edit, raised, refused, write
from safetensors.torch import load_file, save_file

from models import describe, registry
from models.counting import accounting, validation
from models.sources import stored, weights


def family(name: str, **fields: object) -> dict[str, object]:
    return {"model_type": name, **fields}


LLAMA = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
# id -> configuration and what the sentence must name
CONFIGURATIONS: Mapping[str, tuple[object, tuple[str, ...]]] = {
    "I2 too few layer types": (
        family("qwen2", num_hidden_layers=2, layer_types=["full_attention"]), ("layer_types has 1", "is 2")),
    "I2 too many layer types": (
        family("qwen2", num_hidden_layers=2, layer_types=["full_attention"] * 5), ("layer_types has 5", "is 2")),
    "I2 a mapping of layer types": (
        family("qwen2", num_hidden_layers=2, layer_types={"0": "full_attention"}), ("layer_types is {", "list")),
    "I2 an unknown layer type": (
        family("qwen2", num_hidden_layers=1, layer_types=["mamba"]), ("'mamba'", "full_attention")),
    "I2 layer types of a llama": (
        family("llama", num_hidden_layers=2, layer_types=["full_attention"]), ("layer_types has 1", "is 2")),
    "I3 NaN": ('{"model_type": "llama", "vocab_size": NaN}', ("vocab_size is nan",)),
    "I3 1e999": ('{"model_type": "llama", "vocab_size": 1e999}', ("vocab_size is inf",)),
    "I3 a float": (family("llama", hidden_size=64.0), ("hidden_size is 64.0", "whole number")),
    "I3 negative": (family("llama", intermediate_size=-128), ("intermediate_size is -128",)),
    "I3 a truth": (family("llama", num_hidden_layers=True), ("num_hidden_layers is True",)),
    "I3 a number for a truth": (family("llama", attention_bias=1), ("attention_bias is 1", "true or false")),
    "I3 null for a size": (family("llama", vocab_size=None), ("vocab_size is None",)),
    "I3 a list": (family("llama", vocab_size=[1]), ("vocab_size is [1]",)),
    "I3 a text": (family("llama", vocab_size="many"), ("vocab_size is 'many'",)),
    "I3 heads that do not divide": (
        {**LLAMA, **family("llama", num_attention_heads=6)}, ("hidden_size is 64", "num_attention_heads, 6")),
    "I3 heads of gpt2": (family("gpt2", n_embd=65, n_head=4), ("n_embd is 65", "n_head, 4")),
    "I3 heads of gpt2 by its other names": (
        family("gpt2", hidden_size=65, num_attention_heads=4), ("n_embd is 65", "n_head, 4")),
    "I3 groups that do not divide": (
        {**LLAMA, **family("llama", num_key_value_heads=3)}, ("num_attention_heads is 4", "num_key_value_heads, 3")),
    "I3 jamba's offset": (
        family("jamba", attn_layer_period=4, attn_layer_offset=4), ("attn_layer_offset is 4", "attn_layer_period")),
    "I3 jamba's offset of experts": (
        family("jamba", expert_layer_period=2, expert_layer_offset=2), ("expert_layer_offset is 2",)),
    "I3 jamba's period of none": (family("jamba", attn_layer_period=0), ("attn_layer_period is 0",)),
    "I3 more experts than there are": (
        family("mixtral", num_experts_per_tok=9), ("num_experts_per_tok is 9", "num_local_experts is 8")),
    "I3 a window as text": (family("mistral", sliding_window="4096"), ("sliding_window is '4096'",)),
    "I3 a window of nothing": (family("mistral", sliding_window=0), ("sliding_window is 0",)),
    "I3 a rank as text": (family("mamba", time_step_rank="large"), ("time_step_rank is 'large'",)),
    "I3 30,000,000 layers": (family("llama", num_hidden_layers=30_000_000), ("30000000", "4,096")),
    "I3 2^31 layers of qwen2": (family("qwen2", num_hidden_layers=2**31), ("2147483648", "4,096")),
    "I3 a size of 2^33": (family("llama", vocab_size=2**33), ("vocab_size is 8589934592", "4,294,967,296")),
    "I3 a number of 4,000 digits": (
        '{"model_type": "llama", "vocab_size": 1' + "0" * 4000 + "}", ("vocab_size is 1000",)),
    "I3 a number of 5,000 digits": ('{"model_type": "llama", "vocab_size": 1' + "0" * 5000 + "}", ("JSON",)),
    "I3 nested a hundred thousand deep": ("[" * 100_000 + "]" * 100_000, ("nested too deeply",)),
    "I3 nested objects": ('{"a":' * 100_000 + "1" + "}" * 100_000, ("nested too deeply",)),
    "I3 a file of 2 MB": (family("llama", note="x" * 2_000_000), ("1,048,576",)),
    "I3 a list instead of an object": ("[]", ("holds a list",)),
    "I3 half a file": ('{"model_type": "lla', ("JSON",)),
    "I3 a kind that is no text": (family("llama", model_type=["llama"]), ("model_type ['llama'] is not counted",)),
    "I3 a kind nobody knows": (family("x" * 5000), ("is not counted here",)),
    "I3 no kind": ({"hidden_size": 64}, ("names no model_type",)),
    "I8 the original Mamba format": (
        {"d_model": 768, "n_layer": 24, "vocab_size": 50277, "ssm_cfg": {}},
        ("original format of Mamba ", "state-spaces/mamba-130m-hf")),
    "I8 the original Mamba-2 format": (
        {"d_model": 768, "n_layer": 24, "ssm_cfg": {"layer": "Mamba2"}}, ("original format of Mamba-2 ",)),
}  # fmt: skip


@pytest.mark.parametrize(("config", "named"), CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_a_configuration_that_cannot_be_is_refused_by_command_page_and_loader_alike(
    capsys, tmp_path: Path, config: object, named: tuple[str, ...]
) -> None:
    path = str(write(tmp_path / "model", config, **{"model.safetensors": b""}))
    line = refused(capsys, "describe", path)
    assert all(word in line for word in named), line
    errors = [
        raised(lambda: describe.describe(path)),
        raised(lambda: weights.read_config(path)),
        raised(lambda: registry.load(path)),
        raised(lambda: registry.checked(path, architecture="transformer")),
    ]
    assert len({error.key for error in errors}) == 1, [error.key for error in errors]
    assert refused(capsys, "trace", path, "--text", TEXT).partition(": ")[2] == line.partition(": ")[2]


def test_i3_the_limits_are_where_the_sentence_says(tmp_path: Path) -> None:
    """Just inside is counted, just outside is not."""
    sizes = {**LLAMA, "model_type": "llama"}
    most = sizes | {"num_hidden_layers": validation.MOST_LAYERS, "vocab_size": validation.LARGEST}
    assert len(accounting.shape_of(most).layers) == 4096
    for field in ("num_hidden_layers", "vocab_size"):
        assert raised(lambda f=field: accounting.shape_of(most | {f: most[f] + 1})).values["field"] == field
    padding = 2**20 - len(json.dumps(sizes | {"note": ""}))
    assert describe.resolve(str(write(tmp_path / "a", sizes | {"note": "x" * padding}))).shape.vocab == 99
    large = write(tmp_path / "b", sizes | {"note": "x" * (padding + 1)})
    assert raised(lambda: describe.resolve(str(large))).key == "errors.config_large"


def test_i7_a_quantised_checkpoint_is_described_with_its_stored_bytes(capsys, folder: Path) -> None:
    edit(folder, quantization_config={"quant_method": "gptq", "bits": 4}, dtype="float16")
    size = stored.weights(folder, name="x").total_bytes
    found = answer(capsys, "describe", str(folder))
    assert found["stored_bytes"] == size == sum(x.numel() * 4 for x in load_file(folder / "model.safetensors").values())
    assert any("gptq, 4 bit" in note and f"{size:,} bytes on disk" in note for note in found["notes"])
    (folder / "model.safetensors").unlink()
    (note,) = [note for note in answer(capsys, "describe", str(folder))["notes"] if "gptq" in note]
    assert "size on disk is not known" in note


def test_i7_fields_that_name_code_or_kernels_are_left_out(folder: Path) -> None:
    evil = {"attn_implementation": "owner/kernel", "_attn_implementation": "owner/kernel", "transformers_weights": "x",
            "experts_implementation": "owner/kernel", "auto_map": {"AutoConfig": "evil.C"}}  # fmt: skip
    plain = weights.read_config(str(folder)).to_dict()
    edit(folder, **evil)
    config = weights.read_config(str(folder))
    assert config.to_dict() == plain
    assert not any(getattr(config, name, None) in ("owner/kernel", "x") for name in evil)
    assert registry.trace(registry.load(str(folder)), TEXT).layers


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_i12_describe_counts_in_the_stored_type(capsys, folder: Path, dtype: str) -> None:
    kept = {name: x.to(getattr(torch, dtype)) for name, x in load_file(folder / "model.safetensors").items()}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder, dtype="bfloat16")  # the files are believed, not what is said about them
    found = answer(capsys, "describe", str(folder), "--context", "2048")
    assert (found["dtype"], found["stored_dtype"]) == (dtype, dtype)
    assert found["weight_bytes"] == found["stored_bytes"] == sum(x.numel() * x.element_size() for x in kept.values())
    assert found["notes"] == []
    other = answer(
        capsys, "describe", str(folder), "--context", "9", "--dtype", "fp16" if dtype != "float16" else "f32"
    )
    assert other["notes"] == [f"the weights are stored in {dtype}"]


def test_i12_without_files_the_configuration_says_the_type(capsys, tmp_path: Path) -> None:
    path = str(write(tmp_path / "a", {**LLAMA, "model_type": "llama", "torch_dtype": "float32"}))
    assert answer(capsys, "describe", path)["dtype"] == "float32"
    path = str(write(tmp_path / "b", {**LLAMA, "model_type": "llama"}))
    found = answer(capsys, "describe", path)
    assert found["dtype"] == "bfloat16"
    assert any("number type" in note and "bfloat16" in note for note in found["notes"])


@pytest.mark.parametrize(("context", "noted"), [(1024, False), (1025, True), (100_000, True)])
def test_i12_a_context_beyond_the_positions_is_noted(capsys, context: int, noted: bool) -> None:
    notes = answer(capsys, "describe", "gpt2", "--context", str(context))["notes"]
    assert [note for note in notes if "1,024 positions" in note and f"{context:,} tokens" in note] == notes[: 1 * noted]
    assert len(notes) == noted


def test_i12_positions_that_a_configuration_names_are_noted(capsys, tmp_path: Path) -> None:
    path = str(write(tmp_path / "a", {**LLAMA, "model_type": "llama", "max_position_embeddings": 2048}))
    assert any("2,048 positions" in note for note in answer(capsys, "describe", path)["notes"])
    assert not any("positions" in note for note in answer(capsys, "describe", path, "--context", "2048")["notes"])


def test_i12_what_was_filled_in_is_noted(capsys, tmp_path: Path) -> None:
    path = str(write(tmp_path / "a", {"model_type": "llama"}))
    found = answer(capsys, "describe", path)
    assert found["params_total"] == 6_738_415_616
    (note,) = [note for note in found["notes"] if "fills them in" in note]
    for said in ("vocab_size 32,000", "hidden_size 4,096", "num_hidden_layers 32"):
        assert said in note
    given = {**LLAMA, "model_type": "llama"}
    notes = answer(capsys, "describe", str(write(tmp_path / "b", given)))["notes"]
    assert not any("fills them in" in note for note in notes)
    short = str(write(tmp_path / "c", {"model_type": "gpt2", "hidden_size": 96, "num_hidden_layers": 2}))
    (note,) = [note for note in answer(capsys, "describe", short)["notes"] if "fills them in" in note]
    assert "n_embd" not in note and "n_layer" not in note and "n_head 12" in note
