"""Drawn vehicles and musical instruments: random numbers in, a flat `Sketch` out.

Coordinates have x to the right, y down, the middle at 0 and half the length as 1. Vehicles look
to the right, strings run upright; what mirrors, turns and shrinks them is the `Pose`.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np

from emotion_estimators.datasets._drawing.canvas import Colour, Sketch, bezier, blend, circle

__all__ = ["THINGS", "WHITE", "draw_paint"]

BLACK, WHITE, STEEL = (20, 20, 24), (246, 246, 240), (176, 180, 188)
_GLASS, _TYRE, _SHADE, _LAMP = (150, 195, 220), (28, 28, 32), (62, 66, 74), (255, 236, 150)
_SKIN, _BONE = (240, 228, 200), (250, 244, 226)


def draw_paint(rng: np.random.Generator) -> Colour:
    """Choose a paint of any hue, from strong to pale and from dark to bright."""
    return _rgb(*rng.uniform((0.0, 0.35, 0.5), (1.0, 0.95, 0.95)).tolist())


def _wood(rng: np.random.Generator) -> Colour:
    """Choose a wood or a varnish."""
    return _rgb(*rng.uniform((0.02, 0.45, 0.4), (0.11, 0.8, 0.85)).tolist())


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _wheels(sketch: Sketch, places: tuple[float, ...], y: float, radius: float) -> None:
    for x in places:
        for share, colour in ((1.0, _TYRE), (0.5, STEEL), (0.18, _TYRE)):
            sketch.ellipse((x, y), (share * radius, share * radius), colour)


def _mirrored(sketch: Sketch, right: np.ndarray, fill: Colour, x: float = 0.0) -> None:
    """Add the outline whose right half is given, points (n, 2), with its middle at x."""
    sketch.polygon(np.concatenate([right, right[::-1] * (-1.0, 1.0)]) + (x, 0.0), fill)


def _motorcycle(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw two fat wheels, engine, exhaust, tail, seat, tank, fork, handlebar, fender, lamp."""
    paint = draw_paint(rng)
    radius, seat = rng.uniform((0.33, -0.28), (0.39, -0.2)).tolist()
    _wheels(sketch, (-0.62, 0.62), 0.32, radius)
    sketch.polygon([(-0.3, -0.05), (0.3, -0.05), (0.22, 0.42), (-0.2, 0.42)], _SHADE)
    sketch.ellipse((0.02, 0.18), (0.17, 0.17), STEEL)
    sketch.line([(0.05, 0.4), (-0.35, 0.48), (-0.98, 0.36)], (205, 205, 210), 0.11)
    tail = [(-0.98, seat - 0.08), (-0.55, seat + 0.02), (0.1, seat), (-0.1, 0.08), (-0.5, 0.0)]
    sketch.polygon(tail, paint)
    ends = (-0.7, seat), (-0.5, seat - 0.2), (-0.2, seat - 0.05), (0.05, seat - 0.02)
    sketch.polygon(bezier(*ends), BLACK)
    sketch.ellipse((0.16, seat - 0.04), (0.3, 0.18), paint)
    sketch.line([(0.62, 0.32), (0.36, -0.52)], STEEL, 0.1)
    sketch.line([(0.36, -0.55), (0.12, -0.6)], BLACK, 0.09)
    sketch.line(bezier((0.28, 0.12), (0.45, -0.18), (0.85, -0.12), (0.96, 0.16)), paint, 0.09)
    sketch.ellipse((0.49, -0.36), (0.13, 0.13), _LAMP)


