"""Images of any sizes, read one by one where they are needed; imports `loader` and `batches`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.images.batches import Failures, raise_any
from emotion_estimators.images.loader import load_image
from emotion_estimators.images.sequences import header_sizes, item_name, item_size
from emotion_estimators.images.threads import map_in_threads

__all__ = ["Photograph", "Photographs"]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Photograph:
    """One image of any size, in the form it was given.

    Attributes
    ----------
    item : path, bytes, PIL image or ndarray
        The image.
    is_checked : bool, default=False
        Whether its pixels were looked at already, or are to be taken as they come.
    """

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

    def pixels(self, *, least_side: int | None = None) -> NDArray[Any]:
        """Read the image.

        Parameters
        ----------
        least_side : int or None, default=None
            JPEG files may come smaller, but with that many pixels on their longer side.

        Returns
        -------
        pixels : ndarray of shape (height, width) or (height, width, 3)
            uint8 in 0..255, or float as given; not to be written into.

        Raises
        ------
        InvalidImagesError
            If it cannot be read or used.
        """
        return load_image(self.item, least_side=least_side, is_checked=self.is_checked)


@dataclass(frozen=True)
class Photographs:
    """Images of any sizes that passed `check_photographs`; ``len`` is their number."""

    _items: Sequence[Any] | NDArray[Any] = field(repr=False)
    _owner: str = field(repr=False)

    def __len__(self) -> int:
        return len(self._items)

    def check_headers(self) -> None:
        """Look at the headers of all files; raise `InvalidImagesError` if some are bad."""
        is_whole = isinstance(self._items, np.ndarray) or header_sizes(self._items)[1]
        if not is_whole:
            for _ in self.map(Photograph.pixels):  # raises, and names what is bad
                pass

    def map(
        self, function: Callable[[Photograph], _Result], *, n_threads: int = 1
    ) -> Iterator[_Result]:
        """Yield what a function makes of each photograph, in order.

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
            After the last photograph, if the function raised it; it names all of them.
        """
        is_checked = isinstance(self._items, np.ndarray)
        attempt = partial(_attempt, function, is_checked)
        failures: Failures = []
        results = map_in_threads(attempt, self._items, n_threads=n_threads)
        for row, (result, error) in enumerate(results):
            if error is not None:
                failures.append((row, error))
            elif not failures:
                yield result  # type: ignore[misc]  # None only beside an error
        raise_any(self._owner, failures, len(self))


def _attempt(
    function: Callable[[Photograph], _Result], is_checked: bool, item: Any
) -> tuple[_Result | None, InvalidImagesError | None]:
    photo = Photograph(item, is_checked)
    try:
        return function(photo), None
    except InvalidImagesError as error:
        return None, type(error)(f"({photo.name}) {error}")
