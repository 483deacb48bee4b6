import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import lapack
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from emotion_estimators import HOGTransformer
from emotion_estimators.classifiers import (
    MirrorKernelRidgeClassifier,
    mirror_kernel_ridge_classifier,
)
from emotion_estimators.classifiers._blocked_cholesky import solve_in_blocks
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.testing import check_image_estimator, check_sklearn_estimator

SMALL = HOGTransformer(cells_per_block=(2, 2))


@pytest.fixture(scope="module")
def faces():
    return make_faces(150, emotions=["happy", "sad", "surprise"], random_state=0)


def descriptors(transformer, X):
    """Features of images beside those of their mirror images, and the same swapped."""
    X = X / np.float32(255)
    features, mirrored = transformer.transform(X), transformer.transform(X[:, :, ::-1])
    return np.hstack([features, mirrored]), np.hstack([mirrored, features])


def test_scores_are_those_of_kernel_ridge_on_images_and_mirror_images(faces):
    X, y = faces
    model = MirrorKernelRidgeClassifier(transformer=SMALL, alpha=0.3, gamma=1.5)
    model.fit(X[:100], y[:100])

    views = descriptors(SMALL, X[:100])
    scale = 1 / np.sqrt(views[0].var(axis=0).sum())
    targets = (y[:100, np.newaxis] == model.classes_) - model.intercept_
    reference = KernelRidge(alpha=0.3, kernel="rbf", gamma=1.5)
    reference.fit(np.vstack(views) * scale, np.vstack([targets, targets]))
    expected = reference.predict(descriptors(SMALL, X[100:])[0] * scale) + model.intercept_
    # the system is solved in single precision: 1e-7 times a condition number of some hundred
    np.testing.assert_allclose(model.decision_function(X[100:]), expected, atol=2e-5)


def test_an_image_and_its_mirror_image_score_alike(faces):
    X, y = faces
    model = MirrorKernelRidgeClassifier(transformer=SMALL).fit(X[:100], y[:100])
    # equal sums, added in another order
    np.testing.assert_allclose(
        model.decision_function(X[100:]), model.decision_function(X[100:, :, ::-1]), atol=1e-12
    )


def test_a_transformer_that_learns_sees_images_and_mirror_images(faces):
    X, y = faces
    pipeline = make_pipeline(SMALL, PCA(10))
    model = MirrorKernelRidgeClassifier(transformer=pipeline).fit(X[:100], y[:100])
    both = SMALL.transform(np.concatenate([X[:100], X[:100, :, ::-1]]) / np.float32(255))
    np.testing.assert_allclose(model.transformer_[-1].mean_, both.mean(axis=0), atol=1e-12)


def test_it_beats_the_same_features_without_mirror_images(faces):
    """Where all training faces look one way and all test faces the other."""
    X, y = faces
    one_way = np.tile(np.linspace(0, 1, 48), (48, 1))
    X_train = (X[:100] * one_way).astype(np.uint8)
    X_test = (X[100:] * one_way[:, ::-1]).astype(np.uint8)
    model = MirrorKernelRidgeClassifier(transformer=SMALL).fit(X_train, y[:100])
    plain = KernelRidge(alpha=0.2, kernel="rbf", gamma=1.8 * model.scale_**2)
    plain.fit(SMALL.transform(X_train), y[:100, np.newaxis] == model.classes_)
    predicted = model.classes_[plain.predict(SMALL.transform(X_test)).argmax(axis=1)]
    assert model.score(X_test, y[100:]) > np.mean(predicted == y[100:])


def test_two_classes_have_one_score(faces):
    X, y = faces
    X, y = X[y != "sad"], y[y != "sad"]
    model = MirrorKernelRidgeClassifier(transformer=SMALL).fit(X[:60], y[:60])
    scores = model.decision_function(X[60:])
    assert scores.shape == (len(X) - 60,)
    assert model.predict(X[60:]).tolist() == np.where(scores > 0, "surprise", "happy").tolist()


def test_structure_below_float32_precision_is_seen_by_fit_and_predict(faces):
    X, y = faces
    faint = 0.5 + X * 1e-10
    assert np.ptp(faint.astype(np.float32)) == 0
    model = MirrorKernelRidgeClassifier(transformer=SMALL).fit(faint[:100], y[:100])
    assert model.score(faint[:100], y[:100]) > 0.9  # a third, if all faces look alike


