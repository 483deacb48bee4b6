"""What is known of a file of weights; imports nothing of the library."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["WeightCard", "WeightFile"]


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """The same network in a file that computes in other numbers.

    Attributes
    ----------
    precision : {"float32", "int8"}
        What it computes in.
    file_name : str
        Name of the file.
    sha256 : str
        SHA-256 of the file.
    size : int
        Bytes.
    """

    precision: str
    file_name: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class WeightCard:
    """What is known of a file of weights: where it lies, what it takes and gives, how good it is.

    Attributes
    ----------
    name : str
        What users call it.
    task : {"emotion", "face embedding", "face detection"}
        What the network is for.
    file_name : str
        Name of the file in the cache and in data folders.
    url : str or None
        Where it is downloaded from; names a fixed version. None: it comes with the package.
    sha256 : str
        SHA-256 of the file, 64 lower-case hexadecimal digits.
    size : int or None
        Bytes; None where only the hash is known.
    licence : str
        Terms of the weights.
    labels : tuple of str
        Classes in the order of the network's outputs; empty where there are none.
    image_size : tuple of int or None
        Height and width in pixels; None where it takes images of any size.
    color : {"grey", "rgb", "bgr"}
        Colour of the input.
    scaling : tuple of float
        Values that black and white take in the input.
    training_data : str
        What the weights were trained on.
    training_data_terms : str
        Terms of that data.
    published_accuracy : float or None
        Accuracy by the authors, 0..1; None where they give none.
    published_source : str
        Where they say so, and for which data.
    measured_accuracy : float or None
        Accuracy measured with this library, 0..1.
    measured_on : str
        Split and date of that measurement.
    figures : tuple of (str, float, float or None, float or None), default=()
        More figures of that measurement: name, value, and the bounds of its 95 % bootstrap
        interval, where one was worked out.
    limits : str, default=""
        What it is not good for.
    precision : {"float32", "int8"}, default="float32"
        What the network of this file computes in.
    other_precisions : tuple of WeightFile, default=()
        The same network in other numbers.
    outputs : tuple of str, default=()
        Names of the outputs that give classes, the one that answers first; empty where there is
        only one.
    class_prior : tuple of (str, tuple of float), default=()
        How common each of `labels` was in the training, as shares: for each output its name and a
        number for each label.
    test_time_augmentation : bool, default=False
        Whether it answers from a face and its mirror image unless told otherwise.
    milliseconds : float or None, default=None
        Processor time for one image of many, in the precision of this file; None where it was not
        measured.
    milliseconds_on : str, default=""
        How and when that was measured.

    Examples
    --------
    >>> from emotion_estimators.weights import get_card
    >>> get_card("model_v6_23").image_size
    (48, 48)
    """

    name: str
    task: str
    file_name: str
    url: str | None
    sha256: str
    size: int | None
    licence: str
    labels: tuple[str, ...]
    image_size: tuple[int, int] | None
    color: str
    scaling: tuple[float, float]
    training_data: str
    training_data_terms: str
    published_accuracy: float | None
    published_source: str
    measured_accuracy: float | None
    measured_on: str
    figures: tuple[tuple[str, float, float | None, float | None], ...] = ()
    limits: str = ""
    precision: str = "float32"
    other_precisions: tuple[WeightFile, ...] = ()
    outputs: tuple[str, ...] = ()
    class_prior: tuple[tuple[str, tuple[float, ...]], ...] = ()
    test_time_augmentation: bool = False
    milliseconds: float | None = None
    milliseconds_on: str = ""

    @property
    def precisions(self) -> tuple[str, ...]:
        """What there are files for, this one first."""
        return (self.precision, *(file.precision for file in self.other_precisions))

    def at(self, precision: str | None) -> WeightCard:
        """Return the card of the file that computes in these numbers; None is this one.

        Raises ValueError if there is none.
        """
        if precision in (None, self.precision):
            return self
        for file in self.other_precisions:
            if file.precision == precision:
                return replace(
                    self,
                    precision=file.precision,
                    file_name=file.file_name,
                    sha256=file.sha256,
                    size=file.size,
                    other_precisions=(),
                    milliseconds=None,
                    milliseconds_on="",
                )
        raise ValueError(
            f"Weights {self.name!r} come in {' and '.join(self.precisions)}, got precision="
            f"{precision!r}."
        )
