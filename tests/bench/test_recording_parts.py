"""Parts of `make gpu`: what a machine must have, its tests, its kernels, the block in kernels/README.md."""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from models.bench.record import needs, operators, readme, recording, suite
from models.bench.record.stages import Turn
from models.bench.record.state import RecordingState, StageState
from models.errors import SettingError
from models.machine import facts
from models.machine.paths import ROOT
from models.records.run import Run

IDENTITY = {"device_name": "NVIDIA H200", "host_cpu": "EPYC | 9", "torch": "2.13.0", "triton": "3.7.1",
            "transformers": "5.23.0", "python": "3.12.3", "commit": "abc"}  # fmt: skip


def turn_of(state=None, *, allowed_s=100.0):
    return Turn(allowed_s, state or StageState(), lambda _: None, lambda: None)


# --- what a machine must have


def gpu_torch(*, cuda="13.0", available=True):
    there = SimpleNamespace(is_available=lambda: available)
    return SimpleNamespace(__version__="2.13.0", version=SimpleNamespace(cuda=cuda), cuda=there)


@pytest.fixture
def machine(monkeypatch):
    """Build a machine with a GPU and everything on it, but for what is changed."""

    def build(*, torch=None, devices=("cpu", "cuda:0"), without=(), versions=None):
        real = importlib.import_module
        made = torch or gpu_torch()
        monkeypatch.setattr(needs.importlib, "import_module", lambda name: made if name == "torch" else real(name))
        monkeypatch.setattr(facts, "devices", lambda: devices)
        monkeypatch.setattr(needs, "is_here", lambda name: name not in without)
        known = needs.required() | (versions or {})
        monkeypatch.setattr(needs, "version_of", known.get)

    return build


def test_a_whole_machine_is_taken(machine):
    machine()
    needs.check("cuda:0")
    needs.check("cpu")


LACKING = {
    "a build of torch for CPUs": ({"torch": gpu_torch(cuda=None)}, ("build without CUDA", "GPU_PYTHON=")),
    "no CUDA device": ({"torch": gpu_torch(available=False)}, ("finds no CUDA device", "nvidia-smi")),
    "no such GPU": ({"devices": ("cpu", "cuda:1")}, ("nvidia-smi lists no cuda:0 (it lists: cuda:1)", "--device")),
    "no driver": ({"devices": ("cpu",)}, ("nvidia-smi lists no cuda:0 (it lists: none)",)),
    "no Triton": ({"without": ("triton",)}, ("Triton is not installed", "pip install triton")),
    "no database": ({"without": ("SQLAlchemy", "babel")}, ("pip install babel==", "SQLAlchemy==", "GPU_PYTHON=")),
    "an older transformers": ({"versions": {"transformers": "5.17.0"}}, ("pip install transformers==5",)),
}


@pytest.mark.parametrize(("changes", "words"), LACKING.values(), ids=LACKING.keys())
def test_what_is_missing_is_one_sentence_with_what_to_do(machine, changes, words):
    machine(**changes)
    with pytest.raises(SettingError) as found:
        needs.check("cuda:0")
    said = str(found.value)
    assert all(word in said for word in words), said
    assert "\n" not in said


def test_a_cpu_needs_packages_and_no_gpu(machine):
    machine(torch=gpu_torch(cuda=None), devices=("cpu",), without=("triton",))
    needs.check("cpu")
    machine(without=("numba",))
    with pytest.raises(SettingError, match="pip install numba=="):
        needs.check("cpu")


def test_what_is_needed_is_what_models_import():
    """The packages of the pages are not: a GPU machine has neither Streamlit nor Altair."""
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "models").rglob("*.py"))
    for name in needs.FOR_PAGES:
        assert f"import {name}" not in text and f"from {name}" not in text, name
    assert all(needs.is_here(name) for name in needs.required()), "the names of modules are right"
    assert needs.lacking() == []
    assert importlib.util.find_spec("no_such_module") is None and not needs.is_here("no-such-module")


def test_versions_that_differ_are_listed(machine):
    machine(versions={"torch": "2.11.0+cu130", "numpy": "2.5.2"})
    assert needs.other_versions() == ("numpy 2.5.2 instead of 2.4.6", "torch 2.11.0+cu130 instead of 2.13.0")
    machine(versions={"torch": "2.13.0+cu130"})
    assert needs.other_versions() == (), "a build of the same release"


