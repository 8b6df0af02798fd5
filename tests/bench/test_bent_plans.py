"""Measuring a run again obeys every limit of a plan: what a file plans otherwise is refused in a sentence."""

import pytest

from models.__main__ import main
from models.bench.plan.plan import Rates
from models.bench.plan.settings import LIMITS, REMEASURE_S
from models.bench.run import remeasure
from models.bench.store.store import Store, _insert
from models.errors import ContextscopeError, SettingError
from models.machine import facts
from models.records.run import Run
from pages.shared.words import i18n

RATES = Rates(1e11, 1e10)
SOUND = {"architecture": "mamba", "source": "mamba", "context": 64}
BENT = {
    "rounds": {"rounds": 10**9},
    "one round": {"rounds": 1},
    "tokens": {"decode_tokens": 10**9},
    "no tokens": {"decode_tokens": 0},
    "negative tokens": {"decode_tokens": -5},
    "negative context": {"context": -1},
    "no context": {"context": 0},
    "huge context": {"context": 2**40},
    "negative batch": {"batch": -3},
    "huge batch": {"batch": 10**6},
    "negative seed": {"seed": -1},
    "huge seed": {"seed": 2**62},
    "view": {"view": "x-ray"},
    "attention": {"attention": "magic"},
    "kernels": {"kernels": "magic"},
    "experts": {"experts": "magic"},
    "dtype": {"dtype": "int3"},
    "device": {"device": "cuda:99"},
    "no device": {"device": ""},
    "architecture": {"architecture": "perceptron"},
    "size": {"size": "900b"},
    "batch limit": {"batch_limit": "<b>"},
}


def run_of(*cells, imported=True, **changes):
    here = {"environment": facts.environment(), "imported": imported}
    return Run("r", "", 1, cells, rows=(), **(here | changes))


def planned(run):
    return remeasure.plan_remeasure(run, {cell.cell_id for cell in remeasure.cells_of(run)}, rates=RATES)


def told(error):
    for lang in i18n.LANGS:
        key = f"errors.{error.key.removeprefix('errors.')}"
        assert i18n.say(lang, key, **error.values)


@pytest.mark.parametrize("imported", [True, False], ids=["file", "own"])
@pytest.mark.parametrize("bent", BENT)
def test_a_cell_that_no_plan_would_make_is_refused(bent, imported):
    assert planned(run_of(SOUND, imported=imported)).cells
    with pytest.raises(ContextscopeError) as refused:
        planned(run_of(SOUND | BENT[bent], imported=imported))
    told(refused.value)
    with pytest.raises(ContextscopeError):
        planned(run_of(SOUND, SOUND | BENT[bent], imported=imported))


def test_more_cells_than_a_plan_has_are_refused():
    most = LIMITS["cells"][1]
    cells = [SOUND | {"context": 64 + i} for i in range(5000)]
    assert len(planned(run_of(*cells[:most])).cells) == most
    with pytest.raises(SettingError, match="cells is 5000"):
        planned(run_of(*cells))


def test_a_cell_that_a_file_names_often_is_measured_once():
    assert len(planned(run_of(*[SOUND] * 5000)).cells) == 1


def test_threads_of_an_own_run_are_held_to_the_cores():
    with pytest.raises(SettingError, match="threads"):
        planned(run_of(SOUND | {"threads": 10**6}, imported=False))
    assert planned(run_of(SOUND | {"threads": 10**6})).cells[0].threads == facts.usable_cores()


def test_cells_of_two_devices_are_refused(monkeypatch):
    monkeypatch.setattr(facts, "devices", lambda: ("cpu", "cuda:0"))
    with pytest.raises(SettingError, match="two devices"):
        planned(run_of(SOUND, SOUND | {"device": "cuda:0"}))


def test_a_number_that_is_a_yes_is_no_cell():
    assert remeasure.cells_of(run_of(SOUND | {"rounds": True}, SOUND | {"largest": 1})) == ()


def test_what_would_hold_the_device_for_too_long_is_refused(monkeypatch):
    long = SOUND | {"source": "mamba-2.8b", "context": 2**19, "rounds": 50, "decode_tokens": 1024}
    monkeypatch.setattr(facts, "free_memory", lambda: 2**50)
    with pytest.raises(SettingError) as refused:
        planned(run_of(long))
    assert refused.value.key == "errors.again_too_long"
    assert f"{REMEASURE_S:,}" in i18n.say("en", refused.value.key, **refused.value.values)
    told(refused.value)


def test_every_plan_of_measuring_again_has_a_budget():
    assert planned(run_of(SOUND)).budget_s == REMEASURE_S
    assert planned(run_of(SOUND, imported=False)).budget_s == LIMITS["budget_s"][1]


def test_the_command_refuses_a_bent_plan_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path))
    with Store()._database.begin() as db:
        _insert(db, run_of(SOUND | {"rounds": 10**9}))
    assert main(["bench", "--again", "r", "--plan"]) == 2
    assert "rounds is 1000000000" in capsys.readouterr().err
