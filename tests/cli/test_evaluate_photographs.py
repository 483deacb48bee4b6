"""``evaluate`` on what are no crops: it says so, or cuts the faces out first."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.datasets import make_faces


def write(folder, images):
    """Write images into class folders in turn."""
    for i, image in enumerate(images):
        place = folder / ("happy", "sad")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i:03}.png")
    return folder


def test_whole_photographs_are_told_from_crops(portrait, tmp_path, run, capsys):
    photos = write(tmp_path / "photos", [portrait, np.fliplr(portrait), portrait[20:]])
    assert run("evaluate", photos) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "in 3 of 3 images looked at" in captured.err
    assert "--crop, or go on with --no-check" in captured.err
    assert run("evaluate", photos, "--no-check") == 0
    assert "3 images" in capsys.readouterr().out
    crop = np.asarray(Image.fromarray(portrait[50:190, 155:295]).resize((224, 224)))
    crops = write(tmp_path / "crops", [crop, np.fliplr(crop)])
    assert run("evaluate", crops) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("n_photographs", "n_crops", "n_small", "status"),
    [(3, 2, 0, 2), (2, 2, 9, 0), (0, 3, 0, 0), (0, 0, 5, 0), (60, 0, 0, 2)],
)
def test_more_than_half_of_up_to_50_large_images(
    n_photographs, n_crops, n_small, status, tmp_path, run, noise, monkeypatch, capsys
):
    seen = []

    def find(photo):
        """Find a face in the middle; the upper left pixel says which share of the side it is."""
        seen.append(photo)
        side = len(photo) * int(photo[0, 0, 0]) // 100
        return [[10, 10, side, side]]

    cropper = FaceCropper(detector=find, image_size=96)
    monkeypatch.setattr("emotion_estimators.cli.evaluate.open_cropper", lambda _: cropper)
    images = []
    for share, n, sides in ((48, n_photographs, 201), (52, n_crops, 201), (10, n_small, 200)):
        for _ in range(n):
            image = noise(len(images), sides, sides)
            image[0, 0] = share
            images.append(image)
    assert run("evaluate", write(tmp_path / "images", images)) == status
    said = capsys.readouterr().err
    n_seen = min(50, n_photographs + n_crops)
    assert len(seen) == n_seen
    if status:
        assert f"in {min(50, n_photographs)} of {n_seen} images" in said


def test_the_faces_of_photographs_are_cut_out_at_once(portrait, tmp_path, run, capsys):
    pytest.importorskip("matplotlib", reason="evaluate --out draws")
    photos = write(tmp_path / "photos", [portrait, np.zeros((300, 300, 3), np.uint8), portrait])
    (photos / "sad" / "broken.jpg").write_bytes(b"no image")
    assert run("evaluate", "--crop", photos, "--out", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("2 images, model embedded")
    assert f"evaluate: {photos}: (sad/broken.jpg) is not an image" in captured.err
    assert "left out 1 of 4 images: no face is found" in captured.err
    assert "left out 1 of 4 images: not readable" in captured.err
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (figures["n_unreadable"], figures["n_without_face"], figures["n"]) == (1, 1, 2)
    crop = FaceCropper(image_size=96).transform([portrait])
    assert PretrainedEmotionClassifier().predict(crop) == ["happy"]
    assert figures["accuracy"] == 1  # both portraits lie in the folder happy
    shutil.rmtree(photos / "happy")
    (photos / "sad" / "broken.jpg").unlink()
    assert run("evaluate", "--crop", photos) == 2
    assert "shows a face that is found" in capsys.readouterr().err


def test_photographs_in_a_zip_file(portrait, tmp_path, run, capsys):
    write(tmp_path / "photos", [portrait, portrait[10:]])
    path = shutil.make_archive(tmp_path / "photos", "zip", tmp_path / "photos")
    assert run("evaluate", path) == 2
    assert "look like whole photographs" in capsys.readouterr().err
    assert run("evaluate", path, "--crop") == 0
    assert capsys.readouterr().out.startswith("2 images")


def test_small_crops_are_not_searched_for_faces(tmp_path, run, monkeypatch):
    def fail(_):
        raise AssertionError("searched")

    cropper = FaceCropper(detector=fail)
    monkeypatch.setattr("emotion_estimators.cli.evaluate.open_cropper", lambda _: cropper)
    X, _ = make_faces(6, random_state=0)
    assert run("evaluate", write(tmp_path / "faces", X)) == 0
