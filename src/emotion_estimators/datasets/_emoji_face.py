"""A drawn emoji: a style, its traits and strengths of action units in, a sketch of the face out.

Head coordinates as in `_drawing.Pose`: the disc of the head has radius 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emotion_estimators.datasets._drawing import Sketch, arch, bezier, blend, circle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotion_estimators.datasets._drawing import Colour, Points

__all__ = ["EMOJI_STYLES", "EMOJI_TRAITS", "EmojiStyle", "draw_emoji_face", "outline_of", "tint"]


class EmojiStyle(NamedTuple):
    """How one family of emoji looks."""

    light: Colour  # of the head, where light falls
    dark: Colour  # and at its far edge
    light_at: tuple[float, float]  # where that light falls, in head units
    ink: Colour  # of eyes, brows and mouth
    outline: float  # width of the line round the head, 0 for none
    stroke: float  # width of lines
    eye: tuple[float, float]  # radii of a resting eye
    white_eyes: bool  # eyeballs with pupils, in place of dots
    glint: bool  # a light in the dots
    square: float  # shape of the head: 1 is a circle, below that a rounded box
    mouth: Colour  # inside of the open mouth
    blush: float  # how often cheeks are pink


EMOJI_STYLES: Mapping[str, EmojiStyle] = {
    "flat": EmojiStyle(
        light=(255, 204, 77),
        dark=(255, 204, 77),
        light_at=(0.0, 0.0),
        ink=(102, 69, 0),
        outline=0.0,
        stroke=0.10,
        eye=(0.14, 0.20),
        white_eyes=False,
        glint=False,
        square=1.0,
        mouth=(102, 69, 0),
        blush=0.25,
    ),
    "glossy": EmojiStyle(
        light=(255, 238, 120),
        dark=(236, 142, 20),
        light_at=(0.0, -0.55),
        ink=(74, 38, 8),
        outline=0.0,
        stroke=0.085,
        eye=(0.11, 0.17),
        white_eyes=False,
        glint=True,
        square=1.0,
        mouth=(96, 30, 10),
        blush=0.3,
    ),
    "soft": EmojiStyle(
        light=(255, 224, 80),
        dark=(250, 188, 44),
        light_at=(0.0, -0.9),
        ink=(66, 44, 40),
        outline=0.0,
        stroke=0.11,
        eye=(0.15, 0.19),
        white_eyes=False,
        glint=True,
        square=1.0,
        mouth=(66, 44, 40),
        blush=0.55,
    ),
    "comic": EmojiStyle(
        light=(255, 226, 84),
        dark=(255, 196, 40),
        light_at=(-0.4, -0.5),
        ink=(24, 20, 20),
        outline=0.07,
        stroke=0.085,
        eye=(0.25, 0.30),
        white_eyes=True,
        glint=False,
        square=1.0,
        mouth=(120, 20, 30),
        blush=0.3,
    ),
    "line": EmojiStyle(
        light=(255, 240, 170),
        dark=(255, 240, 170),
        light_at=(0.0, 0.0),
        ink=(0, 0, 0),
        outline=0.085,
        stroke=0.085,
        eye=(0.10, 0.10),
        white_eyes=False,
        glint=False,
        square=1.0,
        mouth=(255, 255, 255),
        blush=0.1,
    ),
    "blob": EmojiStyle(
        light=(255, 214, 64),
        dark=(246, 160, 30),
        light_at=(-0.2, -0.6),
        ink=(60, 36, 30),
        outline=0.04,
        stroke=0.095,
        eye=(0.20, 0.26),
        white_eyes=True,
        glint=True,
        square=0.78,
        mouth=(110, 36, 36),
        blush=0.3,
    ),
}

# What differs between emoji of one style, uniform within (low, high); lengths in head units, the
# last ones pick among kinds.
EMOJI_TRAITS: Mapping[str, tuple[float, float]] = {
    "eye_x": (0.31, 0.40),
    "eye_y": (-0.24, -0.12),
    "eye_size": (0.88, 1.12),
    "brow_gap": (0.26, 0.32),
    "mouth_y": (0.38, 0.47),
    "mouth_width": (0.42, 0.52),
    "stroke": (0.85, 1.15),
    "tone": (-0.5, 0.5),
    "asymmetry": (-0.1, 0.1),
    "eye_kind": (0.0, 1.0),
    "tint_kind": (0.0, 1.0),
    "extra_kind": (0.0, 1.0),
    "blush_kind": (0.0, 1.0),
}

WHITE: Colour = (255, 255, 255)
_RED: Colour = (226, 60, 36)
_GREEN: Colour = (128, 168, 48)
_BLUE: Colour = (92, 150, 226)
_DROP: Colour = (84, 172, 238)
_TONGUE: Colour = (238, 84, 100)
_PINK: Colour = (250, 128, 104)


def outline_of(style: EmojiStyle) -> Points:
    """Outline (72, 2) of the head."""
    ring = circle(72)
    return np.sign(ring) * np.abs(ring) ** style.square


def tint(
    style: EmojiStyle, traits: Mapping[str, float], units: Mapping[int, float]
) -> tuple[Colour, Colour, Colour]:
    """Return the head's colours: where light falls, at the far edge, and of the forehead.

    Some angry emoji are red, some disgusted ones green, and some frightened ones go blue above.
    """
    warm = blend((255, 255, 160), (255, 150, 40), traits["tone"] + 0.5)
    light, dark = (blend(colour, warm, 0.18) for colour in (style.light, style.dark))
    shown = traits["tint_kind"]
    if max(units[23], units[22]) > 0.35 and shown < 0.5:
        light, dark = blend(light, _RED, 0.6), blend(dark, _RED, 0.9)
    elif units[9] > 0.4 and shown < 0.55:
        light, dark = blend(light, _GREEN, 0.7), blend(dark, _GREEN, 0.9)
    forehead = _BLUE if units[20] > 0.4 and shown < 0.6 else light
    return light, dark, forehead


def draw_emoji_face(
    style: EmojiStyle, traits: Mapping[str, float], units: Mapping[int, float], skin: Colour
) -> Sketch:
    """Draw eyes, brows, mouth and what goes with them, for a head of colour `skin`."""
    sketch = Sketch()
    _cheeks(sketch, style, traits, units, skin)
    for side in (-1.0, 1.0):
        _eye(sketch, style, traits, units, side)
        _brow(sketch, style, traits, units, side)
    _mouth(sketch, style, traits, units)
    _drops(sketch, style, traits, units)
    return sketch


def _stroke(sketch: Sketch, points: Points, colour: Colour, width: float) -> None:
    """Add a smooth line with round ends."""
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = 0.5 * width * along[:, ::-1] * (-1.0, 1.0)
    sketch.polygon(np.concatenate([points + across, (points - across)[::-1]]), colour)
    for x, y in points[[0, -1]]:
        sketch.ellipse((x, y), (0.5 * width, 0.5 * width), colour)


def _rim(sketch: Sketch, outline: Points, colour: Colour, width: float) -> None:
    """Add an outline that is larger by half of `width`; what it goes round comes after."""
    middle = 0.5 * (outline.min(axis=0) + outline.max(axis=0))
    half = 0.5 * (outline.max(axis=0) - outline.min(axis=0))
    sketch.polygon((outline - middle) * (1.0 + 0.5 * width / half) + middle, colour)


def _cheeks(
    sketch: Sketch,
    style: EmojiStyle,
    traits: Mapping[str, float],
    units: Mapping[int, float],
    skin: Colour,
) -> None:
    if units[12] > 0.4 and traits["blush_kind"] < style.blush:
        for side in (-1.0, 1.0):
            at = (side * (traits["eye_x"] + 0.24), traits["eye_y"] + 0.34)
            for size, share in ((1.0, 0.35), (0.8, 0.7), (0.6, 1.0)):
                sketch.ellipse(at, (0.19 * size, 0.14 * size), blend(skin, _PINK, 0.75 * share))


def _eye(
    sketch: Sketch,
    style: EmojiStyle,
    traits: Mapping[str, float],
    units: Mapping[int, float],
    side: float,
) -> None:
    x, y = side * traits["eye_x"], traits["eye_y"]
    width, height = (traits["eye_size"] * radius for radius in style.eye)
    stroke = style.stroke * traits["stroke"]
    wide, closing = units[5], traits["eye_kind"]
    squint = max(units[7], 0.9 * units[9])
    if units[6] > 0.4 and units[9] < 0.4 and closing < 0.45:  # Closed in laughter.
        span = max(0.16, 1.1 * width)
        lid = arch((x - span, y + 0.09), (x + span, y + 0.09), y - 0.11, square=0.6)
        _stroke(sketch, lid, style.ink, stroke)
    elif units[41] > 0.3 and closing < 0.35:  # Cast down.
        span = max(0.16, 1.1 * width)
        lid = arch((x - span, y - 0.02), (x + span, y - 0.02), y + 0.12, square=0.6)
        _stroke(sketch, lid, style.ink, stroke)
    elif squint > 0.35 and units[9] > 0.4 and closing < 0.5:  # Screwed up: > <
        corner = (x - side * 0.12, y)
        far = x + side * 0.12
        for rise in (-0.1, 0.1):
            _stroke(sketch, np.array([(far, y + rise), corner]), style.ink, stroke)
    elif style.white_eyes or (wide > 0.5 and closing < 0.5 and units[4] < 0.75):
        _eyeball(sketch, style, (x, y), (width, height), wide, squint + units[41], side)
    else:
        opening = 1.0 + 0.35 * wide - 0.35 * squint - 0.2 * units[41]
        sketch.ellipse((x, y), (width * (1.0 + 0.1 * wide), height * opening), style.ink)
        if style.glint:
            sketch.ellipse(
                (x - 0.3 * width, y - 0.35 * height * opening), (0.3 * width, 0.3 * width), WHITE
            )


def _eyeball(
    sketch: Sketch,
    style: EmojiStyle,
    centre: tuple[float, float],
    radii: tuple[float, float],
    wide: float,
    lowered: float,
    side: float,
) -> None:
    """White of the eye and pupil; the upper lid cuts off as much as it is lowered."""
    x, y = centre
    width, height = max(radii[0], 0.21), max(radii[1], 0.22)
    grown = 1.0 + 0.18 * wide
    ball = circle(32) * (width * grown, height * grown) + centre
    lid = y - height * grown * (1.0 - 0.8 * min(lowered, 1.0))
    ball[:, 1] = np.maximum(ball[:, 1], lid)
    if style.outline:
        _rim(sketch, ball, style.ink, 1.4 * style.outline)
    sketch.polygon(ball, WHITE)
    pupil = (0.52 - 0.18 * min(wide, 1.0)) * width
    disc = circle(24) * (pupil, 1.1 * pupil) + (x - side * 0.04, y + 0.02)
    disc[:, 1] = np.maximum(disc[:, 1], lid)
    sketch.polygon(disc, style.ink)
    if lowered > 0.3:
        upper = ball[ball[:, 1] <= lid + 1e-9]
        ends = np.array([(upper[:, 0].min(), lid), (upper[:, 0].max(), lid)])
        _stroke(sketch, ends, style.ink, 0.6 * style.stroke)


def _brow(
    sketch: Sketch,
    style: EmojiStyle,
    traits: Mapping[str, float],
    units: Mapping[int, float],
    side: float,
) -> None:
    inner_up, outer_up, down = units[1], units[2], units[4]
    if max(inner_up, outer_up, down) < 0.25:
        return
    uneven = 1.0 + side * traits["asymmetry"]
    grown = traits["eye_size"] * (style.eye[1] - 0.17)
    base = traits["eye_y"] - traits["brow_gap"] - max(0.0, grown)
    angry = down * (1.0 - 0.8 * min(inner_up, 1.0))
    x = traits["eye_x"]
    inner = (x - 0.20 - 0.04 * angry, base - 0.17 * inner_up * uneven + 0.19 * angry)
    outer = (x + 0.19, base - 0.13 * outer_up * uneven - 0.04 * angry + 0.04 * inner_up)
    bend = -0.13 * min(inner_up, outer_up) - 0.02 + 0.05 * angry
    middle = (x, 0.5 * (inner[1] + outer[1]) + bend)
    line = bezier(inner, middle, outer, n=9) * (side, 1.0)
    _stroke(sketch, line, style.ink, style.stroke * traits["stroke"])


def _mouth(
    sketch: Sketch, style: EmojiStyle, traits: Mapping[str, float], units: Mapping[int, float]
) -> None:
    smile, frown, stretch, part = units[12], units[15], units[20], units[25]
    tight = max(units[23], 0.8 * units[24])
    sneer = max(units[10], units[9])
    jaw = units[26] + 1.2 * units[27]
    stroke = style.stroke * traits["stroke"]
    y, half = traits["mouth_y"], traits["mouth_width"]
    if part <= 0.2:
        half *= 1.0 + 0.1 * smile - 0.18 * frown - 0.3 * min(tight, 1.0)
        down = max(frown, 0.55 * tight)
        left, right = (
            (-half, y - 0.17 * smile + 0.12 * down),
            (half, y - 0.17 * smile + 0.12 * down),
        )
        if sneer > 0.4:  # A wavy line.
            x = np.linspace(-half, half, 17)
            wave = np.stack([x, y + 0.07 * np.sin(x * 2.5 * np.pi / half)], axis=1)
            _stroke(sketch, wave, style.ink, stroke)
            return
        middle = y + 0.16 * smile - 0.16 * down
        _stroke(sketch, arch(left, right, middle, square=0.55, n=13), style.ink, stroke)
        return
    gape = max(0.0, jaw - smile - stretch - sneer)
    if smile > 0.4:  # A D on its back.
        half *= 1.05
        left, right, top = (-half, y - 0.12), (half, y - 0.12), y - 0.07
        bottom, square = y + 0.26 + 0.25 * jaw, 0.6
        teeth, tongue = True, 0.3 * jaw > 0.05
    elif gape > 0.35:  # An O.
        half *= 0.36 + 0.16 * min(gape, 1.2)
        left, right = (-half, y + 0.08), (half, y + 0.08)
        reach = 0.14 + 0.14 * min(gape, 1.4)
        top, bottom, square = y + 0.08 - reach, y + 0.08 + reach, 1.33
        teeth, tongue = False, gape > 0.9
    elif stretch > 0.35:  # Wide, with the corners drawn down.
        half *= 0.95
        left, right = (-half, y + 0.2), (half, y + 0.2)
        top, bottom, square = y - 0.06, y + 0.13 + 0.12 * jaw, 0.8
        teeth, tongue = True, False
    elif sneer > 0.4:  # The upper lip drawn up, the tongue out.
        half *= 0.78
        left, right = (-half, y + 0.12), (half, y + 0.12)
        top, bottom, square = y - 0.12, y + 0.16, 0.8
        teeth, tongue = False, True
    else:  # Bared teeth.
        half *= 0.92
        left, right = (-half, y + 0.07), (half, y + 0.07)
        top, bottom, square = y - 0.08, y + 0.17, 1.15
        teeth, tongue = True, False
    upper = arch(left, right, top, square=square, n=21)
    lower = arch(left, right, bottom, square=square, n=21)
    opening = np.concatenate([upper, lower[::-1]])
    bared = teeth and smile <= 0.4
    if style.outline or bared:
        _rim(sketch, opening, style.ink, 2.0 * max(style.outline, 0.045))
    sketch.polygon(opening, style.mouth)
    if tongue:
        if sneer > 0.4 and smile <= 0.4:
            out = arch((-0.6 * half, y + 0.1), (0.6 * half, y + 0.1), y + 0.36, square=0.9)
        else:
            floor = lower[5:-5]
            out = np.concatenate([floor, arch(floor[-1], floor[0], floor[0, 1] - 0.07)])
        sketch.polygon(out, _TONGUE)
    if teeth:
        edge = upper + (1.0 if bared else 0.42) * (lower - upper)
        inset = slice(None) if bared else slice(1, -1)
        sketch.polygon(np.concatenate([upper[inset], edge[inset][::-1]]), WHITE)
    if bared:
        sketch.line((0.5 * (upper + lower))[1:-1], style.ink, 0.03)
        for k in (5, 8, 12, 15):
            sketch.line(np.array([upper[k], lower[k]]), style.ink, 0.02)


def _drops(
    sketch: Sketch, style: EmojiStyle, traits: Mapping[str, float], units: Mapping[int, float]
) -> None:
    """Add tears to some sad emoji, and sweat to some frightened ones."""
    kind = traits["extra_kind"]
    if units[15] > 0.35 and kind < 0.45:
        sides = (-1.0, 1.0) if kind < 0.15 else (1.0,) if kind < 0.3 else (-1.0,)
        for side in sides:
            _drop(sketch, (side * (traits["eye_x"] + 0.04), traits["eye_y"] + 0.47), 0.16, style)
    elif units[20] > 0.4 and kind < 0.35:
        _drop(sketch, (0.72 if kind < 0.18 else -0.72, -0.3), 0.17, style)


def _drop(sketch: Sketch, centre: tuple[float, float], size: float, style: EmojiStyle) -> None:
    round_part = circle(24) * size
    round_part[:, 1] = np.where(
        round_part[:, 1] < 0.0,
        2.0 * round_part[:, 1] * (1.0 - np.abs(round_part[:, 0]) / size),
        round_part[:, 1],
    )
    drop = round_part + centre
    if style.outline:
        _rim(sketch, drop, style.ink, 1.2 * style.outline)
    sketch.polygon(drop, _DROP)
