"""
From a photograph to a table of faces
=====================================

Find the faces of a photograph, say what emotion each shows, and draw it. Nothing is downloaded.
"""

# %%
# The table
# ---------
# One row for each face, and one for each photograph in which there is none or that cannot be
# read: as many photographs come out as went in.

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.analysis import analyze_faces
from emotion_estimators.datasets import load_sample_photograph, make_scenes
from emotion_estimators.inspection import draw_faces
from emotion_estimators.labels import EMOTIONS

scene = make_scenes(1, image_size=96, random_state=0)[0][0]  # drawn, without a face
photographs = [load_sample_photograph(), scene, "lost.jpg"]
cropper = FaceCropper(image_size=96)
table = analyze_faces(photographs, cropper=cropper)
table[["row", "status", "x", "y", "width", "height", "emotion"]]

# %%
# The faces, drawn
# ----------------

figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ax.imshow(draw_faces(photographs[0], table[table["row"] == 0]))
ax.set_title("A photograph with a box and an emotion for each face")
ax.set_axis_off()

# %%
# Without the cropper, and beside a baseline
# ------------------------------------------
# A classifier of face crops answers for any image, be it a whole photograph or a drawn boat.
# The surer answer is not the truer one: compare it with a dummy, which gives every class a
# seventh.

classifier = PretrainedEmotionClassifier()
dummy = DummyClassifier(strategy="uniform").fit(list(EMOTIONS), list(EMOTIONS))
crop = cropper.transform(photographs[:1])[0]
for name, model, picture in [
    ("face, cropped", classifier, crop),
    ("whole photograph", classifier, photographs[0]),
    ("drawn scene", classifier, photographs[1]),
    ("face, to a dummy", dummy, crop),
]:
    probabilities = model.predict_proba([picture])[0]
    print(f"{name:18}{EMOTIONS[probabilities.argmax()]:10}{probabilities.max():.2f}")

# %%
# What this does not show
# -----------------------
# How many faces are found; those below some 10 px are not. And one smiling portrait says nothing
# about how often the emotion is right.
