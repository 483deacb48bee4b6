"""Progress bars where standard error is absent, closed, broken or no file."""

import io
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import emotion_estimators
from emotion_estimators._progress import is_terminal, progress_bar


class Broken(io.StringIO):
    """What is left of a pipe whose reader has gone, or of a full disk."""

    def write(self, text=""):
        raise BrokenPipeError(32, f"Broken pipe for {len(text)} characters")

    flush = write


class OnlyWrite:
    """What some programs with windows put there."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, closed(), Broken()], ids=["absent", "closed", "broken"])
def test_nothing_fails(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(total=3, desc="work") as bar:
        bar.update(2)
    assert list(progress_bar(range(3), mininterval=0)) == [0, 1, 2]
    assert not is_terminal(stream)


@pytest.mark.parametrize("stream", [io.StringIO(), OnlyWrite()], ids=["StringIO", "only write"])
def test_what_can_be_written_to_gets_the_bar(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    list(progress_bar(range(3), desc="work", is_shown=1))
    text = stream.getvalue() if isinstance(stream, io.StringIO) else stream.text
    assert "work: 100%" in text
    assert "3/3" in text
    assert not is_terminal(stream)


def test_nothing_is_written_where_it_is_not_shown(capfd):
    list(progress_bar(range(3), is_shown=0))
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_it_is_the_only_door_to_tqdm():
    root = Path(emotion_estimators.__file__).parent
    users = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "from tqdm" in (text := path.read_text(encoding="utf-8")) or "import tqdm" in text
    ]
    assert users == ["_progress.py"]


def test_estimators_in_a_program_without_a_console():
    code = """
    import sys
    sys.stdout = sys.stderr = None
    import numpy as np
    from emotion_estimators import (
        FaceCropper, MirrorKernelRidgeClassifier, PretrainedEmotionClassifier
    )
    from emotion_estimators.analysis import analyze_faces

    X = np.random.default_rng(0).random((6, 48, 48))
    classifier = PretrainedEmotionClassifier(verbose=1)
    classifier.predict(X)
    cropper = FaceCropper(detector=lambda photo: [[0, 0, 40, 40]], verbose=1)
    cropper.transform(X)
    MirrorKernelRidgeClassifier(verbose=True).fit(X, ["a", "b"] * 3).predict(X)
    if "pandas" in sys.modules or __import__("importlib.util").util.find_spec("pandas"):
        assert len(analyze_faces(X, cropper=cropper, classifier=classifier, verbose=1)) == 6
    """
    code = textwrap.dedent(code) + "sys.exit(7)\n"  # an error would end in 1
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
