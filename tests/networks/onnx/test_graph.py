"""OnnxGraph: its bytes say what the package onnx says with its own writer."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper, numpy_helper

from emotion_estimators.networks.onnx.graph import OnnxGraph

_INT64 = st.integers(-(2**63), 2**63 - 1)
_ATTRIBUTES = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.one_of(
        _INT64,
        st.booleans(),
        st.floats(width=32, allow_nan=False),
        st.text(),
        st.lists(_INT64, min_size=1, max_size=3),
    ),
    max_size=4,
)
_ARRAYS = st.sampled_from([np.float32, np.float16, np.int64, np.int8]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=200))
)


@given(attributes=_ATTRIBUTES, values=_ARRAYS, metadata=st.dictionaries(st.text(), st.text()))
@settings(max_examples=200, deadline=None)
def test_equals_the_writer_of_onnx(attributes, values, metadata):
    graph = OnnxGraph()
    constant = graph.constant("kernel", values)
    first, second = graph.nodes("Anything", ["images", constant], 2, **attributes)
    last = graph.node("Other", [second, "", first])
    serialised = graph.serialise(
        "name", ("images", ["n", 3, 48]), (last, "out", ["n"]), opset=17, metadata=metadata
    )
    expected = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Anything", ["images", "kernel"], [first, second], name=first),
                helper.make_node("Other", [second, "", first], [last], name=last),
                helper.make_node("Identity", [last], ["out"], name="out"),
            ],
            "name",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 48])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n"])],
            [numpy_helper.from_array(values, "kernel")],
        ),
        producer_name="emotion_estimators",
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    # in the order of writing, which helper.make_node sorts
    expected.graph.node[0].attribute.extend(
        helper.make_attribute(name, int(v) if isinstance(v, bool) else v)
        for name, v in attributes.items()
    )
    for key, text in metadata.items():
        expected.metadata_props.add(key=key, value=text)
    model = onnx.load_from_string(serialised)
    assert model == expected
    assert_array_equal(numpy_helper.to_array(model.graph.initializer[0]), values)


def test_a_name_keeps_its_first_values():
    graph = OnnxGraph()
    assert graph.scalar(0.5) == graph.scalar(0.5)
    assert graph.integers([1, -1]) == graph.integers([1, -1])
    x = graph.node("Add", ["x", graph.scalar(0.5)])
    model = onnx.load_from_string(graph.serialise("g", ("x", [1]), (x, "y", [1]), opset=20))
    assert len(model.graph.initializer) == 2
    onnx.checker.check_model(model, full_check=True)


def test_other_types_are_refused():
    graph = OnnxGraph()
    graph.constant("kernel", np.zeros(2, np.complex64))
    with pytest.raises(KeyError, match="complex64"):
        graph.serialise("g", ("x", [1]), ("x", "y", [1]), opset=17)
