"""Load independent code from .venv/oracles for these tests alone: nothing else in the process may find it."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import mock

import pytest
import torch

ORACLES = Path(sys.prefix) / "oracles"


class NoExtension(ModuleType):
    """Stand in for a compiled module that was not built."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(f"{self.__name__}.{name}: the CUDA extension is not built, compare with the torch reference")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep thousands of tiny operators on one thread: on a busy machine two would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def visible(package: str, **stand_ins: ModuleType) -> Iterator[None]:
    """Let `package` be imported from .venv/oracles inside the block, and forget it afterwards.

    transformers imports mamba_ssm by name when it defines a model, and would run on whatever it finds.
    """
    if not (ORACLES / package).is_dir():
        pytest.fail(
            f"{package} is not in {ORACLES}: `make test` installs requirements-oracles.txt there", pytrace=False
        )
    names = (package, *stand_ins)
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
    sys.path.insert(0, str(ORACLES))
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        sys.path.remove(str(ORACLES))
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update(before)


@pytest.fixture(scope="session")
def mamba_ssm() -> SimpleNamespace:
    """Return mamba-ssm's torch references: scan (b, d, l) and one-token step."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip(f"mamba-ssm cannot be imported without triton, which has no wheel for {sys.platform}")
    package = ModuleType("mamba_ssm")  # without its __init__, which imports its models and their dependencies
    package.__path__ = [str(ORACLES / "mamba_ssm")]
    with visible("mamba_ssm", selective_scan_cuda=NoExtension("selective_scan_cuda")):
        sys.modules["mamba_ssm"] = package
        scans = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
        steps = importlib.import_module("mamba_ssm.ops.triton.selective_state_update")
    return SimpleNamespace(
        scan=scans.selective_scan_ref, step=steps.selective_state_update_ref, kernel=scans.selective_scan_fn
    )


@pytest.fixture(scope="session")
def rwkv_model() -> Iterator[Callable[[Path], object]]:
    """Return a loader of RWKV-LM checkpoints (.pth) into the author's inference code, on the CPU in float32."""
    switches = {"RWKV_JIT_ON": "0", "RWKV_CUDA_ON": "0", "RWKV_V7_ON": "0", "RWKV_RESCALE_LAYER": "0"}
    backends = ((torch.backends.cudnn, ("benchmark", "allow_tf32")), (torch.backends.cuda.matmul, ("allow_tf32",)))
    kept = [(owner, name, getattr(owner, name)) for owner, names in backends for name in names]
    with mock.patch.dict(os.environ, switches):
        with visible("rwkv"):
            found = importlib.import_module("rwkv.model")
        for owner, name, value in kept:  # its import turns TF32 on for the whole process
            setattr(owner, name, value)
        yield lambda path: found.RWKV(model=str(path), strategy="cpu fp32", verbose=False)


@pytest.fixture(scope="session")
def fla_recurrences() -> SimpleNamespace:
    """Return flash-linear-attention's naive recurrences: RWKV-6, and the generalised delta rule that is RWKV-7's.

    The two files are loaded by themselves: the package around them imports its kernels.
    """
    places = {"rwkv6": "fla/ops/rwkv6/recurrent_naive.py", "delta": "fla/ops/generalized_delta_rule/dplr/naive.py"}
    found = {}
    with visible("einops"):
        for name, place in places.items():
            if not (ORACLES / place).is_file():
                pytest.fail(f"{place} is not in {ORACLES}: `make test` installs requirements-oracles.txt there")
            spec = importlib.util.spec_from_file_location(f"fla_{name}", ORACLES / place)
            assert spec is not None and spec.loader is not None
            found[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found[name])
    return SimpleNamespace(rwkv6=found["rwkv6"].naive_recurrent_rwkv6, delta=found["delta"].dplr_recurrence)
