"""
A small network for emoji
=========================

`~emotion_estimators.EmojiCNNClassifier` trains a Keras network on small images. Here it
learns from one vendor's emoji, and is asked about those of a vendor that it never saw.
"""

# %%
# Data
# ----
# Happy and sad emoji by two vendors, Noto and Twemoji, which come with the package.

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from emotion_estimators import EmojiCNNClassifier, HOGTransformer
from emotion_estimators.datasets import load_emoji_sample
from emotion_estimators.images import read_image

X_train, y_train = load_emoji_sample(vendor="google", return_X_y=True)
X_test, y_test = load_emoji_sample(vendor="twitter", return_X_y=True)
print(f"{len(X_train)} emoji to learn from, {len(X_test)} of a vendor never seen")

figure, axes = plt.subplots(2, 6, figsize=(9, 3), layout="constrained")
for row, (pictures, title) in enumerate([(X_train, "to learn from"), (X_test, "to be asked")]):
    axes[row, 0].set_title(f"emoji {title}", loc="left")
    for ax, picture in zip(axes[row], pictures[::10], strict=False):
        ax.imshow(read_image(picture))
        ax.set_axis_off()

# %%
# Training
# --------
# Twenty epochs instead of the 240 of the default, so that this page is built in seconds.

network = EmojiCNNClassifier(max_epochs=20, random_state=0)
network.fit(X_train, y_train)

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(range(1, 21), [epoch["train_loss"] for epoch in network.history_])
_ = ax.set(xlabel="epoch", ylabel="training loss", title="Training loss", xticks=range(2, 21, 2))

# %%
# Beside baselines
# ----------------
# On a few dozen clean images features made by hand are hard to beat.

for name, model in {
    "always the same class": DummyClassifier().fit(X_train, y_train),
    "HOG, logistic regression": make_pipeline(
        HOGTransformer(image_size=48), LogisticRegression(max_iter=1000)
    ).fit(X_train, y_train),
    "the network": network,
}.items():
    print(f"{name:26}{model.score(X_test, y_test):.3f}")

# %%
# What this does not show
# -----------------------
# How good the network is on emoji that nobody drew before: both vendors draw the same 58. Keep all
# images of one emoji on one side of the split for that (``GroupKFold`` with ``code_points`` of
# `~emotion_estimators.datasets.load_emoji_sample`). And 58 images are few: one is 1.7 points.
