"""Open the pages with other models: folders of every family and shape, wrong folders, models not here, big ones."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import showing
import torch
from streamlit.testing.v1 import AppTest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    JambaConfig,
    LlamaConfig,
    MambaConfig,
    MixtralConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RwkvConfig,
)

from models import registry, units
from models.machine import facts
from models.sources import downloadable
from pages.shared import cache, site
from pages.shared.state import session
from pages.shared.words import content, i18n

VOCAB = 640
SIZES = {"vocab_size": VOCAB, "hidden_size": 32}
DECODER = SIZES | {"intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2}
HYBRID = DECODER | {"num_hidden_layers": 6, "mamba_d_state": 5, "mamba_dt_rank": 3}
DEEP = {"num_hidden_layers": 24}

CONFIGS: Mapping[str, tuple[str, Callable[[], PretrainedConfig]]] = {
    "gpt2": ("transformer", lambda: GPT2Config(vocab_size=VOCAB, n_embd=32, n_layer=3, n_head=4, n_positions=96)),
    "gpt_neox deep": ("transformer", lambda: GPTNeoXConfig(**SIZES | {"hidden_size": 64}, **DEEP, intermediate_size=48,
                                                           num_attention_heads=16)),
    "llama one layer, one head": ("transformer", lambda: LlamaConfig(**DECODER | {"num_attention_heads": 1,
                                                                     "num_key_value_heads": 1}, num_hidden_layers=1)),
    "mixtral": ("transformer", lambda: MixtralConfig(**DECODER, num_hidden_layers=2, num_local_experts=4,
                                                     num_experts_per_tok=2)),
    "mixtral three experts a token": ("transformer", lambda: MixtralConfig(**DECODER, num_hidden_layers=2,
                                                                           num_local_experts=4,
                                                                           num_experts_per_tok=3)),
    "mamba deep": ("mamba", lambda: MambaConfig(**SIZES, **DEEP, state_size=4, pad_token_id=0)),
    "mamba one layer": ("mamba", lambda: MambaConfig(**SIZES, num_hidden_layers=1, state_size=1, pad_token_id=0)),
    "rwkv deep": ("rwkv", lambda: RwkvConfig(**SIZES, **DEEP, intermediate_size=48, rescale_every=6)),
    "jamba other pattern": ("jamba", lambda: JambaConfig(**HYBRID, num_experts=5, num_experts_per_tok=2,
                                                         attn_layer_period=3, attn_layer_offset=1,
                                                         expert_layer_period=3, expert_layer_offset=0)),
    "jamba one expert a token": ("jamba", lambda: JambaConfig(**HYBRID, num_experts=4, num_experts_per_tok=1,
                                                              attn_layer_period=4, attn_layer_offset=2)),
    "jamba three experts a token": ("jamba", lambda: JambaConfig(**HYBRID, num_experts=4, num_experts_per_tok=3,
                                                                 attn_layer_period=4, attn_layer_offset=2)),
    "jamba without experts": ("jamba", lambda: JambaConfig(**HYBRID, num_experts=1, num_experts_per_tok=1,
                                                           attn_layer_period=4, attn_layer_offset=2)),
    "jamba without attention": ("jamba", lambda: JambaConfig(**HYBRID, num_experts=4, num_experts_per_tok=2,
                                                             attn_layer_period=8, attn_layer_offset=7)),
    "jamba without mamba": ("jamba", lambda: JambaConfig(**HYBRID, num_experts=4, num_experts_per_tok=2,
                                                         attn_layer_period=1, attn_layer_offset=0)),
}  # fmt: skip
KINDS = {"transformer": "gpt2", "mamba": "mamba one layer", "rwkv": "rwkv deep", "jamba": "jamba other pattern"}


def tokenizer(*, vocabulary: int = VOCAB, start: bool = False) -> PreTrainedTokenizerFast:
    """Build a small byte-level tokenizer that is not the bundled one."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<|start|>"], show_progress=False)  # fmt: skip
    made.train_from_iterator([content.first_example(lang) for lang in i18n.LANGS] * 2, trainer)
    if start:
        made.post_processor = processors.TemplateProcessing(single="<|start|> $A", special_tokens=[("<|start|>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=made)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a function that writes a seeded model of CONFIGS to a folder, once: no card, no log, its own tokenizer."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("model") / kind.replace(",", "").replace(" ", "-")
            torch.manual_seed(11)
            AutoModelForCausalLM.from_config(CONFIGS[kind][1]()).save_pretrained(made[kind])
            tokenizer(start="jamba" in kind).save_pretrained(made[kind])
        return made[kind]

    return get


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let every test start with an empty hub cache, no network and no models of earlier tests."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cache.typed_folders().clear()
    yield tmp_path / "hub"
    for lru in (cache.loaded_models(), cache.recorded_traces()):
        others = [key for key in lru._held if key[0] not in cache.bundled()]  # the bundled ones are every test's
        for key in others:
            del lru._held[key]


def said(at: AppTest) -> list[str]:
    return [warning.value for warning in at.warning]


def assert_calm(at: AppTest) -> None:
    assert [error.value for error in at.exception] == []
    assert [error.value for error in at.error] == []


def type_folder(at: AppTest, architecture: str, path: Path | str) -> AppTest:
    return at.text_input(key=f"{architecture}.folder").set_value(str(path)).run()


def chip(at: AppTest, architecture: str) -> str:
    (found,) = [p for p in at.get("popover") if p.proto.popover.label.startswith(("Model:", "모델:"))]
    return str(found.proto.popover.label).replace("\\", "")


def open_everything(at: AppTest, page: str) -> AppTest:
    for name in showing.hoods(page):
        at.session_state[f"{page}.{name}"] = True
    return at.run()


@pytest.mark.slow
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_folder_of_any_shape_is_shown(open_page, folder_of, kind: str) -> None:
    """With everything under the hood open, in one language and then in the other."""
    page, path = CONFIGS[kind][0], folder_of(kind)
    at = open_page(page)
    for name in showing.hoods(page):
        at.session_state[f"{page}.{name}"] = True
    at = type_folder(at, page, path)
    for lang in i18n.LANGS:
        if lang != i18n.LANGS[0]:
            at.segmented_control(key="frame.lang").set_value(lang).run()
        assert_calm(at)
        assert said(at) == []
        assert path.name in chip(at, page)
        assert at.title[0].value.startswith(content.section(page, "title", lang=lang))
        assert cache.trace_for(str(path), content.first_example(lang)).checkpoint == str(path)


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_model_that_its_own_library_cannot_run_is_explained(open_page, folder_of, monkeypatch, lang: str) -> None:
    folder, real = folder_of("jamba other pattern"), registry.trace_encoded

    def broken(checkpoint, encoded):
        if checkpoint.name == str(folder):
            raise RuntimeError("the library stumbles over layer 3")
        return real(checkpoint, encoded)

    monkeypatch.setattr(registry, "trace_encoded", broken)
    at = type_folder(open_page("jamba", browser=lang), "jamba", folder)
    assert_calm(at)
    (sentence,) = said(at)
    assert "stumbles over layer 3" in sentence and i18n.say(lang, "models.kept_bundled").rstrip(".") in sentence


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.timeout(600)
def test_four_other_models_with_other_tokenizers_are_aligned(open_page, folder_of, lang: str) -> None:
    at = open_page("overview", browser=lang)
    for architecture, kind in KINDS.items():
        at.switch_page(str(site.page(architecture).script)).run()
        at = type_folder(at, architecture, folder_of(kind))
    at.switch_page(str(site.page("overview").script)).run()
    assert_calm(at)
    assert said(at) == []
    captions = " ".join(caption.value for caption in at.caption)
    assert all(folder_of(kind).name in captions.replace("\\", "") for kind in KINDS.values())
    at.button(key="overview.all_bundled").click().run()
    assert_calm(at)
    assert not any(folder_of("gpt2").name in caption.value.replace("\\", "") for caption in at.caption)


@pytest.mark.slow
def test_one_other_model_is_named_and_its_bytes_are_counted(open_page, folder_of, monkeypatch) -> None:
    folder, counted, real = folder_of("mamba one layer"), set(), cache.cache_bytes
    monkeypatch.setattr(cache, "cache_bytes", lambda source, tokens: (counted.add(source), real(source, tokens))[1])
    at = type_folder(open_page("mamba"), "mamba", folder)
    counted.clear()
    at.run()
    bundled = [source for name, source in cache.architectures().items() if name != "mamba"]
    assert counted == {str(folder), *bundled}, "the bars and the costs are those of the model that reads"
    at.switch_page(str(site.page("overview").script)).run()
    assert_calm(at)
    readers = [caption.value for caption in at.caption if folder.name in caption.value.replace("\\", "")]
    assert len(readers) == 1, "one other model is enough to name who reads"
    at.button(key="overview.all_bundled").click().run()
    assert_calm(at)
    assert at.session_state["contextscope.models"] == {}, "the button leads back to the bundled ones"
    assert not any(folder.name in caption.value.replace("\\", "") for caption in at.caption)


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_folder_of_another_family_is_refused_by_name(open_page, folder_of, lang: str) -> None:
    at = type_folder(open_page("mamba", browser=lang), "mamba", folder_of("rwkv deep"))
    assert_calm(at)
    (sentence,) = said(at)
    assert "rwkv" in sentence and "RWKV" in sentence
    assert chip(at, "mamba").endswith(i18n.say(lang, "models.bundled"))


@pytest.mark.parametrize(
    ("files", "key"),
    [
        (None, "no_model_folder"),
        ({}, "no_model_folder"),
        ({"config.json": "{nonsense"}, "bad_config"),
        ({"config.json": json.dumps({"model_type": "bert"}), "model.safetensors": ""}, "unknown_architecture"),
        ({"config.json": json.dumps({"model_type": "mamba"}), "pytorch_model.bin": ""}, "unsafe_weights"),
        ({"config.json": json.dumps({"model_type": "mamba"})}, "no_weights"),
    ],
)
def test_what_is_no_model_is_said_so(open_page, tmp_path: Path, files: dict[str, str] | None, key: str) -> None:
    place = tmp_path / "typed"
    if files is not None:
        place.mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
    at = type_folder(open_page("mamba"), "mamba", place)
    assert_calm(at)
    (sentence,) = said(at)
    start = i18n.words("en")[f"errors.{key}"].split("{source}")[-1].strip("' .").split("{")[0]
    assert start and start.split(",")[0] in sentence.replace("\\", "")


@pytest.mark.slow
def test_a_folder_without_a_tokenizer_leaves_the_bundled_model(open_page, folder_of, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).write_bytes((folder_of("mamba one layer") / name).read_bytes())
    at = type_folder(open_page("mamba"), "mamba", bare)
    assert_calm(at)
    (sentence,) = said(at)
    assert i18n.say("en", "models.kept_bundled").split(".")[0] in sentence
    assert at.get("popover")


@pytest.mark.slow
def test_a_tokenizer_of_another_model_is_said_so(open_page, folder_of, tmp_path: Path) -> None:
    from models import registry
    from models.sources import weights

    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("config.json", "model.safetensors"):
        (mixed / name).write_bytes((folder_of("gpt2") / name).read_bytes())
    foreign = weights.read_tokenizer(registry.bundled()[0])
    assert foreign is not None
    foreign.save_pretrained(mixed)
    at = type_folder(open_page("transformer"), "transformer", mixed)
    assert_calm(at)
    assert "640" in said(at)[0]


EXPERT_SECTIONS = ("layer_flow", "expert_finder", "expert_load", "expert_pairs", "expert_locality", "expert_words",
                   "memory_growth")  # fmt: skip
EXPERT_FIGURES = (*EXPERT_SECTIONS, "expert_lanes", "router_bars", "expert_balance", "active_parameters")


def titles(at: AppTest) -> list[str]:
    """List the figures that stand on a page, by the anchors of their cards."""
    shown = [element.proto.body for element in at.get("html") if 'class="cs-title" id="' in element.proto.body]
    return [body.split('id="')[1].split('"')[0] for body in shown]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mixtral", "mixtral three experts a token", "gpt2"])
def test_the_transformer_page_has_the_figures_of_experts_where_the_model_has_some(
    open_page, folder_of, kind: str
) -> None:
    at = open_page("transformer")
    for name in EXPERT_SECTIONS:
        at.session_state[f"transformer.hood.{name}"] = True
    at = open_everything(type_folder(at, "transformer", folder_of(kind)), "transformer")
    assert_calm(at)
    assert "head_matrix" in titles(at) and "token_strip" in titles(at)
    assert {name: name in titles(at) for name in EXPERT_FIGURES} == dict.fromkeys(EXPERT_FIGURES, kind != "gpt2")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jamba other pattern", "jamba one expert a token", "jamba without experts"])
def test_the_jamba_page_counts_over_experts_where_the_model_has_some(open_page, folder_of, kind: str) -> None:
    """Pairs take two experts of a token."""
    at = open_page("jamba")
    for name in EXPERT_SECTIONS:
        at.session_state[f"jamba.hood.{name}"] = True
    at = type_folder(at, "jamba", folder_of(kind))
    assert_calm(at)
    here = dict.fromkeys((*EXPERT_SECTIONS, "expert_balance"), kind != "jamba without experts")
    here |= {"memory_growth": True, "expert_pairs": kind == "jamba other pattern"}
    assert {name: name in titles(at) for name in here} == here


@pytest.mark.slow
def test_a_text_longer_than_the_positions_is_said_so(open_page, folder_of) -> None:
    at = type_folder(open_page("transformer"), "transformer", folder_of("gpt2"))
    at.text_area(key="transformer.prompt").set_value("zqx " * 40).run()  # 160 bytes, 96 positions
    assert_calm(at)
    assert [one.value for one in at.caption if "96" in one.value], "what is left out is told, the rest is read"


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_model_of_the_address_that_is_not_here_is_explained(open_page, lang: str) -> None:
    at = open_page("mamba", browser=lang, model="state-spaces/mamba-130m-hf")
    assert_calm(at)
    (sentence,) = said(at)
    assert i18n.say(lang, "models.kept_bundled").rstrip(".") in sentence
    assert chip(at, "mamba").endswith("Mamba 130M")
    assert at.button(key="mamba.download.state-spaces/mamba-130m-hf")
    at.button(key="mamba.use.None").click().run()
    assert said(at) == []


def test_a_model_in_the_hub_cache_is_read(open_page, folder_of, empty_hub: Path) -> None:
    snapshot = empty_hub / "models--state-spaces--mamba-130m-hf" / "snapshots" / ("c" * 40)
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(folder_of("mamba one layer"))
    at = open_page("mamba")
    at.button(key="mamba.use.state-spaces/mamba-130m-hf").click().run()
    assert_calm(at)
    assert said(at) == []
    assert chip(at, "mamba").endswith("Mamba 130M")
    assert at.session_state["contextscope.models"] == {"mamba": "state-spaces/mamba-130m-hf"}


@pytest.mark.parametrize(
    "asked", ["/etc", "folder-0123456789abcdef", "../..", "nobody/unknown", "file:///tmp", "x" * 5000, ",,,"]
)
def test_an_address_opens_no_folder_and_no_unknown_model(open_page, asked: str) -> None:
    at = open_page("mamba", model=asked)
    assert_calm(at)
    assert said(at) == []
    assert chip(at, "mamba").endswith("bundled")
    assert at.session_state["contextscope.models"] == {}


@pytest.mark.slow
def test_a_folder_of_the_address_opens_where_it_was_typed(open_page, folder_of, monkeypatch) -> None:
    path = str(folder_of("mamba one layer").resolve())
    code = session.folder_code("mamba", path)
    assert path not in code
    type_folder(open_page("mamba"), "mamba", path)
    at = open_page("mamba", model=code)  # another visitor, the same server
    assert chip(at, "mamba").endswith("mamba-one-layer")
    monkeypatch.setenv("CONTEXTSCOPE_LOCAL_FOLDERS", "off")
    at = open_page("mamba", model=code)
    assert_calm(at)
    assert chip(at, "mamba").endswith("bundled")
    assert not [box for box in at.text_input if box.key == "mamba.folder"]


@pytest.mark.parametrize(("address", "allowed"), [("localhost", True), ("127.0.0.1", True), ("0.0.0.0", False)])
def test_folders_are_for_a_server_of_ones_own(monkeypatch: pytest.MonkeyPatch, address: str, allowed: bool) -> None:
    from pages.shared import model_picker

    monkeypatch.delenv(model_picker.FOLDERS_VARIABLE, raising=False)
    monkeypatch.setattr(model_picker.st, "get_option", lambda _: address)
    assert model_picker.folders_allowed() is allowed
    monkeypatch.setenv(model_picker.FOLDERS_VARIABLE, "on")
    assert model_picker.folders_allowed() is True


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_what_does_not_fit_into_memory_is_not_loaded(open_page, folder_of, monkeypatch, lang: str) -> None:
    cache.checkpoint("mamba")  # another test may have let go of it
    monkeypatch.setattr(facts, "free_memory", lambda: 100 * 2**20)
    at = type_folder(open_page("mamba", browser=lang), "mamba", folder_of("mamba one layer"))
    assert_calm(at)
    (sentence,) = said(at)
    assert "100 MiB" in sentence.replace("\\", "") and "258 MiB" in sentence.replace("\\", "")
    assert all("mamba-one-layer" not in str(key) for key in cache.loaded_models().keys())  # noqa: SIM118


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("architecture", ["transformer", "mamba", "rwkv", "jamba"])
def test_every_offered_model_is_listed_with_its_facts(open_page, architecture: str, lang: str) -> None:
    at = open_page(architecture, browser=lang)
    assert_calm(at)
    captions = " ".join(caption.value for caption in at.caption).replace("\\", "")
    for offer in downloadable.of(architecture):
        assert f"https://huggingface.co/{offer.id}" in captions
        assert units.compact(offer.params_total) in captions and f"{offer.vocabulary:,}" in captions
        assert at.button(key=f"{architecture}.download.{offer.id}")


@pytest.mark.slow
def test_a_download_that_cannot_start_says_why(open_page, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.sources import downloads

    monkeypatch.setattr(downloads, "_jobs", {})
    at = open_page("rwkv")
    at.button(key="rwkv.download.RWKV/rwkv-4-430m-pile").click().run()
    downloads.wait("RWKV/rwkv-4-430m-pile", timeout_s=30)
    at.run()
    assert_calm(at)
    assert any("hub cannot be reached" in caption.value for caption in at.caption)


def test_a_running_download_shows_its_bar(open_page, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.sources import downloads

    model = "EleutherAI/pythia-160m"
    shown = downloads.DownloadProgress(model, "running", 125_000_000, 375_000_000, 12e6)
    monkeypatch.setattr(downloads, "progress", lambda name: shown if name == model else None)
    monkeypatch.setattr(downloads, "running", lambda: (model,))
    at = open_page("transformer")
    assert_calm(at)
    (bar,) = at.get("progress")
    assert bar.proto.value == 33 and "125 MB" in bar.proto.text and "12 MB" in bar.proto.text
    assert at.button(key=f"transformer.cancel.{model}")
    assert not [button for button in at.button if button.key == f"transformer.download.{model}"]


def test_the_environment_does_not_decide_by_accident() -> None:
    assert os.environ.get("CONTEXTSCOPE_LOCAL_FOLDERS") is None
