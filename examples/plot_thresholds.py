"""
Thresholds for rare labels
==========================

A label of which one image in ten has one is hardly ever predicted at a probability of 0.5. With a
threshold for each label it is: scikit-learn's `TunedThresholdClassifierCV` finds one.
"""

# %%
# Data
# ----
# Drawn scenes of ten kinds of things.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import SCENE_LABELS, make_scenes
from emotion_estimators.model_selection import multilabel_train_test_split

X, Y = make_scenes(450, image_size=32, random_state=0)
X_train, X_test, Y_train, Y_test = multilabel_train_test_split(X, Y, random_state=0)

# %%
# At one half, and tuned
# ----------------------
# The threshold of each label is the one with the best F1 over folds of the training images.


def on_hog(single):
    """Return a pipeline of HOG features and one classifier for each label."""
    features = HOGTransformer(pixels_per_cell=(4, 4), cells_per_block=(1, 1))
    return make_pipeline(features, StandardScaler(), MultiOutputClassifier(single))


single = LogisticRegression(C=0.003, max_iter=300)
models = {
    "at random, by the shares (dummy)": DummyClassifier(strategy="stratified", random_state=0),
    "at 0.5": on_hog(single),
    "tuned": on_hog(TunedThresholdClassifierCV(single, scoring="f1", cv=3)),
}
answers = {}
for name, model in models.items():
    answers[name] = model.fit(X_train, Y_train).predict(X_test)
    print(
        f"{name:34}{answers[name].sum():5} labels of {Y_test.sum()}, "
        f"macro F1 {f1_score(Y_test, answers[name], average='macro', zero_division=0):.3f}"
    )

# %%
# Label by label
# --------------

found = models["tuned"][-1].estimators_
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
places = np.arange(len(SCENE_LABELS))
left.plot([e.best_threshold_ for e in found], places, "o", label="threshold")
left.plot(Y_train.mean(axis=0), places, "x", label="share of images")
left.axvline(0.5, color="grey", linestyle="--")
left.set(title="Tuned thresholds", xlabel="probability", xlim=(0, 1))
left.set_yticks(places, labels=SCENE_LABELS)
left.legend(loc="upper right")
for shift, name in ((0.2, "at 0.5"), (-0.2, "tuned")):
    scores = f1_score(Y_test, answers[name], average=None, zero_division=0)
    right.barh(places + shift, scores, 0.38, label=name)
right.set(title="F1 of each label", xlabel="F1")
_ = right.legend(loc="upper right")

# %%
# The network does the same with ``threshold="tune"``: see
# `~emotion_estimators.LightningMultiLabelClassifier`.

# %%
# What this does not show
# -----------------------
# A better model. What it knows is the same, and average precision, which asks for no threshold,
# does not change. And the best F1 need not be what you want: where a false alarm is worse than a
# miss, choose another ``scoring``.
