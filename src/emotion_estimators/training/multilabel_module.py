"""The steps and epochs of a multi-label training, as Lightning wants them.

Imports torch and pytorch_lightning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from emotion_estimators._progress import progress_bar
from emotion_estimators.metrics import macro_average_precision
from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.training.averaged_network import AveragedNetwork
from emotion_estimators.training.labelled_images import Batch
from emotion_estimators.training.losses import masked_mean
from emotion_estimators.training.schedule import warmup_cosine

__all__ = ["MultiLabelModule", "Progress"]


@dataclass(frozen=True)
class Progress:
    """What a training has behind it; another takes its place after each epoch."""

    n_epochs: int = 0
    n_steps: int = 0
    best: tuple[float, float] | None = None
    best_epoch: int = 0
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


class MultiLabelModule(pl.LightningModule):
    """Trains a `MultiLabelNetwork` with AdamW; keeps the best weights in memory."""

    def __init__(
        self,
        network: MultiLabelNetwork,
        *,
        settings: Any,
        owner: str,
        make_loss: Callable[[torch.device], Callable[[Tensor, Tensor], Tensor]],
        make_batches: Callable[[tuple[int, int]], Any],
        held_out: Iterable[Batch] | None,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.owner = owner
        self.make_loss = make_loss
        self.make_batches = make_batches
        self.held_out = held_out
        self.progress = progress
        self.n_steps = progress.n_steps
        self.average: AveragedNetwork | None = None
        self.first_optimizer_state: dict[str, Any] | None = None
        self.first_average_state: dict[str, Tensor] | None = None
        self._loss_sum: Tensor | float = 0.0
        self._n_seen = 0
        self._n_total_steps = 1
        self._bar: Any = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW without decay of biases and normalisation."""
        matrices = [p for p in self.network.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.network.parameters() if p.requires_grad and p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self.settings.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.settings.learning_rate,
            fused=True,  # one kernel for all weights
        )
        if self.first_optimizer_state is not None:
            optimizer.load_state_dict(self.first_optimizer_state)
            for weight, state in optimizer.state.items():
                for name, value in state.items():
                    if name != "step":  # fused kernels want both in one order of memory
                        state[name] = torch.empty_like(weight).copy_(value)
        return optimizer

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Clip here: Lightning does not clip for a fused optimizer in mixed precision."""
        if self.settings.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)

    def train_dataloader(self) -> Any:
        """Return the batches of this process."""
        batches = self.make_batches((self.trainer.global_rank, self.trainer.world_size))
        self._n_total_steps = len(batches) * self.settings.max_epochs
        return batches

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,  # noqa: ARG002 - Lightning's interface
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        """Return the batch: it comes on its device."""
        return batch

    def on_train_start(self) -> None:
        """Begin the average and the bar."""
        if self.settings.ema is not None:
            self.average = AveragedNetwork(self.network, decay=self.settings.ema)
            self.average.n_updates = self.n_steps
            if self.first_average_state is not None:
                self.average.module.load_state_dict(self.first_average_state)
        self._losses = self.make_loss(self.device)
        self._bar = progress_bar(
            total=self._n_total_steps,
            initial=self.n_steps,
            desc=self.owner,
            unit="step",
            is_shown=self.settings.verbose and self.trainer.global_rank == 0,
        )

    def on_train_epoch_start(self) -> None:
        """Forget the sums of the epoch before."""
        self._loss_sum, self._n_seen = torch.zeros((), device=self.device), 0

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Set the learning rate of the step."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self._learning_rate()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of a batch."""
        images, labels = batch
        loss = masked_mean(self._losses, self.network(images).float(), labels)
        self._loss_sum = self._loss_sum + loss.detach()
        self._n_seen += 1
        return loss

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Move the average and the bar."""
        if self.average is not None:
            self.average.update(self.network)
        self.n_steps += 1
        self._bar.update()

    def on_train_epoch_end(self) -> None:
        """Score the epoch, keep its weights if they are the best, and hand the record on."""
        is_shared = self.trainer.world_size > 1
        loss = torch.as_tensor(self._loss_sum) / max(self._n_seen, 1)
        if is_shared:
            torch.distributed.all_reduce(loss)
            loss = loss / self.trainer.world_size
        train_loss = float(loss)
        if not math.isfinite(train_loss):
            raise ValueError(
                f"{self.owner}: the training loss is {train_loss}. Lower learning_rate, set "
                "gradient_clip, and look for pixels far outside 0..1."
            )
        record = {"train_loss": train_loss, "learning_rate": self._learning_rate()}
        scored = self.network if self.average is None else self.average.module
        if is_shared:  # statistics of batches differ, and with them what is best
            for buffer in scored.buffers():
                torch.distributed.broadcast(buffer, 0)
        progress = self.progress
        score: tuple[float, float] | None = None
        if self.held_out is not None:
            precision, valid_loss = self._evaluate(scored)
            record |= {"valid_loss": valid_loss, "valid_average_precision": precision}
            score = (-1.0 if math.isnan(precision) else precision, -valid_loss)
        n_epochs = progress.n_epochs + 1
        if score is None or progress.best is None or score > progress.best:
            state = {
                name: tensor.detach().cpu().clone() for name, tensor in scored.state_dict().items()
            }
            progress = replace(progress, best=score, best_epoch=n_epochs, best_state=state)
        self.progress = progress = replace(
            progress,
            n_epochs=n_epochs,
            n_steps=self.n_steps,
            history=[*progress.history, {"epoch": n_epochs, **record}],
        )
        trainer: Any = self.trainer
        if trainer.loggers or trainer.callbacks:
            self.log_dict(record, rank_zero_only=True)
        self._bar.set_postfix({key: f"{value:.4f}" for key, value in record.items()}, refresh=False)
        if self.is_over():
            self.trainer.should_stop = True

    def is_over(self) -> bool:
        """Tell whether no epoch is left, or none is worth it."""
        progress, patience = self.progress, self.settings.patience
        return progress.n_epochs >= self.settings.max_epochs or (
            patience is not None and progress.n_epochs - progress.best_epoch >= patience
        )

    def on_train_end(self) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """Close the bar, also after an error."""
        if self._bar is not None:
            self._bar.close()

    def _learning_rate(self) -> float:
        if self.settings.schedule == "constant":
            return float(self.settings.learning_rate)
        share = min(1.0, (self.n_steps + 1) / self._n_total_steps)
        return float(self.settings.learning_rate * warmup_cosine(share, self.settings.warmup))

    @torch.no_grad()
    def _evaluate(self, network: Any) -> tuple[float, float]:
        """Return macro average precision and loss on the held-out images."""
        was_training = network.training
        network.eval()
        scores, targets, losses, n_images = [], [], 0.0, 0
        for images, labels in self.held_out or ():
            with self.trainer.precision_plugin.val_step_context():
                given = network(images).float()
            losses += float(masked_mean(self._losses, given, labels)) * len(images)
            n_images += len(images)
            scores.append(given.cpu().numpy())
            targets.append(labels[0].cpu().numpy())
        network.train(was_training)
        y_score, y_true = np.concatenate(scores), np.concatenate(targets)
        is_defined = np.isfinite(y_score).all() and (y_true == 1).any()
        precision = macro_average_precision(y_true, y_score) if is_defined else math.nan
        return precision, losses / max(n_images, 1)
