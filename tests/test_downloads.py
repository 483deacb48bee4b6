"""Where the cache is, and how patient a download is; tests/test_http.py has what servers do."""

import os
import subprocess
import sys

import pytest

from emotion_estimators import _downloads
from emotion_estimators._downloads import (
    CutOffError,
    NotThereError,
    cache_folder,
    readable_address,
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a home folder, the only one that the environment names."""
    for name in ("EMOTION_ESTIMATORS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def test_the_cache_is_where_the_system_keeps_caches(home, monkeypatch):
    folder = cache_folder("weights")
    assert folder.is_absolute()
    assert folder.name == "weights"
    assert "emotion_estimators" in folder.parts
    if sys.platform == "linux":
        assert folder == home / ".cache" / "emotion_estimators" / "weights"
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
        assert cache_folder("weights") == home / "xdg" / "emotion_estimators" / "weights"
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(home / "ours"))
    assert cache_folder("weights") == home / "ours" / "weights"
    assert list(home.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is for Linux")
@pytest.mark.parametrize("named", ["", "relative/folder", "~/folder"])
def test_an_xdg_folder_that_is_not_absolute_is_ignored(home, monkeypatch, named):
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert cache_folder("weights") == home / ".cache" / "emotion_estimators" / "weights"


@pytest.mark.skipif(sys.platform == "win32", reason="a home folder is asked of the system")
def test_no_home_folder(home, monkeypatch):  # noqa: ARG001 - no other folder is named
    def fail(_):
        raise KeyError("no such user")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", fail)
    with pytest.raises(OSError, match=r"there is none .*Set EMOTION_ESTIMATORS_CACHE to a folder"):
        cache_folder("weights")


def test_importing_it_loads_no_network():
    code = (
        "import sys, emotion_estimators.weights\n"
        "print({'requests', 'urllib3', 'ssl', 'socket', 'http.client', 'urllib.request'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host:8/a@b/c%20d", "https://host:8/a@b/c%20d"),
        ("https://me:pass@host/a?token=x#y", "https://***@host/a?***"),
        ("https://me:p@ss@host/a", "https://***@host/a"),
        ("https://me:pass/word@host/a", "an address that cannot be read"),
        ("me:pass@host/a", "***@host/a"),
        ("ftp://x", "ftp://x"),
        ("my.mirror", "my.mirror"),
        ("https://host/\x1b[2J\u202e" + "a" * 500, "https://host/ [2J " + "a" * 282),
    ],
)
def test_addresses_as_messages_show_them(url, shown):
    assert readable_address(url) == shown


def test_what_is_lost_is_tried_three_times(get, http_server):
    http_server.answers = [(500, b""), lambda _: None, (200, b"whole")]
    assert get(http_server.url) == b"whole"
    assert http_server.n_requests == 3
    http_server.answers = [lambda handler: handler.wfile.write(b"no HTTP\r\n")]
    with pytest.raises(ConnectionError, match=r"^A file cannot be .*: BadStatus.*\. Do some"):
        get(http_server.url)
    assert http_server.n_requests == 6


def test_a_check_that_finds_the_end_missing_is_tried_three_times(get, http_server):
    def check(file):
        if file.read() != b"whole":
            raise CutOffError("half of it")

    http_server.answers = [(200, b"a"), (200, b"longer"), (200, b"whole")]
    assert get(http_server.url, check=check) == b"whole"
    assert http_server.n_requests == 3
    http_server.answers = [(200, b"half")]
    with pytest.raises(ConnectionError, match=r"half of it\. Do something"):
        get(http_server.url, check=check)
    assert http_server.n_requests == 6


@pytest.mark.parametrize(
    ("code", "error"), [(400, ConnectionError), (404, NotThereError), (410, NotThereError)]
)
def test_other_answers_are_final(get, http_server, code, error):
    http_server.answers = [(code, b"")]
    with pytest.raises(ConnectionError, match=f"HTTP Error {code}") as caught:
        get(http_server.url)
    assert type(caught.value) is error
    assert http_server.n_requests == 1


@pytest.mark.parametrize(
    "settings", [{"largest": 9}, {"size": 9}, {"size": 9, "largest": 100}], ids=str
)
def test_no_more_than_the_file_is_taken(get, http_server, settings):
    http_server.answers = [(200, b"123456789")]
    assert get(http_server.url, **settings) == b"123456789"
    http_server.answers = [(200, b"1234567890")]
    with pytest.raises(ValueError, match=r"A file: http.* sends more than the 9 bytes of the file"):
        get(http_server.url, **settings)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({"size": 9}, 60),
        ({"size": 10**8}, 5000),
        ({"largest": 9}, 60),
        ({"largest": 2 * 10**6}, 100),
        ({}, 3600),
    ],
)
def test_the_time_that_a_download_may_take(get, monkeypatch, settings, seconds):
    given = []

    def stop(_, *, timeout, ends):
        given.extend([timeout, ends - _downloads.time.monotonic()])
        yield b"x"

    monkeypatch.setattr(_downloads, "_pieces", stop)
    get("http://server.invalid/", **settings)
    assert given == [30.0, pytest.approx(seconds, abs=1)]


def test_a_folder_in_place_of_the_file_is_seen_first(get, http_server, cache_home):
    (cache_home / "file").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"cannot be stored in .*: file is a folder there"):
        get(http_server.url)
    assert http_server.n_requests == 0


def test_a_disk_that_is_full_is_no_matter_of_the_network(get, http_server, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    http_server.answers = [(200, b"whole")]
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(
        OSError, match=r"A file cannot be stored in .*No space left on device.*Do something else\."
    ) as caught:
        get(http_server.url)
    assert caught.value.errno == 28
    assert not isinstance(caught.value, ConnectionError)
    assert http_server.n_requests == 1


def test_a_disk_that_fills_up_while_a_file_is_written(get, http_server):
    resource = pytest.importorskip("resource", reason="sets the limit of a file's size")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    http_server.answers = [(200, bytes(1_000_000))]
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be stored in .*File too large.*Do something el"):
            get(http_server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert http_server.n_requests == 1
