"""The choices of a plan: what is offered where, what a device lacks, what a ready plan decides, and their code.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

import pytest
from benchmark_records import Say, planner_of, stage_of
from stage import Stage, bare

from models.bench.plan.settings import LIMITS, PRESETS
from models.sources import sizes
from pages.compare.benchmark import address, settings, settings_codec
from pages.shared.words import language, units


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Have a machine with a processor and two GPUs, and every choice at its default."""
    return planner_of(stage_of(monkeypatch), monkeypatch)


# --- settings ---------------------------------------------------------------------------------------------------
def test_a_visit_begins_with_the_choices_of_its_address_and_keeps_its_own_afterwards(planner: Stage) -> None:
    state = planner.session_state
    state.clear()
    planner.query_params = {"plan": "preset:careful;rounds:7;device:cpu"}
    settings.begin()
    known = settings_codec.defaults("careful", "cpu") | {"rounds": 7}
    assert {name: state[f"benchmark.{name}"] for name in known} == known
    assert known["dtype"] == "float32", "usual on the device of the address"
    state["benchmark.rounds"] = 11
    planner.query_params = {"plan": "rounds:5"}
    settings.begin()
    assert state["benchmark.rounds"] == 11


@pytest.mark.parametrize("preset", PRESETS)
def test_another_ready_plan_replaces_what_it_decides_and_nothing_else(planner: Stage, preset: str) -> None:
    """Everything was chosen otherwise; what a ready plan does not decide stays."""
    decided = {"contexts", "batches", "decode_tokens", "rounds", "budget_s", "throughput"}
    decided |= {"device", "dtype"} if preset == "gpu" else set()
    state = planner.session_state
    plain = settings_codec.defaults(preset)
    for name in plain:
        state[f"benchmark.{name}"] = "chosen before"
    state["benchmark.preset"] = preset
    settings._take_preset()
    for name, value in plain.items():
        kept = "chosen before" if name != "preset" else preset
        assert state[f"benchmark.{name}"] == (value if name in decided else kept), name
    for name in ("decode_tokens", "rounds", "budget_s", "throughput"):
        assert state[f"benchmark.{name}"] == PRESETS[preset][name]


@pytest.mark.parametrize(("device", "usual"), [("cpu", "float32"), ("cuda:1", "bfloat16")])
def test_another_device_brings_its_usual_number_type(planner: Stage, device: str, usual: str) -> None:
    planner.session_state.update({"benchmark.device": device, "benchmark.dtype": "float16"})
    settings._take_device()
    assert planner.session_state["benchmark.dtype"] == usual


def test_a_device_is_asked_for_only_where_there_are_several(say: Say, planner: Stage, monkeypatch) -> None:
    planner.session_state["benchmark.device"] = "cuda:1"
    settings.ask()
    asked = planner.keyed("benchmark.device")
    assert asked.args[1] == ("cuda:0", "cuda:1", "cpu") and asked.options["format_func"]("cuda:1") == "CUDA:1"
    assert asked.options["on_change"] is settings._take_device
    presets = planner.keyed("benchmark.preset")
    assert presets.args[1] == ["quick", "careful", "long", "gpu"]
    assert presets.options["on_change"] is settings._take_preset
    assert presets.options["format_func"]("careful") == say(
        "benchmark.presets.named", name=say("benchmark.presets.careful"), time=units.duration(600)
    )
    planner.clear()
    monkeypatch.setattr(settings.facts, "devices", lambda: ("cpu",))
    settings.ask()
    assert not planner.has("benchmark.device")
    assert planner.keyed("benchmark.preset").args[1] == ["quick", "careful", "long"], "no GPU, no plan for it"


@pytest.mark.parametrize(("device", "kind"), [("cpu", "cpu"), ("cuda:1", "gpu")])
def test_the_machine_is_named_and_models_that_are_not_published_explain_themselves(
    say: Say, planner: Stage, device: str, kind: str
) -> None:
    settings._notes(device)
    machine = say(f"benchmark.machine.{kind}", name=f"the {device}", cores=17)
    assert [bare(line) for line in planner.said("caption")] == [machine], "the bundled size needs no note"
    planner.clear()
    planner.session_state["benchmark.size"] = "130m"
    settings._notes(device)
    tier, lang = sizes.tier("130m"), language.current()
    models = [sizes.chosen("130m", name, match="active") for name in tier.models]
    scaled = [say("benchmark.plan.scaled", name=say(f"nav.{one.architecture}"), note=one.note[lang])
              for one in models if not one.published and one.note]  # fmt: skip
    assert scaled
    assert bare(planner.said("caption")[1]).split("  \n") == [tier.note[lang], *scaled]


