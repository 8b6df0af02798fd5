"""What is offered is counted, sized and sourced: parameters from the configuration, downloads from the parameters."""

import dataclasses
import json

import pytest
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from models import registry
from models.__main__ import main
from models.counting import accounting
from models.counting.accounting import Layer
from models.limits import PROMPT_TOKENS
from models.sources import catalogue, downloadable, hub
from models.sources.downloadable import Offer
from models.tracing.parts import residual_stream

STORED = {"float32": 4, "float16": 2, "bfloat16": 2}
EVERY = pytest.mark.parametrize("offer", downloadable.offers(), ids=lambda offer: offer.name)
RAW = {entry["id"]: entry for entry in yaml.safe_load(downloadable.OFFERED.read_text(encoding="utf-8"))}
# Buffers that the published files carry beside the parameters: causal masks, one byte or one float a pair of positions.
MASKS = {"gpt2": (12, 1024, 4), "pythia-160m": (12, 2048, 1), "pythia-410m": (24, 2048, 1)}


def config_of(offer: Offer) -> PretrainedConfig:
    known = dict(offer.config)
    return AutoConfig.for_model(known.pop("model_type"), **known)


@EVERY
def test_parameters_are_those_of_the_configuration(offer: Offer) -> None:
    import torch

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config_of(offer))
    assert sum(parameter.numel() for parameter in model.parameters()) == offer.params_total
    entry = catalogue.find(RAW[offer.id]["catalogue"]) if RAW[offer.id]["catalogue"] else RAW[offer.id]
    assert entry is not None
    assert offer.params_total == entry.get("params_total_computed", entry.get("params_total"))
    assert accounting.params_active(accounting.shape_of(offer.config)) == offer.params_active <= offer.params_total


@EVERY
def test_the_download_is_as_large_as_its_weights_and_tokenizer(offer: Offer) -> None:
    layers, side, width = MASKS.get(RAW[offer.id]["catalogue"], (0, 0, 0))
    weights = offer.params_total * STORED[offer.stored] + layers * side * side * width
    assert 0.5e6 < offer.download_bytes - weights < max(7e6, 0.004 * weights)  # tokenizer files, headers, rounding
    if offer.architecture == "jamba":
        assert f"{weights / 1e6:.0f} MB" in offer.sources["download"]  # the inferred sizes give the published one


@EVERY
def test_an_offer_is_of_its_family_and_tells_its_sources(offer: Offer) -> None:
    assert registry.adapter_for(config_of(offer), source=offer.id).name == offer.architecture
    assert {"licence", "download", "tokenizer"} <= set(offer.sources)
    assert "https://huggingface.co/" in offer.sources["licence"] + offer.sources["download"]
    assert set(offer.unknown) == {"en", "ko"} and (offer.unknown["en"] is None) == (offer.unknown["ko"] is None)
    assert offer.licence is not None or offer.unknown["en"]
    assert set(offer.inferred) <= set(offer.config) and (not offer.inferred or offer.unknown["en"])
    assert offer.vocabulary <= accounting.shape_of(offer.config).vocab
    assert hub.folder_of(offer.id) is None or registry.is_here(offer.id)


@EVERY
def test_the_need_is_weights_trace_and_headroom(offer: Offer) -> None:
    shape = accounting.shape_of(offer.config)
    rest = offer.need_bytes - 4 * offer.params_total - downloadable.HEADROOM_BYTES
    assert rest == downloadable.trace_bytes(shape, tokens=PROMPT_TOKENS) > 0
    assert downloadable.trace_bytes(shape) == downloadable.trace_bytes(shape, tokens=PROMPT_TOKENS)


@pytest.mark.parametrize("bundled", [adapter.bundled for adapter in registry.ADAPTERS])
def test_a_trace_keeps_no_more_than_is_counted(bundled: str) -> None:
    checkpoint = registry.load(bundled)
    trace = registry.trace(checkpoint, "The wolf and the fox ran home. " * 3)
    trace.derive()
    arrays = {id(part.values): part.values for layer in trace.stream for part in layer.parts.values()}  # shared: once
    kept = trace.logits.values.nbytes + sum(array.nbytes for array in arrays.values())
    counted = downloadable.trace_bytes(accounting.shape_of(checkpoint.config), tokens=len(trace.tokens))
    assert kept <= counted <= 2.5 * kept


def test_the_residual_stream_and_its_lens_are_counted() -> None:
    assert downloadable._LENS_CHOICES == residual_stream.TOP_K
    trace = registry.trace(registry.load("transformer"), "The wolf and the fox ran home.")
    around = residual_stream.PARTS - {"resid_pre"} - residual_stream.WRITES
    arrays = [layer.parts[name].values for layer in trace.stream for name in around]
    shape, tokens_ = accounting.shape_of(registry.read_config("transformer")), len(trace.tokens)
    none = dataclasses.replace(shape, layers=())  # what is left are the logits and the embedding's row of the stream
    row = sum(array.nbytes for array in arrays) / len(trace.stream)
    assert downloadable.trace_bytes(none, tokens=tokens_) == 4 * 2 * tokens_ * shape.vocab + row
    bare = dataclasses.replace(shape, layers=(Layer(0, "none", "none"),) * 7)
    assert downloadable.trace_bytes(bare, tokens=tokens_) - downloadable.trace_bytes(none, tokens=tokens_) == 7 * row
    writes = [layer.parts[name].values.nbytes for layer in trace for name in residual_stream.WRITES]
    pairs = dataclasses.replace(shape, layers=(Layer(0, "other", "dense"),) * 7)
    more = downloadable.trace_bytes(pairs, tokens=tokens_) - downloadable.trace_bytes(bare, tokens=tokens_)
    assert more == 7 * 2 * writes[0], "a layer of an unknown mixer keeps what it and its feed-forward write"


def test_the_families_asked_for_are_offered() -> None:
    asked = {"openai-community/gpt2", "EleutherAI/pythia-160m", "EleutherAI/pythia-410m", "state-spaces/mamba-130m-hf",
             "state-spaces/mamba-370m-hf", "RWKV/rwkv-4-169m-pile", "RWKV/rwkv-4-430m-pile"}  # fmt: skip
    assert asked <= {offer.id for offer in downloadable.offers()}
    assert {offer.architecture for offer in downloadable.offers()} == {adapter.name for adapter in registry.ADAPTERS}
    assert all(
        downloadable.find(offer.id) is offer and offer in downloadable.of(offer.architecture)
        for offer in downloadable.offers()
    )
    assert downloadable.find("nobody/nothing") is None


def test_the_command_line_says_what_is_offered_and_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--offered", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in listed] == [offer.id for offer in downloadable.offers()]
    assert all(entry["downloaded"] == (entry["folder"] is not None) for entry in listed)
    assert main(["list", "--offered"]) == 0
    shown = capsys.readouterr().out
    assert "162,322,944" in shown and "not confirmed" in shown
