"""What the commands say and how they fail, whatever the standard streams are."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from emotion_estimators._progress import is_terminal, progress_bar
from emotion_estimators.exceptions import one_screen

__all__ = [
    "FAILED",
    "MISUSED",
    "OK",
    "UsageError",
    "check_output",
    "fill_descriptors",
    "flush_output",
    "let_go",
    "print_line",
    "report",
    "track",
    "visible",
]

OK, FAILED, MISUSED = 0, 1, 2  # exit statuses


class UsageError(Exception):
    """The command cannot do what it was asked to; the message says what to ask for."""


def report(message: str) -> None:
    """Write a message for people, beside the results; nothing fails where that is not possible."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(_encodable(f"emotion-estimators: {one_screen(message)}\n", sys.stderr))
        sys.stderr.flush()


def print_line(text: str = "") -> None:
    """Write a line of results, if there is a standard output."""
    if sys.stdout is not None:
        sys.stdout.write(_encodable(f"{text}\n", sys.stdout))


def flush_output() -> None:
    """Hand on what was written to standard output, if that is possible at all."""
    flush = getattr(sys.stdout, "flush", None)
    if flush is not None:
        flush()


def check_output(command: str) -> None:
    """Raise OSError if there is no standard output for results that go nowhere else."""
    if sys.stdout is None:
        raise OSError(f"{command} has no standard output to write to.")


def fill_descriptors() -> None:
    """Open nothing in place of closed standard streams.

    Else the next file that is opened, such as the table, would get their number, and with it what
    libraries write to standard error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def let_go(stream: Any) -> None:
    """Flush a standard stream; one that fails gets no more, so that Python's end is quiet."""
    try:
        stream.flush()
    except (AttributeError, ValueError):
        return
    except OSError:
        with suppress(AttributeError, OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def track(total: int | None, unit: str, *, is_shown: bool = True) -> Any:
    """Return a progress bar, which shows on a terminal only."""
    is_shown = is_shown and is_terminal(sys.stderr)
    columns = 0
    if is_shown:
        with suppress(OSError, ValueError):
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
    # a pseudo-terminal may say that it has no columns or rows, where tqdm shows nothing
    size = {"ncols": None if columns else 80, "nrows": 24}
    return progress_bar(total=total, unit=unit, is_shown=is_shown, **size)


def visible(text: str) -> str:
    """Return a text without what terminals obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def _encodable(text: str, stream: Any) -> str:
    """Return a text that a stream can write: what its encoding lacks is escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)
