"""Photographs with their numbered faces, kept until the page has come to them."""

from __future__ import annotations

from typing import Any, BinaryIO

from emotion_estimators.analysis.columns import BOX
from emotion_estimators.inspection.report.marks import color_of, shown_share
from emotion_estimators.inspection.report.page import Element, Page, element, plain_table
from emotion_estimators.inspection.report.thumbnails import Thumbnail
from emotion_estimators.inspection.report.totals import Totals

__all__ = ["Figures"]

_MOST_NAMES = 1_000  # of photographs that are not shown
_LEAST_TEXT = 13  # pixels


class Figures:
    """Takes photographs one after the other; `spool` is a file that keeps them."""

    def __init__(self, totals: Totals, spool: BinaryIO) -> None:
        self._totals = totals
        self._spool = spool
        self._page = Page(spool)
        self._missing: list[tuple[str, str]] = []
        self._n_missing = 0

    def add(self, number: int, rows: list[dict[str, Any]], thumbnail: Thumbnail | str) -> None:
        """Keep the figure of a photograph, or why there is none."""
        name = self._totals.title(rows[0])
        if isinstance(thumbnail, str):
            self._n_missing += 1
            if len(self._missing) < _MOST_NAMES:
                self._missing.append((name, thumbnail))
            return
        faces = [row for row in rows if row["status"] == "face"]
        width, height = thumbnail.size
        n = len(faces)
        what = f"with {n} numbered face{'s' * (n != 1)}" if n else "in which no face was found"
        image = element("img", src=thumbnail.url, width=width, height=height, alt=f"{name}, {what}")
        boxes = [part for row in faces for part in self._box(row, thumbnail)]
        view = {"viewBox": f"0 0 {width} {height}"}
        overlay = element("svg", boxes, aria_hidden="true", **view)
        told = element("ul", [_line(number, row) for row in faces])
        caption = element(
            "figcaption", element("bdi", name), told if faces else element("p", "no face found")
        )
        picture = element("div", image, overlay, class_="photo")
        self._page.write(element("figure", picture, caption, id=f"p{number}"))

    def write(self, page: Page, *, is_asked: bool) -> None:
        """Add all figures, and what is lacking."""
        if not is_asked:
            page.write(element("p", "Photographs and faces were left out of this report."))
            return
        if self._spool.tell():
            with page.within("div", class_="figures"):
                page.copy(self._spool)
        if self._n_missing:
            told = f"{self._n_missing:,} photographs are not shown"
            rows = [[element("bdi", name), why] for name, why in self._missing]
            table = plain_table(told, ["File", "Why"], rows)
            page.write(element("details", element("summary", told), table))

    def _box(self, row: dict[str, Any], thumbnail: Thumbnail) -> list[Element]:
        """Return the box and the number of a face."""
        x, y, width, height = (round(row[name] * thumbnail.scale, 1) for name in BOX)
        place = {"x": x, "y": y, "width": width, "height": height}
        size = max(_LEAST_TEXT, thumbnail.size[0] // 26)
        color = color_of(row["emotion"], self._totals.classes)
        # above the box, or where there is no room, within it
        line = y - 5 if y > size + 5 else y + size
        return [
            element("rect", class_="edge", **place),
            element("rect", class_=f"box {color}", **place),
            element("text", str(row["face"]), x=max(x, 2.0), y=line, font_size=size),
        ]


def _line(number: int, row: dict[str, Any]) -> Element:
    """Return what is said of a face below its photograph."""
    link = element(
        "a", str(row["face"]), href=f"#f{number}-{row['face']}",
        aria_label=f"face {row['face']}, in the table",
    )  # fmt: skip
    return element("li", link, f" {row['emotion']} {shown_share(row['certainty'])}")