def test_every_setting_of_a_plan_has_its_own_label_range_and_options(say: Say, planner: Stage) -> None:
    state = planner.session_state
    state["benchmark.device"] = "cpu"
    settings.ask()
    for name, step in {"budget_s": 30, "rounds": 1, "decode_tokens": 8, "seed": 1}.items():
        asked = planner.keyed(f"benchmark.{name}")
        assert asked.args == (say(f"benchmark.{name}"), *LIMITS[name]) and asked.options["step"] == step
    options = {
        "dtype": ("float32", "bfloat16", "float16"), "view": ("architecture", "as_shipped"),
        "kernels": ("fast", "reference"), "experts": ("auto", "sorted", "grouped", "batched", "loop"),
        "match": ("active", "total"), "attention": ["auto", "flash", "math"],
    }  # fmt: skip
    for name, offered in options.items():
        assert planner.keyed(f"benchmark.{name}").args == (say(f"benchmark.{name}"), offered), name
    labels = {
        "view": "views.as_shipped",
        "kernels": "kernel.reference",
        "experts": "expert.loop",
        "match": "matches.total",
    }
    for name, key in labels.items():
        label = planner.keyed(f"benchmark.{name}").options["format_func"]
        assert label(key.partition(".")[2]) == say(f"benchmark.{key}")
    helps = {name: planner.keyed(f"benchmark.{name}").options["help"] for name in ("experts", "match", "view")}
    assert helps == {"experts": say("benchmark.experts_help"), "match": say("benchmark.match_help"), "view": None}
    throughput = planner.keyed("benchmark.throughput")
    assert throughput.args == (say("benchmark.throughput"),)
    assert throughput.options["help"] == say("benchmark.throughput_help")
    planner.clear()
    state["benchmark.device"] = "cuda:0"
    settings.ask()
    assert planner.keyed("benchmark.attention").args[1] == ["auto", "flash", "efficient", "math", "cudnn"]
    assert planner.keyed("benchmark.dtype").args[1] == ("bfloat16", "float32", "float16"), "the usual one first"


def test_the_number_type_of_a_ready_plan_comes_first_where_it_has_one(planner: Stage) -> None:
    planner.session_state.update({"benchmark.device": "cpu", "benchmark.preset": "gpu"})
    assert settings._offered()["dtype"] == ("bfloat16", "float32", "float16")


def test_every_choice_is_handed_on_with_several_in_their_order(planner: Stage) -> None:
    """What is chosen of several comes in the order in which it is offered, whatever the order of the clicks."""
    mine = {
        "preset": "careful", "architectures": ["rwkv", "mamba"], "size": "130m", "device": "cuda:1",
        "contexts": [512, 128, 77], "batches": [8, 1], "budget_s": 33, "rounds": 4, "decode_tokens": 40, "seed": 5,
        "throughput": True, "dtype": "float16", "view": "as_shipped", "kernels": "reference", "attention": "math",
        "experts": "loop", "match": "total",
    }  # fmt: skip
    assert {*mine} == {*settings_codec.NAMES}, "a new choice needs its value here"
    planner.session_state.update({f"benchmark.{name}": value for name, value in mine.items()})
    known = mine | {"architectures": ["mamba", "rwkv"], "contexts": [128, 512], "batches": [1, 8]}
    assert settings.chosen() == known
    assert {name: planner.session_state[f"benchmark.{name}"] for name in known} == known, "the controls show it too"


@pytest.mark.parametrize(
    ("name", "impossible", "first"),
    [("attention", "cudnn", "auto"), ("attention", "efficient", "auto"), ("dtype", "int4", "float32"),
     ("size", "9t", "bundled"), ("view", "", "architecture"),
     ("kernels", "slow", "fast"), ("experts", "", "auto"), ("match", None, "active")],
)  # fmt: skip
def test_what_the_device_of_a_plan_does_not_offer_becomes_the_first_that_it_does(
    planner: Stage, name: str, impossible: str | None, first: str
) -> None:
    planner.session_state.update({"benchmark.device": "cpu", "benchmark.dtype": "float32"})
    before = settings.chosen()
    planner.session_state[f"benchmark.{name}"] = impossible
    assert settings.chosen() == before | {name: first}
    assert planner.session_state[f"benchmark.{name}"] == first


