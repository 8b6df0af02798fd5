"""The stages of `make gpu`: each is done once, goes on where it was interrupted, and fails for itself alone."""

import json

import pytest

from models.bench.record.report import lines, wrong
from models.bench.record.stages import Ending, Stage, drive
from models.bench.record.state import opened, write_whole
from models.machine.paths import ROOT

IDENTITY = {"device_name": "GPU X", "torch": "2.13.0", "triton": "3.7.1", "transformers": "5.23.0",
            "commit": "abc", "code": "abc"}  # fmt: skip
NAMES = ("tests", "kernels", "bundled")


class FakeClock:
    """Seconds that pass only where a stage says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class FakeStages:
    """Three stages of three steps each; every step is noted, and `stop` ends one as a signal does."""

    def __init__(self, *, step_s=1.0, stop=None, ending=None, raises=None):
        self.step_s, self.stop, self.ending, self.raises = step_s, stop, ending or {}, raises or {}
        self.clock, self.done, self.said = FakeClock(), [], []

    def work(self, name, turn):
        turn.kept.setdefault("steps", 0)
        while turn.kept["steps"] < 3:
            if self.stop == (name, turn.kept["steps"]):
                raise KeyboardInterrupt
            self.clock.now += self.step_s
            self.done.append((name, turn.kept["steps"]))
            turn.kept["steps"] += 1
            turn.save()
        if self.stop == (name, 3):
            raise KeyboardInterrupt
        if name in self.raises:
            raise self.raises[name]
        return self.ending.get(name, Ending(True, notes=(f"{name} is well",)))

    def run(self, path, *, budget_s=1000.0, identity=IDENTITY, least_s=1.0, shares=(4, 2, 24)):
        stages = [
            Stage(name, share, least_s, lambda turn, name=name: self.work(name, turn))
            for name, share in zip(NAMES, shares, strict=True)
        ]
        state = opened(path, identity)
        return state, drive(stages, state, budget_s=budget_s, say=self.said.append, clock=self.clock)


EVERY_STEP = [(name, step) for name in NAMES for step in range(3)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "recording-cuda0.json"


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("name", NAMES)
def test_what_was_interrupted_goes_on_and_no_step_is_done_twice(path, name, step):
    first = FakeStages(stop=(name, step))
    with pytest.raises(KeyboardInterrupt):
        first.run(path)
    second = FakeStages()
    state, unfit = second.run(path)
    assert first.done + second.done == EVERY_STEP
    assert unfit == () and wrong(state, NAMES, unfit=unfit) == []
    third = FakeStages()
    third.run(path)
    assert third.done == [], "what has ended is left alone"


def test_a_state_that_is_read_again_is_the_one_that_was_written(path):
    state, _ = FakeStages(ending={"tests": Ending(True, ("one failed",), ("9 passed",))}).run(path)
    again = opened(path, IDENTITY)
    assert again.stages == state.stages and again.said == ""
    assert [*path.parent.iterdir()] == [path], "no draft is left"


def test_time_counts_over_all_sessions_and_what_it_does_not_suffice_for_is_named(path):
    first = FakeStages(step_s=10.0, stop=("kernels", 2))
    with pytest.raises(KeyboardInterrupt):
        first.run(path, budget_s=60.0)
    assert opened(path, IDENTITY).spent_s == 50.0
    second = FakeStages(step_s=10.0)
    state, unfit = second.run(path, budget_s=60.0, least_s=5.0)
    assert second.done == [("kernels", 2)] and unfit == ("bundled",)
    assert second.said[0] == "kernels: begins, with 5 s", "its share of ten seconds is less than it needs"
    assert wrong(state, NAMES, unfit=unfit) == ["bundled: not begun, no time was left for it"]


def test_the_time_of_a_stage_is_its_share_of_what_is_left(path):
    fake = FakeStages(step_s=2.0)
    fake.run(path, budget_s=300.0)
    assert fake.said == ["tests: begins, with 40 s", "kernels: begins, with 23 s", "bundled: begins, with 288 s"]


def test_an_exhausted_budget_begins_nothing_and_is_no_success(path):
    fake = FakeStages()
    state, unfit = fake.run(path, budget_s=2.0, least_s=30.0)
    assert fake.done == [] and unfit == NAMES
    assert wrong(state, NAMES, unfit=unfit) == [f"{name}: not begun, no time was left for it" for name in NAMES]
    more = FakeStages()
    state, unfit = more.run(path, budget_s=2000.0, least_s=30.0)
    assert more.done == EVERY_STEP and unfit == (), "with more time it goes on"


def test_a_stage_that_fails_stops_no_other_and_is_said(path):
    failing = Ending(True, ("failed: tests.bench::test_x: no",), ("8 passed, 1 failed",))
    fake = FakeStages(ending={"tests": failing}, raises={"kernels": ValueError("bad tile\nmore")})
    state, unfit = fake.run(path)
    assert fake.done == EVERY_STEP
    assert wrong(state, NAMES, unfit=unfit) == [
        "tests: failed: tests.bench::test_x: no", "kernels: it broke off: ValueError: bad tile"]  # fmt: skip
    assert state.stage("tests").ended and not state.stage("kernels").ended, "what broke off is tried again"


@pytest.mark.parametrize(("name", "value"), [("device_name", "GPU Y"), ("code", "def"), ("torch", "2.14.0")])
def test_a_state_of_another_machine_version_or_code_is_not_gone_on_with(path, name, value):
    FakeStages().run(path)
    other = FakeStages()
    state, _ = other.run(path, identity=IDENTITY | {name: value})
    assert other.done == EVERY_STEP
    assert f"{name} {IDENTITY[name]} then, {value} now" in state.said
    assert opened(path, IDENTITY).said, "and it has taken the place of the former one"


def test_a_recording_that_was_committed_is_gone_on_with(path):
    """The commit that it asks for changes no code that measures; --retry comes after it."""
    FakeStages().run(path)
    other = FakeStages()
    state, _ = other.run(path, identity=IDENTITY | {"commit": "def"})
    assert other.done == [] and not state.said


def good(path):
    FakeStages().run(path)
    return json.loads(path.read_text())


DAMAGE = {
    "empty": lambda found: "",
    "cut off": lambda found: json.dumps(found)[:-20],
    "no object": lambda found: "[1, 2]",
    "without stages": lambda found: json.dumps({**found, "stages": None}),
    "without an identity": lambda found: json.dumps({**found, "identity": 3}),
    "of another format": lambda found: json.dumps({**found, "format": 99}),
    "with a stage that is none": lambda found: json.dumps({**found, "stages": {"tests": 3}}),
    "with an unknown field": lambda found: json.dumps({**found, "stages": {"tests": {"colour": 1}}}),
    "with time that is no number": lambda found: json.dumps({**found, "stages": {"tests": {"spent_s": "long"}}}),
    "with endless time": lambda found: json.dumps({**found, "stages": {"tests": {"spent_s": float("inf")}}}),
    "with negative time": lambda found: json.dumps({**found, "stages": {"tests": {"spent_s": -5.0}}}),
    "with problems that are none": lambda found: json.dumps({**found, "stages": {"tests": {"problems": [1]}}}),
    "deeply nested": lambda found: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_state_begins_anew_and_says_so(path, damage):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = damage(good(path))
    path.write_text(text)
    fake = FakeStages()
    state, _ = fake.run(path)
    assert "damaged" in state.said and str(path) in state.said
    assert fake.done == EVERY_STEP and opened(path, IDENTITY).said == ""


def test_bytes_that_are_no_text_begin_anew(path):
    write_whole(path, b"\xff\xfe\x00")
    assert "cannot be read" in opened(path, IDENTITY).said


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "new" / "file"
    write_whole(path, b"before")

    def full(*_):
        raise OSError("no space")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before" and [*path.parent.iterdir()] == [path]


def report(state, **changes):
    values = {"unfit": (), "written": ("assets/runs/gpu-x-7b.jsonl", "kernels/README.md"), "out": ROOT}
    return "\n".join(lines(state, NAMES, budget_s=1800.0, **(values | changes)))


def test_the_report_says_what_to_commit_and_nothing_is_wrong(path):
    state, _ = FakeStages(step_s=60.0).run(path)
    said = report(state)
    assert "GPU X, torch 2.13.0, triton 3.7.1, transformers 5.23.0: 9.0 of 30 minutes used" in said
    assert "Nothing is wrong." in said and "Go on" not in said
    assert "  git add assets/runs/gpu-x-7b.jsonl kernels/README.md" in said
    assert "git add" not in report(state, out=path.parent), "a folder elsewhere is no repository"
    assert "nothing to commit" in report(state, written=())


def test_the_report_says_how_to_go_on(path):
    fake = FakeStages(stop=("bundled", 1))
    with pytest.raises(KeyboardInterrupt):
        fake.run(path)
    state = opened(path, IDENTITY)
    assert "What is wrong (1):\n  - bundled: interrupted" in report(state)
    assert report(state).endswith("Go on where it ended: make gpu")
    state.stage("bundled").spent_s = 1790.0
    assert report(state).endswith("make gpu BUDGET=45")
    state, _ = FakeStages(ending={"bundled": Ending(True, ("parity failed",))}).run(path)
    assert report(state).endswith("make gpu GPU_OPTIONS=--retry")
    assert "numpy 2.5.2 instead of 2.4.6" in report(state, other_versions=("numpy 2.5.2 instead of 2.4.6",))
