"""
Faces with HOG features and a grid search
=========================================

A classifier of faces that learns in seconds: histograms of oriented gradients, and a linear SVM
whose settings a grid search chooses.
"""

# %%
# Data
# ----
# 600 drawn faces with seven expressions. A list of image files would do as well.

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, train_test_split

from emotion_estimators import HOGTransformer, make_hog_classifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.inspection import PredictionDisplay

X, y = make_faces(600, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)

# %%
# What HOG sees
# -------------
# For each cell of 8 x 8 pixels, how much edge there is in each of nine directions.

stars = HOGTransformer(cells_per_block=(2, 2)).hog_image(X_train[:4])
figure, axes = plt.subplots(2, 4, figsize=(8, 4), layout="constrained")
for i, (face, star) in enumerate(zip(X_train, stars, strict=False)):
    axes[0, i].imshow(face, cmap="gray")
    axes[0, i].set_title(y_train[i])
    axes[1, i].imshow(star, cmap="gray")
for ax in axes.flat:
    ax.set_axis_off()

# %%
# The search
# ----------
# The pipeline's steps are ``hog`` and ``svc``, and their parameters are searched as in any
# other pipeline of scikit-learn.

search = GridSearchCV(
    make_hog_classifier(random_state=0),
    {"hog__orientations": [6, 9], "hog__pixels_per_cell": [(6, 6), (8, 8)], "svc__C": [0.01, 0.1]},
    cv=3,
)
search.fit(X_train, y_train)
print(search.best_params_)

# %%
# Beside a baseline
# -----------------

dummy = DummyClassifier().fit(X_train, y_train)
print(f"always the same class:  {dummy.score(X_test, y_test):.3f}")
print(f"HOG and a linear SVM:   {search.score(X_test, y_test):.3f}")

# %%
# Where it goes wrong
# -------------------

y_pred = search.predict(X_test)
figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    y_test,
    y_pred,
    normalize="true",
    values_format=".2f",
    cmap="Blues",
    xticks_rotation="vertical",
    ax=ax,
)
_ = ax.set_title("Confusion matrix of HOG and a linear SVM")

# %%
# The most confident errors come first.

sheet = PredictionDisplay.from_predictions(
    X_test,
    y_test,
    y_pred,
    confidence=search.decision_function(X_test).max(axis=1),
    n_wrong=8,
    n_right=8,
)
_ = sheet.figure_.suptitle("The surest errors, and some right answers")

# %%
# What this does not show
# -----------------------
# How well it works on people. The faces are drawings whose expressions are clear and whose labels
# are right; on photographs of faces the same pipeline gets far fewer right, as
# :doc:`/which_estimator` shows. Nor do 150 test faces tell apart settings that differ by a few
# hundredths.
