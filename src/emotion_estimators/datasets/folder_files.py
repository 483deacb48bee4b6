"""A folder in, the files below it out; imports `images.formats`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from emotion_estimators.exceptions import shorten
from emotion_estimators.images.formats import (
    HEIF_ADVICE,
    HEIF_SUFFIXES,
    image_suffixes,
    starts_like_image,
)

__all__ = [
    "count_kinds",
    "describe_kinds",
    "find_images",
    "is_hidden",
    "read_head",
    "split_images",
    "walk_folder",
]

_HEAD = 64  # bytes that tell what a file is
_KINDS_NAMED = 8
_MOST_REPEATED = 20_000  # folders that links lead to again

_Chain: TypeAlias = "tuple[str, _Chain] | None"


def walk_folder(
    path: Path,
    *,
    owner: str,
    unreadable: list[str] | None = None,
    hidden: list[str] | None = None,
) -> tuple[list[str], set[str]]:
    """List all files and folders below a folder.

    Raises ValueError if links lead to the same folders so often that it might have no end; OSError
    if a folder cannot be read, of the class that says why.
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
            if is_hidden(entry.name):
                if hidden is not None:
                    hidden.append(below)
                continue
            if not _is_folder(entry):
                files.append(below)
                continue
            # to resolve every path would take time with the square of the depth
            goal = os.path.realpath(entry.path) if _is_link(entry) else entry.path
            if _holds(chain, goal):  # a symlink cycle
                continue
            folders.add(below)
            waiting.append((f"{below}/", goal, chain))
    return files, folders


def find_images(
    path: Path,
    *,
    owner: str,
    unreadable: list[str] | None = None,
    leave_out: str | None = None,
) -> tuple[list[str], Counter[str]]:
    """List all images below a folder, and count what is passed over.

    Raises ValueError, OSError as from `walk_folder`.
    """
    hidden: list[str] = []
    files, _ = walk_folder(path, owner=owner, unreadable=unreadable, hidden=hidden)
    if leave_out is not None:
        files = [name for name in files if not name.startswith(leave_out)]
        hidden = [name for name in hidden if not name.startswith(leave_out)]
    images, others = split_images(files, lambda name: read_head(path / name))
    return sorted(images), count_kinds([*others, *hidden])


def split_images(
    files: Iterable[str], read_head: Callable[[str], bytes]
) -> tuple[list[str], list[str]]:
    """Tell images that can be read from other files."""
    suffixes = image_suffixes()
    images: list[str] = []
    others: list[str] = []
    for name in files:
        suffix = _suffix(name)
        is_image = suffix in suffixes if suffix else starts_like_image(read_head(name))
        (images if is_image else others).append(name)
    return images, others


def count_kinds(names: Iterable[str]) -> Counter[str]:
    """Count files by kind: their suffixes in lower case, "without a suffix" or "hidden"."""
    return Counter(
        "hidden"
        if any(is_hidden(part) for part in PurePosixPath(name).parts)
        else _suffix(name) or "without a suffix"
        for name in names
    )


def describe_kinds(passed_over: Counter[str]) -> str:
    """Say how many files there are of which kinds: "2 .txt, 1 hidden." and what to do."""
    common = passed_over.most_common(_KINDS_NAMED)
    kinds = [f"{n} {shorten(kind, 24)}" for kind, n in common]
    n_more = passed_over.total() - sum(n for _, n in common)
    kinds += [f"{n_more} of other kinds"] if n_more else []
    is_heif = any(suffix in passed_over for suffix in HEIF_SUFFIXES)
    hint = f" To read HEIC photographs, {HEIF_ADVICE}." if is_heif else ""
    return f"{', '.join(kinds)}.{hint}"


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - for speed


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, none if it cannot be read."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


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
