"""A small model is traced on one thread, a large one on all, and the server sleeps where it waits."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from models import registry
from models.machine import threads
from models.tracing.adapter import Checkpoint

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import os, sys, threading
sys.path[:0] = [".", "kernels"]
from pages.shared import cache
assert "torch" not in sys.modules, "the policy of OpenMP is read when torch is imported"
cache.serve()
import torch
seen = [torch.get_num_threads()]
other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
other.start()
other.join()
print(seen, os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give torch three threads, whatever this machine has and whatever another test has served."""
    monkeypatch.setattr(threads, "_all", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the number of threads of every forward pass."""
    found: list[int] = []
    for adapter in registry.ADAPTERS:

        def noted(*args: object, run: Callable[..., object] = adapter.forward, **options: object) -> object:
            found.append(torch.get_num_threads())
            return run(*args, **options)

        monkeypatch.setattr(type(adapter), "forward", staticmethod(noted))
    return found


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("bundled", [adapter.bundled for adapter in registry.ADAPTERS])
def test_a_bundled_model_runs_on_one_thread(
    bundled: str, checkpoint_of: Callable[[str], Checkpoint], seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = checkpoint_of(bundled)
    registry.trace(checkpoint, "a few words")
    assert seen == [1]
    assert torch.get_num_threads() == 3, "given back"
    monkeypatch.setattr(threads, "LARGE", 1_000_000)
    registry.trace(checkpoint, "a few words")
    assert seen == [1, 3]


@pytest.mark.usefixtures("three")
def test_a_model_is_large_from_a_number_of_parameters_on() -> None:
    assert threads.threads_for(threads.LARGE - 1) == 1
    assert threads.threads_for(threads.LARGE) == 3


@pytest.mark.usefixtures("three")
def test_the_least_that_is_asked_for_at_once_counts() -> None:
    other_in, other_may_end = threading.Event(), threading.Event()

    def other() -> None:
        with threads.limited(1):
            other_in.set()
            other_may_end.wait(30)

    thread = threading.Thread(target=other)
    with threads.limited(2):
        assert torch.get_num_threads() == 2
        thread.start()
        assert other_in.wait(30)
        with threads.limited(2):
            assert torch.get_num_threads() == 1
        other_may_end.set()
        thread.join()
        with pytest.raises(ValueError), threads.limited(2):
            raise ValueError
    assert torch.get_num_threads() == 3
    assert threads._asked == []


@pytest.mark.usefixtures("three")
def test_a_server_has_one_thread_and_knows_how_many_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_all", 0)
    threads.serve()
    threads.serve()
    assert torch.get_num_threads() == 1
    assert threads.threads_for(threads.LARGE) == 3
    with threads.limited(threads.threads_for(threads.LARGE)):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 1


@pytest.mark.slow
@pytest.mark.parametrize(("chosen", "policy", "left"), [("", "PASSIVE", "None"), ("ACTIVE", "ACTIVE", "ACTIVE")])
def test_a_server_waits_asleep_and_its_workers_do_not_inherit_that(chosen: str, policy: str, left: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    environment |= {"OMP_DISPLAY_ENV": "TRUE", "OMP_NUM_THREADS": "2"} | ({"OMP_WAIT_POLICY": chosen} if chosen else {})
    done = subprocess.run(
        [sys.executable, "-c", SERVER], cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[-2] == f"[1, 1] {left}"
    if "OMP_WAIT_POLICY" in done.stderr:  # libgomp says so; another OpenMP may not
        assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr
