"""Colours of drawn things, and the outlines they are put together from."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from emotion_estimators.datasets._drawing import Colour, Points

__all__ = ["BLACK", "STEEL", "WHITE", "box", "draw_paint", "draw_wood", "points"]

BLACK: Colour = (20, 20, 24)
WHITE: Colour = (246, 246, 240)
STEEL: Colour = (176, 180, 188)


def draw_paint(rng: np.random.Generator) -> Colour:
    """Choose a paint of any hue, from strong to pale and from dark to bright."""
    return _rgb(*rng.uniform((0.0, 0.35, 0.5), (1.0, 0.95, 0.95)).tolist())


def draw_wood(rng: np.random.Generator) -> Colour:
    """Choose a wood, a varnish or, now and then, a paint."""
    if rng.random() < 0.2:
        return draw_paint(rng)
    return _rgb(*rng.uniform((0.02, 0.45, 0.4), (0.11, 0.8, 0.85)).tolist())


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def points(*corners: tuple[float, float]) -> Points:
    """Points (n, 2) of an outline."""
    return np.array(corners, dtype=np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Corners (4, 2) of an upright rectangle."""
    return points((left, top), (right, top), (right, bottom), (left, bottom))
