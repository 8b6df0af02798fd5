"""Build, save and load the small model: an encoder and a decoder of two layers each, as in Vaswani et al. 2017.

transformers' MarianMTModel is that layout: sinusoidal positions, embeddings times sqrt(d_model), normalisation after
each sum, ReLU, one matrix for both embeddings and the output head.
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import MarianConfig, MarianMTModel

from models.encoder_decoder.vocabulary import END, PAD, START, ids, tokens
from models.errors import SourceError
from models.machine.paths import ASSETS

FOLDER = ASSETS / "checkpoints" / "encoder_decoder"
LAYERS, HEADS, WIDTH, FFN = 2, 4, 96, 256
POSITIONS = 64  # longer than every input and output
INIT = 0.08  # standard deviation of all matrices
VOCABULARY = "vocabulary.json"
EAGER: dict[str, Any] = {"attn_implementation": "eager"}  # the only one that returns its weights


@dataclass(frozen=True, slots=True)
class Small:
    """The loaded model. lock: held while it runs with hooks."""

    model: MarianMTModel
    name: str
    lock: threading.RLock = field(default_factory=threading.RLock)


def build(*, seed: int) -> MarianMTModel:
    """Build the model with seeded weights, in evaluation mode, with attention that returns its weights."""
    pad, start, end = ids((PAD, START, END))
    config = MarianConfig(
        vocab_size=len(tokens()),
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=FFN,
        decoder_ffn_dim=FFN,
        activation_function="relu",
        dropout=0.0,
        max_position_embeddings=POSITIONS,
        scale_embedding=True,
        init_std=INIT,
        pad_token_id=pad,
        decoder_start_token_id=start,
        bos_token_id=start,
        eos_token_id=end,
        forced_eos_token_id=None,
        **EAGER,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: MarianMTModel = MarianMTModel(config).eval()
    return model


def save(model: MarianMTModel, folder: Path) -> None:
    """Save the model in transformers format, in half precision, with its vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder, safe_serialization=True)
    model.float()
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)
    text = json.dumps(tokens(), ensure_ascii=False, indent=0)
    (folder / VOCABULARY).write_text(text + "\n", encoding="utf-8")


def load(folder: Path = FOLDER) -> Small:
    """Load the trained model in float32. Raises SourceError when it is not there, or was trained on other words."""
    if not all((folder / name).is_file() for name in ("config.json", "model.safetensors", VOCABULARY)):
        message = f"there is no encoder-decoder in {folder}: python -m models train-encoder-decoder makes it"
        raise SourceError("errors.source_not_found", message, source=folder.name)
    if tuple(json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))) != tokens():
        message = f"{folder} was trained on other words: python -m models train-encoder-decoder makes it again"
        raise SourceError("errors.source_not_found", message, source=folder.name)
    model: MarianMTModel = MarianMTModel.from_pretrained(folder, dtype=torch.float32, **EAGER)
    return Small(model.eval(), folder.name)
