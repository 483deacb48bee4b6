"""A column of images, of every library that has frames, at every public door."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from emotion_estimators import (
    EmotionEmbedder,
    FaceCropper,
    FacenetEmbedder,
    HOGTransformer,
    MirrorKernelRidgeClassifier,
    PretrainedEmotionClassifier,
    make_hog_classifier,
)
from emotion_estimators.analysis import analyze_faces, iterate_faces
from emotion_estimators.datasets import make_faces
from emotion_estimators.inspection import PredictionDisplay
from emotion_estimators.model_selection import (
    IterativeStratifiedKFold,
    multilabel_train_test_split,
)
from emotion_estimators.validation import check_images, iterate_images

N = 8
COLUMNS = ("pandas", "polars", "pyarrow", "an array of paths", "an array of images")
LABELS = np.arange(2 * N).reshape(N, 2) % 3 % 2


def whole(photo: np.ndarray) -> list[list[int]]:
    return [[0, 0, photo.shape[1], photo.shape[0]]]


def cropper() -> FaceCropper:
    return FaceCropper(detector=whole, image_size=8, n_threads=1)


def boxes(X: Any, y: Any) -> list[Any]:  # noqa: ARG001
    return [faces.boxes for faces in cropper().detect(X)]


def statuses(X: Any, y: Any) -> list[str]:  # noqa: ARG001
    settings = {"cropper": cropper(), "classifier": PretrainedEmotionClassifier(n_threads=1)}
    table = analyze_faces(X, **settings)
    rows = [row for of_one in iterate_faces(X, **settings) for row in of_one]
    assert [row["emotion"] for row in rows] == table["emotion"].tolist()
    return table["emotion"].tolist()


def shown(X: Any, y: Any) -> Any:
    mpl = pytest.importorskip("matplotlib", reason="draws")
    with mpl.rc_context({"backend": "agg"}):
        classifier = PretrainedEmotionClassifier(n_threads=1)
        display = PredictionDisplay.from_estimator(classifier, X, y, n_wrong=2, n_right=2)
        images = [axes.images[0].get_array() for axes in display.figure_.axes if axes.images]
        mpl.pyplot.close(display.figure_)
    return images


def parts(X: Any, y: Any) -> Any:  # noqa: ARG001
    train, test, *_ = multilabel_train_test_split(X, LABELS, random_state=0)
    folds = IterativeStratifiedKFold(n_splits=2).split(X, LABELS)
    return [*map(np.asarray, map(HOGTransformer().transform, (train, test))), *next(folds)]


DOORS: dict[str, Callable[[Any, Any], Any]] = {
    "check_images": lambda X, y: check_images(X).image(2),  # noqa: ARG005
    "iterate_images": lambda X, y: [HOGTransformer().transform([x]) for x in iterate_images(X)],  # noqa: ARG005
    "HOGTransformer": lambda X, y: HOGTransformer().fit_transform(X),  # noqa: ARG005
    "HOGTransformer.hog_image": lambda X, y: HOGTransformer().hog_image(X),  # noqa: ARG005
    "FaceCropper": lambda X, y: cropper().fit_transform(X),  # noqa: ARG005
    "FaceCropper.detect": boxes,
    "EmotionEmbedder": lambda X, y: EmotionEmbedder().fit_transform(X),  # noqa: ARG005
    "EmotionEmbedder.preprocess": lambda X, y: EmotionEmbedder().preprocess(X),  # noqa: ARG005
    "FacenetEmbedder.preprocess": lambda X, y: FacenetEmbedder(weights=None).preprocess(X),  # noqa: ARG005
    "PretrainedEmotionClassifier": lambda X, y: (
        PretrainedEmotionClassifier().fit(X, y).predict_proba(X)
    ),
    "PretrainedEmotionClassifier.score": lambda X, y: PretrainedEmotionClassifier().score(X, y),
    "MirrorKernelRidgeClassifier": lambda X, y: (
        MirrorKernelRidgeClassifier().fit(X, y).decision_function(X)
    ),
    "make_hog_classifier": lambda X, y: (
        make_hog_classifier(random_state=0).fit(X, y).decision_function(X)
    ),
    "analyze_faces": statuses,
    "PredictionDisplay": shown,
    "splitting": parts,
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return paths, images and emotions of the same faces."""
    X, y = make_faces(N, emotions=["happy", "sad"], random_state=0)
    folder: Path = tmp_path_factory.mktemp("faces")
    paths = [str(folder / f"{row}.png") for row in range(N)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    return paths, X, y


@pytest.fixture(scope="module")
def expected(faces: tuple[Any, ...]) -> dict[str, Any]:
    """Return what comes out of each door for a list of paths."""
    return {name: door(faces[0], faces[2]) for name, door in DOORS.items()}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("door", DOORS)
def test_a_column_is_taken_for_the_list_that_it_holds(
    door: str, kind: str, faces: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    paths, X, y = faces
    if kind.startswith("an array"):
        column = np.empty((N, 1), object)
        for row, item in enumerate(paths if kind == "an array of paths" else X):
            column[row, 0] = item
    else:
        library = pytest.importorskip(kind, reason="another library's frames")
        make = library.table if kind == "pyarrow" else library.DataFrame
        column = make({"face": paths})
    found = DOORS[door](column, y)
    for one, other in zip(
        *(value if isinstance(value, list) else [value] for value in (found, expected[door])),
        strict=True,
    ):
        assert_array_equal(one, other)
