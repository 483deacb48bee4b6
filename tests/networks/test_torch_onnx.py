"""torch_onnx: the graph computes what torch computes, on ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("torch", reason="the networks are torch modules")
import torch
from torch import nn

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.networks.residual import RESIDUAL_NETWORKS, ResidualNetwork
from emotion_estimators.networks.torch_onnx import torch_onnx

# float32 on both sides, with normalisation folded into the kernels on one
ATOL = 1e-5


def random_network(build, seed=0):
    """Return a network in which nothing folds away unseen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build().eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
    return network


def emotion_cnn(widths=(6,), n_blocks=(1,), *, n_classes=5, stride=2, seed=0):
    def build():
        return EmotionCNN(
            n_classes,
            stem_width=4,
            stem_stride=stride,
            widths=widths,
            n_blocks=n_blocks,
            dropout=0.5,
            mean=0.4,
            std=0.2,
        )

    return random_network(build, seed)


def multi_label(name, size, *, n_labels=2, head_hidden=None):
    def build():
        backbone = ResidualNetwork(name, size)
        return MultiLabelNetwork(
            backbone,
            n_features=backbone.n_features,
            n_labels=n_labels,
            head_hidden=head_hidden,
            mean=(0.4, 0.5, 0.6),
            std=(0.2, 0.25, 0.3),
        )

    return random_network(build)


def random_images(n_channels, size, n=5):
    return torch.rand(n, n_channels, *size, generator=torch.Generator().manual_seed(1))


def run(model, x, names=("probabilities",)):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(list(names), {"images": x.numpy()})


def expected(ask, x, *, mirrored):
    with torch.no_grad():
        return ((ask(x) + ask(x.flip(3))) / 2 if mirrored else ask(x)).numpy()


def softmax_of(network):
    return lambda x: torch.softmax(network(x), dim=1)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("n_classes", [1, 2, 7])
@pytest.mark.parametrize("size", [(1, 9), (8, 8), (33, 48)])
@pytest.mark.parametrize(
    ("widths", "n_blocks", "stride"), [((6,), (0,), 1), ((4, 6, 6), (1, 0, 2), 2)]
)
def test_emotion_cnn(widths, n_blocks, stride, size, n_classes, mirrored):
    network = emotion_cnn(widths, n_blocks, n_classes=n_classes, stride=stride)
    model = torch_onnx([network], size, mirrored=mirrored)
    x = random_images(1, size)
    for n in (1, 5):
        (given,) = run(model, x[:n])
        wanted = expected(softmax_of(network), x[:n], mirrored=mirrored)
        assert_allclose(given, wanted, rtol=0, atol=ATOL)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("name", "size", "n_labels", "head_hidden"),
    [
        ("resnet6-tiny", (8, 8), 1, None),
        ("resnet6-tiny", (33, 48), 2, 5),
        ("resnet6-tiny", (129, 130), 7, 5),
        ("resnet10-narrow", (33, 48), 7, None),
        ("resnet50", (8, 8), 2, None),
    ],
)
def test_multi_label(name, size, n_labels, head_hidden, mirrored):
    network = multi_label(name, size, n_labels=n_labels, head_hidden=head_hidden)
    # scores grow with the depth of untrained networks, and sigmoids of large ones hide errors
    x = random_images(3, size)
    with torch.no_grad():
        network.head[-1].weight /= network(x).abs().max().clamp_min(1)
    model = torch_onnx([network], size, activation="sigmoid", mirrored=mirrored)
    (given,) = run(model, x)
    wanted = expected(lambda x: torch.sigmoid(network(x)), x, mirrored=mirrored)
    assert_allclose(given, wanted, rtol=0, atol=ATOL)


@pytest.mark.parametrize("name", sorted(RESIDUAL_NETWORKS))
def test_every_residual_network_can_be_written(name):
    model = torch_onnx([multi_label(name, (8, 8))], (8, 8), activation="sigmoid", stored="float16")
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("mirrored", [False, True])
def test_named_outputs(mirrored):
    network = emotion_cnn((6, 8), (1, 1))
    votes = random_network(lambda: nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)), 1)
    heads = {"votes": votes, "labels": network.head}
    model = torch_onnx([network], (12, 15), heads=[heads], features=True, mirrored=mirrored)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [(output.name, output.shape) for output in session.get_outputs()] == [
        ("votes", ["n", 3]), ("labels", ["n", 5]), ("features", ["n", 8])
    ]  # fmt: skip
    x = random_images(1, (12, 15))
    asked = {
        "votes": lambda x: torch.softmax(votes(network.features(x)), dim=1),
        "labels": softmax_of(network),
        "features": network.features,
    }
    for given, ask in zip(run(model, x, asked), asked.values(), strict=True):
        wanted = expected(ask, x, mirrored=mirrored)
        assert_allclose(given, wanted, rtol=1e-5, atol=ATOL)


