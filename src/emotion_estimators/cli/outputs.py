"""Checks of files that are to be written, before anything costs time."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from emotion_estimators.cli.console import UsageError

__all__ = ["check_file", "check_folder", "check_writable"]


def check_folder(option: str, folder: Path) -> None:
    """Raise an error if a folder can neither be written to nor made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"{option} {folder}: {there} is not a folder.")
    check_writable(option, folder, there)


def check_file(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Raise UsageError if a path does not name a file of these suffixes in a folder."""
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"expected {option} to end in {', '.join(suffixes)}, got {path}.")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for {option} {path.name}.")
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder.")


def check_writable(option: str, path: Path, folder: Path) -> None:
    """Raise OSError if `folder`, where `path` is to be, cannot be written to."""
    if not os.access(folder, os.W_OK):
        message = f"{option} cannot be written. Choose a folder that can be written"
        raise OSError(errno.EACCES, message, str(path))
