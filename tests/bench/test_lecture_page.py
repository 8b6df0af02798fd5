"""What the lecture asks, on the page: a question sets the plan, a run of it is judged, a link shows it again."""

import dataclasses

import pytest
from page_helpers import calm, opened
from synthetic_rows import swept

from models import registry
from models.bench.plan import plan as plan_module
from models.bench.plan.experiments import experiments
from models.bench.plan.plan import Rates, make_plan
from models.sources import sizes
from pages.compare.benchmark import settings_codec
from pages.compare.benchmark.experiments import CHOSEN
from pages.shared.words import i18n

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

EVERY = experiments()
RATES = Rates(1e11, 1e11)


def written(at):
    """Return all words of the page that stand in HTML, Markdown, captions and text."""
    return " | ".join(str(one.value if hasattr(one, "value") else one.proto.body)
                      for kind in ("html", "markdown", "caption", "text") for one in at.get(kind))  # fmt: skip


def stored(store, name, rows):
    """Store a run of an experiment whose rows are given."""
    asked = {key: value for key, value in EVERY[name].settings.items() if key not in ("architectures", "budget_s")}
    plan = make_plan(sizes.sources("bundled", EVERY[name].settings["architectures"]), rates=RATES, **asked)
    run_id = store.create(cells=plan.to_json(), environment={}, title="")
    for row in rows:
        assert store.append(dataclasses.replace(row, run_id=run_id))
    store.finish(run_id, "done")
    return run_id


def growing():
    """Return rows in which the Transformer's step grows in proportion, and those of the others do not."""
    return [*swept("transformer", step=lambda n: n / 100), *swept("mamba", step=lambda _: 9.0), *swept("rwkv")]


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_choosing_a_question_shows_what_is_expected_and_its_settings_are_taken(shared, lang):
    at = opened(lang)
    assert at.session_state[CHOSEN] is None
    one = EVERY["generation"]
    at.button_group(key=CHOSEN).set_value("generation").run()
    said = written(calm(at))
    assert one.asks[lang] in said
    assert all(expected.words[lang] in said.replace("&#x27;", "'") for expected in one.expectations)
    assert i18n.say(lang, "benchmark.lecture.not_made") in said
    own = {name: at.session_state[f"benchmark.{name}"] for name in settings_codec.NAMES}
    assert own == settings_codec.defaults("quick"), "to read a question changes no settings"
    at.button(key="benchmark.lecture.take").click().run()
    for name, value in one.settings.items():
        chosen = at.session_state[f"benchmark.{name}"]
        assert (tuple(chosen) if isinstance(chosen, list) else chosen) == value, name
    assert not at.button(key="benchmark.lecture.measure").disabled


def test_a_question_replaces_what_was_chosen_before_but_not_size_or_device(shared):
    at = opened(state={"benchmark.size": "130m"}, plan="kernels:reference;view:as_shipped;throughput:True;size:130m")
    at.button_group(key=CHOSEN).set_value("crossing").run()
    at.button(key="benchmark.lecture.take").click().run()
    calm(at)
    state = {name: at.session_state[f"benchmark.{name}"] for name in settings_codec.NAMES}
    assert (state["kernels"], state["view"], state["throughput"]) == ("fast", "architecture", False)
    assert state["size"] == "130m"


