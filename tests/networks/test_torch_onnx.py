"""emotion_cnn_to_onnx: the graph computes what torch computes, on ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("torch", reason="the network is a torch module")
import torch

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.networks.torch_onnx import emotion_cnn_to_onnx


def _network(widths, n_blocks, *, stride=2, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EmotionCNN(
            5,
            stem_width=4,
            stem_stride=stride,
            widths=widths,
            n_blocks=n_blocks,
            dropout=0.5,
            mean=0.4,
            std=0.2,
        ).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # nothing that folds away unseen
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, 0, 0.3)
    return network


def _run(model, x):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": x.numpy()})
    return probabilities


def _expected(network, x, flip):
    with torch.no_grad():
        expected = torch.softmax(network(x), dim=1)
        if flip:
            expected = (expected + torch.softmax(network(x.flip(3)), dim=1)) / 2
    return expected.numpy()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [(1, 9), (13, 22), (48, 48)])
@pytest.mark.parametrize(
    ("widths", "n_blocks", "stride"), [((6,), (0,), 1), ((4, 6, 6), (1, 0, 2), 2)]
)
def test_equals_torch(widths, n_blocks, stride, size, flip):
    network = _network(widths, n_blocks, stride=stride)
    model = emotion_cnn_to_onnx([network], size, flip=flip)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        x = torch.rand(5, 1, *size)
    for n in (1, 5):
        # float32 on both sides, with normalisation folded into the kernels on one
        expected = _expected(network, x[:n], flip)
        assert_allclose(_run(model, x[:n]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_several_networks_give_their_mean(flip):
    networks = [_network((6,), (1,)), _network((4, 8), (0, 1), stride=1, seed=1)]
    model = emotion_cnn_to_onnx(networks, (12, 10), flip=flip)
    x = torch.rand(5, 1, 12, 10, generator=torch.Generator().manual_seed(1))
    expected = sum(_expected(network, x, flip) for network in networks) / 2
    assert_allclose(_run(model, x), expected, rtol=0, atol=1e-5)  # as above


def test_networks_of_other_classes_are_refused():
    networks = [_network((6,), (1,)), EmotionCNN(4, stem_width=4, widths=(6,), n_blocks=(1,))]
    with pytest.raises(ValueError, match=r"networks of one number of classes, got \[4, 5\]"):
        emotion_cnn_to_onnx(networks, (12, 12))


def test_other_stores_are_refused():
    with pytest.raises(ValueError, match="float32, float16 or int8, got 'half'"):
        emotion_cnn_to_onnx([_network((6,), (1,))], (12, 12), stored="half")


# float16 keeps 11 bits of each weight; int8 rounds one by at most 1/254 of its channel's largest
@pytest.mark.parametrize(
    ("stored", "share", "atol"), [("float16", 0.55, 0.01), ("int8", 0.3, 0.05)]
)
def test_weights_stored_small(stored, share, atol):
    network = _network((32, 64), (1, 1))
    full, small = (emotion_cnn_to_onnx([network], (20, 20), stored=s) for s in ("float32", stored))
    assert len(small) < share * len(full)
    x = torch.rand(5, 1, 20, 20, generator=torch.Generator().manual_seed(1))
    got, expected = _run(small, x), _run(full, x)
    assert_allclose(got, expected, rtol=0, atol=atol)
    assert np.abs(got - expected).max() > 0


def test_a_kernel_of_zeros_stays_zero():
    network = _network((32,), (1,))
    network.layers[2].second.conv.weight.data[3:] = 0
    x = torch.rand(5, 1, 20, 20, generator=torch.Generator().manual_seed(1))
    got = _run(emotion_cnn_to_onnx([network], (20, 20), stored="int8"), x)
    assert_allclose(got, _expected(network, x, flip=False), rtol=0, atol=0.05)  # as above


def test_interface_and_metadata():
    model = emotion_cnn_to_onnx(
        [_network((6,), (1,))], (np.int64(12), 15), metadata={"answer": "42"}
    )
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (images,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == (
        "images", "tensor(float)", ["n", 1, 12, 15]
    )  # fmt: skip
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["n", 5])
    assert session.get_modelmeta().custom_metadata_map == {"answer": "42"}


def test_layers_it_cannot_write():
    network = _network((6,), (0,))
    network.layers.append(torch.nn.GELU())
    with pytest.raises(TypeError, match="emotion_cnn_to_onnx cannot write a GELU"):
        emotion_cnn_to_onnx([network], (12, 12))
