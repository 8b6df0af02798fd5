"""The right to measure on a device holds between programs, whoever started them."""

import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from models.bench.run.lease import Lease

pytest.importorskip("fcntl")
NOBODY = 65534


@pytest.fixture
def shared_folder():
    """A folder as /tmp is: everybody may write, and enter it, which pytest's own folders do not allow."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def taken_by_another(path):
    """Try to take a lease in another process, of another user where this one may become one."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            if os.getuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            code = int(Lease(path).taken())
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1)
    return bool(code)


def test_a_lease_holds_between_users(shared_folder):
    path = shared_folder / "cpu.lock"
    ours = Lease(path)
    assert ours.taken()
    path.chmod(0o444)  # to a user who is not root, a file of somebody else
    assert not taken_by_another(path)
    ours.give_back()
    assert taken_by_another(path)
    assert ours.taken()
    ours.give_back()


def test_everybody_may_read_a_lock_file(shared_folder):
    path = shared_folder / "cpu.lock"
    before = os.umask(0o077)
    try:
        lease = Lease(path)
        assert lease.taken()
        lease.give_back()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_lock_file_made_by_another_program_just_now_is_opened(shared_folder, monkeypatch):
    path, other = shared_folder / "cpu.lock", Lease(shared_folder / "cpu.lock")
    opened = os.open

    def just_before(*args, **kwargs):
        monkeypatch.undo()
        assert other.taken()
        return opened(*args, **kwargs)

    monkeypatch.setattr(os, "open", just_before)
    assert not Lease(path).taken()
    other.give_back()


def test_a_place_where_no_lock_can_be_kept_counts_as_free(shared_folder):
    assert Lease(shared_folder / "missing" / "cpu.lock").taken()


def test_asking_who_has_a_lease_takes_it_from_nobody(tmp_path):
    path = tmp_path / "cpu.lock"
    mine, theirs = Lease(path), Lease(path)
    assert not mine.elsewhere()
    assert theirs.taken(), "asking has not kept it"
    assert mine.elsewhere()
    assert not theirs.elsewhere()
    assert mine.elsewhere(), "its owner has not lost it by asking"
    assert not Lease(None).elsewhere()


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path):
    path = tmp_path / "cpu.lock"
    os.mkfifo(path)
    found = []
    asking = threading.Thread(target=lambda: found.append(Lease(path).taken()), daemon=True)
    asking.start()
    asking.join(30)
    assert found == [True], "a place where no lock can be kept counts as free"


def test_a_folder_in_its_place_counts_as_free(tmp_path):
    (tmp_path / "cpu.lock").mkdir()
    assert Lease(tmp_path / "cpu.lock").taken()


def test_a_machine_without_a_folder_for_temporary_files_counts_as_free(monkeypatch):
    def none():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert Lease.of("cpu").taken()
