"""Images handed out in batches, and the one error for all that are bad; imports `exceptions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from numpy.typing import NDArray

from emotion_estimators._progress import progress_bar
from emotion_estimators.exceptions import ImageReadError, InvalidImagesError

__all__ = ["Failures", "ImageBatches", "raise_any"]

Failures: TypeAlias = list[tuple[int, InvalidImagesError]]  # rows and what is wrong with them
Loaded: TypeAlias = NDArray[Any] | Failures

# rows named in a message, as many as fit on a screen; `error.failures` holds all of them
_N_NAMED = 20
_N_CHARACTERS = 1_500


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
    _load: Callable[[slice, int], Loaded] = field(repr=False)

    def __len__(self) -> int:
        return self.n_samples

    def batches(
        self, batch_size: int, *, n_threads: int = 1, ahead: bool = False, verbose: bool = False
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield ``(rows, images)`` in order, at most `batch_size` images at once.

        Parameters
        ----------
        batch_size : int
            Largest number of images held at once.
        n_threads : int, default=1
            Threads that decode files and encoded bytes.
        ahead : bool, default=False
            Load the next batch while the caller works on one; twice as many images are held.
        verbose : bool, default=False
            Show a progress bar.

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
        n = self.n_samples
        slices = [slice(i, min(i + batch_size, n)) for i in range(0, n, batch_size)]
        loads = self._load_ahead if ahead and len(slices) > 1 else self._load_in_turn
        failures: Failures = []
        with _progress(self._owner, n if verbose else None) as advance:
            for rows, loaded in zip(slices, loads(slices, n_threads), strict=True):
                if isinstance(loaded, list):
                    failures += loaded
                elif not failures:
                    yield rows, loaded
                advance(rows.stop - rows.start)
        raise_any(self._owner, failures, n)

    def image(self, row: int) -> NDArray[Any]:
        """Return one image, (height, width[, 3]), or raise as `batches` does."""
        loaded = self._load(slice(row, row + 1), 1)
        if isinstance(loaded, list):
            raise_any(self._owner, loaded, self.n_samples)
        return cast("NDArray[Any]", loaded)[0]  # type: ignore[no-any-return]

    def _load_in_turn(self, slices: list[slice], n_threads: int) -> Iterator[Loaded]:
        for rows in slices:
            yield self._load(rows, n_threads)

    def _load_ahead(self, slices: list[slice], n_threads: int) -> Iterator[Loaded]:
        with ThreadPoolExecutor(1) as background:
            upcoming = background.submit(self._load, slices[0], n_threads)
            for rows in slices[1:]:
                loaded = upcoming.result()
                upcoming = background.submit(self._load, rows, n_threads)
                yield loaded
            yield upcoming.result()


@contextmanager
def _progress(owner: str, n_samples: int | None) -> Iterator[Callable[[int], object]]:
    """Yield a function that moves a progress bar on, or one that does nothing."""
    if n_samples is None:
        yield lambda _: None
        return
    with progress_bar(total=n_samples, unit="image", desc=owner) as bar:
        yield bar.update


def raise_any(owner: str, failures: Failures, n_samples: int) -> None:
    """Raise one error that names all rows at fault; return if there is none."""
    if not failures:
        return
    named = [(row, str(error)) for row, error in failures]
    lines: list[str] = []
    for row, reason in named[:_N_NAMED]:
        line = f"row {row} {reason}"
        if lines and sum(map(len, lines)) + len(line) > _N_CHARACTERS:
            break
        lines.append(line)
    if len(named) > len(lines):
        lines.append(f"and {len(named) - len(lines)} more (error.failures holds all)")
    message = f"{owner} cannot use {len(named)} of {n_samples} images:\n  " + "\n  ".join(lines)
    if any(isinstance(error, ImageReadError) for _, error in failures):
        raise ImageReadError(message, named)
    raise InvalidImagesError(message, named)
