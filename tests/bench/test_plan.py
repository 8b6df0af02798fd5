"""Plans are checked, ordered fairly and predicted before anything runs."""

import pytest

from models import accounting, describe
from models.bench import plan as planning
from models.bench.plan import LIMITS, PRESETS, Rates, make_plan, sources_of
from models.bench.rows import Measurement
from models.errors import SettingError, SourceError

RATES = Rates(1e10, 1e10)
SOURCES = {"transformer": "gpt2", "mamba": "mamba-130m", "rwkv": "rwkv-4-169m", "jamba": "jamba-v0.1"}


def test_architectures_take_turns_forwards_and_backwards():
    made = make_plan(SOURCES, [64, 16, 32], rates=RATES)
    order = [(cell.context, cell.architecture) for cell in made.cells]
    names = list(SOURCES)
    assert order == [(16, n) for n in names] + [(32, n) for n in reversed(names)] + [(64, n) for n in names]


def test_prediction_counts_the_cache_exactly():
    made = make_plan(SOURCES, [4096], batch=3, dtype="bf16", rates=RATES)
    for cell, prediction in zip(made.cells, made.predictions, strict=True):
        shape = describe.resolve(cell.source).shape
        assert prediction.bytes_cache == accounting.cache_bytes(shape, context=4096, batch=3, dtype="bfloat16")
        assert prediction.bytes_total > prediction.bytes_weights > 0
        assert prediction.seconds > 0


def test_a_cell_that_cannot_fit_is_marked(monkeypatch):
    monkeypatch.setattr(planning.environment, "free_memory", lambda: 4 * 2**30)
    made = make_plan(SOURCES, [16], rates=RATES)
    assert {cell.architecture: p.fits for cell, p in zip(made.cells, made.predictions, strict=True)} == {
        "transformer": True,
        "mamba": True,
        "rwkv": True,
        "jamba": False,
    }
    assert made.seconds < sum(p.seconds for p in made.predictions)


@pytest.mark.parametrize("name", ["batch", "decode_tokens", "rounds"])
def test_values_out_of_range_are_refused(name):
    low, high = LIMITS[name]
    for value in (low - 1, high + 1, -5):
        with pytest.raises(SettingError, match=name):
            make_plan(SOURCES, [16], rates=RATES, **{name: value})


@pytest.mark.parametrize(
    ("contexts", "changes"),
    [([0], {}), ([2**40], {}), ([], {}), (range(1, 99), {}), ([16], {"device": "cuda:9"}), ([16], {"dtype": "int4"})],
)
def test_impossible_plans_are_refused(contexts, changes):
    with pytest.raises(SettingError):
        make_plan(SOURCES, contexts, rates=RATES, **changes)


def test_an_unknown_source_is_refused():
    with pytest.raises(SourceError):
        make_plan({"mamba": "no-such-model"}, [16], rates=RATES)


def test_sources_are_mapped_to_their_architecture():
    assert sources_of(["rwkv-4-169m", "gpt2"]) == {"rwkv": "rwkv-4-169m", "transformer": "gpt2"}
    with pytest.raises(SettingError, match="both transformer"):
        sources_of(["gpt2", "pythia-160m"])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_possible(name):
    preset = PRESETS[name]
    made = make_plan(
        SOURCES, preset["contexts"], decode_tokens=preset["decode_tokens"], rounds=preset["rounds"], rates=RATES
    )
    assert len(made.cells) == 4 * len(preset["contexts"])


def measured(**changes):
    asked = {
        "run_id": "r",
        "cell_id": "c",
        "state": "ok",
        "architecture": "mamba",
        "context": 64,
        "batch": 1,
        "device": "cpu",
    }
    return Measurement(**asked, dtype="float32", decode_tokens=4, seed=0, **changes)


def test_predictions_learn_from_measured_rows():

    here = planning.environment.environment()["host_cpu"]
    slow = measured(source="mamba-130m", tpot_ms_med=1e6, environment={"host_cpu": here}, prefill_ms_samples=(1e9,))
    elsewhere = measured(source="mamba-130m", tpot_ms_med=1.0, environment={"host_cpu": "another"})
    rates = planning.measure_rates([slow, elsewhere])
    assert rates.factors["mamba", "decode"] > 1
    assert ("rwkv", "decode") not in rates.factors
