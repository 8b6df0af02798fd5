"""The stage that measures our kernels against what transformers runs without them, row by row."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.bench.record.stages import Ending, Turn
from models.bench.record.suite import follow, last_line

WRONG_USE = 2  # exit code of bench-kernels
BEGAN = re.compile(r"^measuring (\S+)$", re.MULTILINE)


def run(turn: Turn, *, device: str, logs: Path, quick: bool = False, only: Sequence[str] = ()) -> Ending:
    """Measure the rows that are not kept yet; one that breaks off is a problem, and the others are measured.

    turn.kept: the environment, "rows" and "left_out" as `bench-kernels --json` writes them, and "broken" (name -> why).
    """
    logs.mkdir(parents=True, exist_ok=True)
    log, written = logs / "kernels.log", logs / "kernels.json"
    if not turn.kept:
        written.unlink(missing_ok=True)
        turn.kept.update(rows=[], left_out={}, broken={}, environment={})
    while True:
        if _take(turn, written) or (only and {*only} <= {*_settled(turn.kept)}):
            return _ended(turn, True)
        command = [sys.executable, "-m", "models", "bench-kernels", "--device", device, "--json", str(written)]
        command += [*(["--quick"] if quick else []), *_chosen(turn.kept, only)]
        code = follow(command, log=log, timeout_s=turn.left_s)
        if _take(turn, written):
            return _ended(turn, True)
        if code is None:
            return _ended(turn, False, f"more than {turn.allowed_s:.0f} s: rows are missing")
        began = BEGAN.findall(log.read_text(encoding="utf-8", errors="replace"))
        if code == WRONG_USE or not began or began[-1] in _settled(turn.kept):
            return _ended(turn, False, f"bench-kernels ended with code {code}: {last_line(log)} ({log})")
        turn.kept["broken"][began[-1]] = last_line(log)
        turn.save()


def _chosen(kept: Mapping[str, Any], only: Sequence[str]) -> list[str]:
    settled = _settled(kept)
    if only:
        return ["--only", *(name for name in only if name not in settled)]
    return ["--skip", *settled] if settled else []


def _settled(kept: Mapping[str, Any]) -> list[str]:
    """Name the rows that need no further attempt."""
    return [*(row["name"] for row in kept["rows"]), *kept["left_out"], *kept["broken"]]


def _take(turn: Turn, written: Path) -> bool:
    """Take over what the command has written and remove its file; returns whether that was all."""
    try:
        found = json.loads(written.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    known = _settled(turn.kept)
    turn.kept["rows"] += [row for row in found["rows"] if row["name"] not in known]
    turn.kept["left_out"] |= found["left_out"]
    turn.kept["environment"] = found["environment"]
    turn.save()
    written.unlink()
    return bool(found["finished"])


def _ended(turn: Turn, whole: bool, problem: str = "") -> Ending:
    kept = turn.kept
    unequal = [row for row in kept["rows"] if row["ratio"] is None]
    problems = [
        *([problem] if problem else []),
        *(f"{name} broke off: {reason}" for name, reason in kept["broken"].items()),
        *(
            f"{row['name']}: values differ by {row['difference'] or float('nan'):.1e}, {row['tolerance']:.0e} is "
            "allowed, so it has no ratio"
            for row in unequal
        ),
    ]
    short = [row for row in kept["rows"] if row["ratio"] and row["goal"] and row["ratio"] < row["goal"]]
    notes = [
        f"{len(kept['rows'])} rows measured, {len(kept['left_out'])} left out",
        *(f"{row['name']}: {row['ratio']:.3g} times faster, {row['goal']:.3g} is the goal" for row in short),
        *(f"{name}: left out, {reason}" for name, reason in kept["left_out"].items()),
    ]
    return Ending(whole, tuple(problems), tuple(notes))
