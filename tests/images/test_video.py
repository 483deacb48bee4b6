"""Frames of files of video: their times, how they are turned, and what damage leaves."""

import os
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import ExifTags, Image

from emotion_estimators.images.video import estimate_frames, read_frames

pytest.importorskip("av", reason="reads videos")
CODING = 12  # grey levels by which the codec may change a plain area


def read(path, *, step=1, first=0, n_threads=2):
    return list(read_frames(path, step=step, first=first, n_threads=n_threads, needed_by="a test"))


def grey_frames(n, height=64, width=96):
    """Return frames that differ, so that each tells its number: 8 levels each."""
    return [np.full((height, width, 3), 8 * i, np.uint8) for i in range(n)]


def quarters():
    """Return a frame, (64, 96, 3), whose quarters have levels 40, 100, 160 and 220."""
    frame = np.empty((64, 96, 3), np.uint8)
    frame[:32, :48], frame[:32, 48:], frame[32:, :48], frame[32:, 48:] = 40, 100, 160, 220
    return frame


def levels(pixels):
    """Return the levels in the middle of the four quarters, (2, 2)."""
    height, width = pixels.shape[:2]
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2, 0][:2, :2].astype(int)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv", "clip.avi", "clip.ts"])
def test_all_frames_with_their_times(name, write_clip, tmp_path):
    path = write_clip(tmp_path / name, grey_frames(30))
    frames = read(path)
    assert [frame.number for frame in frames] == list(range(30))
    # Matroska counts milliseconds
    assert_allclose([frame.time for frame in frames], np.arange(30) / 10, rtol=0, atol=0.001)
    for frame in frames:
        assert frame.pixels.shape == (64, 96, 3)
        assert frame.pixels.dtype == np.uint8
        assert abs(frame.pixels.mean() - 8 * frame.number) < CODING
    assert estimate_frames(path, needed_by="a test") == pytest.approx(30, abs=1)


def test_some_frames(write_clip, tmp_path):
    path = write_clip(tmp_path / "clip.mp4", grey_frames(30))
    all_frames = read(path)
    some = read(path, step=7, first=8, n_threads=1)
    assert [frame.number for frame in some] == [14, 21, 28]
    for frame in some:
        assert frame.time == all_frames[frame.number].time
        assert_array_equal(frame.pixels, all_frames[frame.number].pixels)


def test_times_where_the_rate_varies(write_clip, tmp_path):
    times = [0, 40, 80, 580, 600, 2000, 2033]
    path = write_clip(tmp_path / "clip.mp4", grey_frames(7), times=times, rate=25)
    assert_allclose([frame.time for frame in read(path)], np.array(times) / 1000, atol=1e-6)


def test_times_begin_where_the_file_does(write_clip, tmp_path):
    path = write_clip(
        tmp_path / "clip.mkv", grey_frames(5), times=[5000 + 40 * i for i in range(5)]
    )
    assert_allclose([frame.time for frame in read(path)], 0.04 * np.arange(5), atol=1e-6)


