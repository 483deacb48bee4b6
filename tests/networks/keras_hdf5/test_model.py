"""The HDF5 reader against Keras itself: the same file, the same images, the same output."""

import importlib.util
import json
import warnings
from types import ModuleType

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimators.networks.keras_hdf5.model import read_keras_hdf5

LEGACY_FILES = ("model_v6_23.hdf5", "mini_xception_fer.hdf5")

FLAVOURS = [name for name in ("keras", "tf_keras") if importlib.util.find_spec(name)]


@pytest.fixture(scope="module", params=FLAVOURS or ["keras"])
def keras(request, tmp_path_factory):
    """Keras 3 on torch where there is torch, and Keras 2 where it is installed."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("torch"):
            patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras_home")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow deprecates parts of itself on import
            return pytest.importorskip(request.param)


def quietly(function, *args, **kwargs):
    """Call without the warning that HDF5 is a legacy format of Keras."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def randomize(model, rng):
    """Give every weight a value of its own, so that none can be mixed up unnoticed."""
    weights = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        # Divided by the fan-in, activations stay near one and 1e-5 means what it says.
        spread = 1 / np.sqrt(max(np.prod(shape[:-1]), 1))
        values = rng.normal(scale=spread, size=shape)
        is_variance = "variance" in weight.name
        weights.append(rng.uniform(0.5, 2, size=shape) if is_variance else values)
    model.set_weights(weights)


def run_onnx(serialised, images):
    session = onnxruntime.InferenceSession(serialised, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": images})[0]


def shapes(values):
    """Return the shapes of inputs or outputs of a graph by name, None where any size is taken."""
    return {
        value.name: tuple(
            None if size.dim_param else size.dim_value
            for size in value.type.tensor_type.shape.dim[1:]
        )
        for value in values
    }


def assert_same_as_keras(model, path, rng, sizes=(9, 7), scale=1.0):
    """Save, read, run both on the same random images, compare outputs and shapes."""
    randomize(model, rng)
    quietly(model.save, path)
    network = read_keras_hdf5(path)
    onnx.checker.check_model(network, full_check=True)
    graph = onnx.load_from_string(network).graph
    assert shapes(graph.input) == {"input": tuple(model.input_shape[1:])}
    assert shapes(graph.output) == {"output": tuple(model.output_shape[1:])}
    free = iter(sizes)
    shape = [next(free) if size is None else size for size in model.input_shape[1:]]
    images = (scale * rng.normal(size=(3, *shape))).astype(np.float32)
    expected = quietly(model.predict_on_batch, images)
    result = run_onnx(network, images)
    # Single precision: both engines round sums of up to thousands of terms, in other orders.
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    # A batch of one keeps its batch axis, and no image depends on its neighbours.
    np.testing.assert_allclose(run_onnx(network, images[:1]), expected[:1], 1e-5, 1e-5)


def rebuilt_in_keras_3(keras: ModuleType, path):
    """Rebuild a Keras 2 file in Keras 3, which misreads only where the input shape stands."""
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
    layers = config["config"]["layers"]
    if config["class_name"] == "Sequential":
        shape = layers[0]["config"].pop("batch_input_shape")
        layers.insert(0, {"class_name": "InputLayer", "config": {"batch_shape": shape}})
        model_class = keras.Sequential
    else:
        layers[0]["config"]["batch_shape"] = layers[0]["config"].pop("batch_input_shape")
        model_class = keras.Model
    model = model_class.from_config(config["config"])
    model.load_weights(path)
    return model


@pytest.mark.parametrize("name", LEGACY_FILES)
def test_published_files_give_what_keras_gives(keras, data_dir, name):
    path = data_dir / "weights" / name
    if keras.__name__ == "keras":
        model = rebuilt_in_keras_3(keras, path)
    else:
        model = keras.models.load_model(path, compile=False)
    network = read_keras_hdf5(path)
    images = np.random.default_rng(0).random((32, *model.input_shape[1:]), dtype=np.float32)
    expected = quietly(model.predict_on_batch, images)
    # Probabilities; 1e-5 is what is promised, rounding alone stays below 2e-6.
    np.testing.assert_allclose(run_onnx(network, images), expected, rtol=0, atol=1e-5)
    assert read_keras_hdf5(path) == network  # twice the same bytes


OTHERS = {
    "emopy_conv_0256.hdf5": "y0",
    "emopy_conv_03.hdf5": "y0",
    "gender_sigmoid.h5": "y0",
    "autoencoder_upsampling.h5": "y0",
    "theano_net.h5": "net",
    "theano_seqinseq.h5": "seqinseq",
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_others_give_what_their_own_keras_gave(data_dir, name):
    path = data_dir / "models" / name
    told = path.with_name("theano.npz") if "theano" in name else path.with_suffix(".npz")
    with np.load(told) as arrays:
        images, expected = arrays["x"].astype(np.float32) / 255, arrays[OTHERS[name]]
    # 1e-5 is what is promised, rounding alone stays below 2e-6
    result = run_onnx(read_keras_hdf5(path), images)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "stride"), [(2, 1), (4, 1), (4, 2), (3, 2), (5, 3)])
