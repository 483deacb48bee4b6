"""
A network that is trained already
=================================

`~emotion_estimators.PretrainedEmotionClassifier` classifies face crops without
training and without a download, and can be judged with scikit-learn's tools like a classifier
that was fitted here.
"""

# %%
# A real face
# -----------
# The portrait that comes with the package, cropped to the face.

import textwrap

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier, make_hog_classifier
from emotion_estimators.datasets import load_sample_photograph, make_faces
from emotion_estimators.inspection import OcclusionDisplay
from emotion_estimators.weights import get_card

(face,) = FaceCropper().transform([load_sample_photograph()])
classifier = PretrainedEmotionClassifier().fit([face], ["happy"])  # fit trains nothing
probabilities = classifier.predict_proba([face])[0]
for emotion, probability in zip(classifier.classes_, probabilities, strict=True):
    print(f"{emotion:10}{probability:.2f}")

# %%
# What decided
# ------------
# The darker the red, the more the probability falls when that part is covered.

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
left.imshow(face)
left.set_axis_off()
left.set_title("the face")
_ = OcclusionDisplay.from_estimator(classifier, face, ax=right)

# %%
# Beside baselines, on what it was not made for
# ---------------------------------------------
# It learned from photographs. Drawn faces are another world: it does better than a dummy there,
# and worse than a small model that learned from drawings.

X, y = make_faces(500, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=150, stratify=y, random_state=0)
for name, model in {
    "always the same class": DummyClassifier().fit(X_train, y_train),
    "pretrained on photographs": PretrainedEmotionClassifier(),
    "HOG, trained on drawings": make_hog_classifier(random_state=0).fit(X_train, y_train),
}.items():
    print(f"{name:27}{balanced_accuracy_score(y_test, model.predict(X_test)):.3f}")

# %%
# What is known of the model is on its card.

card = get_card("embedded")
print(textwrap.fill(f"accuracy {card.measured_accuracy:.3f} on {card.measured_on}", 88))
print(textwrap.fill(card.limits, 88))

# %%
# What this does not show
# -----------------------
# One portrait proves nothing, and the drawings say nothing about people. The figure on the card is
# for faces like FER2013's, with labels like FER2013's; for your own images, measure it with
# ``emotion-estimators evaluate``. And the image of what decided shows one way to look at one
# answer: it does not say that the reasons are good ones.
