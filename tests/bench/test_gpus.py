"""GPUs are named, measured and locked as torch numbers them, whatever CUDA_VISIBLE_DEVICES hides or turns round."""

import os
import stat

import pytest

import models
from models.bench.run.lease import Lease
from models.machine import facts, gpus
from models.machine.gpus import Gpu, chosen

A, B, C = Gpu("GPU-aa11", "NVIDIA A100"), Gpu("GPU-ab22", "NVIDIA H200"), Gpu("GPU-cc33", "NVIDIA H200")


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        (None, (A, B, C)),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("1", (B,)),
        ("2,0", (C, A)),
        (" 0 , 2 ", (A, C)),
        ("0,7,1", (A,)),  # CUDA stops at the first that is none
        ("1,1", (B,)),
        ("GPU-cc33,1", (C, B)),
        ("GPU-ab", (B,)),
        ("GPU-a", ()),  # the beginning of two
        ("MIG-77,0", (Gpu("MIG-77", "MIG-77"), A)),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(visible, seen):
    assert chosen((A, B, C), visible) == seen


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Two GPUs by a stand-in for nvidia-smi; torch sees the second one alone."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '*memory.free*GPU-ab22*) echo "140000";;\n'
        '*memory.free*) echo "500";;\n'
        '*) echo "GPU-aa11, NVIDIA A100"; echo "GPU-ab22, NVIDIA H200";;\n'
        "esac\n"
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(gpus.VISIBLE, "1")
    monkeypatch.setattr(gpus, "_free_by_nvml", lambda uuid: None)
    gpus.visible.cache_clear()
    yield
    gpus.visible.cache_clear()


def test_the_first_device_of_torch_is_the_visible_one(machine):
    assert facts.devices() == ("cpu", "cuda:0")
    assert facts.device_name("cuda:0") == "NVIDIA H200"
    assert facts.free_gpu_memory("cuda:0") == 140_000 * 2**20
    assert facts.free_gpu_memory("cuda:1") is None
    assert gpus.of("cpu") is None


def test_programs_with_other_masks_ask_for_the_same_lock(machine, monkeypatch):
    alone = Lease.of("cuda:0")
    monkeypatch.setenv(gpus.VISIBLE, "0,1")
    gpus.visible.cache_clear()
    assert alone._path == Lease.of("cuda:1")._path != Lease.of("cuda:0")._path
    assert alone._path.name == "contextscope-GPU-ab22.lock"


def test_torch_numbers_gpus_as_the_driver_does():
    assert models.__file__
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
