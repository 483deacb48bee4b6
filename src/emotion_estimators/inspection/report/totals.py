"""Rows in, what all of them together say out."""

from __future__ import annotations

from collections import Counter
from typing import Any

from emotion_estimators.exceptions import shorten
from emotion_estimators.inspection.report.marks import (
    bar,
    color_of,
    image_title,
    shared_folder,
    swatch,
)
from emotion_estimators.inspection.report.page import Content, Page, element, plain_table
from emotion_estimators.inspection.report.timelines import Timelines

__all__ = ["Totals"]

_MOST_NAMES = 1_000  # of what could not be read


class Totals:
    """Counts photographs, or frames, and their faces."""

    def __init__(self, columns: list[str]) -> None:
        prefix = "emotion_"
        self.classes = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
        self.is_video = "frame" in columns
        self.timelines = Timelines(self.classes)
        self.n_images = self.n_faceless = self.n_unreadable = 0
        self.emotions: Counter[str] = Counter()
        self._unreadable: list[dict[str, Any]] = []
        self._folder: str | None = None

    @property
    def folder(self) -> str:
        """How the names of all files begin: with the folder that holds them, or nothing."""
        return self._folder or ""

    def title(self, row: dict[str, Any]) -> str:
        """Return what a photograph, or the video of a frame, is called below `folder`."""
        return image_title(row, self.folder)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Count the rows of one photograph or frame."""
        status = rows[0]["status"]
        self.n_images += 1
        if rows[0]["image"] is not None:
            self._folder = shared_folder(self._folder, rows[0]["image"])
        self.n_faceless += status == "no face"
        if self.is_video and status != "unreadable":
            self.timelines.count(rows)
        if status == "face":
            self.emotions.update(row["emotion"] for row in rows)
        elif status == "unreadable":
            self.n_unreadable += 1
            if len(self._unreadable) < _MOST_NAMES:
                self._unreadable.append(rows[0])

    def write(self, page: Page) -> None:
        """Add the counts."""
        n = self.emotions.total()
        counts = {
            "Frames" if self.is_video else "Photographs": self.n_images,
            "Faces": n,
            "Without a face": self.n_faceless,
            "Not read": self.n_unreadable,
        }
        cards = [
            element("div", element("dt", name), element("dd", f"{count:,}"))
            for name, count in counts.items()
        ]
        page.write(element("dl", cards, class_="cards"))
        if self.folder:
            folder = element("bdi", shorten(self.folder, 500))
            page.write(element("p", "All files are in the folder ", folder, "."))
        if not n:
            return
        most = max(self.emotions.values())
        rows: list[list[Content]] = [
            [
                [swatch(name, self.classes), name],
                f"{count:,}",
                f"{100 * count / n:.1f} %",
                bar(count / most, color_of(name, self.classes)),
            ]
            for name, count in self.emotions.most_common()
        ]
        heading = ["Emotion", "Faces", "Share", element("span", "bar", class_="unseen")]
        page.write(plain_table("Faces by emotion", heading, rows, class_="numbers"))

    def write_unreadable(self, page: Page) -> None:
        """Add what could not be read, and why."""
        rows = [[element("bdi", self.title(row)), row["problem"]] for row in self._unreadable]
        page.write(plain_table("What could not be read, and why", ["File", "Why"], rows))
        left = self.n_unreadable - len(rows)
        if left:
            page.write(element("p", f"{left:,} more are named in the table."))
