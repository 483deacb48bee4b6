"""make_facenet_classifier: what it makes, the image contract of the pipeline, what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from emotion_estimators import FacenetEmbedder, make_facenet_classifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.testing import check_image_estimator

# the smallest images that the network takes; its random weights give vectors that differ little
SMALL = {"weights": None, "image_size": 75, "device": "cpu", "n_threads": 1}


@pytest.fixture(scope="module")
def faces():
    return make_faces(40, emotions=["happy", "sad"], random_state=0)


def test_image_contract():
    pipeline = make_facenet_classifier(**SMALL, C=1e4)
    # libsvm sums in the order of the support vectors, whatever the batch
    results = check_image_estimator(pipeline, on_skip="raise", batch_tolerance=1e-12)
    assert {row["status"] for row in results} == {"passed"}


def test_seed_preset_is_a_linear_svm_on_the_vectors(faces):
    X, y = faces
    model = make_facenet_classifier(**SMALL, C=1e4).fit(X, y)
    assert isinstance(model, Pipeline)
    assert list(model.named_steps) == ["facenet", "svc"]
    vectors = FacenetEmbedder(**SMALL).transform(X)
    by_hand = SVC(kernel="linear", C=1e4).fit(vectors, y)
    assert_array_equal(model.decision_function(X), by_hand.decision_function(vectors))
    assert model.named_steps["facenet"].cache == "memory"


def test_probability(faces):
    X, y = faces
    model = make_facenet_classifier(**SMALL, C=1e4, probability=True).fit(X, y)
    probabilities = model.predict_proba(X)
    # rounding of one sum
    assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)
    decisions = make_facenet_classifier(**SMALL, C=1e4).fit(X, y).decision_function(X)
    assert_array_equal(np.argsort(probabilities[:, 1]), np.argsort(decisions))


def test_search_preset(faces):
    search = make_facenet_classifier("search", **SMALL).fit(*faces)
    assert isinstance(search, GridSearchCV)
    assert search.n_splits_ == 5
    assert {p["svc__kernel"] for p in search.cv_results_["params"]} == {"linear", "rbf"}
    assert search.best_params_["svc__C"] >= 0.1
    assert search.predict(faces[0][:3]).shape == (3,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "facenet"}, "The 'preset' parameter of make_facenet_classifier must be"),
        ({"C": 0}, "The 'C' parameter of make_facenet_classifier must be"),
        ({"preset": "search", "probability": True}, r'only with preset="original", got'),
        ({"preset": "search", "C": 10.0}, r'with preset="search" chooses C itself, got C=10.0'),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_facenet_classifier(**settings)
