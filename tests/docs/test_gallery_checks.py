"""What the build of the documentation asks of the gallery is noticed where it is missing."""

import importlib
import warnings
from pathlib import Path

import pytest

GOOD = """Title
=====

.. code-block:: Python

    print("x")

.. image-sg:: /gallery/images/sphx_glr_plot_two_words_001.png
   :alt: Confusion matrix: the network
   :srcset: /gallery/images/sphx_glr_plot_two_words_001.png
   :class: sphx-glr-single-img

.. rst-class:: sphx-glr-script-out

 .. code-block:: none

    always the same class 0.143

Then a dummy is spoken of.
"""


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs" / "_ext")
    return importlib.import_module("gallery_checks")


def test_a_whole_page_has_no_problems(checks) -> None:
    assert checks.page_problems("plot_two_words", GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("always the same class", "nothing", "no baseline is printed"),
        (".. image-sg::", ".. figure::", "no picture"),
        ("Confusion matrix: the network", "plot two words", "no alternative text"),
        ("Confusion matrix: the network", "two words", "no alternative text"),
    ],
)
def test_what_a_page_lacks_is_said(checks, old: str, new: str, problem: str) -> None:
    (found,) = checks.page_problems("plot_two_words", GOOD.replace(old, new))
    assert problem in found


def test_time_is_bounded_for_one_and_for_all(checks) -> None:
    assert checks.time_problems({"a": 89.0, "b": 89.0}) == []
    (found,) = checks.time_problems({"a": 89.0, "b": 91.0})
    assert found.startswith("b took 91 s")
    (found,) = checks.time_problems(dict.fromkeys("abcdefg", 80.0))
    assert "took 560 s of the processor together" in found


def test_examples_are_watched(checks, monkeypatch) -> None:
    monkeypatch.setattr(checks, "_spent", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks.watch({}, "one.py", "before")
        with pytest.raises(UserWarning, match="careful"):
            warnings.warn("careful", UserWarning, stacklevel=1)
        sum(range(300_000))
        checks.watch({}, "one.py", "after")
        warnings.warn("careful", UserWarning, stacklevel=1)  # ignored, as before
    assert 0 <= checks._spent["one.py"] < 60
