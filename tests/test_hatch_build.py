"""The build of the compiled loops: which compiler, for which system, and what if it fails."""

import ctypes
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import emotion_estimators
from emotion_estimators.features.hog import kernel
from emotion_estimators.features.hog import library as hog_library
from emotion_estimators.features.hog.kernel import hog_descriptors

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "emotion_estimators" / "features" / "hog"

pytest.importorskip("hatchling", reason="it runs what is tested here")


@pytest.fixture(scope="module")
def hatch_build():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def no_wishes(hatch_build, monkeypatch):
    """Let nothing of the user's choose the compiler."""
    for name in ("CC", hatch_build.TARGET):
        monkeypatch.delenv(name, raising=False)


def make_hook(hatch_build, root):
    return hatch_build.HOGLibraryHook(str(root), {}, None, None, str(root), "wheel")


ZIG = [sys.executable, "-m", "ziglang", "cc"]


@pytest.mark.parametrize(
    ("environment", "working", "command"),
    [
        ({}, {"cc", "gcc", "clang"}, ["cc"]),
        ({}, {"gcc", "clang"}, ["gcc"]),
        ({}, {"clang"}, ["clang"]),
        ({}, set(), [*ZIG, "-mcpu=baseline", "-s"]),
        ({"CC": "ccache gcc-13"}, {"cc"}, ["ccache", "gcc-13"]),
        ({"CC": ""}, {"cc"}, ["cc"]),
        ({"CC": "zig cc"}, {"cc"}, ["zig", "cc", "-mcpu=baseline"]),
        ({"CC": "/opt/zig/bin/gcc"}, {"cc"}, ["/opt/zig/bin/gcc"]),
        (
            {"EMOTION_ESTIMATORS_BUILD_TARGET": "x86_64-windows-gnu", "CC": "gcc"},
            {"cc"},
            [*ZIG, "-target", "x86_64-windows-gnu", "-s"],
        ),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="no compiler is looked for on Windows")
def test_compiler(hatch_build, environment, working, command):
    assert hatch_build.choose_compiler(environment, working.__contains__) == command


@pytest.mark.usefixtures("no_wishes")
@pytest.mark.parametrize(("works", "needs"), [(True, []), (False, ["ziglang>=0.13"])])
def test_ziglang_is_asked_for_where_no_compiler_is(
    hatch_build, monkeypatch, tmp_path, works, needs
):
    monkeypatch.setattr(hatch_build, "can_compile", lambda _: works)
    if sys.platform != "win32":
        assert make_hook(hatch_build, tmp_path).dependencies() == needs
    monkeypatch.setenv(hatch_build.TARGET, "aarch64-macos.11.0")
    assert make_hook(hatch_build, tmp_path).dependencies() == ["ziglang>=0.13"]


def test_a_compiler_without_headers_or_linker_does_not_work(hatch_build, monkeypatch, tmp_path):
    (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not hatch_build.can_compile("cc")
    assert not hatch_build.can_compile("gcc")


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        ([sys.executable, "-c", "raise SystemExit('no such header')"], "no such header"),
        (["/no/such/compiler"], "No such file|cannot find the file"),
    ],
)
def test_failure_is_reported_with_the_compilers_words(hatch_build, tmp_path, compiler, message):
    with pytest.raises(
        hatch_build.CompileError,
        match=rf"(?s)could not be compiled by.*{re.escape(compiler[0])}.*which says.*"
        rf"({message}).*environment variable CC.*pip install ziglang",
    ):
        hatch_build.compile_library(SOURCE, tmp_path / "library", compiler)


@pytest.mark.usefixtures("no_wishes")
def test_compiles_and_loads(hatch_build, tmp_path, monkeypatch):
    command = hatch_build.choose_compiler({})
    if "ziglang" in command and importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs a C compiler")
    library = tmp_path / hatch_build.library_name(None)
    hatch_build.compile_library(SOURCE, library, command)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32), dtype=np.uint8)
    expected = hog_descriptors(images)
    loops = hog_library.HogLoops(ctypes.CDLL(str(library)), 0)
    monkeypatch.setattr(kernel, "load_hog_loops", lambda: loops)
    np.testing.assert_array_equal(hog_descriptors(images), expected)


