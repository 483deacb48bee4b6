"""Images that have passed the door: in batches of one size, or one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._progress import progress_bar
from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.images.items import Failures, item_name, item_size, raise_any
from emotion_estimators.images.loader import read_item
from emotion_estimators.images.threads import map_in_threads

__all__ = ["Images", "Photograph"]

Loaded: TypeAlias = NDArray[Any] | Failures
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Photograph:
    """One image of any size, in the form it was given."""

    item: Any
    is_checked: bool = False

    @property
    def name(self) -> str:
        """The path, or the kind of thing that the image is."""
        return item_name(self.item)

    def size(self) -> tuple[int, int]:
        """Return height and width, by the header; raise `InvalidImagesError` if that fails."""
        if isinstance(self.item, np.ndarray):
            return self.item.shape[0], self.item.shape[1]
        return item_size(self.item)

    def pixels(self, *, min_side: int | None = None) -> NDArray[Any]:
        """Read the image.

        returns (height, width) or (height, width, 3).

        Raises InvalidImagesError if it cannot be read or used.
        """
        return read_item(self.item, min_side=min_side, is_checked=self.is_checked)


@dataclass(frozen=True)
class Images:
    """Images that passed `~emotion_estimators.validation.check_images`, which makes them.

    They are read when they are asked for: those of one size in batches, by `batches`, those of
    mixed sizes one by one, by `map`.

    Attributes
    ----------
    n_samples : int
        Number of images; also ``len(images)``.
    image_size : tuple of int or None
        Height and width in pixels, after resizing; None where sizes are mixed.
    is_table : bool
        Whether X was 2-D: rows of numbers, or a column of images.
    """

    n_samples: int
    image_size: Any
    is_table: bool
    _name: str = field(repr=False)
    _load: Callable[[slice, int], Loaded] | None = field(repr=False)  # None: of mixed sizes
    _items: Sequence[Any] | NDArray[Any] = field(default=(), repr=False)

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
        ValueError
            If sizes are mixed.
        """
        n = self.n_samples
        slices = [slice(i, min(i + batch_size, n)) for i in range(0, n, batch_size)]
        loads = self._load_ahead if ahead and len(slices) > 1 else self._load_in_turn
        failures: Failures = []
        with _progress(self._name, n if verbose else None) as advance:
            for rows, loaded in zip(slices, loads(slices, n_threads), strict=True):
                if isinstance(loaded, list):
                    failures += loaded
                elif not failures:
                    yield rows, loaded
                advance(rows.stop - rows.start)
        raise_any(self._name, failures, n)

    def image(self, row: int) -> NDArray[Any]:
        """Return one image, (height, width[, 3]), or raise as `batches` does."""
        loaded = self._loader()(slice(row, row + 1), 1)
        if isinstance(loaded, list):
            raise_any(self._name, loaded, self.n_samples)
        return cast("NDArray[Any]", loaded)[0]  # type: ignore[no-any-return]

    def map(
        self, function: Callable[[Photograph], _Result], *, n_threads: int = 1
    ) -> Iterator[_Result]:
        """Yield what a function makes of each of the images of mixed sizes, in order.

        Parameters
        ----------
        function : callable
            Takes a `Photograph`; may raise `InvalidImagesError`.
        n_threads : int, default=1
            Calls at the same time.

        Yields
        ------
        result : object
            What `function` returned; nothing more once it has raised.

        Raises
        ------
        InvalidImagesError
            After the last image, if the function raised it; it names all of them.
        ValueError
            If all images have one size.
        """
        if self._load is not None:
            raise ValueError(
                f"{self._name} was given images of one size. Take them from Images.batches, or "
                "pass mixed_sizes=True to check_images."
            )
        is_checked = isinstance(self._items, np.ndarray)
        attempt = partial(_attempt, function, is_checked)
        failures: Failures = []
        results = map_in_threads(attempt, self._items, n_threads=n_threads)
        for row, (result, error) in enumerate(results):
            if error is not None:
                failures.append((row, error))
            elif not failures:
                yield result  # type: ignore[misc]  # None only beside an error
        raise_any(self._name, failures, self.n_samples)

    def _loader(self) -> Callable[[slice, int], Loaded]:
        if self._load is None:
            raise ValueError(
                f"{self._name} was given images of mixed sizes. Take them from Images.map, or "
                "leave out mixed_sizes=True of check_images."
            )
        return self._load

    def _load_in_turn(self, slices: list[slice], n_threads: int) -> Iterator[Loaded]:
        load = self._loader()
        for rows in slices:
            yield load(rows, n_threads)

    def _load_ahead(self, slices: list[slice], n_threads: int) -> Iterator[Loaded]:
        load = self._loader()
        with ThreadPoolExecutor(1) as background:
            upcoming = background.submit(load, slices[0], n_threads)
            for rows in slices[1:]:
                loaded = upcoming.result()
                upcoming = background.submit(load, rows, n_threads)
                yield loaded
            yield upcoming.result()


@contextmanager
def _progress(name: str, n_samples: int | None) -> Iterator[Callable[[int], object]]:
    """Yield a function that moves a progress bar on, or one that does nothing."""
    if n_samples is None:
        yield lambda _: None
        return
    with progress_bar(total=n_samples, unit="image", desc=name) as bar:
        yield bar.update


def _attempt(
    function: Callable[[Photograph], _Result], is_checked: bool, item: Any
) -> tuple[_Result | None, InvalidImagesError | None]:
    photo = Photograph(item, is_checked)
    try:
        return function(photo), None
    except InvalidImagesError as error:
        return None, type(error)(f"({photo.name}) {error}")