@pytest.mark.parametrize("length", [12, 13])
def test_theano_convolves_as_mathematics_do(tmp_path, size, stride, length):
    # Its "same" is the middle of the full convolution: no padding is added for strides.
    rng = np.random.default_rng(0)
    kernel, columns = rng.normal(size=size), rng.normal(size=length)
    expected = np.convolve(columns, kernel)[size - 1 - size // 2 :][:length:stride]
    settings = {"filters": 1, "kernel_size": [1, size], "strides": [1, stride]}
    entry = {"name": "c", "padding": "same", "use_bias": False, **settings}
    first = {"name": "i", "batch_input_shape": [None, 1, length, 1]}
    layers = [
        {"class_name": "InputLayer", "config": first},
        {"class_name": "Conv2D", "config": entry},
    ]
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
        group = file.create_group("model_weights/c")
        (file if stride == 1 else group.parent).attrs["backend"] = b"theano"  # one may be missing
        group.attrs["weight_names"] = [b"c/kernel"]
        group["c/kernel"] = kernel.reshape(1, size, 1, 1)
    result = run_onnx(read_keras_hdf5(path), columns.reshape(1, 1, -1, 1).astype(np.float32))
    # single precision
    np.testing.assert_allclose(result.ravel(), expected, atol=1e-5)


IMAGE = (9, 7, 4)
FREE = (None, None, 4)
# One line per layer and setting; `L` is the module keras.layers.
CASES = {
    "dense on vectors": ((5,), lambda L: [L.Dense(3)]),
    "dense without bias": ((5,), lambda L: [L.Dense(3, use_bias=False, activation="tanh")]),
    "dense on images": (IMAGE, lambda L: [L.Conv2D(3, 3), L.Dense(5), L.Flatten(), L.Dense(2)]),
    "conv valid": (IMAGE, lambda L: [L.Conv2D(3, (3, 2), activation="relu")]),
    "conv same": (IMAGE, lambda L: [L.Conv2D(3, (4, 3), padding="same")]),
    "conv same, strides": (IMAGE, lambda L: [L.Conv2D(3, 3, strides=(2, 3), padding="same")]),
    "conv stride above kernel": (IMAGE, lambda L: [L.Conv2D(3, 1, strides=3, padding="same")]),
    "conv dilated": (IMAGE, lambda L: [L.Conv2D(3, 3, dilation_rate=(2, 1))]),
    "conv dilated, same": (IMAGE, lambda L: [L.Conv2D(3, 3, dilation_rate=2, padding="same")]),
    "conv groups": (IMAGE, lambda L: [L.Conv2D(6, 3, groups=2)]),
    "conv free size": (FREE, lambda L: [L.Conv2D(3, 4, padding="same")]),
    "conv free size, strides": (FREE, lambda L: [L.Conv2D(3, 4, strides=2, padding="same")]),
    "conv free size, dilated": (FREE, lambda L: [L.Conv2D(3, 3, dilation_rate=2, padding="same")]),
    "depthwise": (IMAGE, lambda L: [L.DepthwiseConv2D(3, depth_multiplier=2, activation="elu")]),
    "depthwise same, strides": (
        IMAGE,
        lambda L: [L.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)],
    ),
    "separable": (IMAGE, lambda L: [L.SeparableConv2D(5, 3, depth_multiplier=2)]),
    "separable same, strides": (
        IMAGE,
        lambda L: [L.SeparableConv2D(5, 3, strides=2, padding="same", activation="relu")],
    ),
    "normalised first": (IMAGE, lambda L: [L.BatchNormalization(epsilon=0.01), L.Conv2D(2, 3)]),
    "normalised convolution": (IMAGE, lambda L: [L.Conv2D(3, 3), L.BatchNormalization()]),
    "normalised without scale": (IMAGE, lambda L: [L.BatchNormalization(scale=False)]),
    "normalised without shift": (IMAGE, lambda L: [L.BatchNormalization(center=False)]),
    "normalised vectors": ((5,), lambda L: [L.Dense(4), L.BatchNormalization()]),
    "normalised on height": (IMAGE, lambda L: [L.Conv2D(3, 3), L.BatchNormalization(axis=1)]),
    "normalised layer": (IMAGE, lambda L: [L.Conv2D(3, 3), L.LayerNormalization()]),
    "normalised image": (
        IMAGE,
        lambda L: [L.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=0.1)],
    ),
    "normalised columns": (IMAGE, lambda L: [L.LayerNormalization(axis=[2, 3])]),
    "normalised series": ((6, 5), lambda L: [L.BatchNormalization()]),
    "max pooling": (IMAGE, lambda L: [L.MaxPooling2D()]),
    "max pooling same": (IMAGE, lambda L: [L.MaxPooling2D(3, strides=2, padding="same")]),
    "max pooling free size": (FREE, lambda L: [L.MaxPooling2D(3, strides=2, padding="same")]),
    "average pooling": (IMAGE, lambda L: [L.AveragePooling2D((3, 2), strides=(1, 2))]),
    "average pooling same": (IMAGE, lambda L: [L.AveragePooling2D(3, strides=2, padding="same")]),
    "average pooling free size": (
        FREE,
        lambda L: [L.AveragePooling2D(3, strides=2, padding="same")],
    ),
    "global average": (IMAGE, lambda L: [L.GlobalAveragePooling2D(), L.Dense(3)]),
    "global average, kept": (IMAGE, lambda L: [L.GlobalAveragePooling2D(keepdims=True)]),
    "global maximum": (FREE, lambda L: [L.GlobalMaxPooling2D()]),
    "flatten": (IMAGE, lambda L: [L.Conv2D(3, 3), L.Flatten(), L.Dense(4)]),
    "reshape image": (IMAGE, lambda L: [L.Conv2D(4, 1), L.Reshape((7, -1, 2)), L.Conv2D(2, 2)]),
    "reshape vector": ((12,), lambda L: [L.Reshape((2, 3, 2)), L.Conv2D(3, 2)]),
    "reshape free size": (FREE, lambda L: [L.Reshape((-1, 4)), L.Dense(2)]),
    "zero padding": (IMAGE, lambda L: [L.ZeroPadding2D(((1, 2), (0, 3))), L.Conv2D(2, 3)]),
    "zero padding, pair": (IMAGE, lambda L: [L.ZeroPadding2D((2, 1))]),
    "prelu": (IMAGE, lambda L: [L.Conv2D(3, 3), L.PReLU()]),
    "prelu first": (IMAGE, lambda L: [L.PReLU()]),
    "prelu shared": (IMAGE, lambda L: [L.Conv2D(3, 3), L.PReLU(shared_axes=[1, 2])]),
    "relu limits": (IMAGE, lambda L: [L.ReLU(max_value=1, negative_slope=0.2, threshold=0.5)]),
    "relu limited": (IMAGE, lambda L: [L.ReLU(6.0)]),
    "relu sloped": (IMAGE, lambda L: [L.ReLU(negative_slope=0.1)]),
    "relu threshold": (IMAGE, lambda L: [L.ReLU(threshold=0.5)]),
    "leaky relu": (IMAGE, lambda L: [L.LeakyReLU()]),
    "leaky relu, slope": (IMAGE, lambda L: [L.LeakyReLU(0.07)]),
    "elu": (IMAGE, lambda L: [L.ELU(0.7)]),
    "softmax on channels": (IMAGE, lambda L: [L.Conv2D(3, 3), L.Softmax()]),
    "softmax on height": (IMAGE, lambda L: [L.Conv2D(3, 3), L.Softmax(axis=1)]),
    "softmax on width": (IMAGE, lambda L: [L.Conv2D(3, 3), L.Softmax(axis=-2)]),
    "rescaling by channel": (
        IMAGE,
        lambda L: [L.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0.0, -1.0, 1.0, 2.0])],
    ),
    "standardised": (
        IMAGE,
        lambda L: [L.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 0.0])],
    ),
    "permuted": (IMAGE, lambda L: [L.Conv2D(3, 3), L.Permute((3, 1, 2)), L.Flatten()]),
    "repeated": ((5,), lambda L: [L.RepeatVector(3), L.Dense(2)]),
    "rescaling": (IMAGE, lambda L: [L.Rescaling(1 / 127.5, offset=-1), L.Conv2D(2, 3)]),
    "transposed same": (
        IMAGE,
        lambda L: [L.Conv2DTranspose(3, (4, 3), strides=2, padding="same", activation="relu")],
    ),
    "transposed valid": (IMAGE, lambda L: [L.Conv2DTranspose(3, (2, 5), strides=(3, 2))]),
    "transposed, added": (
        IMAGE,
        lambda L: [L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1)],
    ),
    "transposed free size": (FREE, lambda L: [L.Conv2DTranspose(3, 3, strides=2, padding="same")]),
    "transposed dilated": (IMAGE, lambda L: [L.Conv2DTranspose(3, 3, dilation_rate=2)]),
    "enlarged": (IMAGE, lambda L: [L.UpSampling2D((2, 3)), L.Conv2D(2, 3)]),
    "enlarged smoothly": (IMAGE, lambda L: [L.UpSampling2D(3, interpolation="bilinear")]),
    "enlarged free size": (FREE, lambda L: [L.UpSampling2D()]),
    "cropped": (IMAGE, lambda L: [L.Cropping2D(((1, 2), (0, 3)))]),
    "cropped, pair": (IMAGE, lambda L: [L.Conv2D(3, 1), L.Cropping2D((2, 1))]),
    "channels first": (
        IMAGE,
        lambda L: [
            # nowhere as many channels as columns: Keras on TensorFlow adds the bias to the columns
            L.Conv2D(5, 3, data_format="channels_first", padding="same", activation="relu"),
            L.BatchNormalization(axis=1),
            L.MaxPooling2D(2, data_format="channels_first"),
            L.DepthwiseConv2D(2, data_format="channels_first", padding="same"),
            L.UpSampling2D(3, data_format="channels_first"),
            L.PReLU(shared_axes=[2, 3]),
            L.ZeroPadding2D(((0, 1), (2, 0)), data_format="channels_first"),
            L.SeparableConv2D(7, 3, data_format="channels_first"),
            L.Cropping2D((1, 0), data_format="channels_first"),
            L.Conv2DTranspose(3, 2, data_format="channels_first"),
            L.Flatten(data_format="channels_first"),
            L.Dense(3),
        ],
    ),
    "channels first between last": (
        IMAGE,
        lambda L: [
            L.Conv2D(4, 3),
            L.MaxPooling2D(2, data_format="channels_first"),
            L.Conv2D(3, 1),
            L.AveragePooling2D(2, data_format="channels_first", padding="same"),
            L.Flatten(),
        ],
    ),
    "global, channels first": (
        IMAGE,
        lambda L: [
            L.GlobalMaxPooling2D(data_format="channels_first", keepdims=True),
            L.GlobalAveragePooling2D(data_format="channels_first"),
        ],
    ),
    "series, channels first": ((6, 5), lambda L: [L.Flatten(data_format="channels_first")]),
    "series": (
        (12, 4),
        lambda L: [
            L.Conv1D(4, 3, activation="relu"),
            L.MaxPooling1D(2, strides=1, padding="same"),
            L.SeparableConv1D(5, 2, padding="same", depth_multiplier=2),
            L.Conv1D(4, 3, padding="causal", dilation_rate=2),
            L.AveragePooling1D(2),
            L.UpSampling1D(3),
            L.ZeroPadding1D((1, 2)),
            L.Cropping1D(1),
            L.BatchNormalization(),
            L.SpatialDropout1D(0.5),
            L.GlobalMaxPooling1D(),
        ],
    ),
    "series, all channels": ((None, 4), lambda L: [L.GlobalAveragePooling1D(), L.Dense(2)]),
    "resized": (IMAGE, lambda L: [L.Resizing(5, 11), L.Conv2D(2, 3)]),
    "resized to the nearest": (IMAGE, lambda L: [L.Resizing(4, 8, interpolation="nearest")]),
    "centre": (IMAGE, lambda L: [L.CenterCrop(4, 4), L.Conv2D(2, 3)]),
    "nothing at inference": (
        IMAGE,
        lambda L: [
            L.GaussianNoise(0.5),
            L.Conv2D(2, 3),
            L.SpatialDropout2D(0.5),
            L.Dropout(0.5),
            L.GaussianDropout(0.5),
            L.ActivityRegularization(0.1),
            L.AlphaDropout(0.5),
        ],
    ),
    "augmentation": (
        IMAGE,
        lambda L: [
            L.RandomFlip(),
            L.RandomRotation(0.2),
            L.RandomZoom(0.2),
            L.RandomTranslation(0.2, 0.2),
            L.RandomContrast(0.2),
            L.Identity(),
            L.Conv2D(2, 3),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_layer_gives_what_keras_gives(keras, tmp_path, case):
    shape, layers = CASES[case]
    model = keras.Sequential([keras.layers.Input(shape), *layers(keras.layers)])
    assert_same_as_keras(model, tmp_path / "model.h5", np.random.default_rng(1))


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("ThresholdedReLU", {"theta": 0.5}, [0, 0, 0, 0.75, 3]),  # x where x > theta, else 0
        ("ThresholdedReLU", {}, [0, 0, 0, 0, 3]),  # theta is 1 unless said
        ("RandomBrightness", {"factor": 0.5}, [-2, 0.25, 0.5, 0.75, 3]),
        ("FixedDropout", {"rate": 0.2, "noise_shape": [None, 1]}, [-2, 0.25, 0.5, 0.75, 3]),
        ("Custom>CastToFloat32", {}, [-2, 0.25, 0.5, 0.75, 3]),
    ],
)
def test_layers_that_keras_3_cannot_save(tmp_path, name, config, expected):
    # as Keras 2 wrote them; what they do is said in its manual
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 5]}},
        {"class_name": name, "config": {"name": "y", **config}},
    ]
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        model = {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}
        file.attrs["model_config"] = json.dumps(model)
    x = np.array([[-2, 0.25, 0.5, 0.75, 3]], dtype=np.float32)
    result = run_onnx(read_keras_hdf5(path), x)
    np.testing.assert_array_equal(result, np.array([expected], dtype=np.float32))


