"""All four are of one size, a smoke run lowers every loss, runs are recorded once, saved models answer as recorded."""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from models.__main__ import main
from models.cli import recall
from models.counting import accounting
from models.errors import SourceError
from models.recall import evaluation, micro, study
from models.recall.curriculum import TASKS, task
from models.recall.tasks import NOTHING, Mqar, values_of
from models.recall.training import Budget, train, training_batches

SMOKE = Budget(steps=16, tokens=512, warmup=2)
SAVED = [(t, a) for t in TASKS for a in micro.trained(t)]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_all_four_are_of_one_size(name: str) -> None:
    models = {a: micro.build(a, task(name).vocab, seed=0) for a in micro.BUILDERS}
    sizes = {a: study.sizes(model) for a, model in models.items()}
    for a, model in models.items():
        assert sizes[a]["parameters"] == sum(p.numel() for p in model.parameters())
        assert sizes[a]["bytes_float16"] < 1_000_000
    active = [size["parameters_active"] for size in sizes.values()]
    assert max(active) / min(active) < 1.03
    dense = [a for a, model in models.items() if not accounting.shape_of(model.config).count("moe")]
    assert len(dense) == len(models) - 1
    assert all(sizes[a]["parameters"] == sizes[a]["parameters_active"] for a in dense)


