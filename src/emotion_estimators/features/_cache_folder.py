"""Rows of numbers in a folder, for all processes that name it: one SQLite database.

Imports `exceptions`, NumPy, and sqlite3 of the standard library; for `_cache`.
"""

from __future__ import annotations

import hashlib
import math
import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import shorten

__all__ = ["FolderCache"]

_FILE = "embeddings-v2.sqlite3"
_PAGE = 16384  # bytes; seven rows of 512 float32 in a page, one in SQLite's default of 4096
_BUSY_TIMEOUT = 30.0  # seconds to wait for another process that writes
_KEYS_PER_QUERY = 500  # keys in one query
_REFRESH = 600.0  # seconds: a use is noted again only after that, so that hits do not write
_KEPT_SHARE = 0.9  # share of the allowed bytes that is kept when there are more
_NUMBERS = np.dtype("<f4")
_DAMAGE = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
_BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED

_Result = TypeVar("_Result")


class FolderCache:
    """Rows by key in a folder; what was used longest ago goes first.

    Raises OSError if the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int, owner: str) -> None:
        self.folder = Path(folder).expanduser()
        self.max_bytes = max_bytes
        self.owner = owner
        self._connection: sqlite3.Connection | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"{owner} cannot keep its cache in {shorten(str(self.folder))}: {error.strerror}. "
                "Set cache to a folder that can be written."
            ) from error
        self._guarded(self._open, None)

    def lookup(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the rows that are known, by key."""
        return self._guarded(lambda: self._read(keys), {})

    def store(self, rows: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep rows, 1-D float32, and drop the oldest if there are too many."""
        self._guarded(lambda: self._write(rows), None)

    def close(self) -> None:
        """Close the database."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # a damaged one may not close in order
                connection.close()

    def _guarded(self, action: Callable[[], _Result], otherwise: _Result) -> _Result:
        """Return what `action` gives; where the database fails, say so and go on without."""
        try:
            return action()
        except Exception as error:  # of damage sqlite3 raises other kinds, too: UnicodeDecodeError
            self.close()
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says where
            if code in _DAMAGE or not isinstance(error, (sqlite3.Error, OSError)):
                again = self._begin_again()
                consequence = "starts from scratch" if again else "computes without it"
                problem = "damaged"
            else:
                problem = f"unusable ({shorten(str(error))})"
                consequence = "computes without it"
            warnings.warn(
                f"{self.owner}: its cache {shorten(str(self.folder / _FILE))} is {problem}; "
                f"{consequence}.",
                stacklevel=2,
            )
            return otherwise

    def _begin_again(self) -> bool:
        try:
            for suffix in ("", "-wal", "-shm"):
                (self.folder / (_FILE + suffix)).unlink(missing_ok=True)
            self._open()
        except Exception:
            self.close()
            return False
        return True

    def _open(self) -> None:
        deadline = time.monotonic() + _BUSY_TIMEOUT
        while True:
            try:
                self._connection = self._connect()
            except sqlite3.OperationalError as error:
                # SQLite does not wait by itself where the kind of journal is being changed
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.folder / _FILE,
            timeout=_BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            for setting in (
                f"page_size={_PAGE}",
                "auto_vacuum=FULL",  # what is deleted is given back to the disk
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "wal_autocheckpoint=256",
            ):
                connection.execute(f"PRAGMA {setting}")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS entries "
                "(key BLOB PRIMARY KEY, value BLOB, checksum BLOB, last_used REAL)"
            )
            connection.execute("CREATE INDEX IF NOT EXISTS by_use ON entries (last_used)")
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        known: dict[bytes, NDArray[np.float32]] = {}
        if self._connection is None:
            return known
        now = time.time()
        stale = []
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            rows = self._connection.execute(
                f"SELECT key, value, checksum, last_used FROM entries WHERE key IN ({marks})",  # noqa: S608
                some,
            )
            for key, value, checksum, last_used in rows:
                row = _unpack(key, value, checksum)
                if row is None:
                    continue
                known[key] = row
                # the checksum is not about the time, which may be anything after damage
                is_time = isinstance(last_used, float)
                if not (is_time and now - _REFRESH < last_used <= now):
                    stale.append((now, key))
        if stale:
            with _Transaction(self._connection):
                self._connection.executemany("UPDATE entries SET last_used=? WHERE key=?", stale)
        return known

    def _write(self, rows: Mapping[bytes, NDArray[np.float32]]) -> None:
        connection = self._connection
        if connection is None or not rows:
            return
        now = time.time()
        entries = [(key, *_pack(key, row), now) for key, row in rows.items()]
        with _Transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", entries)
            (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
            (n_free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            n_bytes = (n_pages - n_free) * page
            if n_bytes > self.max_bytes:
                (n,) = connection.execute("SELECT count(*) FROM entries").fetchone()
                n_dropped = math.ceil(n * (1 - _KEPT_SHARE * self.max_bytes / n_bytes))
                connection.execute(
                    "DELETE FROM entries WHERE rowid IN "
                    "(SELECT rowid FROM entries ORDER BY last_used, rowid LIMIT ?)",
                    (n_dropped,),
                )


class _Transaction:
    """Everything inside the block is written, or nothing; other writers wait."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.connection.execute("COMMIT")
        elif self.connection.in_transaction:  # some errors have ended it
            self.connection.execute("ROLLBACK")


def _pack(key: bytes, row: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Return the bytes of a row, and their checksum."""
    value = row.astype(_NUMBERS, copy=False).tobytes()
    return value, _checksum(key, value)


def _unpack(key: bytes, value: Any, checksum: Any) -> NDArray[np.float32] | None:
    """Return a row, or None if it is not as it was written."""
    if not isinstance(value, bytes) or _checksum(key, value) != checksum:
        return None
    row: NDArray[np.float32] = np.frombuffer(value, _NUMBERS)
    return row


def _checksum(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(key + value, digest_size=8).digest()
