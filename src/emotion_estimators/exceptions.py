"""Named errors of the library; imports nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "DownloadError",
    "ImageReadError",
    "InvalidImagesError",
    "InvalidTableError",
    "MissingDependencyError",
    "WeightsError",
]


class _InvalidRowsError(ValueError):
    """Rows of the input are at fault.

    Parameters
    ----------
    message : str
        Who expected what, what came, what to do; names rows and, for files, paths.
    failures : sequence of (int, str), default=()
        Every row at fault with the reason, also where the message stops counting.
    """

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


class DownloadError(ValueError):
    """What a server sent is not the file of a data set that was asked for."""
