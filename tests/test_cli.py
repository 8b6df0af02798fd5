"""Every documented command runs, answers in JSON where it reports, and complains in one line with code 2."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from models import registry
from models.__main__ import COMMANDS, main
from models.bench.run import runner as runner_module
from models.bench.run.host import WorkerHost
from models.bench.run.lease import Lease
from models.bench.run.runner import Runner
from models.bench.store.store import Store, read_file
from models.cli import benchmark
from models.errors import SettingError, SourceError

ROOT = Path(__file__).resolve().parents[1]
STAND_IN = ROOT / "tests" / "bench" / "stand_in_worker.py"
FIELDS = {"params_total", "params_active", "kv_bytes", "state_bytes", "cache_bytes", "layers"}


def run(capsys, *words):
    """Run a command in this process; returns code, output and complaint."""
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, said.err


def answer(capsys, *words):
    code, out, err = run(capsys, *words)
    assert code == 0, err
    return json.loads(out)


def test_list_names_every_bundled_and_published_model(capsys):
    found = answer(capsys, "list", "--json")
    assert {"jamba-v0.1", "mixtral-8x7b", *registry.bundled()} <= {entry["id"] for entry in found}
    assert all(entry["describable"] or entry["can"].startswith("no: ") for entry in found)
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert "51,570,323,328" in out


# The numbers the issue asks for: Lieber et al. 2024, Table 1, and the exact counts of the configurations.
@pytest.mark.parametrize(
    ("name", "total", "active", "gib"),
    [("jamba-v0.1", 51.570, 12.110, 4), ("mixtral-8x7b", 46.703, 12.880, 32), ("llama2-7b", 6.738, 6.738, 128)],
)
def test_describe_gives_the_published_numbers(capsys, name, total, active, gib):
    found = answer(capsys, "describe", name, "--context", "262144", "--dtype", "bf16", "--json")
    assert found.keys() >= FIELDS
    assert round(found["params_total"] / 1e9, 3) == total
    assert round(found["params_active"] / 1e9, 3) == active
    assert found["kv_bytes"] == gib * 2**30
    assert found["cache_bytes"] == found["kv_bytes"] + found["state_bytes"]
    assert found["layers"][0].keys() >= {"index", "mixer", "ffn"}


def test_describe_scales_with_context_batch_and_dtype(capsys):
    base = answer(capsys, "describe", "llama2-7b", "--context", "100", "--json")
    for words, factor in (
        (["--context", "300"], 3),
        (["--context", "100", "--batch", "5"], 5),
        (["--context", "100", "--dtype", "float32"], 2),
    ):
        assert answer(capsys, "describe", "llama2-7b", *words, "--json")["kv_bytes"] == factor * base["kv_bytes"]


@pytest.mark.parametrize("name", registry.bundled())
def test_describe_a_bundled_name_and_its_folder(capsys, name):
    by_name = answer(capsys, "describe", name, "--json")
    by_folder = answer(capsys, "describe", str(ROOT / "assets" / "checkpoints" / name), "--json")
    differ = {"source", "origin"}
    assert {k: v for k, v in by_name.items() if k not in differ} == {
        k: v for k, v in by_folder.items() if k not in differ
    }
    assert (by_name["origin"], by_folder["origin"]) == ("bundled", "folder")


def test_describe_a_hub_id_of_the_catalogue_needs_no_network(capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert answer(capsys, "describe", "ai21labs/Jamba-v0.1", "--json")["params_total"] == 51_570_323_328


def test_describe_prints_for_people(capsys):
    code, out, _ = run(capsys, "describe", "mistral-7b", "--context", "262144")
    assert code == 0
    assert "32 GiB" in out
    assert "sliding window" in out
    assert "attention  dense" in out


def test_describe_imports_no_torch():
    script = (
        "import sys; from models.__main__ import main; main(['describe', 'jamba-v0.1', '--json']); "
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.bundled())
def test_trace_reports_surprisal_parts_and_reconstruction_errors(capsys, name):
    found = answer(capsys, "trace", name, "--text", "Once upon a time 옛날", "--json")
    assert found["cache_bytes"] == found["cache_bytes_formula"]
    assert found["tokens"][0]["surprisal_bits"] is None
    assert all(token["surprisal_bits"] >= 0 for token in found["tokens"][1:])
    assert all(layer["parts"] for layer in found["layers"])
    assert found["passed"] is True and found["limit"] == 1e-4
    assert max(error for layer in found["layers"] for error in layer["reconstruction_errors"].values()) < 1e-5
    code, out, _ = run(capsys, "trace", name, "--text", "Once")
    assert code == 0
    assert "rebuilds the output" in out and "NOT" not in out


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder of the test's own."""
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(Lease, "of", lambda device: Lease(None))  # not behind whoever else measures on this machine
    return tmp_path


