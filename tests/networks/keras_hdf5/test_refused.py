"""Files that the HDF5 reader must refuse, each with an error that says what and where."""

import copy
import json
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib

import h5py
import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.model import read_keras_hdf5

KERNEL = np.arange(6, dtype=np.float32).reshape(3, 2)
BIAS = np.array([1, -1], dtype=np.float32)
WEIGHTS = {"scores": {"scores/kernel:0": KERNEL, "scores/bias:0": BIAS}}


def layer(class_name, name, inputs=None, **config):
    """One layer as Keras 2 writes it; `inputs` names the layers it takes, None in Sequential."""
    entry = {"class_name": class_name, "config": {"name": name, **config}}
    if inputs is not None:
        nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
        entry |= {"name": name, "inbound_nodes": nodes}
    return entry


def sequential(*layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def functional(*layers, inputs=("images",), outputs=("scores",), name="model"):
    config = {
        "name": name,
        "layers": list(layers),
        "input_layers": [[n, 0, 0] for n in inputs],
        "output_layers": [[n, 0, 0] for n in outputs],
    }
    return {"class_name": "Functional", "config": config}


def write(path, config, weights=None):
    """Write a file in the layout of Keras 2."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.2.4"
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        root = file.create_group("model_weights")
        for name, arrays in (weights or {}).items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in arrays]
            for weight, values in arrays.items():
                group[weight] = values
    return path


DENSE_SETTINGS = {
    "class_name": "Dense", "name": "scores", "units": 2, "batch_input_shape": [None, 3],
}  # fmt: skip
DENSE = layer(**DENSE_SETTINGS)
INPUT = layer("InputLayer", "images", [], batch_input_shape=[None, 8, 8, 3])


@pytest.fixture
def path(tmp_path):
    """Return a small file that is in order; the tests spoil it."""
    return write(tmp_path / "model.h5", sequential(DENSE), WEIGHTS)


def test_the_file_that_is_spoilt_below_is_in_order(path):
    network = read_keras_hdf5(path)
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    vectors = np.array([[1, 2, 3], [0, -1, 0.5]], dtype=np.float32)
    expected = vectors @ KERNEL + BIAS
    # Sums of three small products: exact in single precision.
    np.testing.assert_array_equal(session.run(None, {"input": vectors})[0], expected)


@pytest.mark.parametrize("with_list", [True, False])
def test_sequential_configuration_may_be_a_bare_list(tmp_path, path, with_list):
    config = sequential(DENSE)
    if with_list:
        config["config"] = config["config"]["layers"]
    other = write(tmp_path / "other.h5", config, WEIGHTS)
    assert read_keras_hdf5(other) == read_keras_hdf5(path)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_activations_under_their_names_in_tensorflow(tmp_path, name):
    files = [
        write(
            tmp_path / f"{said}.h5", sequential(layer(**DENSE_SETTINGS, activation=said)), WEIGHTS
        )
        for said in (name, f"{name}_v2")
    ]
    assert read_keras_hdf5(files[0]) == read_keras_hdf5(files[1])


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.h5"):
        read_keras_hdf5(tmp_path / "absent.h5")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x00" * 100, "is expected"),
    ],
)
def test_other_files_are_told_apart(tmp_path, content, reason):
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"model\.h5: is not an HDF5 file.*{reason}"):
        read_keras_hdf5(path)


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.6, 0.95, 0.999])
def test_truncated_file(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(WeightsError, match=r"model\.h5: .*truncated or damaged"):
        read_keras_hdf5(path)


def test_damaged_heap_does_not_hang(path):
    content = bytearray(path.read_bytes())
    first_object = content.index(b"GCOL") + 16
    content[first_object : first_object + 16] = bytes(16)  # free space of size 0: no way on
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.h5: cannot be read.*no text of its length"):
        read_keras_hdf5(path)


@pytest.fixture(params=["earliest", "latest"])
def old_or_new(tmp_path, request):
    """Return a file in order with the oldest and with the newest kind of headers."""
    path = tmp_path / "model.h5"
    with h5py.File(path, "w", libver=request.param) as file:
        file.attrs["other"] = 3
        file.attrs["model_config"] = json.dumps(sequential(DENSE))
        for i in range(5):  # more than the first block of the header has room for
            file.attrs[f"more {i}"] = "x" * 100
        file.attrs["keras_version"] = "2.2.4"
        group = file.create_group("model_weights/scores")
        group.attrs["weight_names"] = list(WEIGHTS["scores"])
        for name, values in WEIGHTS["scores"].items():
            group[name] = values
    return path


def test_texts_are_found_in_old_and_new_headers(old_or_new, path):
    assert read_keras_hdf5(old_or_new) == read_keras_hdf5(path)


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF])
def test_length_of_a_text_that_claims_gigabytes(old_or_new, length, peak_of_reading):
    content = old_or_new.read_bytes()
    text = json.dumps(sequential(DENSE)).encode()
    heap = struct.pack("<Q", content.index(b"GCOL"))
    place = content.index(struct.pack("<I", len(text)) + heap)
    old_or_new.write_bytes(content[:place] + struct.pack("<I", length) + content[place + 4 :])
    # the newer headers have checksums
    reason = r"asks for more than is left|no text of its length|checksum|unable to"
    message, peak = peak_of_reading(old_or_new)
    assert re.match(rf"WeightsError: .*model\.h5.*({reason})", message)
    assert peak < 2**26


def test_compressed_weights_that_unpack_to_far_more_than_they_should(path, peak_of_reading):
    bomb = zlib.compress(bytes(2**27), 9)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/scores"]
        del group["scores/kernel:0"]
        dataset = group.create_dataset(
            "scores/kernel:0",
            shape=KERNEL.shape,
            maxshape=(None, None),
            dtype="f4",
            chunks=(256, 256),
            compression=9,
        )
        dataset.id.write_direct_chunk((0, 0), bomb)
    message, peak = peak_of_reading(path)
    expected = r"WeightsError: .*'scores/kernel:0'.* unpacks to more than its 262144 bytes"
    assert re.match(expected, message)
    assert peak < 2**26


@pytest.fixture
def peak_of_reading():
    """Return a function that reads a file in a process of its own: its error, its memory."""
    pytest.importorskip("resource", reason="memory is measured on Unix")

    def read(path):
        code = (
            "import resource, sys, h5py, onnx, numpy\n"
            "from emotion_estimators.networks.keras_hdf5.model import read_keras_hdf5\n"
            "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "before = peak()\n"
            "try: read_keras_hdf5(sys.argv[1])\n"
            "except Exception as error: print(f'{type(error).__name__}: {error}')\n"
            "print(peak() - before)\n"
        )
        output = subprocess.run(
            [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
        ).stdout
        message, grown = output.splitlines()
        unit = 1 if sys.platform == "darwin" else 1024
        return message, int(grown) * unit

    return read


@pytest.mark.parametrize("value", [3.0, [["a", "b"]], h5py.Empty("S1")])
def test_version_that_is_not_a_text(path, value):
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = value
    with pytest.raises(WeightsError, match=r"model\.h5: .*'keras_version' must (hold|be one) text"):
        read_keras_hdf5(path)


def test_weights_without_architecture(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(WeightsError, match=r"model\.h5: has no attribute 'model_config'"):
        read_keras_hdf5(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[" * 200_000 + "]" * 200_000, "nested too deeply"),
        ("[1]", "must be a JSON object, got list"),
        ("{}", "'class_name' must be a text"),
        ('{"class_name": "Functional", "config": []}', "must be a JSON object, got list"),
        ('{"class_name": "Functional", "config": {}}', "'input_layers' is empty"),
        ('{"class_name": "Sequential", "config": []}', "has no layers"),
        ('{"class_name": "MyModel", "config": {}}', "the model is a 'MyModel'"),
    ],
)
def test_broken_architecture(tmp_path, text, reason):
    path = write(tmp_path / "model.h5", text)
    with pytest.raises(WeightsError, match=rf"model\.h5: .*{reason}"):
        read_keras_hdf5(path)


CODE = ["4wEAAAAAAAAA", None, None]  # what Keras writes of a Python function: marshalled bytecode


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (layer("Lambda", "x", function=CODE), "without running code"),
        (layer("TFOpLambda", "x", function="math.add"), "without running code"),
        (layer("MyLayer", "x"), "layers of class 'MyLayer' cannot be converted; known: .*Conv2D"),
        (layer("Mine>Dense", "x", units=2), "layers of class 'Mine>Dense' cannot"),
        ({**layer("Dense", "x", units=2), "module": "my_code"}, "custom layer of module 'my_code'"),
        (layer("Activation", "x", activation="mine"), "the activation 'mine' cannot"),
        (layer("Activation", "x", activation={"class_name": "function"}), "the activation .* cann"),
        (layer("Activation", "x"), "'activation' must be a text"),
        (layer("MaxPooling2D", "x"), "needs images"),
        (layer("Reshape", "x", target_shape=[2, 2]), r"cannot reshape \(3,\)"),
        (layer("Reshape", "x", target_shape=[10**9, 10**9]), "cannot reshape"),
        (layer("Softmax", "x", axis=0), "axis=0"),
        (layer("LeakyReLU", "x", alpha="much"), "'alpha' must be a number"),
        (layer("LeakyReLU", "x", alpha=float("nan")), "'alpha' must be a finite number"),
        (layer("Rescaling", "x"), "'scale' must be a number"),
        (layer("Rescaling", "x", scale=[1, 2]), "'scale' must be 3 numbers, got 2"),
        (layer("Normalization", "x", mean=[0], variance=[[1, 1]]), "'mean' must be 3 numbers"),
        (layer("Normalization", "x", invert=True, mean=0, variance=1), "inverted cannot"),
        (layer("Permute", "x", dims=[2]), r"dims=\[2\] is no order of the axes"),
        (layer("RepeatVector", "x"), "'n' must be a whole number"),
        (layer("MaxPooling1D", "x"), r"needs series .*, got shape \(3,\)"),
        (layer("Add", "x"), "takes several tensors"),
    ],
)
def test_layer_that_cannot_be_converted(tmp_path, entry, reason):
    first = layer("InputLayer", "images", batch_input_shape=[None, 3])
    path = write(tmp_path / "model.h5", sequential(first, entry))
    with pytest.raises(WeightsError, match=rf"model\.h5, layer 'x' \(.*\): .*{reason}"):
        read_keras_hdf5(path)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"data_format": "channels"}, "data_format='channels' cannot be converted; known: chann"),
        ({"data_format": "channels_first", "activation": "softmax"}, "softmax over the columns"),
        ({"data_format": "channels_first", "activation": "softmax_v2"}, "softmax over the columns"),
        ({"padding": "causal"}, "padding='causal' cannot be converted; known: same, valid"),
        ({"kernel_size": [3, 3, 3]}, "must be one or two whole numbers"),
        ({"strides": [0, 1]}, "'strides' must be a whole number from 1"),
        ({"strides": [True, True]}, "'strides' must be a whole number"),
        ({"groups": 2}, "groups=2 must divide 3 channels"),
        ({"filters": 5}, r"needs an array of shape \(3, 3, 3, 5\), the file holds \(3, 3, 3, 2\)"),
        ({"filters": 10**9}, "needs an array of shape"),
        ({"filters": 10**30}, "'filters' must be a whole number"),
        ({"filters": None}, "'filters' must be a whole number"),
        ({"use_bias": False}, "needs 1 arrays of weights, the file holds 2"),
        ({"use_bias": 1}, "'use_bias' must be true or false"),
        ({"activation": ["relu"]}, r"the activation \['relu'\] cannot"),
    ],
)
def test_settings_that_cannot_be_converted(tmp_path, entry, reason):
    config = {"filters": 2, "kernel_size": [3, 3], **entry}
    model = functional(INPUT, layer("Conv2D", "scores", ["images"], **config))
    arrays = {"kernel:0": np.zeros((3, 3, 3, 2), np.float32), "bias:0": np.zeros(2, np.float32)}
    path = write(tmp_path / "model.h5", model, {"scores": arrays})
    with pytest.raises(WeightsError, match=rf"model\.h5, layer 'scores'.*: .*{reason}"):
        read_keras_hdf5(path)


def relu(name, *inputs):
    return layer("ReLU", name, list(inputs))


UNKNOWN_OUTPUT = relu("scores", "images")
UNKNOWN_OUTPUT["inbound_nodes"][0][0][2] = 1
TRAINING = relu("scores", "images")
TRAINING["inbound_nodes"][0][0][3] = {"training": True}
KERAS_3_CALL = relu("scores", "images")
KERAS_3_CALL["inbound_nodes"] = [{"args": [3.0], "kwargs": {}}]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (functional(INPUT, relu("a", "b"), relu("b", "a"), relu("scores", "b")), "form a cycle"),
        (functional(INPUT, relu("scores", "scores")), "form a cycle"),
        (functional(INPUT, relu("scores", "nobody")), "call 0 of layer 'nobody' is used but not"),
        (functional(INPUT, relu("scores", "images"), outputs=("x",)), "call 0 of layer 'x' is"),
        (functional(INPUT, relu("scores", "images"), inputs=("x",)), "input layer 'x' does not"),
        (functional(INPUT, INPUT, relu("scores", "images")), "two layers are called 'images'"),
        (functional(INPUT, UNKNOWN_OUTPUT), "takes output 1 of layer 'images'"),
        (functional(INPUT, TRAINING), "is called with training=True"),
        (functional(INPUT, KERAS_3_CALL), "is called with 3.0; tensors are expected"),
        (functional(INPUT, relu("scores", "images", "images")), "takes one tensor, got 2"),
        (functional(INPUT, relu("scores", "images"), inputs=("images",) * 2), "has 2 inputs"),
        (
            functional(layer("InputLayer", "images", []), relu("scores", "images")),
            "does not say the shape of the input",
        ),
        (
            functional(INPUT, layer("MaxPooling2D", "scores", ["images"], pool_size=9)),
            "a window of 9 px does not fit",
        ),
        (
            functional(INPUT, layer("ZeroPadding2D", "scores", ["images"], padding=10**6)),
            "for one image, more than",
        ),
        (
            functional(
                INPUT,
                layer("MaxPooling2D", "half", ["images"]),
                layer("Add", "scores", ["images", "half"]),
            ),
            "cannot bring together the shapes",
        ),
        (
            functional(
                INPUT,
                layer("MaxPooling2D", "half", ["images"]),
                layer("Concatenate", "scores", ["images", "half"]),
            ),
            "cannot join the shapes",
        ),
    ],
)
def test_graph_that_cannot_be_converted(tmp_path, model, reason):
    path = write(tmp_path / "model.h5", model)
    with pytest.raises(WeightsError, match=rf"model\.h5.*{reason}"):
        read_keras_hdf5(path)


def test_models_nested_absurdly_deep(tmp_path):
    model = sequential(layer("ReLU", "x", batch_input_shape=[None, 3]))
    for _ in range(20):
        model = sequential({**model, "name": "inner"})
    path = write(tmp_path / "model.h5", model)
    with pytest.raises(WeightsError, match="nested more than 16 deep"):
        read_keras_hdf5(path)


def test_shared_models_that_multiply(tmp_path):
    # Each level calls the one inside it ten times: 10^8 calls in a few kilobytes.
    model = functional(INPUT, relu("scores", "images"))
    for level in range(8):
        inner = {**copy.deepcopy(model), "name": f"level{level}"}
        inner["inbound_nodes"] = [[["images", 0, 0, {}]]]
        inner["inbound_nodes"] += [[[inner["name"], i, 0, {}]] for i in range(9)]
        model = functional(INPUT, inner, outputs=())
        model["config"]["output_layers"] = [[inner["name"], 9, 0]]
    path = write(tmp_path / "model.h5", model)
    with pytest.raises(WeightsError, match="more than 20000 calls of layers"):
        read_keras_hdf5(path)


def replace(path, name, **dataset):
    """Put another dataset in the place of the kernel or the bias."""
    with h5py.File(path, "r+") as file:
        group = file["model_weights/scores/scores"]
        del group[name]
        group.create_dataset(name, **dataset)


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ({"data": KERNEL.T}, r"needs an array of shape \(3, 2\), the file holds \(2, 3\)"),
        ({"data": KERNEL * np.nan}, "values that are not finite"),
        ({"data": np.full((3, 2), 1e300)}, "values that are not finite"),
        ({"data": KERNEL.astype(np.int32)}, "must hold floating point numbers, got int32"),
        ({"data": [["a", "b"]] * 3}, "must hold floating point numbers, got object"),
        ({"data": h5py.Empty("f4")}, "has no shape"),
        ({"data": KERNEL, "compression": "lzf"}, "filter that HDF5 does not have built in"),
        ({"shape": (10**7, 10**7), "dtype": "f4", "chunks": (1, 10)}, "declares shape"),
        ({"shape": (2**28, 2**28), "dtype": "f4"}, "declares shape"),
        (
            {"shape": (3, 2), "dtype": "f4", "chunks": (2**14, 2**14), "maxshape": (None, None)},
            "declares shape",
        ),
    ],
)
def test_weight_that_cannot_be_read(path, dataset, reason):
    replace(path, "kernel:0", **dataset)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=rf"model\.h5, layer 'scores', weight .*{reason}"):
            read_keras_hdf5(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20  # the file has 8 KB; what it declares is gigabytes


def test_weight_compressed_by_hdf5_is_read(path):
    before = read_keras_hdf5(path)
    replace(path, "kernel:0", data=KERNEL, compression="gzip", shuffle=True, fletcher32=True)
    assert read_keras_hdf5(path) == before


def test_weight_stored_in_another_file(path, tmp_path):
    (tmp_path / "raw").write_bytes(KERNEL.tobytes())
    external = [(str(tmp_path / "raw"), 0, KERNEL.nbytes)]
    replace(path, "kernel:0", shape=(3, 2), dtype="f4", external=external)
    with pytest.raises(WeightsError, match=r"weight 'scores/kernel:0': lies in another file"):
        read_keras_hdf5(path)


def test_weight_mapped_from_another_file(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = KERNEL
    layout = h5py.VirtualLayout(shape=(3, 2), dtype="f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", shape=(3, 2))
    with h5py.File(path, "r+") as file:
        group = file["model_weights/scores/scores"]
        del group["kernel:0"]
        group.create_virtual_dataset("kernel:0", layout)
    with pytest.raises(WeightsError, match=r"weight 'scores/kernel:0': lies in another file"):
        read_keras_hdf5(path)


@pytest.mark.parametrize("place", ["model_weights", "model_weights/scores"])
@pytest.mark.parametrize("kind", ["SoftLink", "ExternalLink"])
def test_links_are_not_followed(path, tmp_path, place, kind):
    with h5py.File(path, "r+") as file, h5py.File(tmp_path / "other.h5", "w") as other:
        file.copy(place, other, "copy")
        file.move(place, "moved")
        target = ("/moved",) if kind == "SoftLink" else ("other.h5", "copy")
        file[place] = getattr(h5py, kind)(*target)
    with pytest.raises(WeightsError, match=rf"model\.h5: .*link to another place \({kind}\)"):
        read_keras_hdf5(path)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["/model_weights/scores/scores/kernel:0", "scores/bias:0"], "is not a name"),
        (["../scores/kernel:0", "scores/bias:0"], "is not a name"),
        (["scores/absent:0", "scores/bias:0"], "is named but not in the file"),
        (["scores", "scores/bias:0"], "is named but not in the file"),
        (["scores/kernel:0/deeper", "scores/bias:0"], "is named but not in the file"),
        (["scores/bias:0", "scores/kernel:0"], "expected its kernel where the file holds"),
        (["scores/kernel:0"], "needs 2 arrays of weights, the file holds 1"),
        ([], "needs 2 arrays of weights, the file holds 0"),
        ([1.0, 2.0], "'weight_names' must hold text"),
        ([b"\xff\xfe", b"\xff"], "truncated or damaged"),
    ],
)
def test_names_of_weights_that_lead_nowhere(path, names, reason):
    with h5py.File(path, "r+") as file:
        file["model_weights/scores"].attrs["weight_names"] = names
    with pytest.raises(WeightsError, match=rf"model\.h5.*{reason}"):
        read_keras_hdf5(path)


def heap_reference(content, text):
    """Where HDF5 keeps a text of variable length: its length, its heap, its place in that."""
    start = content.index(text)
    heap = content.rindex(b"GCOL\x01\0\0\0", 0, start)
    (index,) = struct.unpack_from("<H", content, start - 16)
    return struct.pack("<IQI", len(text), heap, index)


def test_names_that_are_all_one_long_text(path):
    long, names = "x" * 200_000, [f"name{i:05}" for i in range(500)]
    with h5py.File(path, "r+") as file:
        file.attrs["long"] = long
        file["model_weights/scores"].attrs["weight_names"] = names
    whole = content = path.read_bytes()
    for name in names:  # 8 KB of references to 200 KB: 100 MB of names in a file of 250 KB
        content = content.replace(
            heap_reference(whole, name.encode()), heap_reference(whole, long.encode())
        )
    path.write_bytes(content)
    with h5py.File(path) as file:
        assert file["model_weights/scores"].attrs.get_id("weight_names").shape == (500,)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"the attribute 'weight_names' asks for more"):
            read_keras_hdf5(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_missing_weights(path):
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
    with pytest.raises(WeightsError, match=r"layer 'scores'.*needs 2 arrays .* holds 0"):
        read_keras_hdf5(path)


def test_negative_variance(tmp_path):
    names = ["gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"]
    arrays = {name: np.full(3, -1, np.float32) for name in names}
    entry = layer("BatchNormalization", "scores", batch_input_shape=[None, 3])
    path = write(tmp_path / "model.h5", sequential(entry), {"scores": arrays})
    with pytest.raises(WeightsError, match=r"layer 'scores'.*negative moving variance"):
        read_keras_hdf5(path)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["Sequential", "Functional", "Dense", "Conv2D", "images", "scores", "Add"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "class_name",
                    "config",
                    "layers",
                    "name",
                    "inbound_nodes",
                    "units",
                    "batch_input_shape",
                    "input_layers",
                    "output_layers",
                    "axis",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


def places(value, place=()):
    """Every place in a JSON value, as the keys that lead there."""
    yield place
    pairs = enumerate(value) if isinstance(value, list) else ()
    pairs = value.items() if isinstance(value, dict) else pairs
    for key, inner in pairs:
        yield from places(inner, (*place, key))


def read_or_refusal(path):
    try:
        return read_keras_hdf5(path), ""
    except WeightsError as error:
        return None, str(error)


IN_ORDER = functional(
    layer("InputLayer", "images", [], batch_input_shape=[None, 3]),
    layer("Dense", "scores", ["images"], units=2, activation="softmax"),
)


@settings(
    max_examples=150,
    deadline=None,  # the first example loads the libraries
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.sampled_from([p for p in places(IN_ORDER) if p]), value=values)
def test_any_value_anywhere_is_read_or_refused(tmp_path, place, value):
    config = copy.deepcopy(IN_ORDER)
    here = config
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = value
    path = write(tmp_path / "model.h5", config, WEIGHTS)
    network, refusal = read_or_refusal(path)
    if network is None:
        assert "model.h5" in refusal
    else:
        onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])


def test_as_much_json_as_there_may_be(tmp_path):
    filling = " " * ((16 << 20) - len(json.dumps(sequential(DENSE))))
    path = write(tmp_path / "model.h5", json.dumps(sequential(DENSE)) + filling, WEIGHTS)
    with path.open("ab") as file:
        file.write(bytes(1 << 20))  # the text counts in the budget of the file
    read_keras_hdf5(path)
    path = write(tmp_path / "model.h5", json.dumps(sequential(DENSE)) + filling + " ", WEIGHTS)
    with pytest.raises(WeightsError, match=r"model\.h5: 'model_config' holds more JSON than the 1"):
        read_keras_hdf5(path)


def test_heaps_that_overlap(path, peak_of_reading):
    """Each of 100 heaps begins with an object that covers the head of the next one."""
    n_heaps, n_objects = 100, 60_000
    with h5py.File(path, "r+") as file:
        file["model_weights/scores"].attrs["weight_names"] = [f"Q{i:03}" for i in range(n_heaps)]
    whole = path.read_bytes()
    base = -(-len(whole) // 16) * 16
    content = bytearray(whole.ljust(base, b"\0"))
    for i in range(n_heaps):
        reference = heap_reference(whole, f"Q{i:03}".encode())
        place = content.index(reference)
        content[place : place + 16] = struct.pack("<IQI", 4, base + 32 * i, 1)
    size = 32 * n_heaps + 16 * n_objects
    for i in range(n_heaps):
        content += b"GCOL\x01\0\0\0" + struct.pack("<QH6xQ", size - 32 * i, 1, 16)
    content += b"".join(struct.pack("<H6xQ", 2 + i, 0) for i in range(n_objects))
    path.write_bytes(content)
    message, peak = peak_of_reading(path)
    assert "a text of the attribute 'weight_names' asks for more than is left of" in message
    assert "the 100000 parts" in message
    assert peak < 2**26


def test_one_array_of_many_layers(tmp_path):
    """Layers of one name share their arrays; each reads them, as they are, again."""
    n = 500
    dense = layer("Dense", "scores", units=n, batch_input_shape=[None, n])
    arrays = {"kernel:0": np.zeros((n, n), np.float32), "bias:0": np.zeros(n, np.float32)}

    def read(n_layers):
        config = sequential(*[dense] * n_layers)
        return read_keras_hdf5(write(tmp_path / "model.h5", config, {"scores": arrays}))

    read(17)  # a megabyte each, in a file of a megabyte
    with pytest.raises(
        WeightsError, match=r"weight 'bias:0'.* more than is left|'kernel:0'.* left"
    ):
        read(18)


def test_parts_that_are_larger_than_the_array(path, peak_of_reading):
    with h5py.File(path, "r+") as file:
        group = file["model_weights/scores/scores"]
        del group["kernel:0"]
        group.create_dataset(  # 300 parts of 256 kB for 300 values
            "kernel:0",
            shape=(300, 1),
            maxshape=(None, None),
            chunks=(1, 2**16),
            dtype="f4",
            compression=1,
            data=np.zeros((300, 1), np.float32),
        )
    message, peak = peak_of_reading(path)
    assert "'scores/kernel:0': declares shape (300, 1), more than is left" in message
    assert peak < 2**26


def test_as_many_parts_as_there_may_be(tmp_path):
    config = sequential(layer("Dense", "scores", units=1, batch_input_shape=[None, 100_000]))
    arrays = {"kernel:0": np.zeros((100_000, 1), np.float32), "bias:0": np.zeros(1, np.float32)}
    path = write(tmp_path / "model.h5", config, {"scores": arrays})
    with h5py.File(path, "r+") as file:
        group = file["model_weights/scores"]
        del group["kernel:0"]
        group.create_dataset("kernel:0", data=arrays["kernel:0"], chunks=(1, 1))
    with pytest.raises(WeightsError, match=r"the array .*kernel:0' asks for .* the 100000 parts"):
        read_keras_hdf5(path)


@pytest.mark.parametrize("kind", ["S1", "S2"])
def test_a_list_of_a_million_names(path, kind):
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps(sequential(DENSE))
        group = file.create_group("model_weights/scores")
        group.attrs["weight_names"] = np.zeros(1_000_000, kind)
    with pytest.raises(WeightsError, match=r"'weight_names' asks for more .* the 100000 parts"):
        read_keras_hdf5(path)


def test_a_group_that_lies_in_itself(path):
    with h5py.File(path, "r+") as file:
        group = file["model_weights/scores"]
        group["a"] = group
        names = ["a/" * 50_000 + "scores/kernel:0", "a/" * 50_000 + "scores/bias:0"]
        group.attrs.create("weight_names", names, dtype=h5py.string_dtype())
    with pytest.raises(WeightsError, match=r"the path 'a/a/.* asks for more .* the 100000 parts"):
        read_keras_hdf5(path)


def test_a_layer_that_adds_too_many_tensors(tmp_path):
    sums = [layer("Add", f"sum{i}", ["images"] * 100) for i in range(200)]
    model = functional(INPUT, *sums, layer("Add", "scores", [entry["name"] for entry in sums]))
    with pytest.raises(WeightsError, match="more than 20000 calls of layers"):
        read_keras_hdf5(write(tmp_path / "model.h5", model))


def test_more_axes_than_anything_has(tmp_path):
    # the product of so many numbers takes minutes, and longer for each that is added
    first = layer("InputLayer", "images", batch_input_shape=[None, 3])
    wide = layer("Reshape", "x", target_shape=[2**31 - 1] * 500_000)
    path = write(tmp_path / "model.h5", sequential(first, wide))
    with pytest.raises(WeightsError, match="'target_shape' has 500000 entries, more than 16 axes"):
        read_keras_hdf5(path)
    deep = layer("InputLayer", "images", batch_input_shape=[None, *[2**31 - 1] * 500_000])
    path = write(tmp_path / "model.h5", sequential(deep, layer("Flatten", "x")))
    with pytest.raises(WeightsError, match="'batch_input_shape' has 500001 entries"):
        read_keras_hdf5(path)


def test_more_outputs_than_anything_has(tmp_path):
    path = write(tmp_path / "model.h5", functional(INPUT, outputs=["images"] * 300_000))
    with pytest.raises(WeightsError, match="'output_layers' has 300000 entries, more than 1000"):
        read_keras_hdf5(path)


def test_models_in_a_model_and_calls_are_counted_once(tmp_path):
    # each model against each call would be hundreds of millions of comparisons
    inner = functional(INPUT, outputs=["images"])
    models = [{**inner, "name": f"m{i}", "inbound_nodes": []} for i in range(4_000)]
    calls = [[["images", 0, 0, {}]]] * 100_000
    many = {**relu("many", "images"), "inbound_nodes": calls}
    path = write(tmp_path / "model.h5", functional(INPUT, *models, many, outputs=["many"]))
    assert read_keras_hdf5(path)


def test_a_version_of_many_digits(path):
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "9" * 5000
    read_keras_hdf5(path)


def test_no_message_is_longer_than_a_screen(tmp_path):
    for config in (
        sequential({**DENSE, "name": ["x" * 100] * 1000}),
        sequential({**DENSE, "module": "x" * 100_000}),
        functional(INPUT, relu("x" * 100_000, "y"), relu("x" * 100_000, "y")),
        {"class_name": "x" * 100_000},
    ):
        with pytest.raises(WeightsError, match=r"model\.h5.*xxx") as caught:
            read_keras_hdf5(write(tmp_path / "model.h5", config))
        assert len(str(caught.value)) < 1500
