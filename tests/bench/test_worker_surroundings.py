"""A worker gets no secret of the server's environment, and starts under a limit that somebody else has set."""

import subprocess
import sys

import pytest

from models.bench.run.host import WorkerHost
from models.bench.run.variables import passed_on
from models.machine.paths import ROOT

SECRETS = {
    "CONTEXTSCOPE_DATABASE": "postgresql://me:pass@host/runs",
    "HF_TOKEN": "hf_x",
    "HUGGING_FACE_HUB_TOKEN": "hf_y",
    "HF_HUB_SECRET_TOKEN": "hf_z",
    "AWS_SECRET_ACCESS_KEY": "a",
    "NVIDIA_API_KEY": "n",
    "DATABASE_URL": "d",
    "STREAMLIT_SERVER_COOKIE_SECRET": "c",
    "SSH_AUTH_SOCK": "s",
}
WANTED = {
    "PATH": "/bin",
    "HOME": "/root",
    "http_proxy": "http://proxy",
    "CUDA_VISIBLE_DEVICES": "1",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "OMP_WAIT_POLICY": "PASSIVE",
    "NUMBA_CACHE_DIR": "/c",
    "HF_HOME": "/h",
    "HF_HUB_CACHE": "/h/hub",
    "HF_HUB_OFFLINE": "1",
    "PYTHONPATH": "/p",
    "LD_LIBRARY_PATH": "/l",
    "TOKENIZERS_PARALLELISM": "false",
    "CONTEXTSCOPE_DATA": "/d",
    "LC_ALL": "C",
}


def test_only_what_a_worker_computes_by_is_passed_on():
    assert passed_on(SECRETS | WANTED) == WANTED


def test_a_worker_is_started_without_secrets(monkeypatch):
    asked = {}

    class Popen:
        stdout, stdin, pid = (), None, 0

        def __init__(self, command, **options):
            asked.update(options["env"])

        def wait(self):
            return 0

        def poll(self):
            return 0

    monkeypatch.setattr(subprocess, "Popen", Popen)
    for name, value in (SECRETS | {"CUDA_VISIBLE_DEVICES": "3"}).items():
        monkeypatch.setenv(name, value)
    WorkerHost(("worker",), threads=2)._server()
    assert not set(SECRETS) & set(asked)
    assert (asked["CUDA_VISIBLE_DEVICES"], asked["OMP_NUM_THREADS"]) == ("3", "2")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is set on Linux")
@pytest.mark.parametrize("hard", [2**34, None], ids=["a hard limit", "none"])
def test_a_limit_that_is_set_already_is_kept(hard):
    script = f"""
import resource
from models.bench.run import worker
from models.machine import facts
facts.free_memory = lambda: 2**40
if {hard!r}:
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_DATA, ({hard!r}, {hard!r}))
worker._limit_memory()
print(*resource.getrlimit(resource.RLIMIT_DATA))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    soft, kept = map(int, done.stdout.split() or pytest.fail(done.stderr[-2000:]))
    if hard:
        assert (soft, kept) == (hard, hard)
    else:
        assert 2**39 < soft < 2**41
