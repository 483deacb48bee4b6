"""
Would more images help?
=======================

A learning curve shows how good a model is with a part of the images. scikit-learn draws it, of
every estimator here.
"""

# %%
# Data
# ----

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import LearningCurveDisplay, ShuffleSplit

from emotion_estimators import make_embedding_classifier, make_hog_classifier
from emotion_estimators.datasets import make_faces

X, y = make_faces(500, random_state=0)

# %%
# Three curves
# ------------
# On the left HOG features, whose curve still rises; on the right the features of the trained
# network, which start higher and rise less.

models = {
    "HOG and an SVM": make_hog_classifier(random_state=0),
    "features of the network": make_embedding_classifier(),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    display = LearningCurveDisplay.from_estimator(
        model,
        X,
        y,
        train_sizes=[50, 100, 200, 350],
        cv=ShuffleSplit(3, test_size=150, random_state=0),
        score_type="both",
        score_name="accuracy",
        ax=ax,
    )
    ax.set_title(f"Learning curve: {name}")
    means = display.test_scores.mean(axis=1)
    for size, score in zip(display.train_sizes, means, strict=True):
        print(f"{name:26}{size:4} faces  {score:.3f}")

# %%
# Beside a baseline
# -----------------
# A dummy has no curve: it does not get better.

dummy = DummyClassifier()
for size in (50, 350):
    score = dummy.fit(X[:size], y[:size]).score(X[350:], y[350:])
    print(f"{'a dummy':26}{size:4} faces  {np.round(score, 3):.3f}")

# %%
# What this does not show
# -----------------------
# Where the curve ends: it may not be drawn on. And where several images are of one person, the
# curve of `ShuffleSplit` is too good: give ``groups`` and a splitter for groups, see
# :doc:`/recipes`.
