"""Prepared experiments: the file is whole, runs are known by their settings, and a wrong entry is named."""

import copy
import dataclasses

import pytest
import yaml
from synthetic_rows import timed

from models import describe
from models.bench.judge.expectations import RULES, Evidence
from models.bench.plan import experiments
from models.bench.plan.plan import Rates, make_plan
from models.bench.run import remeasure
from models.bench.store.store import Store
from models.counting import accounting
from models.machine import facts
from models.machine.paths import ASSETS
from models.records.run import Run
from models.sources import sizes
from pages.compare.benchmark import settings_codec

EVERY = experiments.experiments()
RATES = Rates(1e11, 1e11)


def entries():
    return copy.deepcopy(yaml.safe_load(experiments.EXPERIMENTS.read_text(encoding="utf-8")))


def run_of(plan, **changes):
    return Run("r", "", 1, tuple({**cell, **changes} for cell in plan.to_json()), {}, ())


def plan_for(name, **changes):
    asked = dict(EVERY[name].settings) | changes
    names, size = asked.pop("architectures"), asked.pop("size", "bundled")
    return make_plan(sizes.sources(size, names), rates=RATES, size=size, **asked)


def test_every_experiment_has_a_checked_claim_an_expectation_and_settings_that_the_page_offers():
    claims = {claim["id"] for claim in yaml.safe_load((ASSETS / "claims.yaml").read_text(encoding="utf-8"))}
    for one in EVERY.values():
        assert one.expectations, one.id
        assert set(one.claims) <= claims, one.id
        assert one.claims, one.id
        if one.settings:
            assert set(one.settings["contexts"]) <= set(settings_codec.CONTEXTS)
            assert set(one.settings["batches"]) <= set(settings_codec.BATCHES)
            assert set(one.settings) <= set(settings_codec.NAMES)


def test_every_kind_of_rule_is_used():
    used = {type(expected.rule) for one in EVERY.values() for expected in one.expectations}
    assert used == set(RULES.values())


@pytest.mark.parametrize("name", [name for name, one in EVERY.items() if one.settings])
def test_a_run_is_known_by_its_settings_whatever_the_budget_left_out(name):
    whole = run_of(plan_for(name, budget_s=None))
    assert experiments.experiment_of(whole) is EVERY[name]
    short = run_of(plan_for(name, budget_s=20))
    assert 0 < len(short.cells) < len(whole.cells)
    assert experiments.experiment_of(short) is EVERY[name]


def test_what_is_free_does_not_matter_and_what_is_asked_does():
    plan = plan_for("crossing")
    for changes in (
        {"size": "1.4b"},
        {"device": "cuda:0", "dtype": "bfloat16"},
        {"rounds": 9, "seed": 5, "threads": 64},
    ):
        assert experiments.experiment_of(run_of(plan, **changes)) is EVERY["crossing"]
    for changes in ({"decode_tokens": 25}, {"context": 300}, {"batch": 8}, {"view": "as_shipped"},
                    {"kernels": "reference"}, {"architecture": "mamba"}, {"largest": True}):  # fmt: skip
        assert experiments.experiment_of(run_of(plan, **changes)) is None
    assert experiments.experiment_of(Run("r", "", 1, (), {}, ())) is None
    assert experiments.experiment_of(Run("r", "", 1, ({"odd": 1},), {}, ())) is None


@pytest.mark.parametrize("odd", [{"architecture": ["x"]}, {"source": ["x"]}, {"context": "64"}, {"batch": None}])
def test_cells_of_a_file_that_hold_anything_are_those_of_no_experiment(odd):
    for one in EVERY.values():
        plan = one.plan(rates=Rates(1e11, 1e10)) if one.cells else plan_for(one.id)
        cells = plan.to_json()
        assert one.holds(cells) and not one.holds([*cells[1:], cells[0] | odd]), one.id


def test_the_recorded_run_answers_an_experiment():
    (recorded,) = Store().recorded_runs()
    assert experiments.experiment_of(recorded) is EVERY["crossing"]


# --- the race ----------------------------------------------------------------------------------------------------
def test_the_race_has_the_recipe_its_controls_and_the_fair_way_in_one_plan():
    race = EVERY["race"]
    plan = race.plan(rates=RATES)
    assert len({cell.cell_id for cell in plan.cells}) == len(plan.cells) == 5
    assert {cell.threads for cell in plan.cells} == {facts.usable_cores()}
    assert experiments.experiment_of(run_of(plan)) is race
    assert experiments.experiment_of(run_of(plan, context=51)) is None
    fair = [group for group in plan.groups() if len({plan.cells[i].architecture for i in group}) == 2]
    assert [sorted(plan.cells[i].source for i in group) for group in fair] == [
        ["gpt2", "mamba-130m"], ["ladder:block/mamba", "ladder:block/transformer"]
    ], "what is compared fairly is interleaved"  # fmt: skip


def race_rows(*, gpt2=20.0, mamba=25.0, mamba_block=4.0, gpt2_block=2.0, one_call=15.0):
    """Return the five rows of the race; a synthetic row decodes two steps, which stand for the fifty."""
    return [
        timed("transformer", 8, prefill=5.0, step=25 * gpt2, size="custom", source="gpt2"),
        timed("mamba", 8, prefill=5.0, step=25 * mamba, size="custom", source="mamba-130m"),
        timed("transformer", 50, prefill=one_call, step=gpt2, size="custom", source="gpt2"),
        timed("transformer", 50, prefill=gpt2_block, step=1.0, size="block"),
        timed("mamba", 50, prefill=mamba_block, step=1.0, size="block"),
    ]


