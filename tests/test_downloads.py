"""Where the cache is, and how patient a download is; the rest is in tests/weights/test_fetch.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from emotion_estimators import _downloads, _http
from emotion_estimators._downloads import CutOffError, Download, NotThereError, cache_folder


@pytest.fixture
def download(cache_home, http_server):
    """Return a function that downloads from an address, by default that of the server."""

    def run(url=http_server.url, check=lambda _: None, timeout=10.0):
        target = cache_home / "file"
        try:
            Download(
                what="A file",
                url=url,
                target=target,
                check=check,
                wrong=ValueError,
                if_unreachable="Do something.",
                if_unwritable="Do something else.",
                timeout=timeout,
            ).run()
        finally:
            assert [path for path in cache_home.rglob("*") if path != target] == []
        return target.read_bytes()

    return run


@pytest.fixture
def attempts(monkeypatch):
    """Return a list that grows with each attempt, also where no request arrives."""
    made = []
    opener = _http._opener

    def count():
        made.append(None)
        return opener()

    monkeypatch.setattr(_http, "_opener", count)
    return made


# as platformdirs.user_cache_dir("emotion_estimators") gives it
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


def test_importing_it_loads_no_network():
    code = (
        "import sys, emotion_estimators.weights\n"
        "print({'ssl', 'socket', 'http.client', 'urllib.request'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_what_is_lost_is_tried_three_times(download, http_server, attempts):
    http_server.answers = [(500, b""), lambda _: None, (200, b"whole")]
    assert download() == b"whole"
    assert len(attempts) == 3
    http_server.answers = [lambda handler: handler.wfile.write(b"no HTTP\r\n")]
    with pytest.raises(ConnectionError, match=r"^A file cannot be .*: BadStatus.*\. Do some"):
        download()
    assert len(attempts) == 6


def test_a_check_that_finds_the_end_missing_is_tried_three_times(download, http_server):
    def check(file):
        if file.read() != b"whole":
            raise CutOffError("half of it")

    http_server.answers = [(200, b"a"), (200, b"longer"), (200, b"whole")]
    assert download(check=check) == b"whole"
    assert http_server.n_requests == 3


@pytest.mark.parametrize(
    ("code", "error"), [(400, ConnectionError), (404, NotThereError), (410, NotThereError)]
)
def test_other_answers_are_final(download, http_server, code, error):
    http_server.answers = [(code, b"")]
    with pytest.raises(ConnectionError, match=f"HTTP Error {code}") as caught:
        download()
    assert type(caught.value) is error
    assert http_server.n_requests == 1


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/file", "data:,abc"])
def test_other_schemes_are_final(download, http_server, attempts, url):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.end_headers()

    with pytest.raises(ConnectionError, match=f"from {url}: an address with http or https is exp"):
        download(url)
    http_server.answers = [answer]
    with pytest.raises(ConnectionError, match=f"Redirection to url '{url}' is not allowed. Do"):
        download()
    assert http_server.n_requests == 1
    assert len(attempts) == 2


def test_a_certificate_that_is_not_accepted_is_final(download, https_server, attempts):
    with pytest.raises(ConnectionError, match=r"SSL_CERT_FILE .* macOS, run .*\. Do something\."):
        download(https_server.url)
    assert len(attempts) == 1


def test_a_disk_that_is_full_is_no_matter_of_the_network(download, http_server, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    http_server.answers = [(200, b"whole")]
    monkeypatch.setattr(Download, "_keep", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        download()
    assert not isinstance(caught.value, ConnectionError)
    assert http_server.n_requests == 1
