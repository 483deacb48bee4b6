"""The build of the compiled loops: which compiler, for which system, and what if it fails."""

import ctypes
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

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
