"""keras_onnx: the graph computes what Keras computes, views and all, on ONNX Runtime."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import shift

try:
    import keras
except ModuleNotFoundError as error:
    pytest.skip(f"needs Keras and a backend: {error}", allow_module_level=True)

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.emoji import build_edges_network, build_original_network
from emotion_estimators.networks.keras_hdf5.memory import keras_onnx
from emotion_estimators.networks.onnx.views import small_shifts

# float32 on both sides, with normalisation folded into the kernels on one
ATOL = 1e-5


def edges(size, n_classes):
    return build_edges_network(size, n_classes, filters=(6, 8), dropout=0.5)


def random_weights(model):
    """Give a model weights, and return them by name."""
    rng = np.random.default_rng(0)
    weights = {}
    for variable in model.weights:
        spread = np.sqrt(2 / max(np.prod(variable.shape[:-1]), 1))  # He et al. (2015)
        values = rng.normal(0, spread / 2, variable.shape)
        if variable.name == "moving_variance":
            values = rng.uniform(0.5, 2, variable.shape)
        variable.assign(values)
        weights["/".join(variable.path.split("/")[-2:])] = values.astype(np.float32)
    return weights


def convert(model, **settings):
    weights = random_weights(model)
    return keras_onnx(json.loads(model.to_json()), weights, "A network", **settings)


def ask(model, images):
    return keras.ops.convert_to_numpy(model(images[..., np.newaxis], training=False))


def run(serialised, images):
    session = onnxruntime.InferenceSession(serialised, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": images[:, np.newaxis]})
    return probabilities


def random_images(size, n=3):
    return np.random.default_rng(1).uniform(size=(n, *size)).astype(np.float32)


def expected(model, images, shifts, *, mirrored):
    moved = [shift(images, (0, -y, -x), order=0, mode="nearest") for y, x in [(0, 0), *shifts]]
    views = moved + [view[:, :, ::-1] for view in moved if mirrored]
    return np.mean([ask(model, view) for view in views], axis=0)


@pytest.mark.parametrize(("size", "n_classes"), [((8, 8), 1), ((9, 8), 2), ((33, 48), 7)])
@pytest.mark.parametrize("build", [edges, build_original_network])
def test_equals_keras(build, size, n_classes):
    model = build(size, max(n_classes, 2))  # a network of one class has a second output
    images = random_images(size)
    for shifts, mirrored in (((), False), ((), True), (small_shifts(size), True)):
        serialised = convert(model, shifts=shifts, mirrored=mirrored, n_classes=n_classes)
        onnx.checker.check_model(serialised, full_check=True)
        wanted = expected(model, images, shifts, mirrored=mirrored)[:, :n_classes]
        wanted /= wanted.sum(axis=1, keepdims=True)
        assert_allclose(run(serialised, images), wanted, rtol=0, atol=ATOL)
        assert n_classes == 1 or np.ptp(wanted) > 0.01


def test_functional_and_nested_networks():
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((8, 10, 4)),
            layers.SeparableConv2D(4, 3, padding="same", name="inner"),
            layers.DepthwiseConv2D(3, padding="same", name="deep"),
        ]
    )
    images = keras.Input((8, 10, 1))
    x = layers.Conv2D(4, 3, padding="same", name="first")(images)
    x = layers.Add()([x, inner(x), inner(layers.ReLU()(x))])
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization(name="norm")(x))
    model = keras.Model(images, layers.Dense(3, activation="softmax", name="last")(x))
    x = random_images((8, 10))
    given = run(convert(model, shifts=[(1, 0)], mirrored=True), x)
    assert_allclose(given, expected(model, x, [(1, 0)], mirrored=True), rtol=0, atol=ATOL)
    assert np.ptp(given, axis=0).max() > 0.001


def test_layers_of_one_name_are_not_mistaken():
    block = [
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="dense")], name=name)
        for name in ("a", "b")
    ]
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), *block])
    with pytest.raises(WeightsError, match="two layers with weights are called 'dense'"):
        convert(model)


def test_missing_weights():
    model = build_original_network((8, 8), 2)
    weights = random_weights(model)
    del weights["conv_2/bias"]
    with pytest.raises(WeightsError, match="A network: expected weights conv_2/bias"):
        keras_onnx(json.loads(model.to_json()), weights, "A network")
    weights["conv_2/bias"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match=r"conv_2/bias: expected shape \(64,\), got \(3,\)"):
        keras_onnx(json.loads(model.to_json()), weights, "A network")


def test_shifts_are_the_24th_part():
    assert small_shifts((33, 48)) == [(1, 0), (-1, 0), (0, 2), (0, -2)]
    assert set(small_shifts((8, 8))) == {(0, 0)}


def test_a_row_does_not_depend_on_its_neighbours():
    serialised = convert(edges((24, 26), 3), shifts=small_shifts((24, 26)), mirrored=True)
    images = random_images((24, 26), n=9)
    assert_allclose(run(serialised, images)[4:5], run(serialised, images[4:5]), rtol=0, atol=1e-6)


def test_stored_in_float16():
    model = edges((48, 48), 7)
    full, small = (convert(model, stored=stored) for stored in ("float32", "float16"))
    assert len(small) < 0.6 * len(full)
    images = random_images((48, 48))
    # float16 keeps 11 bits of each weight
    assert_allclose(run(small, images), run(full, images), rtol=0, atol=0.01)
    assert np.abs(run(small, images) - run(full, images)).max() > 0


def test_interface_and_metadata():
    serialised = convert(edges((12, 15), 2), n_classes=1, metadata={"answer": "42"})
    session = onnxruntime.InferenceSession(serialised, providers=["CPUExecutionProvider"])
    (images,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape) == ("images", ["n", 1, 12, 15])
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["n", 1])
    assert session.get_modelmeta().custom_metadata_map == {"answer": "42"}
    assert_array_equal(run(serialised, random_images((12, 15))), 1)


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ([keras.Input((8, 8, 3)), keras.layers.Flatten()], r"images \(n, height, width, 1\), got"),
        ([keras.Input((8, 8, 1)), keras.layers.ReLU()], r"gives \(n, n_outputs\), got \(n, \*\(8"),
        (
            [keras.Input((8, 8, 1)), keras.layers.GroupNormalization(groups=1)],
            "'GroupNormalization' cannot be conv",
        ),
    ],
)
def test_networks_it_cannot_write(layers, match):
    with pytest.raises(WeightsError, match=match):
        convert(keras.Sequential(layers))
