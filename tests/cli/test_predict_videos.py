"""The command ``predict`` on videos: the table, interruption and going on, and what it refuses."""

import json
import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest

from emotion_estimators import __version__
from emotion_estimators.analysis import analyze_video, video_columns
from emotion_estimators.analysis.tracks import Tracks
from emotion_estimators.cli.videos import Begun, estimate_total
from emotion_estimators.labels import EMOTIONS

pytest.importorskip("av", reason="reads videos")


@pytest.fixture
def clip(write_clip, noise, tmp_path):
    """Return a video of 40 frames, (60, 220, 3), the last five black: nobody is there."""
    images = [noise(i // 4, 60, 220) for i in range(35)] + [np.zeros((60, 220, 3), np.uint8)] * 5
    return write_clip(tmp_path / "clip.mp4", images, rate=25)


def test_the_table_is_that_of_analyze_video(clip, halves, tmp_path, run, capsys):
    out = tmp_path / "table.csv"
    assert run("predict", clip, "--out", out, "--full", "--frame-step", 3) == 0
    expected = analyze_video(clip, frame_step=3, cropper=halves)
    table = pd.read_csv(out, dtype={"face": "Int64", "frame": "Int64", "track": "Int64"})
    assert table.columns.tolist() == [*video_columns(EMOTIONS), "settings", "version"]
    assert set(table.pop("version")) == {__version__}
    assert table.pop("settings").nunique() == 1
    words = ["image", "status", "emotion", "smoothed"]
    for name in words:
        assert table[name].fillna("").tolist() == expected[name].fillna("").tolist()
    numbers = [name for name in table.columns if name not in [*words, "problem"]]
    pd.testing.assert_frame_equal(table[numbers], expected[numbers], check_dtype=False)
    said = capsys.readouterr().err
    counts = ", ".join(f"{n} {name}" for name, n in expected["emotion"].value_counts().items())
    assert said.startswith("emotion-estimators: predict: 24 faces in 14 frames: ")
    assert sorted(said.strip(".\n").split(": ")[-1].split(", ")) == sorted(counts.split(", "))


@pytest.mark.usefixtures("halves")
def test_several_videos_one_of_them_missing(
    clip, write_clip, noise, tmp_path, run, read_csv, capsys
):
    other = write_clip(tmp_path / "other.avi", [noise(50, 60, 220)] * 3)
    (tmp_path / "broken.mkv").write_bytes(b"no video")
    out = tmp_path / "table.csv"
    paths = [clip, tmp_path / "none.mov", tmp_path / "broken.mkv", other]
    assert run("predict", *paths, "--out", out, "--frame-step", 10) == 1
    rows = read_csv(out)
    assert list(dict.fromkeys(row["image"] for row in rows)) == list(map(str, paths))
    assert [int(row["row"]) for row in rows] == sorted(int(row["row"]) for row in rows)
    bad = [row for row in rows if row["status"] == "unreadable"]
    assert [(row["frame"], row["time"], row["problem"]) for row in bad] == [
        ("", "", "cannot be opened: No such file or directory"),
        ("", "", "is no video, damaged or cut off"),
    ]
    tracks = [int(row["track"]) for row in rows if row["image"] == str(other)]
    assert tracks == [0, 1]  # each video has its own
    said = capsys.readouterr().err
    assert "there is no file" in said
    assert "of the frames and videos, 2 cannot be read" in said


def interrupt_at(number, find):
    """Return a detector that is interrupted when it is asked for the frame of that number."""
    asked = []

    def interrupted(frame):
        asked.append(frame)
        if len(asked) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return find(frame)

    return interrupted, asked


def read_any(path):
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str).fillna("").to_dict("records")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_interrupted_and_resumed(suffix, clip, halves, tmp_path, run, capsys, write_clip, noise):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs it")
    first = write_clip(tmp_path / "first.mp4", [noise(i, 60, 220) for i in range(5)])
    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"part.{suffix}"
    assert run("predict", first, clip, "--full", "--out", whole) == 0
    find = halves.detector
    halves.set_params(detector=interrupt_at(30, find)[0])
    assert run("predict", first, clip, "--full", "--out", out) == 130
    assert "frames. Go on with --resume." in capsys.readouterr().err
    n_held = len({row["row"] for row in read_any(out)})
    assert 5 < n_held < 30
    counting, asked = interrupt_at(0, find)
    halves.set_params(detector=counting)
    assert run("predict", first, clip, "--full", "--out", out, "--resume") == 0
    # tracks and smoothed probabilities are those of a run that was never stopped
    assert read_any(out) == read_any(whole)
    assert len(asked) == 45 - n_held
    asked.clear()
    assert run("predict", first, clip, "--full", "--out", out, "--resume") == 0
    assert asked == []
    assert read_any(out) == read_any(whole)


@pytest.mark.usefixtures("halves")
def test_a_table_of_other_frames_is_not_gone_on_with(clip, tmp_path, run, capsys):
    """Every tenth frame up to here and every fifth from here on would look like every frame."""
    out = tmp_path / "table.csv"
    assert run("predict", clip, "--out", out, "--frame-step", 10) == 0
    before = out.read_bytes()
    for other in ([], ["--frame-step", 5]):
        assert run("predict", clip, "--out", out, "--resume", *other) == 2
        said = capsys.readouterr().err
        assert f"{out} was made with another model, detector or options than these" in said
    assert out.read_bytes() == before
    assert run("predict", clip, "--out", out, "--resume", "--frame-step", 10) == 0
    assert run("predict", clip, "--out", out, "--overwrite") == 0
    assert run("predict", clip, "--out", out, "--resume", "--frame-step", 1) == 0


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("cut", range(200, 4200, 700))
def test_going_on_after_any_cut(cut, clip, tmp_path, run):
    whole, out = tmp_path / "whole.csv", tmp_path / "part.csv"
    assert run("predict", clip, "--full", "--out", whole, "--frame-step", 4) == 0
    # between two rows of one frame nobody can see a cut: rows of a frame are written together
    cut -= whole.read_bytes()[:cut].endswith(b"\n")
    out.write_bytes(whole.read_bytes()[:cut])
    assert run("predict", clip, "--full", "--out", out, "--frame-step", 4, "--resume") == 0
    assert read_any(out) == read_any(whole)


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("name", ["copy.avi", "copy.mkv"])
def test_a_video_that_was_cut_off_and_came_whole(
    name, clip, write_clip, noise, tmp_path, run, read_csv
):
    path = write_clip(tmp_path / name, [noise(i, 60, 220) for i in range(30)])
    data = path.read_bytes()
    whole, out = tmp_path / "whole.csv", tmp_path / "part.csv"
    assert run("predict", path, "--out", whole) == 0
    path.write_bytes(data[: int(0.6 * len(data))])
    assert run("predict", path, clip, "--out", out) == 1
    held = [row for row in read_csv(out) if row["status"] == "face" and row["image"] == str(path)]
    assert "unreadable" in [row["status"] for row in read_csv(out)]
    path.write_bytes(data)
    assert run("predict", path, clip, "--out", out, "--resume") == 0
    rows = [row for row in read_csv(out) if row["image"] == str(path)]
    assert rows[: len(held)] == held
    frames = [int(row["frame"]) for row in rows]
    assert frames == sorted(frames)
    assert set(frames) == set(range(30))
    assert {row["status"] for row in rows} == {"face"}


@pytest.mark.usefixtures("halves")
def test_faces_that_are_unsure(clip, tmp_path, run):
    assert run("predict", clip, "--out", tmp_path / "table.csv", "--min-certainty", 1) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    faces = table[table["status"] == "face"]
    assert len(faces) > 0
    assert set(faces["emotion"][faces["certainty"] < 1]) == {"unsure"}


@pytest.mark.usefixtures("halves")
def test_the_class_prior_is_said(clip, tmp_path, run, capsys):
    options = ("--class-prior", "uniform", "--frame-step", 20)
    assert run("predict", clip, "--out", tmp_path / "table.csv", *options) == 0
    assert "predict: class prior: uniform, 1/7 for each emotion." in capsys.readouterr().err


@pytest.mark.usefixtures("halves")
def test_what_is_refused(clip, tmp_path, run, monkeypatch, capsys):
    (tmp_path / "photo.png").write_bytes(b"")
    for arguments, message in (
        ([clip, tmp_path / "photo.png"], "expected photographs or videos"),
        ([clip, tmp_path], "got both, such as"),
        ([clip, "--draw", tmp_path / "drawn"], "--draw is for photographs, not for videos"),
        ([clip, "--class-prior", "estimate"], "--class-prior estimate is of all faces together"),
        ([tmp_path / "photo.png", "--frame-step", 3], "--frame-step is for videos"),
    ):
        assert run("predict", *arguments) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("row,image\n0,a\n")
    assert run("predict", clip, "--out", tmp_path / "table.csv", "--resume") == 2
    assert "is not a table to go on with: it lacks" in capsys.readouterr().err
    assert run("predict", tmp_path / "none.mp4", "--out", tmp_path / "new.csv") == 1
    assert "there is no file" in capsys.readouterr().err
    assert not (tmp_path / "new.csv").exists()
    monkeypatch.setitem(sys.modules, "av", None)
    assert run("predict", clip) == 2
    assert 'pip install "emotion-estimators[video]"' in capsys.readouterr().err


@pytest.mark.usefixtures("halves")
def test_videos_in_folders_are_passed_over_and_said(clip, tmp_path, run, capsys):
    assert run("predict", clip.parent, "--out", tmp_path / "table.csv") == 1
    said = capsys.readouterr().err
    assert "passed over 1 file: 1 .mp4" in said
    assert "videos are looked at where they are named, as in predict clip.mp4" in said


def test_the_bar_counts_what_is_left(write_clip, noise, tmp_path):
    path = str(write_clip(tmp_path / "ten.mp4", [noise(i, 60, 220) for i in range(10)]))
    begun = Begun(Tracks(["happy"], smoothing=0, max_gap=1), first=4)
    assert estimate_total({path: None}, 1) == 10
    assert estimate_total({path: None}, 3) == 4  # the frames 0, 3, 6, 9
    assert estimate_total({path: begun}, 1) == 6
    assert estimate_total({path: begun}, 3) == 2
    (tmp_path / "none.mp4").touch()
    assert estimate_total({path: None, str(tmp_path / "none.mp4"): None}, 1) is None
