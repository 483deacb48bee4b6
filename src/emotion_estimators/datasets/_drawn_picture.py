"""What generated pictures share: emotions, sizes, seeds, ranges of traits, enlarged canvas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from sklearn.utils import check_random_state

from emotion_estimators.labels import EMOTIONS, canonical_emotion

__all__ = [
    "check_emotions",
    "check_picture_size",
    "draw_entropy",
    "draw_traits",
    "enlargement",
    "shuffled_pictures",
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


def check_emotions(emotions: Sequence[str] | None, *, needed_by: str) -> tuple[str, ...]:
    """Return distinct emotions by their canonical names, all of them for None."""
    if emotions is None:
        return EMOTIONS
    given = list(emotions)
    wrong = [name for name in given if not isinstance(name, str)]
    if wrong:
        raise ValueError(f"{needed_by} expected emotions to be names, got {wrong[0]!r} among them.")
    names = tuple(canonical_emotion(name) for name in given)
    if not names:
        raise ValueError(
            f"{needed_by} expected at least one name in emotions, got none; "
            f"leave emotions=None for all of {', '.join(EMOTIONS)}."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{needed_by} expected each emotion once in emotions, got {', '.join(twice)} more than "
            f"once in {given!r}."
        )
    return names


def draw_entropy(random_state: int | np.random.RandomState | None) -> list[int]:
    """Return seeds for `numpy.random.SeedSequence`, drawn from scikit-learn's kind of state."""
    # check_random_state(None) would hand out NumPy's global state.
    random = np.random.RandomState() if random_state is None else check_random_state(random_state)
    entropy: list[int] = random.randint(0, 2**32, size=4, dtype=np.uint32).tolist()
    return entropy


def shuffled_pictures(
    n_samples: int, random_state: int | np.random.RandomState | None
) -> Iterator[tuple[int, np.random.Generator]]:
    """Yield a picture's number and its own generator for each row.

    The generator depends on the number and not on `n_samples`.
    """
    entropy = draw_entropy(random_state)
    for number in np.random.default_rng(entropy).permutation(n_samples).tolist():
        child = np.random.SeedSequence(entropy, spawn_key=(number,))
        yield number, np.random.default_rng(child)


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
