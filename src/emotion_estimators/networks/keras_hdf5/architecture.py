"""The JSON of a Keras model to a graph of layer calls, whichever Keras wrote it.

Reads Sequential and functional models, nested ones included, as Keras 1, 2 and 3 write them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import Any

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.graph import Shape
from emotion_estimators.networks.keras_hdf5.settings import Origin, Settings

__all__ = ["KerasLayer", "KerasModel", "modern_layer", "parse_model"]

MODEL_CLASSES = frozenset({"Sequential", "Model", "Functional"})
# Models inside models inside models: nobody goes deeper, and Python's stack is finite.
MAX_NESTING = 16
MAX_ENDPOINTS = 1000  # inputs, or outputs, of a model

TensorKey = tuple[str, int, int]  # layer name, which call of the layer, which of its outputs


@dataclass(frozen=True)
class KerasLayer:
    """One layer of the architecture, its weights shared by all its calls."""

    name: str
    class_name: str
    number: int
    settings: Settings
    model: KerasModel | None = None
    operation: str | None = None  # what it computes, where it is no layer but arithmetic


@dataclass(frozen=True)
class LayerCall:
    """A layer applied to tensors."""

    layer: KerasLayer
    index: int
    inputs: tuple[TensorKey, ...]
    constants: Mapping[int, Any] = field(default_factory=dict)  # of an operation, by their place


@dataclass
class KerasModel:
    """Layers, and their calls in an order in which they can run."""

    where: str
    layers: list[KerasLayer] = field(default_factory=list)
    calls: list[LayerCall] = field(default_factory=list)
    inputs: list[TensorKey] = field(default_factory=list)
    outputs: list[TensorKey] = field(default_factory=list)
    output_names: list[str] = field(default_factory=list)
    input_shapes: list[Shape | None] = field(default_factory=list)


def parse_model(config: dict[str, Any], source: str, origin: Origin) -> KerasModel:
    """Read an architecture.

    Raises WeightsError where the architecture is not one of a Sequential or functional model, has a
    cycle or refers to layers that do not exist.
    """
    top = Settings(source, config)
    class_name = top.text("class_name")
    if class_name not in MODEL_CLASSES:
        raise top.error(
            f"the model is a {class_name!r}; only Sequential and functional models can be read, "
            "own subclasses cannot"
        )
    return _Parser(source, origin).model(class_name, config.get("config"), source, depth=0)


class _Parser:
    """Numbers the layers while it walks through the models."""

    def __init__(self, source: str, origin: Origin) -> None:
        self.source = source
        self.origin = origin
        self.numbers = count()

    def model(self, class_name: str, config: Any, where: str, depth: int) -> KerasModel:
        if depth > MAX_NESTING:
            raise WeightsError(f"{where}: models are nested more than {MAX_NESTING} deep")
        if class_name == "Sequential":
            return self.sequential(config, where, depth)
        return self.functional(config, where, depth)

    def sequential(self, config: Any, where: str, depth: int) -> KerasModel:
        # Until Keras 2.2.2 the configuration was the list of layers itself.
        settings = Settings(where, {"layers": config} if isinstance(config, list) else config)
        model = KerasModel(where)
        model.layers = [self.layer(entry, where, depth) for entry in settings.items("layers")]
        if not model.layers:
            raise WeightsError(f"{where}: the model has no layers")
        first = model.layers[0]
        shape = first.settings.shape("batch_shape", "batch_input_shape")
        if shape is None and first.model is not None:
            shape = first.model.input_shapes[0]
        if shape is None:
            shape = settings.shape("build_input_shape")
        model.input_shapes = [shape]
        here: TensorKey = ("", 0, 0)  # no layer has an empty name
        model.inputs = [here]
        for position, layer in enumerate(model.layers):
            if layer.class_name != "InputLayer":
                # By position, not by name: Sequential never refers to names.
                model.calls.append(LayerCall(layer, position, (here,)))
                here = (layer.name, position, 0)
        model.outputs = [here]
        model.output_names = [here[0]]
        return model

    def functional(self, config: Any, where: str, depth: int) -> KerasModel:
        settings, _ = _listed(Settings(where, config), "input_layers")
        model = KerasModel(where)
        calls: dict[tuple[str, int], LayerCall] = {}
        by_name: dict[str, KerasLayer] = {}
        for entry in settings.items("layers"):
            layer = self.layer(entry, where, depth)
            if layer.name in by_name:
                raise WeightsError(f"{where}: two layers are called {layer.name!r}")
            by_name[layer.name] = layer
            model.layers.append(layer)
            nodes = Settings(layer.settings.where, entry).items("inbound_nodes")
            for index, node in enumerate(nodes):
                if layer.operation is None:
                    call = LayerCall(layer, index, tuple(_references(node, layer.settings)))
                else:
                    call = LayerCall(layer, index, *_operands(node, layer.settings))
                calls[layer.name, index] = call
        model.inputs = _endpoints(settings, "input_layers")
        settings, names = _listed(settings, "output_layers")
        model.outputs = _endpoints(settings, "output_layers")
        model.output_names = _distinct(names or [name for name, _, _ in model.outputs])
        shifted = _shifted_layers(model, calls)
        calls = {
            key: replace(call, inputs=_unshift(call.inputs, shifted)) for key, call in calls.items()
        }
        model.outputs = list(_unshift(model.outputs, shifted))
        for name, _, _ in model.inputs:
            if name not in by_name:
                raise WeightsError(f"{where}: the input layer {name!r} does not exist")
            layer_settings = by_name[name].settings
            model.input_shapes.append(layer_settings.shape("batch_shape", "batch_input_shape"))
        model.calls = _in_order(model, calls)
        return model

    def layer(self, entry: Any, where: str, depth: int) -> KerasLayer:
        outer = Settings(where, entry)
        class_name, config = modern_layer(outer.text("class_name"), entry.get("config"))
        inner_name = config.get("name") if isinstance(config, dict) else None
        name = entry.get("name") or inner_name or class_name.lower()
        if not isinstance(name, str):
            raise outer.error(f"a layer's name must be a text, got {name!r}")
        here = f"{where}, layer {name!r:.80} ({class_name:.80})"
        module = entry.get("module")
        if isinstance(module, str) and module.split(".")[0] not in {"keras", "tf_keras"}:
            raise WeightsError(
                f"{here}: is a custom layer of module {module!r}; files are read without running "
                "code of others, so only Keras' own layers can be converted"
            )
        origin = self.origin
        # Keras 1 did not always say its version; Keras itself goes by that, too.
        if not origin.version and isinstance(config, dict) and "dim_ordering" in config:
            origin = replace(origin, version="1")
        number = next(self.numbers)
        operation = _operation(entry)
        if operation is not None:
            settings = Settings(here, config, self.origin)
            return KerasLayer(name, class_name, number, settings, operation=operation)
        if class_name in MODEL_CLASSES:
            model = self.model(class_name, config, here, depth + 1)
            settings = Settings(here, config if isinstance(config, dict) else {}, self.origin)
            return KerasLayer(name, class_name, number, settings, model)
        return KerasLayer(name, class_name, number, Settings(here, config, origin))


def _operation(entry: Mapping[str, Any]) -> str | None:
    """Return what an entry of a model's layers computes, None of one that is a layer."""
    module, class_name, config = (entry.get(key) for key in ("module", "class_name", "config"))
    if isinstance(module, str) and module.startswith(("keras.src.ops.", "keras.ops")):
        return str(class_name)
    if not isinstance(config, dict):
        return None
    if class_name in ("TFOpLambda", "SlicingOpLambda"):
        return str(config.get("function"))
    # In HDF5 Keras 3 leaves the module out; a layer says whether it is trainable.
    is_by_keras_3 = isinstance(entry.get("inbound_nodes"), list) and any(
        isinstance(node, dict) for node in entry["inbound_nodes"]
    )
    is_bare = is_by_keras_3 and "trainable" not in config
    return str(class_name) if is_bare and class_name in OPERATIONS else None