def test_weights_and_lessons_depend_on_the_seed_only() -> None:
    first, again, other = (micro.build("mamba", 20, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)
    a, b = (list(training_batches(task("mqar"), SMOKE, seed=5)) for _ in range(2))
    assert len(a) == SMOKE.steps
    assert all(torch.equal(x.ids, y.ids) for x, y in zip(a, b, strict=True))
    assert all(x.ids.numel() <= max(SMOKE.tokens, x.ids.shape[1]) for x in a)


@pytest.mark.parametrize("architecture", micro.BUILDERS)
def test_a_smoke_run_lowers_the_loss(architecture: str) -> None:
    log = io.StringIO()
    model = train(task("mqar"), architecture, SMOKE, lr=6e-3, seed=0, log=log)
    rows = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [rows[0]["step"], rows[-1]["step"]] == [0, SMOKE.steps - 1]
    assert rows[-1]["loss"] < 0.95 * rows[0]["loss"]
    assert not model.training


def test_a_run_is_recorded_once_and_gathered(tmp_path: Path) -> None:
    small = replace(task("induction"), cells=task("induction").cells[:2])
    where = {"results": tmp_path / "results", "checkpoints": tmp_path / "micro"}
    settings = {"lr": 1e-3, "seed": 0, "queries": 20, **where}
    budget = Budget(steps=2, tokens=128)
    record = study.run(small, "rwkv", budget, **settings)
    path = study.log_path("induction", "rwkv", 0, results=where["results"])
    stamp = path.stat().st_mtime_ns
    assert study.run(small, "rwkv", budget, **settings) == record == study.finished(path)
    assert path.stat().st_mtime_ns == stamp, "a finished run is not repeated"
    whole = study.assemble(small, results=where["results"])
    assert whole is not None
    assert [r["seed"] for r in whole["architectures"]["rwkv"]["runs"]] == [0]
    assert study.recorded("induction", results=where["results"]) == json.loads(json.dumps(whole))
    path.write_text(path.read_text()[:-30])
    assert study.finished(path) is None, "a cut-off run is not finished"
    card = json.loads((tmp_path / "micro" / "induction" / "rwkv" / "card.json").read_text())
    assert card["cells"] == record["cells"]


@pytest.mark.parametrize("gone", ["config.json", "model.safetensors"])
def test_a_model_that_is_missing_is_made_again(tmp_path: Path, gone: str) -> None:
    small = replace(task("induction"), cells=task("induction").cells[:1])
    where = {"results": tmp_path / "results", "checkpoints": tmp_path / "micro"}
    settings, budget = {"lr": 1e-3, "queries": 20, **where}, Budget(steps=2, tokens=128)
    before = [study.run(small, "rwkv", budget, seed=seed, **settings) for seed in (0, 1)]
    stamps = [study.log_path("induction", "rwkv", s, results=where["results"]).stat().st_mtime_ns for s in (0, 1)]
    place = where["checkpoints"] / "induction" / "rwkv"
    (place / gone).unlink()
    assert not micro.saved(place)
    again = [study.run(small, "rwkv", budget, seed=seed, **settings) for seed in (0, 1)]
    assert micro.saved(place)
    assert again[0]["cells"] == before[0]["cells"]
    after = [study.log_path("induction", "rwkv", s, results=where["results"]).stat().st_mtime_ns for s in (0, 1)]
    assert after[0] > stamps[0] and after[1] == stamps[1], "other seeds save no model and are not repeated"


class Reader(torch.nn.Module):
    """A model that is right in every second question: it has the answers beside it."""

    def __init__(self, cell: Mqar) -> None:
        super().__init__()
        self.config = micro.build("transformer", cell.vocab, seed=0).config
        self.device = torch.device("cpu")
        self.cell, self.asked = cell, 0

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> SimpleNamespace:
        logits = torch.zeros(*input_ids.shape, self.cell.vocab)
        for row, ids in enumerate(input_ids.tolist()):
            pairs = dict(zip(ids[: 2 * self.cell.pairs : 2], ids[1 : 2 * self.cell.pairs : 2], strict=True))
            for at in range(2 * self.cell.pairs, len(ids)):
                if ids[at] in pairs:
                    self.asked += 1
                    logits[row, at, pairs[ids[at]] if self.asked % 2 else 0] = 1.0
        return SimpleNamespace(logits=logits)


def test_accuracy_counts_right_answers_and_bytes() -> None:
    cell = Mqar(4, 11, queries=3)
    model = Reader(cell)
    (found,) = evaluation.evaluate(model, task("mqar"), [cell], queries=100)
    assert found.count == model.asked == 102
    assert found.accuracy == 0.5
    assert found.low < 0.5 < found.high
    assert found.at == {"distance": 11, "pairs": 4}
    assert found.bytes_carried == 2 * 2 * 64 * 4 * cell.length  # keys and values, layers, width, float32


def test_wilson_against_a_table() -> None:
    """Newcombe 1998, Table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    table = ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718))
    for right, asked, low, high in table:
        assert evaluation.wilson(right, asked) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize("name", TASKS)
def test_an_example_can_be_opened(name: str) -> None:
    chosen = task(name)
    seen = set()
    for question in range(6):
        example = evaluation.one_example(chosen.cells[-1], chosen, question=question)
        assert example.ids[example.asked_at] == example.asked
        assert example.ids[example.answer_at] == example.answer
        assert example.answer_at < example.asked_at
        seen.add(example.ids)
    assert len(seen) == 6, "another question is another sequence"
    assert evaluation.one_example(chosen.cells[-1], chosen) == evaluation.one_example(chosen.cells[-1], chosen)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "architecture"), SAVED)
def test_saved_models_answer_as_recorded(name: str, architecture: str) -> None:
    chosen, record = task(name), study.recorded(name)
    assert record is not None
    (run,) = [r for r in record["architectures"][architecture]["runs"] if r["seed"] == 0]
    earlier = {tuple(cell["at"].values()): cell for cell in run["cells"]}
    model = micro.load(name, architecture).model
    cells = [c for c in (chosen.cells[0], chosen.cells[2]) if tuple(values_of(c).values()) in earlier]
    assert cells
    for now in evaluation.evaluate(model, chosen, cells, queries=run["queries"]):
        then = earlier[tuple(now.at.values())]
        assert then["low"] <= now.accuracy <= then["high"]
        assert (now.count, now.bytes_carried) == (then["count"], then["bytes_carried"])


@pytest.mark.parametrize("name", [t for t in TASKS if study.recorded(t)])
def test_recorded_runs_had_one_budget(name: str) -> None:
    record = study.recorded(name)
    assert record is not None
    runs = [run for entry in record["architectures"].values() for run in entry["runs"]]
    assert len({json.dumps(run["budget"]) for run in runs}) == 1
    seeds = {a: [run["seed"] for run in entry["runs"]] for a, entry in record["architectures"].items()}
    assert len({tuple(s) for s in seeds.values()}) == 1, seeds
    assert seeds.keys() == micro.BUILDERS.keys()
    for run in runs:
        assert all(cell["count"] >= evaluation.QUERIES for cell in run["cells"])
        assert len(run["cells"]) == len(task(name).cells)


def test_a_model_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(micro, "FOLDER", tmp_path)
    with pytest.raises(SourceError, match="recall train"):
        micro.load("mqar", "mamba")


@pytest.mark.parametrize(
    "words",
    [(), ("fly",), ("train", "--tasks", "chess"), ("train", "--steps", "0"), ("evaluate", "--queries", "0"),
     ("evaluate", "--seed", "-1"), ("train", "--seeds", "-3"), ("evaluate", "--only", "gpt5")],
)  # fmt: skip
def test_bad_use_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    try:
        code = main(["recall", *words])
    except SystemExit as stop:
        code = int(str(stop.code))
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.count("\n") == 1, said.err


def test_the_command_offers_every_task_and_architecture() -> None:
    assert tuple(TASKS) == recall.TASKS
    assert tuple(micro.BUILDERS) == recall.ARCHITECTURES


def test_train_writes_where_it_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [
        "--tasks",
        "induction",
        "--only",
        "rwkv",
        "--seeds",
        "4",
        "--steps",
        "2",
        "--tokens",
        "64",
        "--queries",
        "4",
    ]
    assert main(["recall", "train", *words, "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["induction"]["architectures"]["rwkv"]["runs"][0]["budget"]["steps"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["recall"], "seed 4 saves no model"
    assert main(["recall", "train", *words, "--out", str(tmp_path)]) == 0
    assert "mean accuracy over the cells, chance 0.062" in capsys.readouterr().out


@pytest.mark.skipif(("mqar", "transformer") not in SAVED, reason="no trained micro-model")
def test_evaluate_answers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recall", "evaluate", "--tasks", "mqar", "--only", "transformer", "--queries", "8", "--json"]
    assert main(words) == 0
    cells = json.loads(capsys.readouterr().out)
    assert len(cells) == len(task("mqar").cells)
    assert all(cell["recorded"] is not None and cell["count"] >= 8 for cell in cells)


def test_targets_stand_at_the_question_itself() -> None:
    """A causal model answers at the token asked with: the target of place t is read from the logits of place t."""
    drawn = Mqar(2, 2, queries=2).draw(3, seed=0)
    assert (drawn.ids[drawn.targets != NOTHING] < Mqar.keys).all()
