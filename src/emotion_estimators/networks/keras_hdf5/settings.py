"""One layer's JSON configuration, read field by field with checks."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.graph import Shape

__all__ = ["MAX_INTEGER", "Origin", "Settings"]

MAX_INTEGER = (1 << 31) - 1
MAX_AXES = 16


@dataclass(frozen=True)
class Origin:
    """Which Keras wrote a file, and on which backend; "" where it is not said."""

    version: str = ""
    backend: str = ""

    @property
    def major(self) -> int:
        """The Keras of the file, 1, 2, 3; 0 where it is not said."""
        first = self.version.split(".")[0]
        return int(first[:9]) if first.isdecimal() else 0

    @property
    def by_theano(self) -> bool:
        """Whether convolutions were those of mathematics, which turn the kernel round.

        Keras 1 does not name its backend.
        """
        return self.backend == "theano"


class Settings:
    """The configuration of a layer or model."""

    def __init__(self, where: str, values: Any, origin: Origin = Origin()) -> None:
        if not isinstance(values, dict):
            raise WeightsError(
                f"{where}: the configuration must be a JSON object, got {type(values).__name__}"
            )
        self.where = where
        self.origin = origin
        self._values = values

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return these settings with others in place of some."""
        return Settings(self.where, {**self._values, **values}, self.origin)

    def error(self, message: str) -> WeightsError:
        """Return the error to raise, its message completed by the place."""
        return WeightsError(f"{self.where}: {message}")

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value as it stands in the file; null counts as missing."""
        value = self._values.get(key)
        return default if value is None else value

    def text(self, key: str) -> str:
        """Return a text."""
        value = self.get(key)
        if not isinstance(value, str):
            raise self.error(f"{key!r} must be a text, got {value!r:.80}")
        return value

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """Return one of several words."""
        value = self.get(key, default)
        if not isinstance(value, str) or value not in choices:
            raise self.error(
                f"{key}={value!r:.80} cannot be converted; known: {', '.join(sorted(choices))}"
            )
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a truth value."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.error(f"{key!r} must be true or false, got {value!r:.80}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number."""
        value = self.get(key, default)
        if isinstance(value, dict):  # Keras 2 wrote NumPy scalars as {"type": ..., "value": ...}
            value = value.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{key!r} must be a number, got {value!r:.80}")
        if abs(value) > MAX_INTEGER or not math.isfinite(value):
            raise self.error(f"{key!r} must be a finite number, got {value!r:.80}")
        return float(value)

    def numbers(self, key: str, size: int, default: float | None = None) -> list[float]:
        """Return `size` finite numbers, given as a list of them or as one for all."""
        value = self.get(key, default)
        while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]  # with axes of size 1, as an array had them
        values = value if isinstance(value, list) else [value] * size
        if len(values) != size:
            raise self.error(f"{key!r} must be {size} numbers, got {len(values)}")
        return [Settings(self.where, {key: each}).number(key) for each in values]

    def integer(self, key: str, default: int | None = None, *, minimum: int = 1) -> int:
        """Return a whole number of at least `minimum`."""
        return self._integer(key, self.get(key, default), minimum)

    def integers(self, key: str, *, minimum: int) -> list[int]:
        """Return a list of whole numbers, one for an axis each."""
        return [self._integer(key, value, minimum) for value in self._axes(key, self.items(key))]

    def integers_or_one(self, key: str) -> list[int]:
        """Return whole numbers of at least 1, given as one or as a list; [1] where unsaid."""
        value = self.get(key, 1)
        values = value if isinstance(value, list) and value else [value]
        return [self._integer(key, each, 1) for each in values]

    def pair(self, key: str, default: Any = None, *, minimum: int = 1) -> tuple[int, int]:
        """Return (height, width), given as two whole numbers or as one for both."""
        value = self.get(key, default)
        values = value if isinstance(value, list | tuple) else [value, value]
        if len(values) != 2:
            raise self.error(f"{key!r} must be one or two whole numbers, got {value!r:.80}")
        height, width = (self._integer(key, v, minimum) for v in values)
        return height, width

    def items(self, key: str) -> list[Any]:
        """Return a list of anything; a missing one is empty."""
        value = self.get(key, [])
        if not isinstance(value, list):
            raise self.error(f"{key!r} must be a list, got {value!r:.80}")
        return value

    def axis(self, rank: int) -> int:
        """Return ``axis``, -1 where it is not said, as 1..rank - 1 where 0 is the batch axis."""
        axis = self.get("axis", -1)
        if isinstance(axis, list) and len(axis) == 1:  # tf.keras writes lists
            axis = axis[0]
        whole = isinstance(axis, int) and not isinstance(axis, bool)
        if not whole or not -rank < axis < rank or axis == 0:
            raise self.error(f"axis={axis!r:.80} of tensors with {rank} axes cannot be converted")
        return int(axis) % rank

    def shape(self, *keys: str) -> Shape | None:
        """Return the first shape that is given, without its batch axis; None where none is."""
        key = next((k for k in keys if self.get(k) is not None), None)
        if key is None:
            return None
        sizes = self.items(key)
        # Keras 3 wraps the shape of a model's only input in a list.
        if len(sizes) == 1 and isinstance(sizes[0], list):
            sizes = sizes[0]
        if not sizes:
            raise self.error(f"{key!r} must name the batch axis, got an empty list")
        sizes = self._axes(key, sizes)
        return tuple(None if size is None else self._integer(key, size, 1) for size in sizes[1:])

    def _axes(self, key: str, values: list[Any]) -> list[Any]:
        """Return values of axes, not absurdly many, whose product would take hours."""
        if len(values) > MAX_AXES:
            raise self.error(f"{key!r} has {len(values)} entries, more than {MAX_AXES} axes")
        return values

    def _integer(self, key: str, value: Any, minimum: int) -> int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not minimum <= value <= MAX_INTEGER:
            raise self.error(
                f"{key!r} must be a whole number from {minimum} to {MAX_INTEGER}, got {value!r:.80}"
            )
        return int(value)
