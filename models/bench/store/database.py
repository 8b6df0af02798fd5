"""Open the database of runs, SQLite or any SQLAlchemy URL; define its tables; translate its errors into sentences."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from models.errors import SourceError
from models.machine.paths import data_folder

VARIABLE = "CONTEXTSCOPE_DATABASE"
FILE = "runs.sqlite3"
BUSY_TIMEOUT_S = 15.0  # how long a writer waits for another one; each holds the file for milliseconds
_LONG = Text().with_variant(LONGTEXT(), "mysql", "mariadb")  # their plain TEXT ends at 64 KiB
_ATTEMPTS = 20

_TABLES = MetaData()
RUNS = Table(
    "runs",
    _TABLES,
    Column("run_id", String(80), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("created_ns", BigInteger, nullable=False, index=True),
    Column("cells", _LONG, nullable=False),  # JSON: the plan
    Column("environment", _LONG, nullable=False),  # JSON: the machine that ran it
    Column("ended", String(20), nullable=False),
    Column("ended_ns", BigInteger),
    Column("imported", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),  # grows with every change
)
ROWS = Table(
    "rows",
    _TABLES,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(80), ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("cell_id", String(200), nullable=False),
    Column("architecture", String(80), nullable=False),
    Column("context", BigInteger, nullable=False),
    Column("state", String(40), nullable=False),
    Column("measured", Boolean, nullable=False, index=True),
    Column("row", _LONG, nullable=False),  # JSON: Measurement.to_row()
)
FILES = Table(  # files of earlier versions that have been taken over
    "files", _TABLES, Column("name", String(240), primary_key=True), Column("run_id", String(80), nullable=False)
)


class Database:
    """One database of runs. Opened on first use; safe to use from any thread and beside other processes."""

    def __init__(self, url: str | Path | None = None) -> None:
        chosen = os.environ.get(VARIABLE, "") if url is None else url
        self.folder: Path | None = None  # where a file of ours lies
        if isinstance(chosen, Path) or not chosen:
            self.folder = chosen if isinstance(chosen, Path) else data_folder()
            self.url = URL.create("sqlite", database=str(self.folder / FILE))
        else:
            self.url = _url(chosen)
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """Return the database's name for display: the path of a file, or a URL without password and options."""
        if self.url.get_backend_name() == "sqlite":
            return self.url.database or ""
        return self.url.set(query={}).render_as_string(hide_password=True)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Return a connection inside one transaction.

        IntegrityError passes through; every other trouble becomes a SourceError.
        """
        try:
            with self._opened().begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            self._forget()
            raise self._trouble(error) from error

    def _forget(self) -> None:
        """Reconnect at the next use: the file may have been moved, or the server restarted."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                try:
                    engine = self._make()
                    _create_tables(engine)
                except (ValueError, TypeError, ArgumentError):  # their text may hold a password
                    message = f"{VARIABLE} has an option that its driver cannot read"
                    raise SourceError("errors.store_url", message, variable=VARIABLE) from None
                self._engine = engine
            return self._engine

    def _make(self) -> Engine:
        sqlite = self.url.get_backend_name() == "sqlite"
        if sqlite:
            Path(self.url.database or "").absolute().parent.mkdir(parents=True, exist_ok=True)
        try:
            engine = create_engine(
                self.url,
                connect_args={"timeout": BUSY_TIMEOUT_S} if sqlite else {},
                pool_pre_ping=not sqlite,  # a server may have been restarted meanwhile
                pool_timeout=BUSY_TIMEOUT_S,
                hide_parameters=True,
            )
        except ImportError as error:
            driver = error.name or self.url.drivername
            raise SourceError(
                "errors.store_driver",
                f"{self.place} needs the package {driver}, which is not installed",
                place=self.place,
                driver=driver,
            ) from error
        if sqlite:
            event.listen(engine, "connect", _set_up_sqlite)
        return engine

    def _trouble(self, error: Exception) -> SourceError:
        key = _kind(error, sqlite=self.url.get_backend_name() == "sqlite")
        cause = getattr(error, "orig", None) or error
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        if self.url.password:
            reason = reason.replace(str(self.url.password), "***")
        return SourceError(key, f"the runs in {self.place} cannot be used: {reason}", place=self.place, reason=reason)


def _url(text: str) -> URL:
    try:
        url = make_url(text)
        url.get_dialect()
    except (SQLAlchemyError, ValueError) as error:  # the text may hold a password, so it is not repeated
        kind = f"unknown kind {text.partition(':')[0]!r}" if isinstance(error, NoSuchModuleError) else "not an URL"
        raise SourceError("errors.store_url", f"{VARIABLE}: {kind}", variable=VARIABLE) from None
    lost = url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory"
    if url.get_backend_name() == "sqlite" and lost:
        raise SourceError("errors.store_url", f"{VARIABLE} names no file, so runs would be lost", variable=VARIABLE)
    return url


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Enable concurrent readers beside one writer (WAL) and synchronous commits (FULL).

    WAL with synchronous=NORMAL would survive a killed process as well, but not a power cut; a row takes seconds to
    measure, so the milliseconds that FULL costs are nothing.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone()[0] != "wal":
            _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Switch once per file; SQLite does not wait by itself when two processes do so at once."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _create_tables(engine: Engine) -> None:
    """Create missing tables; another process may do the same concurrently."""
    for attempt in range(_ATTEMPTS):
        try:
            _TABLES.create_all(engine)
        except DBAPIError as error:
            if attempt == _ATTEMPTS - 1 or "already exists" not in str(error.orig):
                raise
            time.sleep(0.05)
        else:
            return


def _code(error: BaseException | None) -> int:
    """Return SQLite's primary result code, or 0."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


_SQLITE_KINDS = {
    sqlite3.SQLITE_BUSY: "errors.store_locked",
    sqlite3.SQLITE_LOCKED: "errors.store_locked",
    sqlite3.SQLITE_CORRUPT: "errors.store_corrupt",
    sqlite3.SQLITE_NOTADB: "errors.store_corrupt",
    sqlite3.SQLITE_CANTOPEN: "errors.store_unreachable",
    sqlite3.SQLITE_PERM: "errors.store_unreachable",
    sqlite3.SQLITE_AUTH: "errors.store_unreachable",
    sqlite3.SQLITE_READONLY: "errors.store_unreachable",
    sqlite3.SQLITE_FULL: "errors.store_full",
}


def _kind(error: Exception, *, sqlite: bool) -> str:
    """Return the key of the sentence for a database error."""
    if isinstance(error, PoolTimeoutError):
        return "errors.store_locked"
    if isinstance(error, OSError):
        return "errors.store_unreachable"
    if not isinstance(error, DBAPIError):
        return "errors.store_failed"
    if sqlite:
        return _SQLITE_KINDS.get(_code(error.orig), "errors.store_failed")
    unreachable = error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")
    return "errors.store_unreachable" if unreachable else "errors.store_failed"
