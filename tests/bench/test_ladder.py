"""Every tier of the size ladder resolves, is counted as torch counts, matched as it says, and published as it says."""

import itertools

import pytest

from models import describe, registry
from models.counting import accounting
from models.errors import SettingError, SourceError
from models.sources import catalogue, sizes

TIERS = [(key, member) for key in sizes.TIERS for member in sizes.tier(key).models.values()]
MODELS = TIERS + [(key, member.total) for key, member in TIERS if member.total is not None]
NAMES = [member.source if member.config else f"{key}-{member.architecture}" for key, member in MODELS]


def test_the_file_has_the_rungs_in_order():
    assert tuple(sizes.tiers()) == sizes.TIERS


@pytest.mark.parametrize("key", sizes.TIERS)
def test_every_rung_has_every_architecture_and_says_what_it_is(key):
    tier = sizes.tier(key)
    assert set(sizes.sources(key)) == {adapter.name for adapter in registry.ADAPTERS}
    for words in (tier.name, tier.note):
        assert set(words) == {"en", "ko"}
        assert all(words.values())
    if key != "bundled":
        assert "do not depend on what a model learned" in tier.note["en"]
        assert "배웠는지와 관계가 없습니다" in tier.note["ko"]


@pytest.mark.parametrize(("key", "member"), MODELS, ids=NAMES)
def test_a_model_resolves_to_its_architecture(key, member):
    source = describe.resolve(member.source)
    adapter = next(adapter for adapter in registry.ADAPTERS if source.shape.model_type in adapter.model_types)
    assert adapter.name == member.architecture
    expected = "ladder" if member.config else "bundled" if key == "bundled" else "catalogue"
    assert source.origin == expected


@pytest.mark.parametrize("member", [member for _, member in MODELS], ids=NAMES)
def test_torch_counts_the_same_parameters(member):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    source = describe.resolve(member.source)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**source.config))
    assert accounting.params_total(source.shape) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("key", sizes.TIERS)
def test_active_parameters_are_matched_as_stated(key):
    active = [accounting.params_active(describe.resolve(s).shape) for s in sizes.sources(key).values()]
    assert max(active) / min(active) <= sizes.tier(key).factor


@pytest.mark.parametrize("key", sizes.TIERS)
def test_stored_parameters_are_matched_where_that_is_asked(key):
    total = {name: accounting.params_total(describe.resolve(source).shape)
             for name, source in sizes.sources(key, match="total").items()}  # fmt: skip
    assert total["jamba"] / total["transformer"] == pytest.approx(1, abs=0.02)
    active = {name: accounting.params_active(describe.resolve(source).shape)
              for name, source in sizes.sources(key, match="total").items()}  # fmt: skip
    assert active["jamba"] < 0.7 * active["transformer"]
    others = {name: source for name, source in sizes.sources(key).items() if name != "jamba"}
    assert {name: sizes.sources(key, match="total")[name] for name in others} == others


@pytest.mark.parametrize("match", sizes.MATCHES)
def test_rungs_rise(match):
    for small, large in itertools.pairwise(sizes.TIERS):
        for name, source in sizes.sources(small, match=match).items():
            larger = sizes.sources(large, match=match)[name]
            assert accounting.params_active(describe.resolve(source).shape) < accounting.params_active(
                describe.resolve(larger).shape
            )


@pytest.mark.parametrize(("key", "member"), MODELS, ids=NAMES)
def test_published_means_in_a_catalogue_and_the_rest_says_what_it_is(key, member):
    if member.published and key != "bundled":
        entry = catalogue.find(member.source)
        assert entry is not None
        assert member.config is None
        assert accounting.params_total(describe.resolve(member.source).shape) == entry["params_total_computed"]
    elif not member.published:
        assert member.config
        assert set(member.note) == {"en", "ko"}
        assert member.note["en"] in describe.resolve(member.source).notes


