"""Which facial muscles move in which emotion: an emotion in, strengths of action units out.

Knows nothing of pixels. Imports NumPy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACTION_UNITS", "PROTOTYPES", "draw_action_units"]

ACTION_UNITS: Mapping[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    15: "lip corner depressor",
    17: "chin raiser",
    20: "lip stretcher",
    22: "lip funneler",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    41: "lid droop",
}

# Each emotion has one or more variants: (share of the pictures, {action unit: strength}). The
# prototypes and main variants of Ekman & Friesen's FACS; strengths are this library's own.
PROTOTYPES: Mapping[str, tuple[tuple[float, Mapping[int, float]], ...]] = {
    "angry": (
        (0.6, {4: 1.2, 5: 0.7, 7: 0.6, 17: 0.4, 23: 0.9, 24: 0.8}),
        (0.4, {4: 1.2, 5: 0.7, 7: 0.5, 22: 0.9, 23: 0.7, 25: 0.9}),
    ),
    "disgust": (
        (0.5, {4: 0.3, 6: 0.4, 7: 0.7, 9: 1.0, 10: 1.0, 17: 0.5}),
        (0.5, {4: 0.3, 6: 0.4, 7: 0.7, 9: 1.0, 10: 1.0, 25: 0.7, 26: 0.2}),
    ),
    "fear": (
        (0.7, {1: 0.9, 2: 0.5, 4: 0.6, 5: 1.0, 20: 1.0, 25: 0.8, 26: 0.35}),
        (0.3, {1: 0.9, 2: 0.5, 4: 0.6, 5: 1.1, 20: 1.1, 25: 0.4}),
    ),
    "happy": (
        (0.6, {6: 0.9, 12: 1.0, 25: 0.9, 26: 0.3}),
        (0.4, {6: 0.8, 12: 1.0}),
    ),
    "neutral": ((1.0, {}),),
    "sad": (
        (0.6, {1: 1.0, 4: 0.5, 15: 0.9, 41: 0.6}),
        (0.4, {1: 1.0, 4: 0.5, 15: 1.0, 17: 0.8, 41: 0.4}),
    ),
    "surprise": (
        (0.6, {1: 1.0, 2: 1.0, 5: 0.9, 25: 1.0, 26: 0.9}),
        (0.4, {1: 1.0, 2: 1.0, 5: 1.0, 25: 1.0, 26: 0.6, 27: 0.7}),
    ),
}


def draw_action_units(emotion: str, rng: np.random.Generator) -> dict[int, float]:
    """Strength 0..1 (about) of each action unit for one picture of ``emotion``.

    How strongly somebody shows an emotion varies, and so does each muscle; muscles that have no
    part in it stir a little.
    """
    variants = PROTOTYPES[emotion]
    pick = rng.random()
    chosen: Mapping[int, float] = variants[-1][1]
    for share, units in variants:
        if pick < share:
            chosen = units
            break
        pick -= share
    strength = rng.uniform(0.75, 1.1)
    vary = rng.uniform(0.75, 1.2, size=len(ACTION_UNITS))
    stray = rng.uniform(-1.0, 0.14, size=len(ACTION_UNITS)).clip(0.0)
    return {
        unit: strength * chosen[unit] * float(vary[k]) if unit in chosen else float(stray[k])
        for k, unit in enumerate(ACTION_UNITS)
    }
