"""Several ONNX classifiers as one, the mean of their probabilities; imports onnx in functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["average_onnx"]

# Values of an array from which on it is stored in 8 bits: the last layers, which make up most of
# a file and are least sensitive to it.
_LARGE = 100_000


def average_onnx(models: Sequence[Any], *, small: bool = False) -> Any:
    """Return one model whose output is the mean of the outputs of several.

    Parameters
    ----------
    models : sequence of onnx.ModelProto
        Models of one input and one output each, of the same names, shapes, operators' version
        and metadata, as `emotion_cnn_to_onnx` writes them.
    small : bool, default=False
        Store the kernels of the largest convolutions as 8-bit integers with a scale for each
        output channel. ONNX Runtime restores them when it loads the model; the arithmetic
        stays float32.

    Returns
    -------
    model : onnx.ModelProto

    Raises
    ------
    ValueError
        If the models do not fit together.
    """
    import onnx
    from onnx import helper

    first = models[0]
    for number, model in enumerate(models):
        same = (
            model.graph.input == first.graph.input
            and model.graph.output == first.graph.output
            and model.opset_import == first.opset_import
            and model.metadata_props == first.metadata_props
        )
        if not same:
            raise ValueError(
                "average_onnx expected models of the same input, output, opset and metadata; "
                f"model {number} differs from model 0."
            )
    nodes, arrays, outputs = [], [], []
    source, result = first.graph.input[0], first.graph.output[0]
    for number, model in enumerate(models):
        part = _prefixed(model.graph, f"{number}.")
        if small:
            _shrink(part)
        nodes += part.node
        arrays += part.initializer
        outputs.append(part.output[0].name)
    nodes.append(helper.make_node("Mean", outputs, [result.name], name=result.name))
    average = helper.make_model(
        helper.make_graph(nodes, first.graph.name, [source], [result], arrays),
        producer_name=first.producer_name,
        opset_imports=first.opset_import,
        ir_version=first.ir_version,
    )
    average.metadata_props.extend(first.metadata_props)
    onnx.checker.check_model(average, full_check=True)
    return average


def _prefixed(graph: Any, prefix: str) -> Any:
    """Return a copy with a prefix before all names but that of the input."""
    # unlike onnx.compose.add_prefix, which renames the input in the nodes, too, in onnx 1.16
    copy = type(graph)()
    copy.CopyFrom(graph)
    kept = {graph.input[0].name, ""}

    def renamed(names: Any) -> list[str]:
        return [name if name in kept else prefix + name for name in names]

    for node in copy.node:
        node.name = prefix + node.name
        node.input[:] = renamed(node.input)
        node.output[:] = renamed(node.output)
    for named in (*copy.initializer, *copy.output):
        named.name = prefix + named.name
    return copy


def _shrink(graph: Any) -> None:
    """Replace the casts of large half-precision arrays by products of int8 and scales."""
    from onnx import TensorProto, helper, numpy_helper

    stored = {array.name: array for array in graph.initializer}
    nodes = []
    for node in graph.node:
        array = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if array is None or np.prod(array.dims) < _LARGE:
            nodes.append(node)
            continue
        values = numpy_helper.to_array(array).astype(np.float32)
        axes = tuple(range(1, values.ndim))
        scale = np.abs(values).max(axis=axes, keepdims=True) / 127
        scale[scale == 0] = 1  # a channel of zeros stays one
        name = array.name
        array.CopyFrom(numpy_helper.from_array(np.rint(values / scale).astype(np.int8), name))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        wide = f"{node.output[0]}.wide"
        nodes += [
            helper.make_node("Cast", [name], [wide], name=wide, to=TensorProto.FLOAT),
            helper.make_node("Mul", [wide, f"{name}.scale"], node.output, name=node.output[0]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
