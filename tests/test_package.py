import importlib
import pydoc
import resource
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import emotion_estimators
from emotion_estimators import _optional
from emotion_estimators._optional import import_optional
from emotion_estimators.exceptions import MissingDependencyError


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_the_package_loads_no_heavy_library():
    heavy = ["sklearn", "torch", "keras", "tensorflow", "skimage", "matplotlib", "scipy"]
    heavy += ["PIL", "numpy", "pandas", "onnxruntime", "h5py"]
    loaded = run(
        f"import sys, emotion_estimators\nprint([name for name in {heavy} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_importing_an_estimator_loads_no_optional_or_compiled_library():
    heavy = ["torch", "keras", "tensorflow", "skimage", "matplotlib", "pandas"]
    loaded = run(
        # scikit-learn 1.6 imports pandas by itself
        "import sys\nimport sklearn.base\nbefore = set(sys.modules)\n"
        "from emotion_estimators import HOGTransformer\nHOGTransformer()\n"
        f"print([name for name in {heavy} if name in set(sys.modules) - before])"
    )
    assert loaded.strip() == "[]"


def test_importing_a_loader_draws_no_faces():
    loaded = run(
        "import sys\nfrom emotion_estimators.datasets import load_image_folder\n"
        "print({'PIL', 'emotion_estimators.datasets.drawn_faces'} & set(sys.modules))"
    )
    assert loaded.strip() == "set()"


def test_importing_the_package_is_fast():
    def seconds(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # pairs of seconds of processor time, so that other work on the machine does not count
    extra = [seconds("import emotion_estimators") - seconds("pass") for _ in range(7)]
    assert statistics.median(extra) < 0.1


def test_every_public_name_can_be_imported():
    assert "HOGTransformer" in dir(emotion_estimators)
    for name in dir(emotion_estimators):
        assert getattr(emotion_estimators, name) is not None


def test_every_public_module_is_an_attribute_of_the_package():
    folder = Path(emotion_estimators.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    modules = {name for name in modules if not name.startswith("_")}
    code = (
        "import emotion_estimators\nnames = {0}\n"
        "print(*[name for name in names if not hasattr(emotion_estimators, name)])"
    )
    assert set(run(code.format(sorted(modules))).split()) == {"cli", "training"}  # no library


def test_help_of_the_package_fits_on_a_screen_or_two():
    text = pydoc.render_doc(emotion_estimators, renderer=pydoc.plaintext)

    assert len(text.splitlines()) <= 60
    assert "PretrainedEmotionClassifier" in text


def test_version_is_the_one_of_the_distribution():
    assert emotion_estimators.__version__ == version("emotion-estimators")


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchEstimator"):
        emotion_estimators.NoSuchEstimator  # noqa: B018


def test_import_optional_returns_the_module():
    assert import_optional("json", extra="torch", needed_by="Test") is importlib.import_module(
        "json"
    )


def test_import_optional_says_which_extra_to_install():
    with pytest.raises(
        MissingDependencyError,
        match=r"FacenetEmbedder needs no_such_torch\. Install it with: "
        r'pip install "emotion-estimators\[torch\]"',
    ):
        import_optional("no_such_torch.nn", extra="torch", needed_by="FacenetEmbedder")


def test_import_optional_lets_the_error_of_a_broken_package_through(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import what_it_needs")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_needs"):
        import_optional("broken_package", extra="torch", needed_by="Test")


BROKEN = "raise RuntimeError('operator torchvision::nms does not exist')"


@pytest.mark.parametrize(
    ("torch", "files", "match"),
    [
        (
            "2.13.0+cpu",
            {"torchvision": BROKEN, "lightning": "import torchvision"},
            r"Net needs lightning, which imports the torchvision that is installed, and that does "
            r"not fit torch \(operator torchvision::nms does not exist\)\. For torch 2\.13\.0\+cpu "
            r"it is installed with: pip install --force-reinstall --no-deps "
            r'"torchvision==0\.28\.\*" --index-url https://download\.pytorch\.org/whl/cpu; '
            r"to do without it: pip uninstall torchvision$",
        ),
        ("2.4.1", {"torchvision": BROKEN, "timm": "import torchvision"}, r'==0\.19\.\*"$'),
        ("2.9.0+cu130", {"timm": "import torchvision"}, r"timm, which needs .*/whl/cu130$"),
    ],
)
def test_import_optional_says_which_torchvision_fits_torch(
    tmp_path, monkeypatch, torch, files, match
):
    """Only the version of torch is read: these stand for packages that import torchvision."""
    for name in ("torchvision", "timm", "lightning"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    package = "timm" if "timm" in files else "lightning"
    for name, content in files.items():
        (tmp_path / f"{name}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_optional, "version", lambda _: torch)
    with pytest.raises(MissingDependencyError, match=match):
        import_optional(package, extra="lightning", needed_by="Net")
