"""
Face embeddings, computed once
==============================

An embedder is slow and its answers never change. With a cache each distinct image goes through
the network once, however many folds and candidates a search has.
"""

# %%
# Data, and weights that mean nothing
# -----------------------------------
# ``weights=None`` is a network that is not trained, always the same, without a download: right
# for showing how the parts fit together, wrong for anything else. Leave `weights` out and the
# trained network is downloaded, once.

import time

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV

from emotion_estimators import make_facenet_classifier
from emotion_estimators.datasets import make_faces

X, y = make_faces(60, emotions=["happy", "surprise"], random_state=0)
X_train, y_train, X_test, y_test = X[:40], y[:40], X[40:], y[40:]

# %%
# A search, with and without a cache
# ----------------------------------
# Two folds and three candidates. The cache turns eight rounds of embedding into one. ``C`` is
# large because vectors of random weights differ little.

seconds = {}
for cache in (None, "memory"):
    model = make_facenet_classifier(weights=None, image_size=80, cache=cache)
    search = GridSearchCV(model, {"svc__C": [1e3, 1e4, 1e5]}, cv=2)
    start = time.perf_counter()
    search.fit(X_train, y_train)
    seconds[cache] = time.perf_counter() - start
print(f"without a cache {seconds[None]:.1f} s, with one {seconds['memory']:.1f} s")

figure, ax = plt.subplots(figsize=(6, 2), layout="constrained")
bars = ax.barh(["without a cache", "with a cache"], list(seconds.values()))
ax.bar_label(bars, fmt="%.1f s", padding=3)
_ = ax.set(title="Time of a grid search", xlabel="seconds", xmargin=0.2)

# %%
# With ``n_jobs`` above 1 give a folder instead of "memory": processes share no memory.

# %%
# Beside a baseline
# -----------------

dummy = DummyClassifier().fit(X_train, y_train)
print(f"always the same class         {dummy.score(X_test, y_test):.3f}")
print(f"random FaceNet, linear SVM    {search.score(X_test, y_test):.3f}")

# %%
# What this does not show
# -----------------------
# How good FaceNet is. Even a random network keeps something of an image, which is all that the
# score says; twenty drawn faces would be too few in any case. Nor how fast it is: these images are
# resized to 80 x 80 pixels, a quarter of the 160 x 160 that the trained weights want.
