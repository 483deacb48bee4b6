"""A folder in, the files below it out; imports nothing of the library."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["IMAGE_SUFFIXES", "is_hidden", "walk_folder"]

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)


def walk_folder(path: Path) -> tuple[list[str], set[str]]:
    """List all files and folders below a folder.

    Parameters
    ----------
    path : Path
        The folder.

    Returns
    -------
    files : list of str
        Relative to `path`, with forward slashes, in no certain order. Hidden ones are passed
        over; links to folders are followed, unless they lead to a folder that they lie in.
    folders : set of str
        The same for folders.
    """
    files: list[str] = []
    folders: set[str] = set()
    above = {path: {path.resolve()}}  # the real folders that a folder lies in, and itself
    for parent, subfolders, names in os.walk(path, followlinks=True):
        chain = above.pop(Path(parent))
        real = {name: Path(parent, name).resolve() for name in subfolders}
        # a link to a folder above it would be walked round and round
        subfolders[:] = [n for n in subfolders if not is_hidden(n) and real[n] not in chain]
        above |= {Path(parent, name): {*chain, real[name]} for name in subfolders}
        relative = Path(parent).relative_to(path)
        folders.update((relative / name).as_posix() for name in subfolders)
        files += [(relative / name).as_posix() for name in names if not is_hidden(name)]
    return files, folders


def is_hidden(name: str) -> bool:
    """Whether the name of a file or folder is that of a hidden one."""
    return name.startswith(".") or name == "__MACOSX"