def test_times_where_the_file_has_none(write_clip, tmp_path):
    path = write_clip(tmp_path / "clip.m4v", grey_frames(6), rate=25)  # a bare stream
    assert [frame.time for frame in read(path)] == [i / 25 for i in range(6)]


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((1, 0, 0, 1), lambda p: p),
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),  # a telephone held upright
        ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
        ((0, -1, 1, 0), lambda p: np.rot90(p)),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda p: np.rot90(p, 2).swapaxes(0, 1)),
    ],
)
def test_frames_are_turned_as_the_camera_tells(matrix, turned, write_clip, tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [quarters()] * 3, matrix=matrix)
    expected = turned(quarters())
    for frame in read(path):
        assert frame.pixels.shape == expected.shape
        assert frame.pixels.flags.c_contiguous
        assert_allclose(levels(frame.pixels), levels(expected), atol=CODING)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, lambda p: p), (3, lambda p: np.rot90(p, 2)), (6, lambda p: np.rot90(p, -1))],
)
def test_frames_with_the_notes_of_a_camera(orientation, turned, tmp_path):
    """FFmpeg hands on the Exif data of JPEG frames, of a kind that PyAV does not know."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / "clip.mov"
    Image.fromarray(quarters()).save(path, format="JPEG", exif=exif)
    (frame,) = read(path)
    assert not frame.problem
    expected = turned(quarters())
    assert frame.pixels.shape == expected.shape
    assert_allclose(levels(frame.pixels), levels(expected), atol=CODING)


def test_pixels_that_are_not_square(write_clip, tmp_path):
    path = write_clip(tmp_path / "clip.mkv", [quarters()] * 3, ratio=Fraction(4, 3))
    for frame in read(path):
        assert frame.pixels.shape == (64, 128, 3)
        assert_allclose(levels(frame.pixels), levels(quarters()), atol=CODING)


def test_pixels_that_are_stretched_to_too_many(write_clip, tmp_path, monkeypatch):
    monkeypatch.setattr("emotion_estimators.images.read.MAX_PIXELS", 10_000)
    frames = read(write_clip(tmp_path / "clip.mkv", [quarters()] * 3, ratio=Fraction(4)))
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert all("has too many pixels" in frame.problem for frame in frames)


def noisy_frames(n):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(n)]


@pytest.mark.parametrize("name", ["clip.avi", "clip.mkv"])  # others do not tell their length
def test_a_file_that_is_cut_off_gives_what_is_there(name, write_clip, tmp_path):
    path = write_clip(tmp_path / name, noisy_frames(30))
    os.truncate(path, int(0.6 * path.stat().st_size))
    frames = read(path)
    good = [frame for frame in frames if not frame.problem]
    assert 10 < len(good) < 25
    assert [frame.number for frame in good] == list(range(len(good)))
    bad = frames[len(good) :]
    assert bad
    assert all(re.search("damaged|is cut off: it ends after", frame.problem) for frame in bad)
    assert all(frame.pixels is None for frame in bad)


def test_damaged_frames_are_told_from_the_others(write_clip, tmp_path):
    path = write_clip(tmp_path / "clip.mp4", noisy_frames(30))
    data = bytearray(path.read_bytes())
    for i in range(len(data) // 2, len(data) // 2 + 400):
        data[i] ^= 0xA5
    path.write_bytes(data)
    frames = read(path)
    assert 0 < sum("damaged" in frame.problem for frame in frames) < 20
    good = [frame for frame in frames if frame.pixels is not None]
    assert len(good) > 15
    assert_allclose([frame.time for frame in good], [frame.number / 10 for frame in good])


def write_sound(path):
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))


def test_what_is_no_video(write_clip, tmp_path):
    write_sound(tmp_path / "sound.mp4")
    (tmp_path / "text.txt").write_text("no video\n" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    cut = write_clip(tmp_path / "cut.mp4", noisy_frames(9))
    os.truncate(cut, 5000)
    (tmp_path / "folder.mp4").mkdir()
    for name, problem in (
        ("sound.mp4", "holds no video (but audio)"),
        ("text.txt", "is text, and no video"),
        ("empty.mp4", "is no video, damaged or cut off"),
        ("noise.mp4", "is no video, damaged or cut off"),
        ("cut.mp4", "is no video, damaged or cut off"),
        ("folder.mp4", "is a folder"),
        ("none.mp4", "cannot be opened: No such file or directory"),
    ):
        (frame,) = read(tmp_path / name)
        assert (frame.number, frame.pixels, frame.problem) == (None, None, problem)
        assert np.isnan(frame.time)
        assert estimate_frames(tmp_path / name, needed_by="a test") is None


MEMORY = """
import sys
from pathlib import Path
from emotion_estimators.images.video import read_frames
n = sum(1 for _ in read_frames(sys.argv[1], step=4, first=0, n_threads=2, needed_by="a test"))
(line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(n, line.split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_frames_that_were_read_are_let_go(write_clip, tmp_path):
    peaks = []
    for n in (40, 480):
        path = write_clip(tmp_path / f"{n}.mp4", [np.full((480, 640, 3), 9, np.uint8)] * n)
        command = [sys.executable, "-c", MEMORY, os.fspath(path)]
        done, peak = subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.split()
        assert int(done) == n // 4
        peaks.append(int(peak) / 1024)
    # 110 more frames that are yielded, of 0.4 MiB each as they are decoded
    assert peaks[1] - peaks[0] < 15


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (frame,) = read(tmp_path / "pipe.mp4")
    assert frame.problem == "is not a regular file"


def test_names_that_look_like_protocols(write_clip, tmp_path, monkeypatch):
    write_clip(tmp_path / "clip.mp4", grey_frames(3)).rename(tmp_path / "concat:a|b.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read("concat:a|b.mp4")) == 3
    (frame,) = read("http://127.0.0.1:9/clip.mp4")
    assert frame.problem == "cannot be opened: No such file or directory"


def test_no_file_makes_others_be_fetched(http_server, tmp_path):
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{http_server.root}/a.ts\n"
    (tmp_path / "list.m3u8").write_text(playlist + "#EXT-X-ENDLIST\n")
    (tmp_path / "list.mp4").write_text(playlist + "#EXT-X-ENDLIST\n")
    for name in ("list.m3u8", "list.mp4"):
        assert read(tmp_path / name)[-1].problem
    assert http_server.n_requests == 0
