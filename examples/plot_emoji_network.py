"""
A small network for emoji
=========================

`~emotion_estimators.EmojiCNNClassifier` trains a Keras network on small pictures. Here it
learns from some styles of drawing, and is asked about a style that it never saw.
"""

# %%
# Data
# ----
# Drawn emoji of seven emotions. A style stands for what a vendor is among real emoji.

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from emotion_estimators import EmojiCNNClassifier, HOGTransformer
from emotion_estimators.datasets import make_emoji

X, y, style = make_emoji(420, image_size=48, return_styles=True, random_state=0)
unseen = style == "line"
X_train, y_train, X_test, y_test = X[~unseen], y[~unseen], X[unseen], y[unseen]
print(f"{len(X_train)} emoji to learn from, {len(X_test)} in a style never seen")

figure, axes = plt.subplots(2, 6, figsize=(9, 3), layout="constrained")
for row, (pictures, title) in enumerate([(X_train, "to learn from"), (X_test, "to be asked")]):
    axes[row, 0].set_title(title, loc="left")
    for ax, picture in zip(axes[row], pictures, strict=False):
        ax.imshow(picture)
        ax.set_axis_off()

# %%
# Training
# --------
# Ten epochs instead of the 240 of the default, so that this page is built in seconds.

network = EmojiCNNClassifier(epochs=10, filters=(32, 48), random_state=0)
network.fit(X_train, y_train)

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot([epoch["train_loss"] for epoch in network.history_])
_ = ax.set(xlabel="epoch", ylabel="training loss")

# %%
# Beside baselines
# ----------------
# On a few hundred clean drawings features made by hand are hard to beat.

for name, model in {
    "always the same class": DummyClassifier().fit(X_train, y_train),
    "HOG, logistic regression": make_pipeline(
        HOGTransformer(), LogisticRegression(max_iter=1000)
    ).fit(X_train, y_train),
    "the network": network,
}.items():
    print(f"{name:26}{model.score(X_test, y_test):.3f}")

# %%
# What this does not show
# -----------------------
# How good the network is: seventy pictures of one style are few, ten epochs of a narrow network
# are short, and the emoji are drawn by this library. With real emoji keep all pictures of one
# emoji, or all of one vendor, on one side of the split (``GroupKFold`` with ``code_points``,
# ``LeaveOneGroupOut`` with ``vendor``, both of `~emotion_estimators.datasets.load_emoji`);
# otherwise the same smiley stands on both.
