"""Paths of files and folders in, all photographs among them out; imports no numbers."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from emotion_estimators.cli.console import UsageError
from emotion_estimators.datasets.folder_files import find_images
from emotion_estimators.exceptions import shorten

__all__ = ["Found", "drawing_targets", "find_photographs"]


@dataclass
class Found:
    """What paths lead to."""

    photographs: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def find_photographs(paths: list[Path], *, leave_out: Path | None = None) -> Found:
    """Find photographs, each once.

    Raises UsageError if links to folders form a cycle.
    """
    found = Found()
    for path in paths:
        name = os.fspath(path)
        if not os.path.isdir(name):  # noqa: PTH112 - Path's raises for what it may not look at
            if name not in found.photographs and _is_missing(name):
                found.missing.append(name)
            found.photographs.setdefault(name, path.name)
            continue
        try:
            names, passed_over = find_images(
                path,
                owner="The search for images",
                unreadable=found.unreadable,
                leave_out=_below(path, leave_out),
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
        found.passed_over += passed_over
        if not names:
            found.empty.append(path)
        for name in names:
            found.photographs.setdefault(os.path.join(path, name), name)  # noqa: PTH118 - for speed
    return found


def _is_missing(path: str) -> bool:
    """Return whether there is nothing of that name; other problems show when it is read."""
    try:
        os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _below(path: Path, folder: Path | None) -> str | None:
    """Return how names below `path` begin that are in `folder`, None if there are none."""
    if folder is None:
        return None
    real, below = Path(_real(path)), Path(_real(folder))
    return f"{below.relative_to(real).as_posix()}/" if real in below.parents else None


def _real(path: Path | str) -> str:
    """Return where a path leads to; itself where the working directory was removed."""
    try:
        return os.path.realpath(path)
    except OSError:
        return os.fspath(path)


def _absolute(path: Path | str) -> str:
    """Return a path from the root on, links as they are, as `_real` does."""
    try:
        return os.path.abspath(path)  # noqa: PTH100 - links stay
    except OSError:
        return os.fspath(path)


def drawing_targets(photographs: dict[str, str], folder: Path) -> dict[str, Path]:
    """Say where each photograph is drawn, such that none takes the place of another.

    Raises UsageError if one would take the place of a photograph.
    """
    originals = {_absolute(path) for path in photographs} | {_real(path) for path in photographs}
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
        if {_absolute(target), _real(target)} & originals:
            raise UsageError(
                f"--draw {folder} would write over the photograph {shorten(str(target))}. Take "
                "another folder."
            )
        targets[path] = target
    return targets
