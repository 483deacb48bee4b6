"""Networks on ONNX Runtime: how threads share them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.model_file import open_network
from emotion_estimators.networks.onnx.graph import OnnxGraph
from emotion_estimators.networks.onnx.network import OnnxNetwork
from emotion_estimators.networks.onnx.session import CPU
from emotion_estimators.weights import fetch_weights
from emotion_estimators.weights.fetch import file_sha256


def open_afresh(path: Path) -> OnnxNetwork:
    """Open a network that no other test has run, at its first output."""
    digest = f"{file_sha256(path)} {os.urandom(8).hex()}"
    network = open_network(path, digest, providers=("CPUExecutionProvider",))
    return network.at(network.outputs[0])


def weights_file(name: str) -> Path:
    """Return a file of weights, or skip where it would have to be downloaded."""
    if name.startswith("embedded"):
        return fetch_weights("embedded", precision=name.partition(" ")[2] or None)
    path = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""), "weights", name)
    if not path.is_file():
        pytest.skip(f"needs {name} in EMOTION_ESTIMATORS_DATA")
    return path


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("embedded float32", 48),
        ("embedded int8", 48),
        ("model_v6_23.hdf5", 48),
        ("mini_xception_fer.hdf5", 64),
    ],
)
def test_images_one_at_a_time_give_the_bits_of_one_thread(name: str, size: int) -> None:
    """Also once two threads share each image."""
    network = open_afresh(weights_file(name))
    images = np.random.default_rng(0).random((8, size, size), dtype=np.float32)
    expected = network.run(images, batch_size=1)

    one_by_one = [network.run(images[i : i + 1], batch_size=1, n_threads=2) for i in range(8)]

    np.testing.assert_array_equal(np.concatenate(one_by_one), expected)
    assert network._two_threads is not None
    assert network._two_threads.session is not None


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_batches_of_integers_give_the_bits_of_one_image_at_a_time(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where sums do not round, a few images go through at once, and none is padded."""
    network = open_afresh(weights_file(f"embedded {precision}"))
    images = np.random.default_rng(0).random((35, 48, 48), dtype=np.float32)
    expected = network.run(images, batch_size=1)
    sizes: list[int] = []
    run = network._session.run

    class Session:
        """Notes how many images each run takes."""

        @staticmethod
        def run(names: list[str], values: dict[str, Any], options: Any) -> Any:
            sizes.append(len(values[network.images.name]))
            return run(names, values, options)

    monkeypatch.setitem(vars(network), "_session", Session)

    assert network.default_batch_size() == (4 if precision == "int8" else 1)
    for batch_size in (2, 4, 5, 16, 64):
        sizes.clear()
        np.testing.assert_array_equal(network.run(images, batch_size=batch_size), expected)
        total = -(-35 // batch_size) * batch_size
        assert sum(sizes) == (35 if precision == "int8" else total)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"),
    [
        ("ReduceMean", ["values", "rows and columns"], {"keepdims": 0}),
        ("ReduceMean", ["values", "images"], {}),
        ("Softplus", ["values"], {}),
        ("Mish", ["values"], {}),
        ("Sin", ["values"], {}),
        ("LRN", ["values"], {"size": 3}),
        ("InstanceNormalization", ["values", "weights", "weights"], {}),
        ("MeanVarianceNormalization", ["values"], {}),
        ("BatchNormalization", ["values", *["weights"] * 4], {}),
        ("Softmax", ["values"], {"axis": 1}),
        ("Sigmoid", ["values"], {}),
        ("GlobalAveragePool", ["values"], {}),
    ],
)
def test_quantised_networks_give_each_image_the_bits_of_itself(
    operator: str, inputs: list[str], attributes: dict[str, Any]
) -> None:
    """Sums and tails of vectors that round by what else is there are none of integers."""
    constants = {
        "scale": np.float32(1 / 255),
        "zero": np.uint8(0),
        "weights": np.linspace(0.5, 1.5, 3, dtype=np.float32),
        "rows and columns": np.array([2, 3]),
        "images": np.array([0]),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["integers"]),
        helper.make_node("DequantizeLinear", ["integers", "scale", "zero"], ["values"]),
        helper.make_node(operator, inputs, ["result"], **attributes),
        helper.make_node("Flatten", ["result"], ["y"]),
    ]
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("x", kind, ["n", 3, 13, 13])],
        [helper.make_tensor_value_info("y", kind, ["n", None])],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    network = OnnxNetwork.from_bytes(model.SerializeToString(), Path("q.onnx"), (CPU,))
    network = network.for_images((13, 13), "rgb")
    # seven: neither a multiple of the batch nor of what processors take at once
    images = np.random.default_rng(0).random((7, 13, 13, 3), dtype=np.float32)
    alone = np.concatenate([network.run(image[np.newaxis], batch_size=1) for image in images])
    together = network.run(images, batch_size=network.default_batch_size())
    np.testing.assert_array_equal(together, alone)


