"""The parts of a drawn person that show no emotion: traits, colours, head, hair, beard, glasses.

Head coordinates as in `_drawing.Pose`: the eyes lie a little above 0, the chin at y = 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emotion_estimators.datasets._drawing import arch, bezier, blend, circle, ribbon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotion_estimators.datasets._drawing import Colour, Points, Sketch

__all__ = [
    "DARK",
    "TRAITS",
    "Palette",
    "draw_beard",
    "draw_fringe",
    "draw_glasses",
    "draw_head",
    "draw_palette",
]

# What differs between people, uniform within (low, high); lengths in head units.
TRAITS: Mapping[str, tuple[float, float]] = {
    "head_width": (0.70, 0.84),
    "jaw": (0.04, 0.34),
    "ear": (0.06, 0.12),
    "neck": (0.34, 0.52),
    "eye_x": (0.29, 0.36),
    "eye_y": (-0.17, -0.08),
    "eye_width": (0.155, 0.205),
    "eye_open": (0.085, 0.115),
    "eye_tilt": (-0.025, 0.025),
    "iris": (0.070, 0.088),
    "gaze_x": (-0.06, 0.06),
    "gaze_y": (-0.012, 0.02),
    "brow_gap": (0.215, 0.27),
    "brow_arch": (0.01, 0.06),
    "brow_slant": (-0.025, 0.025),
    "brow_thick": (0.045, 0.095),
    "brow_length": (0.85, 1.15),
    "nose_y": (0.17, 0.27),
    "nose_width": (0.10, 0.17),
    "mouth_y": (0.50, 0.60),
    "mouth_width": (0.25, 0.33),
    "mouth_bend": (-0.015, 0.015),
    "lip_upper": (0.035, 0.075),
    "lip_lower": (0.05, 0.10),
    "asymmetry": (-0.12, 0.12),
    "wrinkles": (0.15, 0.75),
    "hairline": (-0.78, -0.60),
    "hair_volume": (1.05, 1.22),
    "hair_length": (-0.3, 1.3),
    "hair_part": (-0.6, 0.6),
    "hair_style": (0.0, 1.0),
    "beard_style": (0.0, 1.0),
    "glasses_style": (0.0, 1.0),
    "glasses_size": (0.22, 0.28),
}

_SKIN: tuple[Colour, ...] = (
    (250, 222, 200),
    (236, 196, 164),
    (214, 166, 128),
    (176, 122, 84),
    (132, 86, 58),
    (96, 62, 44),
)
_HAIR: tuple[Colour, ...] = (
    (22, 18, 18),
    (58, 38, 26),
    (104, 68, 40),
    (150, 70, 36),
    (206, 168, 104),
    (176, 176, 176),
    (232, 230, 226),
)
_IRIS: tuple[Colour, ...] = ((56, 34, 22), (92, 60, 34), (70, 100, 70), (70, 110, 150))
DARK: Colour = (18, 8, 8)


class Palette(NamedTuple):
    """Colours of one person."""

    skin: Colour
    crease: Colour
    lip: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    cloth: Colour
    frame: Colour


def draw_palette(rng: np.random.Generator) -> Palette:
    """Choose the colours of one person."""
    tone, hair_pick, iris_pick, red, depth, brow_dark, frame = rng.random(7).tolist()
    place = tone * (len(_SKIN) - 1.001)
    skin = blend(_SKIN[int(place)], _SKIN[int(place) + 1], place % 1.0)
    hair = _HAIR[int(hair_pick * len(_HAIR))]
    # Lips differ from the skin by a share of its brightness, so that dark skin shows them too.
    rosy = (round(0.72 * skin[0]), round(0.36 * skin[1]), round(0.42 * skin[2]))
    # Brows as light as the skin would vanish at 48 pixels.
    brow = blend(blend(hair, skin, 0.15), DARK, 0.35 + 0.5 * brow_dark)
    cloth = rng.integers(20, 236, size=3).tolist()
    return Palette(
        skin=skin,
        crease=blend(skin, blend(DARK, skin, 0.2), 0.35 + 0.25 * depth),
        lip=blend(blend(skin, rosy, 0.45 + 0.4 * red), DARK, 0.05 + 0.15 * depth),
        hair=hair,
        brow=blend(brow, DARK, 1.0 - min(1.0, 0.6 * sum(skin) / sum(brow))),
        iris=_IRIS[int(iris_pick * len(_IRIS))],
        cloth=(cloth[0], cloth[1], cloth[2]),
        frame=blend((20, 20, 24), (150, 110, 60), frame),
    )


def _outline(person: Mapping[str, float], units: Mapping[int, float]) -> Points:
    """Outline (36, 2) of the head: narrower at the jaw, longer when the jaw drops."""
    x, y = circle(36).T
    low = np.clip(y, 0.0, None)
    drop = 0.07 * units[26] + 0.12 * units[27]
    return np.stack(
        [person["head_width"] * x * (1.0 - person["jaw"] * low**2), y + drop * low**2], axis=1
    )


def draw_head(
    sketch: Sketch, person: Mapping[str, float], palette: Palette, units: Mapping[int, float]
) -> None:
    """Neck, ears, the bare head, and the hair behind it."""
    width, style = person["head_width"], person["hair_style"]
    outline = _outline(person, units)
    if style > 0.12:  # Hair behind the head, as long as the person wears it.
        volume = person["hair_volume"]
        wide, end = width * volume + 0.02, person["hair_length"]
        left = [(-wide * 0.95, end), (-wide * 1.25, -0.5), (-wide, -1.3 * volume)]
        right = [(-x, y) for x, y in reversed(left)]
        back = bezier(*left, (0.0, -1.18 * volume), *right, n=21)
        sketch.polygon(back, blend(palette.hair, DARK, 0.25), relief=-0.1)
    neck = person["neck"]
    sketch.polygon(
        np.array([(-neck, 0.5), (neck, 0.5), (neck, 1.6), (-neck, 1.6)]),
        blend(palette.skin, palette.crease, 0.6),
        relief=-0.1,
    )
    sketch.polygon(
        bezier((-1.9, 1.9), (-1.6, 1.15), (-0.4, 1.35), (0.4, 1.35), (1.6, 1.15), (1.9, 1.9)),
        palette.cloth,
        relief=-0.1,
    )
    if style < 0.75:
        for side in (-1.0, 1.0):
            sketch.ellipse(
                (side * width, 0.0),
                (person["ear"], 0.17),
                blend(palette.skin, palette.crease, 0.35),
                relief=-0.05,
            )
    sketch.polygon(outline, palette.skin, relief=0.0)


def draw_fringe(sketch: Sketch, person: Mapping[str, float], palette: Palette) -> None:
    """Hair over the forehead, down to the hairline; some people have none."""
    style, wide = person["hair_style"], person["head_width"] * 1.03
    if style < 0.12:
        return
    line, part = person["hairline"], person["hair_part"]
    top = bezier(
        (wide, -0.32), (wide * 1.12, -1.15), (0.0, -1.5), (-wide * 1.12, -1.15), (-wide, -0.32)
    )
    if style < 0.55:  # Combed back.
        edge = bezier(
            (-wide, -0.32),
            (-wide * 0.85, line - 0.1),
            (0.0, line - 0.06),
            (wide * 0.85, line - 0.1),
            (wide, -0.32),
        )
    elif style < 0.85:  # Parted.
        edge = np.concatenate(
            [
                bezier((-wide, -0.32), (-wide * 0.8, line + 0.1), (part * wide, line - 0.22)),
                bezier((part * wide, line - 0.22), (wide * 0.8, line + 0.1), (wide, -0.32)),
            ]
        )
    else:  # Straight across.
        edge = bezier(
            (-wide, -0.32), (-wide * 0.9, line + 0.08), (wide * 0.9, line + 0.08), (wide, -0.32)
        )
    sketch.polygon(np.concatenate([top, edge]), palette.hair, relief=0.15)


def draw_beard(
    sketch: Sketch, person: Mapping[str, float], palette: Palette, units: Mapping[int, float]
) -> None:
    """Stubble, a full beard, or a moustache, under the mouth that is drawn after it."""
    style = person["beard_style"]
    outline = _outline(person, units)
    mouth_y = person["mouth_y"]
    share = 0.35 if style < 0.88 else 0.8
    colour = blend(palette.skin, blend(palette.hair, DARK, 0.2), share)
    if style < 0.95:
        chin = outline[2:17]  # The lower half, right to left.
        edge = bezier(
            (chin[-1, 0], chin[-1, 1]),
            (-0.5, 0.8),
            (-0.34, mouth_y - 0.24),
            (0.34, mouth_y - 0.24),
            (0.5, 0.8),
            (chin[0, 0], chin[0, 1]),
        )
        sketch.polygon(np.concatenate([chin, edge]), colour, relief=0.0)
    else:
        lift = mouth_y - 0.09 - 0.1 * units[10]
        spine = arch((-0.3, mouth_y - 0.02), (0.3, mouth_y - 0.02), lift)
        sketch.polygon(ribbon(spine, 0.11), colour)


def draw_glasses(sketch: Sketch, person: Mapping[str, float], palette: Palette) -> None:
    """Put a frame round both eyes; the glass is clear."""
    x, y, size = person["eye_x"], person["eye_y"] + 0.02, person["glasses_size"]
    power = 1.0 if person["glasses_style"] < 0.91 else 0.6  # Round, or with corners.
    ring = circle(24)[np.arange(25) % 24]
    ring = np.sign(ring) * np.abs(ring) ** power * (size, 0.8 * size)
    for side in (-1.0, 1.0):
        sketch.line(ring + np.array([side * x, y]), palette.frame, 0.035)
        temple = np.array([(side * (x + size), y - 0.03), (side * person["head_width"], y - 0.06)])
        sketch.line(temple, palette.frame, 0.035, relief=0.3)
    bridge = arch((-x + size, y - 0.02), (x - size, y - 0.02), y - 0.06, n=5)
    sketch.line(bridge, palette.frame, 0.035)
