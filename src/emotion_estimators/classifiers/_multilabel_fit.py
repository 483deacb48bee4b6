"""The training of a `LightningMultiLabelClassifier`, and the fitted attributes that it sets.

Imports torch and Lightning through `training`, so import this module only where they are needed.
"""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from emotion_estimators._sklearn import keep_fitted
from emotion_estimators.classifiers._warm_start import check_continuation
from emotion_estimators.images.collection import Images
from emotion_estimators.model_selection import multilabel_train_test_split
from emotion_estimators.networks.backbones import (
    TIMM_PREFIX,
    check_backbone,
    count_features,
    make_backbone,
    pixel_scaling,
)
from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.training.checkpoints import Checkpoints
from emotion_estimators.training.device import autocast_dtype, choose_device
from emotion_estimators.training.inference import load_weights, restore_network
from emotion_estimators.training.label_sets import check_positive_weights, tune_thresholds
from emotion_estimators.training.losses import LOSS_OPTIONS
from emotion_estimators.training.multilabel_training import (
    check_devices,
    describe_training,
    device_of_process,
    train_multilabel,
)
from emotion_estimators.training.seeds import seeded
from emotion_estimators.training.targets import stack_images

if TYPE_CHECKING:
    from emotion_estimators.classifiers.lightning_multilabel_classifier import (
        LightningMultiLabelClassifier,
    )

__all__ = ["build_multilabel_network", "fit_multilabel", "torch_device"]


def fit_multilabel(
    estimator: LightningMultiLabelClassifier,
    settings: SimpleNamespace,
    images: Images,
    labels: NDArray[Any],
    targets: NDArray[np.float32],
    weights: NDArray[np.float64],
) -> None:
    """Train the network of an estimator and set its fitted attributes.

    `labels` (n_labels,); `targets` (n, n_labels); `weights` (n,).

    Raises ValueError if parameters do not fit each other, the data, the network of a warm start or
    the checkpoint; KeyboardInterrupt, OSError at Ctrl-C, or if a checkpoint cannot be written.
    After at least one epoch the estimator keeps what it has learned.
    """
    owner = type(estimator).__name__
    check_devices(owner, settings.devices, settings.strategy, settings.random_state)
    trained = estimator.warm_start and hasattr(estimator, "weights_")
    check_backbone(owner, settings.backbone, pretrained=settings.pretrained and not trained)
    device = device_of_process(torch_device(owner, settings.accelerator), settings.devices)
    pos_weight = check_positive_weights(owner, settings.pos_weight, targets, labels)
    unknown = sorted(set(settings.loss_options or {}) - set(LOSS_OPTIONS[settings.loss]))
    if unknown:
        raise ValueError(
            f"{owner} expected loss_options of {settings.loss!r} to be among "
            f"{sorted(LOSS_OPTIONS[settings.loss])}, got {unknown}."
        )
    tuned = isinstance(settings.threshold, str)  # "tune", by the parameter constraints
    thresholds = None if tuned else _fixed_thresholds(owner, settings.threshold, len(labels))
    if tuned and not settings.validation_fraction:
        raise ValueError(
            f"{owner} with threshold='tune' needs a held-out part: set validation_fraction."
        )
    if settings.batch_size == "auto" and settings.devices > 1:
        raise ValueError(f"{owner} with batch_size='auto' expected devices=1.")
    if images.n_samples < 2:
        raise ValueError(
            f"{owner} needs at least 2 images to train, got n_samples = {images.n_samples}."
        )
    named = settings.backbone if isinstance(settings.backbone, str) else None
    architecture = {
        "backbone": named,
        "image_size": list(images.image_size),
        "n_labels": len(labels),
        "head_hidden": settings.head_hidden,
    }
    continued = estimator.warm_start and hasattr(estimator, "weights_")
    if continued:
        check_continuation(estimator, architecture, labels, word="labels")
    first_weights = estimator.weights_ if continued else None

    rng = check_random_state(settings.random_state)
    train, held_out = np.arange(images.n_samples), None
    if settings.validation_fraction:
        train, held_out = _hold_out(owner, targets, settings.validation_fraction, rng)
    seed = int(rng.randint(2**31 - 1))
    precision = _precision(settings.precision, device)
    pixels = stack_images(images) if settings.num_workers == 0 else None
    checkpoints, resumed = Checkpoints(owner, None, {}), None
    if settings.checkpoint_dir is not None or settings.resume is not False:
        folder = None if settings.checkpoint_dir is None else Path(settings.checkpoint_dir)
        is_seeded = settings.random_state is not None
        parts = describe_training(
            settings,
            images,
            pixels,
            device=device,
            precision=precision,
            labels=labels,
            targets=targets,
            sample_weight=weights,
            pos_weight=pos_weight,
            architecture=architecture,
            warm_start=first_weights,
            # what was drawn of it, so that an int is what a RandomState of the same seed is
            random_state=np.r_[seed, train] if is_seeded else None,
        )
        checkpoints = Checkpoints(owner, folder, parts, is_seeded=is_seeded)
        resumed = checkpoints.find(settings.resume)
        checkpoints.prepare()
    if resumed is not None:  # without a random_state, other numbers were drawn
        seed, train, held_out = (resumed[0][name] for name in ("seed", "train", "held_out"))

    progress, error = train_multilabel(
        settings,
        images,
        pixels,
        targets,
        weights,
        owner=owner,
        device=device,
        precision=precision,
        train=train,
        held_out=held_out,
        make_network=partial(_new_network, owner, settings, architecture, first_weights),
        pos_weight=pos_weight,
        seed=seed,
        resumed=resumed,
        checkpoints=checkpoints,
    )
    if error is not None and not progress.history:
        raise error
    before = estimator.history_ if continued else []
    fitted = {
        "classes_": labels,
        "architecture_": architecture,
        "weights_": {name: tensor.numpy().copy() for name, tensor in progress.best_state.items()},
        "history_": before
        + [{**record, "epoch": len(before) + int(record["epoch"])} for record in progress.history],
        "best_epoch_": len(before) + progress.best_epoch,
        "n_iter_": progress.n_epochs,
        "thresholds_": thresholds,
    }
    if thresholds is None and held_out is not None:
        trained = copy.copy(estimator)
        trained.__dict__.update(fitted)
        held_out_pixels = np.stack([images.image(int(row)) for row in held_out])

        def tune() -> NDArray[np.float64]:
            return tune_thresholds(trained.predict_proba(held_out_pixels), targets[held_out])

        try:
            fitted["thresholds_"] = tune()
        except KeyboardInterrupt as interrupt:  # weights are kept with the thresholds of theirs
            error, fitted["thresholds_"] = interrupt, tune()
    estimator.__dict__.update(fitted)
    if error is not None:
        keep_fitted(
            error,
            f"{owner} keeps the weights of epoch {estimator.best_epoch_}, the best of the "
            f"{estimator.n_iter_} that this fit had finished.",
        )
        raise error


