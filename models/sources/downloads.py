"""Download hub models in the background, with shared progress, resumption and cancellation.

Only configuration, tokenizer and safetensors are taken. A download that was interrupted goes on where it stopped: the
part that came is kept beside the cache's own files and is checked against the hub's SHA-256 when it is whole.
"""

import errno
import hashlib
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi, constants, get_session, hf_hub_url, snapshot_download
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from huggingface_hub.utils import tqdm as hub_tqdm  # type: ignore[attr-defined]

from models import units
from models.errors import ContextscopeError, SettingError, SourceError
from models.sources import hub

State = Literal["running", "done", "cancelled", "failed"]
CONVERTER = "SFconvertbot"  # the hub's own account that proposes safetensors copies of pickled weights
SPARE_BYTES = 256 * 2**20  # that stay free on the disk
READ_BYTES = 2**22
ANSWER_S = 10.0
TRIES = 4  # in a row without a new byte


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download is. total_bytes is 0 until the hub has said it; error says why it failed.

    bytes_per_s: what came since the start, over that time.
    """

    model: str
    state: State
    done_bytes: int
    total_bytes: int
    bytes_per_s: float
    error: ContextscopeError | None = None


class _CancelledError(Exception):
    """Somebody cancelled."""


@dataclass
class _Job:
    """One running or finished download; written by its thread, read by everybody."""

    model: str
    revision: str | None
    state: State = "running"
    done: int = 0
    total: int = 0
    here: int = 0  # bytes that an earlier attempt had left
    started: float = field(default_factory=time.monotonic)
    error: ContextscopeError | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def progress(self) -> DownloadProgress:
        seconds = max(time.monotonic() - self.started, 1e-3)
        rate = max(0, self.done - self.here) / seconds
        return DownloadProgress(self.model, self.state, self.done, self.total, rate, self.error)

    def add(self, count: int) -> None:
        if self.cancel.is_set():
            raise _CancelledError
        self.done += count


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a repository as the hub lists it; sha256 only for large ones."""

    name: str
    size: int
    sha256: str | None


_jobs: dict[str, _Job] = {}
_lock = threading.Lock()


def start(model: str, *, revision: str | None = None) -> None:
    """Begin to download a hub model in the background; nothing happens when it is already on its way or here.

    One model at a time, for all visitors: SettingError while another one is on its way.
    """
    with _lock:
        job = _jobs.get(model)
        if (job is not None and job.state == "running") or hub.downloaded(model):
            return
        for other in running():
            message = f"{other!r} is being downloaded: wait until it is here, then download {model!r}"
            raise SettingError("errors.download_busy", message, source=model, other=other)
        job = _jobs[model] = _Job(model, revision)
        job.thread = threading.Thread(target=_run, args=(job,), name=f"download {model}", daemon=True)
        job.thread.start()


def progress(model: str) -> DownloadProgress | None:
    """Return how far the download of a model is, or None when nobody has asked for it since the program started."""
    job = _jobs.get(model)
    return None if job is None else job.progress()


def running() -> tuple[str, ...]:
    """List the models that are on their way."""
    return tuple(model for model, job in list(_jobs.items()) if job.state == "running")


def cancel(model: str) -> None:
    """Stop a download; what has come is kept for the next attempt."""
    job = _jobs.get(model)
    if job is not None:
        job.cancel.set()


def wait(model: str, *, timeout_s: float) -> DownloadProgress | None:
    """Wait until a download has ended, for tests and the command line; return its progress."""
    job = _jobs.get(model)
    if job is not None and job.thread is not None:
        job.thread.join(timeout_s)
    return progress(model)


def _run(job: _Job) -> None:
    try:
        _fetch(job)
        job.state = "done"
    except _CancelledError:
        job.state = "cancelled"
    except Exception as error:  # noqa: BLE001  # whatever went wrong is one sentence for the visitor
        job.error = _disk_full(job) if _is_full(error) else hub.translated(job.model, error)
        job.state = "cancelled" if job.cancel.is_set() else "failed"


def _fetch(job: _Job) -> None:
    api = HfApi(endpoint=constants.ENDPOINT)
    commit, files = _listing(api, job.model, job.revision)
    if not hub.has_tokenizer(file.name for file in files):
        message = f"the hub model {job.model!r} has no tokenizer, so it could not read a text"
        raise SourceError("errors.no_tokenizer", message, source=job.model)
    job.total = sum(file.size for file in files)
    job.here = job.done = sum(_kept(job.model, file) for file in files)
    _check_disk(job)
    for file in files:
        job.add(0)
        if file.sha256 is not None:
            _bring(job, file, commit)
    snapshot_download(
        job.model,
        revision=commit,
        allow_patterns=[file.name for file in files],
        cache_dir=constants.HF_HUB_CACHE,
        endpoint=constants.ENDPOINT,
        max_workers=1,
        tqdm_class=_Silent,
    )
    if not hub.downloaded(job.model):
        raise SourceError("errors.no_weights", f"the hub model {job.model!r} came without weights", source=job.model)
    job.done = job.total


