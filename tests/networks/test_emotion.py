"""EmotionCNN and its blocks: shapes, the identity they begin with, scaling, dropout."""

import pytest

pytest.importorskip("torch", reason="EmotionCNN needs torch")

import torch

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.networks.layers import ConvBlock, ResidualBlock


@pytest.fixture(autouse=True)
def _own_random_numbers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _network(**settings):
    defaults = {"stem_width": 4, "widths": (5, 6), "n_blocks": (0, 2)}
    return EmotionCNN(**({"n_classes": 3} | defaults | settings)).eval()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (17, 40), (48, 48)])
@pytest.mark.parametrize("n", [1, 4])
def test_images_of_any_size(size, n):
    network = _network(widths=(5, 6, 7), n_blocks=(1, 0, 1))
    x = torch.rand(n, 1, *size)
    assert network.features(x).shape == (n, 7)
    scores = network(x)
    assert scores.shape == (n, 3)
    assert bool(torch.isfinite(scores).all())


def test_maps_shrink_by_the_stem_and_between_stages():
    network = _network(widths=(5, 6, 7), n_blocks=(0, 1, 0))
    sizes = []
    for layer in network.layers:
        layer.register_forward_hook(lambda *args: sizes.append(tuple(args[2].shape[1:])))
    network(torch.rand(1, 1, 48, 32))
    assert sizes == [
        (4, 24, 16), (5, 24, 16), (5, 12, 8), (6, 12, 8), (6, 12, 8), (6, 6, 4), (7, 6, 4)
    ]  # fmt: skip


def test_pixels_are_standardised_inside():
    plain, scaled = _network(), _network(mean=0.4, std=0.2)
    scaled.load_state_dict(plain.state_dict() | {"pixel_mean": torch.tensor(0.4)} | {
        "pixel_std": torch.tensor(0.2)
    })  # fmt: skip
    x = torch.rand(2, 1, 12, 12)
    torch.testing.assert_close(scaled(x), plain((x - 0.4) / 0.2))


def test_a_residual_block_begins_as_the_identity():
    block = ResidualBlock(5)
    x = torch.rand(2, 5, 6, 6)  # positive, so that the ReLU passes it
    assert torch.equal(block.train()(x), x)


@pytest.mark.parametrize("activate", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_block(activate, stride):
    block = ConvBlock(3, 4, kernel=5, stride=stride, activate=activate).train()
    x = torch.randn(2, 3, 9, 8)
    got = block(x)
    maps = torch.nn.functional.conv2d(x, block.conv.weight, stride=stride, padding=2)
    mean, var = maps.mean(dim=(0, 2, 3)), maps.var(dim=(0, 2, 3), unbiased=False)
    expected = (maps - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
    expected = expected.relu() if activate else expected
    # float32, statistics summed in another order
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only():
    network = _network(dropout=0.5)
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(network(x), network(x))
    network.dropout.train()
    assert len({tuple(network(x)[0].tolist()) for _ in range(8)}) > 1


def test_stages_must_match():
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is (shorter|longer)"):
        _network(widths=(5, 6), n_blocks=(1,))
