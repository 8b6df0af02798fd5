"""What a GPU alone can tell, computed from known readings: waiting between kernels, strangers on the device."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from models.bench.measure import memory
from models.bench.measure.profile import Profile


def test_a_captured_step_waits_less_though_its_kernels_take_as_long() -> None:
    seen = Profile(ops_per_token=300, busy_ms=2.0, watched_ms=None, experts_distinct=None, attention_kernel="")
    assert seen.waiting(8.0) == pytest.approx(0.75)
    assert seen.waiting(2.5) == pytest.approx(0.2)
    assert seen.waiting(1.9) == 0.0


def test_on_a_cpu_operators_are_set_against_the_step_that_was_watched() -> None:
    seen = Profile(ops_per_token=300, busy_ms=2.0, watched_ms=4.0, experts_distinct=None, attention_kernel="")
    assert seen.waiting(2.5) == seen.waiting(100.0) == pytest.approx(0.5)


def test_the_state_of_a_gpu_is_told_as_far_as_the_driver_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: object) -> int:
        raise OSError("not supported")

    nvml = SimpleNamespace(
        NVMLError=OSError, NVML_CLOCK_SM=1, NVML_TEMPERATURE_GPU=0,
        nvmlSystemGetDriverVersion=lambda: "580.95.05",
        nvmlDeviceGetClockInfo=lambda handle, kind: 1980 if kind == 1 else 0,
        nvmlDeviceGetTemperature=lambda handle, kind: 41,
        nvmlDeviceGetCurrentClocksEventReasons=refuse,
    )  # fmt: skip
    device = SimpleNamespace(name="NVIDIA H200", uuid="0-1")
    monkeypatch.setattr(memory, "nvml_of", lambda uuid: (nvml, object()))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: device)
    facts = memory.device_facts("cuda:0")
    assert (facts["device_name"], facts["device_uuid"]) == ("NVIDIA H200", "GPU-0-1")
    assert (facts["driver"], facts["sm_clock_mhz"], facts["temperature_c"]) == ("580.95.05", 1980, 41)
    assert "throttle_reasons" not in facts
    monkeypatch.setattr(memory, "nvml_of", lambda uuid: (None, None))
    assert "driver" not in memory.device_facts("cuda:0")
    assert memory.device_facts("cpu") == {}


@pytest.mark.parametrize("own", [True, False], ids=["our numbers", "other numbers"])
def test_cells_that_take_turns_are_no_strangers(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sibling = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pids = [sibling.pid, 1, *([os.getpid()] if own else [])]
    nvml = SimpleNamespace(
        NVMLError=OSError,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [SimpleNamespace(pid=pid) for pid in pids],
    )
    monkeypatch.setattr(memory, "nvml_of", lambda uuid: (nvml, object()))
    monkeypatch.setattr(memory, "uuid_of", lambda device: "GPU-0")
    monkeypatch.setattr(os, "getppid", os.getpid)  # as if this process had been started by the sibling's parent
    try:
        assert memory.foreign_processes("cuda") == (1 if own else None)
    finally:
        sibling.communicate(b"\n")
    assert memory.foreign_processes("cpu") is None
