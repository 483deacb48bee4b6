"""
Where other faces are expected
==============================

A classifier learns how common each class was, and lets that count. Where the mixture is another
one, say so, or have it estimated from the predictions.
"""

# %%
# Two mixtures
# ------------
# The classifier learns where most faces are happy or neutral, as on the web, and is asked where
# most are angry or sad.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import make_faces
from emotion_estimators.metrics import adjust_class_prior, estimate_class_prior

emotions = ["angry", "happy", "neutral", "sad"]
learned, asked = np.array([0.1, 0.45, 0.35, 0.1]), np.array([0.4, 0.1, 0.1, 0.4])


def mixture(shares, n_samples, random_state):
    """Return faces and emotions of which each is as common as said."""
    counts = (shares * n_samples).round().astype(int)
    made = [
        make_faces(n, emotions=[emotion], random_state=random_state + i)
        for i, (emotion, n) in enumerate(zip(emotions, counts, strict=True))
    ]
    return np.concatenate([X for X, _ in made]), np.concatenate([y for _, y in made])


X_train, y_train = mixture(learned, 300, random_state=0)
X_test, y_test = mixture(asked, 240, random_state=50)

# %%
# Three priors
# ------------
# Each probability is divided by what was learned, and multiplied by what is expected. What was
# learned must be known: here it is the share of each class in the training.

features = HOGTransformer(pixels_per_cell=(12, 12), cells_per_block=(2, 2))
model = make_pipeline(features, LogisticRegression(C=30, max_iter=500))
probabilities = model.fit(X_train, y_train).predict_proba(X_test)
estimated = estimate_class_prior(probabilities, learned, tol=1e-4)
answers = {"always the same class": DummyClassifier().fit(X_train, y_train).predict(X_test)}
for name, prior in {
    "as learned": None,
    "uniform": "uniform",
    "estimated": estimated,
    "known": asked,
}.items():
    adjusted = adjust_class_prior(probabilities, learned, prior)
    answers[name] = model.classes_[adjusted.argmax(axis=1)]
for name, y_pred in answers.items():
    print(
        f"{name:23}accuracy {np.mean(y_pred == y_test):.3f}, "
        f"balanced {balanced_accuracy_score(y_test, y_pred):.3f}"
    )

# %%
# `~emotion_estimators.PretrainedEmotionClassifier` and
# `~emotion_estimators.EmotionCNNClassifier` know what they learned, and take the prior as a
# parameter: ``class_prior="uniform"``, or a dictionary by class.

# %%
# How common each class is
# ------------------------

shares = {
    "learned": learned,
    "answers, as learned": [np.mean(answers["as learned"] == e) for e in emotions],
    "estimated": estimated,
    "true": asked,
}
figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for number, (name, heights) in enumerate(shares.items()):
    ax.bar(np.arange(4) + 0.2 * number - 0.3, heights, 0.18, label=name)
ax.set(title="Shares of the classes", ylabel="share", ylim=(0, 0.55))
ax.set_xticks(range(4), labels=emotions)
_ = ax.legend(loc="upper center", ncols=4, fontsize=9)

# %%
# What this does not show
# -----------------------
# That an estimate is always better. It needs hundreds of images, probabilities that are calibrated
# and classes that look the same in both places; where a class is rare it may lose it altogether. On
# real faces :doc:`/guide/votes` has figures for all four.
