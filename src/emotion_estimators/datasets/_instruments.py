"""Drawn musical instruments: random numbers in, a flat `Sketch` out.

Coordinates as in `_vehicles`; the strings of sitar and ektara run upright.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from emotion_estimators.datasets._drawing import Sketch, bezier, blend, circle
from emotion_estimators.datasets._paint import (
    BLACK,
    STEEL,
    WHITE,
    box,
    draw_paint,
    draw_wood,
    points,
)

if TYPE_CHECKING:
    from emotion_estimators.datasets._drawing import Colour

__all__ = ["draw_ektara", "draw_flutes", "draw_harmonium", "draw_sitar", "draw_tabla"]

_SKIN: Colour = (240, 228, 200)
_BONE: Colour = (250, 244, 226)


def draw_sitar(rng: np.random.Generator) -> Sketch:
    """Draw a gourd that tapers into a long neck with frets, strings, pegs and a second gourd."""
    wood = draw_wood(rng)
    dark, light = blend(wood, BLACK, 0.45), blend(wood, WHITE, 0.35)
    gourd, neck, small = rng.uniform((0.36, 0.075, 0.15), (0.42, 0.095, 0.19)).tolist()
    sketch = Sketch(relief=0.0)
    sketch.ellipse((-0.16, -0.62), (small, small), dark)
    for y in (-0.86, -0.72, -0.5, -0.36, -0.22):
        sketch.line(points((0.0, y), (0.24, y - 0.02)), dark, 0.055)
        sketch.ellipse((0.25, y - 0.02), (0.05, 0.05), light)
    shoulder = bezier((neck, 0.0), (neck + 0.05, 0.34), (gourd * 1.35, 0.3), (gourd, 0.7), n=8)
    low = bezier((gourd, 0.7), (0.75 * gourd, 1.02), (0.3 * gourd, 1.0), (0.0, 1.0), n=8)
    right = np.concatenate([shoulder, low])
    sketch.polygon(np.concatenate([right, right[::-1] * (-1.0, 1.0)]), wood)
    inner = right * (0.72, 0.72) + (0.0, 0.19)
    sketch.polygon(np.concatenate([inner, inner[::-1] * (-1.0, 1.0)]), light)
    sketch.polygon(box(-neck, -0.98, neck, 0.3), dark)
    for y in np.linspace(-0.7, 0.2, 8).tolist():
        sketch.line(points((-neck, y), (neck, y)), (225, 200, 110), 0.03)
    for x in (-0.035, 0.035):
        sketch.line(points((x, -0.94), (x, 0.74)), _BONE, 0.022)
    sketch.line(points((-0.15, 0.68), (0.15, 0.68)), _BONE, 0.09)
    return sketch


def draw_ektara(rng: np.random.Generator) -> Sketch:
    """Draw a drum from whose sides two bamboo strips meet at a peg, and one string between them."""
    wood, bamboo = draw_wood(rng), blend(draw_wood(rng), (225, 190, 110), 0.6)
    wide, low, top = rng.uniform((0.3, 0.24, -0.84), (0.38, 0.32, -0.74)).tolist()
    sketch = Sketch(relief=0.0)
    for turn in (-1.0, 1.0):
        strip = bezier((turn * 0.05, top), (turn * wide * 1.1, -0.3), (turn * wide, 0.5), n=7)
        sketch.line(strip, blend(bamboo, BLACK, 0.12), 0.1)
    sketch.line(points((0.0, top), (0.0, 0.4)), _BONE, 0.035)
    sketch.polygon(box(-0.08, top - 0.16, 0.08, top + 0.12), bamboo)
    sketch.line(points((-0.22, top - 0.02), (0.22, top - 0.02)), blend(wood, BLACK, 0.3), 0.08)
    side = bezier((wide, 0.42), (wide * 1.1, 0.7), (low, 1.0), n=6)
    sketch.polygon(np.concatenate([side, side[::-1] * (-1.0, 1.0)]), wood)
    sketch.line(points((-wide, 0.62), (wide, 0.62)), draw_paint(rng), 0.09)
    sketch.ellipse((0.0, 0.42), (wide, 0.1), _SKIN)
    return sketch


def draw_flutes(rng: np.random.Generator) -> Sketch:
    """Draw two or three bamboo flutes, side by side or spread like a fan, with holes and rings."""
    n_flutes = int(rng.integers(2, 4))
    spread, gap, radius = rng.uniform((0.0, 0.2, 0.07), (0.22, 0.26, 0.085)).tolist()
    sketch = Sketch(relief=0.0)
    ring = draw_paint(rng)
    for number in range(n_flutes):
        place = number - 0.5 * (n_flutes - 1)
        bamboo = blend(draw_wood(rng), (228, 192, 112), 0.65)
        length = float(rng.uniform(0.82, 1.0))
        cos, sin = np.cos(spread * place), np.sin(spread * place)
        # rows: along the flute, across it
        axes = np.array([(length * cos, length * sin), (-sin, cos)])
        shift = gap * place * axes[1]

        ends = box(-1.0, -radius, 1.0, radius)
        sketch.polygon(ends @ axes + shift, bamboo)
        under = points((-1.0, 0.7 * radius), (1.0, 0.7 * radius)) @ axes + shift
        sketch.line(under, blend(bamboo, BLACK, 0.35), 0.6 * radius)
        for x in (-0.93, -0.4, 0.9):
            sketch.line(points((x, -radius), (x, radius)) @ axes + shift, ring, 0.07)
        for x in (-0.66, -0.16, 0.04, 0.24, 0.44, 0.64):
            sketch.polygon(circle(10) * 0.042 + points((x, -0.1 * radius)) @ axes + shift, BLACK)
    return sketch


def draw_tabla(rng: np.random.Generator) -> Sketch:
    """Draw a pair of drums, a slim one of wood and a round one of metal, with a black spot each."""
    wood, cushion = draw_wood(rng), draw_paint(rng)
    metal = blend(STEEL, (190, 120, 60), float(rng.random()))
    tall, wide, slim = rng.uniform((-0.5, 0.5, 0.34), (-0.36, 0.56, 0.4)).tolist()
    sketch = Sketch(relief=0.0)
    drums = ((-0.46, wide, tall + 0.1, metal, 1.25, 0.45), (0.54, slim, tall, wood, 1.15, 0.95))
    for x, half, top, colour, belly, foot in drums:
        sketch.ellipse((x, 0.62), (half * 0.95, 0.14), cushion)
        side = bezier(
            (half, top), (half * belly, 0.1), (half * belly, 0.45), (half * foot, 0.62), n=9
        )
        shape = np.concatenate([side, side[::-1] * (-1.0, 1.0)]) + (x, 0.0)
        sketch.polygon(shape, colour)
        strap = blend(colour, WHITE, 0.6)
        for place in (-0.8, -0.3, 0.3, 0.8):
            start, end = (x + place * half, top + 0.1), (x + 0.75 * place * half, 0.5)
            sketch.line(points(start, end), strap, 0.035)
        sketch.ellipse((x, top), (half, 0.42 * half), blend(colour, BLACK, 0.5))
        sketch.ellipse((x, top), (0.9 * half, 0.36 * half), _SKIN)
        sketch.ellipse((x, top), (0.45 * half, 0.19 * half), BLACK)
    return sketch


def draw_harmonium(rng: np.random.Generator) -> Sketch:
    """Draw a box with a row of keys in front and bellows that fan out behind."""
    wood, cloth = draw_wood(rng), draw_paint(rng)
    dark = blend(wood, BLACK, 0.4)
    lift, n_keys, front = rng.uniform((0.2, 9.0, 0.42), (0.42, 12.99, 0.5)).tolist()
    sketch = Sketch(relief=0.0)
    base, top = -0.26, -0.26 - lift
    # pleats, seen from the end of the box: light and dark folds that lean back
    folds = np.linspace(-0.9, 0.9, 11).tolist()
    for number, (left, right) in enumerate(pairwise(folds)):
        fold = points((left, base), (left * 0.93, top), (right * 0.93, top), (right, base))
        sketch.polygon(fold, blend(cloth, BLACK if number % 2 else WHITE, 0.35))
    sketch.polygon(box(-0.88, top - 0.1, 0.88, top + 0.02), dark)
    sketch.polygon(box(-1.0, -0.28, 1.0, 0.66), wood)
    sketch.polygon(box(-1.0, -0.28, 1.0, -0.16), blend(wood, WHITE, 0.3))
    sketch.polygon(box(-0.92, -0.1, 0.92, 0.38), _BONE)
    edges = np.linspace(-0.92, 0.92, int(n_keys) + 1)
    for x in edges[1:-1].tolist():
        sketch.line(points((x, -0.1), (x, 0.38)), (150, 146, 138), 0.02)
    for number, x in enumerate(edges[1:-1].tolist()):
        if number % 7 not in (2, 6):  # no black key between E and F, nor between B and C
            sketch.polygon(box(x - 0.05, -0.1, x + 0.05, 0.18), BLACK)
    sketch.polygon(box(-1.0, front, 1.0, 0.66), dark)
    for x in (-0.6, -0.2, 0.2, 0.6):
        sketch.ellipse((x, 0.55), (0.05, 0.05), _BONE)
    return sketch
