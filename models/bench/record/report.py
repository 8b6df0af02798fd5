"""Say how a recording ended: what was recorded and where, what is wrong, what to commit, and how to go on."""

from collections.abc import Collection, Sequence
from pathlib import Path

from models.bench.record.readme import key
from models.bench.record.state import RecordingState, StageState
from models.machine.paths import ROOT


def wrong(state: RecordingState, names: Sequence[str], *, unfit: Collection[str]) -> list[str]:
    """List what is wrong or missing, stage by stage; empty when everything was recorded and nothing failed."""
    found = []
    for name in names:
        one = state.stage(name)
        found += [f"{name}: {problem}" for problem in one.problems]
        if name in unfit:
            found.append(f"{name}: {'not ended' if one.spent_s else 'not begun'}, no time was left for it")
        elif not one.ended and not one.problems:
            found.append(f"{name}: {'interrupted' if one.spent_s else 'not begun'}")
    return found


def lines(
    state: RecordingState,
    names: Sequence[str],
    *,
    unfit: Collection[str],
    written: Sequence[str],
    out: Path,
    budget_s: float,
    other_versions: Sequence[str] = (),
) -> list[str]:
    """Write the report of all stages. written: paths below `out`, the project or a folder in its place."""
    bad = wrong(state, names, unfit=unfit)
    return [
        f"Recording on {key(state.identity)}: {state.spent_s / 60:.1f} of {budget_s / 60:g} minutes used.",
        *(f"  {name:9} {_how(state.stage(name)):12} {'; '.join(state.stage(name).notes)}".rstrip() for name in names),
        *(["", "Other versions than requirements.txt names:", *_listed(other_versions)] if other_versions else []),
        "",
        *([f"What is wrong ({len(bad)}):", *_listed(bad)] if bad else ["Nothing is wrong."]),
        "",
        *_files(state, written, out),
        *_next(state, names, bad, budget_s),
    ]


def _how(one: StageState) -> str:
    return "done" if one.ended else "interrupted" if one.spent_s else "not begun"


def _files(state: RecordingState, written: Sequence[str], out: Path) -> list[str]:
    if not written:
        return ["Nothing was recorded, so there is nothing to commit."]
    if out != ROOT:
        return [f"Written in {out}, not in the project:", *_listed(written)]
    name = state.identity["device_name"]
    return [
        "Written:",
        *_listed(written),
        "Look at `git diff`, then commit it; the app lists the runs as recorded:",
        f"  git add {' '.join(written)}",
        f'  git commit -m "Record the benchmark and the kernels on {name}"'[:120],
    ]


def _next(state: RecordingState, names: Sequence[str], bad: Sequence[str], budget_s: float) -> list[str]:
    if not bad:
        return []
    if all(state.stage(name).ended for name in names):
        return ["Try once more what failed: make gpu GPU_OPTIONS=--retry"]
    if state.spent_s > 0.9 * budget_s:
        return [f"Go on with more time: make gpu BUDGET={round(1.5 * budget_s / 60) or 1}"]
    return ["Go on where it ended: make gpu"]


def _listed(texts: Sequence[str]) -> list[str]:
    return [f"  - {text}" for text in texts]
