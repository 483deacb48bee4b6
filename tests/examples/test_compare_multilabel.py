"""The table of losses and of classifiers of features, on a few small scenes."""

import pytest

pytest.importorskip("pytorch_lightning", reason="the example trains with Lightning")


def test_one_row_for_each_model_of_all_its_runs(script, capsys, tmp_path):
    sizes = ["--train", "60", "--test", "40", "--size", "32", "--epochs", "1"]
    chosen = ["--seeds", "0", "1", "--losses", "bce", "--out", str(tmp_path / "runs.csv")]
    runs = script.main([*sizes, *chosen])
    assert len(runs) == 4
    assert runs["macro AP"].between(0.1, 1).all()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in lines}) == 1
    network, *features = lines[2:]
    assert network.startswith("| network, bce | 2 | ")
    gains = runs["macro F1 tuned"] - runs["macro F1 at 0.5"]
    assert f"{gains[0]:+.3f}, {gains[1]:+.3f}" in network
    assert [line.split(" | ")[4] for line in features] == ["-", "-"]  # they tune nothing
    assert (tmp_path / "runs.csv").is_file()
