"""Where the cache is."""

from pathlib import Path

import pytest

from emotion_estimators import _downloads
from emotion_estimators._downloads import cache_folder


# as pooch.os_cache gives it, which is platformdirs.user_cache_dir: caches from then stay in use
@pytest.mark.parametrize(
    ("platform", "named", "expected"),
    [
        ("linux", {}, ".cache/emotion_estimators"),
        ("linux", {"XDG_CACHE_HOME": "xdg"}, "xdg/emotion_estimators"),
        ("linux", {"LOCALAPPDATA": "local"}, ".cache/emotion_estimators"),
        ("freebsd14", {}, ".cache/emotion_estimators"),
        ("darwin", {}, "Library/Caches/emotion_estimators"),
        ("darwin", {"XDG_CACHE_HOME": "xdg"}, "xdg/emotion_estimators"),
        ("win32", {}, "AppData/Local/emotion_estimators/emotion_estimators/Cache"),
        (
            "win32",
            {"LOCALAPPDATA": "local", "XDG_CACHE_HOME": "xdg"},
            "local/emotion_estimators/emotion_estimators/Cache",
        ),
    ],
)
def test_the_cache_of_each_system(tmp_path, monkeypatch, platform, named, expected):
    for name in ("EMOTION_ESTIMATORS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name, folder in named.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr(_downloads.sys, "platform", platform)
    assert cache_folder("weights") == tmp_path / expected / "weights"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path / "ours"))
    assert cache_folder("weights") == tmp_path / "ours" / "weights"


@pytest.mark.parametrize("named", ["", "relative/folder", "~/folder"])
def test_an_xdg_folder_that_is_not_absolute_is_ignored(tmp_path, monkeypatch, named):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert _downloads._user_cache("linux") == tmp_path / ".cache" / "emotion_estimators"


def test_no_home_folder(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    for name in ("EMOTION_ESTIMATORS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", fail)
    with pytest.raises(OSError, match=r"there is none .*Set EMOTION_ESTIMATORS_CACHE to a folder"):
        cache_folder("weights")
