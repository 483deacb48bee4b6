"""Rows that are computed once per distinct image: in the memory of a process, or in a folder.

Imports NumPy, and its neighbour `_cache_folder` inside a function; for `_embedding`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._forks import ThreadLock

__all__ = [
    "FOLDER_BYTES",
    "MEMORY_BYTES",
    "EmbeddingCache",
    "MemoryCache",
    "compute_rows",
    "image_keys",
    "open_cache",
]

MEMORY_BYTES = 2**29  # 512 MiB: some 230,000 rows of 512 float32
FOLDER_BYTES = 2**32  # 4 GiB: some 1,800,000 rows of 512 float32

_ENTRY = 250  # bytes of an entry in memory beside its numbers
_KEY_BYTES = 24  # 192 bits: no two images of any collection share a key


class EmbeddingCache(Protocol):
    """Rows by key. `open_cache` gives one, to one thread."""

    def lookup(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the rows that are known, by key; they are not to be written into."""
        ...

    def store(self, rows: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep rows, 1-D float32."""
        ...


class MemoryCache:
    """Rows by key in memory, for all threads; what was used longest ago goes first."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = ThreadLock()
        self.clear()

    def __len__(self) -> int:
        return len(self._rows)

    def lookup(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the rows that are known, by key; they are not to be written into."""
        known = {}
        with self._lock.held():
            for key in keys:
                row = self._rows.get(key)
                if row is not None:
                    self._rows.move_to_end(key)
                    known[key] = row
        return known

    def store(self, rows: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep copies of rows, and drop the oldest if there are too many."""
        with self._lock.held():
            for key, row in rows.items():
                replaced = self._rows.pop(key, None)
                self._n_bytes -= 0 if replaced is None else replaced.nbytes + _ENTRY
                kept = self._rows[key] = row.copy()
                kept.flags.writeable = False
                self._n_bytes += kept.nbytes + _ENTRY
            while self._n_bytes > self.max_bytes:
                _, dropped = self._rows.popitem(last=False)
                self._n_bytes -= dropped.nbytes + _ENTRY

    def clear(self) -> None:
        """Forget everything."""
        with self._lock.held():
            self._rows: OrderedDict[bytes, NDArray[Any]] = OrderedDict()
            self._n_bytes = 0


_of_this_process = MemoryCache(MEMORY_BYTES)


@contextmanager
def open_cache(
    cache: str | os.PathLike[str] | None, *, owner: str
) -> Iterator[EmbeddingCache | None]:
    """Open what an estimator's parameter ``cache`` names, for the block.

    Raises OSError if the folder cannot be made.
    """
    if cache is None:
        yield None
    elif cache == "memory":
        yield _of_this_process
    else:
        from emotion_estimators.features._cache_folder import FolderCache

        # A connection for each block: none is open when a process forks, nor when it ends.
        folder = FolderCache(cache, max_bytes=FOLDER_BYTES, owner=owner)
        try:
            yield folder
        finally:
            folder.close()


def image_keys(images: NDArray[Any], settings: Mapping[str, Any]) -> list[bytes]:
    """Return a key for each image: what it shows, and everything that its row depends on.

    `images` (n, ...).
    """
    what = [sorted(settings.items()), images.dtype.str, images.shape[1:]]
    # `default`: integers may be NumPy's
    prefix = hashlib.blake2b(json.dumps(what, default=str).encode(), digest_size=_KEY_BYTES)
    keys = []
    for image in images:
        digest = prefix.copy()
        digest.update(np.ascontiguousarray(image).data)
        keys.append(digest.digest())
    return keys


def compute_rows(
    batches: Iterable[tuple[slice, NDArray[Any]]],
    shape: tuple[int, int],
    compute: Callable[[NDArray[Any], NDArray[np.float32]], object],
    *,
    cache: EmbeddingCache | None,
    settings: Mapping[str, Any],
) -> NDArray[np.float32]:
    """Return one row for each image; with a cache each distinct image is computed once."""
    computed = np.empty(shape, np.float32)
    for rows, images in batches:
        if cache is None:
            compute(images, computed[rows])
        else:
            _compute_new(images, compute, computed[rows], cache, settings)
    return computed


def _compute_new(
    images: NDArray[Any],
    compute: Callable[[NDArray[Any], NDArray[np.float32]], object],
    out: NDArray[np.float32],
    cache: EmbeddingCache,
    settings: Mapping[str, Any],
) -> None:
    keys = image_keys(images, settings)
    first = {key: i for i, key in reversed(list(enumerate(keys)))}  # where each image is first
    known = cache.lookup(list(first))
    new = sorted(first[key] for key in first.keys() - known.keys())
    if len(new) == len(images):
        compute(images, out)
        cache.store(dict(zip(keys, out, strict=True)))
        return
    if new:
        computed = np.empty((len(new), out.shape[1]), np.float32)
        compute(images[new], computed)
        fresh = {keys[i]: row for i, row in zip(new, computed, strict=True)}
        cache.store(fresh)
        known |= fresh
    for row, key in zip(out, keys, strict=True):
        row[:] = known[key]
