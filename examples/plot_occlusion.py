"""
What decided?
=============

Cover one part of a face after the other, and see how the answer changes. That works for every
classifier; here for two of them, and two faces.
"""

# %%
# Two classifiers
# ---------------
# One was trained on photographs, the other learns from drawings.

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier

from emotion_estimators import PretrainedEmotionClassifier, make_hog_classifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.inspection import OcclusionDisplay

X, y = make_faces(300, random_state=0)
models = {
    "network, of photographs": PretrainedEmotionClassifier(),
    "HOG, of drawings": make_hog_classifier(probability=True, random_state=0).fit(X[8:], y[8:]),
}
faces = {emotion: X[:8][y[:8] == emotion][0] for emotion in ("happy", "surprise")}
for name, model in models.items():
    for emotion, face in faces.items():
        (answer,), share = model.predict([face]), model.predict_proba([face]).max()
        print(f"{name:25}says {answer} ({share:.2f}) of a face that is {emotion}")

# %%
# Where is happiness, where surprise?
# -----------------------------------
# Red: the probability of the true class falls when this part is covered. Blue: it rises.

figure, axes = plt.subplots(2, 2, figsize=(8, 7), layout="constrained")
for row, (name, model) in zip(axes, models.items(), strict=True):
    for ax, (label, face) in zip(row, faces.items(), strict=True):
        OcclusionDisplay.from_estimator(model, face, label=label, stride=4, ax=ax)
        ax.set_title(f"What makes it {label}?\n{name}")

# %%
# Beside a baseline
# -----------------
# A dummy does not look: its map is empty.

dummy = DummyClassifier(strategy="prior").fit(X, y)
for name, model in {**models, "a dummy": dummy}.items():
    display = OcclusionDisplay.from_estimator(model, faces["happy"], label="happy", stride=8)
    print(f"{name:25}largest change {abs(display.heat).max():.3f}")
    plt.close(display.figure_)

# %%
# What this does not show
# -----------------------
# Reasons. A grey square is a thing that no face has, and what a model makes of it may be odd; where
# two parts say the same, covering one of them changes nothing. It shows one answer about one face.