def test_a_device_that_is_gone_becomes_the_first_with_what_that_one_has(planner: Stage) -> None:
    planner.session_state.update({"benchmark.device": "cuda:7", "benchmark.attention": "cudnn"})
    found = settings.chosen()
    assert (found["device"], found["attention"]) == ("cuda:0", "cudnn"), "the first is a GPU, which has that backend"
    assert planner.session_state["benchmark.device"] == "cuda:0"


def test_the_choices_stand_in_three_groups_each_with_its_words(say: Say, planner: Stage) -> None:
    settings.ask()
    names = ("what", "long", "how")
    groups = [call.options["key"] for call in planner.found("container") if "pick-" in call.options.get("key", "")]
    assert groups == [f"pick-benchmark.{name}" for name in names]
    titles = [words for words in planner.said("html") if any(say(f"benchmark.group.{name}") in words for name in names)]
    assert len(titles) == 3
    for name, title in zip(names, titles, strict=True):
        assert f">{say(f'benchmark.group.{name}')}<" in title
        assert planner.said("caption").count(say(f"benchmark.group.{name}_text")) == 1
    asked = [call.options["key"].partition(".")[2] for call in planner.calls
             if call.kind in ("pills", "segmented_control", "number_input", "toggle")]  # fmt: skip
    assert asked == [
        "preset", "architectures", "size", "device", "contexts", "batches", "throughput", "budget_s", "rounds",
        "decode_tokens", "dtype", "view", "kernels", "attention", "experts", "match", "seed",
    ]  # fmt: skip
    assert {*asked} == {*settings_codec.NAMES}, "every choice of the address can be made here"


def test_a_choice_made_by_a_button_is_the_visitors_and_a_ready_plan_brings_what_it_decides(planner: Stage) -> None:
    state = planner.session_state
    settings.choose("size", "1.4b")
    assert state["benchmark.size"] == "1.4b" and state["benchmark.budget_s"] == 90
    settings.choose("budget_s", 1800)
    assert (state["benchmark.budget_s"], state["benchmark.preset"], state["benchmark.rounds"]) == (1800, "quick", 5)
    settings.choose("preset", "careful")
    assert (state["benchmark.budget_s"], state["benchmark.rounds"], state["benchmark.size"]) == (600, 9, "1.4b")


def test_the_address_of_a_plan_has_its_choices(planner: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    planner.session_state.update({"benchmark.seed": 9, "benchmark.rounds": 6, "contextscope.page": "benchmark"})
    monkeypatch.setattr(language, "current", lambda: "en")
    assert address.of_plan() == "/benchmark?lang=en&plan=rounds%3A6%3Bseed%3A9"


# --- settings_codec ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["budget_s", "rounds", "decode_tokens", "seed"])
def test_an_address_may_say_the_least_and_the_most_and_nothing_beyond(name: str) -> None:
    low, high = LIMITS[name]
    for value in (low, high):
        assert settings_codec.from_query(f"{name}:{value}") == {"preset": "quick", name: value}
    for value in (low - 1, high + 1):
        assert settings_codec.from_query(f"{name}:{value}") == {}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_choice_of_a_ready_plan_is_as_its_table_says(monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    monkeypatch.setattr(settings_codec.facts, "devices", lambda: ("cuda:1", "cuda:0", "cpu"))
    ready = PRESETS[preset]
    decided = {name: ready[name] for name in ("decode_tokens", "rounds", "budget_s", "throughput")}
    assert settings_codec.defaults(preset) == decided | {
        "preset": preset, "architectures": ["transformer", "mamba", "rwkv", "jamba"], "size": "bundled",
        "device": "cuda:0" if preset == "gpu" else "cuda:1", "contexts": list(ready["contexts"]),
        "batches": list(ready["batches"]), "seed": 0, "dtype": "bfloat16", "view": "architecture", "kernels": "fast",
        "attention": "auto", "experts": "auto", "match": "active",
    }  # fmt: skip