def test_one_image_or_one_thread_starts_no_second_session() -> None:
    """A single prediction does not pay for it, and one thread is one thread."""
    network = open_afresh(fetch_weights("embedded"))
    images = np.zeros((2, 48, 48), np.float32)
    assert network._two_threads is not None

    network.run(images[:1], batch_size=1, n_threads=1)
    network.run(images[:1], batch_size=1, n_threads=1)
    network.run(images, batch_size=1, n_threads=2)
    network.run(images[:1], batch_size=1, n_threads=2)
    assert network._two_threads.session is None

    network.run(images[:1], batch_size=1, n_threads=2)
    assert network._two_threads.session is not None


@pytest.mark.parametrize("n_few", [1, 3])
@pytest.mark.parametrize("channels_last", [True, False])
def test_few_rows_are_no_channels_where_the_layout_is_known(
    n_few: int, channels_last: bool
) -> None:
    """As in a network for rows of a few numbers."""
    size = (n_few, 4) if channels_last else (4, n_few)
    shape = [None, *size, 1] if channels_last else [None, 1, *size]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {"x": shape, "y": [None, n_few * 4]}.items()
    }
    nodes = [helper.make_node("Flatten", ["x"], ["y"])]
    graph = helper.make_graph(nodes, "rows", [values["x"]], [values["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    given = model.SerializeToString(), Path("rows"), ("CPUExecutionProvider",)
    with pytest.raises(WeightsError, match="expected an input of shape"):
        OnnxNetwork.from_bytes(*given)

    network = OnnxNetwork.from_bytes(*given, channels_last=channels_last)

    images = np.arange(2 * n_few * 4, dtype=np.float32).reshape(2, *size)
    layout = "nhwc" if channels_last else "nchw"
    assert (network.images.layouts, network.image_size) == ((layout,), size)
    np.testing.assert_array_equal(network.run(images, batch_size=1), images.reshape(2, -1))


def three_outputs(path: Path) -> Path:
    """Write a network whose outputs are the first, the first two and no rows of its pixels."""
    graph = OnnxGraph()
    flat = graph.node("Flatten", ["x"])  # (n, 6)
    ends = {
        name: graph.node("Slice", [flat, *map(graph.integers, ([0], [width], [1]))])
        for name, width in {"two": 2, "three": 3}.items()
    }
    path.write_bytes(
        graph.serialise(
            "outputs",
            ("x", ["n", 2, 3]),
            (ends["two"], "two", ["n", 2]),
            (graph.node("Softmax", [ends["three"]], axis=1), "three", ["n", 3]),
            ("x", "pixels", ["n", 2, 3]),
            opset=17,
        )
    )
    return path


def test_one_of_several_outputs(tmp_path: Path) -> None:
    path = three_outputs(tmp_path / "n.onnx")
    network = open_network(path, "three outputs", providers=("CPUExecutionProvider",))
    assert (network.outputs, network.output) == (("two", "three", "pixels"), None)
    images = np.random.default_rng(0).random((4, 2, 3), dtype=np.float32)

    two, three = network.at("two"), network.at("three")

    assert (two.n_outputs, two.activation) == (2, None)
    assert (three.n_outputs, three.activation) == (3, "softmax")
    np.testing.assert_array_equal(two.run(images, batch_size=2), images.reshape(4, 6)[:, :2])
    exponentials = np.exp(images.reshape(4, 6)[:, :3])
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    # one softmax in single precision
    np.testing.assert_allclose(three.run(images, batch_size=1), expected, rtol=1e-6)
    with pytest.raises(
        WeightsError, match=r"n\.onnx: expected its output 'pixels' of shape \(n, n_cl"
    ):
        network.at("pixels")
    with pytest.raises(KeyError, match="four"):
        network.at("four")
