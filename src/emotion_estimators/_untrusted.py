"""What readers of files from anywhere share: a budget, JSON within bounds, members of zip files.

Each part of a file may be small and their sum huge, as parts may be shared, overlap or repeat:
what comes of one file is counted together. Imports nothing of the library.
"""

from __future__ import annotations

import json
import zipfile
from typing import Any

__all__ = ["Budget", "check_members", "read_json"]

_BYTES_PER_CONTAINER = 16  # of JSON that is not made of brackets, a list or object takes more
_LOCAL_HEADER_BYTES = 30


class Budget:
    """What may come of one file: bytes, and steps of work of about a microsecond or ten.

    Parameters
    ----------
    name : str
        The file, and who reads it where that is said, for messages.
    max_bytes, max_steps : int
        The most of each, of all parts together.
    error : type of ValueError, default=ValueError
        What `take` raises.
    """

    def __init__(
        self,
        name: str,
        *,
        max_bytes: int,
        max_steps: int,
        error: type[ValueError] = ValueError,
    ) -> None:
        self.name = name
        self.max_bytes = self.bytes_left = max_bytes
        self.max_steps = self.steps_left = max_steps
        self._error = error

    def take(self, *, n_bytes: int = 0, n_steps: int = 0, what: str) -> None:
        """Count what comes next of the file, before it is read; `what` is for the message.

        Raises
        ------
        ValueError
            Of the class `error`, if it is more than is left.
        """
        self.bytes_left -= n_bytes
        self.steps_left -= n_steps
        if self.bytes_left < 0 or self.steps_left < 0:
            most = f"{self.max_bytes} bytes" if self.bytes_left < 0 else f"{self.max_steps} parts"
            raise self._error(
                f"{self.name}: {what} asks for more than is left of the {most} that may come of a "
                "file of this size; the file is damaged or made to exhaust memory or time."
            )


def read_json(text: str | bytes, *, max_bytes: int, max_depth: int = 100, name: str) -> Any:
    """Return the value that JSON of unknown origin holds.

    Parameters
    ----------
    text : str or bytes
        JSON; bytes as UTF-8.
    max_bytes : int
        The most that it may be long, encoded as UTF-8. It may hold a list or object for each 16
        of them.
    max_depth : int, default=100
        How deep lists and objects may lie in each other.
    name : str
        What it is, for messages, such as "x.onnx: its metadata 'labels'".

    Returns
    -------
    value : object

    Raises
    ------
    ValueError
        If it is longer, deeper, holds more lists and objects, or is no JSON. The message does not
        repeat the text.
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
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise ValueError(
        f"{name} is not JSON that can be read: nested too deeply, in more than {max_depth} levels"
    )


def check_members(archive: zipfile.ZipFile) -> None:
    """Refuse a zip file whose members share bytes, as one small file could be thousands of large.

    Raises
    ------
    zipfile.BadZipFile
        If two members overlap, or one lies over the table at the end. (Python sees it since
        3.11.8, and only when a member is opened.)
    """
    end = archive.start_dir
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset, reverse=True):
        # its name may be stored in fewer bytes than it is shown in, never in fewer than letters
        size = _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
        if info.header_offset + size > end:
            raise zipfile.BadZipFile("members overlap")
        end = info.header_offset
