"""Read the two training texts, split off their ends as held-out text, and build the token stream of all models."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from models.errors import SettingError

FILES = {"en": "stories_en.txt", "ko": "reviews_ko.txt"}
HELD_OUT = 0.02  # the last 2 % of each file, cut at a line


@dataclass(frozen=True, slots=True)
class Text:
    """One language: its training and validation text and the hash of the file."""

    language: str
    train: str
    validation: str
    sha256: str


def read(folder: Path) -> tuple[Text, ...]:
    """Read every language of FILES; SettingError names the file that is missing."""
    return tuple(_read(language, folder / name) for language, name in FILES.items())


def _read(language: str, path: Path) -> Text:
    if not path.is_file():
        raise SettingError(
            "errors.corpus_missing", f"no corpus file {path}: pass --corpus FOLDER with {path.name}", path=path
        )
    raw = path.read_bytes()
    try:
        lines = raw.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8"
        raise SettingError("errors.setting_value", message, name="corpus", value=str(path)) from error
    if len(lines) < 2:
        message = f"{path} has {len(lines)} lines: at least two are needed, as the last ones are held out"
        raise SettingError("errors.setting_value", message, name="corpus", value=str(path))
    sizes = np.cumsum([len(line.encode("utf-8")) for line in lines])
    cut = int(np.searchsorted(sizes, (1 - HELD_OUT) * sizes[-1]))
    return Text(language, "".join(lines[:cut]), "".join(lines[cut:]), hashlib.sha256(raw).hexdigest())


def encode(tokenizer: PreTrainedTokenizerFast, text: str, *, language: str) -> npt.NDArray[np.int32]:
    """Encode a text as one stream: books (blank line) or reviews (one a line) are separated by the end token."""
    documents = text.split("\n\n") if language == "en" else text.split("\n")
    end = tokenizer.eos_token_id
    encoded = tokenizer.backend_tokenizer.encode_batch(documents, add_special_tokens=False)
    return np.concatenate([np.asarray([*e.ids, end], dtype=np.int32) for e in encoded if e.ids])


def windows(streams: list[npt.NDArray[np.int32]], *, context: int, start: int, seed: int) -> npt.NDArray[np.int32]:
    """Cut streams into rows of context tokens, each led by the start token, and shuffle them with a seed.

    Returns (rows, context + 1): the first context columns are inputs, the last context columns are targets.
    SettingError where no stream has a whole row.
    """
    if max(map(len, streams)) < context:
        message = (
            f"the longest text has {max(map(len, streams))} tokens and a row {context}: choose a shorter --context"
        )
        raise SettingError("errors.setting_value", message, name="context", value=context)
    rows = [stream[: len(stream) // context * context].reshape(-1, context) for stream in streams]
    body = np.concatenate(rows)
    lead = np.full((len(body), 1), start, dtype=np.int32)
    order = np.random.default_rng(seed).permutation(len(body))
    return np.concatenate([lead, body], axis=1)[order]
