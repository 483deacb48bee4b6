"""The command line: tables, what interrupts and resumes them, exit statuses, and its messages."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier, __version__
from emotion_estimators.analysis import analyze_faces, table_columns
from emotion_estimators.cli import main
from emotion_estimators.cli.console import report
from emotion_estimators.datasets import make_faces
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.metrics import adjust_class_prior, estimate_class_prior
from emotion_estimators.weights import embedded_weights, get_card, list_cards

COLUMNS = [*table_columns(EMOTIONS), "settings", "version"]


def two_faces(photo):
    """Take the quarters of a photograph for faces, unless it is black."""
    height, width = photo.shape[:2]
    side = min(height, width) // 2
    return [[0, 0, side, side], [width - side, 0, side, side]] if photo.any() else []


@pytest.fixture
def cropper(monkeypatch):
    """Let predict find faces with a function, as YuNet's file may not be there; return it."""
    cropper = FaceCropper(detector=two_faces, image_size=48)
    monkeypatch.setattr("emotion_estimators.cli.predict.open_cropper", lambda _: cropper)
    return cropper


@pytest.fixture
def photos(tmp_path):
    """Return a folder of six photographs, one of them black and one damaged."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "more/a.png", "more/c.bmp"):
        image = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / name)
    Image.new("RGB", (80, 60)).save(folder / "black.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "notes.txt").write_text("no image")
    return folder


def run(*arguments):
    return main([str(argument) for argument in arguments])


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def as_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def missing_as_nan(table):
    """Return a table in which None is NaN: pandas 2 tells them apart."""
    return table.mask(table.isna(), np.nan)


def test_csv_holds_the_table_of_analyze_faces(photos, cropper, tmp_path, capsys):
    out = tmp_path / "table.csv"
    assert run("predict", photos, "--out", out, "--full") == 1  # one is damaged
    names = ["a.png", "b.jpg", "black.png", "broken.jpg", "more/a.png", "more/c.bmp"]
    expected = analyze_faces([os.fspath(photos / name) for name in names], cropper=cropper)
    table = pd.read_csv(out, dtype={"face": "Int64"})
    assert table["status"].tolist().count("unreadable") == 1
    expected = missing_as_nan(expected.replace({"problem": {"": np.nan}}))
    assert set(table.pop("version")) == {__version__}
    assert table.pop("settings").nunique() == 1
    pd.testing.assert_frame_equal(missing_as_nan(table), expected, check_dtype=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 3  # what failed or was passed over, and the totals
    assert "passed over 1 file: 1 .txt" in captured.err
    assert "1 of 6 images cannot be read" in captured.err
    counts = expected["emotion"].value_counts()
    assert "predict: 8 faces in 6 images: " in captured.err
    for emotion, n in counts.items():
        assert f" {n} {emotion}" in captured.err


def test_standard_output(photos, cropper, capsys):  # noqa: ARG001 - predict takes the cropper
    assert run("predict", photos / "a.png", photos / "black.png", photos / "a.png") == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert list(rows[0]) == COLUMNS
    assert [row["status"] for row in rows] == ["face", "face", "no face"]
    assert captured.err.startswith("emotion-estimators: predict: 2 faces in 2 images: ")
    assert captured.err.count("\n") == 1


def test_numbers_are_rounded_unless_all_digits_are_asked_for(photos, cropper, tmp_path):
    cropper.set_params(detector=lambda _: [[1 / 3, 2 / 3, 30, 40, 0.9876543]])
    tables = []
    for name, options in (("full.csv", ["--full"]), ("short.csv", []), ("short.jsonl", [])):
        assert run("predict", photos / "a.png", "--out", tmp_path / name, *options) == 0
    tables = [as_csv(tmp_path / name)[0] for name in ("full.csv", "short.csv")]
    assert float(tables[0]["x"]) == 1 / 3
    assert [tables[1][name] for name in ("x", "y", "width", "score")] == [
        "0.3", "0.7", "30.0", "0.9877",
    ]  # fmt: skip
    (line,) = read_lines(tmp_path / "short.jsonl")
    for emotion in EMOTIONS:
        full, short = (float(row[f"emotion_{emotion}"]) for row in tables)
        assert short == round(full, 4) == line[f"emotion_{emotion}"]
    assert any(len(tables[0][f"emotion_{emotion}"]) > 8 for emotion in EMOTIONS)


@pytest.mark.usefixtures("cropper")
def test_totals_are_those_of_the_whole_table(photos, tmp_path, capsys):
    out = tmp_path / "t.jsonl"
    assert run("predict", photos / "more", "--out", out) == 0
    assert "predict: 4 faces in 2 images: " in capsys.readouterr().err
    assert run("predict", photos / "a.png", photos / "more", "--out", out, "--resume") == 0
    said = capsys.readouterr().err
    assert "predict: 6 faces in 3 images (2 of them were there already): " in said
    emotions = [row["emotion"] for row in read_lines(out)]
    for emotion in set(emotions):
        assert f" {emotions.count(emotion)} {emotion}" in said
    assert run("predict", photos / "black.png", "--out", tmp_path / "none.csv") == 0
    assert capsys.readouterr().err.endswith("predict: 0 faces in 1 image.\n")


@pytest.mark.usefixtures("cropper")
def test_a_table_for_excel(photos, tmp_path, capsys):
    (photos / "a.png").rename(photos / "Müller.png")
    out, other = tmp_path / "t.csv", tmp_path / "other.csv"
    assert run("predict", photos / "more", "--out", out, "--excel") == 0
    assert run("predict", photos / "more", "--out", other) == 0
    mark = "\ufeff".encode()
    assert out.read_bytes() == mark + other.read_bytes()
    for path in (out, other):  # of both kinds, with and without the option
        before = path.read_bytes()
        assert run("predict", photos / "more", "--out", path, "--resume") == 0
        assert path.read_bytes() == before
        assert run("predict", photos / "Müller.png", "--out", path, "--resume", "--excel") == 0
        assert path.read_bytes().startswith(mark)
        assert path.read_bytes().count(mark) == 1
        table = pd.read_csv(path)
        assert table.columns.tolist() == COLUMNS
        assert table["image"].tolist()[-1] == str(photos / "Müller.png")
    capsys.readouterr()
    assert run("predict", photos / "Müller.png", "--excel") == 0
    assert capsys.readouterr().out.startswith("\ufeffrow,")
    assert run("predict", photos, "--out", tmp_path / "t.jsonl", "--excel") == 2
    assert "--excel is for a table .csv" in capsys.readouterr().err


@pytest.mark.usefixtures("cropper")
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_table_that_another_version_began_says_so(suffix, photos, tmp_path, monkeypatch, capsys):
    out = tmp_path / f"t.{suffix}"
    with monkeypatch.context() as patch:
        patch.setattr("emotion_estimators.cli.tables.__version__", "0.0.9")
        assert run("predict", photos / "a.png", "--out", out) == 0
    capsys.readouterr()
    assert run("predict", photos / "a.png", photos / "black.png", "--out", out, "--resume") == 0
    said = capsys.readouterr().err
    assert f"{out} has rows of emotion-estimators 0.0.9, this is {__version__}: what is" in said
    rows = as_csv(out) if suffix == "csv" else read_lines(out)
    assert {row["image"]: row["version"] for row in rows} == {
        str(photos / "a.png"): "0.0.9", str(photos / "black.png"): __version__
    }  # fmt: skip


@pytest.mark.usefixtures("cropper")
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_table_of_other_settings_is_not_gone_on_with(suffix, photos, tmp_path, capsys):
    out = tmp_path / f"t.{suffix}"
    one, both = [photos / "a.png"], [photos / "a.png", photos / "b.jpg"]
    assert run("predict", *one, "--out", out, "--output", "labels") == 0
    before = out.read_bytes()
    for options in (
        [],
        ["--output", "labels", "--class-prior", "uniform"],
        ["--output", "labels", "--min-certainty", "0.5"],
        ["--output", "labels", "--detector", "cascade"],
        ["--output", "labels", "--model", embedded_weights("emotion_2026-11-29.onnx")],
    ):
        capsys.readouterr()
        assert run("predict", *both, "--out", out, "--resume", *options) == 2
        said = capsys.readouterr().err
        assert f"{out} was made with another model, detector or options than these" in said
        assert out.read_bytes() == before
    moved = shutil.copy(embedded_weights(), tmp_path / "moved.onnx")
    options = ["--output", "labels", "--model", moved, "--n-threads", 1]
    assert run("predict", *both, "--out", out, "--resume", *options) == 0
    rows = as_csv(out) if suffix == "csv" else read_lines(out)
    assert len({row["settings"] for row in rows}) == 1


@pytest.mark.usefixtures("cropper")
def test_no_name_is_a_formula(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    for name in ("=1+1.png", "@SUM(A1).png"):
        shutil.copy("a.png", name)
    out = tmp_path / "t.csv"
    assert run("predict", "=1+1.png", "@SUM(A1).png", "--out", out) == 0
    assert {row["image"] for row in as_csv(out)} == {"./=1+1.png", "./@SUM(A1).png"}
    assert run("predict", "=1+1.png", "@SUM(A1).png", "--out", out, "--resume") == 0
    assert len(as_csv(out)) == 4


@pytest.mark.usefixtures("cropper")
def test_certainty_and_which_output_answers(photos, tmp_path, capsys):
    tables = {}
    for name, options in {
        "votes": (),
        "labels": ("--output", "labels"),
        "strict": ("--min-certainty", "0.999"),
    }.items():
        out = tmp_path / f"{name}.csv"
        assert run("predict", photos / "a.png", photos / "b.jpg", "--out", out, *options) == 0
        tables[name] = pd.read_csv(out)
        told = "embedded answers by its output labels" in capsys.readouterr().err
        assert told == (name == "labels")
    shares = tables["votes"][[f"emotion_{name}" for name in EMOTIONS]]
    np.testing.assert_array_equal(tables["votes"]["certainty"], shares.max(axis=1))
    assert set(tables["votes"]["emotion"]) <= set(EMOTIONS)
    assert (tables["strict"]["emotion"] == "unsure").all()
    same = [name for name in tables["votes"] if name not in ("emotion", "settings")]
    pd.testing.assert_frame_equal(tables["strict"][same], tables["votes"][same])
    assert not np.allclose(tables["labels"]["certainty"], tables["votes"]["certainty"])


@pytest.mark.usefixtures("cropper")
def test_class_prior_of_predict(photos, tmp_path, capsys):
    paths = [photos / "a.png", photos / "b.jpg"]
    tables = {}
    for prior in (None, "uniform", "estimate"):
        out = tmp_path / f"{prior}.csv"
        options = ("--full",) if prior is None else ("--full", "--class-prior", prior)
        assert run("predict", *paths, "--out", out, *options) == 0
        tables[prior] = pd.read_csv(out)[[f"emotion_{name}" for name in EMOTIONS]].to_numpy()
    said = capsys.readouterr().err
    assert "predict: class prior: uniform, 1/7 for each emotion. With it the output votes" in said
    assert "predict: class prior of 4 faces: angry 0." in said
    assert said.count("gives no shares of people any more.\n") == 2
    arguments = ("predict", *paths, "--out", tmp_path / "l.csv", "--output", "labels")
    assert run(*arguments, "--class-prior", "uniform") == 0
    assert "class prior: uniform, 1/7 for each emotion.\n" in capsys.readouterr().err
    learned = np.array(dict(get_card("embedded").class_prior)["votes"])
    np.testing.assert_allclose(
        tables["uniform"], adjust_class_prior(tables[None], learned, "uniform"), rtol=1e-6
    )
    prior = estimate_class_prior(tables[None], learned)
    np.testing.assert_allclose(
        tables["estimate"], adjust_class_prior(tables[None], learned, prior), rtol=1e-6, atol=1e-12
    )
    out = tmp_path / "estimate.csv"
    assert run("predict", *paths, "--out", out, "--resume", "--class-prior", "estimate") == 2
    assert "Take --overwrite in place of --resume" in capsys.readouterr().err


def test_class_prior_of_evaluate(tmp_path, capsys):
    write_faces(tmp_path / "faces", 21)
    printed = {}
    for options in ((), ("--class-prior", "uniform"), ("--class-prior", "estimate")):
        out = tmp_path / "-".join(("out", *options))
        arguments = ("evaluate", tmp_path / "faces", "--output", "labels", "--out", out, *options)
        assert run(*arguments) == 0
        printed[options] = capsys.readouterr().out
        figures = json.loads((out / "evaluation.json").read_text())
        assert figures["output"] == "labels"
        assert "model embedded, output labels" in printed[options]
    assert sum(figures["class_prior"].values()) == pytest.approx(1)
    assert "class prior: uniform" in printed["--class-prior", "uniform"]
    assert "class prior: angry 0." in printed["--class-prior", "estimate"]
    assert run("evaluate", tmp_path / "faces", "--output", "features") == 2
    assert "EmotionEmbedder hands out features" in capsys.readouterr().err


@pytest.mark.usefixtures("cropper")
def test_all_formats_hold_the_same(photos, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs it")
    tables = []
    for suffix in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"table.{suffix}"
        assert run("predict", photos, "--out", out, "--n-threads", 2) == 1
    tables = [
        pd.read_csv(tmp_path / "table.csv"),
        pd.DataFrame(read_lines(tmp_path / "table.jsonl")).replace({"problem": {"": None}}),
        pd.read_parquet(tmp_path / "table.parquet").replace({"problem": {"": None}}),
    ]
    for table in tables[1:]:
        table = missing_as_nan(table).astype(tables[0].dtypes)
        pd.testing.assert_frame_equal(table, tables[0])
    assert sorted(path.name for path in tmp_path.glob("*table*")) == [
        "table.csv",
        "table.jsonl",
        "table.parquet",
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_interrupted_and_resumed(suffix, photos, cropper, tmp_path, capsys):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs it")
    n_photos = 40
    for i in range(n_photos):
        (photos / "more" / f"{i:02}.png").symlink_to(photos / "a.png")
    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"part.{suffix}"
    assert run("predict", photos, "--out", whole) == 1
    seen = []

    def interrupted(photo):
        seen.append(photo)
        if len(seen) == 30:
            os.kill(os.getpid(), signal.SIGINT)
        return two_faces(photo)

    cropper.set_params(detector=interrupted)
    assert run("predict", photos, "--out", out) == 130
    assert "Go on with --resume" in capsys.readouterr().err
    read = {"csv": as_csv, "jsonl": read_lines, "parquet": lambda p: pd.read_parquet(p)["image"]}
    assert 0 < len(read[suffix](out)) < len(read[suffix](whole))
    seen.clear()
    assert run("predict", photos, "--out", out, "--resume") == 1
    n_resumed = len(seen)
    assert 0 < n_resumed < n_photos
    tables = [tmp_path / name for name in (f"whole.{suffix}", f"part.{suffix}")]
    held = [set(map(json.dumps, _comparable(path))) for path in tables]
    assert held[0] == held[1]
    assert not list(tmp_path.glob(".*.part"))


def _comparable(path):
    """Return the rows without their numbers, as images that cannot be read are looked at again."""
    rows = as_csv(path) if path.suffix == ".csv" else typed(path)
    return [{name: str(value) for name, value in row.items() if name != "row"} for row in rows]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_resume_after_any_cut(suffix, photos, cropper, tmp_path):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs it")
    seen = []
    cropper.set_params(detector=lambda photo: (seen.append(1), two_faces(photo))[1])
    photos.joinpath("broken.jpg").unlink()
    (photos / "a.png").rename(photos / 'a,"\n.png')
    out, csv_file = tmp_path / f"table.{suffix}", tmp_path / "table.csv"
    assert run("predict", photos, "--out", csv_file) == 0
    rows = csv_file.read_bytes()
    assert run("predict", photos, "--out", out, "--overwrite") == 0
    whole = out.read_bytes()
    growing = out if suffix == "csv" else tmp_path / f"table.{suffix}.rows.csv"
    for cut in (0, 5, 150, len(rows) // 2, len(rows) - 3, len(rows)):
        out.unlink()
        growing.write_bytes(rows[:cut])
        seen.clear()
        assert run("predict", photos, "--out", out, "--resume") == 0
        assert out.read_bytes() == whole
        assert len(seen) == {0: 5, 5: 5, len(rows): 0}.get(cut, len(seen))
        assert set(tmp_path.iterdir()) == {photos, csv_file, out}


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_resume_of_a_finished_table(suffix, photos, cropper, tmp_path):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs it")
    out = tmp_path / f"table.{suffix}"
    (photos / "broken.jpg").unlink()
    assert run("predict", photos / "more", "--out", out) == 0
    before = _comparable(out)
    seen = []
    cropper.set_params(detector=lambda photo: (seen.append(1), two_faces(photo))[1])
    assert run("predict", photos / "more", "--out", out, "--resume") == 0
    assert _comparable(out) == before
    assert not seen
    assert run("predict", photos, "--out", out, "--resume") == 0
    assert len(seen) == 3
    assert _comparable(out)[: len(before)] == before
    assert len(_comparable(out)) == 2 * 4 + 1


def test_resume_tries_unreadable_images_again(photos, cropper, tmp_path):  # noqa: ARG001
    out = tmp_path / "table.csv"
    assert run("predict", photos, "--out", out) == 1
    (photos / "broken.jpg").write_bytes((photos / "b.jpg").read_bytes())
    assert run("predict", photos, "--out", out, "--resume") == 0
    rows = as_csv(out)
    assert [row["status"] for row in rows].count("unreadable") == 0
    assert len({row["image"] for row in rows}) == len({row["row"] for row in rows}) == 6


@pytest.mark.usefixtures("cropper")
def test_draw(photos, tmp_path):
    drawn = photos / "drawn"
    for _ in range(2):  # the second time it does not take its own images for photographs
        run("predict", photos, photos / "more", "--out", tmp_path / "t.csv", "--overwrite",
            "--draw", drawn)  # fmt: skip
        names = sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*.*"))
        assert names == ["a.png", "b.jpg", "more/a.png", "more/c.png"]
    with Image.open(drawn / "a.png") as picture, Image.open(photos / "a.png") as photo:
        assert picture.size == photo.size
        assert np.any(np.asarray(picture) != np.asarray(photo))
    # photographs of one name from two folders
    run("predict", photos / "a.png", photos / "more" / "a.png", "--draw", tmp_path / "both")
    assert {path.name for path in (tmp_path / "both").iterdir()} == {"a.png", "a-2.png"}


@pytest.mark.usefixtures("cropper")
def test_drawings_of_an_earlier_run_stay(photos, tmp_path):
    out, drawn = tmp_path / "t.csv", tmp_path / "drawn"
    one, other = photos / "a.png", photos / "more" / "a.png"
    run("predict", one, "--out", out, "--draw", drawn)
    before = (drawn / "a.png").read_bytes()
    for _ in range(2):  # the second time nothing is left to do
        run("predict", other, one, "--out", out, "--draw", drawn, "--resume")
        assert (drawn / "a.png").read_bytes() == before
        assert {path.name for path in drawn.iterdir()} == {"a.png", "a-2.png"}


@pytest.mark.usefixtures("cropper")
def test_drawing_never_replaces_a_photograph(photos, tmp_path, capsys):
    before = (photos / "a.png").read_bytes()
    (tmp_path / "link").symlink_to(photos)
    for folder in (photos, tmp_path / "link"):
        assert run("predict", photos, "--draw", folder) == 2
        assert "would write over the photograph" in capsys.readouterr().err
    assert (photos / "a.png").read_bytes() == before


@pytest.mark.usefixtures("cropper")
def test_empty_folder(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run("predict", tmp_path / "empty", "--out", tmp_path / "t.csv") == 1
    assert "no image in the folder" in capsys.readouterr().err
    assert (tmp_path / "t.csv").read_text() == ",".join(COLUMNS) + "\n"


@pytest.mark.usefixtures("cropper")
def test_links_that_lead_round_and_round(tmp_path, capsys):
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
        for other in set("abcdefgh") - {name}:
            (tmp_path / name / other).symlink_to(tmp_path / other, target_is_directory=True)
    assert run("predict", tmp_path) == 2
    assert "Remove links to folders that lead to each other" in capsys.readouterr().err


@pytest.mark.usefixtures("cropper")
def test_a_folder_that_cannot_be_read_costs_nothing_else(photos, tmp_path, monkeypatch, capsys):
    (photos / "locked").mkdir()
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert run("predict", photos, "--out", tmp_path / "t.csv") == 1
    said = capsys.readouterr().err
    assert f"the folder {photos / 'locked'} cannot be read and is left out" in said
    assert "a.png" in (tmp_path / "t.csv").read_text()


@pytest.mark.usefixtures("cropper")
def test_misuse_of_predict(photos, tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text("image,emotion\na.jpg,happy\n")
    before = table.read_bytes()
    (tmp_path / "lines.jsonl").write_text('{"row": 0}\nno JSON\n')
    for arguments, message in (
        (["--out", "table.xls"], r"end in .csv, .jsonl, .parquet, got table.xls"),
        (["--out", tmp_path / "no" / "t.csv"], "there is no folder"),
        (["--out", table], "Go on with it by --resume, or --overwrite it"),
        (["--out", table, "--resume"], "not a table to go on with: it lacks ['row'"),
        (["--out", tmp_path / "lines.jsonl", "--resume"], "not a table to go on with"),
        (["--resume"], "need --out"),
        (["--model", "model_v7"], "expected model to be 'embedded'"),
        (["--model", photos / "no.onnx"], "no.onnx"),
        (["--model", photos / "notes.txt"], "notes.txt"),
        (["--device", "gpu"], "--device gpu: PretrainedEmotionClassifier expected device to be"),
    ):
        assert run("predict", photos, *arguments) == 2
        assert message in capsys.readouterr().err
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict"], "required: PATH"),
        (["predict", "a.jpg", "--n-threads", "0"], "whole number of 1 or more, got '0'"),
        (["predict", "a.jpg", "--resume", "--overwrite"], "not allowed with"),
        (["predict", ""], "argument PATH: expected a path, got ''"),  # $PHOTO without a value
        (["predict", "a.jpg", "--out", ""], "argument --out: expected a path, got ''"),
        (["crop", "a.jpg", ""], "argument DIR: expected a path, got ''"),
        (["crop", "a.jpg", "b", "--size", "96x4097"], "sides of up to 4,096 pixels, got '96x4097'"),
        (["paint"], "invalid choice"),
    ],
)
def test_arguments_that_argparse_refuses(arguments, message, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_without_a_command_there_is_the_help(capsys):
    assert run() == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("usage: emotion-estimators")
    assert "photographs or videos to a table of faces" in captured.out
    assert captured.err == ""


def test_a_detector_that_is_none(photos, capsys):
    assert run("predict", photos, "--detector", "haar") == 2
    assert "--detector haar: FaceCropper expected detector" in capsys.readouterr().err


def test_the_first_photograph_needs_no_network(tmp_path, monkeypatch, capsys):
    astronaut = pytest.importorskip("skimage.data", reason="has a photograph").astronaut()
    Image.fromarray(astronaut).save(tmp_path / "photo.png")
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOTION_ESTIMATORS_DATA", raising=False)
    assert run("predict", tmp_path / "photo.png") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["status"], row["emotion"]) == ("face", "happy")
    (face,) = analyze_faces([tmp_path / "photo.png"]).to_dict("records")
    assert (face["status"], face["emotion"]) == ("face", "happy")
    assert not (tmp_path / "cache").exists()


def test_what_must_be_downloaded_and_cannot(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path))
    monkeypatch.delenv("EMOTION_ESTIMATORS_DATA", raising=False)
    assert run("predict", photos, "--model", "model_v6_23", "--out", tmp_path / "t.csv") == 1
    said = capsys.readouterr().err
    assert "Weights 'model_v6_23' are not on this machine" in said
    assert "cascade" not in said
    assert not (tmp_path / "t.csv").exists()
    assert run("fetch", "vggface2", "embedded") == 1  # the one that fails does not stop the other
    captured = capsys.readouterr()
    assert "EMOTION_ESTIMATORS_OFFLINE" in captured.err
    assert captured.out == f"embedded\t{embedded_weights()}\n"


@pytest.mark.usefixtures("cropper")
def test_parquet_without_pyarrow(photos, tmp_path, monkeypatch, capsys):
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run("predict", photos, "--out", tmp_path / "t.parquet") == 2
    assert 'needs pyarrow. Install it with: pip install "emotion' in capsys.readouterr().err
    assert not list(tmp_path.glob("*t.parquet*"))


def write_faces(root, n):
    X, y = make_faces(n, random_state=0)
    for i, (face, name) in enumerate(zip(X, y, strict=True)):
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(root / name / f"{i}.png")
    return X, y


def test_evaluate(tmp_path, capsys):
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

    pytest.importorskip("matplotlib", reason="draws the confusion matrix")
    X, y = write_faces(tmp_path / "faces", 60)
    assert run("evaluate", tmp_path / "faces", "--out", tmp_path / "out", "--n-threads", 1) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    predicted = PretrainedEmotionClassifier().predict(X)
    for key, expected in (
        ("accuracy", accuracy_score(y, predicted)),
        ("balanced_accuracy", balanced_accuracy_score(y, predicted)),
        ("macro_f1", f1_score(y, predicted, average="macro")),
    ):
        assert figures[key] == pytest.approx(expected, rel=1e-12)  # sums in another order
        assert f"{expected:.4f}" in printed.out
        low, high = figures["bootstrap_95"][key]
        assert low <= expected <= high
    assert figures["confusion"] == confusion_matrix(y, predicted, labels=EMOTIONS).tolist()
    with Image.open(tmp_path / "out" / "confusion_matrix.png") as picture:
        assert np.ptp(np.asarray(picture.convert("L"))) > 200


def test_evaluate_leaves_out_what_cannot_be_read(tmp_path, capsys):
    write_faces(tmp_path / "faces", 12)
    (tmp_path / "faces" / EMOTIONS[0] / "broken.png").write_bytes(b"no image")
    assert run("evaluate", tmp_path / "faces") == 1
    captured = capsys.readouterr()
    assert "12 images" in captured.out
    assert "broken.png" in captured.err
    assert "left out 1 of 13 images: not readable" in captured.err


def test_misuse_of_evaluate_and_fetch(tmp_path, capsys):
    (tmp_path / "faces" / "rage of cats").mkdir(parents=True)
    for arguments, message in (
        (["evaluate", tmp_path / "none"], "found no folder or zip file"),
        (
            ["evaluate", tmp_path / "faces"],
            "which names no emotion. Rename it, or move it elsewhere.\n",
        ),
        (["fetch"], "names of weights"),
        (["fetch", "vggface2", "--all"], "names of weights"),
        (["fetch", "model_v7"], "no weights are called model_v7"),
    ):
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err


def test_info(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path))
    monkeypatch.delenv("EMOTION_ESTIMATORS_DATA", raising=False)
    assert run("info") == 0
    text = capsys.readouterr().out
    assert run("info", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == __version__
    assert found["packages"]["numpy"] == np.__version__
    assert {"plot", "torch"} <= found["extras"].keys()
    assert "all" not in found["extras"]  # which holds nothing of its own
    assert "CPUExecutionProvider" in found["devices"]["onnxruntime"]
    assert [card["name"] for card in found["weights"]] == [card.name for card in list_cards()]
    paths = {card["name"]: card["path"] for card in found["weights"]}
    assert paths["embedded"] == str(embedded_weights())
    assert Path(paths["yunet"]).parent == embedded_weights().parent
    assert paths["vggface2"] is None
    assert "not on this machine (emotion-estimators fetch vggface2)" in text
    assert "labels: accuracy by FER2013's label" in text
    assert "    accuracy: 0.365 on FER2013 PublicTest" in text


@pytest.mark.parametrize("columns", [70, 20])
def test_info_keeps_to_the_width_of_the_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run("info", "yunet", "embedded") == 0
    lines = capsys.readouterr().out.splitlines()
    wide = [line for line in lines if len(line) > max(columns, 40)]
    assert all(len(line.split()) == 1 for line in wide)  # a path, which stays whole
    assert len(lines) > 40


def test_info_on_some_weights(capsys):
    assert run("info", "embedded", "embedded") == 0
    text = capsys.readouterr().out
    card = get_card("embedded")
    joined = " ".join(text.split())  # a long path stands on a line of its own
    assert joined.startswith(f"embedded: emotion file: {embedded_weights()}")
    for name, value, _, _ in card.figures:
        assert f"{name}: {value:.3f}" in joined
    assert "Extras" not in text
    assert run("info", "--json", "yunet") == 0
    found = json.loads(capsys.readouterr().out)
    assert [card["name"] for card in found["weights"]] == ["yunet"]
    assert run("info", "embeded") == 2
    assert "info: no weights are called embeded; known: embedded," in capsys.readouterr().err


def test_a_missing_photograph_loads_nothing_heavy(tmp_path):
    """scikit-learn takes more than a second, and there is nothing to look at."""
    code = (
        "import sys\nfrom emotion_estimators.cli import main\n"
        "print(main(['predict', 'none.jpg']), main(['crop', 'none.jpg', 'crops']))\n"
        "print([n for n in ('sklearn', 'scipy', 'pandas', 'onnxruntime') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.endswith("1 1\n[]\n")
    assert "predict: there is no file none.jpg." in done.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom emotion_estimators.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "print([n for n in ('numpy', 'sklearn', 'PIL', 'torch') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "COMMAND" in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("module", ["emotion_estimators", "emotion_estimators.cli"])
def test_a_bar_on_a_terminal(module, photos, tmp_path):
    import pty

    above, below = pty.openpty()
    command = [sys.executable, "-m", module, "predict", photos / "black.png"]
    command += ["--out", tmp_path / "t.csv"]
    done = subprocess.run(command, stderr=below, stdout=subprocess.PIPE, check=False)
    os.close(below)
    shown = os.read(above, 100_000).decode()
    os.close(above)
    assert done.returncode == 0
    assert done.stdout == b""
    assert "1/1" in shown
    assert "0 faces in 1 image" in shown


@pytest.fixture
def script():
    """Return the program that was installed beside the Python that runs the tests."""
    path = shutil.which("emotion-estimators", path=sysconfig.get_path("scripts"))
    if path is None:
        pytest.skip("needs the script emotion-estimators, which pip installs with the package")
    return path


def test_the_installed_script(script, photos, tmp_path):
    def run_script(*arguments):
        command = [script, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run_script("--version")
    assert (done.returncode, done.stdout) == (0, f"emotion-estimators {__version__}\n")
    out = tmp_path / "t.jsonl"
    (tmp_path / "empty").mkdir()
    done = run_script("predict", photos / "black.png", "--out", out)
    said = "emotion-estimators: predict: 0 faces in 1 image.\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", said)
    done = run_script(
        "predict", photos / "broken.jpg", tmp_path / "empty", "--out", out, "--resume"
    )
    assert done.returncode == 1
    assert f"no image in the folder {tmp_path / 'empty'}" in done.stderr
    assert "1 of 1 image cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["status"] for row in read_lines(out)] == ["no face", "unreadable"]
    done = run_script("predict", photos, "--out", tmp_path / "t.xls")
    assert done.returncode == 2
    assert done.stderr.startswith("emotion-estimators: predict: expected --out to end in .csv")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_control_c_and_resume_of_the_installed_script(script, photos, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    for i in range(5000):
        (links / f"{i:04}.png").symlink_to(photos / "a.png")
    out = tmp_path / "table.csv"
    command = [script, "predict", links, "--out", out]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (out.exists() and out.read_bytes().count(b"\n") > 1):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130
    before = as_csv(out)
    assert f"holds {len(before)} of 5000 images. Go on with --resume." in said
    assert "Traceback" not in said
    assert 0 < len(before) < 5000
    for link in sorted(links.iterdir())[len(before) + 3 :]:  # three are left to do
        link.unlink()
    subprocess.run([*command, "--resume"], check=True)
    after = as_csv(out)
    assert after[: len(before)] == before
    assert [row["image"] for row in after] == sorted(map(str, links.iterdir()))


def test_real_photographs(data_dir, tmp_path):
    out = tmp_path / "table.jsonl"
    assert run("predict", data_dir / "photos", "--out", out) == 0
    rows = read_lines(out)
    n_faces = [sum(row["image"].endswith("multiface.jpg") for row in rows), len(rows)]
    assert n_faces == [6, 10]
    assert rows[-1]["status"] == "no face"


def start_of_a_long_run(photos, tmp_path, out):
    """Start a process that finds faces slowly; return it once some photographs are done."""
    links = tmp_path / "links"
    links.mkdir()
    for i in range(2000):
        (links / f"{i:04}.png").symlink_to(photos / "a.png")
    code = f"""
    import time
    from emotion_estimators import FaceCropper
    from emotion_estimators.cli import main, predict

    def find(photo):
        time.sleep(0.02)
        return [[0, 0, 40, 40], [40, 0, 40, 40]]

    predict.open_cropper = lambda _: FaceCropper(detector=find, image_size=48)
    raise SystemExit(main(["predict", {str(links)!r}, "--out", {str(out)!r}]))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.PIPE, text=True
    )
    growing = out if out.suffix == ".csv" else out.with_name(f"{out.name}.rows.csv")
    deadline = time.monotonic() + 120
    while not (growing.exists() and growing.read_bytes().count(b"\n") > 1):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process, growing


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.usefixtures("cropper")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("sent", ["SIGTERM", "SIGKILL"])
def test_rows_outlive_a_killed_process(suffix, sent, photos, tmp_path, capsys):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs it")
    out = tmp_path / f"table.{suffix}"
    process, growing = start_of_a_long_run(photos, tmp_path, out)
    process.send_signal(getattr(signal, sent))
    process.communicate(timeout=60)
    before = as_csv(growing)
    done = {row["image"] for row in before}
    assert 0 < len(done) < 2000
    assert len(before) == 2 * len(done)
    if suffix != "csv":  # without --resume or --overwrite they are not lost by mistake
        assert run("predict", photos / "a.png", "--out", out) == 2
        assert f"{growing} exists. Go on with it by --resume" in capsys.readouterr().err
    for link in sorted((tmp_path / "links").iterdir())[len(done) + 3 :]:  # three are left to do
        link.unlink()
    assert run("predict", tmp_path / "links", "--out", out, "--resume") == 0
    after = _comparable(out)
    assert len(after) == 2 * (len(done) + 3)
    assert [row["image"] for row in after[: len(before)]] == [row["image"] for row in before]
    assert sorted(path.name for path in tmp_path.glob("*table*")) == [out.name]


