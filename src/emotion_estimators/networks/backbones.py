"""Backbones by name or as given, and how many features they give; imports torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from emotion_estimators._downloads import is_offline
from emotion_estimators._optional import import_optional
from emotion_estimators.networks.residual import RESIDUAL_NETWORKS, ResidualNetwork

__all__ = [
    "BACKBONES",
    "TIMM_PREFIX",
    "check_backbone",
    "count_features",
    "make_backbone",
    "pixel_scaling",
]

TIMM_PREFIX = "timm:"

# By name, what makes a backbone for images of a height and width: a module that gives features
# (n, c) or maps (n, c, h, w) for images (n, 3, height, width).
BACKBONES: dict[str, Callable[[tuple[int, int]], nn.Module]] = {
    **{name: partial(ResidualNetwork, name) for name in RESIDUAL_NETWORKS},
}


def check_backbone(owner: str, backbone: Any, *, pretrained: bool) -> None:
    """Raise unless it is a name that is known, or a network; and if it may not be downloaded.

    Raises ConnectionError if it is, and ``EMOTION_ESTIMATORS_OFFLINE`` forbids it;
    MissingDependencyError if it is one of timm's and timm is not installed; ValueError if it is
    nothing known.
    """
    if isinstance(backbone, nn.Module):
        return
    if isinstance(backbone, str) and backbone.startswith(TIMM_PREFIX):
        if pretrained and is_offline():  # timm asks its servers also for what it has already
            raise ConnectionError(
                f"{owner} with {backbone!r} and pretrained=True downloads weights through timm, "
                "which EMOTION_ESTIMATORS_OFFLINE forbids. Set pretrained=False, or pass as "
                "backbone a network that holds its weights: timm.create_model(name, "
                "pretrained=True, num_classes=0, pretrained_cfg_overlay={'file': path})."
            )
        timm = import_optional("timm", extra="timm", needed_by=f"{owner} with {backbone!r}")
        if timm.is_model(backbone.removeprefix(TIMM_PREFIX).partition(".")[0]):
            return
        raise ValueError(f"{owner} got backbone={backbone!r}, which timm does not know.")
    if backbone not in BACKBONES:
        raise ValueError(
            f"{owner} expected backbone to be one of {sorted(BACKBONES)}, 'timm:<name>' or "
            f"a torch.nn.Module, got {backbone!r}."
        )


def make_backbone(backbone: Any, image_size: tuple[int, int], *, pretrained: bool) -> nn.Module:
    """Return a new backbone, in float32; a module is copied."""
    if isinstance(backbone, nn.Module):
        return copy.deepcopy(backbone).float()
    if backbone.startswith(TIMM_PREFIX):
        timm = import_optional("timm", extra="timm", needed_by=repr(backbone))
        name = backbone.removeprefix(TIMM_PREFIX)
        module: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0)
        return module
    return BACKBONES[backbone](image_size)


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
    except RuntimeError as error:
        raise ValueError(
            f"{owner}: the backbone cannot take images (n, 3, {image_size[0]}, {image_size[1]}): "
            f"{error}"
        ) from error
    finally:
        backbone.train(was_training)
    if not isinstance(given, torch.Tensor) or given.ndim not in (2, 4) or len(given) != 2:
        got = tuple(given.shape) if isinstance(given, torch.Tensor) else type(given).__name__
        raise ValueError(
            f"{owner} expected the backbone to give (n, c) or (n, c, h, w) for n = 2 images, got "
            f"{got}."
        )
    return int(given.shape[1])


def pixel_scaling(backbone: nn.Module) -> tuple[list[float], list[float]] | None:
    """Return mean and deviation of pixels that a pretrained timm network was trained on."""
    config = getattr(backbone, "pretrained_cfg", None)
    if not isinstance(config, dict) or "mean" not in config or "std" not in config:
        return None
    return [float(v) for v in config["mean"]], [float(v) for v in config["std"]]
