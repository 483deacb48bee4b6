"""
HOG features, drawn
===================

A histogram of oriented gradients says for each cell of an image how much edge there is in each
direction. How large should the cells be, and how many directions?
"""

# %%
# One face, four settings
# -----------------------
# The stars show what is left of the face: each ray is as bright as there is edge along it.

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import make_faces

X, y = make_faces(500, random_state=0)
settings = {
    "cells of 16 px, 9 directions": {"pixels_per_cell": (16, 16)},
    "cells of 8 px, 9 directions": {"pixels_per_cell": (8, 8)},
    "cells of 8 px, 3 directions": {"pixels_per_cell": (8, 8), "orientations": 3},
    "cells of 4 px, 9 directions": {"pixels_per_cell": (4, 4)},
}
hogs = {name: HOGTransformer(cells_per_block=(2, 2), **chosen) for name, chosen in settings.items()}

figure, axes = plt.subplots(1, 5, figsize=(12, 3), layout="constrained")
axes[0].imshow(X[1], cmap="gray")
axes[0].set_title(f"a face: {y[1]}")
for ax, (name, hog) in zip(axes[1:], hogs.items(), strict=True):
    ax.imshow(hog.hog_image(X[1:2])[0], cmap="gray")
    ax.set_title("HOG: " + name.replace(", ", ",\n"))
for ax in axes:
    ax.set_axis_off()

# %%
# What each is good for
# ---------------------
# Large cells do not say where an edge is, few directions not how it runs, and small cells change
# when a face moves by a few pixels.

X_train, y_train, X_test, y_test = X[:300], y[:300], X[300:], y[300:]
print(f"{'always the same class':30}{DummyClassifier().fit(X, y).score(X_test, y_test):.3f}")
for name, hog in hogs.items():
    model = make_pipeline(hog, LinearSVC(C=0.1, random_state=0)).fit(X_train, y_train)
    n_features = model[:-1].transform(X_test[:1]).shape[1]
    print(f"{name:30}{model.score(X_test, y_test):.3f}  {n_features:5} features")

# %%
# Where a feature is
# ------------------
# Names say block, cell and direction, so that weights can be put back into the face.

print(hogs["cells of 8 px, 9 directions"].fit(X).get_feature_names_out()[[0, 1, 899]])

# %%
# What this does not show
# -----------------------
# Which settings are best for photographs, whose faces stand less alike than drawings and have noise
# of other kinds: search for them, as :doc:`plot_hog_search` does.
