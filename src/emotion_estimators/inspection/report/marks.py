"""Colours of emotions, numbers and names as reports show them."""

from __future__ import annotations

from typing import Any

from emotion_estimators.exceptions import shorten
from emotion_estimators.inspection.report.page import Element, element

__all__ = ["bar", "color_of", "image_title", "legend", "shared_folder", "shown_share", "swatch"]

_N_COLORS = 7  # .c0 to .c6 of report.css


def color_of(emotion: str, classes: list[str]) -> str:
    """Return the class of CSS that has the colour of an emotion."""
    return f"c{classes.index(emotion) % _N_COLORS}" if emotion in classes else "unsure"


def swatch(emotion: str, classes: list[str]) -> Element:
    """Return a mark in the colour of an emotion, which is named beside it."""
    return element("span", class_=f"swatch {color_of(emotion, classes)}")


def legend(classes: list[str]) -> Element:
    """Return the names of all emotions with their colours."""
    items = [element("li", swatch(name, classes), name) for name in classes]
    return element("ul", items, class_="legend")


def bar(share: float, color: str) -> Element:
    """Return a bar; what it shows must be written beside it."""
    drawn = element("rect", class_=color, width=round(100 * share, 1), height=10)
    view = {"viewBox": "0 0 100 10", "preserveAspectRatio": "none"}
    return element("svg", drawn, class_="bar", aria_hidden="true", **view)


def shown_share(value: float) -> str:
    """Return a probability or a score."""
    return f"{value:.3f}"


def image_title(row: dict[str, Any], folder: str = "") -> str:
    """Return what a photograph, or the video of a frame, is called, in its `folder`."""
    if row["image"] is None:
        return "the video" if "frame" in row else f"photograph {row['row']}"
    return shorten(row["image"].removeprefix(folder), 500)


def shared_folder(folder: str | None, path: str) -> str:
    """Return the folder that holds a file and all in `folder`; None holds nothing yet."""
    same = path[: _name_start(path)]
    while folder is not None and not folder.startswith(same):
        same = same[: _name_start(same[:-1])]
    return same


def _name_start(path: str) -> int:
    """Return where the name of a file begins in its path, of whatever system."""
    return max(path.rfind("/"), path.rfind("\\")) + 1
