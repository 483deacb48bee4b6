"""A zip file of a folder in, the files in it out; imports its neighbour `folder_files`.

Read with suspicion: a zip file may come from anywhere.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from emotion_estimators._untrusted import Budget, open_zip
from emotion_estimators.datasets.folder_files import is_hidden

__all__ = ["read_zip", "walk_zip"]

_MAX_FILE_BYTES = 2**28  # a compressed entry that claims more is a bomb, not an image
# All entries together: images are compressed already, and hardly shrink further. What is left
# is room for the few that do.
_MAX_INFLATION = 20
_MAX_TABLE_BYTES = 2**24  # of 200,000 files with names like "train/happy/0123456789.jpg"
_MAX_DEPTH = 31  # folders that an entry lies in; the path of each is kept
_MAX_FOLDERS = 100_000
_MAX_FOLDER_BYTES = 2**26  # of all their names
# zipfile unpacks others piece by piece of what is packed, each of which may fill the memory
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_PIECE = 2**16
_HEAD = 16
# what zipfile raises on damage and encryption
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def walk_zip(
    path: Path,
    *,
    owner: str,
    hidden: list[str] | None = None,
    heads: dict[str, bytes] | None = None,
) -> tuple[list[str], set[str]]:
    """List all files and folders in a zip file, as `walk_folder` does for a folder.

    Raises ValueError if the zip file is damaged.
    """
    files: dict[str, None] = {}  # of two entries of one name the last counts, as unpacked
    folders: set[str] = set()
    budget = Budget(
        f"{owner} cannot read the zip file {path}",
        max_bytes=_MAX_FOLDER_BYTES,
        max_parts=_MAX_FOLDERS,
        error=ValueError,
    )
    with _opened(path, owner) as archive:
        for entry in archive.infolist():
            name = PurePosixPath(entry.filename)
            if len(name.parts) > _MAX_DEPTH + 1:
                raise ValueError(
                    f"{owner} refuses {entry.filename[:60]!a} in {path}: it lies in more than "
                    f"{_MAX_DEPTH} folders."
                )
            if not entry.filename:
                continue
            if any(is_hidden(part) for part in name.parts):
                if hidden is not None and not entry.is_dir():
                    hidden.append(entry.filename)
                continue
            for parent in (name, *name.parents) if entry.is_dir() else name.parents:
                folder = str(parent)
                if not parent.name or folder in folders:
                    break  # and those that it lies in are known, too
                budget.take(n_bytes=len(folder), n_parts=1, what="one of its folders")
                folders.add(folder)
            if not entry.is_dir():
                files[entry.filename] = None
                if heads is not None and not name.suffix:
                    heads[entry.filename] = _read_head(archive, entry)
    return list(files), folders


def read_zip(path: Path, names: list[str], *, owner: str) -> list[bytes]:
    """Return the contents of files in a zip file.

    Raises ValueError if a file is damaged, encrypted or packed in an unusual way, or claims more
    bytes than an image, or all of them more than images in a zip file of this size.
    """
    with _opened(path, owner) as archive:
        entries = [archive.getinfo(name) for name in names]
        budget = Budget(
            f"{owner} refuses {path}",
            max_bytes=_MAX_FILE_BYTES + _MAX_INFLATION * path.stat().st_size,
            max_parts=len(entries),
            error=ValueError,
        )
        for entry in entries:
            budget.take(n_bytes=entry.file_size, what="one of its images")
            if entry.file_size > _MAX_FILE_BYTES:
                raise ValueError(
                    f"{owner} refuses {entry.filename} in {path}: it claims {entry.file_size} "
                    f"bytes, more than the {_MAX_FILE_BYTES} of any image. Unpack it yourself "
                    "if you trust it."
                )
            if entry.compress_type not in _PACKED:
                raise ValueError(
                    f"{owner} cannot read {entry.filename} in {path}: it is neither stored nor "
                    "deflated, which is what zip programs do unless told otherwise. Unpack it "
                    "yourself."
                )
        return [_read_entry(archive, entry, path, owner) for entry in entries]


@contextmanager
def _opened(path: Path, owner: str) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb", buffering=0))
        try:
            archive = stack.enter_context(open_zip(file, max_table_bytes=_MAX_TABLE_BYTES))
        except _DAMAGE as error:
            raise ValueError(f"{owner} cannot read the zip file {path}: {error}.") from error
        yield archive


def _read_head(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return the first bytes of a file, none if it is damaged or packed in an unusual way."""
    if entry.compress_type not in _PACKED:
        return b""
    try:
        with archive.open(entry) as file:
            return file.read(_HEAD)
    except _DAMAGE:
        return b""


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, owner: str) -> bytes:
    pieces = []
    try:
        with archive.open(entry) as file:
            while piece := file.read(_PIECE):
                pieces.append(piece)
    except _DAMAGE as error:
        raise ValueError(f"{owner} cannot read {entry.filename} in {path}: {error}.") from error
    return b"".join(pieces)