@pytest.mark.usefixtures("no_wishes")
def test_wheel_and_editable_install(hatch_build, monkeypatch, tmp_path):
    def compile_library(_, library, compiler):
        library.write_text(" ".join(compiler))

    monkeypatch.setattr(hatch_build, "compile_library", compile_library)
    source = tmp_path / "src" / "emotion_estimators" / "features" / "hog"
    source.mkdir(parents=True)

    monkeypatch.setenv(hatch_build.TARGET, "x86_64-windows-gnu")
    hook = make_hook(hatch_build, tmp_path)
    data = {"force_include": {}}
    hook.initialize("standard", data)
    [(library, place)] = data["force_include"].items()
    assert place == "emotion_estimators/features/hog/lib_hog_loops.native.dll"
    assert "-target x86_64-windows-gnu" in Path(library).read_text()
    assert (data["tag"], data["pure_python"]) == ("py3-none-win_amd64", False)
    hook.finalize("standard", data, "")
    assert not Path(library).exists()
    assert not list(source.iterdir())

    hook = make_hook(hatch_build, tmp_path)
    data = {"force_include": {}}
    hook.initialize("editable", data)  # it is for this system, whatever wheels are for
    hook.finalize("editable", data, "")
    assert [path.name for path in source.iterdir()] == [hog_library._PATH.name]
    assert "-target" not in (source / hog_library._PATH.name).read_text()
    assert data["force_include"] == {}
    assert data["tag"] == f"py3-none-{hatch_build.this_platform()}"
    assert "many" not in data["tag"]


@pytest.mark.usefixtures("no_wishes")
def test_unknown_target(hatch_build, monkeypatch, tmp_path):
    monkeypatch.setenv(hatch_build.TARGET, "pdp11")
    with pytest.raises(hatch_build.CompileError, match=r"must be one of x86_64-linux.* 'pdp11'"):
        make_hook(hatch_build, tmp_path).initialize("standard", {})


def test_make_dist_builds_all_wheels(hatch_build):
    line = re.search(r"^WHEELS \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line.group(1).split() == list(hatch_build.WHEELS)


@pytest.fixture
def project(tmp_path):
    """Return what the metadata of the package are made of, with an address of its source."""
    for name in ("README.md", "LICENSE", "THIRD_PARTY.md", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    package = tmp_path / "src" / "emotion_estimators"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "src" / "emotion_estimators" / "__init__.py", package)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    empty = '[tool.hatch.metadata.hooks.custom]\nrepository = ""\n'
    assert settings.count(empty) == 1
    here = empty.replace('""', '"https://github.com/Someone/faces/"')
    (tmp_path / "pyproject.toml").write_text(settings.replace(empty, here), encoding="utf-8")
    return tmp_path


def metadata(root):
    """Return the metadata that wheels of a project have, as hatchling makes them."""
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    return ProjectMetadata(str(root), PluginManager())


def test_metadata_without_an_address_of_the_source():
    found = metadata(ROOT)
    assert found.version == emotion_estimators.__version__
    assert found.core.urls == {}
    assert found.core.readme == (ROOT / "README.md").read_text(encoding="utf-8")
    licences = {Path(path).name for path in found.core.license_files}
    assert licences >= {"LICENSE", "THIRD_PARTY.md", "yunet-MIT.txt", "CC-BY-4.0.txt"}


def test_links_are_made_of_the_address_of_the_source(project):
    found = metadata(project)
    source = "https://github.com/Someone/faces"
    assert found.core.urls == {
        "Documentation": "https://someone.github.io/faces",
        "Source": source,
        "Issues": f"{source}/issues",
        "Changelog": f"{source}/blob/main/CHANGELOG.md",
    }
    targets = re.findall(r"\]\(([^)\s]+)\)", found.core.readme)
    assert f"{source}/blob/v{found.version}/THIRD_PARTY.md" in targets
    assert [target for target in targets if not target.startswith("https://")] == []


def test_links_of_images_and_of_elsewhere(hatch_build):
    text = (
        "![a](docs/a.png) [b](b.md#c) [d](#d) [e](https://example.org/e) [![f](f.png)](f.md) "
        '<img src="g.svg" alt="g">'
    )
    assert hatch_build.absolute_links(text, "https://x.org/y/z", "v1") == (
        "![a](https://x.org/y/z/raw/v1/docs/a.png) [b](https://x.org/y/z/blob/v1/b.md#c) [d](#d) "
        "[e](https://example.org/e) "
        "[![f](https://x.org/y/z/raw/v1/f.png)](https://x.org/y/z/blob/v1/f.md) "
        '<img src="https://x.org/y/z/raw/v1/g.svg" alt="g">'
    )
