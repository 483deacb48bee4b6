"""
Saving and loading
==================

A fitted estimator is a Python object: joblib writes it and reads it back. What is in the file,
how large is it, and does it still say the same?
"""

# %%
# Fit
# ---

from pathlib import Path
from tempfile import mkdtemp

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier

from emotion_estimators import (
    PretrainedEmotionClassifier,
    make_embedding_classifier,
    make_hog_classifier,
)
from emotion_estimators.datasets import make_faces

X, y = make_faces(300, random_state=0)
models = {
    "a dummy": DummyClassifier(),
    "trained network": PretrainedEmotionClassifier(),
    "features of the network": make_embedding_classifier(),
    "HOG and an SVM": make_hog_classifier(random_state=0),
    "kernel ridge on HOG": make_hog_classifier("fer2013", random_state=0),
}
for model in models.values():
    model.fit(X[:200], y[:200])

# %%
# Save, load, compare
# -------------------
# Read only files that you trust: like all pickles they may run code. skops reads models from
# strangers, see :doc:`/security`.

folder, size = Path(mkdtemp()), {}
for name, model in models.items():
    file = folder / f"{name}.joblib"
    joblib.dump(model, file, compress=3)
    loaded = joblib.load(file)
    same = np.array_equal(loaded.predict(X[200:]), model.predict(X[200:]))
    size[name] = file.stat().st_size / 1024
    print(f"{name:26}{size[name]:8.0f} KiB  right {loaded.score(X[200:], y[200:]):.3f}  {same=}")

# %%
# How large are they?
# -------------------
# The trained network comes with the package, so that a file holds its name and its hash, not its
# weights. Kernel ridge keeps the features of all the images that it learned from.

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
bars = ax.barh(list(size), list(size.values()))
ax.bar_label(bars, fmt="%.0f KiB", padding=3)
ax.set_xscale("log")
ax.set_xlim(0.3, 300_000)
_ = ax.set(title="Size of the saved classifiers", xlabel="KiB")

# %%
# What this does not show
# -----------------------
# That a file can be read by other versions: keep the versions beside it, as with all of
# scikit-learn. Networks that are trained here can also be written as ONNX files, for programs
# without Python: ``export_onnx`` of `~emotion_estimators.EmotionCNNClassifier`.
