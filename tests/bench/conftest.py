"""What the benchmark's tests share: a store of their own, cells, and a runner over a stand-in worker."""

import sys
from pathlib import Path

import pytest

from models import describe
from models.bench.plan import plan
from models.bench.plan.plan import Cell, Plan, Prediction, Rates
from models.bench.run import runner as runner_module
from models.bench.run.host import WorkerHost
from models.bench.run.runner import Runner
from models.bench.store.store import Store
from models.records.measurement import Measurement

STAND_IN = Path(__file__).with_name("stand_in_worker.py")


@pytest.fixture
def store(tmp_path):
    """A store in a folder of its own, without the recorded runs."""
    return Store(tmp_path / "runs", recorded=None)


@pytest.fixture
def measurement():
    """Build a row of two rounds with two steps each; changes are columns."""

    def build(run_id="r", context=64, **changes):
        values = {
            "run_id": run_id,
            "cell_id": f"mamba-{context}",
            "state": "ok",
            "architecture": "mamba",
            "source": "mamba",
            "context": context,
            "batch": 1,
            "device": "cpu",
            "dtype": "float32",
            "decode_tokens": 2,
            "seed": 0,
            "rounds": 2,
            "prefill_ms_samples": (3.0, 4.0),
            "decode_ms_samples": (1.0, 2.0, 3.0, 2.5),
            "implementation": {"scan": "loop"},
            "environment": {"host_cpu": "x", "cores": 2},
            "cache_bytes": 100,
        }
        return Measurement(**(values | changes))

    return build


@pytest.fixture
def prediction():
    """A prediction of a small cell that fits."""
    return Prediction(100, 10, 1, 5, prefill_ms=1.0, decode_ms=1.0, seconds=0.1, fits=True)


@pytest.fixture
def plan_of(prediction):
    """Build a plan whose cells behave as the sources say, in that order."""

    def build(*sources, **changes):
        architectures = ("transformer", "mamba", "rwkv", "jamba")
        cells = tuple(
            Cell(architectures[i % 4], source, 2 ** (4 + i // 4), decode_tokens=4, **changes)
            for i, source in enumerate(sources)
        )
        return Plan(cells, (prediction,) * len(cells))

    return build


@pytest.fixture
def runner(store):
    """A runner whose workers are stand-ins; closed after the test."""
    made = Runner(store, make_host=lambda threads: WorkerHost((sys.executable, "-u", str(STAND_IN)), threads=threads))
    yield made
    made.close()


@pytest.fixture
def stand_in_shapes(monkeypatch):
    """Give the sources of stand-ins the sizes of a model, so that their cells can be predicted."""
    monkeypatch.setattr(plan, "_shape", lambda _source: describe.resolve("mamba-130m").shape)


@pytest.fixture
def shared(runner, monkeypatch):
    """Put the stand-in runner in the place of the process's own."""
    monkeypatch.setattr(runner_module, "shared", lambda: runner)
    monkeypatch.setattr(runner, "rates", lambda: Rates(1e11, 1e11))
    return runner


@pytest.fixture(params=("en", "ko"))
def said_in(request, monkeypatch):
    """Have the pages speak one language without a visitor, and return that language."""
    from pages.compare.benchmark import guess, provenance, results, rows, runs, verdicts  # not where a GPU is tested
    from pages.shared.words import i18n, language

    assert request.param in i18n.LANGS
    for module in (guess, provenance, results, rows, runs, verdicts):
        monkeypatch.setattr(module, "t", i18n.translator(request.param))
    monkeypatch.setattr(language, "current", lambda: request.param)
    return request.param
