"""The demo of several labels per image, on drawn scenes and on a table of a few of them."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pytorch_lightning", reason="the demo trains with Lightning")
pytest.importorskip("matplotlib", reason="the demo draws with matplotlib")

from emotion_estimators.datasets import SCENE_LABELS, make_scenes


def run(script, capsys, *arguments):
    script.main([*map(str, arguments), "--image-size", "32", "--epochs", "1"])
    return capsys.readouterr().out


def test_scenes_are_drawn_where_no_table_is_named(script, capsys, tmp_path):
    out = run(script, capsys, "--samples", 80, "--output", tmp_path / "new")
    assert "drawn by make_scenes" in out
    assert "64 images to learn from, 16 to measure on" in out
    for name in SCENE_LABELS:
        assert f"\n{name}" in out
    with Image.open(tmp_path / "new" / "multilabel_predictions.png") as sheet:
        assert np.ptp(np.asarray(sheet.convert("L"))) > 200


def test_a_table_of_your_own(script, capsys, tmp_path):
    X, Y = make_scenes(60, image_size=48, random_state=0)
    lines = ["Image_Name,Classes,cycle,motorcycle"]
    for number, (image, row) in enumerate(zip(X, Y, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,,{row[SCENE_LABELS.index('cycle')]},{row[0]}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    out = run(script, capsys, "--csv", table, "--out", tmp_path / "out")
    assert f"60 images in {tmp_path}, with 2 labels by {table}" in out
    assert "\ncycle" in out
    assert "\ntruck" not in out
    assert (tmp_path / "out" / "multilabel_predictions.png").is_file()
