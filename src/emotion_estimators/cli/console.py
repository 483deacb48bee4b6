"""What the commands say and how they fail; imports tqdm inside a function."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["FAILED", "MISUSED", "OK", "UsageError", "print_line", "say", "track"]

OK, FAILED, MISUSED = 0, 1, 2  # exit statuses


class UsageError(Exception):
    """The command cannot do what it was asked to; the message says what to ask for."""


def say(message: str) -> None:
    """Write a message for people, beside the results."""
    sys.stderr.write(f"emotion-estimators: {message}\n")


def print_line(text: str = "") -> None:
    """Write a line of results."""
    sys.stdout.write(f"{text}\n")


def track(total: int, unit: str, *, is_shown: bool = True) -> Any:
    """Return a progress bar, which shows on a terminal only."""
    from tqdm import tqdm

    is_shown = is_shown and sys.stderr.isatty()
    # a pseudo-terminal may say that it has no columns or rows, where tqdm shows nothing
    columns = None if is_shown and os.get_terminal_size(sys.stderr.fileno()).columns else 80
    return tqdm(
        total=total, unit=unit, disable=not is_shown, ncols=columns, nrows=24, file=sys.stderr
    )
