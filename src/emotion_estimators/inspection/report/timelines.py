"""Rows of videos in, the emotions of each track over time out, as bands and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.inspection.report.marks import (
    color_of,
    image_title,
    legend,
    shown_share,
    swatch,
)
from emotion_estimators.inspection.report.page import Element, Page, element, plain_table

__all__ = ["Timelines"]

_MOST_TRACKS = 12  # of a video that are drawn, those of most frames
_MOST_STEPS = 240  # of time, over which a band is averaged
_WIDTH, _HEIGHT, _DISTANCE = 960, 34, 44  # of a band, and from one to the next


@dataclass
class _Track:
    """One face that is followed."""

    first: float
    last: float = 0.0
    n_frames: int = 0
    emotions: Counter[str] = field(default_factory=Counter)  # smoothed
    certainty: float = 0.0  # of all frames together
    sums: NDArray[np.float64] | None = None  # (n_steps, n_classes)


@dataclass
class _Video:
    """From when to when there are frames, and who is in them."""

    first: float
    last: float = 0.0
    n_frames: int = 0
    tracks: dict[int, _Track] = field(default_factory=dict)


class Timelines:
    """Counts frames first, then draws them: it goes through all rows twice."""

    def __init__(self, classes: list[str]) -> None:
        self._classes = classes
        self.videos: dict[str, _Video] = {}

    def count(self, rows: list[dict[str, Any]]) -> None:
        """Take note of a frame that could be read."""
        time = rows[0]["time"]
        video = self.videos.setdefault(image_title(rows[0]), _Video(time))
        video.last = time
        video.n_frames += 1
        for row in rows:
            if row["status"] == "face":
                track = video.tracks.setdefault(row["track"], _Track(time))
                track.last = time
                track.n_frames += 1
                track.emotions[row["smoothed"]] += 1
                track.certainty += row["certainty"]

    def write(self, page: Page, groups: Iterable[list[dict[str, Any]]], folder: str) -> None:
        """Add the bands and the table of each video; `groups` are all rows, once more.

        `folder` is how the names of all videos begin, which is left out.
        """
        for video in self.videos.values():
            for track in _longest(video).values():
                n_steps = min(_MOST_STEPS, video.n_frames)
                track.sums = np.zeros((n_steps, len(self._classes)))
        for rows in groups:
            for row in rows:
                if row["status"] == "face":
                    self._add(self.videos[image_title(row)], row)
        page.write(legend(self._classes))
        for name, video in self.videos.items():
            self._write_video(page, name.removeprefix(folder), video)

    def _add(self, video: _Video, row: dict[str, Any]) -> None:
        sums = video.tracks[row["track"]].sums
        if sums is not None:
            # the last frame lasts as long as the others
            length = (video.last - video.first) * video.n_frames / max(video.n_frames - 1, 1)
            place = (row["time"] - video.first) / (length or 1.0)
            step = min(int(place * len(sums) + 1e-6), len(sums) - 1)  # not one too low by rounding
            sums[step] += [row[f"smoothed_{name}"] for name in self._classes]

    def _write_video(self, page: Page, name: str, video: _Video) -> None:
        page.write(element("h3", element("bdi", name)))
        longest = _longest(video)
        if not longest:
            page.write(element("p", "No face was found."))
            return
        bands = []
        for place, (number, track) in enumerate(longest.items()):
            top = place * _DISTANCE
            bands.append(element("text", f"track {number}", x=0, y=top + _HEIGHT / 2 + 5))
            bands += self._band(track.sums, top) if track.sums is not None else []
        bottom = len(longest) * _DISTANCE + 8
        bands.append(element("text", f"{video.first:.1f} s", x=90, y=bottom + 8))
        end = {"text_anchor": "end", "x": 90 + _WIDTH, "y": bottom + 8}
        bands.append(element("text", f"{video.last:.1f} s", **end))
        told = f"Emotions over time, a band for each of {len(longest)} tracks; see the table below"
        view = {"viewBox": f"0 0 {90 + _WIDTH} {bottom + 14}"}
        drawn = element("svg", bands, class_="plot", role="img", aria_label=told, **view)
        scrolled = {"tabindex": 0, "role": "region", "aria_label": f"Emotions over time, {name}"}
        page.write(element("div", drawn, class_="wide", **scrolled))
        rows = []
        for number, track in longest.items():
            emotion = track.emotions.most_common(1)[0][0]
            rows.append(
                [
                    str(number),
                    element("span", f"{track.first:.1f} to {track.last:.1f} s", class_="whole"),
                    f"{track.n_frames:,}",
                    [swatch(emotion, self._classes), emotion],
                    shown_share(track.certainty / track.n_frames),
                ]
            )
        heading = ["Track", "Seen", "Frames", "Most often (smoothed)", "Mean certainty"]
        page.write(plain_table(f"Tracks of {name}", heading, rows))
        left = len(video.tracks) - len(longest)
        if left:
            page.write(element("p", f"{left:,} shorter tracks are in the table of faces only."))

    def _band(self, sums: NDArray[np.float64], top: int) -> list[Element]:
        """Return the probabilities of a track on each other, a shape for each class."""
        totals = sums.sum(axis=1)  # (n_steps,)
        shares = sums / np.maximum(totals, 1e-12)[:, np.newaxis]
        edges = np.insert(np.cumsum(shares, axis=1), 0, 0, axis=1)  # (n_steps, n_classes + 1)
        levels = np.round(top + _HEIGHT * (1 - edges), 1)
        places = np.round(90 + _WIDTH * np.arange(len(sums) + 1) / len(sums), 1)
        starts = np.flatnonzero(np.diff(totals > 0, prepend=False, append=False)).tolist()
        runs = list(zip(starts[::2], starts[1::2], strict=True))  # without a gap
        shapes = []
        for i, name in enumerate(self._classes):
            path = ""
            for start, stop in runs:
                low = [f"H{places[k]:g}V{levels[k, i]:g}" for k in range(start, stop)]
                high = [
                    f"V{levels[k, i + 1]:g}H{places[k]:g}" for k in range(stop - 1, start - 1, -1)
                ]
                path += f"M{places[start]:g} {levels[start, i]:g}{''.join(low)}"
                path += f"H{places[stop]:g}{''.join(high)}Z"
            shapes.append(element("path", class_=color_of(name, self._classes), d=path))
        return shapes


def _longest(video: _Video) -> dict[int, _Track]:
    """Return the tracks of most frames, by number."""
    chosen = sorted(video.tracks.items(), key=lambda pair: -pair[1].n_frames)[:_MOST_TRACKS]
    return dict(sorted(chosen))
