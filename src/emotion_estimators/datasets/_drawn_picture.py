"""What all generated pictures share: sizes, seeds, ranges of traits and the enlarged canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.utils import check_random_state

__all__ = [
    "check_picture_size",
    "draw_entropy",
    "draw_traits",
    "enlargement",
]


def check_picture_size(
    image_size: int | Sequence[int], *, smallest: int, needed_by: str
) -> tuple[int, int]:
    """Return (height, width) of a side or a pair, each at least `smallest`."""
    if isinstance(image_size, (int, np.integer)):
        return int(image_size), int(image_size)
    sides = tuple(image_size)
    whole = all(
        isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in sides
    )
    if len(sides) != 2 or not whole or min(sides) < smallest:
        raise ValueError(
            f"{needed_by} expected image_size to be an int or (height, width), each at least "
            f"{smallest} pixels, got {image_size!r}."
        )
    return int(sides[0]), int(sides[1])


def draw_entropy(random_state: int | np.random.RandomState | None) -> list[int]:
    """Return seeds for `numpy.random.SeedSequence`, drawn from scikit-learn's kind of state."""
    # check_random_state(None) would hand out NumPy's global state.
    random = np.random.RandomState() if random_state is None else check_random_state(random_state)
    entropy: list[int] = random.randint(0, 2**32, size=4, dtype=np.uint32).tolist()
    return entropy


def draw_traits(
    ranges: Mapping[str, tuple[float, float]], rng: np.random.Generator
) -> dict[str, float]:
    """Draw each trait uniformly within its (low, high)."""
    low, high = np.array(list(ranges.values())).T
    return dict(zip(ranges, rng.uniform(low, high).tolist(), strict=True))


def enlargement(side: int) -> int:
    """Return how much larger a picture is painted, then averaged, for smooth edges.

    Large pictures need less of that.
    """
    return 4 if side <= 64 else 3 if side <= 128 else 2
