"""`make gpu` rehearsed on the CPU: a real run of the bundled models is recorded, and the app opens it."""

import json
import re

import pytest
from page_helpers import calm, opened

from models.__main__ import main
from models.bench.record import readme, suite
from models.bench.run import runner as runner_module
from models.bench.run.lease import Lease
from models.bench.store.store import RECORDED, Store, read_file
from models.records.measurement import MEASURED
from pages.shared.html import forwards

pytestmark = pytest.mark.slow


@pytest.fixture
def rehearsed(tmp_path, monkeypatch, capsys):
    """Give a function that runs the command in a data folder of its own, over one quick test in place of all."""
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path / "data"))
    quick = tmp_path / "test_quick.py"
    quick.write_text(f"import pytest\n@{suite.MARK}\ndef test_it(): pass\n")
    monkeypatch.setattr(suite, "files_marked", lambda: (quick,))
    monkeypatch.setattr(Lease, "of", classmethod(lambda cls, _: cls(tmp_path / "lock")))  # not that of all programs

    def run(*words):
        try:
            code = main(["gpu", "--device", "cpu", "--budget", "20", "--out", str(tmp_path / "out"), *words])
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_rehearsal_records_a_run_that_the_app_lists_and_is_not_done_twice(rehearsed, tmp_path):
    code, out, err = rehearsed()
    assert code in (0, 1), err  # 1 on a machine that was too busy for a steady round, which is then said
    assert ("Nothing is wrong." in out) == (code == 0), out
    (file,) = (tmp_path / "out" / "assets" / "runs").glob("*-bundled.jsonl")
    run = read_file(file)
    assert len(run.rows) == len(run.cells) == 8
    assert {row.state for row in run.rows} <= {*MEASURED}, [row.reason for row in run.rows]
    assert all(row.cache_bytes == row.cache_bytes_formula for row in run.rows)
    assert {row.environment["torch"] for row in run.rows} and run.environment["host_cpu"]
    assert "1 passed, 0 failed, 0 skipped" in out and "2 rows measured" in out
    text = (tmp_path / "out" / "kernels" / "README.md").read_text("utf-8")
    assert text.count("<!-- gpu:") == text.count(readme.END) == 1
    assert re.search(r"^\| WKV, forward \| .* ms|µs \|", text, flags=re.MULTILINE)
    state = json.loads((tmp_path / "data" / "recording-cpu.json").read_text())
    assert all(stage["ended"] for stage in state["stages"].values())
    again, told, err = rehearsed()
    assert (again, told) == (code, out), "it says the same again"
    assert "begins" not in err, "and does nothing"
    assert read_file(file).rows == run.rows and len(Store(recorded=None).runs()) == 1


def test_wrong_use_is_one_line(rehearsed):
    for words in (("--budget", "0"), ("--budget", "nan"), ("--budget", "much"), ("--device", "cuda:7")):
        code, out, err = rehearsed(*words)
        assert (code, out) == (2, "") and err.count("\n") == 1, err


def test_several_recorded_runs_are_listed_and_opened(tmp_path, monkeypatch):
    """As after `make gpu` on two machines: files beside the one that comes with the project."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    text = (RECORDED / "quick-cpu.jsonl").read_text("utf-8")
    (folder / "quick-cpu.jsonl").write_text(text)
    for number, name in enumerate(("gpu-a-bundled", "gpu-b-7b")):
        lines = [json.loads(line) for line in text.splitlines()]
        lines[0] |= {"title": f"Title of {name}", "created_ns": lines[0]["created_ns"] + 1 + number}
        for line in lines[1:-1]:
            line |= {"device": "cuda:0", "env_device_name": name, "cell_id": line["cell_id"].replace("cpu", "cuda0")}
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = Store(tmp_path / "own", recorded=folder)
    assert {one.run_id for one in store.summaries()} == {"quick-cpu", "gpu-a-bundled", "gpu-b-7b"}
    monkeypatch.setattr("models.machine.facts.devices", lambda: ("cpu",))
    assert store.latest().run_id == "quick-cpu", "who has no GPU sees the run of a CPU first"
    monkeypatch.setattr("models.machine.facts.devices", lambda: ("cpu", "cuda:0"))
    assert store.latest().run_id == "gpu-b-7b", "of those that could be measured here, the newest"
    (folder / "quick-cpu.jsonl").unlink()
    monkeypatch.setattr("models.machine.facts.devices", lambda: ("cpu",))
    assert store.latest().run_id == "gpu-b-7b", "rather one of another device than none"
    runner = runner_module.Runner(store)
    monkeypatch.setattr(runner_module, "shared", lambda: runner)
    at = opened(run="gpu-b-7b")
    chooser = next(box for box in at.selectbox if box.key == "benchmark.chosen")
    assert chooser.value == "gpu-b-7b" and len(chooser.options) == 2
    assert any(forwards("Title of gpu-a-bundled") in option for option in chooser.options), chooser.options
    chooser.set_value("gpu-a-bundled").run()
    assert calm(at).query_params["run"] in ("gpu-a-bundled", ["gpu-a-bundled"])
