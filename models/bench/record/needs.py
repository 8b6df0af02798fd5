"""Check before a recording that the machine has what it needs. Imports nothing that may be missing."""

import importlib
import importlib.util
import re
import sys
from importlib import metadata
from typing import Any

from models.errors import SettingError
from models.machine import facts
from models.machine.paths import ROOT

FOR_PAGES = ("altair", "pandas", "plotly", "starlette", "streamlit")  # requirements that a recording does without
MODULES = {"nvidia-ml-py": "pynvml", "PyYAML": "yaml", "SQLAlchemy": "sqlalchemy"}  # of another name than the package
EXACT = ("transformers",)  # whose classes our code reaches into: 5.17 has no caches that our Mamba could continue
REQUIREMENTS = ROOT / "requirements.txt"
OTHER_PYTHON = "if another Python has it, name that one: make gpu GPU_PYTHON=/path/to/python3"


def check(device: str) -> None:
    """Raise SettingError with one sentence for the first thing that is missing and what to do about it."""
    if missing := lacking():
        install = f"{sys.executable} -m pip install {' '.join(missing)}"
        raise _missing(
            device,
            f"Python packages are missing: {install} (without a network: CONTRIBUTING.md, "
            f"Recording on a GPU machine); {OTHER_PYTHON}",
        )
    if device != "cpu":
        _check_gpu(device)


def lacking() -> list[str]:
    """List the packages, as pip takes them, that are not here or, where it matters, not in the version asked for."""
    return [
        f"{name}=={version}"
        for name, version in required().items()
        if not is_here(name) or (name in EXACT and version_of(name) not in (version, None))
    ]


def required() -> dict[str, str]:
    """Return the packages of requirements.txt that a recording needs, with their versions."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    found = {match[1]: match[2] for line in lines if (match := re.match(r"([\w.-]+)==([\w.]+)", line))}
    return {name: version for name, version in found.items() if name not in FOR_PAGES}


def other_versions() -> tuple[str, ...]:
    """List the packages that are here in another version than requirements.txt names."""
    return tuple(
        f"{name} {here} instead of {wanted}"
        for name, wanted in required().items()
        if (here := version_of(name)) is not None and here.partition("+")[0] != wanted
    )


def version_of(name: str) -> str | None:
    """Return the version of a package, or None where nobody tells."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _check_gpu(device: str) -> None:
    torch: Any = importlib.import_module("torch")
    if torch.version.cuda is None:
        raise _missing(
            device,
            f"torch {torch.__version__} is a build without CUDA: install the CUDA build of torch on a machine with an "
            f"NVIDIA GPU; {OTHER_PYTHON}",
        )
    if not torch.cuda.is_available():
        raise _missing(
            device,
            f"torch {torch.__version__} finds no CUDA device: run this on a machine with an NVIDIA GPU, where "
            "nvidia-smi lists it and CUDA_VISIBLE_DEVICES does not hide it",
        )
    if device not in facts.devices():
        here = ", ".join(facts.devices()[1:]) or "none"
        raise _missing(device, f"nvidia-smi lists no {device} (it lists: {here}): choose another --device")
    if not is_here("triton"):
        raise _missing(
            device,
            f"Triton is not installed, and without it no kernel of ours runs on {device}: install the one that belongs "
            f"to torch {torch.__version__}: {sys.executable} -m pip install triton",
        )


def is_here(name: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(MODULES.get(name, name.replace("-", "_").lower())) is not None


def _missing(device: str, message: str) -> SettingError:
    return SettingError("errors.device_missing", message, device=device)
