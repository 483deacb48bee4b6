"""Networks that are not ours as ONNX models, written by torch itself.

That takes the packages onnx and onnxscript, and gives another graph with each version of torch;
our own networks are written by `torch_onnx`. Imports torch, so import this module only where it is
needed.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emotion_estimators._optional import import_optional
from emotion_estimators.networks.torch_settings import torch_as_shipped

__all__ = ["export_with_torch"]

_PACKAGES = ("onnx", "onnxscript")
_OPSET = 18  # what torch's exporter writes without conversion; ONNX Runtime reads it since 1.14
_MAX_REASON = 300  # characters of torch's message


def export_with_torch(
    network: nn.Module,
    image_shape: tuple[int, int, int],
    *,
    activation: str = "softmax",
    mirrored: bool = False,
    stored: str = "float32",
    metadata: Mapping[str, str] | None = None,
    needed_by: str,
) -> bytes:
    """Return a network that gives scores, (n, n_outputs), as an ONNX model.

    Its input is called ``images``, (n, *image_shape) float32, its output ``probabilities``: what
    the `activation`, "softmax" or "sigmoid", makes of the scores, with `mirrored` the mean of an
    image and its mirror image. `stored` is how weights lie in the file, "float32" or "float16".
    The network stays as it is.

    Raises MissingDependencyError if onnx or onnxscript is not installed; ValueError if torch cannot
    export the network.
    """
    onnx, _ = (
        import_optional(package, packages=_PACKAGES, needed_by=needed_by) for package in _PACKAGES
    )
    try:
        with torch_as_shipped(), _quiet():
            copied = copy.deepcopy(network).cpu().float()
            answers = _Answers(copied, activation, mirrored=mirrored).requires_grad_(False).eval()
            program = torch.export.export(
                answers,
                (torch.zeros(2, *image_shape),),  # sizes of 0 and 1 would stay what they are
                dynamic_shapes=({0: torch.export.Dim("n")},),
                strict=False,
            )
            exported: Any = torch.onnx.export(
                program,
                dynamo=True,
                input_names=["images"],
                output_names=["probabilities"],
                opset_version=_OPSET,
                verbose=False,
            )
    except Exception as error:  # its errors share no base class
        reason = " ".join(str(error).split())[:_MAX_REASON]
        raise ValueError(
            f"{needed_by}: torch cannot export {type(network).__name__} as ONNX ({reason}). Change "
            "its forward so that torch.export.export takes it, with batches of any size; "
            "predictions do not need it."
        ) from error
    model = exported.model_proto
    graph = model.graph
    # torch writes where in whose files each node comes from
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output, graph, model):
        part.ClearField("metadata_props")
    del graph.value_info[:]
    for end in (*graph.input, *graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "n"
    if stored == "float16":
        _store_in_float16(graph, onnx)
    onnx.helper.set_model_props(model, dict(metadata or {}))
    serialised: bytes = model.SerializeToString()
    return serialised


class _Answers(nn.Module):
    """A network that gives probabilities instead of scores."""

    def __init__(self, network: nn.Module, activation: str, *, mirrored: bool) -> None:
        super().__init__()
        self.network = network
        self.activation = activation
        self.mirrored = mirrored

    def forward(self, images: Tensor) -> Tensor:
        if not self.mirrored:
            return self.probabilities(images)
        return (self.probabilities(images) + self.probabilities(images.flip(3))) / 2

    def probabilities(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network(images)
        return torch.sigmoid(scores) if self.activation == "sigmoid" else torch.softmax(scores, 1)


def _store_in_float16(graph: Any, onnx: Any) -> None:
    """Store kernels as float16, and add what makes them float32 again."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name = tensor.name
        values = onnx.numpy_helper.to_array(tensor)
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            continue
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name} in float16")
        tensor.CopyFrom(half)
        casts.append(onnx.helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from talking of itself: that torchvision is not there, what it will drop."""
    logger = logging.getLogger("torch.onnx")
    level, before = logger.level, warnings.filters
    logger.setLevel(logging.ERROR)
    # not catch_warnings, which undoes what other threads have changed meanwhile
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    added = warnings.filters[0]
    try:
        yield
    finally:
        logger.setLevel(level)
        for filters in (before, warnings.filters):
            with suppress(ValueError):
                filters.remove(added)  # type: ignore[attr-defined]
