"""The fixed first layers of the emoji network, against SciPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import correlate
from skimage.measure import block_reduce

try:
    import keras
except ModuleNotFoundError as error:
    pytest.skip(f"needs Keras and a backend: {error}", allow_module_level=True)

from emotion_estimators.datasets import load_emoji_sample
from emotion_estimators.images import read_image, resize_images, to_grey
from emotion_estimators.networks.emoji import build_edges_network, edge_filters


@pytest.fixture(scope="module")
def network():
    model = build_edges_network((48, 48), 2, filters=(4,), dropout=0.5)
    model.get_layer("edges").set_weights([edge_filters()])
    return model


@pytest.fixture(scope="module")
def images():
    """Return four grey emoji in 0..1, (4, 48, 48)."""
    paths = load_emoji_sample(vendor="google").data[::15]
    rgb = np.stack([read_image(path) for path in paths])
    return resize_images(to_grey(rgb), (48, 48)) / 255


def outputs(network, images, layer):
    """Return what a layer makes of grey images (n, h, w) in 0..1."""
    names = [one.name for one in network.layers]
    front = keras.Sequential(network.layers[: names.index(layer) + 1])
    return keras.ops.convert_to_numpy(front(images[..., np.newaxis].astype(np.float32)))


def test_edges_are_derivatives_of_standardised_pictures(network, images):
    standard = [(image - image.mean()) / image.std() for image in images]
    kernels = np.moveaxis(edge_filters()[:, :, 0], -1, 0)  # (16, 9, 9)
    edges = [[correlate(one, kernel, mode="constant") for kernel in kernels] for one in standard]
    cells = block_reduce(np.maximum(edges, 0), (1, 1, 4, 4), np.mean)  # (n, 16, 12, 12)
    expected = np.moveaxis(cells, 1, -1)
    # an epsilon of 1e-4 beside variances above 0.02 takes a part in 400 off answers below 1
    assert_allclose(outputs(network, images, "cells"), expected, rtol=0, atol=2.5e-3)


def test_filters_answer_to_their_own_direction():
    y, x = np.mgrid[-4:5, -4:5]
    filters = edge_filters()[:, :, 0]  # (9, 9, 16)
    angles = np.arange(8) * np.pi / 4
    ramps = np.cos(angles) * x[..., None] + np.sin(angles) * y[..., None]  # (9, 9, 8)
    answers = np.einsum("yxf,yxr->fr", filters, ramps)  # (16, 8)
    assert answers.argmax(axis=1).tolist() == [*range(8), *range(8)]
    # float32 sums of 81 products
    assert_allclose(filters.sum(axis=(0, 1)), 0, atol=1e-6)
    assert_allclose(np.abs(filters).sum(axis=(0, 1)), 1, rtol=1e-6)


def test_contrast_and_brightness_do_not_count(network, images):
    changed, as_is = (outputs(network, x, "normalise") for x in (0.3 + 0.5 * images, images))
    # an epsilon of 1e-4 weighs against variances above 0.02, and above 0.005 at half the contrast
    assert_allclose(changed, as_is, rtol=0, atol=0.02)
    assert np.ptp(as_is) > 3
