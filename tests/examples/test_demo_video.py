"""The demo of a video: a pan over the real photograph where the data folder is, else another."""

import re

import numpy as np
import pytest

pytest.importorskip("av", reason="the demo writes a clip")
pytest.importorskip("matplotlib", reason="the demo draws with matplotlib")
pytest.importorskip("pandas", reason="the demo makes a table")

from emotion_estimators.images import read_image


def test_without_data_or_network(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("EMOTION_ESTIMATORS_DATA", str(tmp_path))
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path))
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    script.main(["--out", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    assert "the portrait of the package" in printed
    assert "20 frames looked at, 1 tracks" in printed
    assert re.search(r"track 0: 0\.0 to 3\.8 s: .*happy", printed)
    assert np.ptp(read_image(tmp_path / "new" / "video_emotions.png")) > 200


def test_the_real_photograph(script, data_dir, capsys, tmp_path):
    script.main(["--data", str(data_dir), "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "multiface.jpg, real" in printed
    n_tracks = int(re.search(r"20 frames looked at, (\d+) tracks", printed)[1])
    assert 4 <= n_tracks <= 5  # the upper part shows four of the people; one leaves the picture
