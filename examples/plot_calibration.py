"""
Probabilities that mean what they say
=====================================

Of the answers that a model gives at 0.8, four in five should be right. Where that is not so, a
temperature mends it: one number, learned on images that the model has not seen.
"""

# %%
# A model that is too modest
# --------------------------
# HOG features are small numbers. With the usual penalty on its weights a logistic regression finds
# the right classes among them, and dares not say so.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import make_faces
from emotion_estimators.metrics import expected_calibration_error

X, y = make_faces(500, random_state=0)
X_train, y_train, X_test, y_test = X[:200], y[:200], X[200:], y[200:]

modest = make_pipeline(HOGTransformer(pixels_per_cell=(12, 12)), LogisticRegression(max_iter=500))

# %%
# Three ways to probabilities
# ---------------------------
# Five folds of the training faces are enough for one number. A dummy that says how common each
# class is has a small calibration error, too, and knows nothing: look at both columns.

models = {
    "shares of the classes (dummy)": DummyClassifier(strategy="prior"),
    "as it is": modest,
    "with a temperature": CalibratedClassifierCV(modest, method="temperature", ensemble=False),
    "with sigmoids": CalibratedClassifierCV(modest, method="sigmoid", ensemble=False),
}
given = {}
print(f"{'':32}right  calibration error  log loss")
for name, model in models.items():
    p = given[name] = model.fit(X_train, y_train).predict_proba(X_test)
    error = expected_calibration_error(y_test, p, labels=model.classes_)
    right = np.mean(model.classes_[p.argmax(axis=1)] == y_test)
    print(f"{name:32}{right:.3f}  {error:.3f}              {log_loss(y_test, p):.3f}")

# %%
# The curve
# ---------
# The probability of the answer, and how often it is right.

figure, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
for name in list(models)[1:]:
    is_right = models[name].classes_[given[name].argmax(axis=1)] == y_test
    CalibrationDisplay.from_predictions(
        is_right, given[name].max(axis=1), n_bins=6, strategy="quantile", name=name, ax=ax
    )
_ = ax.set(
    xlabel="probability of the answer",
    ylabel="share of right answers",
    title="Calibration curves",
)

# %%
# What this does not show
# -----------------------
# That calibration lasts: it holds for faces like those it was learned from. Nor that it makes
# answers better: a temperature changes none of them.
