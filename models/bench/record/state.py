"""Keep how far a recording has come in one small file, so that it goes on where it was interrupted."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1


@dataclass(slots=True)
class StageState:
    """How far one stage has come. kept: JSON values that it needs in order to go on."""

    ended: bool = False
    spent_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class RecordingState:
    """The stages of one recording, and the machine, versions and code that it is valid for.

    said: why an earlier file was not gone on with, "" where there was none or it was.
    """

    path: Path
    identity: Mapping[str, Any]
    stages: dict[str, StageState] = field(default_factory=dict)
    said: str = ""

    @property
    def spent_s(self) -> float:
        """Return the seconds that all stages have taken so far, in every session of the recording."""
        return sum(one.spent_s for one in self.stages.values())

    def stage(self, name: str) -> StageState:
        """Return the state of a stage; a new one where it has not begun."""
        return self.stages.setdefault(name, StageState())

    def save(self) -> None:
        """Write the file whole or not at all."""
        found = {"format": FORMAT, "identity": dict(self.identity), "stages": _as_json(self.stages)}
        write_whole(self.path, json.dumps(found, indent=1, sort_keys=True).encode())


def opened(path: Path, identity: Mapping[str, Any]) -> RecordingState:
    """Read the state of a recording, or begin a new one where there is none of the same machine, versions and code."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return RecordingState(path, identity)
    except (OSError, UnicodeDecodeError) as error:
        return RecordingState(path, identity, said=f"{path} cannot be read ({error}): the recording begins anew")
    try:
        found = json.loads(text)
        stages = {str(name): _stage(one) for name, one in found["stages"].items()}
        before = dict(found["identity"])
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        return RecordingState(path, identity, said=f"{path} is damaged ({reason}): the recording begins anew")
    names = [name for name in {**before, **identity} if name != "commit"]  # what it measures is in "code"
    changed = [name for name in names if before.get(name) != identity.get(name)]
    if changed:
        values = ", ".join(f"{name} {before.get(name)} then, {identity.get(name)} now" for name in changed)
        return RecordingState(path, identity, said=f"what {path} holds was recorded otherwise ({values}): begun anew")
    return RecordingState(path, identity, stages)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _as_json(stages: Mapping[str, StageState]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in stages.items()}


def _stage(found: Any) -> StageState:
    """Read one stage; ValueError, TypeError or KeyError for anything that `save` does not write."""
    one = StageState(**found)
    texts = [*one.problems, *one.notes]
    right = (
        isinstance(one.ended, bool)
        and isinstance(one.spent_s, int | float)
        and isinstance(one.problems, list)
        and isinstance(one.notes, list)
        and isinstance(one.kept, dict)
        and all(isinstance(text, str) for text in texts)
    )
    if not right or not math.isfinite(one.spent_s) or one.spent_s < 0:
        raise ValueError("a stage has values of another kind")
    return one
