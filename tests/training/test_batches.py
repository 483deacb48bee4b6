"""Batches: every image once, scaling, sizes, order by the generator, from memory or files."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="batches are tensors of torch")

import torch

from emotion_estimators.training.batches import (
    LabelledImages,
    OrderedBatches,
    ShuffledBatches,
    StreamedImages,
)
from emotion_estimators.validation import check_images

CPU = torch.device("cpu")


def _images(n, dtype=torch.uint8):
    pixels = torch.arange(n)[:, None, None].expand(n, 4, 5).to(dtype)
    return LabelledImages(pixels, {"a": torch.arange(n)}, {"a": torch.arange(n).float() / 2})


def _streamed(n):
    pixels = np.repeat(np.arange(n, dtype=np.uint8), 20).reshape(n, 4, 5)
    columns = [{"a": np.arange(n)}, {"a": np.arange(n, dtype=np.float32) / 2}]
    return StreamedImages(check_images(pixels), *columns, np.arange(n))


def _batches(dataset, batch_size, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    return ShuffledBatches(
        dataset, batch_size=batch_size, device=CPU, generator=generator, **settings
    )


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"), [(10, 5, [5, 5]), (10, 4, [4, 4]), (3, 8, [3]), (2, 2, [2])]
)
def test_sizes(n, batch_size, sizes):
    batches = _batches(_images(n), batch_size)
    assert len(batches) == len(sizes)
    drawn = [targets["a"] for _, (targets, _) in batches]
    assert [len(codes) for codes in drawn] == sizes
    assert len(set(torch.cat(drawn).tolist())) == sum(sizes)


@pytest.mark.parametrize("make", [_images, _streamed])
def test_labels_and_weights_stay_with_their_images(make):
    for images, (targets, weights) in _batches(make(40), 8):
        codes = targets["a"].float()
        assert images.shape == (8, 1, 4, 5)
        assert images.dtype == torch.float32
        assert torch.equal(images[:, 0, 0, 0], codes / 255)
        assert torch.equal(weights["a"], codes / 2)


@pytest.mark.parametrize("make", [_images, _streamed])
def test_batches_in_order(make):
    batches = OrderedBatches(make(10), batch_size=4, device=CPU)
    assert len(batches) == 3
    for _ in range(2):
        found = [targets["a"].tolist() for _, (targets, _) in batches]
        assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_an_epoch_that_is_stopped_ends_after_a_batch():
    seen = []
    for _, (targets, _) in _batches(_images(40), 8, stop=lambda: len(seen) >= 2):
        seen.append(targets["a"])
    assert len(seen) == 2


def test_processes_share_the_images():
    parts = [_batches(_images(20), 4, part=(rank, 2)) for rank in range(2)]
    drawn = [[code for _, (t, _) in part for code in t["a"].tolist()] for part in parts]
    assert [len(part) for part in parts] == [2, 2]
    assert not set(drawn[0]) & set(drawn[1])


def test_floats_are_not_scaled():
    images, _ = _images(3, torch.float64)[torch.tensor([2, 0])]
    assert images.dtype == torch.float32
    assert images[:, 0, 0, 0].tolist() == [2.0, 0.0]


def test_each_epoch_has_an_order_of_its_own():
    batches = _batches(_images(30), 30)
    first, second = (batch[1][0]["a"].tolist() for _ in range(2) for batch in batches)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(30))
    again = _batches(_images(30), 30)
    assert [targets["a"].tolist() for _, (targets, _) in again] == [first]


def test_transform():
    got = [images for images, _ in _batches(_images(4), 4, transform=lambda images: images + 7)]
    assert sorted((got[0][:, 0, 0, 0] * 255).round().tolist()) == [7 * 255 + i for i in range(4)]


def test_mixup_reaches_the_batches():
    data = LabelledImages(torch.rand(8, 4, 5), {"a": torch.eye(8)}, {"a": torch.ones(8)})
    ((_, (targets, weights)),) = _batches(data, 8, mixup=1.0)
    assert ((targets["a"] > 0).sum(dim=1) == 2).all()
    assert torch.allclose(weights["a"], torch.ones(8))
