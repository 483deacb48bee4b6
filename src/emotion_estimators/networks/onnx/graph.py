"""A graph under construction: nodes and constants in, an ONNX model out.

Written by hand rather than with ``torch.onnx``, which needs further packages and gives another
graph with each version of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.networks.onnx import format as onnx_format

__all__ = ["OnnxGraph"]

# The oldest format that holds each opset, so that older ONNX Runtimes read the model.
_IR_VERSIONS = {17: 8, 20: 9}

_STORED = ("float32", "float16", "int8")
_LARGE = 4096  # values of a kernel from which on int8 pays for its scales, which are float32


class OnnxGraph:
    """Collects nodes and constants; every method returns the names of what it adds.

    `stored` is how large arrays lie in the model, "float32", "float16" or "int8"; whatever it is,
    the arithmetic stays float32.
    """

    def __init__(self, stored: str = "float32") -> None:
        if stored not in _STORED:
            raise ValueError(
                f"OnnxGraph expected stored to be {' or '.join(_STORED)}, got {stored!r}."
            )
        self.stored = stored
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

    def names(self) -> Iterator[str]:
        """Yield the names of all values that are in the graph."""
        yield from self._constants
        for _, _, outputs, _ in self._nodes:
            yield from outputs

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add an array once under `name`; a layer called twice shares its weights this way."""
        if name not in self._constants:
            self._constants[name] = np.asarray(values, order="C")
        return name

    def weight(self, name: str, values: NDArray[np.float32]) -> str:
        """Add an array (n_out, ...) as it is to be stored, and what makes it float32 again."""
        if self.stored == "float32" or np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            return self.constant(name, values)
        if self.stored == "float16" or values.size < _LARGE:
            return self._cast(f"{name} in float16", values.astype(np.float16))
        axes = tuple(range(1, values.ndim))
        scale = np.abs(values).max(axis=axes, keepdims=True) / 127  # (n_out, 1, ...)
        scale[scale == 0] = 1  # a channel of zeros stays one
        wide = self._cast(f"{name} in int8", np.rint(values / scale).astype(np.int8))
        factor = self.constant(f"{name} scale", scale.astype(np.float32))
        return self.node("Mul", [wide, factor])

    def _cast(self, name: str, values: NDArray[Any]) -> str:
        return self.node("Cast", [self.constant(name, values)], to=onnx_format.FLOAT)

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
        *results: tuple[str, str, Sequence[int | str]],
        opset: int,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the model of one input and of results (value, name, shape), all float32."""
        # Identity gives an output its fixed name also where the model is its input.
        nodes = list(self._nodes)
        nodes += [("Identity", [value], [output], {}) for value, output, _ in results]
        graph = onnx_format.graph(
            name,
            [onnx_format.node(*node) for node in nodes],
            [onnx_format.tensor(name, array) for name, array in self._constants.items()],
            onnx_format.value(*source),
            [onnx_format.value(output, shape) for _, output, shape in results],
        )
        return onnx_format.model(
            graph,
            ir_version=_IR_VERSIONS[opset],
            opset=opset,
            producer="emotion_estimators",
            metadata=metadata or {},
        )
