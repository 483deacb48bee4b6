"""Drawn vehicles, seen from the side: random numbers in, a flat `Sketch` out.

Coordinates have x to the right, y down, the middle at 0 and half the length as 1. Vehicles look
to the right; what mirrors, turns and shrinks them is the `_drawing.Pose`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from emotion_estimators.datasets._drawing import Sketch, bezier, blend, circle
from emotion_estimators.datasets._paint import BLACK, STEEL, WHITE, box, draw_paint, points

if TYPE_CHECKING:
    from emotion_estimators.datasets._drawing import Colour

__all__ = ["draw_boat", "draw_bus", "draw_cycle", "draw_motorcycle", "draw_truck"]

_GLASS: Colour = (150, 195, 220)
_TYRE: Colour = (28, 28, 32)
_SHADE: Colour = (62, 66, 74)
_LAMP: Colour = (255, 236, 150)


def _wheel(sketch: Sketch, x: float, y: float, radius: float) -> None:
    sketch.ellipse((x, y), (radius, radius), _TYRE)
    sketch.ellipse((x, y), (0.5 * radius, 0.5 * radius), STEEL)
    sketch.ellipse((x, y), (0.18 * radius, 0.18 * radius), _TYRE)


def draw_motorcycle(rng: np.random.Generator) -> Sketch:
    """Draw two fat wheels, tank, engine, seat, fork, lamp and exhaust."""
    paint = draw_paint(rng)
    radius, seat = rng.uniform((0.33, -0.28), (0.39, -0.2)).tolist()
    sketch = Sketch(relief=0.0)
    for x in (-0.62, 0.62):
        sketch.ellipse((x, 0.32), (radius, radius), _TYRE)
        sketch.ellipse((x, 0.32), (0.55 * radius, 0.55 * radius), STEEL)
        sketch.ellipse((x, 0.32), (0.2 * radius, 0.2 * radius), _TYRE)
    sketch.polygon(points((-0.3, -0.05), (0.3, -0.05), (0.22, 0.42), (-0.2, 0.42)), _SHADE)
    sketch.ellipse((0.02, 0.18), (0.17, 0.17), STEEL)
    sketch.line(points((0.05, 0.4), (-0.35, 0.48), (-0.98, 0.36)), (205, 205, 210), 0.11)
    # the tail over the rear wheel, then the seat, then the tank
    tail = points(
        (-0.98, seat - 0.08), (-0.55, seat + 0.02), (0.1, seat), (-0.1, 0.08), (-0.5, 0.0)
    )
    sketch.polygon(tail, paint)
    sketch.polygon(
        bezier((-0.7, seat), (-0.5, seat - 0.2), (-0.2, seat - 0.05), (0.05, seat - 0.02)), BLACK
    )
    sketch.ellipse((0.16, seat - 0.04), (0.3, 0.18), paint)
    sketch.line(points((0.62, 0.32), (0.36, -0.52)), STEEL, 0.1)
    sketch.line(points((0.36, -0.55), (0.12, -0.6)), BLACK, 0.09)
    fender = bezier((0.28, 0.12), (0.45, -0.18), (0.85, -0.12), (0.96, 0.16))
    sketch.line(fender, paint, 0.09)
    sketch.ellipse((0.49, -0.36), (0.13, 0.13), _LAMP)
    return sketch


def draw_cycle(rng: np.random.Generator) -> Sketch:
    """Draw two thin wheels that one can look through, a frame of tubes, saddle and handlebar."""
    paint = draw_paint(rng)
    radius, tube, saddle = rng.uniform((0.39, 0.06, -0.5), (0.44, 0.085, -0.42)).tolist()
    sketch = Sketch(relief=0.0)
    ring = circle(24)[np.arange(25) % 24] * radius
    rear, front = np.array((-0.56, 0.28)), np.array((0.56, 0.28))
    for hub in (rear, front):
        for spoke in ring[:12:4]:
            sketch.line(np.stack([hub - spoke, hub + spoke]), (185, 185, 190), 0.018)
        sketch.line(ring + hub, _TYRE, 0.06)
    crank, seat, head = (-0.08, 0.3), (-0.24, -0.3), (0.36, -0.34)
    sketch.line(points(tuple(rear), seat, head, crank, tuple(rear)), paint, tube)
    sketch.line(points(crank, (-0.27, saddle + 0.06)), paint, tube)
    sketch.line(points(tuple(front), head, (0.32, -0.52)), paint, tube)
    sketch.line(points((0.26, -0.54), (0.42, -0.58), (0.5, -0.5)), BLACK, 0.06)
    sketch.polygon(
        points((-0.44, saddle - 0.02), (-0.1, saddle + 0.02), (-0.4, saddle + 0.1)), BLACK
    )
    sketch.ellipse(crank, (0.09, 0.09), _SHADE)
    sketch.line(points((-0.16, 0.42), (0.0, 0.18)), BLACK, 0.04)
    return sketch


def draw_truck(rng: np.random.Generator) -> Sketch:
    """Draw a cab in front of a tall load, with a gap between them, on three wheels."""
    paint, load = draw_paint(rng), draw_paint(rng)
    if rng.random() < 0.4:
        load = blend(load, WHITE, 0.8)
    top, gap, split = rng.uniform((-0.66, 0.26, 0.4), (-0.5, 0.36, 0.6)).tolist()
    sketch = Sketch(relief=0.0)
    sketch.polygon(box(-0.98, 0.26, 0.95, 0.38), _SHADE)
    sketch.polygon(box(-1.0, top, gap, 0.28), load)
    for x in np.linspace(-1.0, gap, 6)[1:-1].tolist():
        sketch.line(points((x, top + 0.06), (x, 0.24)), blend(load, BLACK, 0.3), 0.03)
    sketch.line(points((-1.0, top), (gap, top)), blend(load, BLACK, 0.4), 0.05)
    cab = points(
        (gap + 0.09, 0.32),
        (gap + 0.09, -0.34),
        (0.72, -0.34),
        (0.92, -0.02),
        (1.0, 0.04),
        (1.0, 0.32),
    )
    sketch.polygon(cab, paint)
    sketch.polygon(
        points((split + 0.04, -0.24), (0.7, -0.24), (0.83, -0.01), (split + 0.04, -0.01)), _GLASS
    )
    sketch.polygon(box(0.9, 0.12, 1.0, 0.22), _LAMP)
    for x in (-0.72, -0.32, 0.66):
        _wheel(sketch, x, 0.4, 0.19)
    return sketch


def draw_bus(rng: np.random.Generator) -> Sketch:
    """Draw one long body with a row of windows over its whole length, on two wheels."""
    paint = draw_paint(rng)
    top, n_windows, stripe = rng.uniform((-0.5, 4.0, 0.3), (-0.42, 6.99, 1.0)).tolist()
    sketch = Sketch(relief=0.0)
    body = np.sign(circle(28)) * np.abs(circle(28)) ** 0.25  # a box with round corners
    middle = 0.5 * (top + 0.36)
    sketch.polygon(body * (1.0, 0.36 - middle) + (0.0, middle), paint)
    sketch.polygon(box(-0.99, 0.12, 0.99, 0.22), blend(paint, WHITE, stripe))
    edges = np.linspace(-0.92, 0.66, int(n_windows) + 1)
    for left, right in pairwise(edges.tolist()):
        sketch.polygon(box(left + 0.03, top + 0.12, right - 0.03, 0.02), _GLASS)
    sketch.polygon(box(0.72, top + 0.1, 0.97, 0.05), _GLASS)
    sketch.polygon(box(0.92, 0.14, 1.0, 0.24), _LAMP)
    for x in (-0.6, 0.56):
        _wheel(sketch, x, 0.36, 0.18)
    return sketch


def draw_boat(rng: np.random.Generator) -> Sketch:
    """Draw a hull with pointed bow on a wave, under two sails or with a cabin and a funnel."""
    paint, cloth = draw_paint(rng), blend(draw_paint(rng), WHITE, float(rng.choice((0.15, 0.9))))
    deck = float(rng.uniform(0.24, 0.34))
    sketch = Sketch(relief=0.0)
    if rng.random() < 0.7:
        mast, peak = rng.uniform((-0.12, -1.0), (0.1, -0.8)).tolist()
        sketch.line(points((mast, deck), (mast, peak - 0.06)), (96, 66, 40), 0.07)
        sketch.polygon(
            bezier((mast - 0.06, peak), (mast - 0.3, -0.2), (mast - 0.8, deck - 0.14), n=6), cloth
        )
        main = points((mast - 0.06, peak), (mast - 0.8, deck - 0.12), (mast - 0.06, deck - 0.12))
        sketch.polygon(main, cloth)
        sketch.polygon(
            points(
                (mast + 0.07, peak + 0.12), (mast + 0.68, deck - 0.12), (mast + 0.07, deck - 0.12)
            ),
            blend(cloth, BLACK, 0.15),
        )
    else:
        sketch.polygon(box(-0.2, -0.62, 0.04, -0.1), draw_paint(rng))
        sketch.polygon(box(-0.56, -0.22, 0.36, deck), WHITE)
        for x in (-0.44, -0.16, 0.12):
            sketch.polygon(box(x, -0.1, x + 0.16, 0.06), _SHADE)
    hull = bezier((1.0, deck - 0.06), (0.8, 0.3), (0.62, 0.62), (0.5, 0.66))
    sketch.polygon(
        np.concatenate([points((-0.86, deck)), hull, points((-0.56, 0.66), (-0.72, 0.55))]), paint
    )
    sketch.line(points((-0.85, deck + 0.04), (0.96, deck)), blend(paint, WHITE, 0.7), 0.07)
    along = np.linspace(-0.95, 0.95, 21)
    wave = np.stack([along, 0.66 + 0.05 * np.sin(10.0 * along)], axis=1)
    sketch.line(wave, blend((70, 140, 200), WHITE, 0.35), 0.09)
    return sketch
