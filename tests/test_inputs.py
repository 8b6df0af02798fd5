"""Small inputs of the kind that people report: each is understood, or refused in one sentence that names the cause.

The ids are those of the review that collected them: I2 to I9, I12 and I13. I10 is in tests/bench/test_spreadsheets.py,
I11 in tests/frame/test_links.py.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from models import describe, panics, registry
from models.__main__ import main
from models.counting import accounting, validation
from models.errors import ContextscopeError, PromptError, SourceError
from models.sources import catalogue, downloadable, resolve, stored, weights
from models.sources import sizes as size_tiers
from models.tracing import tokens
from pages.shared.words import i18n

VOCAB = 8192
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 35\n"
TEXT = "Once upon a time"

Make = Callable[..., Path]


def write(folder: Path, config: object, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def edit(folder: Path, **fields: object) -> Path:
    return write(folder, {**json.loads((folder / "config.json").read_text(encoding="utf-8")), **fields})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint in transformers format with the bundled tokenizer, as people make them."""
    folder = tmp_path_factory.mktemp("whole") / "llama"
    torch.manual_seed(3)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=VOCAB, intermediate_size=96, tie_word_embeddings=True, **sizes)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    shutil.copy(resolve.CHECKPOINTS / "transformer" / "tokenizer.json", folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must end with one line and code 2, and return the line."""
    try:
        code = main([*words])
    except SystemExit as end:  # the parser's own
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), (code, out, err)
    assert err.count("\n") == 1 and "Traceback" not in err, err
    assert len(err) < 700, err
    return str(err)


def raised(call: Callable[[], object]) -> ContextscopeError:
    """Return the error of a call; it has a sentence in every language."""
    with pytest.raises(ContextscopeError) as found:
        call()
    error = found.value
    for lang in i18n.LANGS:
        assert i18n.has(lang, error.key), error.key
        i18n.say(lang, error.key, **error.values)  # strict: every value of the sentence is there
    return error


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "generation_config.json", "model.safetensors"])
def test_i3_a_pipe_does_not_hang(capsys, folder: Path, file: str) -> None:
    """Opening a pipe that nobody writes to would wait for ever."""
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    for words in (("describe", str(folder)), ("trace", str(folder), "--text", TEXT)):
        assert file in refused(capsys, *words)
    assert raised(lambda: registry.checked(str(folder), architecture="transformer")).key == "errors.no_plain_file"


NAMES: Mapping[str, tuple[str, str]] = {
    "I4 an unknown user": ("~nouser-here/x", "no folder '~nouser-here/x'"),
    "I4 300 letters": ("n" * 300, "there is no model"),
    "I4 nothing": ("", "no model is named"),
    "I4 spaces": ("   ", "no model is named"),
    "I4 a word": ("no-such-model", "there is no model 'no-such-model'"),
    "I4 a NUL": ("a\x00b", "there is no model"),
    "I4 a line end": ("a\nb", "there is no model"),
    "I4 three parts": ("a/b/c", "there is no model"),
    "I4 a path": ("/no/such/place", "no folder '/no/such/place'"),
    "I4 a file": (__file__, "is a file: name the folder"),
    "I4 another site": ("https://example.com/owner/name", "there is no model 'https://example.com/owner/name'"),
    "I4 another scheme": ("file:///etc/passwd", "there is no model"),
    "I4 a data set": ("https://huggingface.co/datasets/owner/name", "no address of a model"),
    "I4 the hub itself": ("https://huggingface.co/", "no address of a model"),
    "I4 another revision": ("https://huggingface.co/owner/name/tree/step1000", "revision 'step1000'"),
    "I4 a file of another revision": ("https://hf.co/owner/name/blob/step1/config.json", "revision 'step1'"),
    "I4 a download of another revision": ("https://hf.co/owner/name/resolve/v2/x.safetensors", "revision 'v2'"),
    "I4 half a bracket": ("https://[", "there is no model"),
    "I4 no size of the ladder": ("ladder:9b/mamba", "not on the ladder"),
}


@pytest.mark.parametrize("words", [("describe",), ("trace", "--text", TEXT), ("bench", "--plan", "--sources")])
@pytest.mark.parametrize(("name", "said"), NAMES.values(), ids=NAMES.keys())
def test_i4_a_name_that_means_nothing_is_one_line(capsys, monkeypatch, tmp_path, words, name: str, said: str) -> None:
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path))
    if words[0] == "bench" and not name.strip():
        pytest.skip("no source at all means all bundled ones")
    command = (*words, name) if words[-1] == "--sources" else (words[0], name, *words[1:])
    assert said in refused(capsys, *command)


ADDRESSES = ("https://huggingface.co/{id}", "http://www.huggingface.co/{id}/", "hf.co/{id}", "huggingface.co/{id}",
             "https://huggingface.co/{id}/tree/main", "https://huggingface.co/{id}/blob/main/config.json?x=1#y",
             " https://HuggingFace.co/{id}/discussions ")  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_i4_an_address_of_the_hub_is_its_hub_id(address: str) -> None:
    for hub_id in ("nobody/nothing-here", "ai21labs/Jamba-tiny-dev", "EleutherAI/pythia-160m"):
        assert resolve.resolve(address.format(id=hub_id)) == resolve.resolve(hub_id)
    assert resolve.resolve(address.format(id="nobody/nothing-here")).hub_id == "nobody/nothing-here"


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        (
            next(source for source in size_tiers.sources("7b").values() if source.startswith(size_tiers.PREFIX)),
            "ladder",
        ),
        *((name, "bundled") for name in registry.bundled()),
        ("pythia-160m", "catalogue"),
        ("EleutherAI/pythia-160m", "catalogue"),
        ("ai21labs/Jamba-tiny-dev", "offered"),
        ("nobody/nothing-here", "hub"),
    ],
)
def test_i4_one_rule_for_names_in_every_command(monkeypatch, name: str, origin: str) -> None:
    """describe, trace, bench and the page ask the same resolver; what is known here needs no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    named = resolve.resolve(name)
    assert named.origin == origin
    if origin != "hub":
        assert describe.resolve(name).origin == origin and describe.resolve(name).shape.vocab > 0
    if origin == "ladder":
        assert raised(lambda: weights.locate(name)).key == "errors.no_published_weights"
    else:
        assert weights.locate(name) == str(named.folder or named.hub_id)


def test_i4_trace_of_a_catalogue_id_asks_for_its_repository(capsys, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert answer(capsys, "describe", "pythia-160m")["params_total"] == 162_322_944
    assert "'EleutherAI/pythia-160m'" in refused(capsys, "trace", "pythia-160m", "--text", TEXT)
    assert "'state-spaces/mamba-130m-hf'" in refused(capsys, "trace", "mamba-130m", "--text", TEXT)


def test_i4_a_downloaded_model_is_found_by_each_of_its_names(monkeypatch, folder: Path, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "models--EleutherAI--pythia-160m" / "snapshots" / ("c" * 40)
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(folder)
    for name in ("pythia-160m", "EleutherAI/pythia-160m", "https://huggingface.co/EleutherAI/pythia-160m"):
        assert weights.locate(name) == str(snapshot)


def test_i4_a_folder_called_like_a_model_is_named_by_its_path(monkeypatch, folder: Path) -> None:
    (folder.parent / "gpt2").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    assert resolve.resolve("gpt2").origin == "catalogue"
    assert resolve.resolve("./gpt2").origin == "folder"
    assert resolve.resolve("model").path == Path("model")


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
    damaged("I9 a GGUF file", lambda f: renamed(f, "model-Q4.gguf", config=False), "model-Q4.gguf", "GGUF"),
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


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: f"I13 {entry['id']}")
def test_i13_every_entry_is_counted_exactly_or_says_what_is_missing(capsys, entry: Mapping[str, Any]) -> None:
    name = entry["id"]
    counted = catalogue.model_type(entry) is not None
    known = [kind for prefix, kind in catalogue.UNCOUNTED if name.startswith(prefix)]
    assert counted != bool(known) and len(known) <= 1, "an entry is of a counted kind, or its kind has a name"
    if known:
        line = refused(capsys, "describe", name)
        assert f"{known[0]} is not counted from its sizes yet" in line
        recorded = entry.get("params_total_computed")
        assert (f"{recorded:,} parameters" in line) if recorded else ("on record" not in line)
    elif missing := catalogue.unknown_fields(entry):
        line = refused(capsys, "describe", name)
        assert line.rstrip().endswith(", ".join(missing)) and all(entry.get(field) is None for field in missing)
    else:
        found = answer(capsys, "describe", name)
        assert found["params_total"] == entry["params_total_computed"]
        assert found["params_active"] == entry["params_active_computed"]


COUNTED = [
    entry for entry in catalogue.entries() if catalogue.model_type(entry) and not catalogue.unknown_fields(entry)
]


@pytest.mark.slow
@pytest.mark.parametrize("entry", COUNTED, ids=lambda entry: f"I13 {entry['id']}")
def test_i13_a_counted_entry_is_what_torch_builds_of_it(entry: Mapping[str, Any]) -> None:
    from transformers import AutoConfig

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**catalogue.config_of(entry)))
    model.tie_weights()
    assert sum(p.numel() for p in model.parameters()) == accounting.params_total(catalogue.shape(entry))