@pytest.mark.parametrize(
    "activation",
    [
        "elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "log_softmax",
        "mish", "relu", "relu6", "selu", "sigmoid", "softmax", "softplus", "softsign", "swish",
        "tanh", "hard_silu",
    ],
)  # fmt: skip
def test_activation_gives_what_keras_gives(keras, tmp_path, activation):
    try:
        keras.activations.get(activation)
    except ValueError:
        pytest.skip(f"{keras.__name__} {keras.__version__} has no activation {activation!r}")
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input(IMAGE), layers.Conv2D(3, 3), layers.Activation(activation)]
    )
    # Inputs up to about 10 reach the flat parts of relu6 and hard_sigmoid.
    assert_same_as_keras(model, tmp_path / "model.h5", np.random.default_rng(2), scale=3.0)


def nested_and_shared(keras):
    """One model in another, called twice, a shared layer, a frozen layer, dropout, a branch."""
    L = keras.layers
    entry = keras.Input((6, 6, 4))
    wide = L.Conv2D(4, 3, padding="same", name="frozen", trainable=False)(entry)
    wide = L.BatchNormalization()(wide)
    inner = keras.Model(entry, L.Add()([wide, L.Conv2D(4, 1)(wide)]), name="inner")
    head = keras.Sequential([L.Input((6, 6, 4)), L.Flatten(), L.Dense(5), L.LeakyReLU()])
    images = keras.Input((6, 6, 4))
    once = L.Dropout(0.3)(inner(images), training=False)
    return keras.Model(images, L.Concatenate()([head(once), head(inner(inner(images)))]))


