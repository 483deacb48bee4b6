"""Layers that bring tensors together: sums, products, concatenation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Shape, Tensor
from emotion_estimators.networks.keras_hdf5.settings import Settings

__all__ = ["MERGING_LAYERS"]


def _merge(operator: str, *, mean: bool = False) -> Callable[..., Tensor]:
    def convert(graph: KerasGraph, settings: Settings, inputs: Sequence[Tensor]) -> Tensor:
        if len(inputs) < 2 or (operator == "Sub" and len(inputs) != 2):
            raise settings.error(
                f"takes {'two' if operator == 'Sub' else 'several'} tensors, got {len(inputs)}"
            )
        first, *others = _same_order(graph, _same_rank(graph, inputs))
        for other in others:
            shape = _broadcast(settings, first.shape, other.shape)
            name = graph.node(operator, [first.name, other.name])
            first = Tensor(name, shape, first.channels_first)
        if mean:
            return graph.elementwise("Mul", first, graph.scalar(1 / len(inputs)))
        return first

    return convert


def _same_rank(graph: KerasGraph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Give smaller tensors axes of size 1 after the batch axis, as Keras does."""
    rank = max(len(tensor.shape) for tensor in inputs)
    return [_with_rank(graph, tensor, rank) for tensor in inputs]


def _with_rank(graph: KerasGraph, tensor: Tensor, rank: int) -> Tensor:
    missing = rank - len(tensor.shape)
    if not missing:
        return tensor
    tensor = graph.channels_last(tensor)
    axes = graph.integers(range(1, missing + 1))
    return Tensor(graph.node("Unsqueeze", [tensor.name, axes]), (*[1] * missing, *tensor.shape))


def _same_order(graph: KerasGraph, inputs: Sequence[Tensor]) -> list[Tensor]:
    if any(tensor.channels_first for tensor in inputs):
        return [graph.channels_first(tensor) for tensor in inputs]
    return list(inputs)


def _broadcast(settings: Settings, first: Shape, second: Shape) -> Shape:
    if any(
        None not in (a, b) and a != b and 1 not in (a, b)
        for a, b in zip(first, second, strict=True)
    ):
        raise settings.error(f"cannot bring together the shapes {first} and {second}")
    # A free size meets 1 as itself and anything else as that size.
    return tuple(
        b if a == 1 or (a is None and b not in (None, 1)) else a
        for a, b in zip(first, second, strict=True)
    )


def _concatenate(graph: KerasGraph, settings: Settings, inputs: Sequence[Tensor]) -> Tensor:
    if not inputs:
        raise settings.error("takes at least one tensor, got none")
    if len({len(tensor.shape) for tensor in inputs}) > 1:
        shapes = ", ".join(str(tensor.shape) for tensor in inputs)
        raise settings.error(f"takes tensors of as many axes, got the shapes {shapes}")
    first, *others = inputs = _same_order(graph, inputs)
    axis = settings.axis(len(first.shape) + 1)
    shape = list(first.shape)
    for other in others:
        for i, size in enumerate(other.shape):
            if i == axis - 1:
                here = shape[i]
                shape[i] = None if here is None or size is None else here + size
            elif None not in (size, shape[i]) and size != shape[i]:
                raise settings.error(f"cannot join the shapes {first.shape} and {other.shape}")
            else:
                shape[i] = shape[i] if size is None else size
    names = [tensor.name for tensor in inputs]
    name = graph.node("Concat", names, axis=first.stored_axis(axis))
    return Tensor(name, tuple(shape), first.channels_first)


def _scaled_residual(graph: KerasGraph, settings: Settings, inputs: Sequence[Tensor]) -> Tensor:
    """Add a branch times a constant, as InceptionResNetV2 of Keras does."""
    if len(inputs) != 2:
        raise settings.error(f"takes two tensors, got {len(inputs)}")
    scaled = graph.elementwise("Mul", inputs[1], graph.scalar(settings.number("scale")))
    added: Tensor = MERGING_LAYERS["Add"](graph, settings, [inputs[0], scaled])
    return added


MERGING_LAYERS: dict[str, Callable[[KerasGraph, Settings, Sequence[Tensor]], Tensor]] = {
    "Add": _merge("Add"),
    "Subtract": _merge("Sub"),
    "Multiply": _merge("Mul"),
    "Average": _merge("Add", mean=True),
    "Maximum": _merge("Max"),
    "Minimum": _merge("Min"),
    "Concatenate": _concatenate,
    "CustomScaleLayer": _scaled_residual,
}