def _cycle(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw two thin wheels that one can look through, frame, saddle, handlebar, crank."""
    paint = draw_paint(rng)
    radius, tube, saddle = rng.uniform((0.39, 0.06, -0.5), (0.44, 0.085, -0.42)).tolist()
    ring = circle(24)[np.arange(25) % 24] * radius
    rear, front = (-0.56, 0.28), (0.56, 0.28)
    for hub in (rear, front):
        for spoke in ring[:12:4]:
            sketch.line([hub - spoke, hub + spoke], (185, 185, 190), 0.018)
        sketch.line(ring + hub, _TYRE, 0.06)
    crank, seat, head = (-0.08, 0.3), (-0.24, -0.3), (0.36, -0.34)
    sketch.line([rear, seat, head, crank, rear], paint, tube)
    sketch.line([crank, (-0.27, saddle + 0.06)], paint, tube)
    sketch.line([front, head, (0.32, -0.52)], paint, tube)
    sketch.line([(0.26, -0.54), (0.42, -0.58), (0.5, -0.5)], BLACK, 0.06)
    sketch.polygon([(-0.44, saddle - 0.02), (-0.1, saddle + 0.02), (-0.4, saddle + 0.1)], BLACK)
    sketch.ellipse(crank, (0.09, 0.09), _SHADE)


def _truck(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw a cab in front of a tall load, with a gap between them, on three wheels."""
    paint, load = draw_paint(rng), draw_paint(rng)
    top, gap, split, white = rng.uniform((-0.66, 0.26, 0.4, 0.0), (-0.5, 0.36, 0.6, 1.0)).tolist()
    load = blend(load, WHITE, 0.8 if white < 0.4 else 0.0)
    sketch.box(-0.98, 0.26, 0.95, 0.38, _SHADE)
    sketch.box(-1.0, top, gap, 0.28, load)
    for x in np.linspace(-1.0, gap, 6)[1:-1].tolist():
        sketch.line([(x, top + 0.06), (x, 0.24)], blend(load, BLACK, 0.3), 0.03)
    nose = [(0.72, -0.34), (0.92, -0.02), (1.0, 0.04), (1.0, 0.32)]
    sketch.polygon([(gap + 0.09, 0.32), (gap + 0.09, -0.34), *nose], paint)
    left = split + 0.04
    sketch.polygon([(left, -0.24), (0.7, -0.24), (0.83, -0.01), (left, -0.01)], _GLASS)
    sketch.box(0.9, 0.12, 1.0, 0.22, _LAMP)
    _wheels(sketch, (-0.72, -0.32, 0.66), 0.4, 0.19)


def _bus(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw one long body with a row of windows over its whole length, on two wheels."""
    paint = draw_paint(rng)
    top, n_windows, stripe = rng.uniform((-0.5, 4.0, 0.3), (-0.42, 6.99, 1.0)).tolist()
    body = np.sign(circle(28)) * np.abs(circle(28)) ** 0.25  # a box with round corners
    middle = 0.5 * (top + 0.36)
    sketch.polygon(body * (1.0, 0.36 - middle) + (0.0, middle), paint)
    sketch.box(-0.99, 0.12, 0.99, 0.22, blend(paint, WHITE, stripe))
    width = 1.58 / int(n_windows)
    for left in np.arange(int(n_windows)) * width - 0.92:
        sketch.box(left + 0.03, top + 0.12, left + width - 0.03, 0.02, _GLASS)
    sketch.box(0.72, top + 0.1, 0.97, 0.05, _GLASS)
    sketch.box(0.92, 0.14, 1.0, 0.24, _LAMP)
    _wheels(sketch, (-0.6, 0.56), 0.36, 0.18)


def _boat(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw a hull with pointed bow on a wave, under two sails or with a cabin and a funnel."""
    paint, other = draw_paint(rng), draw_paint(rng)
    deck, mast, peak, sails, pale = rng.uniform(
        (0.24, -0.12, -1.0, 0.0, 0.15), (0.34, 0.1, -0.8, 1.0, 0.9)
    ).tolist()
    if sails < 0.7:
        cloth = blend(other, WHITE, pale)
        sketch.line([(mast, deck), (mast, peak - 0.06)], (96, 66, 40), 0.07)
        foot = deck - 0.12
        sketch.polygon([(mast - 0.06, peak), (mast - 0.8, foot), (mast - 0.06, foot)], cloth)
        jib = [(mast + 0.07, peak + 0.12), (mast + 0.68, foot), (mast + 0.07, foot)]
        sketch.polygon(jib, blend(cloth, BLACK, 0.15))
    else:
        sketch.box(-0.2, -0.62, 0.04, -0.1, other)
        sketch.box(-0.56, -0.22, 0.36, deck, WHITE)
        for x in (-0.44, -0.16, 0.12):
            sketch.box(x, -0.1, x + 0.16, 0.06, _SHADE)
    bow = bezier((1.0, deck - 0.06), (0.8, 0.3), (0.62, 0.62), (0.5, 0.66))
    sketch.polygon([(-0.86, deck), *bow, (-0.56, 0.66), (-0.72, 0.55)], paint)
    sketch.line([(-0.85, deck + 0.04), (0.96, deck)], blend(paint, WHITE, 0.7), 0.07)
    along = np.linspace(-0.95, 0.95, 21)
    wave = np.stack([along, 0.66 + 0.05 * np.sin(10.0 * along)], axis=1)
    sketch.line(wave, (131, 177, 214), 0.09)


def _sitar(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw a gourd that tapers into a long neck with frets, strings, pegs and a second gourd."""
    wood = _wood(rng)
    dark, light = blend(wood, BLACK, 0.45), blend(wood, WHITE, 0.35)
    gourd, neck, small = rng.uniform((0.36, 0.075, 0.15), (0.42, 0.095, 0.19)).tolist()
    sketch.ellipse((-0.16, -0.62), (small, small), dark)
    for y in (-0.86, -0.72, -0.5, -0.36, -0.22):
        sketch.line([(0.0, y), (0.24, y - 0.02)], dark, 0.055)
        sketch.ellipse((0.25, y - 0.02), (0.05, 0.05), light)
    shoulder = bezier((neck, 0.0), (neck + 0.05, 0.34), (gourd * 1.35, 0.3), (gourd, 0.7))
    low = bezier((gourd, 0.7), (0.75 * gourd, 1.02), (0.3 * gourd, 1.0), (0.0, 1.0))
    right = np.concatenate([shoulder, low])
    _mirrored(sketch, right, wood)
    _mirrored(sketch, right * 0.72 + (0.0, 0.19), light)
    sketch.box(-neck, -0.98, neck, 0.3, dark)
    for y in np.linspace(-0.7, 0.2, 8).tolist():
        sketch.line([(-neck, y), (neck, y)], (225, 200, 110), 0.03)
    for x in (-0.035, 0.035):
        sketch.line([(x, -0.94), (x, 0.74)], _BONE, 0.022)
    sketch.line([(-0.15, 0.68), (0.15, 0.68)], _BONE, 0.09)


def _ektara(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw a drum from whose sides two bamboo strips meet at a peg, and one string between them."""
    wood, bamboo = _wood(rng), blend(_wood(rng), (225, 190, 110), 0.6)
    wide, low, top = rng.uniform((0.3, 0.24, -0.84), (0.38, 0.32, -0.74)).tolist()
    for turn in (-1.0, 1.0):
        strip = bezier((turn * 0.05, top), (turn * wide * 1.1, -0.3), (turn * wide, 0.5))
        sketch.line(strip, blend(bamboo, BLACK, 0.12), 0.1)
    sketch.line([(0.0, top), (0.0, 0.4)], _BONE, 0.035)
    sketch.box(-0.08, top - 0.16, 0.08, top + 0.12, bamboo)
    sketch.line([(-0.22, top - 0.02), (0.22, top - 0.02)], blend(wood, BLACK, 0.3), 0.08)
    _mirrored(sketch, bezier((wide, 0.42), (wide * 1.1, 0.7), (low, 1.0)), wood)
    sketch.line([(-wide, 0.62), (wide, 0.62)], draw_paint(rng), 0.09)
    sketch.ellipse((0.0, 0.42), (wide, 0.1), _SKIN)


def _flutes(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw two or three bamboo flutes, side by side or spread like a fan, with holes and rings."""
    n_flutes, ring = int(rng.integers(2, 4)), draw_paint(rng)
    spread, gap, radius = rng.uniform((0.0, 0.2, 0.07), (0.22, 0.26, 0.085)).tolist()
    for number in range(n_flutes):
        place = number - 0.5 * (n_flutes - 1)
        bamboo = blend(_wood(rng), (228, 192, 112), 0.65)
        length, cos, sin = rng.uniform(0.82, 1.0), np.cos(spread * place), np.sin(spread * place)
        axes = np.array([(length * cos, length * sin), (-sin, cos)])  # along the flute, across it
        shift = gap * place * axes[1]
        sketch.line([(-1.0, 0.0), (1.0, 0.0)] @ axes + shift, bamboo, 2.0 * radius)
        low = [(-1.0, 0.7 * radius), (1.0, 0.7 * radius)] @ axes + shift
        sketch.line(low, blend(bamboo, BLACK, 0.35), 0.6 * radius)
        for x in (-0.93, -0.4, 0.9):
            sketch.line([(x, -radius), (x, radius)] @ axes + shift, ring, 0.07)
        for x in (-0.66, -0.16, 0.04, 0.24, 0.44, 0.64):
            sketch.polygon(circle(10) * 0.042 + (x, -0.1 * radius) @ axes + shift, BLACK)


def _tabla(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw a pair of drums, a slim one of wood and a round one of metal, with a black spot each."""
    wood, cushion = _wood(rng), draw_paint(rng)
    copper, tall, wide, slim = rng.uniform((0.0, -0.5, 0.5, 0.34), (1.0, -0.36, 0.56, 0.4)).tolist()
    metal = blend(STEEL, (190, 120, 60), copper)
    drums = ((-0.46, wide, tall + 0.1, metal, 1.25, 0.45), (0.54, slim, tall, wood, 1.15, 0.95))
    for x, half, top, colour, belly, foot in drums:
        sketch.ellipse((x, 0.62), (half * 0.95, 0.14), cushion)
        side = (half, top), (half * belly, 0.1), (half * belly, 0.45), (half * foot, 0.62)
        _mirrored(sketch, bezier(*side), colour, x)
        for place in (-0.8, -0.3, 0.3, 0.8):
            start, end = (x + place * half, top + 0.1), (x + 0.75 * place * half, 0.5)
            sketch.line([start, end], blend(colour, WHITE, 0.6), 0.035)
        for share, shade in ((1.0, blend(colour, BLACK, 0.5)), (0.88, _SKIN), (0.45, BLACK)):
            sketch.ellipse((x, top), (share * half, 0.42 * share * half), shade)


def _harmonium(rng: np.random.Generator, sketch: Sketch) -> None:
    """Draw a box with a row of keys in front and bellows that fan out behind."""
    wood, cloth = _wood(rng), draw_paint(rng)
    dark = blend(wood, BLACK, 0.4)
    lift, n_keys, front = rng.uniform((0.2, 9.0, 0.42), (0.42, 12.99, 0.5)).tolist()
    base, top = -0.26, -0.26 - lift
    for number, left in enumerate(np.linspace(-0.9, 0.72, 10)):  # folds, light and dark
        right = left + 0.18
        fold = [(left, base), (left * 0.93, top), (right * 0.93, top), (right, base)]
        sketch.polygon(fold, blend(cloth, BLACK if number % 2 else WHITE, 0.35))
    sketch.box(-0.88, top - 0.1, 0.88, top + 0.02, dark)
    sketch.box(-1.0, -0.28, 1.0, 0.66, wood)
    sketch.box(-1.0, -0.28, 1.0, -0.16, blend(wood, WHITE, 0.3))
    sketch.box(-0.92, -0.1, 0.92, 0.38, _BONE)
    edges = np.linspace(-0.92, 0.92, int(n_keys) + 1)[1:-1]
    for x in edges:
        sketch.line([(x, -0.1), (x, 0.38)], (150, 146, 138), 0.02)
    for number, x in enumerate(edges):
        if number % 7 not in (2, 6):  # no black key between E and F, nor between B and C
            sketch.box(x - 0.05, -0.1, x + 0.05, 0.18, BLACK)
    sketch.box(-1.0, front, 1.0, 0.66, dark)


# What draws each kind; how often it is picked beside the others; how far it turns, in radians.
THINGS: dict[str, tuple[Callable[[np.random.Generator, Sketch], None], float, float]] = {
    "motorcycle": (_motorcycle, 1.0, 0.25),
    "truck": (_truck, 0.5, 0.15),
    "boat": (_boat, 0.75, 0.2),
    "bus": (_bus, 0.6, 0.15),
    "cycle": (_cycle, 1.3, 0.25),
    "sitar": (_sitar, 0.45, 1.1),
    "ektara": (_ektara, 0.25, 0.6),
    "flutes": (_flutes, 0.9, 1.5),
    "tabla": (_tabla, 0.35, 0.2),
    "harmonium": (_harmonium, 0.3, 0.2),
}