@pytest.fixture
def stand_ins(monkeypatch):
    """Measure by stand-in workers: what such a test asks is how the command goes on, not what a model takes."""

    def host(threads):
        return WorkerHost((sys.executable, "-u", str(STAND_IN)), threads=threads)

    monkeypatch.setattr(benchmark, "Runner", partial(Runner, make_host=host))


@pytest.mark.slow
def test_bench_measures_writes_a_file_and_tells_the_architectures_apart(capsys, data):
    out = data / "run.jsonl"
    words = ("bench", "--sources", "transformer,mamba", "--contexts", "16,32", "--decode", "2", "--rounds", "3")
    code, said, progress = run(capsys, *words, "--out", str(out))
    rows = read_file(out).current
    timed = {row.context for row in rows if all(one.timed for one in rows if one.context == row.context)}
    assert code == (0 if timed == {16, 32} else 1), progress  # a busy machine leaves cells without times
    assert progress.count("no round was steady") == sum(not row.timed for row in rows)
    for phase in ("prefill", "decode") if timed else ():
        (line,) = [line for line in said.splitlines() if line.startswith(phase)]
        assert line.startswith(f"{phase} at {max(timed)} tokens, batch 1: transformer ")
        apart = " than mamba (" in line
        assert apart or " and mamba cannot be told apart (" in line
        assert f"{95 if apart else 98} % interval" in line
    assert "0/4 cells" in progress
    assert "left" in progress
    assert "\x1b" not in progress
    from models.bench.store import files

    read = files.parse(out.name, out.read_bytes())
    assert len(read.current) == len(read.cells)
    assert read.ended == "done"
    assert [(row.context, row.measured, row.size) for row in read.rows].count((32, True, "bundled")) == 2
    assert all(len(row.decode_ms_samples) == 2 * row.rounds for row in read.rows)


def test_bench_prints_rows_as_json(capsys, data, stand_ins):
    rows = answer(
        capsys, "bench", "--sources", "rwkv", "--contexts", "16", "--decode", "4", "--rounds", "2",
        "--batches", "1,2", "--seed", "3", "--json",
    )  # fmt: skip
    assert [(row["context"], row["batch"], row["seed"], row["state"]) for row in rows] == [
        (16, 1, 3, "ok"),
        (16, 2, 3, "ok"),
    ]


@pytest.mark.slow
def test_a_run_that_broke_off_goes_on_from_the_command_line(capsys, data, stand_ins):
    """A cell that was never begun, as after kill -9, is measured into the same run, and the file holds all of it."""
    out = data / "run.jsonl"
    words = ("bench", "--sources", "rwkv", "--contexts", "16,32", "--decode", "4", "--rounds", "2")
    assert run(capsys, *words)[0] == 0
    store = Store()
    (whole,) = [one for one in store.runs() if not one.recorded]
    broken = store.create(cells=whole.cells, environment=whole.environment)
    store.append(dataclasses.replace(whole.rows[0], run_id=broken))
    (cell,) = plan(capsys, "--again", "last")
    assert cell["context"] == whole.rows[1].context
    code, _, progress = run(capsys, "bench", "--again", broken[:20], "--out", str(out))
    assert code == 0, progress
    assert f"run {broken} is in" in progress
    assert [(row.context, row.state) for row in read_file(out).rows] == [(16, "ok"), (32, "ok")]
    assert store.run(broken).ended == "done"
    assert run(capsys, "bench", "--again", broken)[2].count("nothing of run") == 1
    again = plan(capsys, "--again", broken, "--cells", whole.rows[0].cell_id)
    assert [one["context"] for one in again] == [16]


