"""A drawn human face: an emotion and a person's traits in, a sketch out.

The eyes lie a little above 0, the chin at y = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from emotion_estimators.datasets._drawing.canvas import (
    Colour,
    Sketch,
    arch,
    bezier,
    blend,
    circle,
)

__all__ = ["TRAITS", "Palette", "draw_action_units", "draw_face", "draw_palette"]

_Person = Mapping[str, float]  # a value for each of TRAITS
_Units = Mapping[int, float]  # strength 0..1 of each action unit

# brows 1 and 2 up, 4 down; lids 5 up, 7 tight, 41 drooping; 6 cheeks, 9 nose, 10 lip, 17 chin up;
# corners of the mouth 12 up, 15 down; lips 20 wide, 22 round, 23 tight, 24 pressed, 25 apart; jaw
# 26 down; mouth 27 stretched
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 22, 23, 24, 25, 26, 27, 41)

# An emotion, the share of its images that show this variant, and strengths of action units: the
# prototypes and main variants of Ekman & Friesen's FACS; strengths are this library's own.
PROTOTYPES: tuple[tuple[str, float, Mapping[int, float]], ...] = (
    ("angry", 0.6, {4: 1.2, 5: 0.7, 7: 0.6, 17: 0.4, 23: 0.9, 24: 0.8}),
    ("angry", 0.4, {4: 1.2, 5: 0.7, 7: 0.5, 22: 0.9, 23: 0.7, 25: 0.9}),
    ("disgust", 0.5, {4: 0.3, 6: 0.4, 7: 0.7, 9: 1.0, 10: 1.0, 17: 0.5}),
    ("disgust", 0.5, {4: 0.3, 6: 0.4, 7: 0.7, 9: 1.0, 10: 1.0, 25: 0.7, 26: 0.2}),
    ("fear", 0.7, {1: 0.9, 2: 0.5, 4: 0.6, 5: 1.0, 20: 1.0, 25: 0.8, 26: 0.35}),
    ("fear", 0.3, {1: 0.9, 2: 0.5, 4: 0.6, 5: 1.1, 20: 1.1, 25: 0.4}),
    ("happy", 0.6, {6: 0.9, 12: 1.0, 25: 0.9, 26: 0.3}),
    ("happy", 0.4, {6: 0.8, 12: 1.0}),
    ("neutral", 1.0, {}),
    ("sad", 0.6, {1: 1.0, 4: 0.5, 15: 0.9, 41: 0.6}),
    ("sad", 0.4, {1: 1.0, 4: 0.5, 15: 1.0, 17: 0.8, 41: 0.4}),
    ("surprise", 0.6, {1: 1.0, 2: 1.0, 5: 0.9, 25: 1.0, 26: 0.9}),
    ("surprise", 0.4, {1: 1.0, 2: 1.0, 5: 1.0, 25: 1.0, 26: 0.6, 27: 0.7}),
)

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
    "iris": (0.070, 0.088),
    "gaze_x": (-0.06, 0.06),
    "brow_gap": (0.215, 0.27),
    "brow_arch": (0.01, 0.06),
    "brow_thick": (0.045, 0.095),
    "brow_length": (0.85, 1.15),
    "nose_y": (0.17, 0.27),
    "nose_width": (0.10, 0.17),
    "mouth_y": (0.50, 0.60),
    "mouth_width": (0.25, 0.33),
    "lip_upper": (0.035, 0.075),
    "lip_lower": (0.05, 0.10),
    "asymmetry": (-0.12, 0.12),
    "hairline": (-0.88, -0.70),
    "hair_volume": (1.05, 1.22),
    "hair_length": (-0.3, 1.3),
    "hair_style": (0.0, 1.0),
}

_SKIN = ((250, 222, 200), (236, 196, 164), (214, 166, 128), (176, 122, 84), (96, 62, 44))
_HAIR = ((22, 18, 18), (58, 38, 26), (104, 68, 40), (150, 70, 36), (206, 168, 104), (220, 218, 214))
_IRIS = ((56, 34, 22), (92, 60, 34), (70, 100, 70), (70, 110, 150))
_DARK = (18, 8, 8)


def draw_action_units(emotion: str, rng: np.random.Generator) -> dict[int, float]:
    """Draw the strength 0..1 (about) of each action unit; those of no part in it stir a little."""
    variants = [(share, units) for name, share, units in PROTOTYPES if name == emotion]
    chosen = variants[rng.choice(len(variants), p=[share for share, _ in variants])][1]
    strength = rng.uniform(0.75, 1.1) * rng.uniform(0.75, 1.2, size=len(ACTION_UNITS))
    stray = rng.uniform(-1.0, 0.14, size=len(ACTION_UNITS)).clip(0.0)
    return {
        unit: float(strength[k]) * chosen[unit] if unit in chosen else float(stray[k])
        for k, unit in enumerate(ACTION_UNITS)
    }


class Palette(NamedTuple):
    """Colours of one person."""

    skin: Colour
    crease: Colour
    lip: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    cloth: Colour


def draw_palette(rng: np.random.Generator) -> Palette:
    """Choose the colours of one person."""
    tone, hair_pick, iris_pick, red, depth, brow_dark, *cloth = rng.random(9).tolist()
    place = tone * (len(_SKIN) - 1.001)
    skin = blend(_SKIN[int(place)], _SKIN[int(place) + 1], place % 1.0)
    hair = _HAIR[int(hair_pick * len(_HAIR))]
    # lips differ from the skin by a share of its brightness, so that dark skin shows them, too
    rosy = (round(0.72 * skin[0]), round(0.36 * skin[1]), round(0.42 * skin[2]))
    # brows as light as the skin would vanish at 48 pixels
    brow = blend(blend(hair, skin, 0.15), _DARK, 0.35 + 0.5 * brow_dark)
    return Palette(
        skin=skin,
        crease=blend(skin, blend(_DARK, skin, 0.2), 0.35 + 0.25 * depth),
        lip=blend(blend(skin, rosy, 0.45 + 0.4 * red), _DARK, 0.05 + 0.15 * depth),
        hair=hair,
        brow=blend(brow, _DARK, 1.0 - min(1.0, 0.6 * sum(skin) / sum(brow))),
        iris=_IRIS[int(iris_pick * len(_IRIS))],
        cloth=blend((20, 20, 20), (round(216 * cloth[0]), round(216 * cloth[1]), 120), cloth[2]),
    )


def draw_face(person: _Person, palette: Palette, units: _Units) -> Sketch:
    """Draw one face, by a value for each of `TRAITS`, colours, and strengths of action units."""
    sketch = Sketch()
    _head(sketch, person, palette, units)
    _cheeks(sketch, person, palette, units)
    _nose(sketch, person, palette, units)
    _mouth(sketch, person, palette, units)
    for side in (-1.0, 1.0):
        _eye(sketch, person, palette, units, side)
        _brow(sketch, person, palette, units, side)
    return sketch


def _head(sketch: Sketch, person: _Person, palette: Palette, units: _Units) -> None:
    """Draw hair, neck, ears, and the head: narrower at the jaw, longer when the jaw drops."""
    width, volume, end = person["head_width"], person["hair_volume"], person["hair_length"]
    shade = blend(palette.skin, palette.crease, 0.5)
    is_bald = person["hair_style"] < 0.12
    if not is_bald:
        wide = width * volume
        left = [(-wide, end), (-wide * 1.25, -0.5), (-wide, -1.3 * volume)]
        back = bezier(*left, (0.0, -1.18 * volume), *[(-x, y) for x, y in left[::-1]], n=21)
        sketch.polygon(back, blend(palette.hair, _DARK, 0.25), relief=-0.1)
    neck = person["neck"]
    sketch.polygon([(-neck, 0.5), (neck, 0.5), (neck, 1.6), (-neck, 1.6)], shade, relief=-0.1)
    shoulders = (-1.9, 1.9), (-1.6, 1.15), (-0.4, 1.35), (0.4, 1.35), (1.6, 1.15), (1.9, 1.9)
    sketch.polygon(bezier(*shoulders), palette.cloth, relief=-0.1)
    for side in (-1.0, 1.0):
        sketch.ellipse((side * width, 0.0), (person["ear"], 0.17), shade, relief=-0.05)
    x, y = circle(36).T
    low = np.clip(y, 0.0, None) ** 2
    drop = 0.07 * units[26] + 0.12 * units[27]
    outline = np.stack([width * x * (1.0 - person["jaw"] * low), y + drop * low], axis=1)
    sketch.polygon(outline, palette.skin, relief=0.0)
    if not is_bald:
        line = person["hairline"]
        edge = bezier((-width, -0.32), (-0.85 * width, line), (0.85 * width, line), (width, -0.32))
        crown = [(width, -0.32), (1.12 * width, -1.15), (0.0, -1.5)]
        top = bezier(*crown, *[(-x, y) for x, y in crown[1::-1]])
        sketch.polygon(np.concatenate([top, edge]), palette.hair, relief=0.15)


def _cheeks(sketch: Sketch, person: _Person, palette: Palette, units: _Units) -> None:
    """Draw raised cheeks, and the folds from the wings of the nose round the mouth."""
    cheek = max(units[6], 0.7 * units[9])
    pull = min(1.0, 0.2 + max(0.6 * units[12], units[10], units[9]))
    for side in (-1.0, 1.0):
        if cheek > 0.3:
            place = side * (person["eye_x"] + 0.08), person["eye_y"] + 0.37
            sketch.ellipse(place, (0.17, 0.11), blend(palette.skin, palette.lip, 0.3 * cheek))
        nose = side * (person["nose_width"] + 0.03), person["nose_y"] - 0.02 - 0.05 * units[9]
        bow = side * (0.30 + 0.10 * units[12]), nose[1] + 0.08
        end = side * (0.33 + 0.08 * units[12]), person["mouth_y"]
        sketch.line(bezier(nose, bow, end), blend(palette.skin, palette.crease, pull), 0.035)


def _brow(sketch: Sketch, person: _Person, palette: Palette, units: _Units, side: float) -> None:
    uneven = 1.0 + side * person["asymmetry"]
    inner_up, outer_up, down = units[1] * uneven, units[2] * uneven, units[4]
    base = person["eye_y"] - person["brow_gap"]
    bend = person["brow_arch"]
    eye_x, half = person["eye_x"], 0.21 * person["brow_length"]
    drop = 0.06 * units[9]
    inner = (
        eye_x - half - 0.055 * down - 0.02 * units[9],
        base - 0.17 * inner_up + 0.15 * down * (1.0 - 0.55 * min(inner_up, 1.0)) + drop,
    )
    rise = bend + 0.07 * inner_up + 0.10 * outer_up - 0.045 * down - 0.6 * drop
    middle = (eye_x + 0.02, base - rise)
    outer = (eye_x + half, base + 0.03 - 0.12 * outer_up - 0.015 * down + 0.03 * inner_up)
    # the middle lies on the curve: pull the control of the quadratic past it
    control = (middle[0], 2.0 * middle[1] - 0.5 * (inner[1] + outer[1]))
    spine = bezier(inner, control, outer, n=9)
    half_thick = np.stack([np.zeros(9), person["brow_thick"] * np.linspace(0.55, 0.25, 9)], axis=1)
    outline = np.concatenate([spine - half_thick, (spine + half_thick)[::-1]])
    sketch.polygon(outline * (side, 1.0), palette.brow)


def _eye(sketch: Sketch, person: _Person, palette: Palette, units: _Units, side: float) -> None:
    """Draw one eye; the iris is cut off where the lids cover it."""
    wide, droop = max(0.0, units[5]), units[41]
    squint = max(units[7], 0.8 * units[6], 0.9 * units[9])
    half, x, y = person["eye_width"], person["eye_x"], person["eye_y"]
    rest = person["eye_open"]
    upper = rest + 0.085 * wide - 0.042 * squint - 0.045 * droop
    lower = 0.62 * rest + 0.03 * wide * (1.0 - squint) - 0.045 * squint
    if units[6] > 0.3:  # the cheek pushes the lower lid up: a crescent.
        lower -= 0.035 * units[6]
        upper += 0.012 * units[6]
    upper = max(upper, 0.025)
    lower = max(lower, 0.018 - upper)
    # anger presses the inner half of the upper lid down; sadness lets the outer half hang.
    press = max(0.0, units[4] - units[1]) * 0.035
    hang = 0.04 * max(droop, 0.5 * min(units[1], units[4]))
    inner, outer = (x - half, y + 0.01), (x + half, y + 0.5 * hang)
    left, right = x - 0.5 * half, x + 0.5 * half
    top, bottom = y - 1.33 * upper, y + 1.33 * lower
    lid = bezier(inner, (left, top + 1.6 * press), (right, top + 1.2 * hang), outer)
    low = bezier(inner, (left, bottom), (right, bottom), outer)
    low[:, 1] = np.maximum(low[:, 1], lid[:, 1])
    mirror = np.array([side, 1.0])

    white = blend((244, 242, 238), palette.skin, 0.2)
    sketch.polygon(np.concatenate([lid, low[::-1]]) * mirror, white)
    gaze = (x + side * person["gaze_x"], y - 0.01)
    for radius, colour in ((person["iris"], palette.iris), (0.5 * person["iris"], (10, 8, 8))):
        disc = radius * circle(16) + gaze
        ends = [np.interp(disc[:, 0], *curve.T) for curve in (lid, low)]
        disc[:, 1] = np.clip(disc[:, 1], *ends)
        sketch.polygon(disc * mirror, colour)
    lash = blend(palette.crease, _DARK, 0.65)
    sketch.line(lid * mirror, lash, 0.04)
    sketch.line(low * mirror, blend(palette.skin, lash, 0.45 + 0.3 * min(squint, 1.0)), 0.022)


def _nose(sketch: Sketch, person: _Person, palette: Palette, units: _Units) -> None:
    wrinkle = units[9]
    width = person["nose_width"] * (1.0 + 0.2 * wrinkle + 0.08 * units[12])
    tip, eye_y = person["nose_y"] - 0.06 * wrinkle, person["eye_y"]
    side = 1.0 if person["asymmetry"] > 0.0 else -1.0  # where the bridge casts its shadow
    bridge = (side * 0.05, eye_y), (side * 0.05, tip - 0.12), (side * width, tip), (0.0, tip + 0.05)
    sketch.polygon(bezier(*bridge), blend(palette.skin, palette.crease, 0.45))
    wings = [(-width, tip - 0.05), (-width * 1.1, tip + 0.06), (0.0, tip + 0.05)]
    wings += [(-x, y) for x, y in wings[1::-1]]
    sketch.line(bezier(*wings), palette.crease, 0.035)
    for wing in (-1.0, 1.0):
        nostril = blend(palette.crease, _DARK, 0.6)
        sketch.ellipse((wing * 0.5 * width, tip + 0.015), (0.035, 0.02 + 0.012 * wrinkle), nostril)
        for level in (0.03, 0.10, 0.17) if wrinkle > 0.3 else ():
            line = [(wing * 0.015, eye_y + level - 0.02), (wing * 0.11, eye_y + level + 0.03)]
            sketch.line(line, blend(palette.skin, palette.crease, min(1.0, wrinkle)), 0.03)


def _mouth(sketch: Sketch, person: _Person, palette: Palette, units: _Units) -> None:
    smile, frown, stretch, raised = units[12], units[15], units[20], units[10]
    press = max(units[23], units[24])
    jaw = units[26] + 1.3 * units[27]
    round_ = max(0.0, jaw - stretch - smile - raised)
    wider = 0.28 * smile + 0.22 * stretch - 0.10 * frown - 0.14 * press - 0.06 * raised
    half = person["mouth_width"] * (1.0 + wider - 0.24 * min(round_, 1.0))
    y = person["mouth_y"] + 0.05 * jaw - 0.03 * units[17]
    corner = -0.13 * smile + 0.13 * frown + 0.05 * stretch + 0.06 * raised
    corner += 0.045 * units[22] * units[25]
    uneven = person["asymmetry"] * corner
    left, right = (-half, y + corner + uneven), (half, y + corner - uneven)

    part = units[25]
    bare = units[22] * part  # teeth bared in anger: a box, and no dropped jaw
    lift = 0.11 * raised + 0.03 * units[9]
    gap_up = 0.03 * part + 0.05 * round_ + 0.02 * smile * part + 0.05 * bare
    gap_low = part * (0.05 + 0.025 * smile + 0.9 * lift) + 0.15 * jaw + 0.045 * bare
    middle = y + 0.055 * smile - 0.02 * frown - lift - 0.04 * units[17] * frown
    square = min(0.5 + 0.4 * max(bare, raised, 0.9 * stretch) + 0.1 * round_, 0.95)
    upper = arch(left, right, middle - gap_up, square=square)
    lower = arch(left, right, middle + gap_low, square=square)

    thin = 1.0 - 0.6 * min(press, 1.0) - (0.2 if part > 0.2 else 0.45) * smile - 0.2 * stretch
    up, low = person["lip_upper"] * thin, person["lip_lower"] * thin + 0.025 * units[17]
    out_left, out_right = (left[0] - 0.025, left[1]), (right[0] + 0.025, right[1])
    top = arch(out_left, out_right, middle - gap_up - up, square=square)
    bottom = arch(out_left, out_right, middle + gap_low + low + 0.015 * frown, square=square)
    sketch.polygon(np.concatenate([top, bottom[::-1]]), palette.lip)
    if part <= 0.2:
        sketch.line(upper, blend(palette.lip, _DARK, 0.75), 0.035 + 0.015 * press)
    else:
        sketch.polygon(np.concatenate([upper, lower[::-1]]), (48, 14, 18))
        if round_ < 0.35:
            whole = bare > 0.2 or raised > 0.4
            show = 1.0 if whole else min(1.0, 0.075 / max(gap_up + gap_low, 0.02))
            teeth = upper + show * (lower - upper)
            ivory = blend((240, 236, 226), palette.skin, 0.2)
            sketch.polygon(np.concatenate([upper, teeth[::-1]])[1:-1], ivory)
            if bare > 0.2:
                sketch.line((0.5 * (upper + lower))[1:-1], (130, 105, 95), 0.015)
    if part <= 0.2 or smile > 0.3:
        for place in (left, right):
            sketch.ellipse(place, (0.025, 0.02), blend(palette.lip, _DARK, 0.6))
