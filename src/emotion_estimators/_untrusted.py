"""What readers of files from anywhere share: a budget, JSON in bounds, zip files, other kinds.

Each part of a file may be small and their sum huge, as parts may be shared, overlap or repeat:
what comes of one file is counted together. Imports the errors.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from emotion_estimators.exceptions import WeightsError

__all__ = ["Budget", "failed_download", "likely_reason", "open_zip", "read_json"]

_BYTES_PER_CONTAINER = 16  # of JSON that is not made of brackets, a list or object takes more
_LOCAL_HEADER_BYTES = 30
# Few files are compressed, and few tensors share their values, so much.
_MAX_INFLATION = 16
_SMALL_FILE_BYTES = 1 << 20

_DOWNLOADS = {
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself, as by git lfs pull",
    b"<": "a web page: the download went wrong",
    b"{": "JSON, as servers answer with: the download went wrong",
}
_MODELS = {
    b"PK": "a zip file, such as a .keras archive, whose name should end so, or a .pt file: save "
    "the model as .keras, .h5 or .onnx",
    b"\x89HDF": "an HDF5 file: its name should end in .h5",
}
_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"  # a mark of UTF-8, and blanks


class Budget:
    """What may come of one file: bytes, and parts that take some microseconds each."""

    def __init__(
        self,
        name: str,
        *,
        max_bytes: int,
        max_parts: int = 100_000,
        error: type[ValueError],
    ) -> None:
        self.name = name
        self.max_bytes = self.bytes_left = max_bytes
        self.max_parts = self.parts_left = max_parts
        self._error = error

    @classmethod
    def of_weights(cls, name: str, file_bytes: int, *, most: int | None = None) -> Budget:
        """Return that of a file of weights: 1 MiB and 16 times its size, 100,000 parts."""
        max_bytes = _SMALL_FILE_BYTES + _MAX_INFLATION * file_bytes
        return cls(
            name,
            max_bytes=max_bytes if most is None else min(max_bytes, most),
            error=WeightsError,
        )

    def take(self, *, n_bytes: int = 0, n_parts: int = 0, what: str) -> None:
        """Count what comes next of the file, before it is read.

        Raises ValueError of the class `error`, if it is more than is left.
        """
        self.bytes_left -= n_bytes
        self.parts_left -= n_parts
        if self.bytes_left < 0 or self.parts_left < 0:
            most = f"{self.max_bytes} bytes" if self.bytes_left < 0 else f"{self.max_parts} parts"
            raise self._error(
                f"{self.name}: {what} asks for more than is left of the {most} that may come of a "
                "file of this size; the file is damaged or made to exhaust memory or time."
            )


def read_json(text: str | bytes, *, max_bytes: int, max_depth: int = 100, name: str) -> Any:
    """Return the value that JSON of unknown origin holds.

    Raises ValueError if it is longer, deeper, holds more lists and objects, or is no JSON. The
    message does not repeat the text.
    """
    # a look at its length first: to encode it takes as much again
    n_bytes = len(text)
    if isinstance(text, str) and n_bytes <= max_bytes:
        n_bytes = len(text.encode("utf-8", "surrogatepass"))
    if n_bytes > max_bytes:
        raise ValueError(f"{name} holds more JSON than the {max_bytes} bytes that are read")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        max_containers = max_bytes // _BYTES_PER_CONTAINER
        if text.count("[") + text.count("{") > max_containers:
            raise ValueError(f"it holds more than {max_containers} lists and objects")
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{name} is not JSON that can be read: {reason}") from None
    level = [value]
    for _ in range(max_depth + 1):
        level = [outer for outer in level if isinstance(outer, dict | list)]
        if not level:
            return value
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    raise ValueError(
        f"{name} is not JSON that can be read: nested too deeply, in more than {max_depth} levels"
    )


class _Stream(io.BufferedReader):
    """A file that reads no more than `most` bytes at once, as long as that is set."""

    most: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is None:
            return super().read(size)
        rest = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        wanted = rest if size is None or size < 0 else min(size, rest)
        if wanted > self.most:
            raise zipfile.BadZipFile(f"its table of members is longer than {self.most} bytes")
        return super().read(wanted)


@contextmanager
def open_zip(file: io.FileIO, *, max_table_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose members lie apart from each other.

    Raises zipfile.BadZipFile if it is damaged or has a longer table, or if two members overlap, by
    which a small file may hold thousands of large ones. (Python sees that since 3.11.8, and only
    when a member is opened.)
    """
    with _Stream(file) as stream:
        # to open it reads the last 64 KiB, and the table at once
        stream.most = max(max_table_bytes, 1 << 17)
        with zipfile.ZipFile(stream) as archive:
            stream.most = None
            end = archive.start_dir
            members = sorted(archive.infolist(), key=attrgetter("header_offset"), reverse=True)
            for info in members:
                # stored in no fewer bytes than its name has letters
                size = _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
                if info.header_offset + size > end:
                    raise zipfile.BadZipFile("members overlap")
                end = info.header_offset
            yield archive


def failed_download(head: bytes) -> str | None:
    """Return what the first bytes of a file, 64 or more, tell of how it came, None for nothing."""
    if not head:
        return "it is empty"
    text = head.lstrip(_BEFORE_TEXT)
    kinds = (kind for start, kind in _DOWNLOADS.items() if text.startswith(start))
    kind = next(kinds, None)
    return f"it looks like {kind}" if kind else None


def likely_reason(head: bytes) -> str | None:
    """Return what the first bytes of a file tell that was taken for a model, None for nothing."""
    kinds = (kind for start, kind in _MODELS.items() if head.startswith(start))
    kind = next(kinds, None)
    return f"it looks like {kind}" if kind else failed_download(head)
