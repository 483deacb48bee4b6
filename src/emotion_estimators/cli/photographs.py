"""Paths of files and folders in, all photographs among them out; imports no numbers."""

from __future__ import annotations

import os
from pathlib import Path

from emotion_estimators.cli.console import UsageError
from emotion_estimators.datasets.folder_files import find_images

__all__ = ["drawing_targets", "find_photographs"]


def find_photographs(
    paths: list[Path], *, leave_out: Path | None = None
) -> tuple[dict[str, str], list[Path], list[str]]:
    """Find photographs, each once.

    Parameters
    ----------
    paths : list of Path
        Files, which need not exist, and folders, which are searched for images.
    leave_out : Path or None, default=None
        A folder that is not searched.

    Returns
    -------
    photographs : dict of str to str
        Paths as given, those of a folder sorted; and where they lie below the folder that was
        given.
    empty : list of Path
        Folders without an image.
    unreadable : list of str
        Folders that cannot be read.

    Raises
    ------
    UsageError
        If links to folders lead round and round.
    """
    photographs: dict[str, str] = {}
    empty = []
    unreadable: list[str] = []
    for path in paths:
        if not path.is_dir():
            photographs.setdefault(os.fspath(path), path.name)
            continue
        hidden = _below(path, leave_out)
        try:
            found, _ = find_images(
                path, owner="The search for images", unreadable=unreadable, leave_out=hidden
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
        if not found:
            empty.append(path)
        for name in found:
            photographs.setdefault(os.path.join(path, name), name)  # noqa: PTH118 - for speed
    return photographs, empty, unreadable


def _below(path: Path, folder: Path | None) -> str | None:
    """Return how names below `path` begin that are in `folder`, None if there are none."""
    real = path.resolve()
    if folder is None or real not in folder.resolve().parents:
        return None
    return f"{folder.resolve().relative_to(real).as_posix()}/"


def drawing_targets(photographs: dict[str, str], folder: Path) -> dict[str, Path]:
    """Say where each photograph is drawn, such that none takes the place of another.

    Parameters
    ----------
    photographs : dict of str to str
        As `find_photographs` returns them.
    folder : Path
        Where they go, with the folders that they lie in.

    Returns
    -------
    targets : dict of str to Path
        JPEG files for JPEG files, PNG files for others.

    Raises
    ------
    UsageError
        If one would take the place of a photograph.
    """
    originals = {os.path.abspath(path) for path in photographs}  # noqa: PTH100 - links stay
    originals |= {os.path.realpath(path) for path in photographs}
    targets: dict[str, Path] = {}
    taken: set[str] = set()
    for path, name in photographs.items():
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - for speed
        suffix = suffix if suffix.lower() in (".jpg", ".jpeg") else ".png"
        number, free = 1, stem + suffix
        while free.lower() in taken:  # some file systems do not tell A from a
            number += 1
            free = f"{stem}-{number}{suffix}"
        taken.add(free.lower())
        target = folder / free
        if {os.path.abspath(target), os.path.realpath(target)} & originals:  # noqa: PTH100
            raise UsageError(
                f"--draw {folder} would write over the photograph {target}. Take another folder."
            )
        targets[path] = target
    return targets
