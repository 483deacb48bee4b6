"""What drawn images share: random traits, curves, a pose, and a sketch that is painted by it.

Imports NumPy, Pillow and what checks parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

from emotion_estimators._sklearn import own_random_state

__all__ = [
    "Colour",
    "Points",
    "Pose",
    "Sketch",
    "arch",
    "bezier",
    "blend",
    "circle",
    "draw_traits",
    "enlargement",
    "generators",
    "take",
]

Points = NDArray[np.float64]
Colour = tuple[int, int, int]
_XY = tuple[float, float]
_Traits = Mapping[str, float]
_Rng = np.random.Generator
_Pixels = NDArray[np.uint8]


def generators(random_state: int | np.random.RandomState | None) -> Iterator[np.random.Generator]:
    """Yield a generator for each image: that of image i depends on the state and on i alone."""
    entropy = own_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32).tolist()
    number = 0
    while True:
        yield np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(number,)))
        number += 1


def draw_traits(ranges: Mapping[str, _XY], rng: _Rng) -> dict[str, float]:
    """Draw each trait uniformly within its (low, high)."""
    low, high = np.array(list(ranges.values())).T
    return dict(zip(ranges, rng.uniform(low, high).tolist(), strict=True))


def enlargement(side: int) -> int:
    """Return how much larger an image is painted, then averaged, for smooth edges."""
    return 4 if side <= 64 else 3 if side <= 128 else 2


def take(image: Image.Image, times: int, view: _Traits, light: Points, rng: _Rng) -> _Pixels:
    """Average an enlarged image, blur it, light it by (height, width), add grain: uint8 RGB."""
    image = image.reduce(times)
    if view["blur"] > 0.3:
        image = image.filter(ImageFilter.GaussianBlur(view["blur"] * min(image.size) / 64))
    grain = rng.standard_normal(light.shape, dtype=np.float32) * view["noise"]
    lit = (np.asarray(image) * light[:, :, None] - 128.0) * view["contrast"]
    lit += (128.0 + view["brightness"] + grain)[:, :, None]
    taken: _Pixels = np.rint(lit).clip(0.0, 255.0).astype(np.uint8)
    return taken


@dataclass(frozen=True)
class Pose:
    """Where a head, or a flat thing, stands in the image.

    x goes to the right, y down, 1.0 is half the height of the head, whose front bulges towards the
    viewer. A flat thing has relief 0: yaw makes it narrower, a yaw of pi mirrors it. ``centre`` and
    ``scale`` are in pixels of the raster, angles in radians.
    """

    centre: tuple[float, float]
    scale: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def project(self, points: Points, relief: NDArray[np.float64]) -> Points:
        """Return points (n, 2), turned, in pixels, (n, 2).

        ``relief`` (n,): 1 follows the bulge, 0 is the outline, below 0 lies behind.
        """
        x, y = points.T
        bulge = 0.65 * np.sqrt(np.clip(1.0 - x * x - 0.8 * y * y, 0.0, None))
        z = np.where(relief > 0.0, relief * bulge, relief)
        turned_x = x * np.cos(self.yaw) + z * np.sin(self.yaw)
        turned_y = y * np.cos(self.pitch) + z * np.sin(self.pitch)
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        turned = np.stack([cos * turned_x - sin * turned_y, sin * turned_x + cos * turned_y], 1)
        return self.centre + self.scale * turned


class Sketch:
    """Shapes in head coordinates, in painting order; ``relief`` is that of those without one."""

    def __init__(self, relief: float = 1.0) -> None:
        self._usual_relief = relief
        self._shapes: list[tuple[Points, float, Colour, float | None]] = []

    def polygon(self, points: ArrayLike, fill: Colour, *, relief: float | None = None) -> None:
        """Add a filled outline, points (n, 2)."""
        self._add(points, fill, None, relief)

    def line(self, points: ArrayLike, fill: Colour, width: float) -> None:
        """Add an open line, points (n, 2), ``width`` in head units."""
        self._add(points, fill, width, None)

    def ellipse(self, centre: _XY, radii: _XY, fill: Colour, relief: float | None = None) -> None:
        """Add a filled ellipse."""
        self._add(circle(20) * radii + centre, fill, None, relief)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Add a filled upright rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def _add(self, points: Any, fill: Colour, width: float | None, relief: float | None) -> None:
        relief = self._usual_relief if relief is None else relief
        self._shapes.append((np.asarray(points, np.float64), relief, fill, width))

    def paint(self, image: Image.Image, pose: Pose) -> None:
        """Paint all shapes over ``image``."""
        draw = ImageDraw.Draw(image)
        for points, relief, fill, width in self._shapes:
            flat = pose.project(points, np.full(len(points), relief)).ravel().tolist()
            if width is None:
                draw.polygon(flat, fill=fill)
            else:
                draw.line(flat, fill=fill, width=max(1, round(width * pose.scale)))


@cache
def circle(n: int) -> Points:
    """Points (n, 2) on the unit circle, clockwise on the screen from the right; do not write."""
    turn = np.linspace(0.0, 2.0 * np.pi, n, endpoint=False)
    points = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points.flags.writeable = False
    return points


def bezier(*control: Sequence[float], n: int = 11) -> Points:
    """Points (n, 2) along the Bezier curve with these control points."""
    t, last = np.linspace(0.0, 1.0, n), len(control) - 1
    terms = [comb(last, k) * t**k * (1.0 - t) ** (last - k) for k in range(last + 1)]
    points: Points = np.stack(terms, axis=1) @ np.array(control, dtype=np.float64)
    return points


def arch(left: _XY, right: _XY, middle: float, *, square: float = 0.5) -> Points:
    """Points (11, 2) over an arch with its ``middle`` at y; ``square`` 0.5 is round, 0.9 a box."""
    mean_x, half = 0.5 * (left[0] + right[0]), 0.5 * (right[0] - left[0]) * square
    # a cubic's middle is a quarter of its ends and three quarters of its two inner controls
    shoulder = (middle - 0.125 * (left[1] + right[1])) / 0.75
    return bezier(left, (mean_x - half, shoulder), (mean_x + half, shoulder), right)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours: ``share`` 0 gives the first, 1 the second."""
    r, g, b = (round(p + share * (q - p)) for p, q in zip(first, second, strict=True))
    return r, g, b
