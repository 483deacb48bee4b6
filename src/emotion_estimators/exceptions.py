"""Named errors of the library, and values as their messages show them; imports nothing of it."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = [
    "DownloadError",
    "ImageReadError",
    "InvalidImagesError",
    "InvalidTableError",
    "MissingDependencyError",
    "WeightsError",
]

_MAX_SHOWN = 200  # characters of a path or a value in a message
_MAX_LINES, _MAX_CHARACTERS = 20, 1500  # of a message


def printable(text: str) -> str:
    """Return a text that every encoding of Unicode can write."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def counted(number: int, noun: str) -> str:
    """Return how many there are of something: "1 image", "2 images"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def shorten(value: object, longest: int = _MAX_SHOWN) -> str:
    """Return a value as a message shows it: of one line, printable, and never long."""
    if not isinstance(value, str):
        limited = reprlib.Repr()
        limited.maxstring = limited.maxother = longest
        value = limited.repr(value)
    half = (longest - 3) // 2
    text = value if len(value) <= longest else f"{value[:half]}...{value[-half:]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[: 2 * longest]


def one_screen(message: str) -> str:
    """Return a message that is not longer than a screen: the middle of a longer one goes."""
    lines = message.splitlines()
    n_more = len(lines) - _MAX_LINES
    more = [f"... ({counted(n_more, 'more line')})"] if n_more > 0 else []
    text = "\n".join(lines[:_MAX_LINES] + more) if more else message
    half = _MAX_CHARACTERS // 2 - 3
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


@contextmanager
def short_messages() -> Iterator[None]:
    """Let no error out, also as a decorator, whose message is longer than a screen.

    Parameters and labels stand in messages, and what was meant to be a path may be a whole file.
    """
    try:
        yield
    except Exception as error:
        every: BaseException | None = error
        while every is not None:  # a traceback shows those before it, too
            every.args = tuple(one_screen(a) if isinstance(a, str) else a for a in every.args)
            if isinstance(every, ImportError):
                every.msg = one_screen(every.msg)
            if isinstance(every, OSError) and isinstance(every.filename, str | bytes):
                every.filename = shorten(os.fsdecode(every.filename))
            every = every.__cause__ or every.__context__
        raise


class _InvalidRowsError(ValueError):
    """Rows of the input are at fault."""

    def __init__(self, message: str, failures: Sequence[tuple[int, str]] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


class InvalidImagesError(_InvalidRowsError):
    """Images do not follow the X contract: wrong rank, dtype, range or size, or none at all.

    Parameters
    ----------
    message : str
        Who expected what, what came, what to do; names rows and, for files, paths.
    failures : sequence of (int, str), default=()
        Every row at fault with the reason, also where the message stops counting.
    """


class InvalidTableError(_InvalidRowsError):
    """A table of images and labels has rows or columns that cannot be used.

    Parameters
    ----------
    message : str
        Who expected what, what came, what to do; names rows, columns and files.
    failures : sequence of (int, str), default=()
        Every row at fault with the reason, also where the message stops counting.
    """


class ImageReadError(InvalidImagesError):
    """Image files or encoded bytes cannot be read; the message names them."""


class MissingDependencyError(ImportError):
    """An optional package or the compiled library is not installed; the message says what to do."""


class WeightsError(ValueError):
    """A file of weights is damaged, of another network, or holds what cannot be run safely."""


class DownloadError(OSError):
    """What a server sent is not the file of a data set that was asked for."""
