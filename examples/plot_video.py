"""
Emotions over time
==================

Follow the faces of a video, and see how their emotions change. Nothing is downloaded.
"""

# %%
# The video
# ---------
# Six seconds at 10 frames/s. On the left are drawn faces, one after the other, each for one and a
# half seconds; on the right a portrait comes and goes. The frames are made as they are asked for:
# for a file there is `~emotion_estimators.analysis.analyze_video`, and a camera works as this does.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier

from emotion_estimators.analysis import iterate_video
from emotion_estimators.datasets import load_sample_photograph, make_faces
from emotion_estimators.images import read_image
from emotion_estimators.inspection import TimelineDisplay
from emotion_estimators.labels import EMOTIONS

drawn, _ = make_faces(14, image_size=160, color="rgb", random_state=0)
shown = drawn[[1, 5, 6, 12]]  # happy, fear, surprise, sad
portrait = read_image(load_sample_photograph())[:240, 100:340]


def frames():
    """Yield times and frames, uint8 RGB of shape (240, 640, 3)."""
    for number in range(60):
        frame = np.full((240, 640, 3), 128, np.uint8)
        frame[40:200, 60:220] = shown[number // 15]
        if 10 <= number < 30 or number >= 42:
            frame[:, 380:620] = portrait
        yield number / 10, frame


table = pd.DataFrame([row for rows in iterate_video(frames()) for row in rows])
table[["time", "track", "x", "emotion", "smoothed"]].iloc[[0, 20, 21, 60]]

# %%
# One band for each track
# -----------------------
# Above the smoothed probabilities, below those of each frame.

figure, axes = plt.subplots(2, 1, figsize=(9, 6), layout="constrained")
TimelineDisplay.from_predictions(table, ax=axes[0])
TimelineDisplay.from_predictions(table, smoothed=False, ax=axes[1])
_ = figure.suptitle("Emotions over time: smoothed above, frame by frame below")

# %%
# Beside a baseline
# -----------------
# How often the answer on the left changes from one frame to the next, and how sure it is. A dummy,
# which gives every class a seventh, is steadier than any model, and says nothing.

dummy = DummyClassifier(strategy="uniform").fit(list(EMOTIONS), list(EMOTIONS))
for name, classifier in (("embedded model", None), ("a dummy", dummy)):
    rows = [row for rows in iterate_video(frames(), classifier=classifier) for row in rows]
    left = pd.DataFrame(rows).query("x < 300")
    changes = int((left["smoothed"] != left["smoothed"].shift()).sum()) - 1
    sure = left.filter(like="smoothed_").max(axis=1).mean()
    print(f"{name:15} {changes} changes, {sure:.2f} sure")

# %%
# What this does not show
# -----------------------
# Whether any of these emotions is right: for that, faces must have been labelled. The drawn faces
# are four persons, and one track: tracks follow places, not people. And what a face shows is not
# what somebody feels.
