"""Curves, head pose and rasterising for the drawn pictures: points in, a Pillow image out.

Knows nothing of emotions, faces or vehicles. Imports NumPy and Pillow only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Points = NDArray[np.float64]
    Colour = tuple[int, int, int]

__all__ = ["Pose", "Sketch", "arch", "bezier", "blend", "circle", "ribbon"]


@dataclass(frozen=True)
class Pose:
    """Where a head, or a flat thing, stands in the picture.

    Head coordinates have x to the right, y down, and 1.0 as half the height of the head; the
    front of the head bulges towards the viewer. A flat thing has relief 0 everywhere: yaw and
    pitch make it narrower and lower, and a yaw of pi mirrors it. ``centre`` and ``scale`` (pixels
    per unit) are in pixels of the raster, angles are in radians.
    """

    centre: tuple[float, float]
    scale: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def project(self, points: Points, relief: NDArray[np.float64]) -> Points:
        """Turn the head and return pixel coordinates.

        ``points`` is (n, 2). ``relief`` (n,) says how far each point follows the bulge: 1 for the
        front of the face, 0 for its outline, below 0 for what lies behind.
        """
        x, y = points.T
        bulge = 0.65 * np.sqrt(np.clip(1.0 - x * x - 0.8 * y * y, 0.0, None))
        z = np.where(relief > 0.0, relief * bulge, relief)
        turned_x = x * np.cos(self.yaw) + z * np.sin(self.yaw)
        turned_y = y * np.cos(self.pitch) + z * np.sin(self.pitch)
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        out = np.empty_like(points)
        out[:, 0] = self.centre[0] + self.scale * (cos * turned_x - sin * turned_y)
        out[:, 1] = self.centre[1] + self.scale * (sin * turned_x + cos * turned_y)
        return out


class Sketch:
    """Shapes in head coordinates, in painting order.

    They are gathered first and painted by :meth:`paint`, so that one projection moves all points.
    ``relief`` is that of all shapes that bring none of their own.
    """

    def __init__(self, relief: float = 1.0) -> None:
        self._usual_relief = relief
        self._points: list[Points] = []
        self._relief: list[float] = []
        self._fill: list[Colour] = []
        self._width: list[float | None] = []

    def polygon(self, points: Points, fill: Colour, *, relief: float | None = None) -> None:
        """Add a filled outline, points (n, 2)."""
        self._add(points, fill, None, relief)

    def line(
        self, points: Points, fill: Colour, width: float, *, relief: float | None = None
    ) -> None:
        """Add an open line, points (n, 2), ``width`` in head units."""
        self._add(points, fill, width, relief)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        fill: Colour,
        *,
        relief: float | None = None,
    ) -> None:
        """Add a filled ellipse."""
        self._add(circle(20) * radii + centre, fill, None, relief)

    def _add(self, points: Points, fill: Colour, width: float | None, relief: float | None) -> None:
        self._points.append(points)
        self._relief.append(self._usual_relief if relief is None else relief)
        self._fill.append(fill)
        self._width.append(width)

    def paint(self, image: Image.Image, pose: Pose) -> None:
        """Paint all shapes over ``image``."""
        if not self._points:
            return
        lengths = [len(points) for points in self._points]
        relief = np.repeat(self._relief, lengths)
        placed = pose.project(np.concatenate(self._points), relief).ravel().tolist()
        draw = ImageDraw.Draw(image)
        start = 0
        for length, fill, width in zip(lengths, self._fill, self._width, strict=True):
            flat = placed[start : start + 2 * length]
            start += 2 * length
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


@cache
def _bernstein(degree: int, n: int) -> Points:
    t = np.linspace(0.0, 1.0, n)
    terms = [comb(degree, k) * t**k * (1.0 - t) ** (degree - k) for k in range(degree + 1)]
    return np.stack(terms, axis=1)  # (n, degree + 1)


def bezier(*control: Sequence[float], n: int = 11) -> Points:
    """Points (n, 2) along the Bezier curve with these control points."""
    points: Points = _bernstein(len(control) - 1, n) @ np.array(control, dtype=np.float64)
    return points


def arch(
    left: tuple[float, float],
    right: tuple[float, float],
    middle: float,
    *,
    square: float = 0.5,
    n: int = 11,
) -> Points:
    """Points (n, 2) from ``left`` to ``right`` over an arch whose middle lies at y = ``middle``.

    ``square`` moves the shoulders of the arch outwards: 0.5 is round, 0.9 nearly a box.
    """
    mean_x, half = 0.5 * (left[0] + right[0]), 0.5 * (right[0] - left[0]) * square
    # A cubic's middle is a quarter of its ends and three quarters of its two inner controls.
    shoulder = (middle - 0.125 * (left[1] + right[1])) / 0.75
    return bezier(left, (mean_x - half, shoulder), (mean_x + half, shoulder), right, n=n)


def ribbon(spine: Points, width: ArrayLike) -> Points:
    """Outline (2 n, 2) of a band around ``spine`` (n, 2), thick in y by ``width``, () or (n,)."""
    half = np.zeros_like(spine)
    half[:, 1] = 0.5 * np.asarray(width)
    return np.concatenate([spine - half, (spine + half)[::-1]])


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours: ``share`` 0 gives the first, 1 the second."""
    r, g, b = (round(p + share * (q - p)) for p, q in zip(first, second, strict=True))
    return r, g, b
