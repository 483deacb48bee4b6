"""Random changes of images, drawn for a whole batch at once; imports torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["augment_images", "mix_pairs", "pixel_statistics"]

# At strength 1, the ranges that leave a face's expression readable at 48 x 48 px.
_ROTATION = 0.2  # radians, uniform in +-
_SCALE = 0.18  # log of the zoom, uniform in +-
_ASPECT = 0.06  # log of the stretch, uniform in +-
_SHIFT = 0.15  # in half image widths, uniform in +-
_CONTRAST = 0.3  # uniform in 1 +-
_BRIGHTNESS = 0.15  # in units of the scale 0..1, uniform in +-
_ERASED = (1 / 6, 0.45)  # sides of the erased box as shares of the image's


def pixel_statistics(pixels: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each channel, as a network gets them.

    `pixels` (n, height, width[, 3]); returns two arrays (1,) or (3,).
    """
    by_channel = pixels[..., np.newaxis] if pixels.ndim == 3 else pixels
    parts = [by_channel[i : i + 256] for i in range(0, len(pixels), 256)]  # float64 of a few
    if pixels.dtype == np.uint8:
        channels = np.moveaxis(by_channel, -1, 0)
        counts = np.stack([np.bincount(one.ravel(), minlength=256) for one in channels])
        levels = np.arange(256) / 255
        mean = counts @ levels / counts[0].sum()
        variance = (counts * (levels - mean[:, np.newaxis]) ** 2).sum(axis=1) / counts[0].sum()
    else:
        n_pixels = by_channel[..., 0].size
        mean = sum(one.sum(axis=(0, 1, 2), dtype=np.float64) for one in parts) / n_pixels
        variance = sum(((one - mean) ** 2).sum(axis=(0, 1, 2)) for one in parts) / n_pixels
    spread = np.sqrt(variance)
    return mean, np.where(spread > 1e-6, spread, 1.0)


def augment_images(
    images: Tensor, *, strength: float, erasing: float, level: float, generator: torch.Generator
) -> Tensor:
    """Mirror, turn, zoom, stretch, shift, relight and partly cover each image by chance.

    `images` (n, channels, height, width); returns (n, channels, height, width).
    """
    n, _, height, width = images.shape
    device = images.device

    if strength > 0:
        images = _relight(_move(images, strength, generator), strength, generator)
    if erasing > 0:
        covered = _random_boxes(n, height, width, erasing, generator, device)
        grey = torch.randn(n, 1, 1, 1, generator=generator, dtype=torch.float32).to(device) * level
        grey = grey + images.mean(dim=(1, 2, 3), keepdim=True)  # (n, 1, 1, 1)
        images = torch.where(covered, grey, images)
    return images


def mix_pairs(
    images: Tensor,
    targets: dict[str, Tensor],
    weights: dict[str, Tensor],
    *,
    alpha: float,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Blend each image, its targets and its weights with those of the next one in the batch.

    `images` (n, channels, height, width); by output, `targets` (n, n_outputs), `weights` (n,).
    """
    shapes = torch.full((2, len(images)), alpha, dtype=torch.float32)
    gammas = torch._standard_gamma(shapes, generator=generator)
    gammas = gammas.clamp_min(1e-30)
    part = (gammas.amax(dim=0) / gammas.sum(dim=0)).to(images.device)  # (n,), 0.5..1
    mixed = images.lerp(images.roll(1, 0), (1 - part)[:, None, None, None])
    blended, totals = {}, {}
    for name, values in targets.items():
        own, other = part * weights[name], (1 - part) * weights[name].roll(1)
        totals[name] = own + other
        share = (own / totals[name].clamp_min(1e-30))[:, None]
        blended[name] = values.roll(1, 0).lerp(values, share)
    return mixed, blended, totals


def _move(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    n, device = len(images), images.device
    angle = _uniform((n,), generator) * (_ROTATION * strength)
    zoom = torch.exp(_uniform((n,), generator) * (_SCALE * strength))
    aspect = torch.exp(_uniform((n,), generator) * (_ASPECT * strength))
    mirror = torch.where(_uniform((n,), generator) < 0, -1.0, 1.0).float()
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    affine = torch.empty(n, 2, 3, dtype=torch.float32)
    affine[:, 0, 0] = cos * aspect * mirror
    affine[:, 0, 1] = -sin * aspect
    affine[:, 1, 0] = sin / aspect * mirror
    affine[:, 1, 1] = cos / aspect
    affine[:, :, 2] = _uniform((n, 2), generator) * (_SHIFT * strength)
    grid = F.affine_grid(affine.to(device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _relight(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    shape = (len(images), 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)  # (n, 1, 1, 1)
    contrast = (1 + _uniform(shape, generator) * (_CONTRAST * strength)).to(images.device)
    brightness = (_uniform(shape, generator) * (_BRIGHTNESS * strength)).to(images.device)
    return (images - mean) * contrast + mean + brightness


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return numbers in -1..1."""
    return _shares(shape, generator) * 2 - 1


def _shares(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return numbers in 0..1."""
    return torch.rand(shape, generator=generator, dtype=torch.float32)


def _random_boxes(
    n: int,
    height: int,
    width: int,
    probability: float,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Return masks, (n, 1, height, width), each with one box set, or none."""

    def inside(length: int) -> Tensor:  # (n, length)
        low, high = _ERASED
        side = (low + (high - low) * _shares((n, 1), generator)) * length
        centre = _shares((n, 1), generator) * length
        places = torch.arange(length, device=device, dtype=torch.float32) + 0.5
        return (places - centre.to(device)).abs() < side.to(device) / 2

    box = inside(height)[:, :, None] & inside(width)[:, None, :]  # (n, h, w)
    chosen = _shares((n, 1, 1), generator) < probability
    return (box & chosen.to(device))[:, None]
