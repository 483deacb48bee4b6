"""A drawn human face: a person's traits and strengths of action units in, a sketch out.

What moves with an emotion is drawn here, the rest in `_head`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotion_estimators.datasets._drawing import Sketch, arch, bezier, blend, circle, ribbon
from emotion_estimators.datasets._head import (
    DARK,
    Palette,
    draw_beard,
    draw_fringe,
    draw_glasses,
    draw_head,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotion_estimators.datasets._drawing import Points

__all__ = ["draw_face"]


def draw_face(person: Mapping[str, float], palette: Palette, units: Mapping[int, float]) -> Sketch:
    """Draw one face.

    Parameters
    ----------
    person : mapping of str to float
        A value for each name in `TRAITS`.
    palette : Palette
        The colours.
    units : mapping of int to float
        Strength 0..1 of each action unit.

    Returns
    -------
    sketch : Sketch
        To be painted on any picture.
    """
    sketch = Sketch()
    draw_head(sketch, person, palette, units)
    _folds(sketch, person, palette, units)
    if person["beard_style"] > 0.82:  # About one in six wears one, and so with glasses.
        draw_beard(sketch, person, palette, units)
    _nose(sketch, person, palette, units)
    _mouth(sketch, person, palette, units)
    for side in (-1.0, 1.0):
        _eye(sketch, person, palette, units, side)
    if person["glasses_style"] > 0.82:
        draw_glasses(sketch, person, palette)
    draw_fringe(sketch, person, palette)
    for side in (-1.0, 1.0):
        _brow(sketch, person, palette, units, side)
    return sketch


def _folds(
    sketch: Sketch, person: Mapping[str, float], palette: Palette, units: Mapping[int, float]
) -> None:
    """Wrinkles and cheeks; faint ones are left out."""

    def crease(points: Points, strength: float, width: float = 0.03) -> None:
        shown = min(1.0, strength * (0.6 + 0.6 * person["wrinkles"]))
        if shown > 0.15:
            sketch.line(points, blend(palette.skin, palette.crease, shown), width)

    eye_x, eye_y, mouth_y = person["eye_x"], person["eye_y"], person["mouth_y"]
    raised = min(units[1], units[2])
    for level in (-0.62, -0.72):
        crease(arch((-0.34, level + 0.02), (0.34, level + 0.02), level - 0.03, n=7), 0.8 * raised)
    pinched = min(1.0, max(units[1] - units[2], 0.0))
    crease(arch((-0.17, -0.60), (0.17, -0.60), -0.66, n=7), 0.7 * pinched)
    lines = max(units[4] - 0.5 * units[1], 0.0)
    for side in (-1.0, 1.0):
        crease(np.array([(side * 0.045, eye_y - 0.12), (side * 0.06, eye_y - 0.33)]), lines, 0.035)
        cheek = max(units[6], 0.7 * units[9])
        if cheek > 0.3:
            sketch.ellipse(
                (side * (eye_x + 0.08), eye_y + 0.37),
                (0.17, 0.11),
                blend(palette.skin, palette.lip, 0.3 * cheek),
            )
            for rise in (-0.05, 0.05):
                start = (side * (eye_x + 0.24), eye_y + 0.02)
                crease(
                    np.array([start, (start[0] + side * 0.11, start[1] + rise)]), units[6], 0.025
                )
        # From the wing of the nose round the corner of the mouth.
        pull = max(0.6 * units[12], units[10], units[9])
        nose = (side * (person["nose_width"] + 0.03), person["nose_y"] - 0.02 - 0.05 * units[9])
        bow = side * (0.30 + 0.10 * units[12])
        crease(
            bezier(nose, (bow, nose[1] + 0.08), (side * (0.33 + 0.08 * units[12]), mouth_y), n=7),
            0.25 * person["wrinkles"] + pull,
            0.035,
        )
    if units[17] > 0.3:
        crease(arch((-0.13, 0.80), (0.13, 0.80), 0.75, n=7), units[17], 0.035)


def _brow(
    sketch: Sketch,
    person: Mapping[str, float],
    palette: Palette,
    units: Mapping[int, float],
    side: float,
) -> None:
    uneven = 1.0 + side * person["asymmetry"]
    inner_up, outer_up, down = units[1] * uneven, units[2] * uneven, units[4]
    base = person["eye_y"] - person["brow_gap"]
    slant, bend = person["brow_slant"], person["brow_arch"]
    eye_x, half = person["eye_x"], 0.21 * person["brow_length"]
    drop = 0.06 * units[9]
    inner = (
        eye_x - half - 0.055 * down - 0.02 * units[9],
        base + slant - 0.17 * inner_up + 0.15 * down * (1.0 - 0.55 * min(inner_up, 1.0)) + drop,
    )
    middle = (
        eye_x + 0.02,
        base - bend - 0.07 * inner_up - 0.10 * outer_up + 0.045 * down + 0.6 * drop,
    )
    outer = (eye_x + half, base - slant + 0.03 - 0.12 * outer_up - 0.015 * down + 0.03 * inner_up)
    # The middle lies on the curve: pull the control of the quadratic past it.
    control = (middle[0], 2.0 * middle[1] - 0.5 * (inner[1] + outer[1]))
    spine = bezier(inner, control, outer, n=9)
    thick = person["brow_thick"] * np.linspace(1.1, 0.5, 9)
    outline = ribbon(spine, thick)
    outline[:, 0] *= side
    sketch.polygon(outline, palette.brow)


def _eye(
    sketch: Sketch,
    person: Mapping[str, float],
    palette: Palette,
    units: Mapping[int, float],
    side: float,
) -> None:
    """One eye; the iris is cut off where the lids cover it."""
    wide, droop = max(0.0, units[5]), units[41]
    squint = max(units[7], 0.8 * units[6], 0.9 * units[9])
    half, x, y = person["eye_width"], person["eye_x"], person["eye_y"]
    rest = person["eye_open"]
    upper = rest + 0.085 * wide - 0.042 * squint - 0.045 * droop
    lower = 0.62 * rest + 0.03 * wide * (1.0 - squint) - 0.045 * squint
    if units[6] > 0.3:  # The cheek pushes the lower lid up: a crescent.
        lower -= 0.035 * units[6]
        upper += 0.012 * units[6]
    upper = max(upper, 0.025)
    lower = max(lower, 0.018 - upper)
    # Anger presses the inner half of the upper lid down; sadness lets the outer half hang.
    press = max(0.0, units[4] - units[1]) * 0.035
    hang = 0.04 * max(droop, 0.5 * min(units[1], units[4]))
    tilt = person["eye_tilt"]
    inner, outer = (x - half, y + tilt + 0.01), (x + half, y - tilt + 0.5 * hang)
    lid = bezier(
        inner,
        (x - 0.5 * half, y - 1.33 * upper + 1.6 * press),
        (x + 0.5 * half, y - 1.33 * upper + 1.2 * hang),
        outer,
    )
    low = bezier(
        inner, (x - 0.5 * half, y + 1.33 * lower), (x + 0.5 * half, y + 1.33 * lower), outer
    )
    low[:, 1] = np.maximum(low[:, 1], lid[:, 1])
    mirror = np.array([side, 1.0])

    white = blend((244, 242, 238), palette.skin, 0.2)
    sketch.polygon(np.concatenate([lid, low[::-1]]) * mirror, white)
    gaze = (x + side * person["gaze_x"], y - 0.01 + person["gaze_y"])
    for radius, colour in ((person["iris"], palette.iris), (0.5 * person["iris"], (10, 8, 8))):
        disc = radius * circle(16) + gaze
        top = np.interp(disc[:, 0], lid[:, 0], lid[:, 1])
        bottom = np.interp(disc[:, 0], low[:, 0], low[:, 1])
        disc[:, 1] = np.clip(disc[:, 1], top, bottom)
        sketch.polygon(disc * mirror, colour)
    if upper + lower > 0.1:
        sketch.ellipse((side * gaze[0] - 0.025, gaze[1] - 0.03), (0.018, 0.018), (250, 250, 250))
    lash = blend(palette.crease, DARK, 0.65)
    sketch.line(lid * mirror, lash, 0.04)
    sketch.line(low * mirror, blend(palette.skin, lash, 0.45 + 0.3 * min(squint, 1.0)), 0.022)
    if wide < 0.4 and squint < 0.6:
        fold = lid * mirror
        fold[:, 1] -= 0.05
        sketch.line(fold[2:-1], blend(palette.skin, palette.crease, 0.55), 0.022)


def _nose(
    sketch: Sketch, person: Mapping[str, float], palette: Palette, units: Mapping[int, float]
) -> None:
    wrinkle = units[9]
    width = person["nose_width"] * (1.0 + 0.2 * wrinkle + 0.08 * units[12])
    tip, eye_y = person["nose_y"] - 0.06 * wrinkle, person["eye_y"]
    shade = blend(palette.skin, palette.crease, 0.45)
    side = 1.0 if person["asymmetry"] > 0.0 else -1.0  # Where the bridge casts its shadow.
    sketch.polygon(
        bezier(
            (side * 0.05, eye_y + 0.02),
            (side * 0.05, tip - 0.12),
            (side * width, tip),
            (0.0, tip + 0.05),
            (side * 0.03, tip - 0.1),
        ),
        shade,
    )
    sketch.line(
        bezier(
            (-width, tip - 0.05),
            (-width * 1.1, tip + 0.06),
            (0.0, tip + 0.05),
            (width * 1.1, tip + 0.06),
            (width, tip - 0.05),
        ),
        palette.crease,
        0.035,
    )
    for wing in (-1.0, 1.0):
        sketch.ellipse(
            (wing * 0.5 * width, tip + 0.015),
            (0.035, 0.02 + 0.012 * wrinkle),
            blend(palette.crease, DARK, 0.6),
        )
        if wrinkle > 0.3:
            for level in (0.03, 0.10, 0.17):
                y = eye_y + level
                line = bezier(
                    (wing * 0.015, y - 0.02), (wing * 0.06, y - 0.02), (wing * 0.11, y + 0.04), n=5
                )
                sketch.line(line, blend(palette.skin, palette.crease, min(1.0, wrinkle)), 0.03)


def _mouth(
    sketch: Sketch, person: Mapping[str, float], palette: Palette, units: Mapping[int, float]
) -> None:
    smile, frown, stretch, raised = units[12], units[15], units[20], units[10]
    press = max(units[23], units[24])
    jaw = units[26] + 1.3 * units[27]
    round_ = max(0.0, jaw - stretch - smile - raised)
    half = person["mouth_width"] * (
        1.0
        + 0.28 * smile
        + 0.22 * stretch
        - 0.10 * frown
        - 0.14 * press
        - 0.24 * min(round_, 1.0)
        - 0.06 * raised
    )
    y = person["mouth_y"] + 0.05 * jaw - 0.03 * units[17]
    corner = -0.13 * smile + 0.13 * frown + 0.05 * stretch + 0.06 * raised + person["mouth_bend"]
    corner += 0.045 * units[22] * units[25]
    uneven = person["asymmetry"] * corner
    left, right = (-half, y + corner + uneven), (half, y + corner - uneven)

    part = units[25]
    gap_up = 0.03 * part + 0.05 * round_ + 0.02 * smile * part
    gap_low = 0.05 * part * (1.0 + 0.5 * smile) + 0.15 * jaw
    bare = units[22] * part  # Teeth bared in anger: a box, and no dropped jaw.
    gap_up += 0.05 * bare
    gap_low += 0.045 * bare
    lift = 0.11 * raised + 0.03 * units[9]
    middle = y + 0.055 * smile - 0.02 * frown - lift - 0.04 * units[17] * frown
    gap_low += lift * part * 0.9
    square = 0.5 + 0.4 * max(bare, raised, 0.9 * stretch) + 0.1 * round_
    upper = arch(left, right, middle - gap_up, square=min(square, 0.95))
    lower = arch(left, right, middle + gap_low, square=min(square, 0.95))

    shrink = (
        1.0 - 0.6 * min(press, 1.0) - (0.2 if units[25] > 0.2 else 0.45) * smile - 0.2 * stretch
    )
    up, low = person["lip_upper"] * shrink, person["lip_lower"] * shrink
    pout = 0.025 * units[17] + 0.015 * frown
    low += pout
    out_left, out_right = (left[0] - 0.025, left[1]), (right[0] + 0.025, right[1])
    top = arch(out_left, out_right, middle - gap_up - up, square=min(square, 0.95))
    bottom = arch(out_left, out_right, middle + gap_low + low, square=min(square, 0.95))
    sketch.polygon(np.concatenate([top, bottom[::-1]]), palette.lip)
    if part > 0.2:
        sketch.polygon(np.concatenate([upper, lower[::-1]]), (48, 14, 18))
        opening = gap_up + gap_low
        if round_ < 0.35:
            show = 1.0 if bare > 0.2 or raised > 0.4 else min(1.0, 0.075 / max(opening, 0.02))
            teeth = upper + show * (lower - upper)
            ivory = blend((240, 236, 226), palette.skin, 0.2)
            sketch.polygon(np.concatenate([upper, teeth[::-1]])[1:-1], ivory)
            if bare > 0.2:
                clench = 0.5 * (upper + lower)
                sketch.line(clench[1:-1], (130, 105, 95), 0.015)
        elif opening > 0.18:
            tongue = lower + 0.3 * (upper - lower)
            sketch.polygon(np.concatenate([tongue, lower[::-1]])[2:-2], (150, 62, 66))
    else:
        sketch.line(upper, blend(palette.lip, DARK, 0.75), 0.035 + 0.015 * press)
    if part <= 0.2 or smile > 0.3:
        for x, at in (left, right):
            sketch.ellipse((x, at), (0.025, 0.02), blend(palette.lip, DARK, 0.6))
    under = 0.5 * (bottom[4] + bottom[6]) + np.array([0.0, 0.05])
    sketch.line(
        under + np.array([(-0.4 * half, 0.0), (0.4 * half, 0.0)]),
        blend(palette.skin, palette.crease, 0.4),
        0.03,
    )
