"""Paths of files and folders in, all photographs among them out; imports no numbers."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_estimators.cli.console import UsageError, report
from emotion_estimators.cli.tables import image_name
from emotion_estimators.datasets.folder_files import describe_kinds, find_images
from emotion_estimators.exceptions import counted, shorten
from emotion_estimators.images.video import VIDEO_SUFFIXES

__all__ = [
    "Found",
    "crop_stem",
    "crop_targets",
    "drawing_targets",
    "find_photographs",
    "report_search",
]

_N_NAMED = 10  # missing files named
_CROP_END = re.compile(r"-\d+\.png$", re.IGNORECASE)
_NONE: Mapping[str, str] = {}


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


def report_search(command: str, found: Found) -> None:
    """Say what does not exist, holds nothing, or was passed over."""
    for path in found.missing[:_N_NAMED]:
        report(f"{command}: there is no file {shorten(path)}.")
    if len(found.missing) > _N_NAMED:
        n_more = len(found.missing) - _N_NAMED
        report(f"{command}: nor are there {counted(n_more, 'more file')} that were named.")
    for folder in found.empty:
        report(f"{command}: no image in the folder {folder}.")
    for name in found.unreadable:
        report(f"{command}: the folder {name} cannot be read and is left out.")
    if found.passed_over:
        n = found.passed_over.total()
        report(f"{command}: passed over {counted(n, 'file')}: {describe_kinds(found.passed_over)}")
    videos = sorted(VIDEO_SUFFIXES & set(found.passed_over))
    if videos and command == "predict":
        report(
            f"predict: videos are looked at where they are named, as in predict clip{videos[0]}."
        )


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


def drawing_targets(
    photographs: dict[str, str], folder: Path, *, done: Collection[str] | None = None
) -> dict[str, Path]:
    """Say where each photograph is drawn, such that none takes the place of another.

    `done` are those that an earlier run drew, maybe among others; None where there was none.

    Raises UsageError if one would take the place of a photograph.
    """
    originals = _originals(photographs)
    targets: dict[str, Path] = {}
    taken: set[str] = set()
    for path, name in photographs.items():
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - for speed
        suffix = suffix if suffix.lower() in (".jpg", ".jpeg") else ".png"
        free = _free_name(stem, suffix, taken)
        while done is not None and path not in done and os.path.lexists(folder / free):
            free = _free_name(stem, suffix, taken)  # that is the drawing of another photograph
        target = folder / free
        if {_absolute(target), _real(target)} & originals:
            raise UsageError(
                f"--draw {folder} would write over the photograph {shorten(str(target))}. Take "
                "another folder."
            )
        targets[path] = target
    return targets


def crop_stem(crop: str) -> str:
    """Return how the names of a photograph's crops begin, of which this is one."""
    return _CROP_END.sub("", crop)


def crop_targets(
    photographs: dict[str, str], folder: Path, *, begun: Mapping[str, str] = _NONE
) -> dict[str, str]:
    """Say how the names of each photograph's crops begin, such that none takes another's place.

    `begun` says it of those that have crops already, by `image_name`.

    returns, for each path, what stands below `folder` before "-NUMBER.png".

    Raises UsageError if a crop could take the place of a photograph.
    """
    originals = _originals(photographs)
    numbered = {path[: match.start()] for path in originals if (match := _CROP_END.search(path))}
    targets: dict[str, str] = {}
    taken = {stem.lower() for stem in begun.values()}
    for path, name in photographs.items():
        stem = os.path.splitext(name)[0]  # noqa: PTH122
        targets[path] = begun.get(image_name(path)) or _free_name(stem, "", taken)
        target = folder / targets[path]
        if {_absolute(target), _real(target)} & numbered:
            raise UsageError(
                f"crops in {folder} could take the place of photographs such as "
                f"{shorten(f'{target}-0.png')}. Take another folder."
            )
    return targets


def _originals(photographs: dict[str, str]) -> set[str]:
    return {_absolute(path) for path in photographs} | {_real(path) for path in photographs}


def _free_name(stem: str, suffix: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    number, free = 1, stem + suffix
    while (key := image_name(free).lower()) in taken:  # some file systems do not tell A from a
        number += 1
        free = f"{stem}-{number}{suffix}"
    taken.add(key)
    return free
