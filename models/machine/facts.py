"""Record the machine, the versions and the free memory of a measurement. Imports no torch."""

import os
import platform
import shutil
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from models.machine import gpus as gpu_module
from models.machine.paths import ROOT

PACKAGES = ("torch", "transformers", "numpy", "numba", "mamba-ssm", "causal-conv1d")


@lru_cache(maxsize=1)
def environment() -> dict[str, Any]:
    """Describe this machine: processor, cores, memory, versions, commit. Values are JSON values."""
    return {
        "host_cpu": processor(),
        "cores": usable_cores(),
        "memory_bytes": total_memory(),
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name.replace("-", "_"): version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
    }


def processor() -> str:
    """Name the processor as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def usable_cores() -> int:
    """Count the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def total_memory() -> int | None:
    """Return the bytes of memory of this machine or of its control group, or None where neither tells."""
    return _smallest(_meminfo("MemTotal"), _cgroup_limit())


def free_memory() -> int | None:
    """Return the bytes a new process can expect to get, or None where the system does not tell."""
    limit, used = _cgroup_limit(), _read_number("/sys/fs/cgroup/memory.current")
    in_group = limit - used if limit is not None and used is not None else None
    return _smallest(_meminfo("MemAvailable"), in_group)


def free_gpu_memory(device: str) -> int | None:
    """Return the free bytes of a GPU ("cuda:0") by the driver, without starting CUDA here, or None."""
    found = gpu_module.of(device)
    return None if found is None else gpu_module.free_bytes(found)


def free_bytes(device: str) -> int | None:
    """Return the free bytes of a device's memory, or None where nobody tells."""
    return free_memory() if device == "cpu" else free_gpu_memory(device)


def load_average() -> float | None:
    """Return the one-minute load, or None where there is none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def gpus() -> tuple[str, ...]:
    """Name the CUDA devices that torch will see, in its order."""
    return tuple(gpu.name for gpu in gpu_module.visible())


def devices() -> tuple[str, ...]:
    """List what can be measured on: "cpu", then "cuda:0" and so on."""
    return ("cpu", *(f"cuda:{index}" for index in range(len(gpus()))))


def device_name(device: str) -> str:
    """Return the name a person knows a device by."""
    kind, _, index = device.partition(":")
    names = gpus()
    return names[int(index or 0)] if kind == "cuda" and int(index or 0) < len(names) else processor()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return ""
    try:
        command = [git, "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
        shown = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return shown.stdout.strip() if shown.returncode == 0 else ""


def _meminfo(key: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":")), None)


def _cgroup_limit() -> int | None:
    return _read_number("/sys/fs/cgroup/memory.max")


def _read_number(path: str) -> int | None:
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _smallest(*numbers: int | None) -> int | None:
    known = [number for number in numbers if number is not None]
    return min(known, default=None)
