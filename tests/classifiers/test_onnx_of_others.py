"""Files in ONNX as other people's tools write them, against ONNX Runtime itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from emotion_estimators.classifiers.pretrained_emotion_classifier import PretrainedEmotionClassifier
from emotion_estimators.exceptions import WeightsError

LABELS = ("angry", "happy", "sad", "surprise")  # sorted: the columns of answers are the outputs
SIZE = (12, 10)
Nodes = list[onnx.NodeProto]


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


SOFTMAX = [node("Softmax", "s", "y", axis=1)]
CHANNELS_FIRST = [node("Transpose", "x", "i", perm=[0, 3, 1, 2])]


def write(
    path: Path,
    shape: list[Any] | None,
    *,
    outputs: dict[str, list[Any]] | None = None,
    kind: int = TensorProto.FLOAT,
    n_channels: int = 1,
    before: Nodes | None = None,
    ending: Nodes | None = None,
    opset: int = 17,
    ir_version: int = 8,
    constants: dict[str, NDArray[Any]] | None = None,
) -> Path:
    """Write a network: `before` makes "i" (n, c, h, w) of "x", `ending` outputs of "s" (n, 4)."""
    rng = np.random.default_rng(0)
    weights: dict[str, NDArray[Any]] = {
        "kernel": rng.normal(size=(8, n_channels, 3, 3)).astype(np.float32),
        "matrix": rng.normal(size=(8, 4), scale=3).astype(np.float32),
        "shift": rng.normal(size=4).astype(np.float32),
        **(constants or {}),
    }
    nodes = [
        *(before or [node("Identity", "x", "i")]),
        node("Conv", "i kernel", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "m"),
        node("Flatten", "m", "v"),
        node("Gemm", "v matrix shift", "s"),
        *(ending or SOFTMAX),
    ]
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    if ir_version < 4:  # where constants are inputs, too
        inputs += [
            helper.make_tensor_value_info(one.name, one.data_type, list(one.dims))
            for one in tensors
        ]
    results = {"y": ["n", 4]} if outputs is None else outputs
    graph = helper.make_graph(
        nodes,
        "others",
        inputs,
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in results.items()],
        tensors,
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    return path


def images(n_channels: int, n: int = 5) -> NDArray[np.uint8]:
    shape = (n, *SIZE, 3) if n_channels == 3 else (n, *SIZE)
    X: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    X[1] //= 9  # of another range
    return X


def in_layout(X: NDArray[Any], layout: str, n_channels: int = 1) -> NDArray[Any]:
    """Return images (n, h, w[, 3]) as a network takes them; grey ones have three channels alike."""
    x = X[..., np.newaxis] if X.ndim == 3 else X
    x = x.repeat(n_channels // x.shape[3], axis=3)
    return np.moveaxis(x, 3, 1) if layout == "nchw" else x


def scaled(X: NDArray[np.uint8]) -> NDArray[np.float32]:
    return X.astype(np.float32) / 255


def by_onnxruntime(path: Path, x: NDArray[Any], output: str = "y") -> NDArray[Any]:
    """Return what ONNX Runtime gives for one image after the other, (n, 4)."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = [np.asarray(session.run([output], {"x": x[i : i + 1]})[0]) for i in range(len(x))]
    return np.concatenate(rows).reshape(len(x), -1)


def opened(path: Path, **settings: Any) -> PretrainedEmotionClassifier:
    return PretrainedEmotionClassifier(model=path, **{"labels": LABELS} | settings)


