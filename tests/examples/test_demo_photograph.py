"""The demo of a photograph: the real one where the data folder is, else the package's."""

import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="the demo draws with matplotlib")
pytest.importorskip("pandas", reason="the demo prints a table")

from emotion_estimators.datasets import load_sample_photograph
from emotion_estimators.images import read_image


def read_boxes(printed):
    """Return x, y, width and height of the faces in the table that was printed."""
    rows = re.findall(r"^ *\d+ +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) .*[a-z]", printed, re.M)
    return np.array(rows, float).reshape(-1, 4)


def check_pictures(folder, photo, boxes):
    """Check that boxes and nothing else is drawn, and that the heat map is no plain image."""
    drawn = read_image(folder / "photograph_faces.png")
    assert drawn.shape == photo.shape
    changed = np.any(drawn != photo, axis=2)
    near = np.zeros_like(changed)
    for x, y, width, height in boxes:
        left, top = int(x), int(y)
        right, bottom = int(x + width), int(y + height)
        assert changed[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4].any()
        # labels stand above or below their boxes, and may be wider
        near[max(0, top - 60) : bottom + 60, max(0, left - 60) : right + 200] = True
    assert not changed[~near].any()
    with Image.open(folder / "photograph_what_decided.png") as picture:
        assert np.ptp(np.asarray(picture.convert("L"))) > 200


def test_without_data_or_network(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("EMOTION_ESTIMATORS_DATA", str(tmp_path))
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path))
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    script.main(["--out", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    assert "the portrait of the package" in printed
    boxes = read_boxes(printed)
    # her face is at x 170 to 280, y 60 to 180 of 512 px
    ((x, y, width, height),) = boxes
    assert abs(x + width / 2 - 225) < 30
    assert abs(y + height / 2 - 120) < 30
    check_pictures(tmp_path / "new", read_image(load_sample_photograph()), boxes)
    assert "Faces in 1 photograph<" in (tmp_path / "new" / "photograph_report.html").read_text()


def test_the_real_photograph(script, data_dir, capsys, tmp_path):
    script.main(["--data", str(data_dir), "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "multiface.jpg, real" in printed
    boxes = read_boxes(printed)
    assert len(boxes) == 6
    check_pictures(tmp_path, read_image(data_dir / "photos" / "multiface.jpg"), boxes)
    page = (tmp_path / "photograph_report.html").read_text()
    assert "multiface.jpg, with 6 numbered faces" in page