@pytest.mark.slow
@pytest.mark.skipif(facts.gpus() != (), reason="there is a GPU")
def test_make_gpu_ends_at_once_on_this_machine():
    command = ["make", "gpu", f"GPU_PYTHON={sys.executable}"]
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first.startswith("python -m models gpu: torch ") and "CUDA" in first, done.stderr
    assert done.stdout.strip() == ""


# --- the tests


MARK = f"@{suite.MARK}\n"
PASSING = f"import pytest\n{MARK}def test_a(): print('x')\n{MARK}def test_b(): pass\n"
FAILING = f"{PASSING}{MARK}def test_c(): assert 1 == 2, 'one is two'\ndef test_unmarked(): assert False\n"
SKIPPED = f"import pytest\n{MARK}@pytest.mark.skip\ndef test_a(): pass\n"
BROKEN = f"import pytest\nimport no_such_module\n{MARK}def test_a(): pass\n"


@pytest.fixture
def tested(tmp_path):
    """Run the stage over one file of tests."""

    def run(text, *, allowed_s=100.0, device="cuda:0"):
        file = tmp_path / "test_it.py"
        file.write_text(text)
        return suite.run(turn_of(allowed_s=allowed_s), files=[file], logs=tmp_path / "logs", device=device)

    return run


@pytest.mark.slow
def test_the_tests_marked_gpu_are_run_and_counted(tested, tmp_path):
    found = tested(PASSING)
    assert found == suite.Ending(True, (), ("2 passed, 0 failed, 0 skipped",))
    failed = tested(FAILING)
    assert failed.whole and failed.notes == ("2 passed, 1 failed, 0 skipped",)
    (problem,) = failed.problems
    assert "::test_c: " in problem and "one is two" in problem
    assert "one is two" in (tmp_path / "logs" / "tests.log").read_text()
    broken = tested(BROKEN)
    assert broken.problems and not (broken.whole and "0 failed" in broken.notes[0]), "a file that cannot be read"


@pytest.mark.slow
def test_no_test_at_all_is_no_success_on_a_gpu(tested):
    assert tested(SKIPPED).problems[0].startswith("no test ran on cuda:0 (1 were skipped)")
    assert tested(SKIPPED, device="cpu").problems == ()


@pytest.mark.slow
def test_tests_that_take_too_long_are_ended_with_all_they_started(tested, tmp_path):
    pid = tmp_path / "pid"
    hang = f"import os, pathlib, pytest, time\n{MARK}def test_a():\n    pathlib.Path({str(pid)!r}).write_text"
    hang += "(str(os.getpid()))\n    time.sleep(600)\n"
    found = tested(hang, allowed_s=8.0)
    assert not found.whole and "took more than 8 s" in found.problems[0]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_an_interrupt_leaves_no_process(tmp_path):
    (tmp_path / "log").touch()

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    try:
        with pytest.raises(KeyboardInterrupt):
            suite.follow([sys.executable, "-c", code], log=tmp_path / "log", timeout_s=60)
    finally:
        signal.signal(signal.SIGALRM, before)
    time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "log").read_text()), 0)


def test_what_the_tests_lack_is_said_before_they_run(tested, monkeypatch):
    monkeypatch.setattr(needs, "is_here", lambda name: name != "pytest-timeout")
    found = tested(PASSING)
    assert not found.whole
    assert "pytest-timeout not installed" in found.problems[0] and "pip install" in found.problems[0]


def test_an_exit_code_without_counts_is_a_failure(tmp_path):
    log = tmp_path / "log"
    log.write_text("collecting\nERROR: unknown config option: timeout\n\n")
    found = suite.judged(4, None, log=log, device="cuda:0")
    assert not found.whole and "code 4" in found.problems[0] and "unknown config option" in found.problems[0]
    (tmp_path / "cut.xml").write_text("<testsuites><testsuite><testcase")
    assert suite.tally(tmp_path / "cut.xml") is None and suite.tally(tmp_path / "no.xml") is None
    many = suite.Tally(0, 0, tuple(f"t{i}: no" for i in range(15)))
    assert suite.judged(1, many, log=log, device="cuda:0").problems[-1] == f"5 more tests failed: {log}"


