"""
What people see, and how sure an answer is
==========================================

Ask ten people what a face shows, and they do not all say the same. A model may be asked two
things: whether it names what most of them see, and whether its probability is their share.
"""

# %%
# Faces and votes
# ---------------
# Drawn faces, and ten people who are drawn, too: each names the expression that was meant, or what
# is easily taken for it; how easily differs from face to face. With people of flesh and blood the
# votes come from a table: see `~emotion_estimators.datasets.load_votes`.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import make_faces
from emotion_estimators.inspection import PredictionDisplay
from emotion_estimators.metrics import measure_votes

X, meant = make_faces(600, random_state=0)
classes = np.unique(meant)
taken_for = {
    "angry": "disgust",
    "disgust": "angry",
    "fear": "surprise",
    "happy": "neutral",
    "neutral": "sad",
    "sad": "neutral",
    "surprise": "fear",
}
random = np.random.default_rng(0)
votes = np.zeros((len(X), len(classes)), int)
for row, emotion in enumerate(meant):
    n_other = random.binomial(10, random.beta(1, 3))
    votes[row, classes == emotion] = 10 - n_other
    votes[row, classes == taken_for[emotion]] = n_other
split = votes[votes.max(axis=1).argmin()]  # the face on which they agree least
print(dict(zip(classes.tolist(), split.tolist(), strict=True)))

# %%
# Learn from single votes
# -----------------------
# Each face is given the answer of one of the ten, as most data sets have it. A classifier that
# minimises the log loss learns shares from that.

labels = np.array([random.choice(classes, p=row / 10) for row in votes])
train, test = slice(0, 400), slice(400, None)
models = {
    "shares of the labels (dummy)": DummyClassifier(strategy="prior"),
    "HOG, strong penalty": make_pipeline(
        HOGTransformer(pixels_per_cell=(12, 12)), LogisticRegression(C=3, max_iter=300)
    ),
    "HOG, weak penalty": make_pipeline(
        HOGTransformer(pixels_per_cell=(12, 12)), LogisticRegression(C=30, max_iter=300)
    ),
}
figures = {}
for name, model in models.items():
    probabilities = model.fit(X[train], labels[train]).predict_proba(X[test])
    figures[name] = measure_votes(votes[test], probabilities, classes, n_bootstrap=100)
    print(
        f"{name:30}agrees with most people {figures[name]['majority_agreement']:.3f}, "
        f"misses shares by {figures[name]['share_error']:.3f}"
    )

# %%
# How sure, and how right
# -----------------------
# Each point is a fifth of the scale: on the right of the line a model says more than people do.

figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ax.plot([0, 1], [0, 1], "--", color="grey", label="as many as it says")
for name in list(models)[1:]:
    bins = figures[name]["reliability"]
    ax.plot([b["said"] for b in bins], [b["agreed"] for b in bins], "o-", label=name)
ax.set(
    xlabel="probability of the answer",
    ylabel="share of people who agree",
    title="Certainty of a model, and share of people",
)
_ = ax.legend(loc="upper left")

# %%
# Face by face
# ------------
# Below each face people (grey) and the model (blue). First come the faces of which the model is
# most sure that the label is wrong; often it is the label of somebody whom few would follow.

display = PredictionDisplay.from_estimator(
    models["HOG, strong penalty"], X[test], labels[test], votes=votes[test], n_wrong=8, n_right=8
)
_ = display.figure_.suptitle("What was said of faces, by people and by a model")

# %%
# What this does not show
# -----------------------
# What people see: nobody was asked. Of real faces `~emotion_estimators.PretrainedEmotionClassifier`
# learned the votes of ten people each, and its card says how well.
