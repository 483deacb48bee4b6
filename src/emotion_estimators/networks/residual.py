"""Residual networks for colour images of any size, without a head; imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from emotion_estimators.networks.layers import BottleneckBlock, ConvBlock, ResidualBlock

__all__ = ["RESIDUAL_NETWORKS", "ResidualNetwork", "check_residual_settings"]

# Channels and blocks of each stage. "resnet18" to "resnet50" are those of He et al. (2016);
# "resnet10" has one block in each stage, and "resnet10-narrow" half its channels; "resnet6-tiny"
# is for small data and tests.
RESIDUAL_NETWORKS: dict[str, dict[str, Any]] = {
    "resnet6-tiny": {"widths": (16, 32)},
    "resnet10-narrow": {"widths": (32, 64, 128, 256)},
    "resnet10": {"widths": (64, 128, 256, 512)},
    "resnet18": {"widths": (64, 128, 256, 512), "n_blocks": (2, 2, 2, 2)},
    "resnet34": {"widths": (64, 128, 256, 512), "n_blocks": (3, 4, 6, 3)},
    "resnet50": {
        "widths": (256, 512, 1024, 2048),
        "n_blocks": (3, 4, 6, 3),
        "bottleneck": True,
    },
}
_LARGE = 128  # px; from here on the first layers quarter the resolution, as in the paper
_EXPANSION = 4  # of a bottleneck, and so what its widths are multiples of


def check_residual_settings(owner: str, settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless a `ResidualNetwork` can be built with the settings."""
    expected = (
        f"{owner} expected a dict as network to hold 'widths', the channels of each stage, and "
        "maybe 'n_blocks', its blocks, and 'bottleneck', True or False"
    )
    if "widths" not in settings or not settings.keys() <= {"widths", "n_blocks", "bottleneck"}:
        raise ValueError(f"{expected}, got {sorted(map(str, settings))}.")
    widths = settings["widths"]
    numbers = [widths, settings.get("n_blocks", widths)]
    are_lists = all(isinstance(one, (list, tuple)) and len(one) > 0 for one in numbers)
    if (
        not are_lists
        or not all(isinstance(n, int) and n > 0 for one in numbers for n in one)
        or len(numbers[1]) != len(widths)
    ):
        raise ValueError(f"{expected}: whole numbers above 0, as many of both, got {settings}.")
    if settings.get("bottleneck", False) and any(width % _EXPANSION for width in widths):
        raise ValueError(f"{expected}, which wants widths that 4 divides, got {settings}.")


class ResidualNetwork(nn.Module):
    """A residual network that keeps more of the resolution where images are small."""

    def __init__(self, settings: str | Mapping[str, Any], image_size: tuple[int, int]) -> None:
        super().__init__()
        if isinstance(settings, str):
            settings = RESIDUAL_NETWORKS[settings]
        widths = settings["widths"]
        n_blocks = settings.get("n_blocks", [1] * len(widths))
        is_bottleneck = settings.get("bottleneck", False)
        width = widths[0] // _EXPANSION if is_bottleneck else widths[0]
        side = min(image_size)
        layers: list[nn.Module] = []
        if side >= _LARGE:
            layers += [ConvBlock(3, width, kernel=7, stride=2), nn.MaxPool2d(3, 2, 1)]
        else:
            layers.append(ConvBlock(3, width, stride=2 if side >= _LARGE // 4 else 1))
        block: Any = BottleneckBlock if is_bottleneck else ResidualBlock
        for stage, (n_out, count) in enumerate(zip(widths, n_blocks, strict=True)):
            for i in range(count):
                layers.append(block(width, n_out, stride=2 if stage > 0 and i == 0 else 1))
                width = n_out
        self.layers = nn.Sequential(*layers)
        self.n_features = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (n, n_features, h', w') of images (n, 3, height, width)."""
        maps: Tensor = self.layers(x)
        return maps