def _hold_out(
    owner: str, targets: NDArray[np.float32], fraction: float, rng: np.random.RandomState
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows to train on and the rows held out, with equal shares of every label."""
    n_held_out = round(fraction * len(targets))
    if n_held_out < 1 or len(targets) - n_held_out < 2:
        raise ValueError(
            f"{owner} cannot hold out validation_fraction={fraction} of {len(targets)} images. "
            "Pass more images, or set validation_fraction=None."
        )
    train, held_out, *_ = multilabel_train_test_split(
        np.arange(len(targets)), targets, test_size=n_held_out, random_state=rng
    )
    return train, held_out


def build_multilabel_network(
    architecture: dict[str, Any], backbone: Any, weights: dict[str, NDArray[Any]]
) -> MultiLabelNetwork:
    """Return the network of these weights, on the CPU, ready to predict."""
    named = architecture["backbone"] or backbone

    def build() -> MultiLabelNetwork:
        return MultiLabelNetwork(
            make_backbone(named, tuple(architecture["image_size"]), pretrained=False),
            n_features=weights["head.0.weight"].shape[1],
            n_labels=architecture["n_labels"],
            head_hidden=architecture["head_hidden"],
        )

    if isinstance(named, str) and named.startswith(TIMM_PREFIX):
        # timm computes while it builds a network, which tensors on "meta" do not allow; its
        # random numbers must not be those of a training in another thread
        with seeded(0, torch.device("cpu")):
            return load_weights(build(), weights)
    return restore_network(build, weights)


def torch_device(owner: str, accelerator: str) -> torch.device:
    """Return the device of an accelerator as Lightning names it."""
    return choose_device({"gpu": "cuda"}.get(accelerator, accelerator), needed_by=owner)


def _precision(precision: str, device: torch.device) -> torch.dtype | None:
    mixed: bool | str = "auto" if precision == "auto" else precision == "bf16-mixed"
    return autocast_dtype(mixed, device)


def _new_network(
    owner: str,
    settings: SimpleNamespace,
    architecture: dict[str, Any],
    first_weights: dict[str, NDArray[Any]] | None,
    examples: NDArray[Any],
) -> MultiLabelNetwork:
    """Return the network with which the training begins."""
    size = tuple(architecture["image_size"])
    pretrained = settings.pretrained and first_weights is None
    backbone = make_backbone(settings.backbone, size, pretrained=pretrained)
    mean, std = pixel_scaling(backbone) or _pixel_statistics(examples)
    network = MultiLabelNetwork(
        backbone,
        n_features=count_features(owner, backbone, size),
        n_labels=architecture["n_labels"],
        head_hidden=architecture["head_hidden"],
        mean=mean,
        std=std,
    )
    if first_weights is not None:
        load_weights(network, first_weights)
    return network.train()


def _pixel_statistics(pixels: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel, as the network gets them."""
    scale = 255 if pixels.dtype == np.uint8 else 1
    sums = np.zeros(3)
    squares = np.zeros(3)
    n_pixels = len(pixels) * pixels.shape[1] * pixels.shape[2]
    for start in range(0, len(pixels), 256):  # float64 copies of a few at a time
        part = pixels[start : start + 256].astype(np.float64) / scale
        sums += part.sum(axis=(0, 1, 2))
        squares += (part**2).sum(axis=(0, 1, 2))
    mean = sums / n_pixels
    std = np.sqrt(np.maximum(squares / n_pixels - mean**2, 0))
    return mean.tolist(), np.where(std > 1e-6, std, 1.0).tolist()


def _fixed_thresholds(owner: str, threshold: Any, n_labels: int) -> NDArray[np.float64]:
    values = np.asarray(threshold, dtype=np.float64)
    if values.shape not in ((), (n_labels,)) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"{owner} expected threshold to be 'tune', or in 0..1 for all or each of {n_labels} "
            f"labels, got {threshold!r}."
        )
    return np.broadcast_to(values, n_labels).copy()