def test_the_files_with_tests_for_a_gpu_are_found():
    named = {path.relative_to(ROOT / "tests").as_posix() for path in suite.files_marked()}
    assert named >= {"kernels/test_gpu_device.py", "models/test_gpu.py", "bench/test_gpu_cells.py"}
    assert not {name for name in named if "recording" in name}, "files that only speak of the mark"


@pytest.mark.slow
def test_the_tests_for_a_gpu_are_read_without_the_packages_of_the_pages():
    """As on a machine with neither: to make a module None makes importing it fail."""
    gone = ("playwright", "streamlit", "altair", "pandas", "starlette", "axe_playwright_python")
    words = ["-p", "no:cacheprovider", "-q", "-m", "gpu", *map(str, suite.files_marked())]
    code = f"import sys\nfor name in {gone}: sys.modules[name] = None\nimport pytest\nsys.exit(pytest.main({words}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " error" not in done.stdout


# --- the kernels


STAND_IN = """
import json, sys
args = sys.argv[1:]
done = json.load(open({state!r}))
skip = args[args.index("--skip") + 1:] if "--skip" in args else []
out = args[args.index("--json") + 1]
rows = []

def write(finished):
    left_out = {{"scan-2048": "no mamba-ssm"}}
    with open(out, "w") as file:
        json.dump(dict(environment={{"torch": "2"}}, rows=rows, left_out=left_out, finished=finished), file)

for name in ("scan", "wkv", "layer", "conv"):
    if name in skip:
        continue
    print("measuring", name, file=sys.stderr, flush=True)
    done.setdefault("calls", []).append(name)
    json.dump(done, open({state!r}, "w"))
    if done.get(name) == "crash":
        raise RuntimeError(f"no tile for {{name}}")
    if done.get(name) == "hang":
        import time
        time.sleep(600)
    if done.get(name) == "wrong use":
        sys.exit(2)
    ratio = None if done.get(name) == "unequal" else 12.0
    rows.append(dict(name=name, ratio=ratio, goal=20 if name == "scan" else None, difference=0.5, tolerance=1e-5))
    write(False)
write(True)
sys.exit(any(row["ratio"] is None for row in rows))
"""


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """Run the stage over a stand-in of bench-kernels; `how` says how each row behaves."""
    file, script = tmp_path / "how.json", tmp_path / "stand_in.py"
    script.write_text(STAND_IN.format(state=str(file)))
    real = suite.follow
    monkeypatch.setattr(
        operators, "follow", lambda command, **rest: real([sys.executable, str(script), *command[4:]], **rest)
    )

    def run(state, *, allowed_s=60.0, **how):
        file.write_text(json.dumps(how))
        command = operators.KernelCommand("bench-kernels", "cuda:0", tmp_path / "logs")
        ending = operators.run(turn_of(state, allowed_s=allowed_s), command=command)
        return ending, json.loads(file.read_text()).get("calls", [])

    return run


def test_every_row_is_measured_once(kernels):
    state = StageState()
    ending, calls = kernels(state)
    assert ending.whole and ending.problems == () and calls == ["scan", "wkv", "layer", "conv"]
    assert [row["name"] for row in state.kept["rows"]] == calls
    assert ending.notes == ("4 rows measured, 1 left out", "scan: 12 times faster, 20 is the goal",
                            "scan-2048: left out, no mamba-ssm")  # fmt: skip


def test_a_row_that_breaks_off_costs_no_other(kernels):
    state = StageState()
    ending, calls = kernels(state, wkv="crash")
    assert calls == ["scan", "wkv", "layer", "conv"]
    assert ending.whole and ending.problems == ("wkv broke off: RuntimeError: no tile for wkv",)


def test_what_takes_too_long_goes_on_after_the_rows_that_are_there(kernels):
    state = StageState()
    ending, calls = kernels(state, allowed_s=3.0, layer="hang")
    assert not ending.whole and "rows are missing" in ending.problems[0]
    assert calls == ["scan", "wkv", "layer"]
    ending, calls = kernels(state)
    assert ending.whole and calls == ["layer", "conv"]
    assert [row["name"] for row in state.kept["rows"]] == ["scan", "wkv", "layer", "conv"]


def test_unequal_values_are_a_problem(kernels):
    ending, _ = kernels(StageState(), conv="unequal")
    assert ending.whole and ending.problems == ("conv: values differ by 5.0e-01, 1e-05 is allowed, so it has no ratio",)


