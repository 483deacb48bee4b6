"""
Looking for wrong labels
========================

The errors of which a model is most sure are often no errors of the model.
`~emotion_estimators.inspection.PredictionDisplay` puts them first.
"""

# %%
# Labels with mistakes
# --------------------
# Of 500 drawn faces, thirty are given another label than they show.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import make_faces
from emotion_estimators.inspection import PredictionDisplay

X, true = make_faces(500, random_state=0)
classes = np.unique(true)
random = np.random.default_rng(0)
wrong = random.choice(len(X), 30, replace=False)
y = true.copy()
for row in wrong:
    y[row] = random.choice(classes[classes != true[row]])

# %%
# Ask about each face a model that has not seen it
# ------------------------------------------------

model = make_pipeline(HOGTransformer(pixels_per_cell=(12, 12)), LogisticRegression(C=1))
probabilities = cross_val_predict(model, X, y, cv=5, method="predict_proba")
y_pred = classes[probabilities.argmax(axis=1)]

# %%
# The surest errors first
# -----------------------
# Red: the label, and in its place what the model says.

display = PredictionDisplay.from_predictions(
    X, y, y_pred, confidence=probabilities.max(axis=1), n_wrong=24, n_right=8
)
_ = display.figure_.suptitle("Labels that the model does not believe")

# %%
# How many are found?
# -------------------
# Go through the faces in the order of how little the model believes the label. A dummy, which knows
# the shares of the classes, has no better order than chance.


def found(p):
    """Return how many wrong labels are among the first 1, 2, 3 ... that are looked at."""
    believed = p[np.arange(len(X)), np.searchsorted(classes, y)]
    order = np.argsort(believed, kind="stable")
    return np.cumsum(np.isin(order, wrong))


dummy = cross_val_predict(DummyClassifier(strategy="prior"), X, y, cv=5, method="predict_proba")
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, p in (("HOG", probabilities), ("a dummy", dummy)):
    ax.plot(np.arange(1, len(X) + 1), found(p), label=name)
    print(f"{name:10}{found(p)[59]} of 30 wrong labels among the first 60 faces")
ax.set(title="Wrong labels found", xlabel="faces looked at", ylabel="wrong labels found")
_ = ax.legend(loc="lower right")

# %%
# What this does not show
# -----------------------
# Mistakes that people make: they mix up what looks alike, and these are drawn at random. Nor what a
# right label is where people see different things in one face. cleanlab does this with more
# thought: see :doc:`/recipes`.
