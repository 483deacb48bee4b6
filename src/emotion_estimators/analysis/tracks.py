"""The faces of one frame of a video after the other in, numbers that follow them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.analysis.columns import BOX
from emotion_estimators.networks.yunet import box_overlaps

__all__ = ["Tracks"]

_LEAST_OVERLAP = 0.3  # of a face's boxes in two frames (intersection over union)


@dataclass
class _Track:
    """A face that is followed: where and when it was seen last."""

    number: int
    box: NDArray[np.float64]  # (4,)
    time: float
    smoothed: NDArray[np.float64]  # (n_classes,)


class Tracks:
    """Numbers the faces of a video and smooths what their emotions are; see `iterate_video`."""

    def __init__(self, classes: Iterable[str], *, smoothing: float, max_gap: float) -> None:
        self._classes = list(classes)
        self._smoothing = smoothing
        self._max_gap = max_gap
        self._open: list[_Track] = []
        self._n_tracks = 0
        self._last_time = float("-inf")  # of the frame before

    def follow(self, time: float, rows: list[dict[str, Any]]) -> None:
        """Add to the rows of a frame, in place, the track and the smoothed emotions."""
        faces = [row for row in rows if row["status"] == "face"]
        for row in rows:
            row |= {"track": None, "smoothed": None}
            row |= dict.fromkeys(self._columns(), float("nan"))
        if any(row["status"] == "unreadable" for row in rows):
            return  # what was to be seen is not known
        self._end_tracks(time)
        found = self._match([[row[name] for name in BOX] for row in faces])
        for row, track in zip(faces, found, strict=True):
            self._update(row, track, time)
        self._last_time = time

    def recall(self, time: float, rows: list[dict[str, Any]]) -> None:
        """Go on after a frame whose rows have been made before."""
        if any(row["status"] == "unreadable" for row in rows):
            return
        self._end_tracks(time)
        for row in rows:
            if row["status"] == "face":
                number = int(row["track"])
                self._open = [track for track in self._open if track.number != number]
                box = np.array([row[name] for name in BOX], np.float64)
                smoothed = np.array([row[name] for name in self._columns()], np.float64)
                self._open.append(_Track(number, box, time, smoothed))
                self._n_tracks = max(self._n_tracks, number + 1)
        self._last_time = time

    def _columns(self) -> list[str]:
        return [f"smoothed_{name}" for name in self._classes]

    def _end_tracks(self, time: float) -> None:
        """Forget the faces that are neither in the frame before nor young enough."""
        self._open = [
            track
            for track in self._open
            if track.time >= self._last_time or time - track.time <= self._max_gap
        ]

    def _match(self, boxes: list[list[float]]) -> list[_Track | None]:
        """Return the track of each box: pairs of the largest overlap first, each used once."""
        found: list[_Track | None] = [None] * len(boxes)
        if not boxes or not self._open:
            return found
        faces = np.array(boxes, np.float64)
        overlaps = np.stack([box_overlaps(track.box, faces) for track in self._open])
        is_taken = np.zeros(overlaps.shape, bool)
        for pair in np.argsort(-overlaps, axis=None, kind="stable"):
            track, face = np.unravel_index(pair, overlaps.shape)
            if overlaps[track, face] >= _LEAST_OVERLAP and not is_taken[track, face]:
                found[face] = self._open[track]
                is_taken[track] = is_taken[:, face] = True
        return found

    def _update(self, row: dict[str, Any], track: _Track | None, time: float) -> None:
        box = np.array([row[name] for name in BOX], np.float64)
        latest = np.array([row[f"emotion_{name}"] for name in self._classes], np.float64)
        if track is None:
            track = _Track(self._n_tracks, box, time, latest)
            self._open.append(track)
            self._n_tracks += 1
        elif self._smoothing > 0:
            share = -np.expm1(-max(time - track.time, 0.0) / self._smoothing)
            track.smoothed = track.smoothed + share * (latest - track.smoothed)
        else:
            track.smoothed = latest
        track.box, track.time = box, time
        row |= {"track": track.number, "smoothed": self._classes[int(track.smoothed.argmax())]}
        row |= dict(zip(self._columns(), track.smoothed.tolist(), strict=True))
