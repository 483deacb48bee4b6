"""
Stopped, and going on
=====================

A training that may be stopped writes its state after each epoch, and goes on from there: with the
same weights in the end, bit for bit.
"""

# %%
# A training that is stopped
# --------------------------
# A callback of skorch stands for the power cut, after the third epoch of eight.

from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from skorch.callbacks import Callback

from emotion_estimators import EmotionCNNClassifier
from emotion_estimators.datasets import make_faces

X, y = make_faces(360, image_size=24, emotions=["happy", "sad", "surprise"], random_state=0)
X_train, y_train, X_test, y_test = X[:240], y[:240], X[240:], y[240:]


class PowerCut(Callback):
    """End the training after its third epoch."""

    def on_epoch_end(self, net, **_):
        """Raise an error."""
        if len(net.history) == 3:
            raise RuntimeError("no electricity")


def network(**parameters):
    """Return a small network, always with the same seed."""
    return EmotionCNNClassifier(
        network={"stem_width": 8, "widths": (8, 16), "n_blocks": (0, 1)},
        image_size=24,
        max_epochs=8,
        n_iter_no_change=None,
        augmentation=0,
        batch_size=16,
        learning_rate=0.05,
        ema_decay=None,
        random_state=0,
        **parameters,
    )


folder = Path(mkdtemp())
stopped = network(checkpoint_dir=folder, callbacks=[PowerCut()])
try:
    stopped.fit(X_train, y_train)
except RuntimeError as error:
    print(f"stopped: {error}")
print([file.name for file in folder.glob("*/*")], hasattr(stopped, "classes_"))

# %%
# Going on
# --------
# ``resume=True`` looks for the state of this very fit: same images, labels, parameters, seed. Five
# epochs are left; the whole training is done once more without a stop, to compare.

resumed = network(checkpoint_dir=folder, resume=True).fit(X_train, y_train)
whole = network().fit(X_train, y_train)
same = np.array_equal(resumed.predict_proba(X_test), whole.predict_proba(X_test))
print(f"epochs: {len(resumed.history_)} and {len(whole.history_)}, the same answers: {same}")

figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
losses = [epoch["train_loss"] for epoch in whole.history_]
ax.plot(range(1, 9), losses, "o-", label="without a stop")
losses = [epoch["train_loss"] for epoch in resumed.history_]
ax.plot(range(1, 9), losses, "x--", label="stopped and resumed")
ax.axvline(3, color="grey", linestyle=":", label="stopped here")
ax.set(title="Training loss of two trainings", xlabel="epoch", ylabel="training loss")
_ = ax.legend(loc="upper right")

# %%
# Beside a baseline
# -----------------

dummy = DummyClassifier().fit(X_train, y_train)
print(f"always the same class   {dummy.score(X_test, y_test):.3f}")
print(f"stopped and resumed     {resumed.score(X_test, y_test):.3f}")
print(f"without a stop          {whole.score(X_test, y_test):.3f}")

# %%
# What this does not show
# -----------------------
# A good network: eight epochs of a tiny one on drawings of 24 px. On a GPU, or with another number
# of threads, a resumed training ends at nearly the same weights, not at the same ones.
