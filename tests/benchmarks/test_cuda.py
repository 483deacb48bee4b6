"""The benchmark of trainings on a GPU, on the CPU with a few drawn faces and scenes."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("skorch", reason="the benchmark trains with skorch")
pytest.importorskip("pytorch_lightning", reason="the benchmark trains with Lightning")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "cuda.py"


@pytest.fixture(scope="module")
def main():
    spec = importlib.util.spec_from_file_location("cuda_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_a_row_for_each_network(main, capsys, tmp_path):
    sizes = ["--faces", "56", "--test-faces", "70", "--large-faces", "8", "--face-size", "75"]
    scenes = ["--scenes", "40", "--scene-size", "32", "--backbone", "resnet6-tiny"]
    where = ["--device", "cpu", "--data", str(tmp_path), "--minutes", "0.01", "--max-epochs", "2"]
    main([*where, *sizes, *scenes])
    lines = capsys.readouterr().out.splitlines()
    assert "trained in torch." in lines[0]
    assert len({line.count("|") for line in lines[1:]}) == 1
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in lines[3:]}
    assert list(rows) == ["emotion", "facenet", "multilabel"]
    assert [row[1] for row in rows.values()] == ["56", "8", "40"]
    for row in rows.values():
        assert row[2] in ("1", "2")
        assert float(row[4]) > 0
        assert float(row[5]) > 0
        assert 0.05 < float(row[7].strip(" |")) < 1000  # GiB, torch's libraries among them
    shares = re.findall(r"label ([\d.]+), clear majority ([\d.]+)", rows["emotion"][6])
    assert all(0 <= float(share) <= 1 for share in shares[0])
    assert 0 <= float(rows["multilabel"][6].removeprefix("macro AP ")) <= 1


def test_without_a_card():
    done = subprocess.run(
        [sys.executable, SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "no CUDA device: nothing was measured" in done.stdout