needs_any_name = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="file names there are always Unicode"
)


@needs_any_name
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_names_of_any_bytes(suffix, photos, cropper, tmp_path):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs it")
    (photos / "broken.jpg").unlink()
    for name in (b"M\xfcller.png", b"a\rb.png", b"a\nb.png", 'ü,".png'.encode()):
        shutil.copy(photos / "a.png", os.fsencode(photos) + b"/" + name)
    out = tmp_path / f"table.{suffix}"
    assert run("predict", photos, "--out", out, "--draw", tmp_path / "drawn") == 0
    before = out.read_bytes()
    images = {row["image"] for row in (as_csv(out) if suffix == "csv" else typed(out))}
    ends = {image.removeprefix(f"{photos}{os.sep}") for image in images}
    assert ends >= {"M\\udcfcller.png", "a\rb.png", "a\nb.png", 'ü,".png'}
    assert len(ends) == 9
    seen = []
    cropper.set_params(detector=seen.append)
    assert run("predict", photos, "--out", out, "--resume") == 0
    assert out.read_bytes() == before
    assert not seen


def typed(path):
    """Return the rows of a table that knows types."""
    if path.suffix == ".jsonl":
        return read_lines(path)
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


@needs_any_name
@pytest.mark.usefixtures("cropper")
def test_terminals_get_no_control_characters(photos, tmp_path, capsys):
    names = [os.fsdecode(b"\x1b[31mred\xff.jpg"), "two\nlines.jpg", "\u202egpj.exe"]
    assert run("predict", *[photos / name for name in names], "--out", tmp_path / "t.csv") == 1
    said = capsys.readouterr().err
    assert "there is no file" in said
    assert r"\x1b[31mred\udcff.jpg" in said
    assert r"two\nlines.jpg" in said
    assert r"\u202egpj.exe" in said
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["predict", "a.jpg", "--\x1b[31mred"])
    assert r"--\x1b[31mred" in capsys.readouterr().err


