"""TensorBatches over LabelledImages: every image once, scaling, sizes, order by the generator."""

import pytest

pytest.importorskip("torch", reason="TensorBatches needs torch")

import torch

from emotion_estimators.training.labelled_images import LabelledImages
from emotion_estimators.training.tensor_batches import TensorBatches


def _images(n, dtype=torch.uint8):
    pixels = torch.arange(n)[:, None, None].expand(n, 4, 5).to(dtype)
    return LabelledImages(pixels, torch.arange(n), torch.arange(n).float() / 2)


def _batches(dataset, batch_size, seed=0, transform=None):
    return TensorBatches(
        dataset,
        batch_size=batch_size,
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(seed),
        transform=transform,
    )


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"), [(10, 5, [5, 5]), (10, 4, [4, 4]), (3, 8, [3]), (2, 2, [2])]
)
def test_sizes(n, batch_size, sizes):
    batches = _batches(_images(n), batch_size)
    assert len(batches) == len(sizes)
    drawn = [codes for _, (codes, _) in batches]
    assert [len(codes) for codes in drawn] == sizes
    assert len(set(torch.cat(drawn).tolist())) == sum(sizes)


def test_labels_and_weights_stay_with_their_images():
    for images, (codes, weights) in _batches(_images(40), 8):
        assert images.shape == (8, 1, 4, 5)
        assert images.dtype == torch.float32
        assert torch.equal(images[:, 0, 0, 0], codes.float() / 255)
        assert torch.equal(weights, codes.float() / 2)


def test_floats_are_not_scaled():
    images, _ = _images(3, torch.float64)[torch.tensor([2, 0])]
    assert images.dtype == torch.float32
    assert images[:, 0, 0, 0].tolist() == [2.0, 0.0]


def test_each_epoch_has_an_order_of_its_own():
    batches = _batches(_images(30), 30)
    first, second = (batch[1][0].tolist() for _ in range(2) for batch in batches)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(30))
    again = _batches(_images(30), 30)
    assert [codes.tolist() for _, (codes, _) in again] == [first]


def test_transform():
    got = [images for images, _ in _batches(_images(4), 4, transform=lambda images: images + 7)]
    assert sorted((got[0][:, 0, 0, 0] * 255).round().tolist()) == [7 * 255 + i for i in range(4)]


def test_mixup_reaches_the_batches():
    data = LabelledImages(torch.rand(8, 4, 5), torch.eye(8), torch.ones(8))
    settings = {"batch_size": 8, "device": torch.device("cpu")}
    ((_, (targets, weights)),) = TensorBatches(
        data, **settings, generator=torch.Generator().manual_seed(0), mixup=1.0
    )
    assert ((targets > 0).sum(dim=1) == 2).all()
    assert torch.allclose(weights, torch.ones(8))
