"""The examples of the gallery run as they stand, quickly, and are written as promised.

`make docs` runs them, in one process, and checks their time, warnings and what they print
(``docs/_ext/gallery_checks.py``); each alone, as a user would run it, is run by `make test-slow`.
"""

import ast
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("plot_*.py"))
NEEDED = {
    "plot_checkpoints": "skorch",
    "plot_custom_network": "skorch",
    "plot_emoji_network": "keras",
    "plot_several_labels": "pytorch_lightning",
}
SECONDS = 60  # of all processors together; slow ones take three times as long as fast ones


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 16


@pytest.mark.slow  # a minute or two in all; the build of the documentation runs them as well
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda p: p.stem)
def test_runs_in_time_without_network_and_warnings(script: Path, tmp_path: Path) -> None:
    for module in ("matplotlib", NEEDED.get(script.stem, "sklearn")):
        pytest.importorskip(module, reason="the gallery needs it")
    environment = os.environ | {
        "EMOTION_ESTIMATORS_CACHE": str(tmp_path / "cache"),
        "EMOTION_ESTIMATORS_OFFLINE": "1",
        "KERAS_BACKEND": "torch",  # TensorFlow takes longer to import
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",  # threads that wait for each other count as work
    }
    environment.pop("EMOTION_ESTIMATORS_DATA", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 0, process.stderr
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < SECONDS
    assert (
        "always the same" in process.stdout
        or "dummy" in process.stdout
        or "shares" in process.stdout
    )


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda p: p.stem)
def test_has_a_baseline_and_says_what_it_does_not_show(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert any(name.startswith("Dummy") for name in names)
    assert source.count("# What this does not show\n# -----------------------\n") == 1
    assert source.startswith('"""\n')


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda p: p.stem)
def test_draws_figures_whose_labels_have_room(script: Path) -> None:
    """A figure makes its thumbnail, its title the text for who does not see it."""
    source = script.read_text(encoding="utf-8")
    made = source.count("plt.subplots(")
    assert made + source.count("PredictionDisplay.from_") > 0
    assert source.count('layout="constrained"') == made
    assert len(re.findall(r"title\(|title=", source)) >= made
