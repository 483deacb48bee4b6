"""average_onnx: the mean of the models' outputs, also where kernels are stored in 8 bits."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("torch", reason="the networks are torch modules")
import torch

from emotion_estimators.networks.emotion_cnn import EmotionCNN
from emotion_estimators.networks.emotion_cnn_onnx import emotion_cnn_to_onnx
from emotion_estimators.networks.onnx_average import average_onnx

X = np.random.default_rng(0).random((5, 1, 12, 10), dtype=np.float32)


def _model(seed, width=6, size=(12, 10), **settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EmotionCNN(4, stem_width=4, widths=(width,), n_blocks=(1,)).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # a new block adds nothing
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return emotion_cnn_to_onnx(network, size, metadata={"color": '"grey"'}, **settings)


def _run(model):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["probabilities"], {"images": X})[0]


@pytest.mark.parametrize("flip", [False, True])
def test_is_the_mean_of_its_parts(flip):
    models = [_model(seed, flip=flip) for seed in range(3)]
    before = [model.SerializeToString() for model in models]
    average = average_onnx(models)
    expected = np.mean([_run(model) for model in models], axis=0)
    assert_allclose(_run(average), expected, rtol=0, atol=1e-6)  # float32
    assert average.metadata_props == models[0].metadata_props
    assert [model.SerializeToString() for model in models] == before


def test_small_stores_large_kernels_in_8_bits():
    models = [_model(seed, width=128, half=True) for seed in range(2)]
    whole, small = average_onnx(models), average_onnx(models, small=True)
    kinds = [array.data_type for array in small.graph.initializer]
    assert kinds.count(onnx.TensorProto.INT8) == 4  # two kernels of 128 x 128 x 3 x 3 each
    # the kernels of 147,456 values take a byte each in place of two
    assert len(whole.SerializeToString()) - len(small.SerializeToString()) > 4 * 140_000
    # 8 bits round a weight by at most 1/254 of its channel's largest
    assert_allclose(_run(small), _run(whole), rtol=0, atol=0.02)
    assert np.abs(_run(small) - _run(whole)).max() > 0


def test_other_inputs_are_refused():
    with pytest.raises(ValueError, match="same input, output, opset and metadata; model 1 differs"):
        average_onnx([_model(0), _model(1, size=(12, 11))])
