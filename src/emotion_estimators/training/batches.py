"""Batches of labelled images for networks of torch, from memory or from files; imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from emotion_estimators.images.collection import Images
from emotion_estimators.training.augmentation import mix_pairs
from emotion_estimators.training.progress import TrainingTask

__all__ = ["Batch", "ImageSource", "LabelledImages", "OrderedBatches", "as_network_input"]

Columns: TypeAlias = dict[str, Tensor]
Batch: TypeAlias = tuple[Tensor, tuple[Columns, Columns]]  # images, (targets, weights) by output

_EVALUATION_BATCH = 64  # images of files that are decoded as needed
_SHARE_OF_MEMORY = 0.4  # of a device's free memory that the images may take
_N_FOR_STATISTICS = 1000  # images that are decoded for mean and spread where they are streamed


def as_network_input(images: Tensor) -> Tensor:
    """Return images (n, h, w[, 3]) as (n, channels, h, w), float32; uint8 is scaled to 0..1."""
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    # in place, in the memory of the new tensor
    return images.float().div_(255) if images.dtype == torch.uint8 else images.float()


class LabelledImages(Dataset[Batch]):
    """Images with their targets and weights, all in memory, on the CPU or another device.

    `images` (n, height, width[, 3]); by output, `targets` (n, n_outputs) and `weights` (n,).
    """

    def __init__(self, images: Tensor, targets: Columns, weights: Columns) -> None:
        self.images, self.targets, self.weights = images, targets, weights

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        return self.batch(rows, self.images.device)

    def batch(self, rows: Tensor | slice, device: torch.device) -> Batch:
        """Return some rows on a device; images travel as they are stored and are scaled there."""
        on_way = device.type == "cuda" and self.images.device.type == "cpu"

        def move(tensor: Tensor) -> Tensor:
            # from pinned memory a copy runs beside the computation
            part = tensor[rows].pin_memory() if on_way else tensor[rows]
            return part.to(device, non_blocking=True)

        columns = ({name: move(each) for name, each in given.items()} for given in self._columns)
        return as_network_input(move(self.images)), (next(columns), next(columns))

    def to(self, device: torch.device) -> LabelledImages:
        """Return the same images on a device."""
        columns = [{name: each.to(device) for name, each in one.items()} for one in self._columns]
        return LabelledImages(self.images.to(device), *columns)

    @property
    def _columns(self) -> tuple[Columns, Columns]:
        return self.targets, self.weights

    @property
    def n_bytes(self) -> int:
        """Memory that the images take."""
        return self.images.element_size() * self.images.nelement()


class StreamedImages(Dataset[Any]):
    """Rows of images that are decoded when their turn comes, with their targets and weights."""

    def __init__(
        self,
        images: Images,
        targets: dict[str, NDArray[Any]],
        weights: dict[str, NDArray[Any]],
        rows: NDArray[np.intp],
    ) -> None:
        self.images, self.targets, self.weights, self.rows = images, targets, weights, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[NDArray[Any], dict[str, Any], dict[str, Any]]:
        row = int(self.rows[i])
        image = self.images.image(row)
        if image.dtype != np.uint8:
            image = image.astype(np.float32, copy=False)
        targets = {name: each[row] for name, each in self.targets.items()}
        weights = {name: each[row] for name, each in self.weights.items()}
        # a copy: an image may be a view of X that is not to be written into
        return image.copy(), targets, weights


class ShuffledBatches:
    """Batches of one epoch in an order by chance, each `batch_size` images; what is over waits.

    In memory they stand in place of ``DataLoader``, which collates one by one; images that are
    streamed go through it and its workers. `part` is (rank, number of processes) where several
    share a training. `stop` ends the epoch early, after a batch.
    """

    def __init__(
        self,
        dataset: LabelledImages | StreamedImages,
        *,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator,
        transform: Callable[[Tensor], Tensor] | None = None,
        mixup: float = 0.0,
        part: tuple[int, int] = (0, 1),
        n_workers: int = 0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.dataset, self.device, self.generator = dataset, device, generator
        self.batch_size = max(1, min(batch_size, len(dataset) // part[1]))
        self.transform, self.mixup, self.part = transform, mixup, part
        self.n_workers, self.stop = n_workers, stop

    def __len__(self) -> int:
        return len(self.dataset) // (self.batch_size * self.part[1])

    def __iter__(self) -> Iterator[Batch]:
        rank, n_parts = self.part
        order = torch.randperm(len(self.dataset), generator=self.generator)
        order = order[rank::n_parts][: len(self) * self.batch_size]
        for images, (targets, weights) in self._loaded(order):
            x = images if self.transform is None else self.transform(images)
            if self.mixup > 0:
                x, targets, weights = mix_pairs(
                    x, targets, weights, alpha=self.mixup, generator=self.generator
                )
            yield x, (targets, weights)
            if self.stop():
                return

    def _loaded(self, order: Tensor) -> Iterator[Batch]:
        """Yield the images as they are, in this order."""
        if isinstance(self.dataset, LabelledImages):
            for rows in torch.split(order.to(self.dataset.images.device), self.batch_size):
                yield self.dataset.batch(rows, self.device)
            return
        yield from _streamed(
            self.dataset, order, self.batch_size, self.device, self.n_workers, self.generator
        )


class OrderedBatches:
    """The batches of some images in their order, as often as they are asked for."""

    def __init__(
        self,
        dataset: LabelledImages | StreamedImages,
        *,
        batch_size: int,
        device: torch.device,
        n_workers: int = 0,
    ) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self.device, self.n_workers = device, n_workers

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.dataset)
        if isinstance(self.dataset, LabelledImages):
            for start in range(0, n, self.batch_size):
                yield self.dataset.batch(slice(start, start + self.batch_size), self.device)
            return
        yield from _streamed(
            self.dataset,
            torch.arange(n),
            self.batch_size,
            self.device,
            self.n_workers,
            torch.Generator(),
        )


def _streamed(
    dataset: StreamedImages,
    order: Tensor,
    batch_size: int,
    device: torch.device,
    n_workers: int,
    generator: torch.Generator,
) -> Iterator[Batch]:
    """Yield batches that worker processes decode."""
    loader = DataLoader(
        dataset,
        batch_sampler=[rows.tolist() for rows in torch.split(order, batch_size)],
        num_workers=n_workers,
        pin_memory=device.type == "cuda",
        generator=generator,
    )
    for images, targets, weights in loader:
        # workers make numbers in torch's default dtype, whatever that is
        columns = [
            {name: each.to(device, torch.float32) for name, each in one.items()}
            for one in (targets, weights)
        ]
        x = as_network_input(images.to(device, non_blocking=True))
        yield x, (columns[0], columns[1])


class ImageSource:
    """Where the batches of a task come from: memory, the device's memory, or files."""

    def __init__(self, task: TrainingTask, device: torch.device, *, n_workers: int = 0) -> None:
        self.task, self.device, self.n_workers = task, device, n_workers

    def examples(self) -> NDArray[Any]:
        """Return training images that show mean and spread of the pixels, (n, h, w[, 3])."""
        rows, pixels = self.task.train, self.task.pixels
        if pixels is not None:
            return pixels[rows]
        step = max(1, len(rows) // _N_FOR_STATISTICS)
        return np.stack([self.task.images.image(int(row)) for row in np.sort(rows)[::step]])

    def shuffled(self, **settings: Any) -> ShuffledBatches:
        """Return the batches to train on; the settings are those of `ShuffledBatches`."""
        dataset = self._dataset(self.task.train)
        if isinstance(dataset, LabelledImages) and self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            if dataset.n_bytes <= _SHARE_OF_MEMORY * free:
                dataset = dataset.to(self.device)
        return ShuffledBatches(dataset, device=self.device, n_workers=self.n_workers, **settings)

    def held_out(self, batch_size: int = _EVALUATION_BATCH) -> OrderedBatches | None:
        """Return the batches to judge by, None where nothing is held out."""
        if self.task.held_out is None:
            return None
        dataset = self._dataset(self.task.held_out)
        return OrderedBatches(
            dataset, batch_size=batch_size, device=self.device, n_workers=self.n_workers
        )

    def _dataset(self, rows: NDArray[np.intp]) -> LabelledImages | StreamedImages:
        task = self.task
        if task.pixels is None:
            return StreamedImages(task.images, task.columns, task.weights, rows)
        return LabelledImages(
            torch.from_numpy(task.pixels[rows]),
            {name: torch.from_numpy(each[rows]) for name, each in task.columns.items()},
            {name: torch.from_numpy(each[rows]) for name, each in task.weights.items()},
        )