def assert_rows(got: NDArray[Any], expected: NDArray[Any]) -> None:
    """Compare with rows that are not divided by their sums yet."""
    wide = expected.astype(np.float64)
    # single precision probabilities
    np.testing.assert_allclose(got, wide / wide.sum(axis=1, keepdims=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(("n_channels", "color"), [(3, "rgb"), (3, "grey"), (1, "grey"), (3, None)])
def test_all_axes_free(tmp_path, capfd, named, layout, n_channels, color):
    """As optimum exports image classifiers, and others whose names tell nothing."""
    axes = {"n": "batch_size", "c": "num_channels", "h": "height", "w": "width"}
    path = write(
        tmp_path / "n.onnx",
        [axes[axis] if named else f"unk__{axis}" for axis in layout],
        n_channels=n_channels,
        before=CHANNELS_FIRST if layout == "nhwc" else None,
    )
    X = images(1 if color == "grey" else 3)
    classifier = opened(path, image_size=SIZE, color=color)
    x = in_layout(scaled(X), layout, n_channels)
    assert_rows(classifier.predict_proba(X), by_onnxruntime(path, x))
    assert capfd.readouterr() == ("", "")  # nor a word of ONNX Runtime on what it cannot run


def test_axes_that_only_a_run_tells(tmp_path):
    X = images(1)
    path = write(tmp_path / "n.onnx", ["n", "a", *SIZE])  # one layout, channels free
    assert_rows(opened(path).predict_proba(X), by_onnxruntime(path, in_layout(scaled(X), "nchw")))
    path = write(tmp_path / "none.onnx", None)  # not even the number of axes
    got = opened(path, image_size=SIZE, color="grey").predict_proba(X)
    assert_rows(got, by_onnxruntime(path, in_layout(scaled(X), "nchw")))
    with pytest.raises(ValueError, match=r"needs image_size: .* any size"):
        opened(path).predict(X)
    with pytest.raises(WeightsError, match=r"none to lay out images of \(12, 10\), .* cannot run"):
        opened(path, image_size=SIZE, color="rgb").predict(X)
    means = [node("ReduceMean", "x", "i", axes=[1, 2, 3], keepdims=1)]
    path = write(tmp_path / "means.onnx", list("abcd"), before=means)
    with pytest.raises(WeightsError, match="with several ways to lay out images"):
        opened(path, image_size=SIZE, color="grey").predict(X)


@pytest.mark.parametrize(
    ("kind", "dtype", "values"),
    [
        (TensorProto.UINT8, np.uint8, lambda X: X),
        (TensorProto.INT32, np.int32, lambda X: X),
        (TensorProto.INT8, np.int8, lambda X: X.astype(int) - 128),
        (TensorProto.FLOAT16, np.float16, scaled),
        (TensorProto.DOUBLE, np.float64, lambda X: X / 255),
    ],
)
def test_numbers_of_the_input(tmp_path, kind, dtype, values):
    """What stands before the network in its file takes pixels as they are, mostly."""
    step = np.array([1 / 255 if np.dtype(dtype).kind in "iu" else 1], np.float32)
    before = [
        node("Cast", "x", "float", to=TensorProto.FLOAT),
        node("Mul", "float step", "small"),
        node("Transpose", "small", "i", perm=[0, 3, 1, 2]),
    ]
    settings: dict[str, Any] = {"before": before, "constants": {"step": step}, "n_channels": 3}
    path = write(tmp_path / "n.onnx", ["n", *SIZE, 3], kind=kind, **settings)
    X = images(3)
    expected = by_onnxruntime(path, values(X).astype(dtype))
    # the last digit of a float64 is lost in single precision
    for x in (X, X / 255):
        assert_rows(opened(path).predict_proba(x), expected)
    np.testing.assert_array_equal(
        opened(path, batch_size=3).predict_proba(X), opened(path).predict_proba(X)
    )


def test_whole_numbers_have_one_scaling(tmp_path):
    before = [node("Cast", "x", "i", to=TensorProto.FLOAT)]
    path = write(tmp_path / "n.onnx", ["n", 1, *SIZE], kind=TensorProto.UINT8, before=before)
    X = images(1)
    expected = opened(path).predict_proba(X)
    np.testing.assert_array_equal(opened(path, scaling=(0, 255)).predict_proba(X), expected)
    for scaling in ((0, 1), (-1, 1), ([0, 1], 255), (0,)):
        with pytest.raises(ValueError, match=r"scaling to be \(0, 255\) or None .*\(uint8\)"):
            opened(path, scaling=scaling).predict(X)


def test_an_input_of_texts(tmp_path):
    graph = helper.make_graph(
        [node("Identity", "x", "y")],
        "texts",
        [helper.make_tensor_value_info("x", TensorProto.STRING, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, ["n", 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "n.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=r"images as numbers, got tensor\(string\)"):
        opened(path).predict(images(1))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_rows_of_pixels(tmp_path, n_channels):
    """As converters of scikit-learn's classifiers write them: height * width * channels."""
    before = [
        node("Reshape", "x size", "images"),
        node("Transpose", "images", "i", perm=[0, 3, 1, 2]),
    ]
    size = np.array([-1, *SIZE, n_channels])
    settings: dict[str, Any] = {"before": before, "constants": {"size": size}}
    n_values = 120 * n_channels
    path = write(tmp_path / "n.onnx", ["n", n_values], n_channels=n_channels, **settings)
    X = images(n_channels)
    expected = by_onnxruntime(path, scaled(X).reshape(5, -1))
    assert_rows(opened(path, image_size=SIZE).predict_proba(X), expected)
    with pytest.raises(WeightsError, match=rf"none to lay out .*shape \(None, {n_values}\)"):
        opened(path, image_size=13).predict(X)


@pytest.mark.parametrize(
    ("batch", "ending", "shape"),
    [
        ("n", [node("Unsqueeze", "p far", "y")], ["n", 4, 1, 1]),
        ("n", [node("Unsqueeze", "p near", "y")], ["n", 1, 1, 4]),
        ("n", [node("Unsqueeze", "p far", "y")], None),
        ("n", [node("Unsqueeze", "p far", "y")], ["a", "b", "c", "d"]),
        (1, [node("Unsqueeze", "p far", "y")], [1, 4, 1, 1]),
        (1, [node("Reshape", "p all", "y")], [4]),
        ("n", [node("Reshape", "p all", "y")], [4]),  # free by name only
        ("n", [node("Reshape", "p one", "y")], [1, 4]),
    ],
)
def test_axes_of_the_output(tmp_path, batch, ending, shape):
    constants = {"far": [2, 3], "near": [1, 2], "all": [4], "one": [1, 4]}
    path = write(
        tmp_path / "n.onnx",
        [batch, 1, *SIZE],
        outputs={"y": shape},
        ending=[node("Softmax", "s", "p", axis=1), *ending],
        constants={name: np.array(values) for name, values in constants.items()},
    )
    X = images(1)
    assert_rows(opened(path).predict_proba(X), by_onnxruntime(path, in_layout(scaled(X), "nchw")))


def test_maps_of_a_row(tmp_path):
    """As converters of scikit-learn write probabilities, beside the labels."""
    graph = helper.make_graph(
        [
            node("Flatten", "x", "v"),
            node("Slice", "v start end axis", "s"),
            node("Softmax", "s", "p", axis=1),
            node("ArgMax", "p", "label", axis=1, keepdims=0),
            helper.make_node(
                "ZipMap", ["p"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3]
            ),
        ],
        "maps",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, *SIZE])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
            helper.make_value_info(
                "y",
                helper.make_sequence_type_proto(
                    helper.make_map_type_proto(
                        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
                    )
                ),
            ),
        ],
        [
            numpy_helper.from_array(np.array([value]), name)
            for name, value in {"start": 0, "end": 4, "axis": 1}.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    path = tmp_path / "n.onnx"
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    X = images(1)
    scores = np.exp(X.reshape(5, -1)[:, :4] / 255)
    assert_rows(opened(path).predict_proba(X), scores)
    assert_rows(opened(path, batch_size=5).predict_proba(X), scores)
    with pytest.raises(ValueError, match="probabilities already"):
        opened(path, activation="softmax").predict(X)


@pytest.mark.parametrize("batch_size", ["auto", 5])
def test_a_sequence_of_rows(tmp_path, batch_size):
    graph = helper.make_graph(
        [
            node("Flatten", "x", "v"),
            node("Slice", "v start end axis", "s"),
            node("Softmax", "s", "p", axis=1),
            node("SplitToSequence", "p", "y", axis=0, keepdims=1),
        ],
        "sequence",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, *SIZE])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.array([value]), name)
            for name, value in {"start": 0, "end": 4, "axis": 1}.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "n.onnx"
    path.write_bytes(model.SerializeToString())
    X = images(1)
    scores = np.exp(X.reshape(5, -1)[:, :4] / 255)
    assert_rows(opened(path, batch_size=batch_size).predict_proba(X), scores)


@pytest.mark.parametrize(("name", "is_known"), [("phase_train:0", True), ("mirrored", False)])
def test_a_switch_for_the_training(tmp_path, name, is_known):
    path = write(tmp_path / "n.onnx", ["n", 1, *SIZE])
    expected = by_onnxruntime(path, in_layout(scaled(images(1)), "nchw"))
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "p"
    model.graph.node.append(node("Not", name, "off"))
    model.graph.node.append(node("Cast", "off", "factor", to=TensorProto.FLOAT))
    model.graph.node.append(node("Mul", "p factor", "y"))
    model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.BOOL, []))
    path.write_bytes(model.SerializeToString())
    if is_known:
        assert_rows(opened(path).predict_proba(images(1)), expected)
    else:
        with pytest.raises(WeightsError, match="with one input, got 2 inputs"):
            opened(path).predict(images(1))


def test_one_of_several_outputs(tmp_path):
    """The one that gives a value for each label, or the one that is named."""
    path = write(
        tmp_path / "n.onnx",
        ["n", 1, *SIZE],
        outputs={"y": ["n", 4], "495": ["n", 4], "v": ["n", 8], "r": ["n", 8, *SIZE]},
        ending=[*SOFTMAX, node("Identity", "s", "495")],
    )
    X = images(1)
    x = in_layout(scaled(X), "nchw")
    with pytest.raises(ValueError, match=r"output to be one of .*\['y', '495', 'v'\], got None"):
        opened(path).predict(X)
    assert_rows(opened(path, output="y").predict_proba(X), by_onnxruntime(path, x))
    scores = np.exp(by_onnxruntime(path, x, "495").astype(np.float64))
    assert_rows(opened(path, output="495", activation="softmax").predict_proba(X), scores)
    with pytest.raises(WeightsError, match=r"output 'r' of shape \(n, n_classes\), .*8, 12, 10\)"):
        opened(path, output="r").predict(X)
    eight = opened(path, labels=[f"c{i}" for i in range(8)], activation="softmax")
    values = np.exp(by_onnxruntime(path, x, "v").astype(np.float64))
    assert_rows(eight.predict_proba(X), values)  # as 4 labels do where there are no two of them

    path = write(
        tmp_path / "hidden.onnx",
        ["n", 1, *SIZE],
        outputs={"v": ["n", 8], "r": ["n", 8, *SIZE], "y": ["n", 4]},
    )
    assert_rows(opened(path).predict_proba(X), by_onnxruntime(path, x))


def test_the_only_output_may_be_called_features(tmp_path):
    ending = [node("Softmax", "s", "features", axis=1)]
    path = write(
        tmp_path / "n.onnx", ["n", 1, *SIZE], outputs={"features": ["n", 4]}, ending=ending
    )
    X = images(1)
    expected = by_onnxruntime(path, in_layout(scaled(X), "nchw"), "features")
    for output in (None, "features"):
        assert_rows(opened(path, output=output).predict_proba(X), expected)


@pytest.mark.parametrize(
    ("opset", "ir_version"), [(7, 3), (8, 3), (9, 4), (11, 6), (13, 7), (18, 8), (22, 10)]
)
def test_old_and_new_formats(tmp_path, opset, ir_version):
    path = write(tmp_path / "n.onnx", [1, 1, *SIZE], opset=opset, ir_version=ir_version)
    X = images(1)
    assert_rows(opened(path).predict_proba(X), by_onnxruntime(path, in_layout(scaled(X), "nchw")))


class Calibration:
    """Images, one after the other, from which ranges are taken."""

    def __init__(self) -> None:
        self.images: Iterator[Any] = iter(in_layout(scaled(images(1)), "nchw"))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self.images, None)
        return None if image is None else {"x": image[np.newaxis]}


