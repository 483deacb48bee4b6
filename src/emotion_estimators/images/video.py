"""A file of video in, its frames with their times out; imports PyAV inside functions."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._optional import import_optional
from emotion_estimators.exceptions import ImageReadError, shorten
from emotion_estimators.images.read import check_size

__all__ = ["VIDEO_SUFFIXES", "Frame", "estimate_frames", "import_av", "read_frames"]

VIDEO_SUFFIXES = frozenset(
    (".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg")
    + (".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv")
)

_MICROSECONDS = 1_000_000  # in which FFmpeg counts where no stream says otherwise
_RATE = 25.0  # frames a second of what tells neither times nor a rate; FFmpeg's guess, too
_MISSING = 0.5  # seconds at the end without which a file counts as cut off, if no number tells
_TEXT_AS_VIDEO = "tty"  # FFmpeg plays any text in the type of a terminal


class Frame(NamedTuple):
    """A frame: its number, its time in seconds, and its pixels, or why there are none.

    A `number` of None stands for the file as a whole. `pixels` (height, width, 3) uint8 of files.
    """

    number: int | None
    time: float
    pixels: Any
    problem: str = ""


def import_av(needed_by: str) -> Any:
    """Import PyAV, or say how to install it."""
    return import_optional("av", extra="video", needed_by=needed_by)


def read_frames(
    path: str | os.PathLike[str], *, step: int, first: int, n_threads: int, needed_by: str
) -> Iterator[Frame]:
    """Yield every so many frames of a file, as a player shows them, from a number on.

    Times are seconds from the start of the file. What cannot be decoded is a frame without pixels;
    what is wrong with the file is told by a last one without a number.
    """
    try:
        with _open(path, needed_by) as container:
            stream = _video_of(container)
            yield from _decode(container, stream, step=step, first=first, n_threads=n_threads)
    except ImageReadError as error:
        yield Frame(None, float("nan"), None, str(error))


def estimate_frames(path: str | os.PathLike[str], *, needed_by: str) -> int | None:
    """Return how many frames a file says it has, or about how many; None where it does not say."""
    try:
        with _open(path, needed_by) as container:
            stream = _video_of(container)
            if stream.frames:
                return int(stream.frames)
            rate = stream.average_rate or stream.guessed_rate
            known = container.duration is not None and rate
            return round(container.duration / _MICROSECONDS * rate) if known else None
    except ImageReadError:
        return None


def _open(path: str | os.PathLike[str], needed_by: str) -> Any:
    """Return a container of PyAV; raise ImageReadError that says why there is none."""
    av = import_av(needed_by)
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageReadError(f"cannot be opened: {reason}") from error
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise ImageReadError("is a folder" if stat.S_ISDIR(mode) else "is not a regular file")
    try:
        # only with the protocol named is no other taken, here and for files that this one names
        return av.open(f"file:{os.fspath(path)}")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        known = isinstance(error, OSError) and not isinstance(error, av.error.InvalidDataError)
        said = f"cannot be opened: {_reason(error)}" if known else "is no video, damaged or cut off"
        raise ImageReadError(said) from error


def _reason(error: Exception) -> str:
    return shorten(getattr(error, "strerror", None) or str(error))


def _video_of(container: Any) -> Any:
    """Return the stream of moving pictures; covers of songs are none."""
    import av

    if container.format.name == _TEXT_AS_VIDEO:
        raise ImageReadError("is text, and no video")
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise ImageReadError(f"holds no video (but {', '.join(kinds) or 'nothing'})")


def _decode(
    container: Any, stream: Any, *, step: int, first: int, n_threads: int
) -> Iterator[Frame]:
    """Yield the frames of an open file; raise ImageReadError at its end if it is damaged."""
    from av.video.reformatter import VideoReformatter

    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = n_threads
    start = (container.start_time or 0) / _MICROSECONDS
    rate = float(stream.average_rate or stream.guessed_rate or _RATE)
    converter = VideoReformatter()  # one for all frames takes half the time
    lost, number, time, end, matrix = _Lost(), 0, 0.0, 0.0, None
    for frame in _frames(container, stream, lost):
        if number == 0:
            matrix = _matrix_of(frame)
        if frame.pts is None:
            time, end = number / rate, (number + 1) / rate
        else:
            time = float(frame.pts * frame.time_base) - start
            end = max(end, time + float((frame.duration or 0) * frame.time_base))
        if number >= first and number % step == 0:
            try:
                if frame.is_corrupt:
                    raise ImageReadError("is damaged")
                pixels = _upright(frame, stream, matrix, converter)
            except ImageReadError as error:
                yield Frame(number, time, None, str(error))
            else:
                yield Frame(number, time, pixels)
        number += 1
    if number == 0:
        raise ImageReadError(f"holds no frame that can be decoded{lost}")
    wanted, end = _duration(container, stream), max(end, time + 1 / rate)
    # the times alone do not tell in which frame rates vary, nor the number where parts are hidden
    missing = 2 / rate if number < stream.frames else _MISSING
    # and some lengths are counted from 0, not from the start
    if wanted is not None and wanted - end - max(start, 0.0) > missing:
        raise ImageReadError(f"is cut off: it ends after {end:.1f} of {wanted:.1f} s{lost}")
    if lost.n:
        raise ImageReadError(f"is damaged: frames are missing{lost}")


class _Lost:
    """What could not be decoded: how many packets, and why not the first."""

    def __init__(self) -> None:
        self.n, self.reason = 0, ""

    def add(self, error: Exception) -> None:
        self.n, self.reason = self.n + 1, self.reason or _reason(error)

    def __str__(self) -> str:
        return f" ({self.n} packets cannot be decoded: {self.reason})" if self.n else ""


def _frames(container: Any, stream: Any, lost: _Lost) -> Iterator[Any]:
    """Yield PyAV's frames; damaged packets are counted, and left out."""
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
        except (FFmpegError, OSError) as error:  # what follows cannot be found
            lost.add(error)
            return
        try:
            frames = packet.decode()
        except FFmpegError as error:
            lost.add(error)
        else:
            yield from frames


