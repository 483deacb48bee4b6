"""scikit-learn's searches and scores on the processes of a Dask cluster."""

import os
import sqlite3
from contextlib import closing

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from emotion_estimators import FacenetEmbedder, PretrainedEmotionClassifier, make_hog_classifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.features import facenet_embedder


@pytest.fixture(scope="module")
def faces():
    return make_faces(45, emotions=["happy", "sad", "surprise"], random_state=0)


@pytest.fixture(scope="module")
def face_files(tmp_path_factory, faces):
    """Return the faces as files, which all workers find under the same paths."""
    folder = tmp_path_factory.mktemp("faces")
    paths = [str(folder / f"{row}.png") for row in range(len(faces[0]))]
    for path, image in zip(paths, faces[0], strict=True):
        Image.fromarray(image).save(path)
    return np.array(paths, dtype=object)


@pytest.fixture
def scorer(tmp_path):
    """Return a scorer that leaves the id of its process in a folder, and that folder."""
    folder = tmp_path / "processes"
    folder.mkdir()

    # in a function, so that it travels by value: workers cannot import the modules of tests
    def score(model, X, y):
        (folder / str(os.getpid())).touch()
        return accuracy_score(y, model.predict(X))

    return score, folder


def assert_ran_on(client, folder):
    ran_in = {int(file.name) for file in folder.iterdir()}
    assert ran_in
    assert ran_in <= set(client.run(os.getpid).values())


def assert_searches_equal(search, expected):
    assert search.best_params_ == expected.best_params_
    for key, values in expected.cv_results_.items():
        if "test_score" in key:
            assert_array_equal(search.cv_results_[key], values)


@pytest.mark.parametrize("kind", ["arrays", "files"])
def test_search_over_hog(client, faces, face_files, scorer, kind):
    X, y = (faces[0] if kind == "arrays" else face_files), faces[1]
    score, folder = scorer
    grid = {"hog__orientations": [6, 9], "svc__C": [0.1, 1]}
    search = GridSearchCV(make_hog_classifier(random_state=0), grid, cv=3, scoring=score)
    with joblib.parallel_config("dask"):
        search.fit(X, y)
    assert_ran_on(client, folder)
    assert_searches_equal(search, clone(search).fit(X, y))


def test_search_over_embeddings_with_a_folder_for_all_workers(client, faces, scorer, tmp_path):
    X, y = faces[0][:12], faces[1][:12]
    score, folder = scorer
    embedder = FacenetEmbedder(weights=None, image_size=80, n_threads=1)
    classifier = LogisticRegression(max_iter=1000)
    expected = GridSearchCV(classifier, {"C": [0.1, 1, 10]}, cv=2).fit(embedder.transform(X), y)

    cache = tmp_path / "cache"
    model = make_pipeline(clone(embedder).set_params(cache=cache), classifier)
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1, 10]}, cv=2, scoring=score)
    with joblib.parallel_config("dask"):
        search.fit(X, y)
    assert_ran_on(client, folder)
    assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    (database,) = cache.glob("*.sqlite3")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (len(X),)

    def forbid_networks():
        def fail(*_args, **_kwargs):
            raise AssertionError("a vector was computed that is in the folder")

        facenet_embedder.open_face_network, fail.kept = fail, facenet_embedder.open_face_network

    def allow_networks():
        facenet_embedder.open_face_network = facenet_embedder.open_face_network.kept

    # whoever computed a vector, every worker finds it
    client.run(forbid_networks)
    try:
        with joblib.parallel_config("dask"):
            again = clone(search).set_params(refit=False).fit(X, y)
    finally:
        client.run(allow_networks)
    assert_searches_equal(again, search)


def test_scores_of_the_pretrained_model(client, faces, scorer):
    score, folder = scorer
    model = PretrainedEmotionClassifier(n_threads=1)
    expected = cross_val_score(model, *faces, cv=3)
    with joblib.parallel_config("dask"):
        scores = cross_val_score(model, *faces, cv=3, scoring=score)
    assert_ran_on(client, folder)
    assert_array_equal(scores, expected)


def test_a_worker_killed_half_way_changes_no_prediction(client, faces, wait_to_be_killed, killer):
    def look(images):
        wait_to_be_killed()
        return images

    hog = make_hog_classifier(random_state=0)
    expected = cross_val_predict(hog, *faces, cv=5)
    with joblib.parallel_config("dask"), killer() as killed:
        predictions = cross_val_predict(make_pipeline(FunctionTransformer(look), hog), *faces, cv=5)
    assert_array_equal(predictions, expected)
    assert killed[0] not in client.run(os.getpid).values()
