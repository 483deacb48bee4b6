"""Layers as Keras 1 wrote them, in today's words.

Imports nothing of the package; for the reader of architectures.
"""

from __future__ import annotations

from typing import Any

__all__ = ["modern_layer"]

CLASS_NAMES = {
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "Container": "Model",
}
SETTING_NAMES = {
    "nb_filter": "filters",
    "output_dim": "units",
    "border_mode": "padding",
    "subsample": "strides",
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
}
DATA_FORMATS = {"tf": "channels_last", "th": "channels_first"}
MERGE_MODES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
}


def modern_layer(class_name: str, config: Any) -> tuple[str, Any]:
    """Translate a layer of Keras 1; return any other layer as it is.

    Parameters
    ----------
    class_name : str
        The class named in the file.
    config : Any
        Its configuration; left alone where it is not an object.

    Returns
    -------
    class_name : str
    config : Any
    """
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
