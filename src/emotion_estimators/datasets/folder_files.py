"""A folder in, the files below it out; imports nothing of the library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

__all__ = ["IMAGE_SUFFIXES", "is_hidden", "walk_folder"]

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)

_MOST_REPEATED = 20_000  # folders that links lead to again

_Chain: TypeAlias = "tuple[str, _Chain] | None"


def walk_folder(
    path: Path, *, owner: str, unreadable: list[str] | None = None
) -> tuple[list[str], set[str]]:
    """List all files and folders below a folder.

    Parameters
    ----------
    path : Path
        The folder.
    owner : str
        Who asks, for messages.
    unreadable : list of str or None, default=None
        Gets the folders that cannot be read; None makes them an error.

    Returns
    -------
    files : list of str
        Relative to `path`, with forward slashes, in no certain order. Hidden ones are passed
        over; links to folders are followed, unless they lead to a folder that they lie in.
    folders : set of str
        The same for folders.

    Raises
    ------
    ValueError
        If links lead to the same folders so often that it might have no end.
    OSError
        If a folder cannot be read, of the class that says why.
    """
    files: list[str] = []
    folders: set[str] = set()
    seen: set[str] = set()
    n_repeated = 0
    # a folder's name, where it really is, and the real folders that it lies in
    waiting: list[tuple[str, str, _Chain]] = [("", os.path.realpath(path), None)]
    while waiting:
        name, real, above = waiting.pop()
        n_repeated += real in seen
        seen.add(real)
        if n_repeated > _MOST_REPEATED:
            raise ValueError(
                f"{owner} was led by links below {path} to {_MOST_REPEATED} folders that it had "
                f"seen before, such as {real}. Remove links to folders that lead to each other."
            )
        chain = real, above
        try:
            entries = _entries(real)
        except OSError as error:
            if unreadable is None:
                message = f"{owner} cannot read the folder {real}: {error.strerror}."
                raise type(error)(message) from error
            unreadable.append(real)
            continue
        for entry in entries:
            below = name + entry.name
            if not _is_folder(entry):
                files.append(below)
                continue
            # to resolve every path would take time with the square of the depth
            goal = os.path.realpath(entry.path) if _is_link(entry) else entry.path
            if _holds(chain, goal):  # it would be walked round and round
                continue
            folders.add(below)
            waiting.append((f"{below}/", goal, chain))
    return files, folders


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_hidden(entry.name)]


def _is_link(entry: os.DirEntry[str]) -> bool:
    # what Windows calls a junction, Python 3.12 can tell
    return entry.is_symlink() or bool(getattr(entry, "is_junction", bool)())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _holds(chain: _Chain, folder: str) -> bool:
    while chain is not None:
        real, chain = chain
        if real == folder:
            return True
    return False


def is_hidden(name: str) -> bool:
    """Whether the name of a file or folder is that of a hidden one."""
    return name.startswith(".") or name == "__MACOSX"