def test_i13_as_many_entries_are_counted_as_before() -> None:
    assert len(COUNTED) == 37


# A tokenizer whose pattern makes the Rust code panic (its regular expressions give up after so many steps) ...
PANICS = r"(x+x+)+y"


def tokenizer(pattern: str) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordLevel({"[UNK]": 0, TEXT: 1}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=made)


@pytest.mark.slow
def test_a_tokenizer_that_panics_gives_a_sentence(capsys, folder: Path) -> None:
    tokenizer(PANICS).save_pretrained(folder)
    checkpoint = registry.load(str(folder))
    error = raised(lambda: registry.encode(checkpoint, "x" * 60))
    assert error.key == "errors.tokenizer_failed" and "retry-limit" in str(error.values["detail"])
    assert registry.encode(checkpoint, TEXT).ids, "another text is read"
    assert "retry-limit" in refused(capsys, "trace", str(folder), "--text", "x" * 60)


class Stop(BaseException):
    """As Streamlit ends a script: no Exception."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), Stop()], ids=repr)
def test_what_ends_a_script_is_not_taken_for_a_failure_of_a_tokenizer(error: BaseException) -> None:
    assert not panics.is_panic(error)
    with pytest.raises(type(error)), panics.as_source_error("x"):
        raise error


def test_other_failures_of_a_tokenizer_are_told(folder: Path) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OverflowError("too many\nlines")

    error = raised(lambda: tokens.encode(fails, TEXT, source="some/where"))  # type: ignore[arg-type]
    assert (error.key, error.values["detail"]) == ("errors.tokenizer_failed", "too many lines")


def test_a_tokenizer_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text gets a sentence; so does the third, at once; when one ends, the next text has its turn."""
    monkeypatch.setattr(tokens, "PATIENCE_S", 0.05)
    gate = threading.Event()

    def slow(*_: object, **__: object) -> None:
        gate.wait(60)

    before = threading.active_count()
    for _ in range(tokens.MOST_STUCK + 2):
        error = raised(lambda: tokens.encode(slow, TEXT, source="some/where"))  # type: ignore[arg-type]
        assert error.key == "errors.tokenizer_slow"
    assert threading.active_count() == before + tokens.MOST_STUCK
    gate.set()
    for thread in list(tokens._left_behind):
        thread.join(60)
    with pytest.raises(SourceError):  # it ends now, with nothing that can be read
        tokens.encode(slow, TEXT, source="some/where")  # type: ignore[arg-type]
    assert not tokens._left_behind


