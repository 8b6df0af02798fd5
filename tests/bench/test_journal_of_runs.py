"""What visitors do with runs is noted: start, cancel, rename, delete, put back, import; a refused act is not."""

import json
import logging

import pytest
from page_helpers import opened
from run_helpers import until

from models import registry
from models.bench.store import files
from pages.compare.benchmark import planning, runs
from pages.shared import journal

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.fixture
def noted(caplog, monkeypatch):
    """Give a function that returns the actions and runs that have been noted."""
    monkeypatch.setattr(journal._log, "propagate", True)
    caplog.set_level(logging.INFO, logger=journal._log.name)

    def read():
        found = [json.loads(record.message) for record in caplog.records if record.name == journal._log.name]
        return [(line["action"], line["run"]) for line in found]

    return read


@pytest.mark.slow
def test_starting_pausing_and_cancelling_are_noted(shared, plan_of, monkeypatch, noted):
    plan = plan_of("slow", "slow", rounds=20)
    monkeypatch.setattr(planning, "make_plan", lambda *_, **__: plan)
    opened().button(key="benchmark.run").click().run()
    (run_id,) = shared._jobs
    until(lambda: shared.progress(run_id).round)
    opened(run=run_id).button(key="benchmark.pause").click().run()
    opened(run=run_id).button(key="benchmark.cancel").click().run()
    assert shared.wait(run_id, timeout_s=60)
    assert noted() == [("start", run_id), ("pause", run_id), ("cancel", run_id)]


@pytest.mark.slow
def test_renaming_deleting_putting_back_and_importing_are_noted(shared, measurement, monkeypatch, noted):
    run_id = shared.store.create(cells=[], environment={}, title="a name of somebody")
    shared.store.append(measurement(run_id))
    data = files.export(shared.store.run(run_id), "jsonl")
    at = opened(run=run_id)
    at.text_input(key=f"benchmark.title.{run_id}").set_value("another name").run()
    at.button(key="benchmark.delete").click().run()
    assert noted() == [("rename", run_id), ("delete", run_id)]
    at.button(key="benchmark.undo").click().run()
    assert noted()[2:] == [("restore", run_id)]
    file = type("File", (), {"name": "x.jsonl", "getvalue": lambda _: data})()
    monkeypatch.setattr(runs.st, "session_state", {f"{planning.PAGE}.file": file})
    monkeypatch.setattr(runs, "show", bool)
    runs._take_file()
    assert noted()[3:] == [("import", run_id)]
    file = type("File", (), {"name": "x.jsonl", "getvalue": lambda _: b"no run"})()
    monkeypatch.setattr(runs.st, "session_state", {f"{planning.PAGE}.file": file})
    runs._take_file()
    assert len(noted()) == 4, "what was refused has not been done"