def test_files_of_any_size_and_color(faces, tmp_path):
    X, y = faces
    model = MirrorKernelRidgeClassifier(transformer=SMALL, image_size=48).fit(X[:100], y[:100])
    paths = []
    for i in range(100, 110):
        paths.append(tmp_path / f"{i}.png")
        # doubled pixels: averaging them gives the image back
        doubled = X[i].repeat(2, axis=0).repeat(2, axis=1)
        Image.fromarray(doubled).convert("RGB").save(paths[-1])
    np.testing.assert_array_equal(
        model.decision_function(paths), model.decision_function(X[100:110])
    )


def test_the_place_in_the_batch_changes_no_bit():
    # BLAS sums the rows of a product of this size in ways that depend on their place
    X, y = make_faces(203, image_size=48, random_state=0)
    classifier = MirrorKernelRidgeClassifier(transformer=HOGTransformer()).fit(X, y)
    order = np.random.default_rng(0).permutation(64)
    scores = classifier.decision_function(X[:64])
    np.testing.assert_array_equal(classifier.decision_function(X[:64][order]), scores[order])


def test_progress_is_shown_only_when_asked_for(faces, capsys):
    X, y = faces
    model = MirrorKernelRidgeClassifier(transformer=SMALL).fit(X, y)
    model.predict(X)
    assert capsys.readouterr() == ("", "")
    model.set_params(verbose=True).fit(X, y).predict(X)
    assert "MirrorKernelRidgeClassifier: kernel: 100%" in capsys.readouterr().err


def test_too_small_an_alpha_is_named():
    X = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    X = np.concatenate([X, X])  # equal rows make the kernel singular
    model = MirrorKernelRidgeClassifier(transformer=SMALL, alpha=1e-30)
    with pytest.raises(ValueError, match=r"alpha=1e-30\. Choose a larger alpha"):
        model.fit(X, list("abcabc"))


def test_images_of_another_size_are_refused(faces):
    X, y = faces
    model = MirrorKernelRidgeClassifier(transformer=SMALL).fit(X, y)
    with pytest.raises(InvalidImagesError, match="was fitted on images of 48 x 48 px, got 40 x 48"):
        model.predict(X[:, :40])


def test_a_fit_that_fails_leaves_the_model_as_it_was(faces):
    X, y = faces
    X, y = np.concatenate([X[:60], X[:60]]), np.concatenate([y[:60], y[:60]])
    model = MirrorKernelRidgeClassifier(transformer=SMALL).fit(X, y)
    expected = model.decision_function(X)
    with pytest.raises(ValueError, match="Choose a larger alpha"):
        model.set_params(alpha=1e-30).fit(X[:, 8:], np.char.upper(y.astype(str))[::-1])
    assert model.classes_.tolist() == ["happy", "sad", "surprise"]
    np.testing.assert_array_equal(model.set_params(alpha=0.2).decision_function(X), expected)


@pytest.mark.parametrize(
    "transformer",
    [
        None,
        HOGTransformer(),
        HOGTransformer(image_shape=(48, -1)),
        HOGTransformer(image_size=56),
        make_pipeline(HOGTransformer(), PCA(20, random_state=0)),
        make_union(HOGTransformer(), make_pipeline(SMALL, PCA(5, random_state=0))),
    ],
)
def test_rows_and_images_give_the_same_answer(faces, transformer):
    X, y = faces
    rows = X.reshape(len(X), -1)
    images = MirrorKernelRidgeClassifier(transformer=transformer).fit(X[:100], y[:100])
    expected = images.decision_function(X[100:])
    model = MirrorKernelRidgeClassifier(transformer=transformer, image_shape=(-1, 48))
    given = None if transformer is None else repr(transformer)
    for train in (rows[:100], X[:100], list(X[:100])):
        model.fit(train, y[:100])
        for test in (rows[100:], X[100:], list(X[100:])):
            np.testing.assert_array_equal(model.decision_function(test), expected)
    assert given is None or repr(model.transformer) == given  # the parameter stays as it was


