"""All four architectures run where nothing can be written; machine code is kept only where nobody else writes."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from models import registry
from models.machine import scratch

ROOT = Path(__file__).resolve().parents[2]
RUN_ALL = """
import os
from models import registry
for name in registry.bundled():
    registry.trace(registry.load(name), "one two three").derive()
    print(name)
print(os.environ.get("NUMBA_CACHE_DIR", "nowhere"))
"""
NO_LOCATOR = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = {kept}
import models, numpy as np
from seqops.cpu import selective_scan, wkv
from seqops.cpu.vectormath import exp_into
x, out, bits = np.zeros(4, np.float32), np.empty(4, np.float32), np.empty(4, np.int32)
exp_into(out, bits, x, 4)
print(out.tolist(), type(exp_into._cache).__name__)
"""


def read_only(*writable):
    """Return what makes a command see everything but some folders as read-only, also for root; None where it cannot."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        return None
    mounts = {line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()}
    places = [place for place in ("/", "/dev/shm") if place in mounts and place not in writable]
    # bind: this view of the place alone becomes read-only, not the place itself
    script = " && ".join(f"mount -o remount,bind,ro {place}" for place in places)
    return ["unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh"]


def python(script, *before, **environment):
    names = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "CONTEXTSCOPE_"))}
    names |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    command = [*before, sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, env=names, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
@pytest.mark.parametrize("writable", [(), ("/dev/shm",)], ids=["nothing", "memory"])
def test_all_architectures_run_on_a_read_only_disk(writable):
    before = read_only(*writable)
    if before is None:
        pytest.skip("no mount namespaces here")
    told = python("open('/tmp/x', 'w')", *before)
    assert "Read-only file system" in told.stderr, "the disk can be written, so nothing is shown"
    done = python(RUN_ALL, *before)
    assert done.returncode == 0, done.stderr[-2000:]
    *names, place = done.stdout.split()
    assert names == list(registry.bundled())
    assert place.startswith("/dev/shm/") if writable else place == "nowhere"


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["[]", "[caching.UserProvidedCacheLocator]"], ids=["no place", "in a file"])
def test_loops_compile_where_numba_finds_no_place(tmp_path, kept):
    (tmp_path / "file").write_text("no folder")
    done = python(NO_LOCATOR.format(kept=kept), NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert done.stdout.split() == ["[1.0,", "1.0,", "1.0,", "1.0]", "NullCache"], done.stderr[-2000:]


@pytest.mark.slow
def test_loops_are_kept_where_there_is_a_place(tmp_path):
    kept = "[caching.UserProvidedCacheLocator]"
    done = python(NO_LOCATOR.format(kept=kept), NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert done.stdout.split()[-1] == "FunctionCache", done.stderr[-2000:]
    assert list((tmp_path / "cache").rglob("*.nbc"))


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Make the usual places unwritable: beside the source, the home, the folder in memory. Temporary files have one."""
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(scratch, "_BESIDE", tmp_path / "file")
    monkeypatch.setattr(scratch, "_MEMORY", tmp_path / "none")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name in (scratch.NUMBA, "CONTEXTSCOPE_DATA", "XDG_CACHE_HOME", scratch.INDUCTOR):
        monkeypatch.setenv(name, "")  # so that it is put back, also where it was not set
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr(scratch, "_may_write", lambda _: False)
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    return tmp_path


def test_a_place_that_can_be_written_is_left_alone(nowhere, monkeypatch):
    monkeypatch.setenv(scratch.NUMBA, str(nowhere / "mine"))
    scratch.choose()
    assert os.environ[scratch.NUMBA] == str(nowhere / "mine")
    monkeypatch.delenv(scratch.NUMBA)
    monkeypatch.setattr(scratch, "_may_write", lambda _: True)
    scratch.choose()
    assert scratch.NUMBA not in os.environ


def test_the_data_folder_comes_before_that_for_temporary_files(nowhere, monkeypatch):
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(nowhere / "data"))
    monkeypatch.setenv(scratch.NUMBA, str(nowhere / "file" / "named"))
    scratch.choose()
    assert os.environ[scratch.NUMBA] == str(nowhere / "data" / "numba")
    monkeypatch.delenv("CONTEXTSCOPE_DATA")
    monkeypatch.setenv(scratch.NUMBA, "")
    scratch.choose()
    place = Path(os.environ[scratch.NUMBA])
    assert place.is_relative_to(nowhere / "tmp")
    assert place.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["open to all", "a link", "of another user"])
def test_a_folder_that_others_can_write_is_not_taken(nowhere, planted):
    name = nowhere / "tmp" / f"contextscope-{os.geteuid()}"
    if planted == "a link":
        (nowhere / "theirs").mkdir()
        name.symlink_to(nowhere / "theirs")
    else:
        name.mkdir()
        name.chmod(0o777)
    if planted == "of another user":
        if os.geteuid():
            pytest.skip("only root can give a folder away")
        name.chmod(0o755)
        os.chown(name, 65534, 65534)
    scratch.choose()
    place = Path(os.environ[scratch.NUMBA])
    assert not place.is_relative_to(name)
    assert place.is_relative_to(nowhere / "tmp")


def test_temporary_files_find_a_place_too(nowhere, monkeypatch):
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(nowhere / "data"))
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.setattr(scratch, "_has_temporary", lambda: False)
    scratch.choose()
    assert os.environ["TMPDIR"] == str(nowhere / "data" / "tmp")
    monkeypatch.delenv("CONTEXTSCOPE_DATA")
    monkeypatch.delenv(scratch.NUMBA)
    scratch.choose()
    assert scratch.NUMBA not in os.environ
    assert Path(os.environ[scratch.INDUCTOR]).is_dir(), "torch makes it as it is imported, unless it is there"