def test_an_over_long_text_never_reaches_a_tokenizer() -> None:
    with pytest.raises(PromptError):
        tokens.encode(None or tokenizer(PANICS), "x" * 100_000, source="some/where")


def test_a_page_cuts_a_text_before_it_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.shared import cache

    held: list[bool] = []
    encode = registry.encode

    def watched(*args: Any) -> Any:
        free = cache._running.acquire(blocking=False)
        held.append(not free)
        if free:
            cache._running.release()
        return encode(*args)

    monkeypatch.setattr(registry, "encode", watched)
    cache._traced(registry.bundled()[0], "one text nobody asked for")
    assert held == [False]


def test_a_page_outlives_a_panic(monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.shared import notices

    shown: list[BaseException] = []
    monkeypatch.setattr(notices, "calm", shown.append)
    made = tokenizer(PANICS)
    with notices.guarded():
        made("x" * 60)
    assert [panics.is_panic(error) for error in shown] == [True]
    with pytest.raises(Stop), notices.guarded():
        raise Stop


def test_every_offered_model_and_every_rung_has_a_meaning() -> None:
    for offer in downloadable.offers():
        assert resolve.resolve(offer.id).hub_id == offer.id
    for key in size_tiers.TIERS:
        for source in size_tiers.sources(key).values():
            assert describe.resolve(source).shape.vocab > 0
