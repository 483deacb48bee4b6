"""The command ``crop``: the files, their names, the table, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from emotion_estimators.analysis import table_columns
from emotion_estimators.datasets import load_image_folder
from emotion_estimators.images import read_image
from emotion_estimators.labels import EMOTIONS


@pytest.fixture
def photos(tmp_path, noise):
    """Return two class folders of photographs, one of them black and one damaged."""
    folder = tmp_path / "photos"
    for i, name in enumerate(["happy/a.png", "happy/a.bmp", "sad/a.png", "sad/deep/b-1.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(i, 60, 220)).save(folder / name)
    Image.new("RGB", (220, 60)).save(folder / "sad" / "black.png")
    (folder / "sad" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return folder


def names_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))


def test_crops_and_table(photos, halves, tmp_path, run, read_csv, capsys):
    out = tmp_path / "new" / "crops"
    assert run("crop", photos, out) == 1  # one is damaged
    assert names_in(out) == [
        "faces.csv",
        *(f"happy/{stem}-{n}.png" for stem in ("a", "a-2") for n in (0, 1)),
        *(f"sad/{stem}-{n}.png" for stem in ("a", "deep/b-1") for n in (0, 1)),
    ]
    said = capsys.readouterr().err
    assert "crop: 8 faces in 6 images: " in said
    assert said.endswith(f"crop: 8 crops in {out}, listed in {out / 'faces.csv'}.\n")
    rows = read_csv(out / "faces.csv")
    assert list(rows[0]) == [*table_columns(EMOTIONS), "crop", "settings", "version"]
    assert [row["status"] for row in rows].count("unreadable") == 1
    prepared = halves.prepare()
    for row in rows:
        if row["status"] != "face":
            assert row["crop"] == ""
            continue
        _, crops = prepared.crops(row["image"])
        assert_array_equal(read_image(out / row["crop"]), crops[int(row["face"])])
    assert_array_equal(np.unique([row["crop"] for row in rows])[1:], names_in(out)[1:])


@pytest.mark.usefixtures("halves")
def test_labelled_photographs_become_labelled_crops(photos, tmp_path, run):
    shutil.rmtree(photos / "sad" / "deep")
    run("crop", "--largest", "--size", "40x30", photos, tmp_path / "crops")
    with pytest.warns(UserWarning, match=r"left out 1 file .* faces\.csv"):
        faces = load_image_folder(tmp_path / "crops")
    assert faces.filenames.tolist() == ["happy/a-0.png", "happy/a-2-0.png", "sad/a-0.png"]
    assert faces.target.tolist() == ["happy", "happy", "sad"]
    assert {read_image(path).shape for path in faces.data} == {(40, 30, 3)}


def test_the_largest_face(photos, halves, tmp_path, run, read_csv):
    photo = photos / "happy" / "a.png"
    assert run("crop", photo, tmp_path / "crops", "--largest") == 0
    (row,) = read_csv(tmp_path / "crops" / "faces.csv")
    assert (row["face"], row["width"], row["crop"]) == ("0", "40.0", "a-0.png")
    expected = halves.prepare().crops(photo)[1][1]
    assert_array_equal(read_image(tmp_path / "crops" / "a-0.png"), expected)


def test_crops_evaluate_as_the_photographs_do(portrait, tmp_path, run, capsys):
    pytest.importorskip("matplotlib", reason="evaluate --out draws")
    photos, crops = tmp_path / "photos", tmp_path / "crops"
    for name, image in (("happy", portrait), ("sad", np.fliplr(portrait)), ("fear", portrait[9:])):
        (photos / name).mkdir(parents=True)
        Image.fromarray(image).save(photos / name / "portrait.png")
    assert run("crop", "--largest", photos, crops) == 0
    assert run("evaluate", "--crop", photos, "--out", tmp_path / "a") == 0
    assert run("evaluate", crops, "--out", tmp_path / "b") == 0
    assert "evaluate: left out 1 file as not in a class folder" in capsys.readouterr().err
    a, b = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in "ab")
    assert a.pop("n_without_face") == 0
    assert a == b
    assert a["n"] == 3


@pytest.mark.usefixtures("halves")
def test_an_interrupted_run_goes_on(photos, tmp_path, run, read_csv, capsys):
    out = tmp_path / "crops"
    assert run("crop", photos / "sad", out) == 1
    before = read_csv(out / "faces.csv")
    assert run("crop", photos / "sad", out) == 2
    assert "is not empty. Take a new one for the crops, or go on" in capsys.readouterr().err
    for options in (["--largest"], ["--class-prior", "uniform"]):
        assert run("crop", "--resume", photos / "sad", out, *options) == 2
        assert "was made with another model, detector or options" in capsys.readouterr().err
    shutil.copy(photos / "sad" / "a.png", photos / "sad" / "broken.jpg")  # a PNG, whatever its name
    (out / "a-0.png").unlink()  # what is done is not looked at again
    assert run("crop", "--resume", photos / "sad", out) == 0
    after = read_csv(out / "faces.csv")
    assert [row for row in after if "broken" not in row["image"]] == [
        row for row in before if "broken" not in row["image"]
    ]
    assert len(after) == len(before) + 1
    assert names_in(out) == [
        "a-1.png", "broken-0.png", "broken-1.png", "deep/b-1-0.png", "deep/b-1-1.png", "faces.csv",
    ]  # fmt: skip


@pytest.mark.usefixtures("halves")
def test_crops_of_an_earlier_run_stay_those_of_their_photographs(photos, tmp_path, run, read_csv):
    out = tmp_path / "crops"
    run("crop", photos / "sad" / "a.png", out)
    before = {name: (out / name).read_bytes() for name in ("a-0.png", "a-1.png")}
    assert run("crop", "--resume", photos / "happy" / "a.png", photos / "sad" / "a.png", out) == 0
    assert {name: (out / name).read_bytes() for name in before} == before
    told = {(row["image"].split("/")[-2], row["crop"]) for row in read_csv(out / "faces.csv")}
    assert told == {("sad", "a-0.png"), ("sad", "a-1.png"), ("happy", "a-2-0.png"),
                    ("happy", "a-2-1.png")}  # fmt: skip


@pytest.mark.usefixtures("halves")
def test_a_crop_takes_the_place_of_no_photograph(photos, tmp_path, run, capsys):
    (photos / "happy" / "a.png").rename(photos / "happy" / "b-1.PNG")
    Image.open(photos / "happy" / "a.bmp").save(photos / "happy" / "b.png")
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    (tmp_path / "link").symlink_to(photos)
    for out in (photos, tmp_path / "link"):
        assert run("crop", "--resume", photos, out) == 2
        assert "could take the place of photographs" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before
    # a folder among the photographs is not taken for some
    for options in ([], ["--resume"]):
        assert run("crop", photos, photos / "crops", *options) == 1
        capsys.readouterr()
    assert not any("crops" in row for row in names_in(photos / "crops"))


@pytest.mark.usefixtures("halves")
def test_what_crop_refuses(photos, tmp_path, run, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    assert run("crop", photos, tmp_path / "file") == 2
    assert "is not a folder" in capsys.readouterr().err
    assert run("crop", "none.jpg", tmp_path / "new") == 1
    assert "crop: there is no file none.jpg" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "faces.csv").write_text("row,image\n")
    assert run("crop", "--resume", photos, tmp_path / "old") == 2
    assert "is not a table to go on with" in capsys.readouterr().err
    for size in ("0", "3x4x5", "wide"):
        with pytest.raises(SystemExit, match=r"^2$"):
            run("crop", "--size", size, photos, tmp_path / "new")
    monkeypatch.undo()
    assert run("crop", photos, tmp_path / "new", "--detector", "haar") == 2
    assert "--detector haar: FaceCropper expected detector" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