def _listing(api: HfApi, model: str, revision: str | None) -> tuple[str, list[_File]]:
    """Ask what a repository holds; without safetensors look for the hub's own conversion of it."""
    found = api.model_info(model, revision=revision, files_metadata=True, timeout=ANSWER_S)
    files = _files(found)
    if not any(file.name.endswith(".safetensors") for file in files):
        names = [entry.rfilename for entry in found.siblings or ()]
        converted = _converted(api, model) if revision is None and any(map(hub.PICKLED.fullmatch, names)) else None
        if converted is None:
            key = "errors.unsafe_weights" if any(map(hub.PICKLED.fullmatch, names)) else "errors.no_weights"
            raise SourceError(key, f"the hub model {model!r} has no safetensors weights", source=model)
        found = api.model_info(model, revision=converted, files_metadata=True, timeout=ANSWER_S)
        files = _files(found)
        if not any(file.name.endswith(".safetensors") for file in files):
            raise SourceError(
                "errors.unsafe_weights", f"the hub model {model!r} has its weights as pickles", source=model
            )
    return str(found.sha), files


def _files(found: Any) -> list[_File]:
    siblings = {entry.rfilename: entry for entry in found.siblings or ()}
    return [
        _File(name, int(siblings[name].size or 0), siblings[name].lfs.sha256 if siblings[name].lfs else None)
        for name in hub.wanted(siblings)
    ]


def _converted(api: HfApi, model: str) -> str | None:
    """Return the reference under which the hub's converter has proposed safetensors, or None."""
    proposals = api.get_repo_discussions(model, author=CONVERTER, discussion_type="pull_request")
    for proposal in proposals:
        if proposal.author == CONVERTER and proposal.status == "open" and "safetensors" in proposal.title:
            return str(proposal.git_reference)
    return None


def _blob(model: str, file: _File) -> Path:
    return hub.storage(model) / "blobs" / str(file.sha256)


def _part(model: str, file: _File) -> Path:
    return hub.storage(model) / "contextscope" / f"{file.sha256}.part"


def _kept(model: str, file: _File) -> int:
    """Count the bytes of a file that are already here, whole or in part."""
    if file.sha256 is None:
        return 0
    if _blob(model, file).is_file():
        return file.size
    part = _part(model, file)
    return min(part.stat().st_size, file.size) if part.is_file() else 0


def _check_disk(job: _Job) -> None:
    place = Path(constants.HF_HUB_CACHE)
    place.mkdir(parents=True, exist_ok=True)
    need, free = job.total - job.here, shutil.disk_usage(place).free
    if need + SPARE_BYTES > free:
        raise _disk_full(job)


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def _disk_full(job: _Job) -> SourceError:
    need = job.total - job.here + SPARE_BYTES
    free = shutil.disk_usage(constants.HF_HUB_CACHE).free
    message = f"{job.model!r} needs {need} bytes on the disk, {free} are free: make room and try again"
    return SourceError(
        "errors.disk_full", message, source=job.model, need=units.decimal_size(need), free=units.decimal_size(free)
    )


def _bring(job: _Job, file: _File, commit: str) -> None:
    """Stream a large file into its place in the cache, going on where an earlier attempt stopped."""
    blob, part = _blob(job.model, file), _part(job.model, file)
    if blob.is_file():
        return
    part.parent.mkdir(parents=True, exist_ok=True)
    blob.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(job.model, file.name, revision=commit, endpoint=constants.ENDPOINT)
    tries = 0
    while _size(part) < file.size:
        before = _size(part)
        try:
            _stream(job, url, part, file.size)
        except (_CancelledError, ContextscopeError):
            raise
        except Exception as error:
            tries = 0 if _size(part) > before else tries + 1
            if tries >= TRIES or (_is_full(error)):
                raise
            job.cancel.wait(0.5 * tries)
    _check_digest(job, file, part)
    part.replace(blob)


def _stream(job: _Job, url: str, part: Path, size: int) -> None:
    """Append what is missing of a file; a server that ignores the range sends it anew."""
    have = _size(part)
    headers = build_hf_headers() | ({"Range": f"bytes={have}-"} if have else {})
    with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=ANSWER_S) as response:
        hf_raise_for_status(response)
        if have and response.status_code != 206:
            job.done -= have
            have = 0
        with part.open("ab" if have else "wb") as out:
            for chunk in response.iter_bytes():
                if have + len(chunk) > size:
                    raise SourceError(
                        "errors.hub_unreachable", f"the hub sent more of {part.name} than it listed", source=url
                    )
                job.add(len(chunk))
                out.write(chunk)
                have += len(chunk)


def _check_digest(job: _Job, file: _File, part: Path) -> None:
    digest = hashlib.sha256()
    with part.open("rb") as content:
        while chunk := content.read(READ_BYTES):
            job.add(0)
            digest.update(chunk)
    if digest.hexdigest() != file.sha256:
        part.unlink()
        message = f"{file.name} of {job.model!r} came damaged and was thrown away: try again"
        raise SourceError("errors.download_damaged", message, source=job.model)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class _Silent(hub_tqdm):
    """A progress bar that prints nothing: the large files, which are worth one, have come before."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"disable": True}))  # type: ignore[no-untyped-call]
