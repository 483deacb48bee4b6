"""A Keras model in a file to an ONNX model, without Keras or TensorFlow."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.architecture import KerasLayer, KerasModel, parse_model
from emotion_estimators.networks.keras_hdf5.file import KerasFile, StoredArray
from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Tensor
from emotion_estimators.networks.keras_hdf5.layers import convert_layer, weight_roles
from emotion_estimators.networks.keras_hdf5.operations import operate
from emotion_estimators.networks.keras_hdf5.saved import SavedModel, open_saved

__all__ = [
    "WEIGHT_NAMES",
    "Conversion",
    "last_word",
    "read_keras_hdf5",
    "weight_places",
]

# A shared model is written out at each call of it, so few bytes of JSON could ask for millions.
# A call of several tensors counts as several.
MAX_CALLS = 20_000
MAX_MESSAGE = 1200
# Values of one tensor for one image, 512 MiB; far above what any classifier of faces holds.
MAX_TENSOR_SIZE = 1 << 27

# How Keras has called each weight over the years; the last word of the weight's name.
WEIGHT_NAMES = {
    "kernel": {"kernel", "W"},
    "bias": {"bias", "b"},
    "depthwise_kernel": {"depthwise_kernel", "kernel"},
    "pointwise_kernel": {"pointwise_kernel"},
    "gamma": {"gamma"},
    "beta": {"beta"},
    "moving_mean": {"moving_mean", "running_mean"},
    "moving_variance": {"moving_variance", "running_std"},
    "alpha": {"alpha", "alphas"},
    "mean": {"mean"},
    "variance": {"variance"},
    "count": {"count"},
}
KNOWN_NAMES = sorted({name for names in WEIGHT_NAMES.values() for name in names}, key=len)


def read_keras_hdf5(path: str | Path, architecture: str | Path | None = None) -> bytes:
    """Return a model that Keras 1, 2 or 3 saved as ``.h5``, ``.hdf5`` or ``.keras``, in ONNX.

    Where the file holds weights only, `architecture` is what ``model.to_json()`` gave, as a file;
    None looks for a ``.json`` of the same stem beside it.

    A single output is called "output", several have the names that Keras gives them.

    Raises OSError where there is no such file, or it may not be read; WeightsError where the file
    is damaged, too large for what it claims to hold, or a layer of it cannot be converted; the
    message names file and layer.
    """
    try:
        with open_saved(Path(path), None if architecture is None else Path(architecture)) as saved:
            return _read(saved)
    except WeightsError as error:
        # what a message quotes may be of any length
        message = str(error)
        if len(message) <= MAX_MESSAGE:
            raise
        half = MAX_MESSAGE // 2
        raise WeightsError(f"{message[:half]} ... {message[-half:]}") from None


def _read(saved: SavedModel) -> bytes:
    """Return the network in an open file, in ONNX."""
    path = saved.file.source
    model = parse_model(saved.config, path, saved.origin)
    if len(model.inputs) != 1:
        raise WeightsError(
            f"{path}: the model has {len(model.inputs)} inputs; models with one can be read"
        )
    shape = model.input_shapes[0]
    if shape is None:
        raise WeightsError(
            f"{path}: the file does not say the shape of the input; build the model before "
            "it is saved, for example with keras.Input"
        )
    arrays = _assign_weights(model, saved.file)
    source = Tensor("input", shape)
    graph = KerasGraph()
    tensors = Conversion(graph, arrays).run(model, [source])
    names = model.output_names if len(tensors) > 1 else ["output"]
    results = dict(zip(names, tensors, strict=True))
    taken = {source.name, *graph.names()} & set(results)
    if taken:
        raise WeightsError(f"{path}: no output may be called {min(taken)!r:.80}; rename that layer")
    return graph.to_bytes(source, results)


class Conversion:
    """Runs through the calls of a model and of the models in it."""

    def __init__(self, graph: KerasGraph, arrays: dict[int, dict[str, Any]]) -> None:
        self.graph = graph
        self.arrays = arrays
        self.n_calls = 0

    def run(self, model: KerasModel, inputs: list[Tensor]) -> list[Tensor]:
        """Add the nodes of a model, and return its outputs."""
        if len(inputs) != len(model.inputs):
            raise WeightsError(
                f"{model.where}: takes {len(model.inputs)} tensors, got {len(inputs)}"
            )
        values = dict(zip(model.inputs, inputs, strict=True))
        for call in model.calls:
            layer = call.layer
            self.n_calls += max(len(call.inputs), 1)  # each input is a node, where they are added
            if self.n_calls > MAX_CALLS:
                raise layer.settings.error(f"more than {MAX_CALLS} calls of layers")
            missing = [key for key in call.inputs if key not in values]
            if missing:
                raise layer.settings.error(
                    f"takes output {missing[0][2]} of layer "
                    f"{missing[0][0]!r}, which has no such output"
                )
            arguments = [values[key] for key in call.inputs]
            if layer.model is not None:
                outputs = self.run(layer.model, arguments)
            elif layer.operation is not None:
                outputs = [operate(self.graph, layer, arguments, call.constants)]
            else:
                weights = self.arrays.get(layer.number, {})
                outputs = [convert_layer(self.graph, layer, weights, arguments)]
            for index, output in enumerate(outputs):
                _check_size(layer, output)
                values[layer.name, call.index, index] = output
        return [values[key] for key in model.outputs]


def _check_size(layer: KerasLayer, tensor: Tensor) -> None:
    size = 1
    for length in tensor.shape:
        size *= length or 1
    if size > MAX_TENSOR_SIZE:
        raise layer.settings.error(
            f"gives {tensor.shape} for one image, more than {MAX_TENSOR_SIZE} values"
        )


def _assign_weights(model: KerasModel, file: KerasFile) -> dict[int, dict[str, StoredArray]]:
    """Give each layer its arrays, by position as Keras does and checked by name.

    The weights of a nested model lie in one list: first all that training changes, layer by
    layer, then all others.
    """
    root = file.variables_root()
    if root is not None:
        return _assign_variables(model, file, root)
    owners = [(layer, [*chain(*weight_places(layer))]) for layer in model.layers]
    owners = [(layer, places) for layer, places in owners if places]
    stored = [file.layer_arrays(layer.name) for layer, _ in owners]
    if not all(stored):
        # Keras goes by the order alone: it counts names on in a process, and nested Sequential
        # models of Keras 1 have none.
        names = file.layers_with_weights()
        if len(names) == len(owners):
            stored = [file.layer_arrays(name) for name in names]
    assigned: dict[int, dict[str, StoredArray]] = {}
    for (layer, places), arrays in zip(owners, stored, strict=True):
        _assign(layer, places, arrays, assigned)
    return assigned


def _assign(
    layer: KerasLayer,
    places: list[tuple[KerasLayer, str]],
    stored: list[StoredArray],
    assigned: dict[int, dict[str, StoredArray]],
) -> None:
    """Give places, pairs of a layer and a role, their arrays."""
    if len(stored) != len(places):
        raise layer.settings.error(
            f"needs {len(places)} arrays of weights, the file holds {len(stored)}"
        )
    for (owner, role), array in zip(places, stored, strict=True):
        word = last_word(array.name)
        if word is not None and word not in WEIGHT_NAMES[role]:
            raise owner.settings.error(
                f"expected its {role} where the file holds {array.name!r}; the order of the "
                "weights is not that of the layers"
            )
        assigned.setdefault(owner.number, {})[role] = array


def _path_names(layers: list[KerasLayer]) -> list[str]:
    """Return what Keras 3 calls layers in a file of weights: their class, and which of it."""
    names: list[str] = []
    counts: Counter[str] = Counter()
    for layer in layers:
        stem = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer.class_name))
        stem = re.sub(r"([a-z])([A-Z])", r"\1_\2", stem).lower()
        names.append(f"{stem}_{counts[stem]}" if counts[stem] else stem)
        counts[stem] += 1
    return names


def _assign_variables(
    model: KerasModel, file: KerasFile, root: str
) -> dict[int, dict[str, StoredArray]]:
    """Give each layer its arrays in the layout of Keras 3: those of each in a place of its own."""
    assigned: dict[int, dict[str, StoredArray]] = {}
    layers = [layer for layer in model.layers if layer.operation is None]
    for name, layer in zip(_path_names(layers), layers, strict=True):
        if layer.model is not None:
            inner = f"{root}/{name}/{root.rpartition('/')[2]}"
            assigned |= _assign_variables(layer.model, file, inner)
            continue
        places = [*chain(*weight_places(layer))]
        if places:
            _assign(layer, places, file.variables(f"{root}/{name}/vars") or [], assigned)
    return assigned


def weight_places(
    layer: KerasLayer,
) -> tuple[list[tuple[KerasLayer, str]], list[tuple[KerasLayer, str]]]:
    """Return pairs of layer and role: those that training changes, and the others."""
    if layer.model is None:
        trainable, fixed = ([(layer, role) for role in roles] for roles in weight_roles(layer))
    else:
        inner = [weight_places(part) for part in layer.model.layers]
        trainable = [place for places, _ in inner for place in places]
        fixed = [place for _, places in inner for place in places]
        return trainable, fixed
    if layer.settings.flag("trainable", default=True):
        return trainable, fixed
    return [], trainable + fixed


def last_word(name: str) -> str | None:
    """Return the longest known word at the end of a weight's name, None where there is none."""
    last = name.rsplit("/", 1)[-1].split(":")[0].rstrip("0123456789").rstrip("_")
    found = [word for word in KNOWN_NAMES if last == word or last.endswith(f"_{word}")]
    return found[-1] if found else None
