"""List the GPUs that torch will see, from the driver and without starting CUDA in this process.

CUDA_VISIBLE_DEVICES hides and reorders them for torch, not for the driver: both are brought together by identity.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, or a part of one, as the driver identifies and names it."""

    uuid: str
    name: str


@lru_cache(maxsize=1)
def visible() -> tuple[Gpu, ...]:
    """List what torch will call cuda:0, cuda:1 and so on."""
    listed = _asked("--query-gpu=uuid,name")
    every = tuple(Gpu(*(part.strip() for part in line.split(",", 1))) for line in listed if "," in line)
    return chosen(every, os.environ.get(VISIBLE))


def chosen(every: tuple[Gpu, ...], visible: str | None) -> tuple[Gpu, ...]:
    """Apply CUDA_VISIBLE_DEVICES as CUDA does: numbers or beginnings of identities, up to the first that is none."""
    if visible is None:
        return every
    found: list[Gpu] = []
    for entry in (part.strip() for part in visible.split(",")):
        if entry.isdigit():
            fits = [every[int(entry)]] if int(entry) < len(every) else []
        elif entry.startswith("MIG-"):
            fits = [Gpu(entry, entry)]  # a part of a GPU, which the list of whole ones does not have
        else:
            fits = [gpu for gpu in every if entry and gpu.uuid.startswith(entry)]
        if len(fits) != 1 or fits[0] in found:
            break
        found += fits
    return tuple(found)


def of(device: str) -> Gpu | None:
    """Return the GPU of a torch device ("cuda:0"); None for a CPU and a number that no GPU has."""
    kind, _, index = device.partition(":")
    number = int(index or 0)
    return visible()[number] if kind == "cuda" and number < len(visible()) else None


def free_bytes(gpu: Gpu) -> int | None:
    """Return the free memory of a GPU by the driver, or None."""
    return _free_by_nvml(gpu.uuid) or _free_by_tool(gpu.uuid)


def _free_by_nvml(uuid: str) -> int | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            return int(pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByUUID(uuid)).free)
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001  # no package, no driver, no such GPU: the library raises a tree of its own
        return None


def _free_by_tool(uuid: str) -> int | None:
    said = "".join(_asked("--query-gpu=memory.free", f"--id={uuid}", "--format=csv,noheader,nounits")).strip()
    return int(said) * 2**20 if said.isdigit() else None  # MiB


def _asked(query: str, *more: str) -> list[str]:
    """Ask nvidia-smi; nothing where there is none or it fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, query, *(more or ("--format=csv,noheader",))]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return said.splitlines()
