"""Files that are written whole or not at all; imports the standard library only."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["whole_file"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ABANDONED = 3600.0  # seconds after which nobody writes to a part any more
_MAX_NAME = 100  # characters of a file's name in that of its part: 255 bytes are the most


@contextmanager
def whole_file(path: str | Path, *, what: str) -> Iterator[BinaryIO]:
    """Open a file that gets its name once the block has ended without an error.

    Raises OSError if it cannot be written; the subclass that fits the reason. It names `path` and
    says what to do.
    """
    path = Path(path)
    begin = f".{path.name[:_MAX_NAME]}."
    part = path.with_name(f"{begin}{secrets.token_hex(8)}.part")
    _remove_abandoned(path.parent, f"{glob.escape(begin)}*.part")
    try:
        with part.open("xb+") as file:  # permissions as the umask has them
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        _remove(part)
        if error.errno is None:  # none of the system's
            raise
        advice = "Choose a folder that exists and can be written"
        if error.errno in _NO_ROOM:
            advice = "Free some space there, or choose another folder"
        raise OSError(
            error.errno, f"{what} cannot be written ({error.strerror}). {advice}", str(path)
        ) from error
    except BaseException:
        _remove(part)
        raise


def _remove(part: Path) -> None:
    with suppress(OSError):  # its folder may be gone, or the whole disk
        part.unlink()


def _remove_abandoned(folder: Path, pattern: str) -> None:
    with suppress(OSError):
        for part in folder.glob(pattern):
            if time.time() - part.stat().st_mtime > _ABANDONED:
                _remove(part)