def test_the_seven_billion_mamba_has_the_sizes_of_falcon_mamba():
    falcon = catalogue.find("falcon-mamba-7b")
    shape = describe.resolve(sizes.sources("7b")["mamba"]).shape
    assert accounting.params_total(shape) == falcon["params_total_computed"]
    assert (len(shape.layers), shape.d_model, shape.vocab) == (falcon["layers"], falcon["hidden"], falcon["vocab"])
    assert (shape.d_inner, shape.d_state) == (falcon["state"]["d_inner"], falcon["state"]["d_state"])


@pytest.mark.parametrize("match", sizes.MATCHES)
@pytest.mark.parametrize("key", sizes.TIERS[1:])
def test_a_scaled_jamba_keeps_the_published_pattern(key, match):
    member = sizes.chosen(key, "jamba", match=match)
    published = describe.resolve("jamba-v0.1").shape
    shape = describe.resolve(member.source).shape
    assert not member.published
    assert member.note["en"].startswith("Scaled, not published.")
    for layer in shape.layers:
        model = published.layers[layer.index]
        assert (layer.mixer, layer.ffn) == (model.mixer, model.ffn)
    assert (shape.n_experts, shape.top_k, shape.d_state) == (published.n_experts, published.top_k, published.d_state)
    assert shape.n_heads // shape.n_kv_heads == published.n_heads // published.n_kv_heads
    assert shape.d_ff / shape.d_model == published.d_ff / published.d_model


def test_the_rung_of_sources_is_found():
    assert sizes.size_of(sizes.sources("1.4b")) == "1.4b"
    assert sizes.size_of({"mamba": "mamba"}) == "bundled"
    assert sizes.size_of({"mamba": "mamba", "rwkv": "rwkv-4-169m"}) == sizes.CUSTOM
    assert sizes.size_of({}) == sizes.CUSTOM
    for key in sizes.TIERS:
        stored = sizes.sources(key, match="total")
        assert (sizes.size_of(stored), sizes.match_of(stored)) == (key, "total")
    assert sizes.match_of({"jamba": "jamba"}) == sizes.match_of({"mamba": "mamba", "rwkv": "x"}) == "active"


def test_a_narrower_jamba_is_the_bundled_one_but_for_its_width():
    shape, own = (describe.resolve(sizes.chosen("bundled", "jamba", match=match).source).shape
                  for match in sizes.MATCHES[::-1])  # fmt: skip
    assert [(layer.mixer, layer.ffn) for layer in shape.layers] == [(layer.mixer, layer.ffn) for layer in own.layers]
    assert (shape.n_experts, shape.top_k, shape.vocab, shape.n_heads, shape.n_kv_heads, shape.d_state) == (
        own.n_experts, own.top_k, own.vocab, own.n_heads, own.n_kv_heads, own.d_state,
    )  # fmt: skip
    assert shape.d_model < own.d_model
    assert shape.d_ff / shape.d_model == pytest.approx(own.d_ff / own.d_model, rel=0.02)


def test_architectures_are_chosen_on_a_rung():
    assert sizes.sources("130m", ["rwkv", "mamba"]) == {"mamba": "mamba-130m", "rwkv": "rwkv-4-169m"}
    with pytest.raises(SettingError, match="no architecture"):
        sizes.sources("130m", ["gpt2"])
    with pytest.raises(SettingError, match="no size"):
        sizes.sources("3t")
    with pytest.raises(SettingError, match="not matched by"):
        sizes.sources("130m", match="price")


@pytest.mark.parametrize(
    "name",
    [
        "ladder:",
        "ladder:7b",
        "ladder:7b/gpt",
        "ladder:9b/jamba",
        "ladder:7b/rwkv",
        "ladder:7b/mamba-total",
        "ladder:130m/jamba-total-total",
    ],
)
def test_names_that_are_not_on_the_ladder_are_refused(name):
    with pytest.raises(SourceError, match="not on the ladder"):
        describe.resolve(name)
