"""Rows survive a round trip, and the store survives crashes."""

import dataclasses
import json

import pytest

from models.bench.rows import STATES, Measurement, from_row
from models.bench.store import RECORDED, Store, read_file
from models.errors import SourceError


def measurement(run_id="r", context=64, **changes):
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
        "decode_tokens": 4,
        "seed": 0,
        "prefill_ms_samples": (3.0, 4.0),
        "decode_ms_samples": (1.0, 2.0, 3.0),
        "implementation": {"scan": "loop"},
        "environment": {"host_cpu": "x", "cores": 2},
        "reason_values": {},
        "cache_bytes": 100,
    }
    return Measurement(**(values | changes))


def test_a_row_is_flat_and_comes_back_the_same():
    made = measurement(state="killed", reason="r", reason_key="errors.cell_killed", reason_values={"signal": "SIGKILL"})
    row = json.loads(json.dumps(made.to_row()))
    assert not any(isinstance(value, dict) for value in row.values())
    assert row["impl_scan"] == "loop"
    assert row["env_host_cpu"] == "x"
    assert row["reason_signal"] == "SIGKILL"
    assert from_row(row) == made


def test_unknown_columns_are_dropped_and_missing_ones_named():
    row = measurement().to_row()
    assert from_row(row | {"column_of_next_year": 1}) == measurement()
    del row["context"]
    with pytest.raises(ValueError, match="context"):
        from_row(row)


def test_an_unknown_state_is_refused():
    with pytest.raises(ValueError, match="expected one of"):
        measurement(state="fine")


@pytest.mark.parametrize("state", STATES)
def test_only_measured_states_carry_samples(state):
    assert measurement(state=state).measured == (state in ("ok", "unstable"))


def test_rows_are_on_the_disk_as_soon_as_they_are_added(store):
    run_id = store.create(cells=[{"context": 64}, {"context": 128}], environment={"cores": 2})
    store.append(measurement(run_id))
    run = Store(store.folder, recorded=None).run(run_id)
    assert [row.context for row in run.rows] == [64]
    assert not run.complete
    store.append(measurement(run_id, 128))
    store.finish(run_id, "done")
    run = store.run(run_id)
    assert run.complete
    assert run.ended == "done"


def test_a_torn_last_line_loses_only_itself(store):
    run_id = store.create(cells=[], environment={})
    store.append(measurement(run_id))
    with (store.folder / f"{run_id}.jsonl").open("a") as file:
        file.write('{"kind": "row", "run_id": "r", "ce')
    assert len(store.run(run_id).rows) == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 99, ".hidden", "none"])
def test_no_run_by_such_an_id(store, name):
    store.create(cells=[], environment={})
    assert store.run(name) is None


def test_a_file_that_is_no_run_is_left_out(store):
    run_id = store.create(cells=[], environment={})
    (store.folder / "letter.jsonl").write_text("dear reader\n")
    assert [run.run_id for run in store.runs()] == [run_id]
    with pytest.raises(SourceError):
        read_file(store.folder / "letter.jsonl")


def test_own_runs_come_before_recorded_ones(tmp_path):
    recorded = Store(tmp_path / "recorded", recorded=None)
    shipped = recorded.create(cells=[], environment={})
    recorded.append(measurement(shipped))
    both = Store(tmp_path / "own", recorded=recorded.folder)
    assert both.latest().run_id == shipped
    assert both.latest().recorded
    own = both.create(cells=[], environment={})
    both.append(dataclasses.replace(measurement(own), state="failed"))
    assert both.latest().run_id == shipped, "a run without a measured row shows nothing"
    both.append(measurement(own))
    assert both.latest().run_id == own


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recorded_runs_can_be_read_and_say_where_they_were_made(path):
    run = read_file(path)
    assert run.rows
    assert run.complete
    for row in run.rows:
        assert row.environment["host_cpu"]
        assert not row.measured or (row.implementation and row.cache_bytes == row.cache_bytes_formula)
