"""Rows of faces in, a table that sorts and filters out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emotion_estimators.analysis.columns import BOX
from emotion_estimators.inspection.report.marks import (
    bar,
    color_of,
    shown_share,
    swatch,
)
from emotion_estimators.inspection.report.page import Content, Element, Page, element
from emotion_estimators.inspection.report.thumbnails import CROP_SIDE
from emotion_estimators.inspection.report.totals import Totals

__all__ = ["FacesTable"]

_LEAST_OTHER = 0.01  # of the other emotions that are named


class FacesTable:
    """Writes one row for each face."""

    def __init__(self, totals: Totals, *, has_pictures: bool) -> None:
        self._totals = totals
        self._has_pictures = has_pictures
        self.n_rows = 0

    @contextmanager
    def around(self, page: Page) -> Iterator[None]:
        """Write all of the table but its rows."""
        if not self._totals.emotions:
            yield
            page.write(element("p", "No face was found."))
            return
        page.write(self._filter(), element("p", role="status", id="shown", class_="shown"))
        is_video = self._totals.is_video
        # names of columns, and whether numbers come first when they are sorted by
        columns = ["Face"] * self._has_pictures
        columns += ["Video", "Time", "Track", "Number"] if is_video else ["Photograph", "Number"]
        columns += ["Emotion", "Certainty", *["Smoothed"] * is_video, "Others", "Score", "Box"]
        # the roles stay where CSS lays the table out as cards, on telephones
        cells = [
            element(
                "th",
                name,
                scope="col",
                role="columnheader",
                data_sort=None if name in ("Face", "Others", "Box") else name.lower(),
            )
            for name in columns
        ]
        caption = element(
            "caption",
            "Faces in the order of the table. Boxes are x, y, width and height in pixels.",
        )
        kind = "faces" + " plain" * (not self._has_pictures) + " of-video" * is_video
        scrolled = {"tabindex": 0, "role": "region", "aria_label": "Table of faces"}
        with (
            page.within("div", class_="wide tall", **scrolled),
            page.within("table", caption, id="face-table", class_=kind, role="table"),
        ):
            row = element("tr", cells, role="row")
            page.write(element("thead", row, role="rowgroup"))
            with page.within("tbody", role="rowgroup"):
                yield
        if self._totals.emotions.total() > self.n_rows:
            told = f"These are the first {self.n_rows:,} faces; the totals are of all."
            page.write(element("p", told))

    def add(self, page: Page, number: int, rows: list[dict[str, Any]], crops: list[str]) -> None:
        """Add the faces of the photograph, or frame, of that number."""
        for i, row in enumerate(rows):
            page.write(self._row(number, row, crops[i] if crops else None))
            self.n_rows += 1

    def _row(self, number: int, row: dict[str, Any], crop: str | None) -> Element:
        name, emotion, face = self._totals.title(row), row["emotion"], row["face"]
        title: Content = element("bdi", name)
        if self._has_pictures and crop:
            title = element("a", title, href=f"#p{number}")
        cells = [_cell("th", title, "photograph" if not self._totals.is_video else "video", name)]
        if self._has_pictures:
            picture = element(
                "img", src=crop, alt=f"face {face}", width=CROP_SIDE, height=CROP_SIDE
            ) if crop else None  # fmt: skip
            cells.insert(0, _cell("td", picture, "face"))
        if self._totals.is_video:
            cells.append(_cell("td", f"{row['time']:.2f} s", "time", row["time"]))
            cells.append(_cell("td", str(row["track"]), "track", row["track"]))
        certainty = row["certainty"]
        color = color_of(emotion, self._totals.classes)
        cells += [
            _cell("td", str(face), "number", face),
            _cell("td", [swatch(emotion, self._totals.classes), emotion], "emotion", emotion),
            _cell("td", [shown_share(certainty), bar(certainty, color)], "certainty", certainty),
        ]
        if self._totals.is_video:
            cells.append(_cell("td", row["smoothed"], "smoothed", row["smoothed"]))
        box = ", ".join(f"{row[name]:.0f}" for name in BOX)
        score = row["score"]
        cells += [
            _cell("td", self._others(row), "others"),
            _cell("td", "" if score is None else shown_share(score), "score", score),
            _cell("td", box, "box"),
        ]
        return element(
            "tr", cells, role="row", id=f"f{number}-{face}", data_of=f"p{number}",
            data_emotion=emotion, data_certainty=float(certainty),
        )  # fmt: skip

    def _others(self, row: dict[str, Any]) -> str:
        """Return the probabilities of the other emotions, the largest first."""
        shares = {name: row[f"emotion_{name}"] for name in self._totals.classes}
        shares.pop(row["emotion"], None)
        named = sorted(shares.items(), key=lambda pair: -pair[1])
        return ", ".join(f"{name} {share:.2f}" for name, share in named if share >= _LEAST_OTHER)

    def _filter(self) -> Element:
        """Return the form that says which faces are shown; it is hidden where nothing obeys it."""
        emotions = self._totals.emotions
        total = f"all ({emotions.total():,})"
        options = [element("option", total, value="")] + [
            element("option", f"{name} ({count:,})", value=name)
            for name, count in emotions.most_common()
        ]
        limits = {"type": "number", "min": 0, "max": 1, "step": "0.05"}
        fields = [
            ("Emotion", element("select", options, id="by-emotion")),
            ("Certainty from", element("input", id="by-least", value="0", **limits)),
            ("to", element("input", id="by-most", value="1", **limits)),
            ("Name contains", element("input", id="by-name", type="search", autocomplete="off")),
        ]
        labels = [
            element("div", element("label", name, for_=field.get("id")), field, class_="field")
            for name, field in fields
        ]
        button = element("button", "Show all", type="reset")
        return element("form", labels, button, id="filter", hidden=True, aria_label="Filter")


def _cell(tag: str, content: Content, kind: str, value: object = None) -> Element:
    is_heading = tag == "th"
    return element(
        tag,
        content,
        class_=kind,
        role="rowheader" if is_heading else "cell",
        scope="row" if is_heading else None,
        data_value=value if isinstance(value, float | int) else None,
    )