def test_messages_are_never_longer_than_a_screen(capsys):
    report("\n".join(f"row {i} " + "x" * 500 for i in range(1000)))
    said = capsys.readouterr().err
    assert len(said) < 1600
    assert said.count("\n") <= 22


@pytest.mark.usefixtures("cropper")
def test_files_that_do_not_exist_are_named_before_anything_is_opened(
    photos, tmp_path, monkeypatch, capsys
):
    from emotion_estimators.cli import predict

    def fail(*_, **__):
        raise AssertionError("opened")

    monkeypatch.setattr(predict, "open_cropper", fail)
    monkeypatch.setattr(predict, "open_classifier", fail)
    out = tmp_path / "t.jsonl"
    names = [f"no{i}.jpg" for i in range(12)]
    assert run("predict", *names, "--out", out) == 1
    said = capsys.readouterr().err
    assert "there is no file no0.jpg." in said
    assert "nor are there 2 more files" in said
    rows = read_lines(out)
    assert [(row["image"], row["status"]) for row in rows] == [(n, "unreadable") for n in names]
    assert all("no0.jpg" in row["problem"] or row["problem"] for row in rows)
    (tmp_path / "empty").mkdir()
    assert run("predict", tmp_path / "empty") == 1
    assert "no image in the folder" in capsys.readouterr().err
    with pytest.raises(AssertionError, match="opened"):
        run("predict", "no.jpg", photos / "a.png")
    assert "there is no file no.jpg." in capsys.readouterr().err


