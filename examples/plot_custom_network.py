"""
A network of one's own
======================

`~emotion_estimators.EmotionCNNClassifier` trains any module of torch that takes grey images and
gives a score for each class. The rest stays: reading, scaling, augmentation, folds, searches.
"""

# %%
# The network
# -----------
# A function of the size of the images, which does not matter here, and the number of classes.

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score
from torch import nn

from emotion_estimators import EmotionCNNClassifier
from emotion_estimators.datasets import make_faces


def build(_image_size, n_classes):
    """Return a network of two convolutions, from (n, 1, height, width) to (n, n_classes)."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, stride=2, padding=2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
        nn.Linear(24 * 9, n_classes),
    )


X, y = make_faces(300, image_size=32, emotions=["happy", "sad", "surprise"], random_state=0)
own = EmotionCNNClassifier(
    network=build,
    image_size=32,
    max_epochs=10,
    batch_size=16,
    learning_rate=0.05,
    augmentation=0.3,
    ema_decay=None,
    random_state=0,
)

# %%
# Two folds
# ---------
# The function travels with the estimator, so that it can be cloned and searched.

dummy = cross_val_score(DummyClassifier(), X, y, cv=2)
scores = cross_val_score(own, X, y, cv=2)
print(f"always the same class  {dummy.mean():.3f}")
print(f"a network of one's own {scores.mean():.3f}")

# %%
# What the first layer looks at
# -----------------------------
# ``network_`` is what was trained, a module of torch; the own one is its ``network``, before which
# stands the scaling that was learned from the training images.

own.fit(X, y)
filters = own.network_.network[0].weight.detach().numpy()[:, 0]
print(sum(p.numel() for p in own.network_.parameters()), "weights")
figure, axes = plt.subplots(2, 6, figsize=(7, 2.8), layout="constrained")
for ax, picture in zip(axes.flat, filters, strict=True):
    ax.imshow(picture, cmap="RdBu")
    ax.set_axis_off()
_ = figure.suptitle("Filters of the first layer, 5 x 5 pixels each")

# %%
# What this does not show
# -----------------------
# That one's own network is better: on faces of people, ``network="small"`` and "large" were chosen
# by measurement, and this one was not.
