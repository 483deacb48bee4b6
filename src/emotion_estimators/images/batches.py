"""Images handed out in batches, and the one error for all that are bad; imports `exceptions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from numpy.typing import NDArray

from emotion_estimators.exceptions import ImageReadError, InvalidImagesError

__all__ = ["Failures", "ImageBatches", "raise_any"]

Failures: TypeAlias = list[tuple[int, InvalidImagesError]]  # rows and what is wrong with them

_N_NAMED = 20  # rows named in a message; `error.failures` holds all of them


@dataclass(frozen=True)
class ImageBatches:
    """Images that passed `check_images`, handed out in batches.

    Attributes
    ----------
    n_samples : int
        Number of images; also ``len(images)``.
    image_size : tuple of int
        Height and width in pixels, after resizing.
    """

    n_samples: int
    image_size: tuple[int, int]
    _owner: str = field(repr=False)
    _load: Callable[[slice, int], NDArray[Any] | Failures] = field(repr=False)

    def __len__(self) -> int:
        return self.n_samples

    def batches(
        self, batch_size: int, *, n_threads: int = 1
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield ``(rows, images)`` in order, at most `batch_size` images at once.

        Parameters
        ----------
        batch_size : int
            Largest number of images held at once.
        n_threads : int, default=1
            Threads that decode files and encoded bytes.

        Yields
        ------
        rows : slice
            Which rows of X these are.
        images : ndarray of shape (n, height, width) or (n, height, width, 3)
            uint8 in 0..255, or float as given. May be a view of X: not to be written into.
            Where nothing asks for a colour, grey images among RGB files come as RGB, and a
            batch of grey files alone comes as grey.

        Raises
        ------
        InvalidImagesError
            After the last batch, if an image could not be read or used; it names all of
            them. No batch is handed out once one has failed.
        """
        failures: Failures = []
        for start in range(0, self.n_samples, batch_size):
            rows = slice(start, min(start + batch_size, self.n_samples))
            loaded = self._load(rows, n_threads)
            if isinstance(loaded, list):
                failures += loaded
            elif not failures:
                yield rows, loaded
        raise_any(self._owner, failures, self.n_samples)


def raise_any(owner: str, failures: Failures, n_samples: int) -> None:
    """Raise one error that names all rows at fault; return if there is none."""
    if not failures:
        return
    named = [(row, str(error)) for row, error in failures]
    lines = [f"row {row} {reason}" for row, reason in named[:_N_NAMED]]
    if len(named) > _N_NAMED:
        lines.append(f"and {len(named) - _N_NAMED} more (error.failures holds all)")
    message = f"{owner} cannot use {len(named)} of {n_samples} images:\n  " + "\n  ".join(lines)
    if any(isinstance(error, ImageReadError) for _, error in failures):
        raise ImageReadError(message, named)
    raise InvalidImagesError(message, named)