@pytest.mark.usefixtures("cropper")
def test_what_folders_hold_besides_is_counted(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("emotion_estimators.images.formats._has_pi_heif", lambda: False)
    with Image.open(photos / "a.png") as image:
        for name, kind in (("d.jfif", "JPEG"), ("e.JPE", "JPEG"), ("f.tga", "TGA"),
                           ("no suffix", "PNG"), ("g.mpo", "MPO")):  # fmt: skip
            image.save(photos / name, format=kind)
    (photos / "h.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (photos / ".hidden.jpg").write_bytes(b"")
    (photos / "broken.jpg").unlink()
    out = tmp_path / "t.csv"
    assert run("predict", photos, "--out", out) == 0
    assert len({row["image"] for row in as_csv(out)}) == 10
    said = capsys.readouterr().err
    assert "passed over 3 files: " in said
    for kind in ("1 .heic", "1 .txt", "1 hidden", "emotion-estimators[heif]"):
        assert kind in said


class NoFile:
    """What a program with windows may put in place of a standard stream."""

    def write(self, text):
        pass


@pytest.mark.usefixtures("cropper")
@pytest.mark.parametrize("stream", [None, NoFile(), io.StringIO()])
def test_any_standard_streams(stream, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    assert run("predict", photos, "missing.jpg", "--out", tmp_path / "t.csv") == 1
    assert len(as_csv(tmp_path / "t.csv")) == 11
    assert run("fetch", "embedded") == 0
    assert run("info") == (1 if stream is None else 0)
    assert run("predict", photos / "a.png") == (1 if stream is None else 0)
    assert run("evaluate", tmp_path) in (1, 2)


@pytest.mark.usefixtures("cropper")
def test_a_program_that_collects_the_output(photos):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run("predict", photos / "a.png", photos / "broken.jpg") == 1
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["status"] for row in rows] == ["face", "face", "unreadable"]
    assert "1 of 2 images cannot be read" in err.getvalue()


def in_a_shell(script, *arguments, **environment):
    """Run the command line with its streams as a shell makes them."""
    command = f'"{sys.executable}" -m emotion_estimators {script}'
    return subprocess.run(
        [shutil.which("bash"), "-c", command, "bash", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


needs_bash = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="needs bash"
)


@needs_bash
@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("info >&-", 1),
        ("info >&- 2>&-", 1),
        ("info --json 2>&- <&- | head -1; exit ${PIPESTATUS[0]}", 0),
        ("fetch embedded >&-", 0),
        ('predict none.jpg --out "$1" 2>/dev/full', 1),
        ('predict none.jpg --out "$1" <&- >&- 2>&-', 1),
        ("info >/dev/full", 1),
        ("predict none.jpg >/dev/full", 1),
        ("predict none.jpg | true; exit ${PIPESTATUS[0]}", 1),
    ],
)
def test_streams_that_are_closed_or_full(script, status, tmp_path):
    if "/dev/full" in script and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = in_a_shell(script, tmp_path / "t.csv")
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if "$1" in script:
        assert as_csv(tmp_path / "t.csv")[0]["status"] == "unreadable"


@needs_bash
def test_an_encoding_that_lacks_the_characters(tmp_path):
    cache = tmp_path / "深圳"
    cache.mkdir()
    done = in_a_shell("info", EMOTION_ESTIMATORS_CACHE=str(cache), PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u6df1\u5733" in done.stdout


@needs_bash
def test_a_working_directory_that_was_removed(photos, tmp_path):
    (tmp_path / "gone").mkdir()
    script = '--version >/dev/null; cd "$1"; rmdir "$1"; '
    script += f'"{sys.executable}" -m emotion_estimators predict '
    script += '"$2" missing.jpg --out "$3" --draw "$4"'
    out = tmp_path / "t.csv"
    done = in_a_shell(script, tmp_path / "gone", photos / "black.png", out, tmp_path / "drawn")
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert [row["status"] for row in as_csv(out)] == ["no face", "unreadable"]


@pytest.fixture
def small_files():
    """Let no file of this process grow beyond 6 kB, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="limits the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, before[1]))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("cropper")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_full_disk(suffix, photos, tmp_path, small_files, capsys):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs it")
    (photos / "broken.jpg").unlink()
    for i in range(30):
        (photos / f"{i}.png").symlink_to(photos / "a.png")
    out = tmp_path / f"table.{suffix}"
    assert run("predict", photos, "--out", out) == 1
    said = capsys.readouterr().err
    assert "cannot be written (File too large)" in said
    assert "go on with --resume" in said
    growing = out if suffix == "csv" else tmp_path / f"{out.name}.rows.csv"
    rows = as_csv(growing)
    assert growing.read_bytes().endswith(b"\n")
    assert len(rows) % 2 == 0  # both faces or none
    assert set(tmp_path.iterdir()) == {photos, growing}
    small_files()
    assert run("predict", photos, "--out", out, "--resume") == 0
    assert len(_comparable(out)) == 2 * 34 + 1
    assert set(tmp_path.iterdir()) == {photos, out}


@pytest.mark.usefixtures("cropper")
def test_a_full_disk_for_drawings(photos, tmp_path, small_files, capsys):
    assert run("predict", photos / "a.png", "--out", tmp_path / "t.csv", "--draw",
               tmp_path / "drawn") == 1  # fmt: skip
    assert "A drawing cannot be written (File too large)" in capsys.readouterr().err
    assert list((tmp_path / "drawn").iterdir()) == []
    small_files()


@pytest.mark.usefixtures("cropper")
def test_places_that_cannot_be_written_are_refused_first(photos, tmp_path, monkeypatch, capsys):
    from emotion_estimators.cli import evaluate, predict

    def fail(*_):
        raise AssertionError("opened")

    for module in (predict, evaluate):
        monkeypatch.setattr(module, "open_classifier", fail)
    monkeypatch.setattr(os, "access", lambda path, _: "closed" not in str(path))
    (tmp_path / "closed").mkdir()
    (tmp_path / "file").write_text("")
    for arguments, status, message in (
        (["predict", photos, "--out", tmp_path / "closed" / "t.csv"], 1, "cannot be written"),
        (["predict", photos, "--draw", tmp_path / "closed" / "d"], 1, "cannot be written"),
        (["predict", photos, "--draw", tmp_path / "file" / "d"], 2, "is not a folder"),
        (["evaluate", photos, "--out", tmp_path / "closed" / "d"], 1, "cannot be written"),
    ):
        assert run(*arguments) == status
        assert message in capsys.readouterr().err


@pytest.mark.usefixtures("cropper")
def test_a_table_of_other_columns_is_refused_first(photos, tmp_path, monkeypatch, capsys):
    from emotion_estimators.cli import predict

    def fail(*_):
        raise AssertionError("opened")

    monkeypatch.setattr(predict, "open_classifier", fail)
    (tmp_path / "t.csv").write_text("image,emotion\na.jpg,happy\n")
    for arguments, message in (
        (["--out", tmp_path / "t.csv", "--resume"], "is not a table to go on with"),
        (["--detector", tmp_path / "none.onnx"], "there is no such file"),
    ):
        if "--detector" in arguments:
            monkeypatch.undo()
            monkeypatch.setattr(predict, "open_classifier", fail)
        assert run("predict", photos, *arguments) == 2
        assert message in capsys.readouterr().err


@pytest.mark.usefixtures("cropper")
def test_a_damaged_table_is_named(photos, tmp_path, capsys):
    pytest.importorskip("pyarrow", reason="Parquet needs it")
    heading = ",".join(COLUMNS)
    rows = [",".join(["0", "a.png", "no face"] + [""] * 18), "x" * 300, ",".join("0" * 3)]
    for name, content in (
        ("a.csv", "\n".join([heading, rows[0], rows[1], rows[0], ""])),
        ("b.jsonl", "[1]\n"),
        ("c.jsonl", "[" * 100_000),
        ("d.parquet", "no Parquet"),
        ("e.csv", heading + "\n" + rows[0].replace("0", "nought", 1) + "\n"),
    ):
        (tmp_path / name).write_text(content)
        assert run("predict", photos, "--out", tmp_path / name, "--resume") == 2
        said = capsys.readouterr().err
        assert f"{tmp_path / name} is damaged or not a table" in said
        assert "Take another --out, or --overwrite it." in said
        assert len(said) < 1000


@needs_any_name
@pytest.mark.usefixtures("cropper")
def test_names_that_the_system_refuses_end_no_run(photos, tmp_path):
    names = ["x" * 5000, "nul\0.jpg", photos / "a.png" / "b.jpg", photos / "a.png"]
    assert run("predict", *names, "--out", tmp_path / "t.csv") == 1
    statuses = [row["status"] for row in as_csv(tmp_path / "t.csv")]
    assert statuses == ["unreadable"] * 3 + ["face"] * 2


def test_evaluate_names_some_of_many(tmp_path, capsys):
    write_faces(tmp_path / "faces", 12)
    for i in range(300):
        (tmp_path / "faces" / EMOTIONS[0] / f"broken{i}.png").write_bytes(b"no image")
    assert run("evaluate", tmp_path / "faces") == 1
    said = capsys.readouterr().err
    assert "left out 300 of 312 images: not readable" in said
    assert said.count("\n") < 20


@needs_bash
def test_what_libraries_write_to_a_closed_stream_is_not_in_the_table(photos, tmp_path):
    code = """
    import os, sys
    from emotion_estimators import FaceCropper
    from emotion_estimators.cli import main, predict

    def find(photo):
        for descriptor in (1, 2):
            os.write(descriptor, b"[W:onnxruntime] a warning\\n")
        return [[0, 0, 40, 40]]

    predict.open_cropper = lambda _: FaceCropper(detector=find, image_size=48)
    sys.exit(main(["predict", sys.argv[1], "--out", sys.argv[2]]))
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(code))
    out = tmp_path / "t.csv"
    command = f'"{sys.executable}" "$1" "$2" "$3" <&- >&- 2>&-'
    arguments = [tmp_path / "program.py", photos / "a.png", out]
    shell = [shutil.which("bash"), "-c", command, "bash", *map(str, arguments)]
    assert subprocess.run(shell, check=False).returncode == 0
    assert "warning" not in out.read_text()
    assert [row["status"] for row in as_csv(out)] == ["face"]
