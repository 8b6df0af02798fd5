"""The stages that measure our kernels row by row: against transformers' own code, and in other settings."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bench.record.stages import Ending, Turn
from models.bench.record.suite import follow, last_line

WRONG_USE = 2  # exit code of a command
TABLES = "kernels/seqops/gpu/tuning.py"
BEGAN = re.compile(r"^measuring (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KernelCommand:
    """A command that measures rows, with --only and --skip, and writes them with --json. only: these rows, else all."""

    name: str
    device: str
    logs: Path
    options: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def run(turn: Turn, *, command: KernelCommand) -> Ending:
    """Measure the rows that are not kept yet; one that breaks off is a problem, and the others are measured.

    turn.kept: the environment, "rows" and "left_out" as the command writes them, and "broken" (name -> why).
    """
    command.logs.mkdir(parents=True, exist_ok=True)
    log, written = (command.logs / f"{command.name}.{end}" for end in ("log", "json"))
    if not turn.kept:
        written.unlink(missing_ok=True)
        turn.kept.update(rows=[], left_out={}, broken={}, environment={})
        turn.save()
    while True:
        if _take(turn, written) or (command.only and {*command.only} <= {*_settled(turn.kept)}):
            return _ended(turn, True)
        words = [sys.executable, "-m", "models", command.name, "--device", command.device, "--json", str(written)]
        words += [*command.options, *_chosen(turn.kept, command.only)]
        code = follow(words, log=log, timeout_s=turn.left_s)
        if _take(turn, written):
            return _ended(turn, True)
        if code is None:
            return _ended(turn, False, f"more than {turn.allowed_s:.0f} s: rows are missing")
        began = BEGAN.findall(log.read_text(encoding="utf-8", errors="replace"))
        if code == WRONG_USE or not began or began[-1] in _settled(turn.kept):
            return _ended(turn, False, f"{command.name} ended with code {code}: {last_line(log)} ({log})")
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
    short = [row for row in kept["rows"] if row["ratio"] and row.get("goal") and row["ratio"] < row["goal"]]
    faster = [row for row in kept["rows"] if row.get("faster")]
    notes = [
        f"{len(kept['rows'])} rows measured, {len(kept['left_out'])} left out",
        *(f"{row['name']}: {row['ratio']:.3g} times faster, {row['goal']:.3g} is the goal" for row in short),
        *(
            f"{row['name']}: {row['setting']} is {row['ratio']:.3g} times faster: set it in {TABLES} and record again"
            for row in faster
        ),
        *(f"{name}: left out, {reason}" for name, reason in kept["left_out"].items()),
    ]
    return Ending(whole, tuple(problems), tuple(notes))
