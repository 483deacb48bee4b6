"""Photographs and boxes in, small images as data URLs out."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_estimators.images.items import item_size
from emotion_estimators.images.loader import read_item
from emotion_estimators.inspection.draw_faces import as_picture

__all__ = ["CROP_SIDE", "Thumbnail", "data_url", "make_thumbnail"]

CROP_SIDE = 64  # pixels
_MARGIN = 0.15  # of a box, on each side of the crop
_LEAST_SIDE, _SIDE_PER_FACE, _MOST_SIDE = 180, 60, 520  # pixels; about 10 kB for each face
_QUALITY = 65  # of JPEG


@dataclass(frozen=True)
class Thumbnail:
    """A small photograph, by how much smaller it is, and its faces."""

    url: str
    size: tuple[int, int]  # width and height in pixels
    scale: float
    crops: list[str]


def make_thumbnail(item: Any, boxes: NDArray[np.float64]) -> Thumbnail:
    """Return a photograph and its faces, whose `boxes` are (n_faces, 4).

    Raises InvalidImagesError if the photograph cannot be read.
    """
    longer = max(item_size(item))
    side = min(_LEAST_SIDE + _SIDE_PER_FACE * len(boxes), _MOST_SIDE)
    least = side
    if len(boxes):  # a draft is read where it is sharp enough for the smallest face
        smallest = max(float(boxes[:, 2:].max(axis=1).min()), 1.0)
        least = min(longer, max(side, round(longer * CROP_SIDE / smallest)))
    photo = as_picture(read_item(item, min_side=least))
    in_draft = boxes * (max(photo.size) / longer)
    crops = [data_url(_cut(photo, box)) for box in in_draft]
    photo.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return Thumbnail(data_url(photo), photo.size, max(photo.size) / longer, crops)


def data_url(image: Image.Image | NDArray[Any], side: int | None = None) -> str:
    """Return an image as an address that holds it; arrays as `read_item` returns them."""
    if not isinstance(image, Image.Image):
        image = as_picture(image)
    if side is not None:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _cut(photo: Image.Image, box: NDArray[np.float64]) -> Image.Image:
    """Return the square around a box, as far as it lies in the photograph."""
    x, y, width, height = box.tolist()
    half = max(width, height) * (0.5 + _MARGIN)
    left, top = int(max(x + width / 2 - half, 0)), int(max(y + height / 2 - half, 0))
    right = max(int(min(x + width / 2 + half, photo.width)), left + 1)
    bottom = max(int(min(y + height / 2 + half, photo.height)), top + 1)
    crop = photo.crop((left, top, right, bottom))
    crop.thumbnail((CROP_SIDE, CROP_SIDE), Image.Resampling.LANCZOS)
    return crop
