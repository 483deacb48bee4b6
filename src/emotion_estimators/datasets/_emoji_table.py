"""The table emoji.json of github.com/iamcal/emoji-data: a file in, emoji and their classes out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimators._untrusted import read_json
from emotion_estimators.exceptions import shorten

__all__ = [
    "EMOJI_CLASSES",
    "Emoji",
    "class_of_row",
    "emoji_class",
    "parse_code_points",
    "picture_folder",
    "read_emoji_table",
]

# Classes of `emoji_class`, and the (first, last) code points of each. Both tables hold U+1F617
# to U+1F619, the kissing faces.
EMOJI_CLASSES = ("happy", "sad")
HAPPY_EMOJI = (
    (0x1F600, 0x1F607),
    (0x1F609, 0x1F60F),
    (0x1F617, 0x1F61D),
    (0x1F638, 0x1F63D),
    (0x1F642, 0x1F643),
    (0x1F917, 0x1F917),
    (0x1F920, 0x1F921),
    (0x1F924, 0x1F924),
    (0x1F929, 0x1F92A),
    (0x1F973, 0x1F973),
)
SAD_EMOJI = (
    (0x1F613, 0x1F615),
    (0x1F617, 0x1F619),
    (0x1F622, 0x1F625),
    (0x1F629, 0x1F629),
    (0x1F62B, 0x1F62B),
    (0x1F62D, 0x1F62D),
    (0x1F630, 0x1F630),
    (0x1F63F, 0x1F63F),
    (0x1F910, 0x1F910),
    (0x1F922, 0x1F922),
    (0x1F927, 0x1F928),
    (0x1F92E, 0x1F92F),
    (0x1F974, 0x1F976),
)

_MAX_BYTES = 16 << 20  # that of 2024 has 1.5 MB
_CATEGORY = "Smileys & Emotion"
_TEXT_FIELDS = ("unified", "image", "name", "category", "subcategory")
_PICTURE = re.compile(r"[0-9a-z]+(-[0-9a-z]+)*\.png")
_CODE_POINTS = re.compile(r"[0-9A-F]{1,6}(-[0-9A-F]{1,6})*", re.IGNORECASE)
_PICTURE_STYLE = 0xFE0F  # asks for the coloured image of the character before it
_HAS_PICTURE = "has_img_"


@dataclass(frozen=True)
class Emoji:
    """One row of the table that is about a smiley or an emotion."""

    code_points: str  # as the table writes them: "1F600", "1F642-200D-2194-FE0F"
    picture: str  # name of the file in each vendor's folder
    name: str
    subcategory: str
    lacking: frozenset[str]  # vendors that the table says have no image of it


def picture_folder(vendor: str) -> str:
    """Return the name of the folder of a vendor's images of 64 x 64 px."""
    return f"img-{vendor}-64"


def parse_code_points(text: str) -> tuple[int, ...]:
    """Return "1F642-200D-2194" as numbers; raise ValueError for anything else."""
    if not _CODE_POINTS.fullmatch(text):
        raise ValueError(
            f"expected hexadecimal code points joined by '-', got {shorten(repr(text), 80)}"
        )
    return tuple(int(part, 16) for part in text.split("-"))


def class_of_row(emoji: Emoji, target: str, sequences: str) -> str | None:
    """Return the class of an emoji, or None where it has none."""
    if target == "subcategory":
        return emoji.subcategory
    numbers = [n for n in parse_code_points(emoji.code_points) if n != _PICTURE_STYLE]
    if len(numbers) > 1 and sequences == "separate":
        return None
    return emoji_class(numbers[0])


def emoji_class(code_point: int) -> str | None:
    """Return the class of an emoji of one code point.

    It is the one place that says which emoji are happy and which are sad.

    Parameters
    ----------
    code_point : int
        Such as ``0x1F600``.

    Returns
    -------
    label : str or None
        "happy", "sad", or None for what is in neither table.

    Notes
    -----
    The kissing faces U+1F617 to U+1F619 stand
    in the tables of both happy and sad emoji, and are happy.

    Examples
    --------
    >>> from emotion_estimators.datasets import emoji_class
    >>> emoji_class(0x1F600), emoji_class(0x1F62D), emoji_class(0x1F610)
    ('happy', 'sad', None)
    """
    for label, ranges in zip(EMOJI_CLASSES, (HAPPY_EMOJI, SAD_EMOJI), strict=True):
        if any(first <= code_point <= last for first, last in ranges):
            return label
    return None


def read_emoji_table(path: Path, *, needed_by: str) -> list[Emoji]:
    """Return the smileys and emotions of an emoji.json, ordered by code points as numbers."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f"{needed_by} expected the folder {path.parent} to hold emoji.json and folders "
            "img-<vendor>-64, as github.com/iamcal/emoji-data does, and found no emoji.json."
        ) from error
    rows = read_json(content, max_bytes=_MAX_BYTES, name=f"{needed_by} cannot read {path}: it")
    if not isinstance(rows, list):
        raise ValueError(f"{needed_by} expected {path} to hold a list, got {type(rows).__name__}.")
    emoji = []
    for number, row in enumerate(rows):
        try:
            _check_row(row)
        except ValueError as error:
            raise ValueError(f"{needed_by} cannot use row {number} of {path}: {error}.") from error
        if row["category"] == _CATEGORY:
            emoji.append(_to_emoji(row))
    if not emoji:
        raise ValueError(f"{needed_by} found no emoji of category {_CATEGORY!r} in {path}.")
    return sorted(emoji, key=lambda one: parse_code_points(one.code_points))


def _check_row(row: Any) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {shorten(row, 80)}")
    for field in _TEXT_FIELDS:
        if not isinstance(row.get(field), str):
            raise ValueError(f"expected text as {field!r}, got {shorten(row.get(field), 80)}")
    parse_code_points(row["unified"])
    # a file name and nothing else, as it is joined to folders and URLs
    if not _PICTURE.fullmatch(row["image"]):
        raise ValueError(
            f"expected a name like '1f600.png' as 'image', got {shorten(repr(row['image']), 80)}"
        )


def _to_emoji(row: dict[str, Any]) -> Emoji:
    return Emoji(
        code_points=row["unified"].upper(),
        picture=row["image"],
        name=row["name"],
        subcategory=row["subcategory"],
        lacking=frozenset(
            key.removeprefix(_HAS_PICTURE)
            for key, has in row.items()
            if key.startswith(_HAS_PICTURE) and not has
        ),
    )
