"""
Several labels, in folds
========================

Where images have several labels, some of them rare, folds should share each of them out evenly.
`~emotion_estimators.model_selection.IterativeStratifiedKFold` does; `KFold` leaves it to chance,
and `StratifiedKFold` refuses such labels.
"""

# %%
# Data
# ----
# 200 drawn scenes of ten kinds of things.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import SCENE_LABELS, make_scenes
from emotion_estimators.metrics import macro_average_precision_scorer
from emotion_estimators.model_selection import IterativeStratifiedKFold

X, Y = make_scenes(200, image_size=32, random_state=0)

# %%
# How many of each label are in each fold?
# ----------------------------------------

folds = {
    "KFold": KFold(5, shuffle=True, random_state=0),
    "IterativeStratifiedKFold": IterativeStratifiedKFold(5, shuffle=True, random_state=0),
}
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained", sharey=True)
for ax, (name, splitter) in zip(axes, folds.items(), strict=True):
    counts = np.array([Y[test].sum(axis=0) for _, test in splitter.split(X, Y)])
    ax.imshow(counts.T, cmap="Blues", vmin=0, vmax=24, aspect="auto")
    for (fold, label), count in np.ndenumerate(counts):
        color = "white" if count > 14 else "black"
        ax.text(fold, label, count, ha="center", va="center", fontsize=8, color=color)
    ax.set(title=f"Images of each label in each fold:\n{name}", xlabel="fold", xticks=range(5))
axes[0].set_yticks(range(10), labels=SCENE_LABELS)
plt.show()

# %%
# Scores, fold by fold
# --------------------
# Average precision of a label is not known where no test image has it. The scorer leaves that label
# out of the mean.

models = {
    "shares of the labels (dummy)": DummyClassifier(strategy="prior"),
    "HOG": make_pipeline(
        HOGTransformer(pixels_per_cell=(4, 4), cells_per_block=(2, 2)),
        StandardScaler(),
        MultiOutputClassifier(LogisticRegression(C=0.003, max_iter=300)),
    ),
}
for name, model in models.items():
    for splitter in folds.values():
        scores = cross_val_score(model, X, Y, cv=splitter, scoring=macro_average_precision_scorer)
        print(
            f"{name:30}{type(splitter).__name__:26}"
            f"{scores.mean():.3f}, from {scores.min():.3f} to {scores.max():.3f}"
        )

# %%
# What this does not show
# -----------------------
# That even folds give better scores: they give scores of the same thing in each fold. And images of
# the same person, or emoji by several vendors, must stay in one fold whatever their labels are:
# that is what `GroupKFold` is for.
