"""Choices go into an address and come back as they were; an address can choose nothing that is not offered."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from page_helpers import PLAN_OPEN, calm, opened, texts

from models import registry
from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, LIMITS, PRESETS, VIEWS
from models.machine import facts
from models.sources import sizes
from pages.compare.benchmark import address, settings_codec

CPU_PRESETS = [name for name, preset in PRESETS.items() if "device" not in preset]


def several(options):
    return some.lists(some.sampled_from(options), min_size=1, unique=True).map(
        lambda some: sorted(some, key=options.index)
    )


CHOSEN = some.fixed_dictionaries(
    {},
    optional={
        "preset": some.sampled_from(CPU_PRESETS),
        "architectures": several(tuple(sizes.tier("bundled").models)),
        "size": some.sampled_from(sizes.TIERS),
        "device": some.just("cpu"),
        "contexts": several(settings_codec.CONTEXTS),
        "batches": several(settings_codec.BATCHES),
        **{name: some.integers(*LIMITS[name]) for name in ("budget_s", "rounds", "decode_tokens", "seed")},
        "throughput": some.booleans(),
        "dtype": some.sampled_from(settings_codec.DTYPES),
        "view": some.sampled_from(VIEWS),
        "kernels": some.sampled_from(KERNELS),
        "attention": some.sampled_from(ATTENTION),
        "experts": some.sampled_from(EXPERTS),
        "match": some.sampled_from(sizes.MATCHES),
    },
)


@given(CHOSEN)
def test_what_is_written_is_read_as_it_was(chosen):
    preset = chosen.get("preset", settings_codec.FIRST)
    whole = settings_codec.defaults(preset) | chosen
    read = settings_codec.from_query(settings_codec.to_query(chosen))
    assert settings_codec.defaults(preset) | read == whole


def test_what_is_as_usual_is_not_written():
    assert settings_codec.to_query({}) == settings_codec.to_query(settings_codec.defaults("quick")) == ""
    assert settings_codec.to_query(settings_codec.defaults("long")) == "preset:long"
    assert settings_codec.to_query({"seed": 3, "contexts": [256, 512]}) == "contexts:256,512;seed:3"


@pytest.mark.slow
@given(some.text() | some.sampled_from([
    "seed:-1", "seed:99999999999", "seed:1e3", "seed:\u0663", "contexts:", "contexts:3,5", "size:9t", "device:cuda:9",
    "dtype:int4", "preset:gpu", "throughput:yes", ";;;::", "preset", "batches:0;seed:", "run:x", "begun:1",
]))  # fmt: skip
def test_an_address_chooses_nothing_that_is_not_offered(text):
    read = settings_codec.from_query(text)
    assert set(read) <= set(settings_codec.NAMES)
    assert (
        settings_codec.from_query(settings_codec.to_query(read)).items()
        <= (settings_codec.defaults(read.get("preset", "quick")) | read).items()
    )


def test_parts_that_make_sense_are_kept_beside_those_that_do_not():
    assert settings_codec.from_query("seed:5;size:9t;contexts:256,3,512") == {
        "preset": "quick",
        "seed": 5,
        "contexts": [256, 512],
    }


def test_a_gpu_is_chosen_where_there_is_one(monkeypatch):
    monkeypatch.setattr(facts, "gpus", lambda: ("NVIDIA H200",))
    plain = settings_codec.defaults("quick")
    assert (plain["device"], plain["dtype"]) == ("cuda:0", "bfloat16")
    assert settings_codec.defaults("quick", "cpu")["dtype"] == "float32"
    assert settings_codec.to_query({"device": "cpu", "dtype": "float32"}) == "device:cpu"
    assert settings_codec.defaults("quick") | settings_codec.from_query("device:cpu") | {
        "dtype": "float32"
    } == settings_codec.defaults("quick", "cpu")
    assert settings_codec.from_query("preset:gpu") == {"preset": "gpu"}
    monkeypatch.setattr(facts, "gpus", lambda: ())
    assert settings_codec.defaults("quick")["device"] == "cpu"
    assert settings_codec.from_query("preset:gpu") == {}


@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
def test_an_address_opens_the_page_with_its_choices_and_the_page_gives_it_back(shared):
    text = "preset:long;architectures:mamba,rwkv;contexts:1024,2048;rounds:7;view:as_shipped;experts:loop"
    at = opened(plan=text, state=PLAN_OPEN)
    assert at.number_input(key="benchmark.rounds").value == 7
    assert at.button_group(key="benchmark.contexts").value == [1024, 2048]
    assert at.button_group(key="benchmark.view").value == "as_shipped"
    links = [code.value for code in at.code if "plan=" in code.value]
    assert len(links) == 1
    assert "run=" not in links[0]
    at.button_group(key="benchmark.experts").set_value("auto").run()
    assert "experts" not in next(code.value for code in calm(at).code if "plan=" in code.value), "a link is read once"
    assert at.number_input(key="benchmark.rounds").value == 7


@pytest.mark.slow
@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
def test_a_link_to_a_run_tells_when_its_rows_have_changed(shared, plan_of, stand_in_shapes):
    run_id = shared.submit(plan_of("ok", "ok"))
    assert shared.wait(run_id, timeout_s=240)
    at = opened(run=run_id)
    (link,) = [code.value for code in at.code if "rows=" in code.value]
    told = link.partition("rows=")[2].partition("&")[0]
    assert f"{told} now" not in texts(opened(run=run_id, rows=told))
    assert f"fingerprint 0123456789abcdef then, {told} now" in texts(opened(run=run_id, rows="0123456789abcdef"))
    shared.remeasure(run_id, [shared.store.run(run_id).rows[0].cell_id])
    assert shared.wait(run_id, timeout_s=240)
    assert f"fingerprint {told} then" in texts(opened(run=run_id, rows=told))


def test_showing_another_run_forgets_what_a_link_said_of_the_first(monkeypatch):
    query = {"run": "a", "rows": "0"}
    monkeypatch.setattr(address.st, "query_params", query)
    address.show("b")
    assert query == {"run": "b"}