def test_a_command_that_cannot_begin_is_a_problem(tmp_path, monkeypatch):
    real = suite.follow
    wrong = [sys.executable, "-c", "import sys; print('no such device'); sys.exit(2)"]
    monkeypatch.setattr(operators, "follow", lambda command, **rest: real(wrong, **rest))
    found = operators.run(turn_of(), command=operators.KernelCommand("bench-kernels", "cuda:0", tmp_path))
    assert not found.whole and "ended with code 2: no such device" in found.problems[0]


# --- the block in kernels/README.md


KERNEL_ROW = {
    "name": "scan", "operation": "selective scan, forward", "shape": "1 x 2048 tokens", "dtype": "bfloat16",
    "baseline": "transformers fallback", "ratio": 25.0, "ratio_low": 24.0, "ratio_high": 26.5, "baseline_ms": 250.0,
    "ours_ms": 10.0, "baseline_peak_bytes": 2**30, "ours_peak_bytes": 2**20,
}  # fmt: skip

TUNED = [
    {"name": "WKV_STEP", "setting": {"block": 64, "warps": 2}, "tried": 4, "faster": True, "ratio": 1.2,
     "ratio_low": 1.1, "ratio_high": 1.25},
    {"name": "CONV", "setting": {}, "tried": 6, "faster": False, "ratio": 1.0, "ratio_low": None, "ratio_high": None},
]  # fmt: skip


def test_a_block_has_machine_versions_and_the_measured_values(measurement):
    rows = tuple(
        measurement(context=context, size="7b", tpot_ms_med=2.5, energy_j_per_token=0.5, peak_bytes=2**34)
        for context in (1024, 65536)
    )
    failed = measurement(context=2**20, state="oom", prefill_ms_samples=(), decode_ms_samples=(), rounds=0)
    runs = {"assets/runs/nvidia-h200-7b.jsonl": Run("r", "", 0, (), {}, (*rows, failed))}
    text = "\n".join(readme.block(IDENTITY, [KERNEL_ROW], TUNED, runs, day="2026-12-01"))
    assert "### NVIDIA H200, torch 2.13.0, triton 3.7.1, transformers 5.23.0" in text
    assert "on 2026-12-01, commit abc; EPYC 9, Python 3.12.3." in text
    assert "| selective scan, forward | 1 x 2048 tokens, bfloat16 | transformers fallback | 250 ms | 10 ms " in text
    assert "| 25 (24 to 26.5) | 1 GiB to 1 MiB |" in text
    assert "| 7b | mamba | 65,536 | 3.5 ms | 2.5 ms | 16 GiB | 0.5 J |" in text
    assert "1,048,576" not in text, "what was not measured has no row"
    assert "`assets/runs/nvidia-h200-7b.jsonl`" in text
    assert "| WKV_STEP | 4 | block 64, warps 2 | 1.2 (1.1 to 1.25) |" in text
    assert "| CONV | 6 | as it is |  |" in text


def test_unequal_values_have_no_number_in_the_block():
    row = KERNEL_ROW | dict.fromkeys(("ratio", "ratio_low", "ratio_high", "baseline_ms", "ours_ms"))
    text = "\n".join(readme.block(IDENTITY, [row], (), {}, day="2026-12-01"))
    assert "|  |  | values differ |  |" in text


def test_a_block_is_replaced_and_those_of_others_stay():
    text = "# Title\n\nwords\n"
    first = readme.with_block(text, "GPU A, torch 1", ["", "one", ""])
    both = readme.with_block(first, "GPU B, torch 1", ["", "two", ""])
    newer = readme.with_block(both, "GPU A, torch 2", ["", "three", ""])
    again = readme.with_block(newer, "GPU A, torch 1", ["", "four", ""])
    assert again.startswith("# Title\n\nwords\n\n<!-- gpu: GPU A, torch 1 -->\n\nfour\n")
    assert "one" not in again and again.count("<!-- gpu:") == again.count(readme.END) == 3
    assert again.index("four") < again.index("two") < again.index("three")
    assert readme.with_block(again, "GPU A, torch 1", ["", "four", ""]) == again, "the same block twice is one"


