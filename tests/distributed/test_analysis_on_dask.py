"""Faces in photographs by the partitions of Dask's bags and tables."""

import itertools
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.analysis import analyze_faces, iterate_faces

bag = pytest.importorskip("dask.bag", reason="its partitions are what is tested")

pytestmark = pytest.mark.usefixtures("client")  # Dask finds it by itself

N_PHOTOS = 12
CLASSIFIER = PretrainedEmotionClassifier(n_threads=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return paths of photographs with two faces, with none, and one that is damaged."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    paths = []
    for number in range(N_PHOTOS):
        pixels = rng.integers(0, 256, (60, 90 + number, 3), dtype=np.uint8)
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(pixels * (number % 4 > 0)).save(paths[-1])
    (folder / "5.png").write_bytes(b"\x89PNG no more")
    return paths


@pytest.fixture(scope="module")
def cropper():
    # in a function, so that it travels by value: workers cannot import the modules of tests
    def two_faces(photo):
        return [[0, 0, 30, 30], [photo.shape[1] - 30, 20, 40, 40]] if photo.any() else []

    return FaceCropper(detector=two_faces, image_size=48, n_threads=1)


@pytest.fixture(scope="module")
def expected(photos, cropper):
    table = analyze_faces(photos, cropper=cropper, classifier=CLASSIFIER)
    assert table["status"].value_counts().to_dict() == {"face": 16, "no face": 3, "unreadable": 1}
    return table


def assert_same(table, expected):
    """Compare all but the numbers of rows, which count from the first of each partition."""
    pd.testing.assert_frame_equal(
        table.drop(columns="row").reset_index(drop=True), expected.drop(columns="row")
    )


def test_bag_of_paths(photos, cropper, expected):
    def look(paths):
        return list(
            itertools.chain.from_iterable(
                iterate_faces(paths, cropper=cropper, classifier=CLASSIFIER)
            )
        )

    rows = bag.from_sequence(photos, npartitions=4).map_partitions(look).compute()
    table = pd.DataFrame(rows, columns=expected.columns).astype(expected.dtypes)
    assert_same(table, expected)


def test_column_of_paths(photos, cropper, expected):
    dataframe = pytest.importorskip("dask.dataframe", reason="its partitions are what is tested")
    paths = dataframe.from_pandas(pd.Series(photos), npartitions=4)
    faces = paths.map_partitions(
        analyze_faces, cropper=cropper, classifier=CLASSIFIER, meta=expected.iloc[:0]
    )
    table = faces.compute()
    assert table["row"].tolist() == (expected["row"] % 3).tolist()  # 4 partitions of 3
    assert_same(table, expected)


def test_a_worker_killed_half_way_loses_no_row_and_doubles_none(
    client, photos, cropper, expected, wait_to_be_killed, killer
):
    def look(paths):
        paths = list(paths)
        first = analyze_faces(paths[:1], cropper=cropper, classifier=CLASSIFIER)
        wait_to_be_killed()
        rest = analyze_faces(paths[1:], cropper=cropper, classifier=CLASSIFIER)
        return [pd.concat([first, rest])]

    with killer() as killed:
        tables = bag.from_sequence(photos, npartitions=4).map_partitions(look).compute()
    assert_same(pd.concat(tables), expected)
    assert killed[0] not in client.run(os.getpid).values()
