"""What happens around the steps of a training: schedule, average, validation, early stopping.

Imports torch and skorch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from emotion_estimators._progress import progress_bar
from emotion_estimators.training.averaged_network import AveragedNetwork
from emotion_estimators.training.image_net import ImageNet, StopTraining, infer
from emotion_estimators.training.labelled_images import LabelledImages
from emotion_estimators.training.schedule import warmup_cosine

__all__ = ["TrainingRecipe", "evaluate"]

_EVALUATION_BATCH = 512


class TrainingRecipe(Callback):
    """Learning-rate schedule, averaged weights, validation, the best weights, early stopping."""

    def __init__(
        self,
        *,
        n_steps: int,
        max_time: float | None,
        warmup: float,
        ema_decay: float,
        validation: LabelledImages | None,
        patience: int | None,
        on_epoch: Callable[[dict[str, float], dict[str, Tensor] | None], None],
        verbose: bool,
    ) -> None:
        self.n_steps = n_steps
        self.max_time = max_time
        self.warmup = warmup
        self.ema_decay = ema_decay
        self.validation = validation
        self.patience = patience
        self.on_epoch = on_epoch
        self.verbose = verbose

    def on_train_begin(self, net: ImageNet, **kwargs: Any) -> None:  # noqa: ARG002
        """Begin the average, the schedule and the progress bar."""
        self.start_ = time.monotonic()
        self.average_ = AveragedNetwork(net.module_, decay=self.ema_decay)
        # Not torch's scheduler: it and this would hold each other, and with them the averaged
        # network and the images, until Python looks for such rings.
        self._rates = [group["lr"] for group in net.optimizer_.param_groups]
        self._n_steps = 0
        self._set_rates(net)
        self.best_: tuple[float, float] | None = None
        self.best_epoch_ = 0
        self.epoch_ = 0
        self.bar_ = progress_bar(
            total=self.n_steps, desc="training", unit="step", is_shown=self.verbose
        )

    def on_epoch_begin(self, net: ImageNet, **kwargs: Any) -> None:  # noqa: ARG002
        """Forget the sums of the epoch before."""
        self._sums = torch.zeros(2, device=net.device, dtype=torch.float32)
        self._n_seen = 0

    def on_batch_end(
        self,
        net: ImageNet,
        batch: Any = None,
        loss: Any = None,
        y_pred: Any = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Move the average, the learning rate and the bar; stop if time is over."""
        self.average_.update(net.module_)
        self._n_steps += 1
        self._set_rates(net)
        codes = batch[1][0].argmax(dim=1)  # the likelier class where two are mixed
        n_right = (y_pred.detach().argmax(dim=1) == codes).sum()
        self._sums += torch.stack([loss.detach() * len(codes), n_right])
        self._n_seen += len(codes)
        self.bar_.update()
        if self._progress(0) >= 1:  # out of time
            self._end_epoch(net)
            raise StopTraining

    def on_epoch_end(self, net: ImageNet, **kwargs: Any) -> None:  # noqa: ARG002
        """Close the epoch; stop if it is time."""
        self._end_epoch(net)
        if self.patience is not None and self.epoch_ - self.best_epoch_ >= self.patience:
            raise StopTraining

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Close the progress bar."""
        self.bar_.close()

    def _end_epoch(self, net: ImageNet) -> None:
        """Score the averaged weights and hand the record on."""
        loss, accuracy = (self._sums / self._n_seen).tolist()
        self.epoch_ += 1
        record = {
            "train_loss": loss,
            "train_accuracy": accuracy,
            "learning_rate": net.optimizer_.param_groups[0]["lr"],
        }
        is_best = True
        if self.validation is not None:
            loss, accuracy = evaluate(
                self.average_.module, self.validation, net.precision, torch.device(net.device)
            )
            record |= {"valid_loss": loss, "valid_accuracy": accuracy}
            score = (accuracy, -loss)
            is_best = self.best_ is None or score > self.best_
            if is_best:
                self.best_, self.best_epoch_ = score, self.epoch_
        self.bar_.set_postfix(
            {k: f"{v:.4f}" for k, v in record.items() if k.endswith("accuracy")}, refresh=False
        )
        self.on_epoch(record, self.average_.module.state_dict() if is_best else None)

    def _progress(self, step: int) -> float:
        """Return the share of the training that is over, 0..1, by steps or by time."""
        progress = step / self.n_steps
        if self.max_time is not None:
            progress = max(progress, (time.monotonic() - self.start_) / self.max_time)
        return min(1.0, progress)

    def _rate(self, step: int) -> float:
        """Return the factor of the learning rate at a step."""
        return warmup_cosine(self._progress(step + 1), self.warmup)

    def _set_rates(self, net: ImageNet) -> None:
        """Give the optimizer the learning rates of its next step."""
        factor = self._rate(self._n_steps)
        for group, rate in zip(net.optimizer_.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor


def evaluate(
    module: nn.Module, data: LabelledImages, precision: torch.dtype | None, device: torch.device
) -> tuple[float, float]:
    """Return weighted cross-entropy and accuracy of a network on labelled images."""
    was_training = module.training
    module.eval()
    loss = n_right = total = 0.0
    with torch.inference_mode():
        for start in range(0, len(data), _EVALUATION_BATCH):
            rows = slice(start, start + _EVALUATION_BATCH)
            images, (targets, weights) = data.batch(rows, device)
            codes = targets.argmax(dim=1)
            scores = infer(module, images, precision)
            losses = nn.functional.cross_entropy(scores, codes, reduction="none")
            loss += float((losses * weights).sum())
            n_right += float(((scores.argmax(dim=1) == codes) * weights).sum())
            total += float(weights.sum())
    module.train(was_training)
    return loss / max(total, 1e-12), n_right / max(total, 1e-12)