def test_the_file_holds_every_finished_cell_while_others_are_measured(capsys, data, stand_ins, monkeypatch):
    """A row is stored only when a file with all rows before it has been written."""
    out, seen, before = data / "run.jsonl", [], []
    write, append = benchmark.write_file, Store.append
    deadline = time.monotonic() + 60

    def in_turn(store, row):
        stored = len(store.run(row.run_id).rows)
        while max(seen, default=-1) < stored and time.monotonic() < deadline:
            time.sleep(0.02)
        before.append((stored, max(seen, default=-1)))
        return append(store, row)

    monkeypatch.setattr(Store, "append", in_turn)
    monkeypatch.setattr(benchmark, "write_file", lambda *args: seen.append(write(*args) or len(read_file(out).rows)))
    words = ("bench", "--sources", "rwkv", "--contexts", "16,32", "--decode", "4", "--rounds", "2")
    assert run(capsys, *words, "--out", str(out))[0] == 0
    assert seen[0] == 0, "there is a file from the start"
    assert [stored for stored, _ in before] == [0, 1]
    assert all(written >= stored for stored, written in before), before
    assert seen[-1] == 2 and seen == sorted(seen)
    assert [path.name for path in data.glob(".run*")] == []


def test_a_disk_that_is_full_meanwhile_ends_no_run(capsys, data, stand_ins, monkeypatch):
    def full(out, _):
        raise SettingError("errors.setting_value", f"--out {out} cannot be written: disk full", name="out", value="")

    monkeypatch.setattr(benchmark, "write_file", full)
    words = ("bench", "--sources", "rwkv", "--contexts", "16,32", "--decode", "4", "--rounds", "2")
    code, out, err = run(capsys, *words, "--out", str(data / "run.jsonl"))
    assert code == 2
    assert "disk full" in err
    assert out.count("rwkv") >= 2, "the table is printed all the same"
    assert [row.state for row in Store().latest().rows] == ["ok", "ok"]


def test_rows_that_the_store_refuses_are_in_the_file(capsys, data, stand_ins, monkeypatch):
    """The database is away from the first row on: file and table have what was measured, and it is no success."""
    out = data / "run.jsonl"
    monkeypatch.setattr(runner_module, "STORE_ATTEMPTS", 1)
    monkeypatch.setattr(runner_module, "STORE_WAIT_S", 0.1)

    def away(*_):
        raise SourceError("errors.store_locked", "the runs are in use by another program", place="x")

    monkeypatch.setattr(Store, "append", away)
    words = ("bench", "--sources", "rwkv", "--contexts", "16", "--decode", "4", "--rounds", "2", "--out", str(out))
    code, said, told = run(capsys, *words)
    assert code == 1
    assert "1 rows could not be stored" in told
    assert [row.state for row in read_file(out).rows] == ["ok"]
    assert "rwkv" in said


# The command as from a shell, over stand-in workers that behave as the first word says.
OVER_STAND_INS = """
import sys
from functools import partial
from models.__main__ import main
from models.bench.run.host import WorkerHost
from models.bench.run.runner import Runner
from models.cli import benchmark

worker = (sys.executable, "-u", *sys.argv[1:3])
benchmark.Runner = partial(Runner, make_host=lambda threads: WorkerHost(worker, threads=threads))
sys.exit(main(sys.argv[3:]))
"""


def started(*words, env):
    """Start a command as from a shell."""
    return _process("-m", "models", *words, env=env)


def measuring(behaviour, *words, env):
    """Start `bench` as from a shell, with workers that behave as said."""
    return _process("-c", OVER_STAND_INS, str(STAND_IN), behaviour, "bench", *words, env=env)


def _process(*words, env):
    command = [sys.executable, *words]
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_who_is_asked_to_end_keeps_what_was_measured(tmp_path, name):
    """A cell with enough rounds gets its row, the file is whole, and how to go on is said where it got none."""
    out = tmp_path / "run.jsonl"
    env = os.environ | {"CONTEXTSCOPE_DATA": str(tmp_path), "TMPDIR": str(tmp_path)}  # nobody else's line
    words = ("--sources", "rwkv", "--contexts", "16", "--rounds", "50", "--decode", "2", "--out", str(out))
    bench = measuring("slow", *words, env=env)
    for line in bench.stderr:
        if "rwkv 16 tokens" in line:
            break
    time.sleep(4)  # some of the 50 rounds of 0.3 s
    bench.send_signal(getattr(signal, name))
    said, told = bench.communicate(timeout=240)
    assert bench.returncode == 128 + getattr(signal, name)
    assert "ending with what was measured" in told
    assert "Traceback" not in told
    read = read_file(out)
    assert [row.cell_id for row in read.rows] == ["rwkv-bundled-16-b1-float32-cpu"]
    assert read.rows[0].state in ("ok", "cancelled")
    assert "rwkv" in said
    if not read.rows[0].measured:
        assert "--again" in told


