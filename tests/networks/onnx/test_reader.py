"""Models in ONNX whose weights lie in other files, and what a damaged or hostile one may ask."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.onnx import reader as onnx_reader
from emotion_estimators.networks.onnx.reader import (
    Ending,
    check_self_contained,
    data_files,
    look_at_graph,
    read_onnx_file,
    stored_arrays,
)

WEIGHTS = np.arange(6, dtype=np.float32).reshape(3, 2)


def elsewhere(name: str = "w", **entries: str) -> TensorProto:
    """Return the weights as a tensor that says which file they lie in."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3, 2])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(nodes: list, initializers: list | None = None, **settings: object) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        initializers or [],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **settings
    )


def matmul(tensor: TensorProto) -> onnx.ModelProto:
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor])


def constant(tensor: TensorProto) -> onnx.ModelProto:
    return model([helper.make_node("Constant", [], ["y"], value=tensor)])


def subgraph(tensor: TensorProto) -> onnx.ModelProto:
    inner = constant(tensor).graph
    return model([helper.make_node("If", ["b"], ["y"], then_branch=inner, else_branch=inner)])


def function(tensor: TensorProto) -> onnx.ModelProto:
    body = helper.make_node("Constant", [], ["y"], value=tensor)
    made = helper.make_function(
        "own", "f", ["x"], ["y"], [body], [helper.make_opsetid("", 17)], attributes=[]
    )
    return model([helper.make_node("f", ["x"], ["y"], domain="own")], functions=[made])


def sparse(tensor: TensorProto) -> onnx.ModelProto:
    indices = numpy_helper.from_array(np.arange(6), "i")
    made = model([helper.make_node("Identity", ["w"], ["y"])])
    tensor.dims[:] = [6]
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [3, 2]))
    return made


def training(tensor: TensorProto) -> onnx.ModelProto:
    made = model([])
    made.training_info.add().initialization.initializer.append(tensor)
    return made


def tensors(made: onnx.ModelProto) -> list[TensorProto]:
    """Return the tensors of a model as the package onnx finds them, and those it forgets."""
    found = list(onnx.external_data_helper._get_all_tensors(made))
    for one in made.graph.sparse_initializer:
        found += [one.values]
    for one in made.training_info:
        found += one.initialization.initializer
    for one in made.functions:
        found += [attribute.t for node in one.node for attribute in node.attribute]
    return found


@pytest.mark.parametrize("build", [matmul, constant, subgraph, function, sparse, training])
def test_weights_are_found_wherever_they_stand(tmp_path, build):
    path = tmp_path / "n.onnx"
    path.write_bytes(
        build(elsewhere(location="w.bin", offset="4", length="24")).SerializeToString()
    )
    (tmp_path / "w.bin").write_bytes(b"0123" + WEIGHTS.tobytes())
    with pytest.raises(WeightsError, match=r"weights in another file, 'w\.bin'.*Pass the path"):
        check_self_contained(path.read_bytes(), path)
    assert data_files(path, "of this file") == (tmp_path / "w.bin",)

    serialised = read_onnx_file(path)

    check_self_contained(serialised, path)
    read = [one for one in tensors(onnx.load_model_from_string(serialised)) if one.name == "w"]
    assert read
    for one in read:
        np.testing.assert_array_equal(numpy_helper.to_array(one).ravel(), WEIGHTS.ravel())


def test_a_model_in_one_file_is_read_as_it_is(tmp_path):
    path = tmp_path / "n.onnx"
    path.write_bytes(matmul(numpy_helper.from_array(WEIGHTS, "w")).SerializeToString())
    assert read_onnx_file(path) == path.read_bytes()
    assert data_files(path, "of this file") == ()


@pytest.mark.parametrize("folder", [".", "parts"])
def test_a_length_and_an_offset_may_be_missing(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "w.bin").write_bytes(WEIGHTS.tobytes())
    path = tmp_path / "n.onnx"
    path.write_bytes(matmul(elsewhere(location=f"{folder}/w.bin")).SerializeToString())
    (read,) = onnx.load_model_from_string(read_onnx_file(path)).graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(read), WEIGHTS)


def test_files_elsewhere_are_not_read(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "loop.bin").symlink_to(folder / "loop.bin")
    path = folder / "n.onnx"
    for location, match in (
        (str(tmp_path / "secret.bin"), "only a file beside the model is read"),
        ("../secret.bin", "only a file beside the model is read"),
        ("parts/../../secret.bin", "only a file beside the model is read"),
        ("..\\secret.bin", "only a file beside the model is read"),
        ("C:secret.bin", "only a file beside the model is read"),
        ("\\\\server\\secret.bin", "only a file beside the model is read"),
        ("a\0b", "only a file beside the model is read"),
        ("link.bin", "a link out of the model's folder"),
        ("loop.bin", "link"),
        (".", "no regular file"),
    ):
        path.write_bytes(matmul(elsewhere(location=location)).SerializeToString())
        with pytest.raises((WeightsError, OSError), match=match):
            read_onnx_file(path)
        with pytest.raises((WeightsError, OSError), match=match):
            data_files(path, location)


