"""A folder in, the files below it out; imports nothing of the library."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TypeAlias

__all__ = ["IMAGE_SUFFIXES", "is_hidden", "walk_folder"]

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)

_MOST_WAYS = 100  # to one folder

_Chain: TypeAlias = "tuple[str, _Chain] | None"


def walk_folder(path: Path, *, owner: str) -> tuple[list[str], set[str]]:
    """List all files and folders below a folder.

    Parameters
    ----------
    path : Path
        The folder.
    owner : str
        Who asks, for messages.

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
        If links lead to one folder in so many ways that they might have no end.
    OSError
        If a folder cannot be read.
    """
    files: list[str] = []
    folders: set[str] = set()
    ways: Counter[str] = Counter()
    # a folder's name, where it really is, and the real folders that it lies in
    waiting: list[tuple[str, str, _Chain]] = [("", os.path.realpath(path), None)]
    while waiting:
        name, real, above = waiting.pop()
        ways[real] += 1
        if ways[real] > _MOST_WAYS:
            raise ValueError(
                f"{owner} found more than {_MOST_WAYS} ways through links to the folder {real} "
                f"below {path}. Remove links to folders that lead to each other."
            )
        chain = real, above
        for entry in _entries(real, owner):
            below = name + entry.name
            if not _is_folder(entry):
                files.append(below)
                continue
            # to resolve every path would take time with the square of the depth
            goal = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
            if _holds(chain, goal):  # it would be walked round and round
                continue
            folders.add(below)
            waiting.append((f"{below}/", goal, chain))
    return files, folders


def _entries(folder: str, owner: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise OSError(f"{owner} cannot read the folder {folder}: {error.strerror}.") from error


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
