"""The option --report: pages of tables and of evaluations, and what it refuses."""

import base64
import html
import io
import os
import re
import shutil
import signal

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(noise, tmp_path):
    """Return a folder of four photographs, of whom one shows nobody and one is damaged."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("a.png", "<b>.jpg")):
        Image.fromarray(noise(seed, 60, 220)).save(folder / name)
    Image.new("RGB", (80, 60)).save(folder / "black.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return folder


def read_report(path):
    """Return the page, the names of its photographs, and how many rows of faces it has."""
    page = path.read_text(encoding="utf-8")
    alts = re.findall(r'<figure[^>]*><div class="photo"><img [^>]*alt="([^"]*), (?:with|in)', page)
    return page, list(map(html.unescape, alts)), page.count('<tr role="row" id="f')


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("out", ["table.csv", "table.jsonl", None])
def test_a_report_of_the_table(out, photos, tmp_path, run, capsys):
    report = tmp_path / "report.html"
    options = [] if out is None else ["--out", tmp_path / out]
    assert run("predict", photos, "--report", report, *options) == 1  # one is damaged
    page, names, n_rows = read_report(report)
    assert names == ["<b>.jpg", "a.png", "black.png"]
    assert n_rows == 4
    assert f"All files are in the folder <bdi>{photos}{os.sep}</bdi>" in page
    assert "broken.jpg" in page
    assert "emotion-estimators predict" in page
    captured = capsys.readouterr()
    assert captured.out.count("\n") == (0 if out else 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["photos", "report.html", *([out] if out else [])]
    )


@pytest.mark.usefixtures("halves")
def test_privacy_and_settings(photos, tmp_path, run):
    report = tmp_path / "report.htm"
    run("predict", photos, "--report", report, "--no-thumbnails", "--min-certainty", 1,
        "--class-prior", "uniform")  # fmt: skip
    page, names, n_rows = read_report(report)
    assert names == []
    assert "<img" not in page
    assert n_rows == page.count('data-emotion="unsure"') == 4
    assert "below a certainty of 1" in page
    assert "uniform" in page


def test_a_run_that_was_interrupted(photos, halves, tmp_path, run, capsys):
    report, out = tmp_path / "report.html", tmp_path / "table.csv"
    find = halves.detector
    asked = []

    def interrupted(photo):
        asked.append(photo)
        if len(asked) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return find(photo)

    for name in "cdefghijklmnop":
        shutil.copy(photos / "a.png", photos / f"{name}.png")
    halves.set_params(detector=interrupted, n_threads=1)
    assert run("predict", photos, "--report", report, "--out", out) == 130
    assert "no report was written, as the table is not whole. --resume writes" in (
        capsys.readouterr().err
    )
    assert not report.exists()
    halves.set_params(detector=find)
    assert run("predict", photos, "--report", report, "--out", out, "--resume") == 1
    assert len(read_report(report)[1]) == 17
    # of a table that is whole nothing is looked at but the photographs for the page
    halves.set_params(detector=lambda _: pytest.fail("it was looked at"))
    (photos / "broken.jpg").unlink()
    (photos / "a.png").unlink()
    assert run("predict", photos / "black.png", photos / "c.png", "--out", out, "--resume",
               "--report", report) == 0  # fmt: skip
    page, names, n_rows = read_report(report)
    assert sorted(names) == ["black.png", "c.png"]
    assert n_rows == 32
    assert "15 photographs are not shown" in page
    assert "it is not among the photographs that were given" in page


@pytest.mark.usefixtures("halves")
def test_videos(write_clip, noise, tmp_path, run):
    clip = write_clip(tmp_path / "clip.mp4", [noise(i, 60, 220) for i in range(6)])
    other = write_clip(tmp_path / "other.mp4", [noise(i, 60, 220) for i in range(3)])
    report = tmp_path / "report.html"
    assert run("predict", clip, other, "--frame-step", 2, "--report", report) == 0
    page, _, n_rows = read_report(report)
    assert n_rows == 10
    assert "Faces in 5 frames" in page
    assert "1 of every 2" in page
    assert page.count('<svg class="plot"') == 2
    assert "<h3><bdi>clip.mp4</bdi></h3>" in page


def test_what_a_report_may_not_be(photos, halves, tmp_path, run, capsys):
    halves.set_params(detector=lambda _: pytest.fail("it was looked at"))
    (tmp_path / "old.html").write_text("another page")
    for options, message in (
        (["--report", tmp_path / "page.pdf"], "expected --report to end in .html"),
        (["--report", tmp_path / "none" / "page.html"], "there is no folder"),
        (["--report", tmp_path / "old.html"], "exists. Take another --report, or --overwrite it"),
        (["--no-thumbnails"], "--no-thumbnails needs --report FILE"),
        (["--overwrite"], "--resume and --overwrite need --out TABLE"),
    ):
        assert run("predict", photos, *options) == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "old.html").read_text() == "another page"
    assert run("predict", tmp_path / "lost.png", "--report", tmp_path / "new.html") == 1
    assert "cannot be opened" in read_report(tmp_path / "new.html")[0]
    assert run("predict", photos / "black.png", "--report", tmp_path / "old.html") == 2


@pytest.mark.usefixtures("halves")
def test_overwriting(photos, tmp_path, run):
    report = tmp_path / "old.html"
    report.write_text("another page")
    assert run("predict", photos / "a.png", "--report", report, "--overwrite") == 0
    assert read_report(report)[1] == ["a.png"]


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("crop", [False, True])
def test_a_report_of_an_evaluation(crop, noise, tmp_path, run, capsys):
    folder, report = tmp_path / "faces", tmp_path / "evaluation.html"
    for number, name in enumerate(("happy", "sad", "fear")):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            pixels = noise(10 * number + i, 60, 220)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    Image.new("RGB", (40, 40)).save(folder / "sad" / "black.png")
    (folder / "sad" / "broken.png").write_bytes(b"\x89PNG no more")
    how = ["--crop"] if crop else ["--no-check"]
    assert run("evaluate", folder, *how, "--report", report) == 1
    n = 9 if crop else 10
    assert f"{n} images, model embedded" in capsys.readouterr().out
    page = report.read_text(encoding="utf-8")
    assert f"Evaluation on {n} images" in page
    assert f"Images that were left out: {2 if crop else 1}" in page
    assert ("shows no face that is found" in page) == crop
    wrong = int(re.search(r"Of (\d+) mistakes", page).group(1))
    assert page.count("<img ") == wrong > 0
    assert page.count("sad/broken.png") >= 1
    assert run("evaluate", folder, *how, "--report", report, "--no-thumbnails") == 1
    assert "<img " not in report.read_text(encoding="utf-8")


def test_pictures_of_mistakes_are_the_crops(halves, tmp_path, run):
    photo = np.zeros((100, 300, 3), np.uint8)
    photo[:, 240:] = (250, 250, 0)  # the larger face, on the right
    for name in ("happy", "sad", "fear"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(photo).save(tmp_path / "photos" / name / "a.png")
    report = tmp_path / "evaluation.html"
    assert run("evaluate", tmp_path / "photos", "--crop", "--report", report) == 0
    urls = re.findall(r'<img src="data:image/jpeg;base64,([^"]*)"', report.read_text())
    crop = halves.prepare().crops(photo)[1][1]
    for url in urls:
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(url))), float)
        assert shown.shape == crop.shape
        # JPEG at this quality moves a border of two colours by a few levels on the average
        assert np.abs(shown - crop).mean() < 8
    assert len(urls) >= 2