def squeezed(keras):
    """Channels weighed by what is in them, with and without kept axes: products that broadcast."""
    L = keras.layers
    images = keras.Input((6, 6, 4))
    x = L.Conv2D(4, 3)(images)
    gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D()(x))
    kept = L.Multiply()([x, L.Reshape((1, 1, 4))(gate)])
    return keras.Model(images, L.Multiply()([kept, gate]))


def merged(keras):
    """Every merging layer, of stored orders that differ."""
    L = keras.layers
    images = keras.Input((6, 6, 4))
    x = L.Conv2D(4, 3, padding="same")(images)
    y = L.Dense(4)(x)
    parts = [
        L.Add()([images, x, y]),
        L.Subtract()([x, images]),
        L.Multiply()([x, y]),
        L.Average()([x, y, images]),
        L.Maximum()([y, x]),
        L.Minimum()([x, images]),
    ]
    tall = L.Concatenate(axis=1)(parts[:2])
    wide = L.Concatenate(axis=2)(parts[2:4])
    flat = [L.GlobalMaxPooling2D()(tall), L.GlobalAveragePooling2D()(wide)]
    flat += [L.Flatten()(L.Concatenate()(parts[4:]))]
    return keras.Model(images, L.Concatenate()(flat))


def calculated(keras):
    """Arithmetic outside of layers, as preprocess_input of many networks has it."""
    L = keras.layers
    images = keras.Input((6, 6, 3))
    x = images / 127.5 - 1.0
    x = keras.applications.resnet50.preprocess_input(x, data_format="channels_last")
    x = L.Conv2D(3, 3)(x * 0.01)
    y = L.Conv2D(3, 3, padding="same")(x)
    return keras.Model(images, L.Flatten()(1.0 - (x + y) * x))


