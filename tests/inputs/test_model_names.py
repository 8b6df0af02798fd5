"""Names and addresses of the kind that people report, and all of the catalogue: one rule in every command."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from reported import TEXT, answer, raised, refused
from transformers import AutoModelForCausalLM

from models import describe, registry
from models.counting import accounting
from models.sources import catalogue, downloadable, resolve, weights
from models.sources import sizes as size_tiers

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


def test_every_offered_model_and_every_rung_has_a_meaning() -> None:
    for offer in downloadable.offers():
        assert resolve.resolve(offer.id).hub_id == offer.id
    for key in size_tiers.TIERS:
        for source in size_tiers.sources(key).values():
            assert describe.resolve(source).shape.vocab > 0