def test_other_settings_of_the_plan_are_not_started_as_the_question(shared):
    at = opened()
    at.button_group(key=CHOSEN).set_value("crossing").run()
    at.session_state["benchmark.decode_tokens"] = 40
    calm(at.run())
    keys = [one.key for one in at.button]
    assert "benchmark.lecture.take" in keys
    assert "benchmark.lecture.measure" not in keys
    at.button(key="benchmark.lecture.take").click().run()
    assert at.session_state["benchmark.decode_tokens"] == EVERY["crossing"].settings["decode_tokens"]
    assert "benchmark.lecture.measure" in [one.key for one in calm(at).button]


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_link_to_a_run_shows_its_question_with_what_became_of_it(shared, lang):
    run_id = stored(shared.store, "generation", growing())
    at = opened(lang, run=run_id)
    assert at.session_state[CHOSEN] == "generation"
    said = written(at)
    met, not_met = (i18n.say(lang, f"benchmark.lecture.{name}") for name in ("met", "not_met"))
    assert i18n.say(lang, "benchmark.lecture.counted", all=4, met=4, not_met=0, undecided=0) in said
    assert met in said and not_met not in said
    assert i18n.say(lang, "viz.generation_time.note", prompt="256") in said, "the figure stands below"


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_run_that_refutes_and_one_without_times_say_so(shared, lang):
    flat = [*swept("transformer", step=lambda _: 5.0), *swept("mamba", step=lambda n: n / 50), *swept("rwkv")]
    said = written(opened(lang, run=stored(shared.store, "generation", flat)))
    assert i18n.say(lang, "benchmark.lecture.counted", all=4, met=1, not_met=3, undecided=0) in said
    bare = {"state": "unstable", "prefill_ms_samples": (), "decode_ms_samples": (), "e2e_ms_samples": ()}
    untimed = [dataclasses.replace(row, **bare) for row in flat]
    said = written(opened(lang, run=stored(shared.store, "generation", untimed)))
    assert i18n.say(lang, "benchmark.lecture.counted", all=4, met=0, not_met=0, undecided=4) in said
    assert i18n.say(lang, "benchmark.lecture.why.few_lengths") in said


def test_a_question_stays_chosen_while_another_run_is_looked_at(shared):
    first = stored(shared.store, "generation", growing())
    at = opened(run=first)
    at.button_group(key=CHOSEN).set_value("race").run()
    assert at.session_state[CHOSEN] == "race"
    other = stored(shared.store, "crossing", [*growing(), *swept("jamba")])
    at.query_params["run"] = other
    calm(at.run())
    assert at.session_state[CHOSEN] == "crossing", "a run brings its own question when it comes"
    assert "cs-turns" in written(at)


@pytest.mark.slow
def test_the_race_is_measured_from_click_to_verdict_over_stand_ins(shared, monkeypatch):
    """The stand-ins answer in a blink; what the rows say does not matter here, that they are judged does."""
    made = EVERY["race"]
    stand_ins = dataclasses.replace(made, cells=tuple(dataclasses.replace(c, source="ok") for c in made.cells))
    monkeypatch.setattr("pages.compare.benchmark.experiments.experiments", lambda: {"race": stand_ins})
    monkeypatch.setattr(
        "pages.compare.benchmark.experiments.experiment_of",
        lambda run: stand_ins if stand_ins.holds(run.cells) else None,
    )
    monkeypatch.setattr(plan_module, "_shape", lambda _: plan_module.describe.resolve("mamba-130m").shape)
    at = opened()
    at.button_group(key=CHOSEN).set_value("race").run()
    at.button(key="benchmark.lecture.measure").click().run()
    (run_id,) = shared._jobs
    assert shared.wait(run_id, timeout_s=240)
    found = shared.store.run(run_id)
    assert len(found.current) == 5
    said = written(opened(run=run_id))
    assert "of 4 expectations" in said
    assert i18n.say("en", "benchmark.lecture.not_made") not in said


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_throughput_stands_at_every_batch(shared, lang):
    """At which batch it is five times as much: 2 ms against 6 ms a step, and 1 ms against 6 ms at the larger batch."""
    steps = {("transformer", 1): 6.0, ("transformer", 4): 6.0, ("mamba", 1): 2.0, ("mamba", 4): 1.0}
    rows = [row for (name, batch), step in steps.items()
            for row in swept(name, contexts=(1024,), batch=batch, step=lambda _, step=step: step)]  # fmt: skip
    at = opened(lang, run=stored(shared.store, "throughput", rows))
    said, say = written(calm(at)), i18n.translator(lang)
    for batch, ratio in ((1, 3.0), (4, 6.0)):
        name = say("benchmark.plan.batch", count=batch)
        number = say("benchmark.lecture.by_batch.ratio", **dict.fromkeys(("value", "low", "high"), f"{ratio:g}"))
        assert f"{name}</th><td>{number}</td>" in said, batch
