"""emotion_cnn_to_onnx: the graph computes what torch computes, on ONNX Runtime."""

import onnx
import onnxruntime
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("torch", reason="the network is a torch module")
import torch

from emotion_estimators.networks.emotion_cnn import EmotionCNN
from emotion_estimators.networks.emotion_cnn_onnx import emotion_cnn_to_onnx


def _network(widths, n_blocks):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = EmotionCNN(
            5, stem_width=4, widths=widths, n_blocks=n_blocks, dropout=0.5, mean=0.4, std=0.2
        ).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # nothing that folds away unseen
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, 0, 0.3)
    return network


def _run(model, x):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
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
@pytest.mark.parametrize(("widths", "n_blocks"), [((6,), (0,)), ((4, 6, 6), (1, 0, 2))])
def test_equals_torch(widths, n_blocks, size, flip):
    network = _network(widths, n_blocks)
    model = emotion_cnn_to_onnx(network, size, flip=flip)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        x = torch.rand(5, 1, *size)
    for n in (1, 5):
        # float32 on both sides, with normalisation folded into the kernels on one
        expected = _expected(network, x[:n], flip)
        assert_allclose(_run(model, x[:n]), expected, rtol=0, atol=1e-5)


def test_half_precision_stores_half():
    network = _network((32, 64), (1, 1))
    full, half = (
        emotion_cnn_to_onnx(network, (20, 20), half=half).ByteSize() for half in (False, True)
    )
    assert half < 0.55 * full
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        x = torch.rand(5, 1, 20, 20)
    got = _run(emotion_cnn_to_onnx(network, (20, 20), half=True), x)
    # float16 keeps 11 bits of each weight: 5e-4 of scores that are a few units large
    assert_allclose(got, _expected(network, x, flip=False), rtol=0, atol=1e-2)


def test_interface_and_metadata():
    model = emotion_cnn_to_onnx(_network((6,), (1,)), (12, 15), metadata={"answer": "42"})
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
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
        emotion_cnn_to_onnx(network, (12, 12))
