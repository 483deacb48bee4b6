"""Backbones by name, by settings or as given, and how many features they give; imports torch."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from emotion_estimators._downloads import is_offline
from emotion_estimators._optional import import_optional
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.given import given_network
from emotion_estimators.networks.residual import (
    RESIDUAL_NETWORKS,
    ResidualNetwork,
    check_residual_settings,
)
from emotion_estimators.networks.torch_file import read_torch_state, without_wrapper

__all__ = [
    "BACKBONES",
    "TIMM",
    "check_backbone",
    "count_features",
    "is_of_timm",
    "make_backbone",
    "pixel_scaling",
]

TIMM = "timm"  # as weights: those that timm fetches
_PREFIX = "timm:"
_COUNTER = "num_batches_tracked"  # of batch normalisation; older files lack it
_N_NAMED = 3

# By name, what makes a backbone for images of a height and width: a module that gives features
# (n, c) or maps (n, c, h, w) for images (n, 3, height, width).
BACKBONES: dict[str, Callable[[tuple[int, int]], nn.Module]] = {
    **{name: partial(ResidualNetwork, name) for name in RESIDUAL_NETWORKS},
}


def is_of_timm(network: Any) -> bool:
    """Tell whether a network is named as one of timm's."""
    return isinstance(network, str) and network.startswith(_PREFIX)


def check_backbone(owner: str, network: Any, weights: str | PathLike[str] | None) -> None:
    """Raise unless a backbone can be made of this, with these weights.

    Raises ConnectionError if weights must be downloaded, and ``EMOTION_ESTIMATORS_OFFLINE``
    forbids it; FileNotFoundError if there is no file of weights; MissingDependencyError if it is
    one of timm's and timm is not installed; ValueError if it is nothing known.
    """
    if weights == TIMM and not is_of_timm(network):
        raise ValueError(
            f"{owner} with weights='timm' expected network to be 'timm:<name>', got {network!r}. "
            "Pass a path, or None to begin at random."
        )
    if weights not in (None, TIMM) and not Path(weights).is_file():
        raise FileNotFoundError(
            f"{owner} expected weights to be 'timm', the path of a file or None, got "
            f"{str(weights)!r}, and there is no such file."
        )
    if isinstance(network, Mapping):
        check_residual_settings(owner, network)
    elif is_of_timm(network):
        if weights == TIMM and is_offline():  # timm asks its servers also for what it has already
            raise ConnectionError(
                f"{owner} with {network!r} and weights='timm' downloads weights through timm, "
                "which EMOTION_ESTIMATORS_OFFLINE forbids. Pass the path of a file as weights, or "
                "as network one that holds its weights: timm.create_model(name, pretrained=True, "
                "num_classes=0, pretrained_cfg_overlay={'file': path})."
            )
        _check_timm(owner, network)
    elif isinstance(network, str) and network not in BACKBONES:
        raise ValueError(
            f"{owner} expected network to be one of {sorted(BACKBONES)}, 'timm:<name>', a dict of "
            f"settings, a torch.nn.Module or a function that builds one, got {network!r}."
        )


def _check_timm(owner: str, network: str) -> None:
    """Raise ValueError unless timm knows a network of this name, and weights of its tag."""
    timm = import_optional("timm", extra="timm", needed_by=f"{owner} with {network!r}")
    name, _, tag = network.removeprefix(_PREFIX).partition(".")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), _N_NAMED)
        advice = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{owner} got network={network!r}, which timm does not know.{advice}")
    try:
        timm.get_pretrained_cfg(network.removeprefix(_PREFIX))
    except RuntimeError as error:
        tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
        near = difflib.get_close_matches(tag, tags, _N_NAMED, cutoff=0)
        raise ValueError(
            f"{owner} got network={network!r}, but timm knows no {tag!r} of {name}. Leave it out, "
            f"or take one of its {len(tags)}, such as {' or '.join(near)}."
        ) from error


def make_backbone(
    network: Any,
    image_size: tuple[int, int],
    *,
    weights: str | PathLike[str] | None = None,
) -> nn.Module:
    """Return a new backbone, in float32; what a user gives is copied.

    Raises WeightsError if a file of weights does not fit it; ValueError if what builds it gives no
    module.
    """
    if is_of_timm(network):
        timm = import_optional("timm", extra="timm", needed_by=repr(network))
        name = network.removeprefix(_PREFIX)
        module: nn.Module = timm.create_model(name, pretrained=weights == TIMM, num_classes=0)
    elif isinstance(network, str):
        module = BACKBONES[network](image_size)
    elif isinstance(network, Mapping):
        module = ResidualNetwork(network, image_size)
    else:
        module = given_network(network, image_size)
    if weights not in (None, TIMM):
        _load_file(module, Path(weights))
    return module.float()


def _load_file(module: nn.Module, path: Path) -> None:
    """Give a module the weights of a file, which may hold more, such as a head."""
    own = module.state_dict()
    found = without_wrapper(read_torch_state(path), own)
    missing = [name for name in own if name not in found and not name.endswith(_COUNTER)]
    if missing:
        raise WeightsError(
            f"{path}: has no {', '.join(missing[:_N_NAMED])} ({len(missing)} of {len(own)} tensors "
            f"of the network are missing); it holds {', '.join(list(found)[:_N_NAMED])}... Save "
            "the state_dict() of the backbone alone."
        )
    for name, tensor in own.items():
        if name in found and found[name].shape != tuple(tensor.shape):
            raise WeightsError(
                f"{path}: expected {name} of shape {tuple(tensor.shape)}, got {found[name].shape}."
            )
    tensors = {name: torch.tensor(found[name]) for name in own if name in found}
    module.load_state_dict(tensors, strict=False)


def count_features(owner: str, backbone: nn.Module, image_size: tuple[int, int]) -> int:
    """Return how many features a backbone gives for an image.

    Raises ValueError if it takes no such images, or gives something else than features or maps.
    """
    was_training = backbone.training
    like = next(backbone.parameters(), torch.zeros(0))
    images = torch.zeros(2, 3, *image_size, device=like.device)
    try:
        with torch.no_grad():
            given = backbone.eval()(images)
    except Exception as error:  # also a network of fixed size says so by an AssertionError
        config = getattr(backbone, "pretrained_cfg", None)
        config = config if isinstance(config, dict) else {}
        size = tuple(config.get("input_size", ()))[1:]
        fixed = size and config.get("fixed_input_size") and size != image_size
        advice = f" It takes {size[0]} x {size[1]} px only: set image_size={size}." if fixed else ""
        raise ValueError(
            f"{owner}: the network cannot take images (n, 3, {image_size[0]}, {image_size[1]}): "
            f"{str(error).rstrip('.')}.{advice}"
        ) from error
    finally:
        backbone.train(was_training)
    if not isinstance(given, torch.Tensor) or given.ndim not in (2, 4) or len(given) != 2:
        got = tuple(given.shape) if isinstance(given, torch.Tensor) else type(given).__name__
        raise ValueError(
            f"{owner} expected the network to give (n, c) or (n, c, h, w) for n = 2 images, got "
            f"{got}."
        )
    return int(given.shape[1])


def pixel_scaling(backbone: nn.Module) -> tuple[list[float], list[float]] | None:
    """Return mean and deviation of pixels that a pretrained timm network was trained on."""
    config = getattr(backbone, "pretrained_cfg", None)
    if not isinstance(config, dict) or "mean" not in config or "std" not in config:
        return None
    return [float(v) for v in config["mean"]], [float(v) for v in config["std"]]
