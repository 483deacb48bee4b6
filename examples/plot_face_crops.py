"""
Face crops from a photograph
============================

Classifiers want faces, cut out. `~emotion_estimators.FaceCropper` finds and cuts them, and is the
first step of a pipeline that is given whole photographs.
"""

# %%
# One photograph, several crops
# -----------------------------
# The portrait that comes with the package, and the same turned by 20 degrees.

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.datasets import load_sample_photograph
from emotion_estimators.images import read_image
from emotion_estimators.labels import EMOTIONS

photograph = Image.fromarray(read_image(load_sample_photograph()))
turned = photograph.rotate(20, fillcolor=(128, 128, 128))
(faces,) = FaceCropper().detect([photograph])
print(f"{len(faces)} face at {faces.boxes[0].round().tolist()}, score {faces.scores[0]:.2f}")

crops = {
    "as FER2013 has them": FaceCropper(),
    "margin of 0.4": FaceCropper(margin=0.4),
    "aligned": FaceCropper(align=True),
    "aligned, margin of 0.4": FaceCropper(align=True, margin=0.4),
}
figure, axes = plt.subplots(2, 5, figsize=(11, 5), layout="constrained")
for row, picture in zip(axes, (photograph, turned), strict=True):
    row[0].imshow(picture)
    row[0].set_title("the photograph" if picture is photograph else "turned")
    for ax, (name, cropper) in zip(row[1:], crops.items(), strict=True):
        ax.imshow(cropper.transform([picture])[0])
        ax.set_title("face crop:\n" + name.replace(", ", ",\n"), fontsize=9)
for ax in axes.flat:
    ax.set_axis_off()

# %%
# As the first step of a pipeline
# -------------------------------
# The network wants tight crops, as it was trained on. Given the whole photograph, which shows more
# than a face, it is less sure; it would answer where there is no face, too.

classifier = PretrainedEmotionClassifier()
whole = np.asarray(photograph)
dummy = DummyClassifier(strategy="uniform").fit(list(EMOTIONS), list(EMOTIONS))
print(f"{'':28}{'upright':18}turned")
for name, model in {
    **{name: make_pipeline(cropper, classifier) for name, cropper in crops.items()},
    "whole photograph": classifier,
    "a dummy": dummy,
}.items():
    answers = model.predict_proba([whole, np.asarray(turned)])
    told = [f"{EMOTIONS[p.argmax()]} {p.max():.2f}" for p in answers]
    print(f"{name:28}{told[0]:18}{told[1]}")

# %%
# What this does not show
# -----------------------
# Faces that are not found: small ones, those seen from the side, those that hands or masks cover.
# ``on_no_face`` says what becomes of such a photograph. And of one face nothing can be said about
# which crop is best: measure it on labelled photographs.
