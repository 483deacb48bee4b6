"""benchmarks/small_data.py prints a row for each classifier; extras.py one for each extra."""

import runpy
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from emotion_estimators.datasets import make_faces

ROOT = Path(__file__).parents[2]


def run(name: str, *arguments: str) -> None:
    argv, sys.argv = sys.argv, [name, *arguments]
    try:
        runpy.run_path(str(ROOT / "benchmarks" / name), run_name="__main__")
    finally:
        sys.argv = argv


def rows(printed: str) -> list[list[str]]:
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_few_drawn_faces(tmp_path, capsys):
    faces, emotions = make_faces(84, random_state=0)
    for i, (face, emotion) in enumerate(zip(faces, emotions, strict=True)):
        folder = tmp_path / ("train" if i < 56 else "test") / emotion
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(folder / f"{i}.png")

    paths = ["--train", str(tmp_path / "train"), "--test", str(tmp_path / "test")]
    run("small_data.py", *paths, "--faces", "40", "56", "--draws", "1")

    table = rows(capsys.readouterr().out)
    assert len(table) == 6
    happy = sum(emotions[56:] == "happy") / 28
    assert table[0] == ['always "happy"', f"{happy:.3f}", f"{happy:.3f}"]
    hog, embedded = (float(table[row][2]) for row in (1, 3))
    assert happy < hog <= 1
    assert happy < embedded <= 1


def test_no_faces_are_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit, match="1"):
        run("small_data.py", "--train", str(tmp_path / "none.zip"), "--test", str(tmp_path))
    assert "set EMOTION_ESTIMATORS_DATA" in capsys.readouterr().err


def test_a_row_for_each_extra(capsys):
    run("extras.py")

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = rows(capsys.readouterr().out)
    assert [row[0].strip("`") for row in table] == list(project["optional-dependencies"])
    sizes = {row[0].strip("`"): row[1:3] for row in table}
    assert float(sizes["plot"][1]) > 10  # matplotlib, and what it brings
    assert int(sizes["plot"][0]) > 2