def _references(node: Any, settings: Settings) -> Iterator[TensorKey]:
    """Tensors that a call takes, from either of the two ways in which Keras writes a call."""
    if isinstance(node, dict):  # Keras 3: arguments as the layer was called
        _check_call_options(node.get("kwargs"), settings)
        arguments = node.get("args")
        if not isinstance(arguments, list):
            raise settings.error("a call of it has no arguments")
        if len(arguments) == 1 and isinstance(arguments[0], list):
            arguments = arguments[0]
        for argument in arguments:
            is_tensor = isinstance(argument, dict)
            if not is_tensor or argument.get("class_name") != "__keras_tensor__":
                raise settings.error(f"is called with {argument!r:.80}; tensors are expected")
            history = Settings(settings.where, argument.get("config")).items("keras_history")
            yield _tensor_key(history, settings)
        return
    if not isinstance(node, list):
        raise settings.error(f"a call of it must be a list or an object, got {node!r:.80}")
    for reference in node:
        if not isinstance(reference, list) or len(reference) < 3:
            raise settings.error(f"is called with {reference!r:.80}; tensors are expected")
        if len(reference) > 3:
            _check_call_options(reference[3], settings)
        yield _tensor_key(reference[:3], settings)


def _operands(node: Any, settings: Settings) -> tuple[tuple[TensorKey, ...], dict[int, Any]]:
    """Return the tensors that an operation takes, and its other arguments by their place."""
    if isinstance(node, dict):  # Keras 3
        arguments = node.get("args")
        if not isinstance(arguments, list):
            raise settings.error("a call of it has no arguments")
        options = node.get("kwargs") or {}
        if len(arguments) == 1 and isinstance(arguments[0], list) and options in ({}, _LAST):
            arguments, options = arguments[0], {}  # to be stacked along the last axis
    else:  # tf.keras: the first argument as a reference, the others by their names
        if not isinstance(node, list) or len(node) != 4 or not isinstance(node[3], dict):
            raise settings.error(f"a call of it must be a list of four, got {node!r:.80}")
        arguments = [node[2] if node[0] == "_CONSTANT_VALUE" else node[:3]]
        known = ("y", "bias", "slice_spec")
        arguments += [node[3][word] for word in known if word in node[3]]
        rest = {*node[3]} - {*known, "name"}
        options = {word: node[3][word] for word in rest if node[3][word] not in (None, "NHWC")}
    if options:
        raise settings.error(f"is called with {options!r:.80}, which cannot be converted")
    tensors: list[TensorKey] = []
    constants: dict[int, Any] = {}
    for place, argument in enumerate(arguments):
        match argument:
            case {"class_name": "__keras_tensor__", "config": config}:
                history = Settings(settings.where, config).items("keras_history")
                tensors.append(_tensor_key(history, settings))
            case {"class_name": "__tensor__", "config": {"value": value}}:
                constants[place] = value
            case [str(), int(), int()]:
                tensors.append(_tensor_key(argument, settings))
            case _:
                constants[place] = argument
    return tuple(tensors), constants