def _duration(container: Any, stream: Any) -> float | None:
    """Return the seconds that the video should last, None where only other streams are known."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration / _MICROSECONDS)
    return None


def _matrix_of(frame: Any) -> NDArray[np.int32] | None:
    """Return how a frame is to be turned, (9,), None where it is upright.

    To be asked of few frames: PyAV's object for it and the frame refer to each other, and so keep
    the frame in memory until Python looks for such cycles.
    """
    try:
        for data in frame.side_data:
            if data.type.name == "DISPLAYMATRIX":
                return np.frombuffer(data, np.int32).copy()
    except ValueError:  # of one kind that PyAV does not know, such as Exif, it shows none
        angle = math.radians(frame.rotation)
        sine, cosine = (round(65536 * of(angle)) for of in (math.sin, math.cos))
        return np.array([cosine, -sine, 0, sine, cosine, 0, 0, 0, 1], np.int32)
    return None


def _upright(
    frame: Any, stream: Any, matrix: NDArray[np.int32] | None, converter: Any
) -> NDArray[np.uint8]:
    """Return the pixels of a frame as they are shown, (height, width, 3).

    Raises ImageReadError if these are too many: a few bytes say how much they are stretched.
    """
    ratio = stream.sample_aspect_ratio  # of a pixel's width and height
    width = max(1, round(frame.width * ratio)) if ratio else frame.width
    check_size(width, frame.height)
    shown = converter.reformat(frame, width=width, height=frame.height, format="rgb24")
    pixels: NDArray[np.uint8] = shown.to_ndarray()
    return pixels if matrix is None else np.ascontiguousarray(_turned(pixels, matrix))


def _turned(pixels: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return pixels turned or mirrored to the nearest right angle.

    `matrix` (9,): column and row are shown at a * column + c * row and b * column + d * row, where
    a, b, c, d are its values 0, 1, 3, 4.
    """
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(a) + abs(d) < abs(b) + abs(c):
        pixels = pixels.swapaxes(0, 1)
        a, d = c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
