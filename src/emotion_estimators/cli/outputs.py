"""Checks of files that are to be written, before anything costs time."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from emotion_estimators.cli.console import UsageError

__all__ = ["check_folder", "check_writable"]


def check_folder(option: str, folder: Path) -> None:
    """Raise an error if a folder can neither be written to nor made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"{option} {folder}: {there} is not a folder.")
    check_writable(option, folder, there)


def check_writable(option: str, path: Path, folder: Path) -> None:
    """Raise OSError if `folder`, where `path` is to be, cannot be written to."""
    if not os.access(folder, os.W_OK):
        message = f"{option} cannot be written. Choose a folder that can be written"
        raise OSError(errno.EACCES, message, str(path))
