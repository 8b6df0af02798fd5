"""Live beside the PyPI package `kernels`: with a fake 0.18.2 of it installed, the models and the app work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models import registry

ROOT = Path(__file__).resolve().parents[2]
METADATA = "Metadata-Version: 2.1\nName: kernels\nVersion: 0.18.2\n"
STUB = '''
"""Stand in for kernels 0.18.2: the names transformers imports, none of them doing anything."""


class _Thing:
    def __init__(self, *args, **options):
        self.args, self.options = args, options

    def __getattr__(self, name):
        return None


CUDAProperties = Device = LayerRepository = LocalLayerRepository = FuncRepository = ROCMProperties = _Thing


class KernelizeFallback:
    WARN = RAISE = NONE = "none"


class Mode:
    TRAINING = INFERENCE = FALLBACK = "mode"


def _keep(*_args, **_options):
    return lambda decorated: decorated


use_kernel_forward_from_hub = use_kernelized_func = use_kernel_func_from_hub = use_kernel_mapping = _keep


def register_kernel_mapping(*_args, **_options):
    pass


def replace_kernel_forward_from_hub(*_args, **_options):
    pass


def kernelize(model, **_options):
    return model


def get_kernel(*_args, **_options):
    raise OSError("no hub here")
'''
MODELS = """
import kernels
assert kernels.__file__.startswith({fake!r}), kernels.__file__
from transformers.utils.import_utils import is_kernels_available
assert is_kernels_available()
from models import registry
from models.reconstruction import reconstruction_errors
import seqops
for name in registry.bundled():
    trace = registry.trace(registry.load(name), "Once upon a time")
    worst = max(error for layer in trace for error in reconstruction_errors(layer).values())
    assert worst < 1e-4, (name, worst)
    print(name)
"""
APP = """
from streamlit.testing.v1 import AppTest
at = AppTest.from_file("pages/frame/main.py", default_timeout=200)
at.run()
assert not at.exception and not at.error, (at.exception, at.error)
print(at.title[0].value)
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a fake distribution `kernels` 0.18.2 in a folder."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "kernels").mkdir()
    (folder / "kernels" / "__init__.py").write_text(STUB)
    (folder / "kernels-0.18.2.dist-info").mkdir()
    (folder / "kernels-0.18.2.dist-info" / "METADATA").write_text(METADATA)
    (folder / "kernels-0.18.2.dist-info" / "RECORD").write_text("kernels/__init__.py,,\n")
    return folder


@pytest.mark.slow
def test_works_beside_the_package_kernels(fake: Path) -> None:
    """The models and then the app, in one process: importing torch takes longer than either."""
    environment = {**os.environ, "PYTHONPATH": str(fake), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MODELS.format(fake=str(fake)) + APP],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *names, title = done.stdout.splitlines()
    assert names == list(registry.bundled())
    assert title
