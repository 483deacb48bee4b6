"""augment_images: what it leaves alone, moves and covers, and whose chance it takes."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="augment_images needs torch")

import torch

from emotion_estimators.datasets import make_faces
from emotion_estimators.training.augmentation import augment_images, mix_pairs, pixel_statistics


@pytest.fixture(scope="module")
def faces():
    X, _ = make_faces(64, image_size=(30, 40), random_state=0)
    return torch.from_numpy(X)[:, None].float() / 255  # (64, 1, 30, 40)


def _augment(images, seed=0, **settings):
    settings = {"strength": 0.0, "erasing": 0.0, "level": 0.2} | settings
    return augment_images(images, generator=torch.Generator().manual_seed(seed), **settings)


def test_off_changes_nothing(faces):
    assert torch.equal(_augment(faces), faces)


def test_vanishing_strength_only_mirrors(faces):
    got = _augment(faces, strength=1e-7)
    # 1e-7 of a shift and the sampling grid's rounding, times pixel differences of at most 1
    same = (got - faces).abs().amax(dim=(1, 2, 3)) < 1e-3
    mirrored = (got - faces.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert bool((same | mirrored).all())
    # 64 throws of a coin give fewer than 15 heads, or tails, once in 30,000 times
    assert 15 <= int(same.sum()) <= 49


def test_full_strength_keeps_the_form_and_leaves_its_input(faces):
    before = faces.clone()
    got = _augment(faces, strength=1.0, erasing=0.5)
    assert got.shape == faces.shape
    assert got.dtype == torch.float32
    assert bool(torch.isfinite(got).all())
    assert torch.equal(faces, before)
    assert float((got - faces).abs().mean()) > 0.02


def test_brightness_and_contrast_stay_in_their_ranges():
    flat = torch.full((200, 1, 8, 8), 0.5)
    level = _augment(flat, strength=1.0).mean(dim=(1, 2, 3))
    # of a flat image only the brightness changes: by at most 0.15, the rounding of float32 left
    assert float((level - 0.5).abs().max()) <= 0.15 + 1e-6
    assert float(level.std()) > 0.05


def test_erased_boxes(faces):
    got = _augment(faces, erasing=1.0)
    shares = []
    for image, original in zip(got[:, 0].numpy(), faces[:, 0].numpy(), strict=True):
        rows, columns = np.nonzero(image != original)
        box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        # by chance a pixel of the image has the grey of the box; nearly all others have not
        assert np.ptp(box) == 0
        shares.append([np.ptp(rows) + 1, np.ptp(columns) + 1])
    sides = np.array(shares) / [30, 40]
    assert sides.max() <= 0.45 + 1 / 30  # a box ends at whole pixels
    assert sides.max() > 0.35


@pytest.mark.parametrize(("probability", "low", "high"), [(0.25, 4, 31), (1.0, 64, 64)])
def test_erasing_is_a_probability(faces, probability, low, high):
    changed = (_augment(faces, erasing=probability) != faces).any(dim=3).any(dim=2).any(dim=1)
    # 16 are expected of 64, with a standard deviation of 3.5
    assert low <= int(changed.sum()) <= high


def test_all_chance_is_the_generators(faces):
    state = torch.get_rng_state()
    settings = {"strength": 1.0, "erasing": 0.5}
    first = _augment(faces, **settings)
    assert torch.equal(_augment(faces, **settings), first)
    assert not torch.equal(_augment(faces, seed=1, **settings), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_mix_pairs_blends_each_image_with_the_next(faces):
    rng = np.random.default_rng(0)
    targets = torch.from_numpy(rng.dirichlet(np.ones(3), 64).astype(np.float32))
    weights = torch.from_numpy(rng.uniform(0, 2, 64).astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    mixed, blended, masses = mix_pairs(
        faces, {"labels": targets}, {"labels": weights}, alpha=0.5, generator=generator
    )
    soft, mass = blended["labels"], masses["labels"]
    other = np.roll(np.arange(64), 1)
    a, b = faces.numpy().reshape(64, -1), faces.numpy().reshape(64, -1)[other]
    difference = (mixed.numpy().reshape(64, -1) - b, a - b)
    # least squares give the part of the own image; float32 leaves about 1e-5
    part = (difference[0] * difference[1]).sum(1) / (difference[1] ** 2).sum(1)
    assert part.min() > 0.5 - 1e-5
    assert part.max() < 1 + 1e-5
    assert part.std() > 0.1
    expected = part[:, None] * a + (1 - part[:, None]) * b
    np.testing.assert_allclose(mixed.numpy().reshape(64, -1), expected, atol=1e-5)
    own, others = part * weights.numpy(), (1 - part) * weights.numpy()[other]
    np.testing.assert_allclose(mass, own + others, atol=1e-4)
    expected = own[:, None] * targets.numpy() + others[:, None] * targets.numpy()[other]
    np.testing.assert_allclose(soft * mass[:, None], expected, atol=1e-4)
    np.testing.assert_allclose(soft.sum(dim=1), 1, atol=1e-5)


def test_mix_pairs_of_no_weight_is_finite(faces):
    generator = torch.Generator().manual_seed(0)
    mixed, soft, mass = mix_pairs(
        faces, {"a": torch.eye(64)}, {"a": torch.zeros(64)}, alpha=1e-3, generator=generator
    )
    assert all(bool(torch.isfinite(part).all()) for part in (mixed, soft["a"]))
    assert not mass["a"].any()


def test_columns_are_blended_by_weights_of_their_own(faces):
    targets = torch.eye(64)
    weights = {"labels": torch.ones(64), "votes": torch.arange(64).float()}
    _, soft, mass = mix_pairs(
        faces,
        {"labels": targets, "votes": targets},
        weights,
        alpha=0.5,
        generator=torch.Generator().manual_seed(0),
    )
    part = soft["labels"].diagonal()  # weights are equal there
    own, other = part * weights["votes"], (1 - part) * weights["votes"].roll(1)
    np.testing.assert_allclose(mass["votes"], own + other, rtol=1e-5)
    np.testing.assert_allclose(soft["votes"].diagonal(), own / (own + other), rtol=1e-5)


@pytest.mark.parametrize("shape", [(300, 5, 6), (300, 5, 6, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixel_statistics(shape, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    levels = pixels / 255
    if dtype == np.float32:
        pixels = levels.astype(np.float32)
    mean, std = pixel_statistics(pixels)
    axes = (0, 1, 2)
    # float32 has the levels to 6e-8
    np.testing.assert_allclose(mean, np.atleast_1d(levels.mean(axis=axes)), rtol=1e-7)
    np.testing.assert_allclose(std, np.atleast_1d(levels.std(axis=axes)), rtol=1e-6)
    _, flat = pixel_statistics(np.full(shape, 7, dtype))
    assert flat.tolist() == [1.0] * len(std)