@pytest.mark.parametrize("build", [nested_and_shared, squeezed, merged, calculated])
def test_functional_model_gives_what_keras_gives(keras, tmp_path, build):
    assert_same_as_keras(build(keras), tmp_path / "model.h5", np.random.default_rng(3))


def test_names_split_over_attributes_are_joined(keras, tmp_path):
    path = tmp_path / "model.h5"
    model = nested_and_shared(keras)
    assert_same_as_keras(model, path, np.random.default_rng(4))
    whole = read_keras_hdf5(path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/inner"]
        names = group.attrs["weight_names"]
        del group.attrs["weight_names"]
        group.attrs["weight_names0"], group.attrs["weight_names1"] = names[:3], names[3:]
    assert read_keras_hdf5(path) == whole


KERAS_1_SETTINGS = {
    "filters": "nb_filter",
    "units": "output_dim",
    "padding": "border_mode",
    "strides": "subsample",
    "use_bias": "bias",
}
KERAS_1_CLASSES = {"Conv2D": "Convolution2D", "SeparableConv2D": "SeparableConvolution2D"}
KERAS_1_MERGES = {"Add": "sum", "Multiply": "mul", "Average": "ave", "Maximum": "max"}
KERAS_1_WEIGHTS = {
    "kernel": "W",
    "bias": "b",
    "moving_mean": "running_mean",
    "moving_variance": "running_std",
}


def in_words_of_keras_1(entry, *, first=False):
    """Say a layer of today as Keras 1 said it."""
    config = entry["config"]
    name = entry["class_name"]
    pooling = "Pooling" in name
    old = {
        (key if pooling and key == "strides" else KERAS_1_SETTINGS.get(key, key)): value
        for key, value in config.items()
    }
    if "kernel_size" in config:
        old["nb_row"], old["nb_col"] = old.pop("kernel_size")
    if old.pop("data_format", None) and name != "Flatten":
        old["dim_ordering"] = "th" if first else "tf"
    if name in KERAS_1_MERGES or name == "Concatenate":
        old |= {"mode": KERAS_1_MERGES.get(name, "concat"), "concat_axis": old.pop("axis", -1)}
        name = "Merge"
    return {**entry, "class_name": KERAS_1_CLASSES.get(name, name), "config": old}


def test_words_of_keras_1_are_understood(keras, tmp_path):
    L = keras.layers
    images = keras.Input(IMAGE)
    x = L.Conv2D(4, (3, 2), strides=(1, 2), padding="same")(images)
    x = L.BatchNormalization()(x)
    y = L.SeparableConv2D(4, 3, padding="same", activation="relu")(x)
    parts = [getattr(L, name)()([x, y]) for name in [*KERAS_1_MERGES, "Concatenate"]]
    x = L.MaxPooling2D(2, strides=2)(L.Concatenate()(parts))
    path = tmp_path / "model.h5"
    model = keras.Model(images, L.Dense(3)(L.Flatten()(x)))
    assert_same_as_keras(model, path, np.random.default_rng(5))
    today = read_keras_hdf5(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layers = config["config"]["layers"]
        config["config"]["layers"] = [in_words_of_keras_1(entry) for entry in layers]
        config["class_name"] = "Model"
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "1.2.2"
        for group in file["model_weights"].values():
            # Keras 1 put the arrays beside each other and called them <layer>_<weight>.
            arrays = [group[name] for name in group.attrs["weight_names"]]
            names = [f"x_{array.name.split('/')[-1].split(':')[0]}" for array in arrays]
            for now, old in KERAS_1_WEIGHTS.items():
                names = [f"x_{old}" if name == f"x_{now}" else name for name in names]
            for array, name in zip(arrays, names, strict=True):
                group[name] = array
            group.attrs["weight_names"] = [name.encode() for name in names]
    assert read_keras_hdf5(path) == today


@pytest.mark.parametrize("version", ["1.1.0", None])
def test_kernels_of_keras_1_with_channels_first(keras, tmp_path, version):
    # (filters, channels, rows, columns), where Keras has (rows, columns, channels, filters) today
    L = keras.layers
    path = tmp_path / "model.h5"
    layers = [L.Conv2D(5, (3, 2), data_format="channels_first"), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([L.Input((4, 9, 7)), *layers])
    assert_same_as_keras(model, path, np.random.default_rng(6))
    today = read_keras_hdf5(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        entries = config["config"]["layers"]
        config["config"] = [in_words_of_keras_1(entry, first=True) for entry in entries]
        file.attrs["model_config"] = json.dumps(config)
        for owner in (file, file["model_weights"]):
            del owner.attrs["keras_version"]  # which not all have, and none in both
        if version is not None:
            file.attrs["keras_version"] = version
        group = file[f"model_weights/{layers[0].name}"]
        name = group.attrs["weight_names"][0]
        kernel = group[name][()]
        del group[name]
        group[name] = kernel.transpose(3, 2, 0, 1)
    assert read_keras_hdf5(path) == today


sizes = st.integers(1, 3)
paddings = st.sampled_from(["same", "valid"])
activations = st.sampled_from(["linear", "relu", "elu", "tanh", "hard_sigmoid", "swish", "gelu"])
steps = st.one_of(
    st.tuples(
        st.just("Conv2D"),
        st.fixed_dictionaries(
            {
                "filters": st.integers(1, 6),
                "kernel_size": st.tuples(sizes, sizes),
                "strides": st.integers(1, 2),
                "padding": paddings,
                "use_bias": st.booleans(),
                "activation": activations,
            }
        ),
    ),
    st.tuples(
        st.just("Conv2D"),
        st.fixed_dictionaries(
            {
                "filters": sizes,
                "kernel_size": sizes,
                "dilation_rate": st.integers(1, 3),
                "padding": paddings,
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["DepthwiseConv2D", "SeparableConv2D"]),
        st.fixed_dictionaries(
            {
                "kernel_size": sizes,
                "depth_multiplier": st.integers(1, 2),
                "strides": st.integers(1, 2),
                "padding": paddings,
                "use_bias": st.booleans(),
                "activation": activations,
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["MaxPooling2D", "AveragePooling2D"]),
        st.fixed_dictionaries({"pool_size": sizes, "strides": sizes, "padding": paddings}),
    ),
    st.tuples(
        st.just("BatchNormalization"),
        st.fixed_dictionaries({"scale": st.booleans(), "center": st.booleans()}),
    ),
    st.tuples(st.just("ZeroPadding2D"), st.fixed_dictionaries({"padding": sizes})),
    st.tuples(st.just("Activation"), st.fixed_dictionaries({"activation": activations})),
    st.tuples(
        st.sampled_from(["Add", "Multiply", "Maximum", "Average", "Concatenate"]), st.just({})
    ),
    st.tuples(st.sampled_from(["PReLU", "LeakyReLU", "Softmax"]), st.just({})),
    st.tuples(st.just("Dropout"), st.just({"rate": 0.5})),
)


def build_drawn(keras, shape, drawn, ending):
    """Build a functional model; a step whose window does not fit pads, a merge adds a branch."""
    L = keras.layers
    images = x = keras.Input(shape)
    for name, drawn_settings in drawn:
        options = dict(drawn_settings)
        if name == "SeparableConv2D":
            options["filters"] = 3
        if name in {"Add", "Multiply", "Maximum", "Average", "Concatenate"}:
            x = getattr(L, name)()([x, L.Conv2D(x.shape[-1], 3, padding="same")(x)])
            continue
        if min(x.shape[1:3]) < 8 and "padding" in options and name != "ZeroPadding2D":
            options["padding"] = "same"
        x = getattr(L, name)(**options)(x)
    for name, options in ending:
        x = getattr(L, name)(**options)(x)
    return keras.Model(images, x)


@settings(
    max_examples=12,
    deadline=None,  # building a Keras model takes what it takes
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    shape=st.tuples(st.integers(8, 12), st.integers(8, 12), st.integers(1, 4)),
    drawn=st.lists(steps, min_size=1, max_size=6),
    ending=st.sampled_from(
        [
            [],
            [("GlobalAveragePooling2D", {}), ("Dense", {"units": 7, "activation": "softmax"})],
            [("Flatten", {}), ("Dense", {"units": 7, "activation": "softmax"})],
            [("Conv2D", {"filters": 7, "kernel_size": 1}), ("GlobalMaxPooling2D", {})],
        ]
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_drawn_model_gives_what_keras_gives(keras, tmp_path, shape, drawn, ending, seed):
    model = build_drawn(keras, shape, drawn, ending)
    assert_same_as_keras(model, tmp_path / "model.h5", np.random.default_rng(seed))
    keras.backend.clear_session()
