"""Plans are checked, ordered fairly, kept within a time, and predicted before anything runs."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import describe
from models.bench.plan import budget as budget_module
from models.bench.plan import learning, prediction
from models.bench.plan import plan as plan_module
from models.bench.plan.plan import RUN_S, Cell, Plan, Prediction, Rates, make_plan, sources_of
from models.bench.plan.settings import EXPERTS, LIMITS, PRESETS
from models.counting import accounting
from models.errors import SettingError, SourceError
from models.machine import facts
from models.records.measurement import Measurement, from_row

RATES = Rates(1e10, 1e10)
SOURCES = {"transformer": "gpt2", "mamba": "mamba-130m", "rwkv": "rwkv-4-169m", "jamba": "jamba-v0.1"}
SMALL = {"transformer": "gpt2", "mamba": "mamba-130m"}
BUNDLED = {name: name for name in SOURCES}
RECORDED = Path(__file__).resolve().parents[2] / "assets" / "runs" / "quick-cpu.jsonl"
GIB = 2**30


@pytest.fixture
def gpu(monkeypatch):
    """A machine with one GPU of which 70 GiB are free."""
    monkeypatch.setattr(facts, "gpus", lambda: ("Some GPU",))
    monkeypatch.setattr(facts, "free_gpu_memory", lambda device: 70 * GIB)
    return "cuda:0"


@pytest.fixture(autouse=True)
def _memory(monkeypatch):
    monkeypatch.setattr(facts, "free_memory", lambda: 16 * GIB)


def test_architectures_take_turns_forwards_and_backwards():
    made = make_plan(SOURCES, [64, 16, 32], rates=RATES)
    order = [(cell.context, cell.architecture) for cell in made.cells]
    names = list(SOURCES)
    assert order == [(16, n) for n in names] + [(32, n) for n in reversed(names)] + [(64, n) for n in names]


def test_prediction_counts_the_cache_exactly():
    made = make_plan(SOURCES, [4096], batch=3, dtype="bf16", rates=RATES)
    for cell, expected in zip(made.cells, made.predictions, strict=True):
        shape = describe.resolve(cell.source).shape
        assert expected.bytes_cache == accounting.cache_bytes(shape, context=4096, batch=3, dtype="bfloat16")
        assert expected.bytes_total > expected.bytes_weights > 0
        assert expected.seconds > 0


def test_every_setting_reaches_the_cells_and_their_ids_differ():
    made = make_plan(
        SMALL, [16, 32], batches=(1, 8), rates=RATES, view="as_shipped", size="130m", attention="math",
        kernels="reference", seed=7, rounds=4, decode_tokens=9, threads=2,
    )  # fmt: skip
    assert {(cell.batch, cell.context) for cell in made.cells} == {(1, 16), (1, 32), (8, 16), (8, 32)}
    assert len({cell.cell_id for cell in made.cells}) == len(made.cells) == 8
    cell = made.cells[0]
    assert (cell.view, cell.size, cell.attention, cell.kernels) == ("as_shipped", "130m", "math", "reference")
    assert (cell.seed, cell.rounds, cell.decode_tokens, cell.threads) == (7, 4, 9, 2)
    assert made.to_json()[0] == dataclasses.asdict(cell)


def test_a_model_without_experts_is_measured_in_the_same_way_whatever_they_do():
    made = make_plan(SOURCES, [16], rates=RATES, experts="loop")
    assert {cell.architecture: cell.experts for cell in made.cells} == {
        "transformer": "auto", "mamba": "auto", "rwkv": "auto", "jamba": "loop",
    }  # fmt: skip
    assert [cell.cell_id for cell in made.cells if "loop" in cell.cell_id] == [made.cells[-1].cell_id]


def test_a_cell_that_cannot_fit_is_marked(monkeypatch):
    monkeypatch.setattr(facts, "free_memory", lambda: 4 * GIB)
    made = make_plan(SOURCES, [16], rates=RATES)
    assert {cell.architecture: p.fits for cell, p in zip(made.cells, made.predictions, strict=True)} == {
        "transformer": True,
        "mamba": True,
        "rwkv": True,
        "jamba": False,
    }
    assert made.seconds < sum(p.seconds for p in made.predictions)


@pytest.mark.parametrize("name", ["batch", "decode_tokens", "rounds", "budget_s", "seed"])
def test_values_out_of_range_are_refused(name):
    low, high = LIMITS[name]
    for value in (low - 1, high + 1, -5):
        with pytest.raises(SettingError, match=name):
            make_plan(SOURCES, [16], rates=RATES, **{name: value})


@pytest.mark.parametrize(
    ("contexts", "changes"),
    [
        ([0], {}),
        ([2**40], {}),
        ([], {}),
        (range(1, 99), {}),
        ([16], {"device": "cuda:9"}),
        ([16], {"dtype": "int4"}),
        ([16], {"batches": (1, 0)}),
        ([16], {"view": "sideways"}),
        ([16], {"attention": "divided"}),
        ([16], {"kernels": "magic"}),
        ([16], {"experts": "reference"}),
        ([], {"places": ((0, 16),)}),
        ([], {"places": ((1, 2**40),)}),
    ],
)
def test_impossible_plans_are_refused(contexts, changes):
    with pytest.raises(SettingError):
        make_plan(SOURCES, contexts, rates=RATES, **changes)


def test_an_unknown_source_is_refused():
    with pytest.raises(SourceError):
        make_plan({"mamba": "no-such-model"}, [16], rates=RATES)


def test_sources_are_mapped_to_their_architecture():
    assert sources_of(["rwkv-4-169m", "gpt2"]) == {"rwkv": "rwkv-4-169m", "transformer": "gpt2"}
    assert sources_of(["ladder:7b/jamba"]) == {"jamba": "ladder:7b/jamba"}
    with pytest.raises(SettingError, match="both transformer"):
        sources_of(["gpt2", "pythia-160m"])


# --- a time to keep


def budgeted(budget_s, *, flops=2e10, contexts=(256, 512, 1024, 2048, 4096, 8192), **changes):
    changes = {"rounds": 7, "decode_tokens": 24, "batches": (1, 8), **changes}
    return make_plan(SMALL, contexts, budget_s=budget_s, rates=Rates(flops, 1e10), **changes)


def test_without_a_budget_everything_is_measured():
    made = budgeted(None)
    assert len(made.cells) == 2 * 6 * 2
    assert {cell.rounds for cell in made.cells} == {7}
    assert made.dropped == ()
    assert [note.key for note in made.notes] == ["plan.crossing"]


@pytest.mark.parametrize("rounds", range(1, 9))
@pytest.mark.parametrize("contexts", [(64,), (64, 1024), (64, 128, 256, 1024)])
def test_the_plans_of_a_row_grow_by_one_step_and_end_with_all_that_was_asked_for(rounds, contexts):
    """Each costs more than the one before, by a place or by a round, and the last has every place and every round."""
    row = list(budget_module._row(contexts, (1, 8), rounds))
    assert row[-1] == budget_module.Choice(tuple(row[-1].places), rounds)
    assert set(row[-1].places) == {(batch, context) for batch in (1, 8) for context in contexts}
    assert (row[0].places, row[0].rounds) == (((1, contexts[0]),), min(3, rounds))
    for one, other in itertools.pairwise(row):
        grown = (len(other.places) - len(one.places), other.rounds - one.rounds)
        assert grown in ((1, 0), (0, 1)) and other.places[: len(one.places)] == one.places
    alone = list(budget_module._row(contexts[:1], (1,), rounds))
    assert [one.rounds for one in alone] == list(range(min(3, rounds), rounds + 1)), "every number of rounds, one place"


def test_a_cell_may_fill_nine_tenths_of_the_free_memory():
    for free in (1000, 7 * GIB):
        assert prediction.has_room(free * 9 // 10 - 1, free)
        assert not prediction.has_room(free * 9 // 10 + 1, free)
        assert not prediction.has_room(free, free)
    assert prediction.has_room(10**18, None), "where it is unknown"


def test_a_budget_keeps_both_ends_before_it_fills_in_between():
    for budget in (30, 60, 120, 240, 480, 1000, 3000):
        made = budgeted(budget)
        measured = sorted({cell.context for cell in made.cells if cell.batch == 1})
        if measured[-1] < 8192:
            wide = [256, 2048, 8192]
            assert measured == wide[: len(measured)]
        assert measured[0] == 256


def test_what_is_left_out_is_named_with_its_reason():
    made = budgeted(200)
    everything = {(cell.context, cell.batch) for cell in (*made.cells, *made.dropped)}
    assert len(everything) == 12
    assert made.dropped
    assert not {cell.cell_id for cell in made.cells} & {cell.cell_id for cell in made.dropped}
    said = {note.key: note for note in made.notes}
    assert said["plan.fewer_rounds"].values["wanted"] == 7
    batches = {note.values["batch"] for note in made.notes if note.key == "plan.dropped"}
    assert batches == {cell.batch for cell in made.dropped}


def test_even_the_least_plan_is_made_and_says_that_it_takes_longer():
    made = budgeted(1, flops=1e7)
    assert {cell.context for cell in made.cells} == {256}
    assert {cell.rounds for cell in made.cells} == {3}
    assert "plan.over_budget" in {note.key for note in made.notes}


wanted = st.lists(st.integers(6, 14).map(lambda n: 2**n), min_size=1, max_size=6, unique=True)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    contexts=wanted,
    batches=st.lists(st.sampled_from([1, 2, 8, 32]), min_size=1, max_size=3, unique=True),
    rounds=st.integers(2, 12),
    budgets=st.tuples(st.integers(1, 3000), st.integers(1, 3000)).map(sorted),
    speed=st.floats(1e9, 1e13),
    throughput=st.booleans(),
)
def test_a_larger_budget_never_measures_less(contexts, batches, rounds, budgets, speed, throughput):
    def of(budget):
        return budgeted(
            budget, contexts=contexts, batches=tuple(batches), rounds=rounds, flops=speed, throughput=throughput
        )

    small, large = map(of, budgets)
    assert of(budgets[0]) == small
    for made, budget in zip((small, large), budgets, strict=True):
        sweep = [(cell, p) for cell, p in zip(made.cells, made.predictions, strict=True) if not cell.largest]
        assert min(rounds, 3) <= sweep[0][0].rounds <= rounds
        least = {(cell.context, cell.batch) for cell, _ in sweep} == {(min(contexts), batches[0])}
        assert (
            made.seconds <= max(budget - RUN_S["cpu"], 0) or least or "plan.over_budget" in {n.key for n in made.notes}
        )
        assert {(c.context, c.batch) for c in (*(c for c, _ in sweep), *made.dropped)} == {
            (context, batch) for context in contexts for batch in batches
        }
    places = [
        {(c.architecture, c.context, c.batch): c.rounds for c in m.cells if not c.largest} for m in (small, large)
    ]
    assert places[0].keys() <= places[1].keys()
    assert all(count <= places[1][place] for place, count in places[0].items())
    for one, other in zip(*([c for c in m.cells if c.largest] for m in (small, large)), strict=True):
        assert one.batch <= other.batch


def quiet_rows():
    """The recorded run, as if measured on this processor."""
    here = facts.environment()["host_cpu"]
    lines = map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines())
    return [from_row(line | {"env_host_cpu": here}) for line in lines if line["kind"] == "row"]


@pytest.mark.parametrize("learnt", [True, False])
def test_the_quick_plan_shows_growth_on_two_cores_in_ninety_seconds(learnt):
    bare = Rates(1e11, 1.5e10)  # two cores of a server, undisturbed
    known = learning.learn(quiet_rows(), bare) if learnt else bare
    preset = dict(PRESETS["quick"])
    made = make_plan(BUNDLED, preset.pop("contexts"), threads=2, rates=known, **preset)
    assert made.seconds + RUN_S["cpu"] <= preset["budget_s"] == 90
    contexts = sorted({cell.context for cell in made.cells})
    assert (contexts[0], contexts[-1]) == (256, 8192)
    assert len(contexts) >= 3, "a growth exponent needs three"
    assert min(cell.rounds for cell in made.cells) >= 3
    caches = [
        p.bytes_cache for c, p in zip(made.cells, made.predictions, strict=True) if c.architecture == "transformer"
    ]
    assert caches[-1] == 32 * caches[0]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_possible(name, gpu):
    preset = dict(PRESETS[name])
    made = make_plan(BUNDLED, preset.pop("contexts"), rates=RATES, **preset)
    assert made.cells
    assert made.cells[0].device == preset.get("device", "cpu")


# --- the largest batch


def largest(made):
    return {cell.architecture: cell for cell in made.cells if cell.largest}


def test_throughput_adds_one_cell_an_architecture_at_one_context():
    made = budgeted(600, throughput=True)
    found = largest(made)
    assert set(found) == set(SMALL)
    assert {cell.context for cell in found.values()} == {1024}
    assert all(cell.batch & (cell.batch - 1) == 0 for cell in found.values())
    assert all(cell.cell_id.endswith("-largest") for cell in found.values())
    assert not any(cell.batch_limit for cell in made.cells if not cell.largest)


@pytest.mark.parametrize(
    ("memory", "budget", "flops", "limit"),
    [(3, None, 1e15, "memory"), (10**6, None, 1e15, "cap"), (10**6, 60, 1e12, "time")],
)
def test_the_largest_batch_says_what_limits_it(monkeypatch, memory, budget, flops, limit):
    monkeypatch.setattr(facts, "free_memory", lambda: memory * GIB)
    made = make_plan(SMALL, [64, 1024], throughput=True, budget_s=budget, rates=Rates(flops, 1e12))
    cells = largest(made)
    assert {cell.batch_limit for cell in cells.values()} == {limit}
    for cell, expected in zip(made.cells, made.predictions, strict=True):
        if cell.largest and limit == "memory":
            shape = describe.resolve(cell.source).shape
            twice = prediction.predict(dataclasses.replace(cell, batch=2 * cell.batch), shape, rates=RATES)
            assert expected.bytes_total <= 0.8 * memory * GIB < twice.bytes_total
        if limit == "cap":
            assert cells[cell.architecture].batch == LIMITS["batch"][1]
        if cell.largest and limit == "time":
            share_s = plan_module.THROUGHPUT_SHARE * (budget - plan_module.RUN_S["cpu"]) / len(SMALL)
            twice = prediction.predict(
                dataclasses.replace(cell, batch=2 * cell.batch), describe.resolve(cell.source).shape,
                rates=Rates(flops, 1e12),
            )  # fmt: skip
            assert cell.batch == 1 or expected.seconds <= share_s
            assert twice.seconds > share_s
            assert max(cell.batch for cell in cells.values()) > 1


# --- groups


def test_groups_hold_the_same_context_batch_and_size():
    made = make_plan(BUNDLED, [64, 256], batches=(1, 4), rates=RATES, throughput=True)
    groups = made.groups()
    assert sorted(i for group in groups for i in group) == list(range(len(made.cells)))
    for group in groups:
        assert len({(made.cells[i].context, made.cells[i].batch, made.cells[i].size) for i in group}) == 1
    assert sum(len(group) == 4 for group in groups) >= 4


def test_groups_that_do_not_fit_together_are_measured_one_by_one(monkeypatch):
    names = {"transformer": "gpt2", "mamba": "mamba-130m", "rwkv": "rwkv-4-169m"}
    monkeypatch.setattr(facts, "free_memory", lambda: int(1.5 * GIB))
    apart = make_plan(names, [64], rates=RATES)
    assert all(p.fits for p in apart.predictions)
    assert apart.groups() == [[0], [1], [2]]
    monkeypatch.setattr(facts, "free_memory", lambda: 8 * GIB)
    assert make_plan(names, [64], rates=RATES).groups() == [[0, 1, 2]]


def test_a_cell_that_does_not_fit_stands_alone():
    made = make_plan(SOURCES, [64], rates=RATES)
    assert made.groups() == [[0, 1, 2], [3]]


def test_a_plan_of_bare_cells_has_groups():
    fits = Prediction(1, 1, 1, 1, 1.0, 1.0, 1.0, fits=True)
    cells = tuple(Cell(name, name, 64) for name in SOURCES)
    assert Plan(cells, (fits,) * 4).groups() == [[0, 1, 2, 3]]


# --- predictions


def test_predicted_time_holds_every_phase():
    cell, shape = Cell("mamba", "mamba-130m", 1024), describe.resolve("mamba-130m").shape

    def seconds(**changes):
        return prediction.predict(dataclasses.replace(cell, **changes), shape, rates=RATES)

    base = seconds(rounds=5, decode_tokens=100)
    longer = seconds(rounds=6, decode_tokens=100)
    each = (base.prefill_ms + 100 * base.decode_ms) / 1e3
    assert each < longer.seconds - base.seconds < 1.5 * each  # and the sentinel
    outside = base.seconds - 5 * (longer.seconds - base.seconds)
    assert outside > base.prefill_ms / 1e3 + 4 * base.decode_ms / 1e3  # the first pass, the parity gate, loading
    assert seconds(rounds=5, decode_tokens=100, batch=8).seconds > base.seconds


@pytest.mark.parametrize("change", [{"kernels": "reference"}, {"view": "as_shipped"}])
def test_loops_over_tokens_are_predicted_slower(change):
    for name in ("mamba-130m", "rwkv-4-169m"):
        cell, shape = Cell("x", name, 1024), describe.resolve(name).shape
        slow = prediction.predict(dataclasses.replace(cell, **change), shape, rates=RATES)
        assert slow.prefill_ms > prediction.predict(cell, shape, rates=RATES).prefill_ms + 100


def test_copies_of_the_weights_of_experts_are_predicted():
    """One copy of two experts a token, which was measured to take 2,066 MiB for 2,048 tokens of the bundled Jamba."""
    shape = describe.resolve("jamba").shape
    cells = {name: Cell("jamba", "jamba", 2048, experts=name) for name in EXPERTS}
    room = {name: prediction.workspace_bytes(cell, shape) for name, cell in cells.items()}
    assert room["batched"] == pytest.approx(2066 * 2**20, rel=0.15)
    assert max(size for name, size in room.items() if name != "batched") < room["batched"] / 10
    held = {name: max(prediction._activations(layer, shape, cell)[1] for layer in shape.layers if layer.ffn == "moe")
            for name, cell in cells.items()}  # fmt: skip
    assert held["auto"] == held["sorted"] == held["loop"] < held["grouped"] < held["batched"]
    shipped = dataclasses.replace(cells["auto"], view="as_shipped")
    moe = next(layer for layer in shape.layers if layer.ffn == "moe")
    assert prediction._activations(moe, shape, shipped)[1] == held["grouped"], "as transformers does untold"


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_plan_says_from_where_on_a_cache_outweighs_the_weights(tmp_path, dtype):
    sources = SMALL | {"transformer": "llama2-7b", "jamba": "jamba-v0.1"}
    made = make_plan(sources, [16], rates=RATES, dtype=dtype)
    said = {note.values["architecture"]: note.values["tokens"] for note in made.notes if note.key == "plan.crossing"}
    assert set(said) == {"transformer", "jamba"}, "a state of fixed size never does"
    for name, tokens in said.items():
        shape, count = describe.resolve(sources[name]).shape, int(tokens.replace(",", ""))
        weights = accounting.weight_bytes(shape, dtype=dtype)
        kept = [accounting.kv_bytes(shape, context=n, batch=1, dtype=dtype) for n in (count - 1, count)]
        assert kept[0] < weights <= kept[1]
    assert int(said["transformer"].replace(",", "")) == pytest.approx(25_000, rel=0.05)
    sizes = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 128,
    }
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mistral", "vocab_size": 256, **sizes}))
    windowed = make_plan({"transformer": str(tmp_path)}, [16], rates=RATES)
    assert not [note for note in windowed.notes if note.key == "plan.crossing"]


def test_more_experts_are_read_by_a_batch():
    shape = describe.resolve("jamba-v0.1").shape
    assert prediction.weights_read(shape, 1) == accounting.params_active(shape)
    read = [prediction.weights_read(shape, batch) for batch in (1, 2, 8, 32, 256)]
    assert read == sorted(set(read))
    assert read[3] < read[4] <= accounting.params_total(shape)
    expert = accounting.expert_parameters(shape) * shape.count("moe")
    assert (read[2] - read[0]) / expert + 2 == pytest.approx(10.5, abs=0.05)


def test_the_workspace_is_near_what_was_measured():
    """Compare with every recorded peak; an estimate, so within a factor of 1.5 each and of 1.15 in the middle."""
    ratios = []
    for row in quiet_rows():
        shape = describe.resolve(row.source).shape
        assert accounting.params_total(shape) == row.params_total
        held = row.peak_bytes - row.cache_bytes - row.bytes_logits
        ratios.append(prediction.workspace_bytes(learning.cell_of(row), shape) / held)
    assert len(ratios) >= 12
    assert min(ratios) > 1 / 1.5
    assert max(ratios) < 1.5
    assert 1 / 1.15 < sorted(ratios)[len(ratios) // 2] < 1.15


def test_a_table_of_scores_is_counted_for_plain_attention():
    shape = describe.resolve("gpt2").shape
    cells = [Cell("transformer", "gpt2", context, attention="math") for context in (1024, 2048)]
    small, large = (prediction.workspace_bytes(cell, shape) for cell in cells)
    assert large > 3 * small


# --- what is learnt


def measured(**changes):
    asked = {
        "run_id": "r",
        "cell_id": "c",
        "state": "ok",
        "architecture": "mamba",
        "source": "mamba-130m",
        "context": 64,
        "batch": 1,
        "device": "cpu",
        "dtype": "float32",
        "decode_tokens": 4,
        "seed": 0,
        "tpot_ms_med": 1e6,
        "prefill_ms_samples": (1e9,),
        "environment": {"host_cpu": facts.environment()["host_cpu"]},
    }
    return Measurement(**(asked | changes))


def test_predictions_learn_from_measured_rows():
    elsewhere = measured(tpot_ms_med=1.0, environment={"host_cpu": "another"})
    rates = plan_module.measure_rates([measured(), elsewhere])
    assert rates.factors["mamba", "decode"] > 1
    assert ("rwkv", "decode") not in rates.factors


@pytest.mark.parametrize(
    "change", [{"view": "as_shipped"}, {"kernels": "reference"}, {"attention": "math"}, {"dtype": "bfloat16"}]
)
def test_unusual_rows_teach_only_cells_like_them(change):
    rates = learning.learn([measured(**change)], RATES)
    assert rates.factors == {}
    usual = make_plan({"mamba": "mamba-130m"}, [64], rates=rates).predictions[0]
    assert usual == make_plan({"mamba": "mamba-130m"}, [64], rates=RATES).predictions[0]
    like = make_plan({"mamba": "mamba-130m"}, [64], rates=rates, **change).predictions[0]
    assert like.decode_ms == pytest.approx(1e6)


def test_the_nearest_measured_cell_of_a_source_is_believed_first():
    rows = [measured(tpot_ms_med=10.0), measured(context=4096, tpot_ms_med=500.0)]
    rates = learning.learn(rows, RATES)
    made = make_plan({"mamba": "mamba-130m"}, [64, 4096], rates=rates)
    assert [p.decode_ms for p in made.predictions] == [pytest.approx(10.0), pytest.approx(500.0)]


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"load_avg": 99.0}, {"state": "oom"}])
def test_rows_of_a_busy_hour_teach_nothing(change):
    assert plan_module.measure_rates([measured(**change)]).points == {}
    assert plan_module.measure_rates([measured(load_avg=1.0)]).points


def test_a_row_of_another_model_under_the_same_name_teaches_nothing():
    assert learning.learn([measured(params_total=7)], RATES).points == {}


def on_gpu(**changes):
    where = {"host_cpu": facts.environment()["host_cpu"], "device_name": "Some GPU"}
    return measured(**({"device": "cuda:0", "dtype": "bfloat16", "environment": where} | changes))


def test_a_gpu_is_not_judged_by_the_cpu(gpu):
    for flops in (1e9, 1e15):
        made = make_plan(SMALL, [1024], device=gpu, dtype="bf16", rates=Rates(flops, flops))
        assert not made.known
        assert not any(p.known for p in made.predictions)
        assert "plan.unknown_device" in {note.key for note in made.notes}
        if flops == 1e9:
            first = made.predictions
    assert made.predictions == first
    assert make_plan(SMALL, [1024], rates=RATES).known


@pytest.mark.slow
def test_a_measured_gpu_is_known_by_its_own_ceilings_and_rows(gpu):
    rows = [on_gpu(tpot_ms_med=3.0, prefill_ms_samples=(7.0,), peak_flops_per_s=5e14, bandwidth_bytes_per_s=3e12)]
    rates = plan_module.measure_rates(rows)
    assert rates.of(gpu).flops_per_s == 5e14
    assert rates.factors == {}
    made = make_plan({"mamba": "mamba-130m"}, [64], device=gpu, dtype="bf16", rates=rates)
    assert made.known
    assert made.predictions[0].decode_ms == pytest.approx(3.0)
    assert made.predictions[0].prefill_ms == pytest.approx(7.0)
    other = plan_module.measure_rates([on_gpu(environment={"host_cpu": "x", "device_name": "Some GPU"})])
    assert not other.of(gpu).known


def test_free_memory_of_a_gpu_is_what_the_plan_fills(gpu, monkeypatch):
    made = make_plan({"jamba": "jamba-v0.1"}, [64], device=gpu, dtype="bf16", rates=RATES)
    assert not made.predictions[0].fits
    monkeypatch.setattr(facts, "free_gpu_memory", lambda device: 140 * GIB)
    assert make_plan({"jamba": "jamba-v0.1"}, [64], device=gpu, dtype="bf16", rates=RATES).predictions[0].fits


def test_free_gpu_memory_without_a_gpu_is_unknown(monkeypatch):
    monkeypatch.undo()
    if facts.gpus():
        assert facts.free_gpu_memory("cuda:0") > 0
    else:
        assert facts.free_gpu_memory("cuda:0") is None


def test_more_tokens_than_learned_positions_are_told_before_anything_starts():
    made = make_plan({"transformer": "gpt2", "mamba": "mamba-130m"}, [512, 1020], decode_tokens=8, rates=RATES)
    told = {(cell.architecture, cell.context): p for cell, p in zip(made.cells, made.predictions, strict=True)}
    assert [p.positions_needed for p in told.values() if p.fits] == [0, 0, 0]
    too_long = told["transformer", 1020]
    assert (too_long.fits, too_long.positions_needed, too_long.positions) == (False, 1052, 1024)


def test_captured_decoding_needs_a_second_place_for_keys_and_values(gpu):
    made = make_plan({"transformer": "gpt2", "mamba": "mamba-130m"}, [512], device=gpu, dtype="bf16", rates=RATES)
    attends, recurrent = made.predictions
    assert attends.bytes_static == pytest.approx(attends.bytes_cache, rel=0.1)
    assert attends.bytes_held == attends.bytes_total + attends.bytes_static
    assert recurrent.bytes_static == 0
    shipped = make_plan({"transformer": "gpt2"}, [512], device=gpu, dtype="bf16", view="as_shipped", rates=RATES)
    assert shipped.predictions[0].bytes_static == 0


def test_the_steps_before_the_rounds_are_those_that_positions_are_kept_for():
    from models.bench.measure import cell_run, profile

    assert cell_run.WATCHED_STEPS + cell_run.WARMUP_STEPS[1] + 1 + profile.STEPS == prediction.STEPS_BEFORE
