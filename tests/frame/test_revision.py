"""A download takes the revision that is pinned for its model, and no other."""

import pytest
from showing import opened

from models import registry
from models.sources import downloadable, downloads

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.fixture
def started(monkeypatch, tmp_path) -> list[tuple[str, str | None]]:
    """Note what is asked of the hub instead of asking; nothing is downloaded yet."""
    asked: list[tuple[str, str | None]] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads, "start", lambda model, *, revision=None: asked.append((model, revision)))
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [adapter.name for adapter in registry.ADAPTERS])
def test_the_pinned_revision_is_handed_on(started, architecture: str) -> None:
    at = opened(architecture)
    for offer in downloadable.of(architecture):
        at.button(key=f"{architecture}.download.{offer.id}").click().run()
    assert started == [(offer.id, offer.revision) for offer in downloadable.of(architecture)]


def test_some_model_is_pinned() -> None:
    """Otherwise the test above could not tell a revision that is dropped."""
    assert any(offer.revision for adapter in registry.ADAPTERS for offer in downloadable.of(adapter.name))


def test_the_revision_reaches_the_listing(monkeypatch) -> None:
    seen: list[str | None] = []

    def listing(api, model, revision):
        seen.append(revision)
        raise OSError("no network in a test")

    monkeypatch.setattr(downloads, "_jobs", {})
    monkeypatch.setattr(downloads, "_listing", listing)
    downloads.start("someone/model", revision="abc123")
    downloads.wait("someone/model", timeout_s=30)
    assert seen == ["abc123"]
