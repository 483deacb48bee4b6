"""A photograph and its rows of a table in, the photograph with boxes and labels out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emotion_estimators.images import to_rgb
from emotion_estimators.images.loader import read_item

__all__ = ["CLASS_COLORS", "as_picture", "draw_faces"]

# one for each class, told apart also without seeing red and green (after Okabe and Ito)
CLASS_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


def draw_faces(image: Any, table: Any) -> NDArray[np.uint8]:
    """Draw a box and a label for each face into a photograph.

    Parameters
    ----------
    image : path, bytes, PIL image or ndarray
        The photograph, of shape ``(height, width)`` or ``(height, width, 3)`` if it is an
        array, uint8 in 0..255 or float in 0..1.
    table : pandas.DataFrame or list of dict
        Its rows of the table of `~emotion_estimators.analysis.analyze_faces`, or what
        `~emotion_estimators.analysis.iterate_faces` yields for it. Rows without a face are
        passed over.

    Returns
    -------
    drawn : uint8 array of shape (height, width, 3)
        RGB, a new array.

    Raises
    ------
    InvalidImagesError
        If the photograph cannot be read.
    ValueError
        If the table holds several photographs, or lacks columns.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.inspection import draw_faces
    >>> row = {"row": 0, "status": "face", "x": 10, "y": 20, "width": 30, "height": 30}
    >>> row |= {"emotion": "happy", "emotion_happy": 0.9}
    >>> drawn = draw_faces(np.zeros((60, 80), np.uint8), [row])
    >>> drawn.shape, bool(drawn.any())
    ((60, 80, 3), True)
    """
    rows = table.to_dict("records") if hasattr(table, "to_dict") else list(table)
    needed = ("status", "x", "y", "width", "height", "emotion")
    missing = [name for name in needed if any(name not in row for row in rows)]
    if missing:
        raise ValueError(
            f"draw_faces expected rows with {', '.join(needed)}, as analyze_faces makes them; "
            f"{', '.join(missing)} is missing."
        )
    photographs = {row.get("row") for row in rows}
    if len(photographs) > 1:
        raise ValueError(
            f"draw_faces expected the rows of one photograph, got those of {len(photographs)}. "
            'Take table[table["row"] == 0], for example.'
        )
    picture = as_picture(read_item(image))
    draw = ImageDraw.Draw(picture)
    faces = [row for row in rows if row["status"] == "face"]
    for row in faces:
        classes = [name for name in row if name.startswith("emotion_")]
        own = f"emotion_{row['emotion']}"
        color = (
            CLASS_COLORS[classes.index(own) % len(CLASS_COLORS)]
            if own in classes
            else CLASS_COLORS[0]
        )
        _draw_face(draw, picture.size, row, color)
    return np.asarray(picture).copy()


def as_picture(pixels: NDArray[Any]) -> Image.Image:
    """Return what `read_item` gives, (height, width) or (height, width, 3), in 8 bits of RGB."""
    if pixels.dtype != np.uint8:
        pixels = (pixels * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(pixels if pixels.ndim == 3 else to_rgb(pixels))


def _draw_face(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], row: dict[str, Any], color: str
) -> None:
    line = max(1, round(min(size) / 300))
    left, top = row["x"], row["y"]
    right, bottom = left + row["width"], top + row["height"]
    draw.rectangle((left, top, right, bottom), outline=color, width=line)
    probability = row.get(f"emotion_{row['emotion']}")
    label = row["emotion"] if probability is None else f"{row['emotion']} {probability:.2f}"
    font = ImageFont.load_default(size=max(10, min(size) // 40))
    width, height = draw.textbbox((0, 0), label, font=font)[2:]
    # above the box, or where there is no room, within it; never beyond the photograph
    x = min(max(0, left), max(0, size[0] - width - 2 * line))
    y = top - height - 2 * line
    y = y if y >= 0 else max(0, top)
    draw.rectangle((x, y, x + width + 2 * line, y + height + 2 * line), fill=color)
    draw.text((x + line, y), label, font=font, fill="black")
