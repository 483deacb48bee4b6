"""The batches of a multi-label training, from memory or from files; imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotion_estimators.images.collection import Images
from emotion_estimators.training.labelled_images import Batch, LabelledImages
from emotion_estimators.training.streamed_images import StreamedBatches, StreamedImages
from emotion_estimators.training.tensor_batches import TensorBatches

__all__ = ["Evaluated", "Sources"]

_EVALUATION_BATCH = 64
_SHARE_OF_MEMORY = 0.4  # of a device's free memory that the images may take
_N_FOR_STATISTICS = 1000  # images that are decoded for mean and spread where they are streamed


class Sources:
    """Where batches come from: memory, the device's memory, or files decoded as needed.

    `pixels` (n, height, width, 3); `targets` (n, n_labels); `weights` (n,) float32.
    """

    def __init__(
        self,
        settings: Any,
        images: Images,
        pixels: NDArray[Any] | None,
        targets: NDArray[np.float32],
        weights: NDArray[np.float32],
        device: torch.device,
    ) -> None:
        self.images, self.targets, self.weights = images, targets, weights
        self.device, self.n_workers = device, settings.num_workers
        self.pixels = pixels

    def examples(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return images that show mean and spread of the pixels."""
        if self.pixels is not None:
            return self.pixels[rows]
        step = max(1, len(rows) // _N_FOR_STATISTICS)
        return np.stack([self.images.image(int(row)) for row in np.sort(rows)[::step]])

    def batches(
        self, rows: NDArray[np.intp], part: tuple[int, int] = (0, 1), **settings: Any
    ) -> Any:
        """Return shuffled batches."""
        if self.pixels is None:
            dataset = StreamedImages(self.images, self.targets, self.weights, rows)
            return StreamedBatches(
                dataset, device=self.device, n_workers=self.n_workers, part=part, **settings
            )
        return TensorBatches(self._in_memory(rows), device=self.device, part=part, **settings)

    def ordered(self, rows: NDArray[np.intp]) -> Iterator[Batch]:
        """Yield batches in order."""
        if self.pixels is None:
            dataset = StreamedImages(self.images, self.targets, self.weights, rows)
            yield from StreamedBatches(
                dataset,
                batch_size=_EVALUATION_BATCH,
                device=self.device,
                generator=torch.Generator(),
                n_workers=self.n_workers,
                shuffle=False,
            )
            return
        data = self._arrays(rows)
        for start in range(0, len(rows), _EVALUATION_BATCH):
            yield data.batch(slice(start, start + _EVALUATION_BATCH), self.device)

    def _arrays(self, rows: NDArray[np.intp]) -> LabelledImages:
        assert self.pixels is not None  # noqa: S101 - asked for only then
        arrays = (self.pixels[rows], self.targets[rows], self.weights[rows])
        return LabelledImages(*(torch.from_numpy(array) for array in arrays))

    def _in_memory(self, rows: NDArray[np.intp]) -> LabelledImages:
        data = self._arrays(rows)
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            if data.n_bytes <= _SHARE_OF_MEMORY * free:
                return data.to(self.device)
        return data


class Evaluated:
    """The held-out batches, in order, as often as they are asked for."""

    def __init__(self, sources: Sources, rows: NDArray[np.intp]) -> None:
        self.sources, self.rows = sources, rows

    def __iter__(self) -> Iterator[Batch]:
        return self.sources.ordered(self.rows)
