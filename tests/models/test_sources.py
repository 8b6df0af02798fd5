"""Every kind of source: bundled, folder, hub; bad ones get one clear sentence and nothing foreign is run."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models import registry
from models.errors import ContextscopeError, SettingError, SourceError
from models.sources import weights as source_weights
from models.tracing.adapter import Adapter

FOURTH = re.compile(r"(layers|blocks)\.3\.")  # layer


def key_of(source: str, **options: str) -> str:
    with pytest.raises(ContextscopeError) as error:
        registry.load(source, **options)
    assert "\n" not in str(error.value)
    return error.value.key.removeprefix("errors.")


def folder(path: Path, config: object | None = None, **files: bytes) -> str:
    path.mkdir(exist_ok=True)
    if config is not None:
        (path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    for name, content in files.items():
        (path / name.replace("__", ".")).write_bytes(content)
    return str(path)


@pytest.mark.slow
def test_every_bundled_checkpoint_loads_and_has_a_card() -> None:
    assert set(registry.bundled()) == {a.bundled for a in registry.ADAPTERS}
    for name in registry.bundled():
        checkpoint = registry.load(name)
        card = json.loads(registry.card(name).read_text())
        assert 1e6 <= card["parameters"] <= 12e6
        assert set(card["validation_bits_per_byte"]) == {"en", "ko"} and card["corpus_sha256"]
        assert checkpoint.model.dtype == torch.float32 and not checkpoint.model.training
        stored = (source_weights.CHECKPOINTS / name / "model.safetensors").read_bytes()
        header = json.loads(stored[8 : 8 + int.from_bytes(stored[:8], "little")])
        assert {t["dtype"] for n, t in header.items() if n != "__metadata__"} == {"F16"}


def test_a_local_folder_is_the_same_model(tmp_path: Path) -> None:
    name = registry.bundled()[0]
    checkpoint = registry.load(name)
    checkpoint.model.save_pretrained(tmp_path)
    checkpoint.tokenizer.save_pretrained(tmp_path)  # type: ignore[union-attr]
    again = registry.load(str(tmp_path))
    a, b = (registry.trace(c, "the wolf") for c in (checkpoint, again))
    assert (a.logits.values == b.logits.values).all()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda kept: {"a": torch.zeros(3)}, "weights_missing"),
        (lambda kept: {name: x for name, x in kept.items() if not FOURTH.search(name)}, "weights_missing"),
        (lambda kept: {name: x * float("nan") for name, x in kept.items()}, "weights_broken"),
        (lambda kept: {name: torch.full_like(x, float("inf")) for name, x in kept.items()}, "weights_broken"),
        (lambda kept: {name: x[..., :8].contiguous() for name, x in kept.items()}, "weights_unreadable"),
    ],
    ids=["another model's", "a layer short", "no numbers", "without end", "of other sizes"],
)
@pytest.mark.parametrize("bundled", registry.bundled())
def test_weights_that_are_not_the_model_s_are_said_so(bundled: str, change: Any, key: str, tmp_path: Path) -> None:
    """transformers would draw at random what is missing, and show it as a trained model."""
    shutil.copytree(source_weights.CHECKPOINTS / bundled, tmp_path / bundled)
    path = tmp_path / bundled / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    assert key_of(str(tmp_path / bundled)) == key


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("", "source_unnamed"),
        ("no such thing!", "source_not_found"),
        ("../../nowhere", "no_folder"),
        ("a/b/c", "source_not_found"),
        ("x\x00y", "source_not_found"),
        ("~nobody-there/x", "no_folder"),
    ],
    ids=repr,
)
def test_what_is_no_source_is_said_so(source: str, key: str) -> None:
    assert key_of(source) == key


def test_an_endless_name_is_said_so() -> None:
    assert key_of("a" * 5000) == "source_not_found"


@pytest.mark.parametrize(
    ("config", "files", "key"),
    [
        (None, {}, "no_config"),
        ("{not json", {}, "bad_config"),
        ("[]", {}, "bad_config"),
        ({"model_type": "bert"}, {"model__safetensors": b""}, "unknown_architecture"),
        ({"model_type": "made-up"}, {"model__safetensors": b""}, "unknown_architecture"),
        ({"model_type": "llama"}, {}, "no_weights"),
        ({"model_type": "llama"}, {"pytorch_model__bin": b"x"}, "unsafe_weights"),
        ({"model_type": "llama", "hidden_size": 8}, {"model__safetensors": b"garbage"}, "config_division"),
        ({"model_type": "rwkv", "hidden_size": 8}, {"model__safetensors": b"garbage"}, "weights_unreadable"),
    ],
)
def test_bad_folders(tmp_path: Path, config: object, files: dict[str, bytes], key: str) -> None:
    assert key_of(folder(tmp_path / "f", config, **files)) == key


def test_remote_code_is_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w')".encode()
    config = {"model_type": "made-up", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    key_of(folder(tmp_path / "f", config, evil__py=code, model__safetensors=b""))
    assert not marker.exists()


def test_an_unreachable_hub_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert key_of("nobody/nothing-here") == "hub_unreachable"


def test_bad_settings() -> None:
    name = registry.bundled()[0]
    assert key_of(name, device="quantum") == "device_missing"
    assert key_of(name, dtype="int3") == "dtype_unknown"
    if not torch.cuda.is_available():
        assert key_of(name, device="cuda") == "device_missing"


def test_errors_are_of_their_kind() -> None:
    with pytest.raises(SourceError):
        registry.load("a/b/c")
    with pytest.raises(SettingError):
        registry.load(registry.bundled()[0], dtype="x")


@pytest.mark.parametrize("typed", ("", "   ", "/no/such/place", "x\x00y", "a" * 5000, "~nobody-there/x"), ids=repr)
def test_what_is_typed_and_is_no_folder_is_said_so(typed: str) -> None:
    with pytest.raises(SourceError) as error:
        registry.checked(typed, architecture="mamba")
    assert error.value.key == "errors.no_folder" and "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("adapter", registry.ADAPTERS, ids=lambda adapter: adapter.name)
def test_a_folder_is_taken_by_its_own_family_only(adapter: Adapter) -> None:
    place = str(source_weights.CHECKPOINTS / adapter.bundled)
    for other in registry.ADAPTERS:
        if other is adapter:
            assert registry.checked(f" {place} ", architecture=other.name) == place
            continue
        with pytest.raises(SourceError) as error:
            registry.checked(place, architecture=other.name)
        assert error.value.key == "errors.wrong_family" and error.value.values["found"] == adapter.name


@pytest.mark.slow
def test_need_counts_the_weights_in_float32() -> None:
    for name in registry.bundled():
        weights = sum(p.numel() for p in registry.load(name).model.parameters()) * 4
        assert registry.weight_bytes(name) == weights < registry.need_bytes(name)


def test_models_run_where_the_setting_or_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(source_weights.DEVICE_VARIABLE, raising=False)
    monkeypatch.setattr(source_weights.torch.cuda, "is_available", lambda: False)
    assert registry.preferred_device() == "cpu"
    monkeypatch.setattr(source_weights.torch.cuda, "is_available", lambda: True)
    assert registry.preferred_device() == "cuda:0"
    monkeypatch.setenv(source_weights.DEVICE_VARIABLE, "cpu")
    assert registry.preferred_device() == "cpu"
