"""TimelineDisplay: what is drawn where, and its messages."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose, assert_array_equal

from emotion_estimators import FaceCropper
from emotion_estimators.analysis import iterate_video
from emotion_estimators.inspection import TimelineDisplay
from emotion_estimators.inspection.draw_faces import CLASS_COLORS


def row(time, track, happy):
    row = {"image": "clip.mp4", "time": time, "status": "face", "track": track}
    row |= {"emotion": "happy", "emotion_happy": 1 - happy, "emotion_sad": happy}
    return row | {"smoothed": "happy", "smoothed_happy": happy, "smoothed_sad": 1 - happy}


NOBODY = {**row(0.0, None, np.nan), "status": "no face"}


@pytest.fixture
def table():
    """Return two tracks at 10 frames/s: the first is away from 1 s to 2 s, the second is short."""
    times = [i / 10 for i in range(30)]
    rows = [row(t, 0, 0.25) for t in times if not 1 <= t < 2]
    rows += [row(t, 3, 1.0) for t in times if 0.5 <= t < 1.5]
    rows += [{**NOBODY, "time": 3.0}, {**NOBODY, "time": np.nan, "status": "unreadable"}]
    return pd.DataFrame(rows).sort_values("time", kind="stable").reset_index(drop=True)


def colors_at(display, points):
    """Return the drawn colours of points in the units of the axes, RGB in 0..1."""
    figure = display.figure_
    figure.canvas.draw()
    columns, rows = display.ax_.transData.transform(points).round().astype(int).T
    return (np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255)[rows, columns]


def test_bands_show_the_probabilities(table):
    display = TimelineDisplay.from_predictions(table)
    assert display.classes == ["happy", "sad"]
    assert list(display.tracks) == [0, 3]
    assert display.frame_distance == pytest.approx(0.1)
    assert [len(times) for times, _ in display.tracks.values()] == [20, 10]
    assert_allclose(display.tracks[0][1], [[0.25, 0.75]] * 20)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["track 0", "track 3"]
    assert display.ax_.get_xlabel() == "seconds"
    happy, sad, white = (to_rgb(c) for c in (CLASS_COLORS[0], CLASS_COLORS[1], "white"))
    expected = {
        (0.5, -0.35): happy,  # a quarter of the first band, from below
        (0.5, -0.1): sad,
        (0.5, 0.35): sad,
        (1.5, 0.0): white,  # away
        (2.5, -0.35): happy,
        (2.95, 0.3): sad,  # the last frame has a length, too
        (0.3, -1.0): white,
        (1.0, -1.3): happy,
        (1.0, -0.7): happy,
        (1.7, -1.0): white,
    }
    assert_allclose(colors_at(display, list(expected)), list(expected.values()), atol=0.01)


def test_of_each_frame_and_from_rows(table):
    display = TimelineDisplay.from_predictions(table.to_dict("records"), smoothed=False)
    assert_allclose(display.tracks[0][1], [[0.75, 0.25]] * 20)


def test_axes_of_ones_own(table):
    figure, ax = plt.subplots()
    display = TimelineDisplay.from_predictions(table, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.plot().ax_ is not ax


def test_what_iterate_video_yields():
    frames = np.random.default_rng(0).integers(0, 256, (9, 60, 80, 3), dtype=np.uint8)
    cropper = FaceCropper(detector=lambda _: [[10, 10, 30, 30]])
    rows = [row for rows in iterate_video(frames, cropper=cropper) for row in rows]
    display = TimelineDisplay.from_predictions(rows)
    assert_array_equal(display.tracks[0][0], np.arange(9) / 30)


def test_nobody_and_nothing(table):
    for rows, n_tracks in (([], 0), (table[:0], 0), ([NOBODY], 0), (table[:1], 1)):
        display = TimelineDisplay.from_predictions(rows)
        display.figure_.canvas.draw()
        assert len(display.tracks) == n_tracks


def test_messages(table):
    with pytest.raises(
        ValueError, match=r"expected the table of a video.*; time, track is missing"
    ):
        TimelineDisplay.from_predictions(table.drop(columns=["time", "track"]))
    without = [name for name in table.columns if name.startswith("smoothed_")]
    with pytest.raises(ValueError, match=r"as analyze_video makes it; smoothed_\.\.\. is missing"):
        TimelineDisplay.from_predictions(table.drop(columns=without))
    table.loc[3:, "image"] = "other.mp4"
    with pytest.raises(ValueError, match=r"table of one video, got those of 2\. Take table\["):
        TimelineDisplay.from_predictions(table)
