"""What classifiers on torch share beside `NetworkClassifier`; imports torch inside functions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.classifiers._base import NetworkClassifier
from emotion_estimators.training.checkpoints import describe_network

if TYPE_CHECKING:
    from torch import nn

    from emotion_estimators.training.progress import TrainingTask

__all__ = ["SkorchNetworkClassifier", "TorchNetworkClassifier"]


class TorchNetworkClassifier(NetworkClassifier):
    """A classifier whose network is a module of torch."""

    # Every prediction runs in batches of this many images, the last one padded, so that it cannot
    # depend on how many images come with it.
    _batch: ClassVar[int] = 32
    _activation: ClassVar[str] = "softmax"  # what makes probabilities of scores

    device: str
    precision: str
    ema_decay: float | None

    def _parts(self) -> dict[str, Any]:
        """Return what the result depends on beside data and parameters."""
        import torch

        from emotion_estimators.training.device import autocast_dtype, choose_device

        device = choose_device(self.device, needed_by=type(self).__name__)
        return {
            "device": device.type,
            "precision": str(autocast_dtype(self.precision, device) or torch.float32),
            "torch": str(torch.__version__),
        }

    def _restore(self) -> nn.Module:
        """Return the fitted network, on the CPU."""
        from emotion_estimators.training.inference import restore_network

        self._import("torch")
        return restore_network(
            partial(self._build_fitted, self.architecture_),
            self.weights_,
            is_own=self._is_own(),
        )

    def _asked(self, n_threads: int) -> Callable[[NDArray[Any]], NDArray[np.float64]]:  # noqa: ARG002
        """Return what answers a batch; torch takes the threads that the process may use."""
        self._import("torch")
        from emotion_estimators.training.device import choose_device

        device = choose_device(self.device, needed_by=type(self).__name__)
        network = self._live(device, lambda: self._restore().to(device))
        return partial(self._answer, network)

    def _check_given(self, known: Any) -> None:
        """Raise ValueError unless the network that the user gives is the one that was fitted."""
        if describe_network(self.network) != known:
            raise self._changed(known)

    @abstractmethod
    def _build_fitted(self, architecture: dict[str, Any]) -> nn.Module:
        """Return a network of this architecture, whose weights are then replaced."""

    @abstractmethod
    def _is_own(self) -> bool:
        """Return whether the network is one of this library, not the user's or another library's.

        Its layers can be made on torch's meta device, written as ONNX by a walk over them, and
        asked so that no image changes another's answer.
        """

    @abstractmethod
    def _answer(self, network: Any, batch: NDArray[Any]) -> NDArray[np.float64]:
        """Return what `_answers` collects, (n, n_classes), of a batch (n, height, width[, 3])."""

    def _onnx(self, *, views: bool, stored: str) -> bytes:
        """Return the fitted network as an ONNX file."""
        self._import("torch")
        # not `network_`, which the user may have changed
        network, size = self._restore(), self.image_size_
        if self._is_own():
            from emotion_estimators.networks.torch_onnx import torch_onnx

            return torch_onnx(
                [network],
                size,
                activation=self._activation,
                mirrored=views,
                stored=stored,
                metadata=self._metadata(),
                **self._named_outputs(network),
            )
        from emotion_estimators.networks.torch_export import export_with_torch

        return export_with_torch(
            network,
            (1 if self._color == "grey" else 3, *size),
            activation=self._activation,
            mirrored=views,
            stored=stored,
            metadata=self._metadata(),
            needed_by=f"{type(self).__name__}.export_onnx of a network of one's own",
        )

    def _named_outputs(self, network: Any) -> dict[str, Any]:  # noqa: ARG002 - for several of them
        """Return the outputs of a file, as `torch_onnx` takes them: by default one."""
        return {}


class SkorchNetworkClassifier(TorchNetworkClassifier):
    """A classifier of one class for each image that skorch trains.

    A new one is one file: a signature, `_architecture`, `_builder`, `_build_fitted`. The
    architecture of a network of the user's has an entry "network".
    """

    _extra: ClassVar[str] = "torch"
    _libraries: ClassVar[tuple[str, ...]] = ("torch", "skorch")

    class_weight: dict[Any, float] | str | None
    label_smoothing: float
    erasing: float
    mixup: float
    max_time: float | None

    def _train(self, task: TrainingTask, architecture: dict[str, Any]) -> None:
        """Train with skorch."""
        from emotion_estimators.training.skorch_engine import train_with_skorch

        train_with_skorch(
            task,
            self._builder(architecture),
            device=self.device,
            precision=self.precision,
            ema_decay=self.ema_decay,
            label_smoothing=self.label_smoothing,
            erasing=self.erasing,
            mixup=self.mixup,
            max_time=self.max_time,
            shares=self._shares(task),
        )

    def _is_own(self) -> bool:
        """Return whether the fitted network is one of this library."""
        return "network" not in self.architecture_

    def _shares(self, task: TrainingTask) -> dict[str, float]:
        """Return the shares of the outputs in the loss."""
        return dict.fromkeys(task.columns, 1.0)

    @abstractmethod
    def _builder(
        self, architecture: dict[str, Any]
    ) -> Callable[[NDArray[np.float64], NDArray[np.float64]], nn.Module]:
        """Return what builds the network with which a training begins.

        It is called with mean and standard deviation of the channels of the training pixels, when
        torch is seeded.
        """

    def _answer(self, network: Any, batch: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probabilities, (n, n_classes), of a batch (n, height, width[, 3])."""
        from emotion_estimators.training.inference import class_probabilities

        return class_probabilities(
            network, batch, batch_size=self._batch, mirrored=self.test_time_augmentation
        )
