"""
Several labels for one image
============================

`~emotion_estimators.LightningMultiLabelClassifier` answers one question for each label.
Beside it stand scikit-learn's own ways to several labels, on HOG features.
"""

# %%
# Data
# ----
# Drawn scenes of ten kinds of things, none to five in each. The split gives both sides the same
# share of every label.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_estimators import HOGTransformer, LightningMultiLabelClassifier
from emotion_estimators.datasets import SCENE_LABELS, make_scenes
from emotion_estimators.model_selection import multilabel_train_test_split

X, Y = make_scenes(500, image_size=32, random_state=0)
X_train, X_test, Y_train, Y_test = multilabel_train_test_split(X, Y, random_state=0)

figure, axes = plt.subplots(1, 5, figsize=(9, 3.2), layout="constrained")
for ax, picture, labels in zip(axes, X_train, Y_train, strict=False):
    ax.imshow(picture)
    ax.set_axis_off()
    ax.set_title("\n".join(np.array(SCENE_LABELS)[labels == 1]) or "nothing", fontsize=8)

# %%
# Four models
# -----------
# `MultiOutputClassifier` asks about each label by itself, `ClassifierChain` shows each label the
# answers before it, and the network learns its features for all labels together.


def on_hog(several):
    """Return a pipeline of HOG features and a classifier of several labels."""
    features = HOGTransformer(pixels_per_cell=(4, 4), cells_per_block=(2, 2))
    single = LogisticRegression(C=0.003, max_iter=300)
    return make_pipeline(features, StandardScaler(), several(single))


def probabilities(model, pictures):
    """Return (n, n_labels); some give a list of two columns for each label."""
    given = model.predict_proba(pictures)
    return np.column_stack([p[:, 1] for p in given]) if isinstance(given, list) else given


models = {
    "shares of the labels": DummyClassifier(strategy="prior"),
    "HOG, MultiOutputClassifier": on_hog(MultiOutputClassifier),
    "HOG, ClassifierChain": on_hog(ClassifierChain),
    "network": LightningMultiLabelClassifier(
        network="resnet6-tiny",
        labels=SCENE_LABELS,
        learning_rate=0.005,
        max_epochs=20,
        random_state=0,
    ),
}
for name, model in models.items():
    model.fit(X_train, Y_train)
    score = average_precision_score(Y_test, probabilities(model, X_test), average="macro")
    print(f"{name:28}macro average precision {score:.3f}")

# %%
# What this does not show
# -----------------------
# How good they can be: 375 images of 32 x 32 pixels and the smallest network are little, and
# `~emotion_estimators.datasets.make_scenes` says in its notes what a larger one reaches on more.
# Nor which is best on photographs: with few of those, a network that others trained
# (``network="timm:..."``) is the one to try. And 125 test images hold about a dozen of the
# rarest label, so that a single one moves its score.
