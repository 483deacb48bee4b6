"""
A confusion matrix on a folder of one's own
===========================================

Face crops lie in one folder for each class. Which classes does a classifier take for which? The
network that is trained already is asked, and one that learns from the folder itself.
"""

# %%
# A folder
# --------
# Drawn faces here. With your own, ``folder`` is all that changes: ``folder/happy/anna.jpg``,
# ``folder/sad/ben.png`` and so on.

from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.metrics import ConfusionMatrixDisplay, balanced_accuracy_score
from sklearn.model_selection import train_test_split

from emotion_estimators import PretrainedEmotionClassifier, make_hog_classifier
from emotion_estimators.datasets import load_image_folder, make_faces

folder = Path(mkdtemp())
for number, (face, emotion) in enumerate(zip(*make_faces(420, random_state=0), strict=True)):
    (folder / emotion).mkdir(exist_ok=True)
    Image.fromarray(face).save(folder / emotion / f"{number}.png")

# %%
# Read it
# -------
# What comes back are paths and names of classes: images are read when they are needed.

paths, y = load_image_folder(folder, return_X_y=True)
train, test, y_train, y_test = train_test_split(paths, y, test_size=0.5, stratify=y, random_state=0)
print(Path(train[0]).relative_to(folder), len(train), len(test))

# %%
# Ask
# ---
# Rows are what the faces show, columns what is said; each row sums to 1. The network learned from
# photographs of people: of drawings it takes fear and anger for surprise, and disgust for anger.

answers = {
    "the trained network": PretrainedEmotionClassifier().predict(test),
    "HOG, learned from the folder": make_hog_classifier(random_state=0)
    .fit(train, y_train)
    .predict(test),
}
figure, axes = plt.subplots(1, 2, figsize=(10, 6), layout="constrained")
for ax, (name, y_pred) in zip(axes, answers.items(), strict=True):
    ConfusionMatrixDisplay.from_predictions(
        y_test,
        y_pred,
        normalize="true",
        values_format=".1f",
        cmap="Blues",
        xticks_rotation="vertical",
        colorbar=False,
        ax=ax,
    )
    ax.set_title(f"Confusion matrix:\n{name}")

# %%
# Beside a baseline
# -----------------
# Balanced accuracy is the mean of the diagonal.

answers["always the same class"] = DummyClassifier().fit(train, y_train).predict(test)
for name, y_pred in answers.items():
    print(f"{name:30}{balanced_accuracy_score(y_test, y_pred):.3f}")

# %%
# On the command line, with intervals and a page of the errors::
#
#     emotion-estimators evaluate FOLDER --out evaluation

# %%
# What this does not show
# -----------------------
# How good either is on people: these are drawings, and a folder of them is nobody's own. Thirty
# test faces a class leave an interval of 17 points on each number of the diagonal.
