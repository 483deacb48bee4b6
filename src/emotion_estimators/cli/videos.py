"""Videos that are named to the command ``predict``: where to go on with them, and their rows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotion_estimators.analysis.columns import MAX_GAP, SMOOTHING
from emotion_estimators.cli.console import UsageError
from emotion_estimators.cli.tables import read_rows
from emotion_estimators.exceptions import MissingDependencyError, shorten
from emotion_estimators.images.video import VIDEO_SUFFIXES, estimate_frames, import_av

if TYPE_CHECKING:
    from emotion_estimators.analysis.rows import FaceFinder
    from emotion_estimators.analysis.tracks import Tracks

__all__ = [
    "Begun",
    "check_videos",
    "estimate_total",
    "is_video",
    "look_at_videos",
    "recall_videos",
]


@dataclass
class Begun:
    """How far a table got with a video: its tracks, and the first frame that is not in it."""

    tracks: Tracks
    first: int = 0


def is_video(path: Path) -> bool:
    """Whether a path is named like a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def check_videos(arguments: argparse.Namespace) -> None:
    """Raise UsageError where videos cannot be looked at as was asked for."""
    other = next((path for path in arguments.paths if not is_video(path)), None)
    if other is not None:
        raise UsageError(
            "expected photographs or videos, whose tables have different columns; got both, such "
            f"as {shorten(str(other))}. Call predict once for each."
        )
    if arguments.draw is not None:
        raise UsageError("--draw is for photographs, not for videos.")
    if arguments.class_prior == "estimate":
        raise UsageError(
            "--class-prior estimate is of all faces together, which a video does not hold at once. "
            "Leave it out, or take --class-prior uniform."
        )
    try:
        import_av("predict of a video")
    except MissingDependencyError as error:
        raise UsageError(str(error)) from error


def estimate_total(videos: Mapping[str, Begun | None], frame_step: int) -> int | None:
    """Return about how many frames are still to be looked at, None where that is not known."""
    total = 0
    for path, begun in videos.items():
        count = estimate_frames(path, needed_by="predict")
        if not count:
            return None
        first = 0 if begun is None else begun.first
        total += len(range(-(-first // frame_step) * frame_step, count, frame_step))
    return total


def recall_videos(path: Path, columns: list[str], finder: FaceFinder) -> dict[str, Begun]:
    """Read from a table how far it got with each video, by `image_name`."""
    begun: dict[str, Begun] = {}
    for rows in read_rows(path, columns):
        video = begun.setdefault(rows[0]["image"], Begun(_new_tracks(finder)))
        if rows[0]["frame"] is not None:
            video.tracks.recall(rows[0]["time"], rows)
            video.first = rows[0]["frame"] + 1
    return begun


def look_at_videos(
    videos: Mapping[str, Begun | None], finder: FaceFinder, frame_step: int
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the rows of each frame with the path of the video, from where they were begun."""
    from emotion_estimators.analysis.video import look_at_video

    for path, begun in videos.items():
        begun = begun or Begun(_new_tracks(finder))
        for rows in look_at_video(
            "predict", path, finder, begun.tracks, frame_step=frame_step, first=begun.first
        ):
            yield path, rows


def _new_tracks(finder: FaceFinder) -> Tracks:
    from emotion_estimators.analysis.tracks import Tracks

    return Tracks(finder.classes, smoothing=SMOOTHING, max_gap=MAX_GAP)
