"""Fixtures of the face network, which is large: made once per session."""

import numpy as np
import pytest

from emotion_estimators.networks.facenet.engine import random_state


@pytest.fixture(scope="session")
def face_state():
    """Return a random state dict; tests must not write into it."""
    state = random_state(0)
    for values in state.values():
        values.flags.writeable = False
    return state


@pytest.fixture(scope="session")
def standardised():
    """Return 16 standardised images, half of them smooth, half noise."""
    rng = np.random.default_rng(1)
    coarse = rng.normal(size=(16, 3, 8, 8)).repeat(20, axis=2).repeat(20, axis=3)
    images = np.concatenate([coarse, rng.normal(size=(16, 3, 160, 160))])
    images = np.clip(images[::2] / 2, -1, 1).astype(np.float32)  # (16, 3, 160, 160)
    images.flags.writeable = False
    return images