def test_a_row_does_not_depend_on_its_neighbours():
    model = torch_onnx([emotion_cnn((6, 8), (1, 1))], (12, 15), features=True, mirrored=True)
    x = random_images(1, (12, 15), n=33)
    names = ("probabilities", "features")
    for together, alone in zip(run(model, x, names), run(model, x[7:8], names), strict=True):
        assert_array_equal(together[7:8], alone)


@pytest.mark.parametrize("mirrored", [False, True])
def test_several_networks_give_their_mean(mirrored):
    networks = [emotion_cnn(), emotion_cnn((4, 8), (0, 1), stride=1, seed=1)]
    model = torch_onnx(networks, (12, 10), mirrored=mirrored)
    x = random_images(1, (12, 10))
    wanted = sum(expected(softmax_of(n), x, mirrored=mirrored) for n in networks) / 2
    assert_allclose(run(model, x)[0], wanted, rtol=0, atol=ATOL)


def test_networks_that_do_not_fit_are_refused():
    networks = [emotion_cnn(), emotion_cnn(n_classes=4)]
    with pytest.raises(ValueError, match=r"got probabilities of \[4, 5\] values from 2 of 2"):
        torch_onnx(networks, (12, 12))
    heads = [{"labels": networks[0].head}, {"votes": networks[1].head}]
    with pytest.raises(ValueError, match=r"got labels of \[5\] values from 1 of 2"):
        torch_onnx(networks, (12, 12), heads=heads)


def test_other_stores_are_refused():
    with pytest.raises(ValueError, match="float32 or float16 or int8, got 'half'"):
        torch_onnx([emotion_cnn()], (12, 12), stored="half")


# float16 keeps 11 bits of each weight; int8 rounds one by at most 1/254 of its channel's largest
@pytest.mark.parametrize(
    ("stored", "share", "atol"), [("float16", 0.55, 0.01), ("int8", 0.3, 0.05)]
)
def test_weights_stored_small(stored, share, atol):
    network = emotion_cnn((32, 64), (1, 1))
    full, small = (torch_onnx([network], (20, 20), stored=s) for s in ("float32", stored))
    assert len(small) < share * len(full)
    x = random_images(1, (20, 20))
    (given,), (wanted,) = run(small, x), run(full, x)
    assert_allclose(given, wanted, rtol=0, atol=atol)
    assert np.abs(given - wanted).max() > 0


def test_weights_that_float16_cannot_hold():
    network = emotion_cnn((32,), (1,))
    network.layers[1].conv.weight.data[3] *= 1e6
    network.layers[2].first.conv.weight.data[:, 3] /= 1e6
    network.head.weight.data[:, 3] /= 1e6
    x = random_images(1, (20, 20))
    (given,) = run(torch_onnx([network], (20, 20), stored="float16"), x)
    assert_allclose(given, expected(softmax_of(network), x, mirrored=False), rtol=0, atol=0.01)


def test_a_kernel_of_zeros_stays_zero():
    network = emotion_cnn((32,), (1,))
    network.layers[2].second.conv.weight.data[3:] = 0
    x = random_images(1, (20, 20))
    (given,) = run(torch_onnx([network], (20, 20), stored="int8"), x)
    # as above
    assert_allclose(given, expected(softmax_of(network), x, mirrored=False), rtol=0, atol=0.05)


def test_interface_and_metadata():
    model = torch_onnx([emotion_cnn()], (np.int64(12), 15), metadata={"answer": "42"})
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (images,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == (
        "images", "tensor(float)", ["n", 1, 12, 15]
    )  # fmt: skip
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["n", 5])
    assert session.get_modelmeta().custom_metadata_map == {"answer": "42"}


def test_layers_it_cannot_write():
    network = emotion_cnn()
    network.layers.append(nn.GELU())
    with pytest.raises(TypeError, match="torch_onnx cannot write a GELU"):
        torch_onnx([network], (12, 12))
