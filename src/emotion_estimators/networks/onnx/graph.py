"""A graph under construction: nodes and constants in, an ONNX model out.

Written by hand rather than with ``torch.onnx``, which needs further packages and gives another
graph with each version of torch. Imports NumPy and `format`; for the converters of this
folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.networks.onnx import format as onnx_format

__all__ = ["OnnxGraph"]

# The oldest format that holds each opset, so that older ONNX Runtimes read the model.
_IR_VERSIONS = {17: 8, 20: 9}


class OnnxGraph:
    """Collects nodes and constants; every method returns the names of what it adds."""

    def __init__(self) -> None:
        self._nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        self._constants: dict[str, NDArray[Any]] = {}

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output."""
        return self.nodes(operator, inputs, 1, **attributes)[0]

    def nodes(
        self, operator: str, inputs: Sequence[str], n_outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs."""
        stem = f"{operator}_{len(self._nodes)}"
        outputs = [stem, *(f"{stem}_{number}" for number in range(1, n_outputs))]
        self._nodes.append((operator, list(inputs), outputs, attributes))
        return outputs

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add an array once under `name`; a layer called twice shares its weights this way."""
        if name not in self._constants:
            self._constants[name] = np.asarray(values, order="C")
        return name

    def scalar(self, value: float) -> str:
        """Add a float32 number."""
        return self.constant(f"scalar {value!r}", np.array(value, dtype=np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """Add a list of int64, as shapes and pads are given."""
        return self.constant(f"integers {list(values)}", np.array(values, dtype=np.int64))

    def serialise(
        self,
        name: str,
        source: tuple[str, Sequence[int | str]],
        result: tuple[str, str, Sequence[int | str]],
        *,
        opset: int,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the model with one input and one output, both float32."""
        value, output, shape = result
        # Identity gives the output its fixed name also where the model is its input.
        nodes = [*self._nodes, ("Identity", [value], [output], {})]
        graph = onnx_format.graph(
            name,
            [onnx_format.node(*node) for node in nodes],
            [onnx_format.tensor(name, array) for name, array in self._constants.items()],
            onnx_format.value(*source),
            onnx_format.value(output, shape),
        )
        return onnx_format.model(
            graph,
            ir_version=_IR_VERSIONS[opset],
            opset=opset,
            producer="emotion_estimators",
            metadata=metadata or {},
        )
