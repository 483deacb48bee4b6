"""A video in, rows of a table or a table out, a few frames at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from numbers import Integral, Real
from typing import Any

from emotion_estimators._optional import import_optional
from emotion_estimators._progress import progress_bar
from emotion_estimators._sklearn import Interval, StrOptions, constraints, validate_params
from emotion_estimators.analysis.columns import MAX_GAP, SMOOTHING, video_columns
from emotion_estimators.analysis.rows import FaceFinder, open_finder
from emotion_estimators.analysis.table import make_table
from emotion_estimators.analysis.tracks import Tracks
from emotion_estimators.exceptions import shorten
from emotion_estimators.images.items import item_path
from emotion_estimators.images.threads import take
from emotion_estimators.images.video import Frame, estimate_frames, import_av, read_frames
from emotion_estimators.validation import iterate_images

__all__ = [
    "analyze_video",
    "iterate_video",
    "look_at_video",
]

_BATCH_BYTES = 1 << 26  # of frames looked at together, but one for each thread at least
_FRAMES_PER_PART = 2048  # of a table

_CONSTRAINTS: dict[str, list[Any]] = {
    "frame_step": [Interval(Integral, 1, None, closed="left")],
    "smoothing": [Interval(Real, 0, None, closed="left")],
    "max_gap": [Interval(Real, 0, None, closed="left")],
}


@validate_params(
    {
        **_CONSTRAINTS,
        "frame_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [*constraints("batch_size")["batch_size"], StrOptions({"auto"})],
    },
    prefer_skip_nested_validation=True,
)
def iterate_video(
    X: Any,
    *,
    frame_step: int = 1,
    frame_rate: float = 30.0,
    cropper: Any = None,
    classifier: Any = None,
    smoothing: float = SMOOTHING,
    max_gap: float = MAX_GAP,
    batch_size: int | str = "auto",
) -> Iterator[list[dict[str, Any]]]:
    """Find, follow and classify the faces of a video, as its frames come.

    For a table of a whole file see `analyze_video`.

    Parameters
    ----------
    X : path or iterable
        A file of video (needs the extra ``video``), or frames: what `iterate_faces` takes, such
        as RGB arrays ``(height, width, 3)``, or pairs of a time in seconds and a frame. May be
        endless.
    frame_step : int, default=1
        Look at every so many frames only.
    frame_rate : float, default=30.0
        Frames a second, of frames that come without their times.
    cropper : FaceCropper or None, default=None
        What finds and cuts the faces; its `select` and `on_no_face` do not matter here. None is
        ``FaceCropper(image_size=96, jpeg_draft=True)``.
    classifier : fitted classifier or None, default=None
        What takes the crops and has ``predict_proba`` and ``classes_``. None is
        ``PretrainedEmotionClassifier()``.
    smoothing : float, default=0.5
        Seconds after which a new expression makes up 63 % of the smoothed probabilities; 0 does
        not smooth.
    max_gap : float, default=1.0
        Seconds for which a face may be missing without becoming another.
    batch_size : int or "auto", default="auto"
        Images that go through the network at once. 1 gives the rows of each frame at once, as a
        camera needs it; "auto" is 8 frames for each thread, fewer if they are large.

    Returns
    -------
    rows : iterator of list of dict
        For each frame looked at, in order, one row for each of its faces, and one if it has none
        or cannot be decoded; with the keys of `video_columns`. If the file as a whole cannot be
        read, is cut off or damaged, a last one without a frame says so.

    Raises
    ------
    MissingDependencyError
        If X is a path and PyAV is not installed.
    InvalidImagesError
        If X is one image, a table, or an array of another shape.
    TypeError
        If X cannot be iterated over, the cropper is another object, or the classifier gives no
        probabilities.
    ValueError
        If a parameter cannot be used.
    NotFittedError
        If the classifier must be fitted first.

    Notes
    -----
    Frames are turned upright as the file says, and stretched where its pixels are not square.
    Times are those of the file, also where the rate varies, from its start on. A few frames are
    in memory at a time, however many there are.

    A track is a face whose boxes overlap from one frame looked at to the next: all pairs of open
    tracks and new faces are taken in the order of their overlap (intersection over union), down
    to 0.3, each track and each face once; what is left begins a new track. A track stays open in
    the frame after its last one, and for `max_gap` seconds. Nobody is recognised: a person that
    leaves and comes back is another track, and after a cut in the film another person in the
    same place may be the same one.

    Smoothing is exponential over a track. With the probabilities p of a frame, and dt seconds
    since the track's last, the smoothed ones move from s to ``s + (1 - exp(-dt / smoothing)) *
    (p - s)``; they begin with those of the first frame. They use the past only, and so lag behind.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper
    >>> from emotion_estimators.analysis import iterate_video
    >>> frames = (np.full((60, 80, 3), 128, np.uint8) for _ in range(1000))
    >>> cropper = FaceCropper(detector=lambda frame: [[10, 10, 30, 30]])
    >>> rows = iterate_video(frames, frame_step=15, cropper=cropper)
    >>> for _ in range(3):
    ...     (row,) = next(rows)
    ...     print(row["frame"], row["time"], row["track"])
    0 0.0 0
    15 0.5 0
    30 1.0 0
    """
    owner = "iterate_video"
    name = item_path(X)
    items = None if name is not None else iterate_images(X, owner)
    finder = open_finder(owner, cropper, classifier)
    tracks = Tracks(finder.classes, smoothing=smoothing, max_gap=max_gap)
    if items is None:
        return look_at_video(owner, X, finder, tracks, frame_step=frame_step, batch_size=batch_size)
    return _look(_number(items, frame_rate, frame_step), finder, tracks, batch_size)


@validate_params(
    {**constraints("path"), **_CONSTRAINTS, **constraints("verbose")},
    prefer_skip_nested_validation=True,
)
def analyze_video(
    path: str | os.PathLike[str],
    *,
    frame_step: int = 1,
    cropper: Any = None,
    classifier: Any = None,
    smoothing: float = SMOOTHING,
    max_gap: float = MAX_GAP,
    verbose: int = 0,
) -> Any:
    """Find and follow all faces in a video and say what emotion each shows, frame by frame.

    Parameters
    ----------
    path : str or path-like
        Where the data lie. A file of video; the extra ``video`` reads it.
    frame_step : int, default=1
        Look at every so many frames only.
    cropper : FaceCropper or None, default=None
        What finds and cuts the faces; its `select` and `on_no_face` do not matter here. None is
        ``FaceCropper(image_size=96, jpeg_draft=True)``.
    classifier : fitted classifier or None, default=None
        What takes the crops and has ``predict_proba`` and ``classes_``. None is
        ``PretrainedEmotionClassifier()``.
    smoothing : float, default=0.5
        Seconds after which a new expression makes up 63 % of the smoothed probabilities; 0 does
        not smooth.
    max_gap : float, default=1.0
        Seconds for which a face may be missing without becoming another.
    verbose : int, default=0
        Above 0, show progress bars.

    Returns
    -------
    table : pandas.DataFrame
        One row for each face in each frame looked at, and one for each frame that has none or
        cannot be decoded; its columns are those of
        `~emotion_estimators.analysis.video_columns`. ``frame``, ``face`` and ``track`` are of
        type Int64. If the file as a whole cannot be read, is cut off or damaged, a last row
        without a frame says so.

    Raises
    ------
    MissingDependencyError
        If PyAV or pandas is not installed.
    TypeError
        If the classifier gives no probabilities.
    ValueError
        If a parameter cannot be used.
    NotFittedError
        If the classifier must be fitted first.

    See Also
    --------
    iterate_video : The rows of one frame after the other, of cameras, too; says how faces are
        followed and emotions smoothed.
    emotion_estimators.inspection.TimelineDisplay : The table as an image.

    Notes
    -----
    Frames are read a few at a time: only the table grows with the length of the video.

    Examples
    --------
    >>> import pytest
    >>> av = pytest.importorskip("av")
    >>> import os, tempfile
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper
    >>> from emotion_estimators.analysis import analyze_video
    >>> cropper = FaceCropper(detector=lambda frame: [[10, 10, 30, 30]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "clip.mp4")
    ...     with av.open(path, "w") as container:
    ...         stream = container.add_stream("mpeg4", rate=10, width=80, height=64)
    ...         for grey in range(20):
    ...             pixels = np.full((64, 80, 3), 5 * grey, np.uint8)
    ...             container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
    ...         container.mux(stream.encode(None))
    ...     table = analyze_video(path, frame_step=5, cropper=cropper)
    >>> table[["frame", "time", "status", "track"]]
       frame  time status  track
    0      0   0.0   face      0
    1      5   0.5   face      0
    2     10   1.0   face      0
    3     15   1.5   face      0
    """
    owner = "analyze_video"
    pandas = import_optional("pandas", extra="table", needed_by=owner)
    finder = open_finder(owner, cropper, classifier)
    tracks = Tracks(finder.classes, smoothing=smoothing, max_gap=max_gap)
    per_frame = look_at_video(owner, path, finder, tracks, frame_step=frame_step)
    if verbose:
        n_frames = estimate_frames(path, needed_by=owner)
        total = None if n_frames is None else -(-n_frames // frame_step)
        per_frame = progress_bar(per_frame, total=total, unit="frame", desc=owner)
    columns = video_columns(finder.classes)
    parts = []
    # a row of a DataFrame takes a fifth of the memory that a dict takes
    while part := list(islice(per_frame, _FRAMES_PER_PART)):
        parts.append(make_table(pandas, list(chain.from_iterable(part)), columns))
    return pandas.concat(parts or [make_table(pandas, [], columns)], ignore_index=True)


def look_at_video(
    owner: str,
    path: str | os.PathLike[str],
    finder: FaceFinder,
    tracks: Tracks,
    *,
    frame_step: int,
    first: int = 0,
    batch_size: int | str = "auto",
) -> Iterator[list[dict[str, Any]]]:
    """Do what `iterate_video` does with a file, from the frame `first` on."""
    import_av(owner)
    n_threads = finder.prepared.n_threads
    frames = read_frames(path, step=frame_step, first=first, n_threads=n_threads, needed_by=owner)
    return _look(frames, finder, tracks, batch_size, path)


def _number(items: Iterable[Any], frame_rate: float, frame_step: int) -> Iterator[Frame]:
    """Yield every so many frames of what need not be a file."""
    for number, item in enumerate(items):
        if number % frame_step == 0:
            is_pair = isinstance(item, tuple) and len(item) == 2
            time, pixels = item if is_pair else (number / frame_rate, item)
            yield Frame(number, _seconds(time, number), pixels)


def _seconds(time: Any, number: int) -> float:
    """Return the time of a frame; raise ValueError if it is none."""
    try:
        seconds = float(time)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not math.isfinite(seconds):
        raise ValueError(
            f"iterate_video expected pairs of a time in seconds and a frame, got {shorten(time)} "
            f"for the time of frame {number}."
        )
    return seconds


def _look(
    frames: Iterator[Frame],
    finder: FaceFinder,
    tracks: Tracks,
    batch_size: int | str,
    path: Any = None,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each frame of a file, or of others, with the keys of `video_columns`."""
    columns = video_columns(finder.classes)
    of_file = {} if path is None else {"image": item_path(path)}
    size = finder.group_size if isinstance(batch_size, str) else batch_size
    n_done = 0
    for batch in _batches(frames, size, least=min(size, finder.prepared.n_threads)):
        found = finder.look([frame.pixels for frame in batch if not frame.problem])
        for frame in batch:
            rows = finder.unreadable(frame.problem) if frame.problem else next(found)[0]
            tracks.follow(frame.time, rows)
            own = {"row": n_done, "frame": frame.number, "time": frame.time} | of_file
            told = (row | own for row in rows)
            yield [{name: row[name] for name in columns} for row in told]
            n_done += 1


def _batches(frames: Iterator[Frame], size: int, *, least: int) -> Iterator[list[Frame]]:
    """Yield frames that are looked at together: at most `size`, fewer if they are large."""
    batch: list[Frame] = []
    n_bytes = 0
    failure = None
    while failure is None:
        one, failure = take(frames, 1)
        if not one:
            break
        batch += one
        n_bytes += getattr(one[0].pixels, "nbytes", 0)
        if len(batch) >= size or (len(batch) >= least and n_bytes >= _BATCH_BYTES):
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch
    if failure is not None:
        raise failure
