"""Peak memory of this process: from the kernel on a CPU, from torch's allocator on a GPU."""

import ctypes
import gc
import importlib.util
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_RETURNED_FROM = 128 << 10  # where glibc starts: larger blocks go back to the system as soon as they are freed
_KEPT_UP_TO = 32 << 20  # where it ends by itself once blocks as large as this have been freed


class Meter(ABC):
    """Peak bytes above a baseline that is taken by start()."""

    baseline = 0

    def watch(self) -> None:
        """Make the allocator give back what is freed, where that makes the peaks true."""
        return

    @abstractmethod
    def start(self) -> None:
        """Take the present use as the baseline and begin a new peak."""

    @abstractmethod
    def restart(self) -> None:
        """Begin a new peak above the old baseline."""

    @abstractmethod
    def peak(self) -> int:
        """Return the highest use since the last start or restart, above the baseline."""

    def unwatch(self) -> None:
        """Let the allocator reuse freed memory, which is faster."""
        return

    def reserved_bytes(self) -> int | None:
        """Return the most that the allocator has held, where there is one."""
        return None

    def process_bytes(self) -> int | None:
        """Return the use of the whole process."""
        return None


class ResidentMeter(Meter):
    """The resident set of this process: VmHWM, reset through clear_refs where Linux allows it, else ru_maxrss.

    While it is watched glibc returns every block of 128 KiB or more as soon as it is freed, so that the peak is what
    was in use, and repeats. Left alone it learns to keep freed blocks of up to 32 MiB, which is faster, and they count.
    It does not unlearn what it keeps already: exact to a few pages only in a process that was watched from its start.
    Without the reset the peak includes whatever came before, so it can only be too high, never too low.
    """

    def __init__(self) -> None:
        self._highest = 0

    def watch(self) -> None:
        """Have glibc return what is freed."""
        _return_freed_from(_RETURNED_FROM)

    def start(self) -> None:
        """Take the present use as the baseline, without what was freed but is still held, and begin a new peak."""
        gc.collect()
        _in_libc("malloc_trim", 0)
        self._highest = 0
        self.restart()
        self.baseline = _status("VmRSS") or _max_resident()

    def restart(self) -> None:
        """Begin a new peak above the old baseline."""
        try:
            _CLEAR_REFS.write_text("5", encoding="ascii")
        except OSError:
            return

    def peak(self) -> int:
        """Return the highest use since the last start or restart."""
        whole = _status("VmHWM") or _max_resident()
        self._highest = max(whole, self._highest)
        return max(whole - self.baseline, 0)

    def unwatch(self) -> None:
        """Let glibc reuse freed memory, as it does by itself in a long-running process."""
        _return_freed_from(_KEPT_UP_TO)

    def process_bytes(self) -> int | None:
        """Return the highest of all peaks since the start, the baseline included."""
        return self._highest


class CudaMeter(Meter):
    """What torch's allocator gave out on one device."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def start(self) -> None:
        """Take the present use as the baseline and begin a new peak."""
        self.baseline = torch.cuda.memory_allocated(self.device)
        self.restart()

    def restart(self) -> None:
        """Begin a new peak above the old baseline."""
        torch.cuda.synchronize(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        """Return the highest use since the last start or restart."""
        return max(torch.cuda.max_memory_allocated(self.device) - self.baseline, 0)

    def reserved_bytes(self) -> int | None:
        """Return the most that the allocator has held."""
        return int(torch.cuda.max_memory_reserved(self.device))

    def process_bytes(self) -> int | None:
        """Return the use of the whole process."""
        return _nvml_process(uuid_of(self.device))


@contextmanager
def watching(device: str) -> Iterator[Meter]:
    """Make a device's allocator give back what is freed from here on; yields a meter that was not started yet."""
    watched = ResidentMeter() if device == "cpu" else CudaMeter(device)
    watched.watch()
    try:
        yield watched
    finally:
        watched.unwatch()


def foreign_processes(device: str) -> int | None:
    """Count the processes that compute on a GPU beside this one and its siblings, the cells interleaved with it.

    None for the CPU, where the driver does not tell, and where it counts in other numbers than ours (in a container).
    """
    if device == "cpu":
        return None
    nvml, handle = nvml_of(uuid_of(torch.device(device)))
    if nvml is None:
        return None
    try:
        seen = {process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    except nvml.NVMLError:
        return None
    return len(seen - _siblings()) if os.getpid() in seen else None


def _siblings() -> set[int]:
    """Return the processes that the parent of this one has started, this one among them."""
    try:
        return {os.getpid(), *(child.pid for child in psutil.Process(os.getppid()).children())}
    except psutil.Error:
        return {os.getpid()}


def device_facts(device: str) -> dict[str, Any]:
    """Name a GPU with its driver-independent identity, the CUDA version and its state now; nothing for the CPU."""
    if device == "cpu":
        return {}
    properties = torch.cuda.get_device_properties(device)
    uuid = uuid_of(torch.device(device))
    return {
        "device_name": properties.name,
        "device_uuid": uuid,
        "cuda": torch.version.cuda or "",
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        **_state_of(uuid),
    }


def _state_of(uuid: str) -> dict[str, Any]:
    """Return a GPU's driver, clock (MHz), temperature (deg C) and why it is held back, as far as the driver tells."""
    nvml, handle = nvml_of(uuid)
    if nvml is None:
        return {}
    asked: dict[str, Callable[[], Any]] = {
        "driver": nvml.nvmlSystemGetDriverVersion,
        "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "throttle_reasons": lambda: hex(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)),
    }
    found: dict[str, Any] = {}
    for name, ask in asked.items():
        with suppress(nvml.NVMLError):
            found[name] = ask()
    return found


def _return_freed_from(size: int) -> None:
    """Make glibc map each block of at least `size` bytes separately, and return it to the system when it is freed."""
    _in_libc("mallopt", _M_MMAP_THRESHOLD, size)
    _in_libc("mallopt", _M_TRIM_THRESHOLD, 2 * size)


def _in_libc(function: str, *values: int) -> None:
    """Call a function that glibc has and other C libraries lack."""
    found = getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
    if found is not None:
        found(*values)


def _status(key: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":")), None)


def _max_resident() -> int:
    import resource  # absent on Windows, where psutil would be needed

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def uuid_of(device: torch.device) -> str:
    """Return the identity of a GPU as NVML spells it."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def _nvml_process(uuid: str) -> int | None:
    nvml, handle = nvml_of(uuid)
    if nvml is None:
        return None
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return None
    return next((p.usedGpuMemory for p in running if p.pid == os.getpid()), None)


def nvml_of(uuid: str) -> tuple[Any, Any]:
    """Return the NVML module and a device's handle, or None twice."""
    if importlib.util.find_spec("pynvml") is None:
        return None, None
    import pynvml

    for name in (uuid, uuid.replace("GPU-", "MIG-", 1)):  # a part of a GPU has an identity of its own
        with suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            return pynvml, pynvml.nvmlDeviceGetHandleByUUID(name)
    return None, None