def test_a_cache_of_links_is_read(tmp_path):
    """As huggingface_hub keeps files: links in one folder, blobs in another."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    (blobs / "1").write_bytes(matmul(elsewhere(location="w.bin")).SerializeToString())
    (blobs / "2").write_bytes(WEIGHTS.tobytes())
    (snapshot / "n.onnx").symlink_to("../blobs/1")
    (snapshot / "w.bin").symlink_to("../blobs/2")
    check_self_contained(read_onnx_file(snapshot / "n.onnx"), snapshot / "n.onnx")


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"offset": "0"}, "lies in another file, which is not named"),
        ({"location": "missing.bin"}, r"'missing\.bin', and there is no such file beside it"),
        ({"location": "w.bin", "offset": "-4"}, "has offset '-4'"),
        ({"location": "w.bin", "length": "many"}, "has length 'many'"),
        ({"location": "w.bin", "length": "9" * 15}, "does not say how many bytes"),
        ({"location": "w.bin", "offset": "8"}, r"needs 24 bytes of w\.bin from 8 on"),
        ({"location": "w.bin", "length": "49"}, r"ask for 49 bytes of w\.bin, which holds 24"),
    ],
)
def test_references_that_make_no_sense(tmp_path, entries, match):
    path = tmp_path / "n.onnx"
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    path.write_bytes(matmul(elsewhere(**entries)).SerializeToString())
    with pytest.raises((WeightsError, FileNotFoundError), match=match):
        read_onnx_file(path)


def test_few_bytes_do_not_become_many(tmp_path):
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    path = tmp_path / "n.onnx"
    for n_tensors, is_fine in ((2, True), (3, False)):
        every = [elsewhere(f"w{i}", location="w.bin") for i in range(n_tensors)]
        path.write_bytes(model([], every).SerializeToString())
        if is_fine:
            assert len(read_onnx_file(path)) > n_tensors * WEIGHTS.nbytes
        else:
            with pytest.raises(WeightsError, match=r"ask for 72 bytes of w\.bin, which holds 24"):
                read_onnx_file(path)


def test_a_reference_cannot_be_hidden_by_splitting_it(tmp_path):
    """Protocol buffers merge a message that stands twice."""
    path = tmp_path / "n.onnx"
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    whole = elsewhere(location="w.bin").SerializeToString()
    more = TensorProto()
    more.external_data.add(key="location", value="/etc/passwd")
    attribute = b"".join(
        b"\x2a" + bytes([len(part)]) + part for part in (whole, more.SerializeToString())
    )  # field 5, twice
    node = helper.make_node("Constant", [], ["y"]).SerializeToString()
    attribute += b"\x0a\x05value\xa0\x01\x04"
    node += b"\x2a" + bytes([len(attribute)]) + attribute
    graph = b"\x0a" + bytes([len(node)]) + node
    path.write_bytes(b"\x08\x08\x3a\x80\x01".replace(b"\x80\x01", bytes([len(graph)])) + graph)
    merged = onnx.load_model_from_string(path.read_bytes()).graph.node[0].attribute[0].t
    assert merged.external_data[-1].value == "/etc/passwd"
    read = onnx.load_model_from_string(read_onnx_file(path)).graph.node[0].attribute[0].t
    assert read.data_location == TensorProto.DEFAULT
    np.testing.assert_array_equal(numpy_helper.to_array(read), WEIGHTS)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x3a\xff", "a number that does not end"),
        (b"\x3a\x0a\x00", "field 7 ends after its message"),
        (b"\x3b", "field 7 of kind 3"),
        (b"\x38\x01", "a number where field 7 should hold a message"),
        (b"\x08" + b"\xff" * 20, "a number that does not end"),
        (b"\x10\x00" * 600_000, "more than 500,000 fields"),
    ],
)
def test_damaged_models(tmp_path, content, match):
    path = tmp_path / "n.onnx"
    path.write_bytes(content)
    started = time.monotonic()
    with pytest.raises(WeightsError, match=rf"n\.onnx: is not a model in ONNX.*{match}"):
        read_onnx_file(path)
    assert time.monotonic() - started < 5


def test_messages_in_messages_are_bounded(tmp_path):
    content = b""
    for _ in range(60):  # a graph in an attribute of a node in a graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            length = len(content)
            size = bytes([length & 0x7F | 0x80, length >> 7]) if length > 127 else bytes([length])
            content = tag + size + content
    path = tmp_path / "n.onnx"
    path.write_bytes(b"\x3a" + bytes([len(content) & 0x7F | 0x80, len(content) >> 7]) + content)
    with pytest.raises(WeightsError, match="messages more than 100 deep"):
        read_onnx_file(path)


def test_a_file_larger_than_any_model(tmp_path):
    path = tmp_path / "n.onnx"
    with path.open("wb") as file:
        file.truncate(onnx_reader.MAX_BYTES + 1)  # takes no room on the disk
    with pytest.raises(WeightsError, match=r"models of up to 2,\d{3},\d{3},\d{3} can be read"):
        read_onnx_file(path)


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        (["Softmax"], "softmax"),
        (["Softmax", "Identity", "Reshape", "Cast"], "softmax"),
        (["Sigmoid", "Flatten"], "sigmoid"),
        (["LogSoftmax"], None),
        (["Softmax", "Log"], None),
        (["Relu"], None),
        ([], None),
    ],
)
def test_how_a_model_ends(operators, expected):
    names = ["x", *(f"v{i}" for i in range(len(operators)))]
    nodes = [
        helper.make_node(operator, [names[i]], [names[i + 1]])
        for i, operator in enumerate(operators)
    ]
    nodes.append(helper.make_node("Identity", [names[-1]], ["y"]))
    assert look_at_graph(model(nodes).SerializeToString(), Path("n.onnx")).endings == {
        "y": Ending(expected)
    }


def test_how_a_model_ends_in_functions_and_parts():
    nodes = [helper.make_node("Sigmoid", ["x"], [f"s{i}"]) for i in range(3)]
    joined = helper.make_node("Concat", [f"s{i}" for i in range(3)], ["y"], axis=1)
    whole = model([*nodes, joined]).SerializeToString()
    assert look_at_graph(whole, Path("n.onnx")).endings == {"y": Ending("sigmoid")}
    mixed = [*nodes[:2], helper.make_node("Relu", ["x"], ["s2"]), joined]
    assert look_at_graph(model(mixed).SerializeToString(), Path("n.onnx")).endings == {
        "y": Ending(None)
    }

    body = helper.make_node("Softmax", ["x"], ["y"], axis=1)
    made = helper.make_function("own", "f", ["x"], ["y"], [body], [helper.make_opsetid("", 17)])
    calls = model([helper.make_node("f", ["x"], ["y"], domain="own")], functions=[made])
    assert look_at_graph(calls.SerializeToString(), Path("n.onnx")).endings == {
        "y": Ending("softmax")
    }


def test_arrays_and_metadata() -> None:
    half = np.arange(3, dtype=np.float16)
    tensors = [
        numpy_helper.from_array(WEIGHTS, "w"),
        numpy_helper.from_array(half, "h"),
        numpy_helper.from_array(np.arange(3), "of another kind"),
        elsewhere("elsewhere", location="w.data"),
    ]
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], tensors)
    helper.set_model_props(made, {"classes": "[]", "empty": ""})
    arrays, metadata = stored_arrays(made.SerializeToString(), Path("model.onnx"))
    assert metadata == {"classes": "[]", "empty": ""}
    assert sorted(arrays) == ["h", "w"]
    np.testing.assert_array_equal(arrays["w"], WEIGHTS)
    np.testing.assert_array_equal(arrays["h"], half)
    assert arrays["h"].dtype == np.float16


@pytest.mark.parametrize(
    ("operators", "is_exact"),
    [
        (["Conv", "Relu"], False),
        (["QuantizeLinear", "DequantizeLinear", "Conv", "Softmax"], True),
        (["QLinearConv", "com.microsoft.QLinearAdd", "com.microsoft.QGemm"], True),
        (["QuantizeLinear", "DequantizeLinear", "Conv", "Gemm"], False),
        (["QLinearConv", "MatMul"], False),
        (["QuantizeLinear", "com.microsoft.Attention"], False),
        (["QuantizeLinear", "com.example.Unknown"], False),
        (["QLinearConv", "ReduceMean", "com.microsoft.QGemm"], False),
        (["QLinearConv", "BatchNormalization"], False),  # may be one of training
        (["DynamicQuantizeLinear", "QLinearConv"], False),
    ],
)
def test_graphs_whose_sums_are_of_integers(operators: list[str], is_exact: bool) -> None:
    nodes = []
    for i, operator in enumerate(operators):
        domain, _, kind = operator.rpartition(".")
        nodes.append(helper.make_node(kind, [f"x{i}"], [f"x{i + 1}"], domain=domain))
    facts = look_at_graph(model(nodes).SerializeToString(), Path("n.onnx"))
    assert facts.has_exact_sums == is_exact


def test_products_inside_a_function_or_branch_may_round() -> None:
    quantized = helper.make_node("QuantizeLinear", ["x", "scale"], ["q"])
    inner = helper.make_node("MatMul", ["a", "b"], ["c"])
    function = helper.make_function("f", "g", ["a", "b"], ["c"], [inner], model([]).opset_import)
    called = model([quantized, helper.make_node("g", ["x", "x"], ["y"], domain="f")])
    called.functions.append(function)
    branches = subgraph(elsewhere())
    branches.graph.node.insert(0, quantized)
    for whole in (called, branches):
        assert not look_at_graph(whole.SerializeToString(), Path("n.onnx")).has_exact_sums
