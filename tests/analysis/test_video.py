"""analyze_video and iterate_video: rows, tracks, smoothing, streams, memory, messages."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy import ndimage

from emotion_estimators import FaceCropper
from emotion_estimators.analysis import (
    analyze_faces,
    analyze_video,
    iterate_video,
    table_columns,
    video_columns,
)
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import InvalidImagesError, MissingDependencyError
from emotion_estimators.images import read_image
from emotion_estimators.labels import EMOTIONS

PROBABILITIES = [f"emotion_{name}" for name in EMOTIONS]
SMOOTHED = [f"smoothed_{name}" for name in EMOTIONS]


def bright_parts(frame):
    """Take what is not dark for faces, the leftmost first."""
    labelled, _ = ndimage.label(frame.max(axis=2) > 24)
    boxes = [
        [x.start, y.start, x.stop - x.start, y.stop - y.start]
        for y, x in ndimage.find_objects(labelled)
    ]
    return sorted(box for box in boxes if min(box[2:]) > 20) or None


@pytest.fixture
def cropper():
    return FaceCropper(detector=bright_parts, image_size=48)


@pytest.fixture(scope="module")
def faces():
    """Return drawn faces, RGB (14, 48, 48, 3), two of each emotion."""
    X, y = make_faces(14, random_state=0)
    order = np.argsort(y, kind="stable")
    return np.repeat(np.maximum(X[order], 40)[..., np.newaxis], 3, axis=3)


@pytest.fixture
def show(faces):
    """Return a function that puts faces, {(x, y): number}, on a dark frame, (96, 192, 3)."""

    def show(places):
        frame = np.zeros((96, 192, 3), np.uint8)
        for (x, y), number in places.items():
            frame[y : y + 48, x : x + 48] = faces[number]
        return frame

    return show


def as_table(rows):
    return pd.DataFrame(list(itertools.chain.from_iterable(rows)))


def test_one_row_for_each_face_and_frame(show, cropper, write_clip, tmp_path):
    frames = [show({(10 + i, 20): 0, (120, 20 + i): 7} if i < 8 else {}) for i in range(12)]
    path = write_clip(tmp_path / "clip.mp4", frames, rate=10)
    table = analyze_video(path, cropper=cropper)
    assert table.columns.tolist() == video_columns(EMOTIONS)
    assert table["row"].tolist() == [*np.repeat(range(8), 2), 8, 9, 10, 11]
    assert table["frame"].tolist() == table["row"].tolist()
    assert_allclose(table["time"], table["row"] / 10)
    assert (table["image"] == str(path)).all()
    is_face = table["status"] == "face"
    assert table["status"].tolist() == ["face"] * 16 + ["no face"] * 4
    assert table["face"][is_face].tolist() == [0, 1] * 8
    assert table["track"][is_face].tolist() == [0, 1] * 8
    assert (
        table[["face", "track", "emotion", "smoothed", *SMOOTHED]][~is_face].isna().all(axis=None)
    )
    for name in ("face", "track", "frame"):
        assert table[name].dtype == "Int64"
    # the codec moves edges by a pixel or so
    assert_allclose(table["x"][is_face][::2], 10 + np.arange(8), atol=2)
    assert_allclose(table[SMOOTHED][is_face].sum(axis=1), 1, rtol=1e-5)
    own = table[SMOOTHED][is_face].to_numpy().argmax(axis=1)
    assert table["smoothed"][is_face].tolist() == [EMOTIONS[i] for i in own]


def test_probabilities_are_those_of_the_frames(show, cropper, write_clip, tmp_path):
    frames = [show({(10, 20): i % 14, (120, 20): (i + 5) % 14}) for i in range(20)]
    path = write_clip(tmp_path / "clip.mp4", frames)
    read = [frame.pixels for frame in _read(path)]
    expected = analyze_faces(read, cropper=cropper)
    table = analyze_video(path, cropper=cropper)
    columns = [name for name in table_columns(EMOTIONS) if name != "image"]
    pd.testing.assert_frame_equal(table[columns], expected[columns])
    some = analyze_video(path, frame_step=3, cropper=cropper)
    is_asked_for = table["frame"] % 3 == 0
    pd.testing.assert_frame_equal(
        some[["frame", "time", "x", *PROBABILITIES]],
        table[is_asked_for].reset_index(drop=True)[["frame", "time", "x", *PROBABILITIES]],
    )
    rows = list(iterate_video(path, frame_step=3, cropper=cropper))
    assert [list(row) for row in rows[0]] == [video_columns(EMOTIONS)] * 2
    assert_array_equal(as_table(rows)[SMOOTHED], some[SMOOTHED])


def _read(path):
    from emotion_estimators.images.video import read_frames

    return read_frames(path, step=1, first=0, n_threads=1, needed_by="a test")


def test_frames_of_any_kind(show, cropper, tmp_path):
    frames = [show({(10 + i, 20): i}) for i in range(6)]
    expected = as_table(iterate_video(iter(frames), frame_rate=10, cropper=cropper))
    assert expected["time"].tolist() == [i / 10 for i in range(6)]
    assert expected["image"].isna().all()
    for X in (
        np.stack(frames),
        frames,
        map(Image.fromarray, frames),
        [(i / 10, frame) for i, frame in enumerate(frames)],
        ((np.float64(i / 10), frame) for i, frame in enumerate(frames)),
    ):
        table = as_table(iterate_video(X, frame_rate=10, cropper=cropper))
        pd.testing.assert_frame_equal(table, expected)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    paths = sorted(tmp_path.iterdir())
    table = as_table(iterate_video(paths, frame_rate=10, cropper=cropper))
    assert table["image"].tolist() == list(map(str, paths))
    pd.testing.assert_frame_equal(table.drop(columns="image"), expected.drop(columns="image"))


def test_a_camera_that_never_ends_and_fails_now_and_then(show, cropper):
    taken = []

    def frames():
        for i in itertools.count():
            taken.append(i)
            yield (i * 0.04, None if i == 5 else show({(10, 20): 0}))

    per_frame = iterate_video(frames(), cropper=cropper, batch_size=1)
    for i in range(20):
        (row,) = next(per_frame)
        assert len(taken) == i + 1  # each at once
        assert row["frame"] == i
        assert row["time"] == i * 0.04
        assert row["status"] == ("unreadable" if i == 5 else "face")
        assert row["track"] == (None if i == 5 else 0)
    taken.clear()
    next(iterate_video(frames(), cropper=cropper))
    assert len(taken) < 100


def positions(tracks):
    return [row["track"] for rows in tracks for row in rows if row["status"] == "face"]


def test_tracks(show, cropper):
    def follow(places, **settings):
        frames = (show(dict.fromkeys(place, 0)) for place in places)
        return positions(iterate_video(frames, frame_rate=10, cropper=cropper, **settings))

    here, there = (10, 20), (120, 20)
    assert follow([[here], [(20, 24)], [(30, 28)]]) == [0, 0, 0]
    assert follow([[here], [there], [here]]) == [0, 1, 0]
    assert follow([[here, there], [there], [here, there]]) == [0, 1, 1, 0, 1]
    # missing for up to max_gap seconds
    gap = [[here], *[[]] * 4, [here]]  # 0.5 s from one to the other
    assert follow(gap, max_gap=0.5) == [0, 0]
    assert follow(gap, max_gap=0.4) == [0, 1]
    assert follow(gap[:1] * 2, max_gap=0) == [0, 0]
    assert follow(gap, max_gap=0) == [0, 1]
    # frames may be further apart than max_gap
    assert follow(gap, max_gap=0.1, frame_step=5) == [0, 0]
    # overlap of 20 / 76: another face
    assert follow([[here], [(38, 20)]]) == [0, 1]


def test_a_face_is_followed_by_the_larger_overlap():
    boxes = iter([[[0, 0, 40, 40], [30, 0, 40, 40]], [[15, 0, 40, 40], [2, 0, 40, 40]]])
    cropper = FaceCropper(detector=lambda _: next(boxes))
    frames = np.full((2, 60, 90, 3), 100, np.uint8)
    rows = list(iterate_video(frames, cropper=cropper))
    assert positions(rows) == [0, 1, 1, 0]


def test_smoothing_is_exponential_over_the_track(show, cropper):
    times = [0, 0.04, 0.08, 0.5, 1.4, 1.5]
    numbers = [0, 3, 6, 9, 12, 1]
    frames = [
        (time, show({(10, 20): number, (120, 20): 13}))
        for time, number in zip(times, numbers, strict=True)
    ]
    table = as_table(iterate_video(frames, cropper=cropper, smoothing=0.3))
    table = table[table["track"] == 0]
    latest, smoothed = table[PROBABILITIES].to_numpy(), table[SMOOTHED].to_numpy()
    expected = [latest[0]]
    for i in range(1, 6):
        share = 1 - np.exp(-(times[i] - times[i - 1]) / 0.3)
        expected.append(share * latest[i] + (1 - share) * expected[-1])
    assert_allclose(smoothed, expected, rtol=1e-12)
    table = as_table(iterate_video(frames, cropper=cropper, smoothing=0))
    assert_array_equal(table[SMOOTHED], table[PROBABILITIES])


def test_a_face_that_does_not_move_gets_a_steady_emotion(show):
    rng = np.random.default_rng(0)
    noisy = (
        np.clip(show({(10, 20): 3}) + rng.normal(0, 25, (96, 192, 1)), 0, 255).astype(np.uint8)
        for _ in range(60)
    )
    boxes = FaceCropper(detector=lambda _: [[10, 20, 48, 48]], image_size=48)
    table = as_table(iterate_video(noisy, cropper=boxes))
    spread = table[15:].std(numeric_only=True)
    assert (spread[SMOOTHED].to_numpy() < 0.5 * spread[PROBABILITIES].to_numpy()).all()


def test_large_frames_go_a_few_at_a_time(cropper):
    taken = []

    def frames():
        for i in range(64):
            taken.append(i)
            yield np.zeros((3000, 3000, 3), np.uint8)  # 27 MB

    next(iterate_video(frames(), cropper=cropper))
    assert len(taken) <= 4


def test_what_cannot_be_read_is_a_row(show, cropper, write_clip, tmp_path):
    (tmp_path / "noise.mp4").write_bytes(b"no video at all" * 100)
    frames = [show({(9 + 3 * i, 9): i % 14}) for i in range(30)]
    some = analyze_video(write_clip(tmp_path / "clip.avi", frames), cropper=cropper)
    for name in ("noise.mp4", "none.mp4"):
        table = analyze_video(tmp_path / name, cropper=cropper)
        assert table["status"].tolist() == ["unreadable"]
        assert table["problem"].str.contains("is no video|No such file").all()
        assert table["image"].tolist() == [str(tmp_path / name)]
        assert table[["frame", "time", "track"]].isna().all(axis=None)
        assert table.dtypes.equals(some.dtypes)
    os.truncate(tmp_path / "clip.avi", (tmp_path / "clip.avi").stat().st_size // 2)
    table = analyze_video(tmp_path / "clip.avi", cropper=cropper)
    assert table["status"].tolist()[:5] == ["face"] * 5
    assert table["status"].tolist()[-1] == "unreadable"


def test_messages(show, cropper, monkeypatch, tmp_path):
    frame = show({})
    for X, match in ((frame, "one image with channels"), (Image.fromarray(frame), "got one")):
        with pytest.raises(InvalidImagesError, match=f"iterate_video expected .*{match}"):
            iterate_video(X, cropper=cropper)
    with pytest.raises(TypeError, match="iterate_video expected a list, an array or another"):
        iterate_video(7, cropper=cropper)
    for parameter in ("frame_step", "frame_rate", "smoothing", "max_gap", "batch_size"):
        with pytest.raises(ValueError, match=f"The '{parameter}' parameter of iterate_video"):
            iterate_video([frame], cropper=cropper, **{parameter: -1})
    with pytest.raises(ValueError, match="The 'path' parameter of analyze_video must be"):
        analyze_video([frame])
    monkeypatch.setitem(sys.modules, "av", None)
    match = r'needs av\. Install it with: pip install "emotion-estimators\[video\]"'
    with pytest.raises(MissingDependencyError, match=f"iterate_video {match}"):
        iterate_video(tmp_path / "clip.mp4")
    with pytest.raises(MissingDependencyError, match=f"analyze_video {match}"):
        analyze_video(tmp_path / "clip.mp4")


def test_rows_come_before_the_error_that_ends_the_frames(show, cropper):
    frames = [show({(10 + i, 10): 0}) for i in range(11)]

    def camera():
        yield from frames
        raise OSError("the camera is gone")

    rows = []
    with pytest.raises(OSError, match="the camera is gone"):
        rows.extend(iterate_video(camera(), cropper=cropper))
    assert repr(rows) == repr(list(iterate_video(frames, cropper=cropper)))  # nan is not nan


@pytest.mark.parametrize("time", [float("nan"), float("inf"), None, "soon"])
def test_times_that_are_none(show, cropper, time):
    frames = ((at, show({(10, 20): 0})) for at in (0.0, time))
    with pytest.raises(ValueError, match=r"iterate_video expected pairs of a time .* of frame 1"):
        list(iterate_video(frames, cropper=cropper))


def test_a_bar(show, cropper, write_clip, tmp_path, capsys):
    path = write_clip(tmp_path / "clip.mp4", [show({})] * 12)
    analyze_video(path, frame_step=5, cropper=cropper, verbose=1)
    assert "3/3" in capsys.readouterr().err


def test_people_in_a_real_photograph_keep_their_tracks(data_dir, write_clip, tmp_path):
    photo = Image.fromarray(read_image(data_dir / "photos" / "multiface.jpg"))
    frames = [
        np.asarray(photo.resize((640, 336), box=(2 * i, i, 1100 + 2 * i, 577.5 + i)))
        for i in range(12)
    ]
    path = write_clip(tmp_path / "clip.mp4", frames, rate=25)
    table = analyze_video(path, frame_step=2)
    faces = table[table["status"] == "face"]
    assert faces["frame"].unique().tolist() == [0, 2, 4, 6, 8, 10]
    lengths = faces["track"].value_counts()
    assert (lengths == 6).sum() >= 5  # of six people
    assert (faces["emotion"] == "happy").mean() > 0.5  # they laugh


# the most that this process held; resource tells what the one held that started it, if that is more
MEMORY = """
import sys
from pathlib import Path
from emotion_estimators import FaceCropper
from emotion_estimators.analysis import iterate_video
cropper = FaceCropper(detector=lambda photo: [[10, 10, 50, 50]], n_threads=2)
n = sum(1 for _ in iterate_video(sys.argv[1], cropper=cropper))
(line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(n, line.split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_length(write_clip, tmp_path):
    frames = [np.full((480, 640, 3), i % 200, np.uint8) for i in range(240)]
    peaks = []
    for n in (40, 240):
        path = write_clip(tmp_path / f"{n}.mp4", frames[:n])
        command = [sys.executable, "-c", MEMORY, os.fspath(path)]
        done, peak = subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.split()
        assert int(done) == n
        peaks.append(int(peak) / 1024)
    # 200 more frames of 0.9 MiB each; the allocator's own spread is some MiB
    assert peaks[1] - peaks[0] < 25
