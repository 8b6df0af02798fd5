"""A small checkpoint as people make them, to be damaged."""

import shutil
from pathlib import Path

import pytest
import torch
from reported import VOCAB
from transformers import AutoModelForCausalLM, LlamaConfig

from models.sources import resolve


@pytest.fixture(scope="session")
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
