"""Words, numbers and choices of the settings of a plan, its code and where a run comes from, from hand-made records.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from benchmark_records import Say, planned, prediction, row, run_of, stage_of
from stage import Stage, bare

from models.bench.plan.plan import Plan
from models.bench.plan.settings import LIMITS, PRESETS
from models.bench.run import runner
from models.records.cell import Cell
from models.sources import sizes
from pages.compare.benchmark import (
    planning,
    provenance,
    settings_codec,
)
from pages.shared.words import content, language, units


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


# --- planning ----------------------------------------------------------------------------------------------------
@pytest.fixture
def planner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Have a machine with a processor and two GPUs, and every choice at its default."""
    monkeypatch.setattr(planning.cache, "architectures", lambda: dict.fromkeys(content.table("comparison"), ""))
    monkeypatch.setattr(planning.facts, "devices", lambda: ("cuda:0", "cuda:1", "cpu"))
    monkeypatch.setattr(planning.facts, "device_name", lambda device: f"the {device}")
    monkeypatch.setattr(planning.facts, "usable_cores", lambda: 17)
    stage.session_state.update({f"benchmark.{name}": value for name, value in settings_codec.defaults("quick").items()})
    return stage


def test_beside_run_stand_the_cells_the_time_of_those_that_fit_and_the_largest_process(
    say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three cells of 1, 5 and 2 minutes, the last of which does not fit; the largest process has 6 MiB."""
    cells = tuple(Cell("mamba", "mamba", 2**n, device="cuda:1") for n in (6, 7, 8))
    made = Plan(cells, (prediction(1), prediction(5), prediction(2, fits=False)))
    lines = {"cuda:1": 0}
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(waiting=lines.__getitem__))
    total = say("benchmark.plan.total", cells=3, time=units.duration(360), memory="6 MiB")
    planning.start_button(made, begun=bool)
    lines["cuda:1"] = 4
    planning.start_button(made, begun=bool)
    assert stage.said("text") == [total, f"{total} · {say('benchmark.plan.line', count=4)}"]
    assert stage.keyed("benchmark.run").options["disabled"] is False
    planning.start_button(None, begun=bool)
    assert stage.keyed("benchmark.run").options["disabled"] is True


def test_run_submits_the_plan_and_leads_to_its_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted: list[Plan] = []
    begun: list[str] = []
    noted: list[tuple[str, str]] = []
    here = SimpleNamespace(waiting=lambda _: 0, submit=lambda plan: submitted.append(plan) or "r9")
    monkeypatch.setattr(runner, "shared", lambda: here)
    monkeypatch.setattr(planning.journal, "note", lambda action, *, run: noted.append((action, run)))
    stage.query_params = {"run": "old", "rows": "0123", "lang": "ko"}
    stage.pressed = {"benchmark.run"}
    made = planned(("mamba", 64))
    planning.start_button(made, begun=begun.append)
    assert (submitted, begun, noted) == ([made], ["r9"], [("start", "r9")])
    assert stage.query_params == {"run": "r9", "lang": "ko"}, "the fingerprint was of the rows of the run before"


def test_free_memory_is_rounded_down_to_its_leading_bits() -> None:
    assert [planning._rounded(count) for count in (None, 0, 15, 16, 17, 31, 33, 0b1011_0111)] == [
        None, 0, 15, 16, 16, 30, 32, 0b1011_0000,
    ]  # fmt: skip


def test_a_visit_begins_with_the_choices_of_its_address_and_keeps_its_own_afterwards(planner: Stage) -> None:
    state = planner.session_state
    state.clear()
    planner.query_params = {"plan": "preset:careful;rounds:7;device:cpu"}
    planning._begin()
    known = settings_codec.defaults("careful", "cpu") | {"rounds": 7}
    assert {name: state[f"benchmark.{name}"] for name in known} == known
    assert known["dtype"] == "float32", "usual on the device of the address"
    state["benchmark.rounds"] = 11
    planner.query_params = {"plan": "rounds:5"}
    planning._begin()
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
    planning._take_preset()
    for name, value in plain.items():
        kept = "chosen before" if name != "preset" else preset
        assert state[f"benchmark.{name}"] == (value if name in decided else kept), name
    for name in ("decode_tokens", "rounds", "budget_s", "throughput"):
        assert state[f"benchmark.{name}"] == PRESETS[preset][name]


@pytest.mark.parametrize(("device", "usual"), [("cpu", "float32"), ("cuda:1", "bfloat16")])
def test_another_device_brings_its_usual_number_type(planner: Stage, device: str, usual: str) -> None:
    planner.session_state.update({"benchmark.device": device, "benchmark.dtype": "float16"})
    planning._take_device()
    assert planner.session_state["benchmark.dtype"] == usual


def test_a_device_is_asked_for_only_where_there_are_several(say: Say, planner: Stage, monkeypatch) -> None:
    planner.session_state["benchmark.device"] = "cuda:1"
    assert planning._which() == "cuda:1"
    asked = planner.keyed("benchmark.device")
    assert asked.args[1] == ("cuda:0", "cuda:1", "cpu") and asked.options["format_func"]("cuda:1") == "CUDA:1"
    presets = planner.keyed("benchmark.preset")
    assert presets.args[1] == ["quick", "careful", "long", "gpu"]
    assert presets.options["format_func"]("careful") == say(
        "benchmark.presets.named", name=say("benchmark.presets.careful"), time=units.duration(600)
    )
    planner.clear()
    monkeypatch.setattr(planning.facts, "devices", lambda: ("cpu",))
    assert planning._which() == "cpu"
    assert not planner.has("benchmark.device")
    assert planner.keyed("benchmark.preset").args[1] == ["quick", "careful", "long"], "no GPU, no plan for it"


@pytest.mark.parametrize(("device", "kind"), [("cpu", "cpu"), ("cuda:1", "gpu")])
def test_the_machine_is_named_and_models_that_are_not_published_explain_themselves(
    say: Say, planner: Stage, device: str, kind: str
) -> None:
    planning._notes(device)
    machine = say(f"benchmark.machine.{kind}", name=f"the {device}", cores=17)
    assert [bare(line) for line in planner.said("caption")] == [machine], "the bundled size needs no note"
    planner.clear()
    planner.session_state["benchmark.size"] = "130m"
    planning._notes(device)
    tier, lang = sizes.tier("130m"), language.current()
    models = [sizes.chosen("130m", name, match="active") for name in tier.models]
    scaled = [say("benchmark.plan.scaled", name=say(f"nav.{one.architecture}"), note=one.note[lang])
              for one in models if not one.published and one.note]  # fmt: skip
    assert scaled
    assert bare(planner.said("caption")[1]).split("  \n") == [tier.note[lang], *scaled]


def test_every_setting_of_a_plan_has_its_own_label_range_and_options(say: Say, planner: Stage) -> None:
    state = planner.session_state
    state.update({"benchmark.budget_s": 33, "benchmark.rounds": 4, "benchmark.decode_tokens": 40, "benchmark.seed": 5,
                  "benchmark.contexts": [512, 128, 77], "benchmark.batches": [8, 1], "benchmark.throughput": True,
                  "benchmark.view": "as_shipped", "benchmark.kernels": "reference", "benchmark.attention": "math",
                  "benchmark.experts": "loop", "benchmark.dtype": "float16", "benchmark.match": "total"})  # fmt: skip
    assert planning._how("cpu") == {
        "contexts": [128, 512], "batches": [1, 8], "budget_s": 33, "rounds": 4, "decode_tokens": 40, "seed": 5,
        "dtype": "float16", "view": "as_shipped", "kernels": "reference", "attention": "math", "experts": "loop",
        "throughput": True,
    }  # fmt: skip
    assert planning._match() == "total"
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
    planner.clear()
    state["benchmark.dtype"] = "float32"
    asked = planning._how("cuda:0")
    assert planner.keyed("benchmark.attention").args[1] == ["auto", "flash", "efficient", "math", "cudnn"]
    assert planner.keyed("benchmark.dtype").args[1] == ("bfloat16", "float32", "float16"), "the usual one first"
    state["benchmark.attention"] = "cudnn"
    assert planning._how("cpu")["attention"] == "auto", "another device has other choices"


def test_the_address_of_a_plan_has_its_choices(planner: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    planner.session_state.update({"benchmark.seed": 9, "benchmark.rounds": 6, "contextscope.page": "benchmark"})
    monkeypatch.setattr(language, "current", lambda: "en")
    assert planning.address() == "/benchmark?lang=en&plan=rounds%3A6%3Bseed%3A9"


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


# --- provenance --------------------------------------------------------------------------------------------------
def test_the_rounds_of_the_chosen_cell_are_shown_with_what_was_unsteady_and_repeated(say: Say, stage: Stage) -> None:
    samples = {"decode_ms_samples": (1.0, 2.0), "rounds": 1}
    found = [
        row("mamba", 64, rounds_unsteady=3, rounds_repeated=7, **samples),
        row("rwkv", 128, batch=4, **samples),
    ]
    provenance._samples(found)
    chooser = stage.keyed("benchmark.samples")
    assert chooser.args == (say("benchmark.provenance.samples"), ["mamba-64-1", "rwkv-128-4"])
    assert [chooser.options["format_func"](one) for one in ("rwkv-128-4", "gone")] == [
        say("benchmark.cell_batch", name=say("nav.rwkv"), tokens="128", batch=4), "",
    ]  # fmt: skip
    stage.session_state["benchmark.samples"] = "rwkv-128-4"
    provenance._samples(found)
    known = [
        say("benchmark.provenance.samples_note", unsteady=one, repeated=other) for one, other in (("3", "7"), "––")
    ]
    assert [bare(line) for line in stage.said("caption")] == known
    stage.session_state["benchmark.samples"] = "of another run"
    provenance._samples(found)
    assert stage.session_state["benchmark.samples"] == "mamba-64-1"


def test_the_command_that_measures_again_stands_where_there_is_one(say: Say, stage: Stage, monkeypatch) -> None:
    commands = iter(["the command", None])
    monkeypatch.setattr(provenance.remeasure, "command", lambda _run: next(commands))
    for _ in range(2):
        provenance._reproduce(run_of(row()))
    assert stage.said("code") == ["the command"]
    assert stage.said("markdown") == [f"**{say('benchmark.provenance.reproduce')}**"]
    assert stage.said("caption") == [say("benchmark.provenance.reproduce_note")]


# --- the page ----------------------------------------------------------------------------------------------------
def test_the_planner_makes_the_plan_of_its_choices_or_asks_for_some(say: Say, planner: Stage, monkeypatch) -> None:
    made: list[Any] = []
    drawn: list[Any] = []
    monkeypatch.setattr(planning.facts, "free_bytes", lambda device: {"cuda:1": 2**30}[device])
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(rates=lambda: "rates"))
    monkeypatch.setattr(planning, "make_plan", lambda *given, **options: made.append((given, options)) or "plan")
    monkeypatch.setattr(planning.grid, "draw", drawn.append)
    state = planner.session_state
    state["benchmark.begun"] = True
    state.update({"benchmark.device": "cuda:1", "benchmark.size": "130m", "benchmark.architectures": ["rwkv", "mamba"],
                  "benchmark.match": "total", "benchmark.dtype": "bfloat16", "benchmark.seed": 5})  # fmt: skip
    assert planning.planner() == "plan" and drawn == ["plan"]
    ((sources, contexts), options) = made[0]
    assert sources == sizes.sources("130m", ["mamba", "rwkv"], match="total")
    assert contexts == [256, 512, 1024, 2048, 4096, 8192]
    assert options == {
        "device": "cuda:1", "size": "130m", "batches": [1], "budget_s": 90, "rounds": 5, "decode_tokens": 24, "seed": 5,
        "dtype": "bfloat16", "view": "architecture", "kernels": "fast", "attention": "auto", "experts": "auto",
        "throughput": False, "rates": "rates",
    }  # fmt: skip
    for name in ("architectures", "contexts", "batches"):
        planner.clear()
        kept, state[f"benchmark.{name}"] = state[f"benchmark.{name}"], []
        assert planning.planner() is None and planner.said("text") == [say("benchmark.plan.empty")]
        state[f"benchmark.{name}"] = kept
    assert len(made) == 1
