"""The table emoji.json of github.com/iamcal/emoji-data: a file in, emoji and their classes out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimators.labels import happy_or_sad

__all__ = ["Emoji", "emoji_class", "parse_code_points", "picture_folder", "read_emoji_table"]

_CATEGORY = "Smileys & Emotion"
_TEXT_FIELDS = ("unified", "image", "name", "category", "subcategory")
_PICTURE = re.compile(r"[0-9a-z]+(-[0-9a-z]+)*\.png")
_CODE_POINTS = re.compile(r"[0-9A-F]{1,6}(-[0-9A-F]{1,6})*", re.IGNORECASE)
_PICTURE_STYLE = 0xFE0F  # asks for the coloured picture of the character before it
_HAS_PICTURE = "has_img_"


@dataclass(frozen=True)
class Emoji:
    """One row of the table that is about a smiley or an emotion."""

    code_points: str  # as the table writes them: "1F600", "1F642-200D-2194-FE0F"
    picture: str  # name of the file in each vendor's folder
    name: str
    subcategory: str
    lacking: frozenset[str]  # vendors that the table says have no picture of it


def picture_folder(vendor: str) -> str:
    """Return the name of the folder of a vendor's pictures of 64 x 64 px."""
    return f"img-{vendor}-64"


def parse_code_points(text: str) -> tuple[int, ...]:
    """Return "1F642-200D-2194" as numbers; raise ValueError for anything else."""
    if not _CODE_POINTS.fullmatch(text):
        raise ValueError(f"expected hexadecimal code points joined by '-', got {text!r}")
    return tuple(int(part, 16) for part in text.split("-"))


def emoji_class(emoji: Emoji, labels: str, sequences: str) -> str | None:
    """Return the class of an emoji, or None where it has none."""
    if labels == "subcategory":
        return emoji.subcategory
    numbers = [n for n in parse_code_points(emoji.code_points) if n != _PICTURE_STYLE]
    if len(numbers) > 1 and sequences == "own":
        return None
    return happy_or_sad(numbers[0])


def read_emoji_table(path: Path, *, needed_by: str) -> list[Emoji]:
    """Return the smileys and emotions of an emoji.json, ordered by code points as numbers."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{needed_by} expected the folder {path.parent} to hold emoji.json and folders "
            "img-<vendor>-64, as github.com/iamcal/emoji-data does, and found no emoji.json."
        ) from error
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of lists in lists
        raise ValueError(f"{needed_by} cannot read {path}: {error}.") from error
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
        raise ValueError(f"expected an object, got {row!r}")
    for field in _TEXT_FIELDS:
        if not isinstance(row.get(field), str):
            raise ValueError(f"expected text as {field!r}, got {row.get(field)!r}")
    parse_code_points(row["unified"])
    # a file name and nothing else, as it is joined to folders and URLs
    if not _PICTURE.fullmatch(row["image"]):
        raise ValueError(f"expected a name like '1f600.png' as 'image', got {row['image']!r}")


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