@pytest.mark.slow
def test_a_reader_that_leaves_ends_no_measurement(tmp_path):
    out = tmp_path / "run.jsonl"
    env = os.environ | {"CONTEXTSCOPE_DATA": str(tmp_path), "TMPDIR": str(tmp_path)}
    bench = measuring("ok", "--sources", "rwkv", "--contexts", "16", "--rounds", "2", "--out", str(out), env=env)
    bench.stderr.readline()
    bench.stderr.close()
    bench.stdout.close()
    assert bench.wait(timeout=240) in (0, 1, 120)
    assert [row.state for row in read_file(out).rows] == ["ok"]


@pytest.mark.slow
def test_a_title_that_the_terminal_cannot_write_is_listed_all_the_same(tmp_path):
    env = os.environ | {"CONTEXTSCOPE_DATA": str(tmp_path), "PYTHONIOENCODING": "cp1252"}
    code = (
        "from models.bench.store.store import Store; Store().create(cells=[], environment={}, title='\\ud55c\\uad6d')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)
    listed = started("runs", "list", env=env)
    said, told = listed.communicate(timeout=240)
    assert (listed.returncode, told) == (0, "")
    assert "\\ud55c" in said


def plan(capsys, *words):
    return [entry["cell"] for entry in answer(capsys, "bench", "--plan", "--json", *words)]


def test_bench_plans_what_is_asked(capsys, data):
    cells = plan(
        capsys, "--size", "130m", "--sources", "mamba,jamba", "--batches", "1,8", "--contexts", "64,128", "--view",
        "as_shipped", "--attention", "math", "--kernels", "reference", "--dtype", "bf16", "--throughput",
    )  # fmt: skip
    assert {cell["source"] for cell in cells} == {"mamba-130m", "ladder:130m/jamba"}
    assert {cell["size"] for cell in cells} == {"130m"}
    assert {(cell["batch"], cell["context"]) for cell in cells if not cell["largest"]} == {
        (1, 64), (8, 64), (1, 128), (8, 128),
    }  # fmt: skip
    assert [cell["architecture"] for cell in cells if cell["largest"]] == ["mamba", "jamba"]
    for cell in cells:
        assert (cell["view"], cell["attention"], cell["kernels"]) == ("as_shipped", "math", "reference")
        assert cell["dtype"] == "bfloat16"


@pytest.mark.slow
def test_bench_keeps_to_its_time(capsys, data):
    words = ("--preset", "careful", "--contexts")
    everything = plan(capsys, *words, "64,256,1024,4096,16384")
    assert {cell["context"] for cell in everything} == {64, 256, 1024, 4096, 16384}
    little = plan(capsys, *words, "64,256,1024,4096,16384", "--budget", "8")
    assert {cell["context"] for cell in little} < {cell["context"] for cell in everything}
    code, out, _ = run(capsys, "bench", "--plan", "--budget", "8")
    assert code == 0
    assert "left out for time: " in out
    assert "rounds instead of 5, for time" in out
    assert "predicted, not measured" in out


@pytest.mark.slow
def test_other_sources_are_not_called_a_size_of_the_ladder(capsys, data):
    assert plan(capsys, "--sources", "gpt2", "--contexts", "16")[0]["size"] == "custom"
    assert plan(capsys, "--sources", "pythia-160m", "--contexts", "16")[0]["size"] == "130m"
    assert plan(capsys, "--sources", "mamba", "--contexts", "16")[0]["size"] == "bundled"


BAD = {
    "no command": (),
    "unknown command": ("fly",),
    "unknown option": ("list", "--colour"),
    "describe without a source": ("describe",),
    "describe an unknown source": ("describe", "no-such-model"),
    "describe an entry outside the families": ("describe", "mamba2-130m"),
    "describe an entry with unknown sizes": ("describe", "jamba-1.6-mini"),
    "describe a folder without a configuration": ("describe", "/tmp"),
    "describe an unreachable hub id": ("describe", "nobody/nothing"),
    "describe at no context": ("describe", "gpt2", "--context", "0"),
    "describe at a context that is no number": ("describe", "gpt2", "--context", "many"),
    "describe at no batch": ("describe", "gpt2", "--batch", "-1"),
    "describe in an unknown number type": ("describe", "gpt2", "--dtype", "int3"),
    "trace without a text": ("trace", "mamba"),
    "trace an empty text": ("trace", "mamba", "--text", ""),
    "trace an unknown model": ("trace", "no such model", "--text", "x"),
    "bench at contexts that are no numbers": ("bench", "--contexts", "long"),
    "bench at no batch": ("bench", "--batch", "0"),
    "bench at two kinds of batches": ("bench", "--batch", "1", "--batches", "1,8"),
    "bench at batches that are no numbers": ("bench", "--batches", "1,many"),
    "bench at a size that is not there": ("bench", "--size", "3t"),
    "bench an architecture that is not on the ladder": ("bench", "--size", "7b", "--sources", "gpt2"),
    "bench a model that is not on the ladder": ("bench", "--sources", "ladder:9b/mamba"),
    "bench in an unknown view": ("bench", "--view", "sideways"),
    "bench on unknown kernels": ("bench", "--kernels", "magic"),
    "bench an unknown attention": ("bench", "--attention", "divided"),
    "bench within no time": ("bench", "--budget", "-3"),
    "bench for a GPU without one": ("bench", "--preset", "gpu", "--device", "cuda:7"),
    "bench into a folder instead of a file": ("bench", "--out", "/tmp"),
    "bench on a device that is not there": ("bench", "--device", "cuda:7"),
    "bench an unknown preset": ("bench", "--preset", "eternal"),
    "bench an unknown source": ("bench", "--sources", "no-such-model"),
    "bench two sources of one architecture": ("bench", "--sources", "gpt2,pythia-160m"),
    "bench on with a run that is not there": ("bench", "--again", "no-such-run"),
    "bench on with cells of no run": ("bench", "--cells", "mamba-bundled-64-b1-float32-cpu"),
    "bench on with a run in another way": ("bench", "--again", "quick-cpu", "--seed", "3"),
    "bench on with a run that is whole": ("bench", "--again", "quick-cpu"),
    "bench on with a cell that the run does not have": ("bench", "--again", "quick-cpu", "--cells", "rwkv-1"),
    "bench within no time for a cell": ("bench", "--timeout", "nan"),
    "bench within a negative time for a cell": ("bench", "--timeout", "-1"),
    "bench on no threads": ("bench", "--threads", "0"),
    "bench on more threads than cores": ("bench", "--threads", "1000"),
    "bench at no contexts": ("bench", "--contexts", ","),
    "bench at no places": ("bench", "--places", " , "),
    "bench on no device": ("bench", "--device", ""),
    "bench into a name that no disk takes": ("bench", "--out", "x" * 300),
    "bench into a folder that takes no file": ("bench", "--out", "/proc/run.jsonl"),
    "export a run that is not there": ("runs", "export", "no-such-run", "--out", "/tmp/run.csv"),
    "export a run in an unknown format": ("runs", "export", "quick-cpu", "--out", "/tmp/run.docx"),
    "export a run into a folder that is not there": ("runs", "export", "quick-cpu", "--out", "/no/such/run.csv"),
    "compare a run with none": ("runs", "compare", "quick-cpu", "last"),
    "delete the recorded run": ("runs", "delete", "quick-cpu"),
    "delete a run by its beginning": ("runs", "delete", "quick"),
    "bench into a folder that is not there": ("bench", "--out", "/no/such/folder/run.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_use_is_one_line_and_code_2(capsys, monkeypatch, tmp_path, words):
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path))
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert err.startswith("python -m models")
    assert "Traceback" not in err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(capsys, command):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert out.startswith(f"usage: python -m models {command}")


@pytest.mark.slow
def test_as_a_module_from_a_shell():
    done = subprocess.run(
        [sys.executable, "-m", "models", "describe", "nothing-here"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
