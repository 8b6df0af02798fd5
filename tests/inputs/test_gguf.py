"""GGUF files: unrounded ones give the model that they were made from, rounded ones say so, damaged ones say why."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf_writing import write
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from models import registry
from models.__main__ import main
from models.describe import describe
from models.errors import SourceError
from models.sources import weights

TEXT = "The wolf ran into the wood, and the wolf slept. 정말 재미있는 영화"


@pytest.fixture(scope="module")
def original(whole: Path):
    return AutoModelForCausalLM.from_pretrained(whole).eval()


@pytest.fixture(scope="module")
def files(whole: Path, original, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return three files of the same model: unrounded, rounded, and one that lacks a weight."""
    place = tmp_path_factory.mktemp("gguf")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(whole / "tokenizer.json"), bos_token="<|endoftext|>",
                                        eos_token="<|endoftext|>")  # fmt: skip
    return {
        "whole": write(place / "whole.gguf", original, tokenizer, rounded=False),
        "rounded": write(place / "Rounded-Q8_0.GGUF", original, tokenizer, rounded=True),
        "lacking": write(place / "lacking.gguf", original, tokenizer, rounded=False, without="blk.1.ffn_up.weight"),
    }


def test_an_unrounded_file_is_the_model_that_it_was_made_from(files, original) -> None:
    loaded = registry.load(str(files["whole"]))
    assert loaded.architecture == "transformer" and loaded.model.dtype == torch.float32
    for name, weight in original.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], weight), name
    trace = registry.trace(loaded, TEXT)
    with torch.inference_mode():
        logits = original(input_ids=torch.tensor([[token.id for token in trace.tokens]])).logits[0]
    np.testing.assert_allclose(trace.logits.values, logits.numpy(), rtol=1e-5, atol=1e-6)
    assert trace.layers_with("attention")[0].part("attention").shape[0] == original.config.num_attention_heads
    assert registry.quantisation(str(files["whole"])).quantised == 0


def test_a_rounded_file_is_near_and_says_how_far_it_is_rounded(files, original) -> None:
    loaded, found = registry.load(str(files["rounded"])), registry.quantisation(str(files["rounded"]))
    assert set(found.types) == {"Q8_0", "F32"} and found.quantised > 0.99
    assert 8.5 <= found.bits < 8.7, "8 bits an entry, and a scale of 16 bits for 32 of them"
    assert found.total_bytes < files["rounded"].stat().st_size
    ids = torch.arange(20, 60)[None]
    with torch.inference_mode():
        apart = (loaded.model(input_ids=ids).logits - original(input_ids=ids).logits).abs().max()
        size = original(input_ids=ids).logits.abs().max()
    assert 0 < float(apart / size) < 0.05


def test_the_tokenizer_of_a_file_is_that_of_the_folder(files, whole: Path) -> None:
    kept = PreTrainedTokenizerFast(tokenizer_file=str(whole / "tokenizer.json"))
    read = weights.read_tokenizer(str(files["whole"]))
    assert read is not None and read.is_fast
    for text in (TEXT, " ", "\n", "🐺 12"):
        assert read(text, add_special_tokens=False)["input_ids"] == kept(text, add_special_tokens=False)["input_ids"]


def test_a_file_without_all_of_its_weights_is_refused(files) -> None:
    with pytest.raises(SourceError, match=r"lacks 1 of its weights, the first model\.layers\.1\.mlp\.up_proj") as told:
        registry.load(str(files["lacking"]))
    assert told.value.key == "errors.weights_missing"


@pytest.mark.parametrize(("content", "said"), [(b"hello", "GGUF magic invalid"), (b"", "cannot be read as a GGUF file"),
                                               (b"GGUF" + bytes(60), "cannot be read")])  # fmt: skip
def test_what_is_no_gguf_file_is_said_so(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    for look in (registry.load, describe, lambda name: registry.checked(name, architecture="transformer")):
        with pytest.raises(SourceError, match=said) as told:
            look(str(tmp_path / "model.gguf"))
        assert told.value.key == "errors.gguf_unreadable"


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_is_cut_short_is_said_so(files, tmp_path: Path, share: float) -> None:
    content = files["rounded"].read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[: int(share * len(content))])
    with pytest.raises(SourceError) as told:
        registry.load(str(tmp_path / "cut.gguf"))
    assert told.value.key == "errors.gguf_unreadable"


def test_a_file_is_described_checked_and_traced_by_command(files, capsys) -> None:
    told = describe(str(files["rounded"]))
    assert told.params_total == sum(p.numel() for p in registry.load(str(files["rounded"])).model.parameters())
    assert any("bits each on average (Q8_0" in note for note in told.notes)
    assert registry.checked(str(files["rounded"]), architecture="transformer") == str(files["rounded"].resolve())
    with pytest.raises(SourceError, match="belongs to transformer"):
        registry.checked(str(files["rounded"]), architecture="mamba")
    assert registry.is_here(str(files["rounded"])) and registry.modified_at(str(files["rounded"])) > 0
    assert main(["trace", str(files["rounded"]), "--text", "The wolf"]) == 0
    assert "attention" in capsys.readouterr().out