def _check_call_options(options: Any, settings: Settings) -> None:
    if not isinstance(options, dict | None):
        raise settings.error(f"options of a call must be an object, got {options!r:.80}")
    for name, value in (options or {}).items():
        # what a prediction of Keras 3 says of training goes before what a call says
        told = {"training": (None, False), "mask": (None,)}.get(name, ())
        if value not in told and not (name == "training" and settings.origin.major >= 3):
            raise settings.error(
                f"is called with {name}={value!r:.80}; only plain calls for inference can be "
                "converted"
            )


def _tensor_key(values: list[Any], settings: Settings) -> TensorKey:
    match values:
        case [str(name), int(call), int(output)] if call >= 0 and output >= 0:
            return name, call, output
    raise settings.error(f"refers to a tensor by {values!r:.80}; expected [layer, call, output]")


def _listed(settings: Settings, key: str) -> tuple[Settings, list[str]]:
    """Return settings with a list where there may be an object, and the names in that."""
    value = settings.get(key)
    if not isinstance(value, dict):
        return settings, []
    return settings.changed({key: list(value.values())}), list(value)


def _endpoints(settings: Settings, key: str) -> list[TensorKey]:
    values = settings.items(key)
    if values and isinstance(values[0], str):  # Keras 3 does not wrap a single one
        values = [values]
    if not values:
        raise settings.error(f"{key!r} is empty; the model needs at least one")
    if len(values) > MAX_ENDPOINTS:
        raise settings.error(f"{key!r} has {len(values)} entries, more than {MAX_ENDPOINTS}")
    return [_tensor_key(v if isinstance(v, list) else [v], settings) for v in values]


