"""Hashes of files, and the files that come with the package; imports `registry`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.weights.registry import get_card

__all__ = ["embedded_weights", "file_sha256", "files_sha256"]

_FOLDER = Path(__file__).parent

# Hash of a file as it was last seen: device and inode, bytes, time of change.
_known_hashes: dict[str, tuple[tuple[int, ...], str]] = {}


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file; it is read again only when it has changed.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    digest : str
        64 lower-case hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from emotion_estimators.weights import file_sha256
    >>> file_sha256("model.txt")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'model.txt'
    """
    key = os.path.abspath(path)  # noqa: PTH100 - Path.absolute is six times slower
    status = os.stat(path)  # noqa: PTH116 - as above
    seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = _known_hashes.get(key)
    if known is not None and known[0] == seen:
        return known[1]
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _known_hashes[key] = seen, digest
    return digest


def files_sha256(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Return one SHA-256 for all files of a model.

    Raises OSError if a file cannot be read.
    """
    digests = [file_sha256(path) for path in paths]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def embedded_weights(file_name: str | None = None) -> Path:
    """Return a file of weights that comes with the package.

    Parameters
    ----------
    file_name : str or None, default=None
        As a card says. None is the first file of the card ``"embedded"``.

    Returns
    -------
    path : Path
        An ONNX file; that of an emotion model says its labels, image size, colour and scaling in
        its metadata.

    Raises
    ------
    WeightsError
        If the installation lacks the file.
    """
    path = _FOLDER / (get_card("embedded").file_name if file_name is None else file_name)
    if not path.is_file():
        raise WeightsError(
            f"This installation lacks a file that comes with the package: {path}. Install "
            "emotion-estimators again."
        )
    return path
