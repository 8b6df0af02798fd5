"""The stage that runs the tests marked gpu, in a process of their own."""

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bench.record import needs
from models.bench.record.stages import Ending, Turn
from models.machine.paths import ROOT

TESTS = ROOT / "tests"
MARK = "pytest.mark.gpu"
NEEDED = ("pytest", "pytest-timeout")  # pytest-timeout for the settings of pyproject.toml
NONE_FOUND = 5  # exit code of pytest
SHOWN = 10  # failures named; the log has all


@dataclass(frozen=True, slots=True)
class Tally:
    """What pytest counted, and each test that did not pass with the first line of why."""

    passed: int
    skipped: int
    failures: tuple[str, ...]


def files_marked(folder: Path = TESTS) -> tuple[Path, ...]:
    """Find the files with tests marked gpu: to read the others takes packages of the pages."""
    return tuple(path for path in sorted(folder.rglob("test_*.py")) if MARK in path.read_text(encoding="utf-8"))


def run(turn: Turn, *, files: Sequence[Path], logs: Path, device: str) -> Ending:
    """Run the tests and judge them; what fails is a problem and stops nothing. The log and its XML lie under `logs`."""
    if lacking := [name for name in NEEDED if not needs.is_here(name)]:
        install = f"{sys.executable} -m pip install {' '.join(lacking)}"
        return Ending(False, (f"not run: {' and '.join(lacking)} not installed: {install}",))
    logs.mkdir(parents=True, exist_ok=True)
    log, report = logs / "tests.log", logs / "tests.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
    command += ["-m", "gpu", "-s", f"--junitxml={report}", *map(str, files)]
    turn.say(f"tests: {len(files)} files, the log is {log}")
    code = follow(command, log=log, timeout_s=turn.left_s)
    if code is None:
        return Ending(False, (f"the tests took more than {turn.allowed_s:.0f} s and were ended: {log}",))
    return judged(code, tally(report), log=log, device=device)


def judged(code: int, found: Tally | None, *, log: Path, device: str) -> Ending:
    """Turn the exit code of pytest and its counts into an ending."""
    if found is None or code not in (0, 1, NONE_FOUND):
        return Ending(False, (f"pytest ended with code {code} before it had run the tests: {last_line(log)} ({log})",))
    counted = f"{found.passed} passed, {len(found.failures)} failed, {found.skipped} skipped"
    problems = [f"failed: {one}" for one in found.failures[:SHOWN]]
    if len(found.failures) > SHOWN:
        problems.append(f"{len(found.failures) - SHOWN} more tests failed: {log}")
    if not found.passed and not found.failures and device != "cpu":
        problems.append(f"no test ran on {device} ({found.skipped} were skipped): {log}")
    return Ending(True, tuple(problems), (counted,))


def tally(report: Path) -> Tally | None:
    """Read the XML that pytest wrote; None where there is none or it is cut off."""
    try:
        cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - pytest of this very command wrote it
    except (OSError, ET.ParseError):
        return None
    failures = []
    skipped = 0
    for case in cases:
        bad = next((part for name in ("failure", "error") if (part := case.find(name)) is not None), None)
        if bad is not None:
            reason = next(iter(str(bad.get("message") or "").strip().splitlines()), "")
            failures.append(f"{case.get('classname')}::{case.get('name')}: {reason[:200]}")
        skipped += case.find("skipped") is not None
    return Tally(len(cases) - len(failures) - skipped, skipped, tuple(failures))


def follow(command: Sequence[str], *, log: Path, timeout_s: float) -> int | None:
    """Run a command with its output in a file; returns its exit code, None when it took longer and was ended.

    It ends with this process's wait, whatever ends that: nothing is left running.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(timeout=max(timeout_s, 1.0))
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def last_line(log: Path) -> str:
    """Return the last line that a command wrote, which is what a traceback ends with."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
