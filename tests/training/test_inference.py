"""Predictions from stored weights: independent of neighbours, equal to torch, one live network."""

import gc
import weakref
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("torch", reason="predictions run in torch")

import torch

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.training.inference import live_network, predict_images, restore_network

# as by default, where convolutions are large enough to be split among threads
ARCHITECTURE = {"n_classes": 7, "stem_width": 32, "widths": [48, 96, 192], "n_blocks": [0, 1, 1]}
CPU = torch.device("cpu")


def building(weights):
    return partial(restore_network, partial(EmotionCNN, **ARCHITECTURE), weights)


class Owner:
    """What a network belongs to."""


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


@pytest.mark.parametrize("flip", [False, True])
def test_a_prediction_does_not_depend_on_its_place(weights, images, flip):
    network = building(weights)()
    together = predict_images(network, images, batch_size=12, flip=flip)
    order = np.random.default_rng(1).permutation(12)
    shuffled = predict_images(network, images[order], batch_size=12, flip=flip)
    assert_array_equal(shuffled, together[order])
    for row in range(12):
        alone = predict_images(network, images[[row]], batch_size=12, flip=flip)
        assert_array_equal(alone, together[[row]])
    assert np.ptp(together, axis=0).max() > 1e-3


@pytest.mark.parametrize("flip", [False, True])
def test_equals_torch(weights, images, flip):
    network = building(weights)()
    x = torch.from_numpy(images).float()[:, None] / 255
    with torch.no_grad():
        expected = torch.softmax(network(x), dim=1)
        if flip:
            expected = (expected + torch.softmax(network(x.flip(3)), dim=1)) / 2
    got = predict_images(network, images, batch_size=16, flip=flip)
    assert got.dtype == np.float64
    # the last layer is in float32 there
    assert_allclose(got, expected.numpy(), rtol=0, atol=1e-6)
    floats = (images / 255).astype(np.float32)
    # 1/255 is rounded once more, after a division in float64
    assert_allclose(
        predict_images(network, floats, batch_size=16, flip=flip), got, rtol=0, atol=1e-6
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


def test_one_live_network_for_the_same_weights(weights):
    owner, other = Owner(), Owner()
    network = live_network(owner, building(weights), weights, CPU)
    assert live_network(owner, building(weights), weights, CPU) is network
    assert live_network(other, building(weights), weights, CPU) is not network
    others = dict(weights)
    assert live_network(owner, building(others), others, CPU) is not network


def test_the_live_network_goes_with_its_owner(weights):
    owner = Owner()
    network = weakref.ref(live_network(owner, building(weights), weights, CPU))
    del owner
    gc.collect()
    assert network() is None