def test_rows_and_images_of_other_sizes_and_colors_give_the_same_answer(faces):
    X, y = faces
    X = np.stack([X, X // 2, 255 - X], axis=3)
    images = MirrorKernelRidgeClassifier(transformer=SMALL, image_size=40).fit(X[:100], y[:100])
    model = clone(images).set_params(image_shape=(48, 48, 3))
    model.fit(X[:100].reshape(100, -1), y[:100])
    for test in (X[100:], X[100:, ..., 0]):  # grey images beside those of the fit, too
        np.testing.assert_array_equal(model.decision_function(test), images.decision_function(test))
    model.set_params(image_shape=(48, 48)).fit(X[:100, ..., 0].reshape(100, -1), y[:100])
    with pytest.raises(
        InvalidImagesError, match=r"expected grey images, as image_shape=\(48, 48\)"
    ):
        model.predict(X[100:])


def test_rows_of_any_numbers_are_taken_as_they_come(faces):
    X, y = faces
    rows = X.reshape(len(X), -1) - 500.0
    model = MirrorKernelRidgeClassifier(image_shape=(48, 48)).fit(rows[:100], y[:100])
    assert model.score(rows[100:], y[100:]) > 0.5  # a third by chance


@pytest.mark.parametrize("settings", [{}, {"gamma": 200.0}, {"gamma": 1e-30}])
def test_errors_of_numpy_that_the_caller_has_turned_on_change_nothing(faces, settings):
    X, y = faces

    def scores():
        model = MirrorKernelRidgeClassifier(transformer=SMALL, **settings)
        return model.fit(X[:100], y[:100]).decision_function(X[100:])

    expected = scores()
    with np.errstate(all="raise"):  # warnings are errors in all tests
        np.testing.assert_array_equal(scores(), expected)
        assert set(np.geterr().values()) == {"raise"}


def test_no_call_of_lapack_gets_more_than_a_block(faces, monkeypatch):
    rows = []
    factor = lapack.spotrf
    monkeypatch.setattr(lapack, "spotrf", lambda a, **s: rows.append(len(a)) or factor(a, **s))
    in_blocks = partial(solve_in_blocks, block=30)
    monkeypatch.setattr(mirror_kernel_ridge_classifier, "solve_in_blocks", in_blocks)
    X, y = faces
    model = MirrorKernelRidgeClassifier(transformer=SMALL)
    small = model.fit(X[:100], y[:100]).dual_coef_
    assert rows == [30, 30, 30, 10]
    monkeypatch.undo()
    whole = model.fit(X[:100], y[:100]).dual_coef_
    np.testing.assert_allclose(small, whole, rtol=0, atol=1e-4 * np.abs(whole).max())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_process_forked_after_a_prediction_predicts_and_fits(n_threads):
    code = f"""
import os, numpy as np
from emotion_estimators import MirrorKernelRidgeClassifier
from emotion_estimators.datasets import make_faces
X, y = make_faces(150, random_state=0)
model = MirrorKernelRidgeClassifier(n_threads={n_threads}).fit(X, y)
expected = model.decision_function(X)
child = os.fork()
if child == 0:
    same = np.array_equal(model.decision_function(X), expected)
    same &= np.array_equal(model.fit(X, y).decision_function(X), expected)
    os._exit(0 if same else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["0"], done.stderr


def test_scikit_learn_checks():
    # columns, which are their own mirror images: scikit-learn's rows are not meant to be reversed
    results = check_sklearn_estimator(
        MirrorKernelRidgeClassifier(transformer=StandardScaler(), image_shape=(-1, 1))
    )
    assert {result["status"] for result in results} == {"passed"}


def test_image_checks():
    results = check_image_estimator(MirrorKernelRidgeClassifier(transformer=SMALL))
    assert {result["status"] for result in results} == {"passed"}


def test_grey_and_coloured_images_whichever_share_a_batch():
    """A batch of grey images only was another number of features for a transformer of pixels."""
    pixels = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    rng = np.random.default_rng(0)
    grey = [rng.integers(0, 256, (6, 6), np.uint8) for _ in range(70)]
    rgb = [rng.integers(0, 256, (6, 6, 3), np.uint8) for _ in range(30)]
    y = ["a", "b"] * 50
    both = MirrorKernelRidgeClassifier(transformer=pixels).fit(grey + rgb, y)
    scores = both.decision_function(grey + rgb)
    np.testing.assert_array_equal(both.decision_function(grey), scores[:70])
    np.testing.assert_array_equal(both.decision_function(rgb), scores[70:])
    assert both.is_rgb_

    of_grey = clone(both).fit(grey, y[:70])
    assert not of_grey.is_rgb_
    with pytest.raises(InvalidImagesError, match=r"grey images, of which .* 36 .* RGB ones.* 108"):
        of_grey.predict(rgb)
