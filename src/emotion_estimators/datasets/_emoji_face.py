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
    ink: Colour  # of eyes, brows and mouth
    stroke: float  # width of lines
    eye: tuple[float, float]  # radii of a resting eye
    mouth: Colour  # inside of the open mouth
    blush: float  # how often cheeks are pink
    light_at: tuple[float, float] = (0.0, 0.0)  # where light falls, in head units
    outline: float = 0.0  # width of the line round the head, 0 for none
    white_eyes: bool = False  # eyeballs with pupils, in place of dots
    glint: bool = False  # a light in the dots
    square: float = 1.0  # shape of the head: 1 is a circle, below that a rounded box


EMOJI_STYLES: Mapping[str, EmojiStyle] = {
    "flat": EmojiStyle(
        light=(255, 204, 77),
        dark=(255, 204, 77),
        ink=(102, 69, 0),
        stroke=0.10,
        eye=(0.14, 0.20),
        mouth=(102, 69, 0),
        blush=0.25,
    ),
    "glossy": EmojiStyle(
        light=(255, 238, 120),
        dark=(236, 142, 20),
        light_at=(0.0, -0.55),
        ink=(74, 38, 8),
        stroke=0.085,
        eye=(0.11, 0.17),
        glint=True,
        mouth=(96, 30, 10),
        blush=0.3,
    ),
    "soft": EmojiStyle(
        light=(255, 224, 80),
        dark=(250, 188, 44),
        light_at=(0.0, -0.9),
        ink=(66, 44, 40),
        stroke=0.11,
        eye=(0.15, 0.19),
        glint=True,
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
        mouth=(120, 20, 30),
        blush=0.3,
    ),
    "line": EmojiStyle(
        light=(255, 240, 170),
        dark=(255, 240, 170),
        ink=(0, 0, 0),
        outline=0.085,
        stroke=0.085,
        eye=(0.10, 0.10),
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
    face = _Face(style, traits, units, Sketch())
    _cheeks(face, skin)
    for side in (-1.0, 1.0):
        _eye(face, side)
        _brow(face, side)
    _mouth(face)
    _drops(face)
    return face.sketch


class _Face(NamedTuple):
    """What all parts of a face are drawn from, and where to."""

    style: EmojiStyle
    traits: Mapping[str, float]
    units: Mapping[int, float]
    sketch: Sketch

    def stroke(self, points: Points, width: float | None = None) -> None:
        """Add a smooth line with round ends, as wide as those of brows by default."""
        ink = self.style.ink
        width = self.style.stroke * self.traits["stroke"] if width is None else width
        along = np.gradient(points, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        across = 0.5 * width * along[:, ::-1] * (-1.0, 1.0)
        self.sketch.polygon(np.concatenate([points + across, (points - across)[::-1]]), ink)
        for x, y in points[[0, -1]]:
            self.sketch.ellipse((x, y), (0.5 * width, 0.5 * width), ink)

    def rim(self, outline: Points, width: float) -> None:
        """Add an outline that is larger by half of `width`; what it goes round comes after."""
        middle = 0.5 * (outline.min(axis=0) + outline.max(axis=0))
        half = 0.5 * (outline.max(axis=0) - outline.min(axis=0))
        self.sketch.polygon(
            (outline - middle) * (1.0 + 0.5 * width / half) + middle, self.style.ink
        )


def _cheeks(face: _Face, skin: Colour) -> None:
    traits = face.traits
    if face.units[12] > 0.4 and traits["blush_kind"] < face.style.blush:
        for side in (-1.0, 1.0):
            at = (side * (traits["eye_x"] + 0.24), traits["eye_y"] + 0.34)
            for size, share in ((1.0, 0.35), (0.8, 0.7), (0.6, 1.0)):
                colour = blend(skin, _PINK, 0.75 * share)
                face.sketch.ellipse(at, (0.19 * size, 0.14 * size), colour)


def _eye(face: _Face, side: float) -> None:
    style, traits, units, sketch = face
    x, y = side * traits["eye_x"], traits["eye_y"]
    width, height = (traits["eye_size"] * radius for radius in style.eye)
    wide, closing = units[5], traits["eye_kind"]
    squint = max(units[7], 0.9 * units[9])
    laughs = units[6] > 0.4 and units[9] < 0.4 and closing < 0.45
    if laughs or (units[41] > 0.3 and closing < 0.35):  # Closed in laughter, or cast down.
        span = max(0.16, 1.1 * width)
        ends, middle = (y + 0.09, y - 0.11) if laughs else (y - 0.02, y + 0.12)
        face.stroke(arch((x - span, ends), (x + span, ends), middle, square=0.6))
    elif squint > 0.35 and units[9] > 0.4 and closing < 0.5:  # Screwed up: > <
        corner, far = (x - side * 0.12, y), x + side * 0.12
        for rise in (-0.1, 0.1):
            face.stroke(np.array([(far, y + rise), corner]))
    elif style.white_eyes or (wide > 0.5 and closing < 0.5 and units[4] < 0.75):
        _eyeball(face, (x, y), (width, height), squint + units[41], side)
    else:
        opening = 1.0 + 0.35 * wide - 0.35 * squint - 0.2 * units[41]
        sketch.ellipse((x, y), (width * (1.0 + 0.1 * wide), height * opening), style.ink)
        if style.glint:
            at = (x - 0.3 * width, y - 0.35 * height * opening)
            sketch.ellipse(at, (0.3 * width, 0.3 * width), WHITE)


def _eyeball(
    face: _Face,
    centre: tuple[float, float],
    radii: tuple[float, float],
    lowered: float,
    side: float,
) -> None:
    """White of the eye and pupil; the upper lid cuts off as much as it is lowered."""
    style, wide = face.style, face.units[5]
    x, y = centre
    width, height = max(radii[0], 0.21), max(radii[1], 0.22)
    grown = 1.0 + 0.18 * wide
    ball = circle(32) * (width * grown, height * grown) + centre
    lid = y - height * grown * (1.0 - 0.8 * min(lowered, 1.0))
    ball[:, 1] = np.maximum(ball[:, 1], lid)
    if style.outline:
        face.rim(ball, 1.4 * style.outline)
    face.sketch.polygon(ball, WHITE)
    pupil = (0.52 - 0.18 * min(wide, 1.0)) * width
    disc = circle(24) * (pupil, 1.1 * pupil) + (x - side * 0.04, y + 0.02)
    disc[:, 1] = np.maximum(disc[:, 1], lid)
    face.sketch.polygon(disc, style.ink)
    if lowered > 0.3:
        upper = ball[ball[:, 1] <= lid + 1e-9]
        ends = np.array([(upper[:, 0].min(), lid), (upper[:, 0].max(), lid)])
        face.stroke(ends, 0.6 * style.stroke)


def _brow(face: _Face, side: float) -> None:
    style, traits, units, _ = face
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
    face.stroke(bezier(inner, middle, outer, n=9) * (side, 1.0))


class _OpenMouth(NamedTuple):
    """Shape of an open mouth; heights are measured from where a closed one would be."""

    width: float  # times that of a closed one
    corners: float
    top: float
    bottom: float
    square: float  # of both lips, see `arch`
    teeth: bool
    tongue: bool


def _mouth(face: _Face) -> None:
    traits, units = face.traits, face.units
    smile, frown, stretch = units[12], units[15], units[20]
    sneer = max(units[10], units[9])
    y, half = traits["mouth_y"], traits["mouth_width"]
    if units[25] <= 0.2:
        tight = max(units[23], 0.8 * units[24])
        half *= 1.0 + 0.1 * smile - 0.18 * frown - 0.3 * min(tight, 1.0)
        if sneer > 0.4:  # A wavy line.
            x = np.linspace(-half, half, 17)
            face.stroke(np.stack([x, y + 0.07 * np.sin(x * 2.5 * np.pi / half)], axis=1))
            return
        down = max(frown, 0.55 * tight)
        corners = y - 0.17 * smile + 0.12 * down
        middle = y + 0.16 * smile - 0.16 * down
        face.stroke(arch((-half, corners), (half, corners), middle, square=0.55, n=13))
        return
    jaw = units[26] + 1.2 * units[27]
    gape = max(0.0, jaw - smile - stretch - sneer)
    if smile > 0.4:  # A D on its back.
        shape = _OpenMouth(1.05, -0.12, -0.07, 0.26 + 0.25 * jaw, 0.6, True, 0.3 * jaw > 0.05)
    elif gape > 0.35:  # An O.
        width, reach = 0.36 + 0.16 * min(gape, 1.2), 0.14 + 0.14 * min(gape, 1.4)
        shape = _OpenMouth(width, 0.08, 0.08 - reach, 0.08 + reach, 1.33, False, gape > 0.9)
    elif stretch > 0.35:  # Wide, with the corners drawn down.
        shape = _OpenMouth(0.95, 0.2, -0.06, 0.13 + 0.12 * jaw, 0.8, True, False)
    elif sneer > 0.4:  # The upper lip drawn up, the tongue out.
        shape = _OpenMouth(0.78, 0.12, -0.12, 0.16, 0.8, False, True)
    else:  # Bared teeth.
        shape = _OpenMouth(0.92, 0.07, -0.08, 0.17, 1.15, True, False)
    _open_mouth(face, shape, half * shape.width, laughs=smile > 0.4, sneers=sneer > 0.4)


def _open_mouth(face: _Face, shape: _OpenMouth, half: float, *, laughs: bool, sneers: bool) -> None:
    style, sketch, y = face.style, face.sketch, face.traits["mouth_y"]
    corners = (-half, y + shape.corners), (half, y + shape.corners)
    upper = arch(*corners, y + shape.top, square=shape.square, n=21)
    lower = arch(*corners, y + shape.bottom, square=shape.square, n=21)
    opening = np.concatenate([upper, lower[::-1]])
    bared = shape.teeth and not laughs
    if style.outline or bared:
        face.rim(opening, 2.0 * max(style.outline, 0.045))
    sketch.polygon(opening, style.mouth)
    if shape.tongue:
        if sneers and not laughs:
            out = arch((-0.6 * half, y + 0.1), (0.6 * half, y + 0.1), y + 0.36, square=0.9)
        else:
            floor = lower[5:-5]
            out = np.concatenate([floor, arch(floor[-1], floor[0], floor[0, 1] - 0.07)])
        sketch.polygon(out, _TONGUE)
    if shape.teeth:
        edge = upper + (1.0 if bared else 0.42) * (lower - upper)
        inset = slice(None) if bared else slice(1, -1)
        sketch.polygon(np.concatenate([upper[inset], edge[inset][::-1]]), WHITE)
    if bared:
        sketch.line((0.5 * (upper + lower))[1:-1], style.ink, 0.03)
        for k in (5, 8, 12, 15):
            sketch.line(np.array([upper[k], lower[k]]), style.ink, 0.02)


def _drops(face: _Face) -> None:
    """Add tears to some sad emoji, and sweat to some frightened ones."""
    traits, units = face.traits, face.units
    kind = traits["extra_kind"]
    if units[15] > 0.35 and kind < 0.45:
        sides = (-1.0, 1.0) if kind < 0.15 else (1.0,) if kind < 0.3 else (-1.0,)
        for side in sides:
            _drop(face, (side * (traits["eye_x"] + 0.04), traits["eye_y"] + 0.47), 0.16)
    elif units[20] > 0.4 and kind < 0.35:
        _drop(face, (0.72 if kind < 0.18 else -0.72, -0.3), 0.17)


def _drop(face: _Face, centre: tuple[float, float], size: float) -> None:
    drop = circle(24) * size
    x, y = drop.T
    drop[:, 1] = np.where(y < 0.0, 2.0 * y * (1.0 - np.abs(x) / size), y)
    drop += centre
    if face.style.outline:
        face.rim(drop, 1.2 * face.style.outline)
    face.sketch.polygon(drop, _DROP)
