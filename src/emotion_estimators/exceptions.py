"""Named errors of the library; imports nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ImageReadError", "InvalidImagesError", "MissingDependencyError", "WeightsError"]


class InvalidImagesError(ValueError):
    """Images do not follow the X contract: wrong rank, dtype, range or size, or none at all.

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


class ImageReadError(InvalidImagesError):
    """Image files or encoded bytes cannot be read; the message names them."""


class MissingDependencyError(ImportError):
    """An optional package is not installed; the message says which extra brings it."""


class WeightsError(ValueError):
    """A file of weights is damaged, of another network, or holds what cannot be run safely."""
