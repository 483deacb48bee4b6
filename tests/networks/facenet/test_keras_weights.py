"""Weights of keras-facenet: read back as they were written, and right in its own network."""

import importlib.util
import os
import sys
import tarfile
import types
import warnings

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.facenet.engine import open_face_network
from emotion_estimators.networks.facenet.keras_weights import read_keras_facenet
from emotion_estimators.networks.facenet.weights import read_face_weights


@pytest.fixture(scope="module")
def state(face_state):
    """A state dict such as keras-facenet can hold: no scales."""
    ones = {
        name: np.ones_like(values)
        for name, values in face_state.items()
        if values.ndim == 1 and name.endswith(".weight")
    }
    return {**face_state, **ones}


@pytest.fixture(scope="module")
def keras_file(state, keras_layout, tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "weights.h5"
    return keras_layout.write(path, keras_layout.arrays(state))


def test_there_and_back(state, keras_file, keras_layout):
    read = read_keras_facenet(keras_file)
    assert set(read) == set(state)
    for name, values in state.items():
        assert_array_equal(read[name], values)
        assert read[name].dtype == np.float32
    # and back again: the arrays of the file are those of what was read
    again = keras_layout.arrays(read)
    with h5py.File(keras_file) as file:
        assert set(file) == set(again)
        for layer, parts in again.items():
            for part, values in parts.items():
                assert_array_equal(file[f"{layer}/{layer}/{part}:0"][()], values)


def test_a_whole_model_and_a_scale(state, keras_layout, tmp_path):
    arrays = keras_layout.arrays(state)
    scale = np.linspace(0.5, 1.5, 512, dtype=np.float32)
    arrays["Bottleneck_BatchNorm"] = {"gamma": scale, **arrays["Bottleneck_BatchNorm"]}
    path = keras_layout.write(tmp_path / "model.hdf5", arrays, folder="model_weights")
    read = read_face_weights(path)
    assert_array_equal(read["last_bn.weight"], scale)
    assert_array_equal(read["block8.conv2d.weight"], state["block8.conv2d.weight"])


def l2_normalize(x, axis):
    """Stand for the function of Keras 2; saved with the model, so that it holds no module."""
    from keras import ops

    return ops.normalize(x, axis=axis, order=2)


@pytest.fixture(scope="module")
def keras_network(registry_file, tmp_path_factory):
    """The network of keras-facenet 0.3.2, built by its own module on Keras 3, or a skip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras_home")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its backends on import
            keras = pytest.importorskip("keras", reason="the reference is a Keras network")
    archive = registry_file(
        "keras-facenet==0.3.2",
        "5df16907c293289ba3198455d97cc6960dc209887c2d6ce3aa9a51a8d62c2a32",
    )
    path = archive.with_name("inception_resnet_v1.py")
    with tarfile.open(archive) as files:
        member = "keras-facenet-0.3.2/keras_facenet/inception_resnet_v1.py"
        path.write_bytes(files.extractfile(member).read())
    # It imports Keras from TensorFlow, and functions that Keras 3 has under other names.
    backend = types.ModuleType("tensorflow.keras.backend")
    backend.image_data_format = keras.config.image_data_format
    backend.int_shape = lambda tensor: tuple(tensor.shape)
    backend.l2_normalize = l2_normalize
    modules = {
        "tensorflow": types.ModuleType("tensorflow"),
        "tensorflow.keras": types.ModuleType("tensorflow.keras"),
        "tensorflow.keras.models": keras.models,
        "tensorflow.keras.layers": keras.layers,
        "tensorflow.keras.backend": backend,
    }
    modules["tensorflow.keras"].backend = backend
    spec = importlib.util.spec_from_file_location("keras_facenet_reference", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in modules.items():
            patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)
    return module.InceptionResNetV1(input_shape=(None, None, 3), classes=512)


def test_embeddings_are_those_of_keras_facenet(keras_network, standardised, tmp_path):
    rng = np.random.default_rng(3)
    for layer in keras_network.layers:
        values = []
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if "variance" in weight.name:
                values.append(rng.uniform(0.5, 2, shape))
            else:
                spread = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.2
                values.append(rng.normal(0, spread, shape))
        layer.set_weights(values)
    images = standardised[:3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HDF5 is a legacy format of Keras
        keras_network.save(tmp_path / "model.h5")
        expected = keras_network.predict_on_batch(np.moveaxis(images, 1, 3))
    # the file of weights alone has the same groups, one level higher
    with h5py.File(tmp_path / "model.h5") as model, h5py.File(tmp_path / "w.h5", "w") as weights:
        for name, group in model["model_weights"].items():
            model.copy(group, weights, name)
    for name in ("model.h5", "w.h5"):
        state = read_face_weights(tmp_path / name)
        network = open_face_network(state, fingerprint=f"Keras {name}")
        vectors = network(images)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        # sums of float32 in other orders; each vector has length 1
        assert_allclose(vectors, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "change", "match"),
    [
        ("Mixed_6a_Branch_0_Conv2d_1a_3x3", None, r"lacks 1 arrays \(Mixed_6a_Branch_0.*/kernel\)"),
        ("Block8_6_Conv2d_1x1", {"bias": None}, r"lacks 1 arrays \(Block8_6_Conv2d_1x1/bias\)"),
        (
            "Bottleneck",
            {"kernel": np.zeros((1792, 128), np.float32)},
            r"Bottleneck.*needs an array of shape \(1792, 512\), the file holds \(1792, 128\)",
        ),
        (
            "Conv2d_1a_3x3_BatchNorm",
            {"moving_variance": np.full(32, -1, np.float32)},
            "conv2d_1a.bn.running_var is a variance, and holds negative numbers",
        ),
        (
            "Conv2d_1a_3x3_BatchNorm",
            {"beta": np.full(32, np.nan, np.float32)},
            "holds values that are not finite",
        ),
    ],
    ids=["no layer", "no bias", "128 values", "negative variance", "NaN"],
)
def test_files_of_another_network(state, keras_layout, tmp_path, layer, change, match):
    arrays = keras_layout.arrays(state)
    if change is None:
        del arrays[layer]
    else:
        changed = {**arrays[layer], **change}
        arrays[layer] = {part: values for part, values in changed.items() if values is not None}
    with pytest.raises(WeightsError, match=match):
        read_face_weights(keras_layout.write(tmp_path / "x.h5", arrays))


def test_other_files(keras_layout, tmp_path):
    empty = keras_layout.write(tmp_path / "empty.h5", {})
    with pytest.raises(WeightsError, match=r"expected the weights of keras-facenet, lacks"):
        read_face_weights(empty)
    (tmp_path / "page.h5").write_text("<html></html>")
    with pytest.raises(WeightsError, match="looks like a web page"):
        read_face_weights(tmp_path / "page.h5")
    with pytest.raises(WeightsError, match=r"expected a file \.pt, .*, got \.onnx"):
        read_face_weights(tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError, match="missing"):
        read_face_weights(tmp_path / "missing.h5")


def test_files_cut_off(keras_file, tmp_path):
    whole = keras_file.read_bytes()
    for share in (0.001, 0.3, 0.999):
        path = tmp_path / "cut.h5"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(WeightsError, match="truncated or damaged"):
            read_face_weights(path)
