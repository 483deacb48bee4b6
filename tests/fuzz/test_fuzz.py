"""What the fuzzing campaign is given, and what it once found, is met in order."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent / "campaign.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def run(*arguments):
    command = [sys.executable, str(CAMPAIGN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "target", ["images", "hdf5", "torch", "csv", "fer2013", "folders", "cache"]
)
def test_known_inputs(target):
    if target == "torch":
        pytest.importorskip("torch", reason="torch writes the files")
    result = run(target, "--minutes=0")
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{target}: " in result.stdout
    assert "fault" not in result.stdout


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("os.abort()", "crash: exit status -6"),
        ("[b'x' * 2**24 for _ in iter(int, 1)]", "memory: more than 512 MiB"),
        ("bytearray(2**28 + 2**26)", r"memory: 3\d\d MiB, then taken"),
        ("all(True for _ in iter(int, 1))", "hang: 5"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_faults_are_seen(tmp_path, behaviour, reason):
    """Give the campaign a library that is at fault."""
    (tmp_path / "worker.py").write_text((CAMPAIGN.parent / "worker.py").read_text())
    campaign = CAMPAIGN.read_text()
    assert "MAX_BYTES = 1 << 30\n" in campaign
    # not all machines fill so much within the seconds of a hang
    campaign = campaign.replace("MAX_BYTES = 1 << 30\n", "MAX_BYTES = 1 << 28\n")
    (tmp_path / "campaign.py").write_text(campaign)
    (tmp_path / "seeds.py").write_text("SEEDS = {'csv': lambda: [('only', b'input')]}\n")
    (tmp_path / "targets.py").write_text(
        f"import os\ndef csv(data, folder):\n    {behaviour}\n    return True\n"
        "TARGETS = {'csv': csv}\n"
    )
    command = [sys.executable, str(tmp_path / "campaign.py"), "csv", "--minutes=0"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.search(reason, result.stdout)
