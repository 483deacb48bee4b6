"""Predictions from stored weights: independent of neighbours, equal to torch."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("torch", reason="predictions run in torch")

import torch

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.training.inference import class_probabilities, restore_network

# as by default, where convolutions are large enough to be split among threads
ARCHITECTURE = {"n_classes": 7, "stem_width": 32, "widths": [48, 96, 192], "n_blocks": [0, 1, 1]}


def building(weights):
    return partial(restore_network, partial(EmotionCNN, **ARCHITECTURE), weights)


@pytest.fixture(scope="module")
def weights():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = EmotionCNN(**ARCHITECTURE, mean=0.5, std=0.25)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                torch.nn.init.uniform_(module.weight, 0.5, 1.0)
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 48, 48), dtype=np.uint8)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_prediction_does_not_depend_on_its_place(weights, images, mirrored):
    network = building(weights)()
    together = class_probabilities(network, images, batch_size=12, mirrored=mirrored)
    order = np.random.default_rng(1).permutation(12)
    shuffled = class_probabilities(network, images[order], batch_size=12, mirrored=mirrored)
    assert_array_equal(shuffled, together[order])
    for row in range(12):
        alone = class_probabilities(network, images[[row]], batch_size=12, mirrored=mirrored)
        assert_array_equal(alone, together[[row]])
    assert np.ptp(together, axis=0).max() > 1e-3


@pytest.mark.parametrize("mirrored", [False, True])
def test_equals_torch(weights, images, mirrored):
    network = building(weights)()
    x = torch.from_numpy(images).float()[:, None] / 255
    with torch.no_grad():
        expected = torch.softmax(network(x), dim=1)
        if mirrored:
            expected = (expected + torch.softmax(network(x.flip(3)), dim=1)) / 2
    got = class_probabilities(network, images, batch_size=16, mirrored=mirrored)
    assert got.dtype == np.float64
    # the last layer is in float32 there
    assert_allclose(got, expected.numpy(), rtol=0, atol=1e-6)
    floats = (images / 255).astype(np.float32)
    # 1/255 is rounded once more, after a division in float64
    assert_allclose(
        class_probabilities(network, floats, batch_size=16, mirrored=mirrored),
        got,
        rtol=0,
        atol=1e-6,
    )


def test_restoring_draws_no_global_random_number(weights):
    state = torch.get_rng_state()
    network = building(weights)()
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    restored = network.state_dict()
    assert restored.keys() == weights.keys()
    for name, tensor in restored.items():
        assert_array_equal(tensor.numpy(), weights[name])
        tensor.fill_(7)  # they are copies
        assert weights[name].size == 0 or not (weights[name] == 7).all()


def test_a_network_of_others_is_built_and_filled(weights):
    state = torch.get_rng_state()
    network = restore_network(partial(EmotionCNN, **ARCHITECTURE), weights, is_own=False)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in network.state_dict().items():
        assert_array_equal(tensor.numpy(), weights[name])
