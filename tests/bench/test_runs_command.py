"""python -m models runs: every run is listed, goes out and comes in whole, and is compared as on the page."""

import dataclasses
import json

import pytest

from models.__main__ import main
from models.bench.store.store import RECORDED, Store
from models.cli import runs
from models.errors import SettingError

RECORDED_IDS = {path.stem for path in RECORDED.glob("*.jsonl")}


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A store in a data folder of the test's own, which the command finds by itself."""
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path / "data"))
    return Store()


def filled(store, measurement, *, scale=1.0, **changes):
    run_id = store.create(cells=[{"context": 64}], environment={"host_cpu": "x", "cores": 2}, title="Tuesday")
    samples = {name: tuple(scale * s for s in (3.0, 3.1, 3.2, 3.05)) for name in ("prefill_ms_samples",)}
    decode = tuple(scale * s for s in (1.0, 1.01, 1.02, 1.03, 1.0, 1.01, 1.02, 1.0))
    store.append(measurement(run_id, rounds=4, decode_ms_samples=decode, **samples, **changes))
    store.finish(run_id, "done")
    return run_id


def test_every_run_is_listed(kept, measurement, capsys):
    run_id = filled(kept, measurement)
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["run", run_id]
    assert {line.split()[0] for line in lines[2:]} == RECORDED_IDS
    assert lines[1].split()[-3:] == ["1", "1", "done"]
    assert main(["runs", "list", "--json"]) == 0
    first, *recorded = json.loads(capsys.readouterr().out)
    assert (first["title"], first["measured"]) == ("Tuesday", 1)
    assert {one["run_id"] for one in recorded if one["recorded"]} == RECORDED_IDS


@pytest.mark.parametrize("fmt", runs.DATA_FORMATS)
def test_a_run_goes_out_and_comes_in(kept, measurement, capsys, tmp_path, fmt):
    run_id, out = filled(kept, measurement), tmp_path / f"run.{fmt}"
    rows = kept.run(run_id).rows
    assert main(["runs", "export", "last", "--out", str(out)]) == 0
    kept.delete(run_id)
    assert main(["runs", "import", str(out)]) == 0
    assert kept.run(run_id).rows == rows
    assert kept.run(run_id).imported
    assert run_id in capsys.readouterr().err
    assert main(["runs", "delete", run_id]) == 0
    assert kept.run(run_id) is None


def test_a_file_that_is_no_run_costs_no_other(kept, measurement, capsys, tmp_path):
    run_id, good, bad = filled(kept, measurement), tmp_path / "good.csv", tmp_path / "bad.csv"
    main(["runs", "export", run_id, "--out", str(good)])
    kept.delete(run_id)
    bad.write_bytes(b"\xff\x00 no run")
    capsys.readouterr()
    assert main(["runs", "import", str(bad), str(tmp_path / "missing.csv"), str(good)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "bad.csv" in said[0]
    assert "cannot be read" in said[1]
    assert kept.run(run_id) is not None


def test_runs_are_compared_with_intervals_and_what_cannot_be_is_said(kept, measurement, capsys):
    fast, slow = filled(kept, measurement), filled(kept, measurement, scale=2.0)
    other = filled(kept, measurement, dtype="bfloat16")
    assert main(["runs", "compare", fast, slow]) == 0
    said = capsys.readouterr().out
    assert f"decode: {fast} is faster than {slow} (0.50 times the time" in said
    assert main(["runs", "compare", fast, other, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"] == []
    assert {one["reason"] for one in found["refused"]} == {"dtype"}


def test_a_run_is_named_by_its_id_its_beginning_or_as_the_last(kept, measurement):
    first = filled(kept, measurement)
    copy = dataclasses.replace(kept.run(first), run_id=f"{first}-b")
    kept._add(copy)
    assert runs.chosen(kept, first).run_id == first, "an id is no beginning of another"
    assert runs.chosen(kept, f"{first}-").run_id == f"{first}-b"
    with pytest.raises(SettingError, match="names 2 runs"):
        runs.chosen(kept, first[:-1])
    with pytest.raises(SettingError, match="names 0 runs"):
        runs.chosen(kept, "x")
    assert runs.chosen(kept, "last").created_ns == kept.run(first).created_ns
