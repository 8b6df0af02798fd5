"""Folders of the kind that people report: each says what is missing, cut or another file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reported import TEXT, VOCAB, edit, raised, refused
from safetensors.torch import load_file, save_file

from models import registry

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 35\n"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "generation_config.json", "model.safetensors"])
def test_i3_a_pipe_does_not_hang(capsys, folder: Path, file: str) -> None:
    """Opening a pipe that nobody writes to would wait for ever."""
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    for words in (("describe", str(folder)), ("trace", str(folder), "--text", TEXT)):
        assert file in refused(capsys, *words)
    assert raised(lambda: registry.checked(str(folder), architecture="transformer")).key == "errors.no_plain_file"


def damaged(name: str, change: Callable[[Path], object], *said: str) -> Any:
    return pytest.param(change, said, id=name)


def pieces(folder: Path, *, count: int = 3) -> None:
    """Save the weights in pieces, with the index that says what is in which."""
    kept = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    index = {}
    for n in range(count):
        part = {name: x for i, (name, x) in enumerate(sorted(kept.items())) if i % count == n}
        file = f"model-{n + 1:05d}-of-{count:05d}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def piece_missing(folder: Path) -> None:
    pieces(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()


def index_missing(folder: Path) -> None:
    pieces(folder)
    (folder / "model.safetensors.index.json").unlink()


def both_missing(folder: Path) -> None:
    piece_missing(folder)
    (folder / "model.safetensors.index.json").unlink()


def index_outside(folder: Path) -> None:
    pieces(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../other/model.safetensors"}}')


def renamed(folder: Path, name: str, *, config: bool = True) -> None:
    (folder / "model.safetensors").rename(folder / name)
    if not config:
        (folder / "config.json").unlink()


def cut(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def content(folder: Path, name: str, text: bytes) -> None:
    (folder / name).write_bytes(text)


LOADED = [
    damaged("I5 weights are a pointer", lambda f: content(f, "model.safetensors", POINTER),
            "model.safetensors is only a git-lfs pointer", "git lfs pull"),
    damaged("I5 tokenizer is a pointer", lambda f: content(f, "tokenizer.json", POINTER),
            "tokenizer.json is only a git-lfs pointer", "git lfs pull"),
    damaged("I5 configuration is a pointer", lambda f: content(f, "config.json", POINTER),
            "config.json is only a git-lfs pointer"),
    damaged("I5 half a tokenizer", lambda f: content(f, "tokenizer.json", (f / "tokenizer.json").read_bytes()[:5000]),
            "tokenizer.json", "cannot be read"),
    damaged("I5 no tokenizer", lambda f: (f / "tokenizer.json").unlink(), "add its tokenizer.json"),
    damaged("I6 an untied head that is not there", lambda f: edit(f, tie_word_embeddings=False),
            "lm_head.weight", "output head", '"tie_word_embeddings": true'),
    damaged("I7 gptq", lambda f: edit(f, quantization_config={"quant_method": "gptq", "bits": 4}),
            "quantised (gptq, 4 bit)", "not read here"),
    damaged("I7 bitsandbytes", lambda f: edit(f, quantization_config={"load_in_8bit": True, "bnb_4bit_use": 1}),
            "quantised (bitsandbytes, 8 bit)"),
    damaged("I7 a quantisation of the wrong type", lambda f: edit(f, quantization_config="gptq"), "is quantised"),
    damaged("I9 a piece is missing", piece_missing, "lacks 1 of 3 pieces", "model-00002-of-00003.safetensors"),
    damaged("I9 the index is missing", index_missing, "in 3 pieces", "model.safetensors.index.json"),
    damaged("I9 a piece and the index are missing", both_missing, "lacks 1 of 3", "model-00002-of-00003.safetensors"),
    damaged("I9 an index that leads elsewhere", index_outside, "model.safetensors.index.json cannot be read"),
    damaged("I9 an index that is a pointer",
            lambda f: (pieces(f), content(f, "model.safetensors.index.json", POINTER)), "only a git-lfs pointer"),
    damaged("I9 only consolidated weights", lambda f: renamed(f, "consolidated.safetensors"),
            "consolidated.safetensors", "neither model.safetensors nor"),
    damaged("I9 consolidated weights alone", lambda f: renamed(f, "consolidated.safetensors", config=False),
            "consolidated.safetensors", "no config.json"),
    damaged("I9 an adapter", lambda f: content(f, "adapter_config.json", b'{"base_model_name_or_path": "a/b"}'),
            "adapter (LoRA) of 'a/b'", "merge"),
    damaged("I9 an adapter that is no JSON", lambda f: content(f, "adapter_config.json", b"{"),
            "adapter (LoRA) of another model"),
    damaged("I9 a GGUF file", lambda f: renamed(f, "model-Q4.gguf", config=False), "model-Q4.gguf", "name the file"),
    damaged("I9 half a file", lambda f: cut(f, 0.5), "model.safetensors is cut short", "bytes are here"),
    damaged("I9 a file cut in its header", lambda f: cut(f, 0.0001), "model.safetensors is cut short"),
    damaged("I9 an empty file", lambda f: cut(f, 0.0), "model.safetensors is not a safetensors file"),
    damaged("I9 another file", lambda f: content(f, "model.safetensors", b"<html>" * 100), "not a safetensors file"),
    damaged("I9 a header of 2^63 bytes", lambda f: content(f, "model.safetensors", b"\xff" * 64), "not a safetensors"),
    damaged("I9 a nested header", lambda f: content(
        f, "model.safetensors", (200_000).to_bytes(8, "little") + b"[" * 200_000), "not a safetensors file"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), LOADED)
def test_a_folder_that_cannot_be_loaded_says_why(capsys, folder: Path, change: Any, said: tuple[str, ...]) -> None:
    change(folder)
    line = refused(capsys, "trace", str(folder), "--text", TEXT)
    assert all(word in line for word in said), line
    assert "tokenizer" in line or raised(lambda: registry.load(str(folder)))
    if "tokenizer" in line:
        checkpoint = registry.load(str(folder))  # a benchmark needs none
        assert raised(lambda: registry.encode(checkpoint, TEXT))


def test_the_folder_itself_and_one_in_pieces_are_read(folder: Path) -> None:
    """The checks above would be worth nothing if they refused everything."""
    before = registry.trace(registry.load(str(folder)), TEXT)
    pieces(folder)
    assert (registry.trace(registry.load(str(folder)), TEXT).logits.values == before.logits.values).all()


def test_i6_a_head_of_its_own_is_read_whatever_the_configuration_says(folder: Path) -> None:
    kept = load_file(folder / "model.safetensors")
    head = torch.randn(VOCAB, 64)
    save_file(kept | {"lm_head.weight": head}, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder, tie_word_embeddings=False)
    assert torch.equal(registry.load(str(folder)).model.get_output_embeddings().weight, head)