@pytest.mark.parametrize("kind", ["QDQ", "QOperator", "dynamic"])
@pytest.mark.parametrize("batch", ["n", 3])
def test_8_bits_in_batches(tmp_path, kind, batch):
    """Also where the file rounds by the range of all values that go through it at once."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    source = write(tmp_path / "float.onnx", ["n", 1, *SIZE], ir_version=9)
    path = tmp_path / "n.onnx"
    if kind == "dynamic":
        quantization.quantize_dynamic(source, path)
    else:
        form = quantization.QuantFormat[kind]
        quantization.quantize_static(source, path, Calibration(), quant_format=form)
    one_by_one = path.rename(tmp_path / "one.onnx")
    model = onnx.load(one_by_one)
    if batch != "n":
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
        model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = batch
    path.write_bytes(model.SerializeToString())
    X = images(1)
    x = in_layout(scaled(X), "nchw")
    expected = by_onnxruntime(one_by_one, x)
    sizes: list[Any] = ["auto", 3] if batch == "n" else ["auto"]
    for batch_size in sizes:
        classifier = opened(path, batch_size=batch_size)
        assert_rows(classifier.predict_proba(X), expected)
        np.testing.assert_array_equal(
            classifier.predict_proba(X[1:2]), classifier.predict_proba(X)[1:2]
        )