def test_the_first_recording_takes_the_place_of_the_words_that_there_is_none():
    before = (ROOT / recording.README).read_text("utf-8")
    after = readme.with_block(before, "GPU A", ["", "measured", ""])
    assert f"<!-- gpu: {readme.NOT_YET} -->" in before or "<!-- gpu: " in before
    assert "not timed on a GPU" not in after
    assert after.count("<!-- gpu:") == max(before.count("<!-- gpu:"), 1)


def test_names_cannot_end_a_comment_or_a_cell():
    evil = "GPU --> | <script>`\n"
    name = readme.key(IDENTITY | {"device_name": evil})
    text = readme.with_block("x", name, readme.block(IDENTITY | {"device_name": evil}, (), (), {}, day="d"))
    assert "<script>" not in text and name.count("-->") == 0 and "\n" not in name
    assert readme.with_block(text, name, ["y"]).count("<!-- gpu:") == 1


# --- all together


def test_what_ended_with_problems_is_done_once_more_on_request(tmp_path):
    stages = {
        "tests": StageState(True, 5.0, ["failed: x"], [], {"a": 1}),
        "kernels": StageState(True, 5.0, [], [], {"rows": []}),
        "bundled": StageState(True, 5.0, ["unsteady"], [], {"run_id": "r"}),
        "7b": StageState(False, 5.0, ["no time"], [], {"run_id": "s"}),
    }
    state = RecordingState(tmp_path / "x", {}, stages)
    recording.reopen(state)
    assert {name: one.ended for name, one in stages.items()} == {
        "tests": False, "kernels": True, "bundled": False, "7b": False}  # fmt: skip
    assert (stages["tests"].kept, stages["bundled"].kept) == ({}, {"run_id": "r", "again": True})
    assert [one.spent_s for one in stages.values()] == [0.0, 5.0, 0.0, 5.0], "a budget that is used up would refuse it"
    assert stages["7b"].kept == {"run_id": "s"}, "what was cut goes on with what is missing"


def test_the_identity_follows_the_code_that_measures(tmp_path):
    assert recording.code_digest() == recording.code_digest()
    for folder in recording.MEASURED_BY:
        (tmp_path / folder).mkdir(parents=True)
        assert any((ROOT / folder).rglob("*.py")), folder
    empty = recording.code_digest(tmp_path)
    (tmp_path / recording.MEASURED_BY[0] / "a.py").write_text("x = 1")
    one = recording.code_digest(tmp_path)
    (tmp_path / recording.MEASURED_BY[0] / "a.py").write_text("x = 2")
    assert len({empty, one, recording.code_digest(tmp_path)}) == 3
    (tmp_path / "README.md").write_text("words")
    assert recording.code_digest(tmp_path) != one
    found = recording.identity("cpu")
    assert json.loads(json.dumps(found)) == found and found["host_cpu"] == facts.processor()


def test_the_stages_of_a_gpu_are_minutes_of_half_an_hour(tmp_path, store):
    made = recording.Recording(
        "cuda:0", tmp_path, RecordingState(tmp_path / "x.json", IDENTITY), recording.standard.ON_GPU, store, ()
    )
    stages = made.stages(None)
    assert [stage.name for stage in stages] == [*made.names] == [
        "tests", "kernels", "bundled", "130m", "1.4b", "2.8b", "7b", "tuning"]  # fmt: skip
    assert sum(stage.share for stage in stages) == 30
    assert dataclasses.replace(made, rows=("wkv",)).rows == ("wkv",)


def test_another_program_on_the_device_is_waited_for_and_then_named(tmp_path, store, monkeypatch):
    lock = tmp_path / "lock"
    monkeypatch.setattr(recording.Lease, "of", classmethod(lambda cls, _: cls(lock)))
    made = recording.Recording(
        "cpu", tmp_path, RecordingState(tmp_path / "x.json", IDENTITY), recording.standard.REHEARSAL, store, ()
    )
    other, done = recording.Lease(lock), []

    def work(turn):
        done.append(turn)
        return suite.Ending(True)

    assert other.taken()
    found = made._alone(work, turn_of(allowed_s=0.4))
    assert not found.whole and "another program measures on cpu" in found.problems[0] and done == []
    other.give_back()
    assert made._alone(work, turn_of()).whole and len(done) == 1
    assert not recording.Lease(lock).elsewhere(), "it gives the device back"