@pytest.mark.parametrize(
    ("changes", "refuted"),
    [
        ({}, []),
        ({"mamba_block": 900.0}, [0]),  # a block that is slow after all; the control stays the faster one
        ({"mamba_block": 1.0}, [1]),
        ({"one_call": 500.0}, [2]),
        ({"mamba": 1.0}, [3]),
        ({"mamba": 100.0}, [3]),
    ],
)
def test_the_race_is_judged_cell_by_cell(changes, refuted):
    """1,005 ms of writing against 4 ms of a block; the control is faster than that; the fair way is 0.8."""
    found = [one.rule.judge(Evidence(race_rows(**changes), {})) for one in EVERY["race"].expectations]
    assert [place for place, one in enumerate(found) if one.outcome == "not_met"] == refuted
    assert {one.outcome for one in found} <= {"met", "not_met"}
    if not changes:
        values = [one.values["found"].value for one in found]
        assert values == pytest.approx([1005 / 4, 4 / 2, 1005 / 15, 1005 / 1255])


def test_a_block_is_one_layer_of_the_notes():
    """The notes' Mamba block (768, state 64, conv 4, expand 2) has 3,992,832 numbers without its norm."""
    shape = describe.resolve("ladder:block/mamba").shape
    terms = accounting.parameter_terms(shape)
    assert len(shape.layers) == 1
    assert terms["mamba"] + shape.d_model == 3_992_064 + 768 == 3_992_832
    gpt2 = describe.resolve("ladder:block/transformer").shape
    whole = accounting.parameter_terms(describe.resolve("gpt2").shape)
    assert {name: 12 * accounting.parameter_terms(gpt2)[name] for name in ("attention", "ffn")} == {
        name: whole[name] for name in ("attention", "ffn")
    }


@pytest.mark.parametrize("architecture", list(sizes.blocks()))
def test_torch_builds_a_block_with_as_many_parameters(architecture):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    source = describe.resolve(sizes.blocks()[architecture].source)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**source.config))
    assert accounting.params_total(source.shape) == sum(p.numel() for p in model.parameters())


def test_the_cells_of_the_race_can_be_measured_again_but_by_no_single_command():
    plan = EVERY["race"].plan(rates=RATES)
    run = dataclasses.replace(run_of(plan), environment=facts.environment())
    again = remeasure.plan_remeasure(run, [cell.cell_id for cell in plan.cells], rates=RATES)
    assert again.cells == plan.cells
    assert remeasure.command(run) is None
    assert remeasure.command(run_of(plan_for("crossing"))) is not None


def test_an_experiment_of_settings_has_no_cells_of_its_own():
    with pytest.raises(ValueError, match="settings, not cells"):
        EVERY["crossing"].plan(rates=RATES)


# --- a wrong file ------------------------------------------------------------------------------------------------
def spoiled(change):
    found = entries()
    change(found[0])
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.pop("title"), "title is missing"),
        (lambda e: e["title"].pop("ko"), "title needs words in en and ko"),
        (lambda e: e.update(asks={"en": "?", "ko": "  "}), "asks needs words"),
        (lambda e: e.update(colour="red"), "an experiment has no 'colour'"),
        (lambda e: e.update(cells=[]), "either settings or cells"),
        (lambda e: e.pop("settings"), "either settings or cells"),
        (lambda e: e["settings"].pop("contexts"), "setting contexts is missing"),
        (lambda e: e["settings"].update(rounds=1), "rounds is 1; it must be a whole number from 2 to 50"),
        (lambda e: e["settings"].update(rounds=True), "rounds is True; it must be a whole number"),
        (lambda e: e["settings"].update(contexts=["long"]), "context is 'long'; it must be a whole number"),
        (lambda e: e["settings"].update(view="mine"), "view is 'mine': choose one of architecture, as_shipped"),
        (lambda e: e["settings"].update(architectures=["gru"]), "architectures is 'gru'"),
        (lambda e: e["settings"].update(threads=4), "settings has no 'threads'"),
        (lambda e: e["expects"][0].update(rule="hope"), "rule is 'hope': choose one of exponent_between"),
        (lambda e: e["expects"][0].update(hope=1), "rule exponent_between has no 'hope'"),
        (lambda e: e["expects"][0].pop("low"), "low"),
        (lambda e: e["expects"][0].update(low="much"), "experiment generation"),
        (lambda e: e["expects"][0].update(low=3), "low is 3 and high is 2.05"),
        (lambda e: e["expects"][0].update(architecture="gru"), "architecture is 'gru', which is no architecture"),
        (lambda e: e["expects"][0].update(quantity="joy"), "quantity is 'joy'"),
        (lambda e: e["expects"][0].pop("en"), "an expectation needs words"),
    ],
)
def test_a_wrong_entry_is_named_with_what_is_wrong(change, said):
    with pytest.raises(ValueError, match="experiment generation: ") as caught:
        experiments.parse(spoiled(change))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cell: cell.update(colour="red"), "a cell has no 'colour'"),
        (lambda cell: cell.update(context="long"), "context of a cell is 'long': it is no int"),
        (lambda cell: cell.pop("source"), "source"),
    ],
)
def test_a_wrong_cell_is_named(change, said):
    found = entries()
    change(found[-1]["cells"][0])
    with pytest.raises(ValueError, match=f"experiment race: .*{said}"):
        experiments.parse(found)


def test_two_experiments_of_one_id_and_one_without_are_named():
    with pytest.raises(ValueError, match="experiment generation: there are two"):
        experiments.parse([entries()[0], entries()[0]])
    with pytest.raises(ValueError, match="experiment number 1"):
        experiments.parse([{}])
