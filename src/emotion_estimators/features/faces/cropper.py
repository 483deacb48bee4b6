"""Photographs in, face crops out; what is done with each of them is in `prepared`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import Tags

from emotion_estimators._progress import progress_bar
from emotion_estimators._sklearn import (
    ImageEstimator,
    Interval,
    StrOptions,
    check_feature_names_in,
    constraints,
    fit_context,
    wants_pandas,
)
from emotion_estimators.exceptions import short_messages
from emotion_estimators.features.faces.detection import open_detector
from emotion_estimators.features.faces.faces import Faces
from emotion_estimators.features.faces.prepared import PreparedCropper
from emotion_estimators.images.collection import Photograph
from emotion_estimators.images.sizes import parse_size
from emotion_estimators.images.threads import count_threads
from emotion_estimators.validation import Images, check_images, compare_table, record_table

__all__ = ["FaceCropper"]


class FaceCropper(  # type: ignore[call-arg]  # scikit-learn's keyword, whose types are not known
    TransformerMixin, ImageEstimator, auto_wrap_output_keys=None
):
    """Find the face in each photograph and cut it out.

    The first step of a pipeline that is given whole photographs, where all other estimators
    here expect face crops. One photograph gives one crop; for all faces of a photograph see
    `detect` and `~emotion_estimators.analysis.analyze_faces`.

    Parameters
    ----------
    detector : {"yunet", "cascade"}, path-like or callable, default="yunet"
        ``"yunet"`` is a small network that comes with the package; a path names another file
        ``.onnx`` of it. ``"cascade"`` is the cascade of local binary patterns that comes with
        scikit-image: slower, for frontal faces of at least a sixteenth of the photograph, without
        landmarks and scores. A callable takes one photograph, uint8 RGB ``(height, width, 3)``,
        and returns a table of faces, see `Faces.from_rows`, or None.
    select : {"largest", "center", "score"}, default="largest"
        Which of several faces: the largest, the nearest to the centre, or the most confident.
    margin : float, default=0.0
        Added to the side of the crop, as a fraction; 0.2 adds a tenth on each side. The crop
        has the longer side of the box. 0 frames faces as FER2013 does, on which the emotion
        models here were trained. More than -1.
    align : bool, default=False
        Turn each crop until the eyes are level. Needs a detector that finds landmarks. With
        YuNet the face is enlarged and looked at three times more, since its landmarks of small
        faces are too upright.
    image_size : int or (int, int), default=160
        Height and width of the images in pixels, or one int for both. The images are the crops.
    color : {"rgb", "grey"}, default="rgb"
        Colour of the images. They are the crops.
    on_no_face : {"raise", "whole", "nan"}, default="raise"
        What to do with photographs in which no face is found: raise an error that names all of
        them; resize the whole photograph; or return NaN for all pixels of the crop. NaN needs
        floats: crops of uint8 photographs come as float32 in 0..1 then.
    min_score : float, default=0.7
        Least score of a face, in 0..1, for detectors that give scores.
    max_size : int or None, default=1024
        Photographs whose longer side is longer by more than a quarter, in pixels, are shrunk to
        it to find the faces, not to cut them out. The smallest faces found have about 10 px then.
        None never shrinks.
    jpeg_draft : bool, default=False
        Decode JPEG files at a half, a quarter or an eighth of their size to find the faces,
        where that is still `max_size` or more, and to cut them out, where all faces still have
        `image_size` or more. Up to three times as fast for large photographs; boxes move by a
        pixel or two, of those of the shrunken photograph, and crops with them.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
        Not used for images.
    n_threads : int or None, default=None
        Threads that work at the same time. Each has a photograph of its own; ``"cascade"``
        and callables get one photograph at a time. None is the number of CPUs that the process
        may use, or ``OMP_NUM_THREADS`` where that is less.
    verbose : int, default=0
        Above 0, show progress bars.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of a table, 2-D rows or one column of images. Only set after a fit on
        one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame. Only set after a fit on one.

    See Also
    --------
    emotion_estimators.PretrainedEmotionClassifier : Emotions of the crops.
    emotion_estimators.analysis.analyze_faces : A table of all faces of many photographs.

    Notes
    -----
    Photographs may be of different sizes. They are turned upright by their EXIF data. They are read
    one by one: memory does not grow with their number.

    It needs no fit: `fit` checks the parameters and X.

    Crops are images, no table, and come as an array whatever `set_output` asks for: it is there
    for the tables of the steps behind, so that a whole pipeline takes it. Only a Series or
    DataFrame of pandas gives a DataFrame of one column then, ``face``, since the tables of the
    next steps are to have its index.

    Crops are cut from the original pixels, so that a face has the same resolution in a crop
    from a small photograph and from a large one. Corners are whole pixels, turns whole tenths
    of a degree. Plain borders, of one colour exactly, are cut off before faces are searched
    for: on a plain canvas of any size, at any place, a photograph gives the same crop bit for
    bit, as long as the crop does not reach beyond the photograph. On a canvas that is not plain
    the boxes of YuNet move by up to a tenth of the face's size, as its grid of 32 pixels or the
    scale at which the photograph is searched changes, and the crop moves with them. Parts of a
    crop beyond the photograph repeat its edge. A callable sees the borders.

    YuNet's boxes equal those of ``cv2.FaceDetectorYN`` for faces of up to 380 px of the
    photograph as it is searched. Larger ones, which it misses or misplaces, are searched for in
    a version of a quarter of the size.

    References
    ----------
    .. [1] W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine
       Intelligence Research 20, 2023.
    .. [2] S. Liao, X. Zhu, Z. Lei, L. Zhang, S. Z. Li, "Learning Multi-scale Block Local Binary
       Patterns for Face Recognition", ICB 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper
    >>> def brightest(photo):
    ...     y, x = np.argwhere(photo[..., 0] == 255).min(axis=0)
    ...     return [[x, y, 8, 8]]
    >>> X = np.zeros((2, 40, 60, 3), dtype=np.uint8)
    >>> X[0, 10:18, 20:28] = X[1, 30:38, 5:13] = 255
    >>> crops = FaceCropper(detector=brightest, image_size=4).transform(X)
    >>> crops.shape, int(crops.min())
    ((2, 4, 4, 3), 255)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "detector": [str, os.PathLike, callable],
        "select": [StrOptions({"largest", "center", "score"})],
        "margin": [Interval(Real, -1, None, closed="neither")],
        "align": ["boolean"],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        **constraints("color"),
        "on_no_face": [StrOptions({"raise", "whole", "nan"})],
        "min_score": [Interval(Real, 0, 1, closed="both")],
        "max_size": [Interval(Integral, 1, None, closed="left"), None],
        "jpeg_draft": ["boolean"],
        **constraints("image_shape", "n_threads", "verbose"),
    }

    def __init__(
        self,
        *,
        detector: str | os.PathLike[str] | Callable[[NDArray[np.uint8]], Any] = "yunet",
        select: str = "largest",
        margin: float = 0.0,
        align: bool = False,
        image_size: int | tuple[int, int] = 160,
        color: str = "rgb",
        on_no_face: str = "raise",
        min_score: float = 0.7,
        max_size: int | None = 1024,
        jpeg_draft: bool = False,
        image_shape: tuple[int, ...] | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.detector = detector
        self.select = select
        self.margin = margin
        self.align = align
        self.image_size = image_size
        self.color = color
        self.on_no_face = on_no_face
        self.min_score = min_score
        self.max_size = max_size
        self.jpeg_draft = jpeg_draft
        self.image_shape = image_shape
        self.n_threads = n_threads
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> FaceCropper:  # noqa: ARG002
        """Check the parameters and X; nothing is learned.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows... Of files
            only the headers are read.
        y : None
            Ignored.

        Returns
        -------
        self : FaceCropper

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError, FileNotFoundError
            If a parameter cannot be used.
        WeightsError
            If the detector's weights cannot be read.
        """
        self._open()
        images = check_images(
            X, name=type(self).__name__, image_shape=self.image_shape, mixed_sizes=True
        )
        record_table(self, X, images)
        return self

    @fit_context(prefer_skip_nested_validation=True)  # no fit need have checked the parameters
    def transform(self, X: ArrayLike) -> Any:
        """Cut the face out of each photograph.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        crops : ndarray of shape (n_samples, height, width[, 3]), or DataFrame
            In `image_size`; grey with ``color="grey"``. uint8 in 0..255 from files and uint8
            arrays, else float as given; with ``on_no_face="nan"`` always float in 0..1, or NaN.
            A DataFrame only as `set_output` says.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract, or, with ``on_no_face="raise"``, no face is found;
            it names all rows at fault.
        ValueError, FileNotFoundError
            If a parameter cannot be used.
        WeightsError
            If the detector's weights cannot be read.
        """
        prepared = self._open()
        images = self._check(X)
        crops: NDArray[Any] | None = None
        for row, crop in enumerate(self._map(prepared.crop, images, prepared.n_threads)):
            if crops is None:
                crops = np.empty((len(images), *crop.shape), crop.dtype)
            crops[row] = crop
        assert crops is not None  # noqa: S101 - check_images refuses an empty X
        if wants_pandas(self) and hasattr(X, "index") and hasattr(X, "iloc"):
            import pandas as pd

            return pd.DataFrame({"face": list(crops)}, index=X.index)
        return crops

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name what comes out: one thing for each photograph, its crop.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used, except that it must match ``feature_names_in_`` where there are any.

        Returns
        -------
        names : ndarray of shape (1,), dtype object
            ``["face"]``.

        Raises
        ------
        ValueError
            If `input_features` are not those of the fit.
        """
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        return np.array(["face"], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Say in which container tables are to come; an array of images stays as it is.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            With "pandas", the crops of a Series or DataFrame of pandas are a DataFrame of one
            column ``face`` with its index. All else changes nothing; None keeps what was set.

        Returns
        -------
        self : FaceCropper
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def detect(self, X: ArrayLike) -> list[Faces]:
        """Find all faces in each photograph.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        faces : list of Faces
            Boxes, landmarks and scores, one for each photograph, also for those without a face.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError, FileNotFoundError
            If a parameter cannot be used.
        WeightsError
            If the detector's weights cannot be read.
        """
        prepared = self._open()
        images = self._check(X)
        return list(self._map(prepared.detect, images, prepared.n_threads))

    @fit_context(prefer_skip_nested_validation=True)
    def prepare(self) -> PreparedCropper:
        """Check the parameters and open the detector once, for streams of photographs.

        Returns
        -------
        prepared : PreparedCropper
            Its ``crops`` takes one photograph, in any form but a row, and returns its `Faces`
            and their crops, an array of shape ``(n_faces, height, width[, 3])``; ``n_threads``
            threads at once may call it. Later changes of the parameters do not reach it.

        Raises
        ------
        ValueError, FileNotFoundError
            If a parameter cannot be used.
        WeightsError
            If the detector's weights cannot be read.
        """
        return self._open()

    @short_messages()
    def _open(self) -> PreparedCropper:
        """Check the parameters against one another and open the detector."""
        name = type(self).__name__
        size = parse_size(self.image_size, name=name)
        detector = open_detector(name, self.detector, min_score=self.min_score)
        if self.align and not detector.has_landmarks:
            raise ValueError(
                f"{name} cannot align faces that detector={self.detector!r} finds: it finds no "
                "eyes. Set align=False, or take another detector."
            )
        if self.select == "score" and not detector.has_scores:
            raise ValueError(
                f"{name} cannot select by score: detector={self.detector!r} gives none. Set "
                "select='largest' or 'center', or take another detector."
            )
        return PreparedCropper(
            owner=name,
            detector=detector,
            detector_name=self.detector,
            size=size,
            n_threads=count_threads(self.n_threads) if detector.in_threads else 1,
            select=self.select,
            margin=self.margin,
            align=self.align,
            color=self.color,
            on_no_face=self.on_no_face,
            min_score=self.min_score,
            max_size=self.max_size,
            jpeg_draft=self.jpeg_draft,
        )

    def _check(self, X: ArrayLike) -> Images:
        return check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            mixed_sizes=True,
            read_headers=False,
            check_table=partial(compare_table, self),
        )

    def _map(
        self, function: Callable[[Photograph], Any], images: Images, n_threads: int
    ) -> Iterator[Any]:
        results = images.map(function, n_threads=n_threads)
        settings = {"total": len(images), "unit": "image", "desc": type(self).__name__}
        return iter(progress_bar(results, is_shown=self.verbose, **settings))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
