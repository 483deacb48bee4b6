"""
A few faces of classes of one's own
===================================

`~emotion_estimators.EmotionEmbedder` hands out what the trained network makes of a face, 256
numbers. How many faces does it take to learn other classes on them?
"""

# %%
# Data
# ----
# Two classes that the network does not know, made of seven expressions: those that ask for help,
# and the others.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_estimators import EmotionEmbedder, HOGTransformer, make_embedding_classifier
from emotion_estimators.datasets import make_faces

X, emotions = make_faces(400, random_state=0)
y = np.where(np.isin(emotions, ["sad", "fear", "angry"]), "help", "fine")
n_test = 200

# %%
# All at once
# -----------
# `~emotion_estimators.make_embedding_classifier` is the embedder and a logistic regression.

few = make_embedding_classifier().fit(X[n_test:][:40], y[n_test:][:40])
print(f"learned from 40 faces: {few.score(X[:n_test], y[:n_test]):.3f}")

# %%
# From 4 to 80 faces
# ------------------
# The features of each face are worked out once; five draws of the faces to learn from.

features = {
    "EmotionEmbedder": EmotionEmbedder().fit_transform(X),
    "HOG": HOGTransformer(pixels_per_cell=(8, 8), cells_per_block=(2, 2)).fit_transform(X),
}
sizes = [4, 10, 20, 40, 80]
draws = [np.random.default_rng(seed).permutation(np.arange(n_test, 400)) for seed in range(5)]
scores = {}
for name, Z in features.items():
    learner = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    scores[name] = [
        np.mean(
            [
                learner.fit(Z[rows], y[rows]).score(Z[:n_test], y[:n_test])
                for rows in (
                    np.concatenate([draw[y[draw] == c][: n // 2] for c in ("help", "fine")])
                    for draw in draws
                )
            ]
        )
        for n in sizes
    ]
dummy = DummyClassifier().fit(X[n_test:], y[n_test:]).score(X[:n_test], y[:n_test])

figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, line in scores.items():
    ax.plot(sizes, line, "o-", label=name)
ax.axhline(dummy, color="grey", linestyle="--", label="always the same class")
ax.set_xscale("log")
ax.set_xticks(sizes, labels=[str(n) for n in sizes])
ax.set_xticks([], minor=True)
ax.set(title="Accuracy by faces to learn from", xlabel="faces", ylabel="accuracy")
ax.legend(loc="lower right")
print(f"always the same class: {dummy:.3f}")
for name, line in scores.items():
    print(f"{name}, 20 faces: {line[2]:.3f}")

# %%
# What this does not show
# -----------------------
# How it goes on photographs, for which these features were made: ``benchmarks/few_shot.py``
# measures that on FER2013. Nor that any of this tells who needs help.