def _distinct(names: Iterable[str]) -> list[str]:
    """Return names with a number behind those that were there before, as Keras names outputs."""
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    given: list[str] = []
    for name in names:
        free = name
        while free in taken:
            counts[name] += 1
            free = f"{name}_{counts[name]}"
        taken.add(free)
        given.append(free)
    return given


def _shifted_layers(model: KerasModel, calls: dict[tuple[str, int], LayerCall]) -> set[str]:
    """Nested models whose calls the file counts from 1.

    tf.keras and Keras 2.2 count the model's own graph as call 0 of it, others do not; every
    call that is written down is referred to, so the highest reference tells which.
    """
    n_calls = Counter(name for name, _ in calls)
    counted = {layer.name: n_calls[layer.name] for layer in model.layers if layer.model is not None}
    references = [key for call in calls.values() for key in call.inputs] + model.outputs
    return {name for name, index, _ in references if counted.get(name) == index}


def _unshift(keys: Any, shifted: set[str]) -> tuple[TensorKey, ...]:
    return tuple(
        (name, index - 1 if name in shifted else index, output) for name, index, output in keys
    )


def _in_order(model: KerasModel, calls: dict[tuple[str, int], LayerCall]) -> list[LayerCall]:
    """Return the calls that the outputs depend on, each after those it depends on itself."""
    given = {key[:2] for key in model.inputs}
    sorter: TopologicalSorter[tuple[str, int]] = TopologicalSorter()
    waiting = [key[:2] for key in model.outputs]
    seen: set[tuple[str, int]] = set()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        if key in given:
            sorter.add(key)
            continue
        if key not in calls:
            raise WeightsError(
                f"{model.where}: call {key[1]} of layer {key[0]!r} is used but not described"
            )
        needed = [tensor[:2] for tensor in calls[key].inputs]
        sorter.add(key, *needed)
        waiting += needed
    try:
        return [calls[key] for key in sorter.static_order() if key not in given]
    except CycleError as error:
        names = " -> ".join(repr(name) for name, _ in error.args[1])
        raise WeightsError(f"{model.where}: the layers form a cycle: {names}") from None


CLASS_NAMES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "Container": "Model",
    "Custom>CastToFloat32": "CastToFloat32",
    "Custom>CustomScaleLayer": "CustomScaleLayer",
    # of TensorFlow 1
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}
SETTING_NAMES = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample_length": "strides",
    "pool_length": "pool_size",
    "stride": "strides",
    "output_dim": "units",
    "border_mode": "padding",
    "subsample": "strides",
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
}
DATA_FORMATS = {"tf": "channels_last", "th": "channels_first"}
OPERATIONS = ("Add", "Divide", "GetItem", "Multiply", "Stack", "Subtract", "TrueDivide")
_LAST = {"axis": -1}
MERGE_MODES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
}


def modern_layer(class_name: str, config: Any) -> tuple[str, Any]:
    """Translate a layer of Keras 1; return any other layer as it is."""
    if not isinstance(config, dict):
        return CLASS_NAMES.get(class_name, class_name), config
    if class_name == "Merge":
        # A mode that is not listed leaves "Merge", which no converter knows.
        merged = MERGE_MODES.get(str(config.get("mode")), class_name)
        return merged, {**config, "axis": config.get("concat_axis")}
    modern = {SETTING_NAMES.get(key, key): value for key, value in config.items()}
    if "nb_row" in config and "nb_col" in config:
        modern["kernel_size"] = [config["nb_row"], config["nb_col"]]
    if "dim_ordering" in config:
        order = config["dim_ordering"]
        modern["data_format"] = DATA_FORMATS.get(order, order) if isinstance(order, str) else order
    return CLASS_NAMES.get(class_name, class_name), modern
