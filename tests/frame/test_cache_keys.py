"""The caches of models and traces ask again when a folder's files have changed, and only then."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from models import registry
from models.sources import resolve, weights
from pages.shared import cache, token_count
from pages.shared.lru_cache import LruCache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that a stamp looks at."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
        os.utime(tmp_path / name, (1000, 1000))
    return tmp_path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Empty caches; returns the list of what had to be made."""
    models, traces, found = LruCache(1000), LruCache(1000), []
    monkeypatch.setattr(cache, "loaded_models", lambda: models)
    monkeypatch.setattr(cache, "recorded_traces", lambda: traces)
    monkeypatch.setattr(cache, "_loaded", lambda source: found.append(("model", source)) or SimpleNamespace())
    monkeypatch.setattr(cache, "_weight_bytes", lambda _: 1)
    monkeypatch.setattr(cache, "_trace_bytes", lambda *_: 1)

    def trace(_loaded: object, prompt: str) -> SimpleNamespace:
        found.append(("trace", prompt))
        return SimpleNamespace()

    monkeypatch.setattr(registry, "encode", lambda _loaded, prompt: prompt)
    monkeypatch.setattr(registry, "trace_encoded", trace)
    monkeypatch.setattr(cache, "bundled", tuple)
    return found


def touch(path: Path) -> None:
    os.utime(path, (2000, 2000))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_model_is_loaded_again_when_its_folder_was_written(folder, made, name: str) -> None:
    first, second = cache.checkpoint(str(folder)), cache.checkpoint(str(folder))
    assert first is second
    assert made == [("model", str(folder))]
    touch(folder / name)
    assert cache.checkpoint(str(folder)) is not first
    assert made == [("model", str(folder))] * 2


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_text_is_read_again_when_the_folder_was_written(folder, made, name: str) -> None:
    first, second = cache.trace_for(str(folder), "a"), cache.trace_for(str(folder), "a")
    assert first is second
    assert made == [("model", str(folder)), ("trace", "a")]
    touch(folder / name)
    assert cache.trace_for(str(folder), "a") is not first
    assert made == [("model", str(folder)), ("trace", "a")] * 2


def test_a_trace_is_kept_by_its_model_and_its_text(folder, made, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    found = [cache.trace_for(str(place), text) for place in (folder, other) for text in ("a", "b")]
    assert len({id(trace) for trace in found}) == 4
    assert [cache.trace_for(str(place), text) for place in (folder, other) for text in ("a", "b")] == found


def test_a_new_file_of_weights_is_a_change(folder) -> None:
    before = registry.modified_at(str(folder))
    (folder / "model-00002-of-00002.safetensors").write_text("{}")
    assert registry.modified_at(str(folder)) != before


def test_a_folder_without_files_has_a_stamp_all_the_same(tmp_path: Path) -> None:
    assert registry.modified_at(str(tmp_path)) == 0.0


def test_sizes_and_card_of_a_folder_are_read_again_when_it_was_written(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
              "intermediate_size": 128, "vocab_size": 100}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "card.json").write_text(json.dumps({"structure": {"heads": "before"}}))
    source = str(tmp_path)
    before = cache.cache_bytes(source, 10), cache.parameters(source), cache.active_parameters(source)
    assert cache.structure(source) == {"heads": "before"}
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    (tmp_path / "card.json").write_text(json.dumps({"structure": {"heads": "after"}}))
    for path in tmp_path.iterdir():
        os.utime(path, (5000, 5000))
    after = cache.cache_bytes(source, 10), cache.parameters(source), cache.active_parameters(source)
    assert after[0] == 2 * before[0]
    assert min(after[1] - before[1], after[2] - before[2]) > 0
    assert cache.structure(source) == {"heads": "after"}


@pytest.fixture
def weights_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Empty caches; returns the sources whose weights are read."""
    models, found, read_model = LruCache(2**30), [], weights.read_model
    monkeypatch.setattr(cache, "_FITS", LruCache(64))
    monkeypatch.setattr(cache, "_TOKENIZERS", LruCache(16))
    monkeypatch.setattr(cache, "loaded_models", lambda: models)
    monkeypatch.setattr(weights, "read_model", lambda source, **how: found.append(source) or read_model(source, **how))
    return found


@pytest.fixture
def published(tmp_path: Path) -> str:
    """A folder with configuration and tokenizer alone: its weights could not be loaded."""
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((resolve.CHECKPOINTS / "transformer" / name).read_bytes())
    return str(tmp_path)


def test_cutting_and_counting_read_no_weights(weights_read, published: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("rwkv", published):
        assert cache.fitted_here(source, "a wolf") is None, "counting reads no tokenizer"
        fit = cache.fitted(source, "a wolf and a fox")
        assert fit.tokens > 1
        assert cache.fitted_here(source, "a wolf and a fox") == fit
    monkeypatch.setattr(cache, "_folders", {"folder-1": ("transformer", published)})
    assert token_count._counted("a wolf", ["folder-1"]) == (cache.fitted(published, "a wolf").tokens, fit.limit)
    assert weights_read == []
    assert cache.checkpoint("rwkv").tokenizer is cache.tokenizer("rwkv").tokenizer
    assert weights_read == ["rwkv"], "the stand-in counts"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_tokenizer_is_read_again_when_its_folder_was_written(weights_read, published: str, name: str) -> None:
    first = cache.tokenizer(published)
    assert cache.tokenizer(published) is first
    path = Path(published, name)
    os.utime(path, (path.stat().st_mtime + 10, path.stat().st_mtime + 10))
    assert cache.tokenizer(published) is not first
    assert weights_read == []


def test_a_changed_tokenizer_cuts_otherwise(weights_read, published: str) -> None:
    before = cache.fitted(published, "a wolf and a fox").tokens
    path = Path(published, "tokenizer.json")
    changed = json.loads(path.read_text(encoding="utf-8"))
    changed["model"]["merges"] = []
    path.write_text(json.dumps(changed), encoding="utf-8")
    os.utime(path, (path.stat().st_mtime + 10, path.stat().st_mtime + 10))
    assert cache.fitted(published, "a wolf and a fox").tokens > before
    assert cache.fitted_here(published, "a wolf and a fox").tokens > before
    assert weights_read == []
