"""Fetching emoji from a server on this machine, and what can go wrong on the way."""

import hashlib
import io
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_estimators import _downloads
from emotion_estimators.datasets import (
    clear_data_home,
    emoji_download,
    fetch_emoji,
    get_data_home,
    load_emoji,
)
from emotion_estimators.exceptions import DownloadError

CODES = ("1f600", "1f601", "1f602", "1f62d", "1f622", "1f630")
TABLE = json.dumps(
    [
        {
            "name": f"NAME OF {code}",
            "unified": code.upper(),
            "image": f"{code}.png",
            "category": "Smileys & Emotion",
            "subcategory": "face",
            "has_img_apple": True,
            "has_img_google": code != "1f601",
        }
        for code in CODES
    ]
).encode()
SHA256 = hashlib.sha256(TABLE).hexdigest()


FOLDER = Path("emoji-data", "v16.0.0")  # in data_home


def picture(size=(64, 64), colour=(200, 10, 10, 128), kind="png"):
    file = io.BytesIO()
    Image.new("RGBA" if kind == "png" else "RGB", size, colour).save(file, kind)
    return file.getvalue()


@pytest.fixture
def server(http_server, cache_home):  # noqa: ARG001 - never without a cache of its own
    http_server.files["/emoji.json"] = (200, TABLE)
    for vendor in ("apple", "google"):
        for number, code in enumerate(CODES):
            if vendor != "google" or code != "1f601":
                colour = (number, 0, 0, 255)
                http_server.files[f"/img-{vendor}-64/{code}.png"] = (200, picture(colour=colour))
    return http_server


def fetch(server, **parameters):
    parameters = {"vendor": "apple", "table_sha256": SHA256, **parameters}
    return fetch_emoji(base_url=server.root, **parameters)


def n_files(root):
    return sum(path.is_file() for path in root.rglob("*"))


def test_pictures_are_downloaded_once_and_silently(server, cache_home, capfd):
    emoji = fetch(server, vendor=["google", "apple"])
    assert emoji.vendor.tolist() == ["google"] * 5 + ["apple"] * 6
    assert emoji.missing == ["img-google-64/1f601.png"]
    assert "/img-google-64/1f601.png" not in server.paths  # as the table says
    root = get_data_home() / FOLDER
    assert n_files(cache_home) == n_files(root) == 1 + 5 + 6
    assert server.n_requests == 12
    again = fetch(server, vendor=["google", "apple"])
    assert server.n_requests == 12
    loaded = load_emoji(root, vendor=["google", "apple"])
    for key in ("data", "target", "code_points", "vendor", "names"):
        np.testing.assert_array_equal(emoji[key], again[key])
        np.testing.assert_array_equal(emoji[key], loaded[key])
    X, y = fetch(server, return_X_y=True)
    np.testing.assert_array_equal(X, emoji.data[5:])
    assert y.tolist() == ["happy"] * 3 + ["sad"] * 3
    assert capfd.readouterr() == ("", "")


def test_only_what_was_fetched_is_deleted(server, cache_home, tmp_path):
    (cache_home / "weights").mkdir(parents=True)
    (cache_home / "weights" / "model.onnx").touch()
    for data_home in (None, tmp_path / "here"):
        fetch(server, data_home=data_home)
        assert n_files(get_data_home(data_home) / FOLDER) == 7
        clear_data_home(data_home)
        clear_data_home(data_home)  # nothing left to do
    assert n_files(cache_home) == 1
    assert list((tmp_path / "here").iterdir()) == []


def test_the_home_of_the_user_may_be_named(cache_home, monkeypatch, tmp_path):
    assert get_data_home() == cache_home
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert get_data_home("~/data") == tmp_path / "data"


def test_the_same_as_from_the_real_collection(http_server, cache_home, data_dir, tmp_path):
    real = data_dir / "emoji-data"
    for path in ("emoji.json", *(p.relative_to(real) for p in real.glob("img-apple-64/*.png"))):
        http_server.files[f"/{path}"] = (200, (real / path).read_bytes())
    # with the hash that is known for the tag
    emoji = fetch_emoji(
        vendor="apple", base_url=f"{http_server.root}/", data_home=tmp_path / "here"
    )
    expected = load_emoji(real, vendor="apple")
    for key in ("target", "code_points", "names"):
        np.testing.assert_array_equal(emoji[key], expected[key])
    for ours, theirs in zip(emoji.data, expected.data, strict=True):
        assert Path(ours).read_bytes() == Path(theirs).read_bytes()
    assert not cache_home.exists()


def test_only_pictures_with_a_class_are_downloaded(server, tmp_path):
    rows = json.loads(TABLE)
    rows[0]["unified"] = "1F610"  # neither happy nor sad
    server.files["/emoji.json"] = (200, json.dumps(rows).encode())
    fetch(server, table_sha256="any", data_home=tmp_path / "a")
    assert "/img-apple-64/1f600.png" not in server.paths
    emoji = fetch(server, table_sha256="any", data_home=tmp_path / "a", target="subcategory")
    assert len(emoji.data) == 6
    assert server.paths.count("/img-apple-64/1f600.png") == 1
    assert server.n_requests == 1 + 6


def test_verbose_shows_progress(server, capfd):
    fetch(server, verbose=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "6/6" in err


def test_a_picture_the_server_lacks_is_reported_and_the_others_are_there(server):
    del server.files["/img-apple-64/1f62d.png"]
    with pytest.warns(UserWarning, match=r"lacks 1 image, .*img-apple-64/1f62d\.png") as warned:
        emoji = fetch(server)
    assert warned[0].filename == __file__
    assert emoji.missing == ["img-apple-64/1f62d.png"]
    assert emoji.code_points.tolist() == ["1F600", "1F601", "1F602", "1F622", "1F630"]
    server.files["/img-apple-64/1f62d.png"] = (200, picture())
    assert fetch(server).missing == []


def test_a_damaged_copy_of_a_picture_the_server_lacks_is_not_taken(server, tmp_path):
    del server.files["/img-apple-64/1f62d.png"]
    damaged = tmp_path / FOLDER / "img-apple-64" / "1f62d.png"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(picture()[:50])
    with pytest.warns(UserWarning, match="lacks 1 image"):
        emoji = fetch(server, data_home=tmp_path)
    assert len(emoji.data) == 5


@pytest.mark.parametrize(
    ("answer", "error", "match", "n_requests"),
    [
        ((200, picture()[:-20], len(picture())), ConnectionError, r"ended after \d+ of \d+", 3),
        ((200, picture()[:-20]), ConnectionError, "PNG file ended early, after", 3),
        ((200, b""), ConnectionError, "ended after 0 bytes", 3),
        ((503, b"later"), ConnectionError, "HTTP Error 503: .*call again", 3),
        ((403, b"no"), ConnectionError, "HTTP Error 403: Forbidden", 1),
        ((200, b"<html>Hello"), DownloadError, r"expected a PNG file .*<html>Hello", 1),
        ((200, picture(kind="jpeg", colour=0)), DownloadError, "expected a PNG file", 1),
        ((200, picture((32, 64))), DownloadError, "64 x 64 px, got one of 64 x 32", 1),
        ((200, picture()[:40] + b"x" + picture()[41:]), DownloadError, "damaged PNG", 1),
        ((200, picture() * 20_000), DownloadError, "sends more than the 1048576 bytes", 1),
    ],
    ids=["cut off", "short", "empty", "503", "403", "page", "JPEG", "size", "flipped", "endless"],
)
def test_what_is_no_picture_is_not_kept(server, answer, error, match, n_requests):
    path = "/img-apple-64/1f602.png"
    good, server.files[path] = server.files[path], answer
    with pytest.raises(error, match=match):
        fetch(server, n_threads=1)
    assert server.paths.count(path) == n_requests
    root = get_data_home() / FOLDER
    assert not (root / path[1:]).exists()
    assert list(root.rglob("*.part")) == []
    # the next call goes on where this one stopped
    assert server.paths[1:3] == ["/img-apple-64/1f600.png", "/img-apple-64/1f601.png"]
    server.files[path] = good
    server.paths.clear()
    assert len(fetch(server).data) == 6
    assert "/img-apple-64/1f600.png" not in server.paths
    assert path in server.paths


def test_a_failure_of_the_server_is_tried_again(server):
    del server.files["/img-apple-64/1f602.png"]
    server.answers = [(500, b"no")] * 4 + [(200, picture())]  # after three other requests
    assert len(fetch(server, n_threads=1).data) == 6


def test_a_table_with_another_hash_is_refused(server, cache_home):
    with pytest.raises(DownloadError, match=rf"SHA-256 {SHA256}, expected {'0' * 64}. Nothing"):
        fetch(server, table_sha256="0" * 64)
    assert server.paths == ["/emoji.json"]
    assert n_files(cache_home) == 0
    with pytest.raises(DownloadError, match=emoji_download._TABLE_SHA256):
        fetch_emoji(base_url=server.root)


def test_a_damaged_table_and_damaged_pictures_on_disk_are_replaced(server, tmp_path):
    emoji = fetch(server, data_home=tmp_path)
    (tmp_path / FOLDER / "emoji.json").write_bytes(TABLE[:-1])
    (tmp_path / FOLDER / "img-apple-64" / "1f622.png").write_bytes(b"")
    server.paths.clear()
    again = fetch(server, data_home=tmp_path)
    assert server.paths == ["/emoji.json", "/img-apple-64/1f622.png"]
    np.testing.assert_array_equal(again.data, emoji.data)


def test_an_interrupted_download_is_taken_up_again(server, monkeypatch):
    pieces = _downloads._pieces

    def interrupt(url, **limits):
        yield from pieces(url, **limits)
        if not url.endswith(("emoji.json", "1f600.png", "1f601.png")):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_downloads, "_pieces", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(server, n_threads=1)
    root = get_data_home() / FOLDER
    assert n_files(root) == 3
    server.paths.clear()
    assert len(fetch(server).data) == 6
    assert len(server.paths) == 4


def test_the_offline_switch(server, cache_home, monkeypatch):
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    with pytest.raises(ConnectionError, match=r"1 file in .*emoji\.json, and .*OFFLINE forbids"):
        fetch(server)
    assert server.n_requests == 0
    assert not cache_home.exists()
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "0")
    fetch(server)
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    server.paths.clear()
    assert len(fetch(server).data) == 6
    with pytest.raises(ConnectionError, match=r"find 5 files .*img-google-64/1f600\.png"):
        fetch(server, vendor=["apple", "google"])
    assert server.paths == []


def test_pictures_are_downloaded_in_parallel(server):
    together = threading.Barrier(6, timeout=20)  # broken unless six requests are open at once
    log = server.paths.append

    class Waiting(list):
        def append(self, path):
            log(path)
            if path.endswith(".png"):
                together.wait()

    server.paths = Waiting()
    assert len(fetch(server, n_threads=6).data) == 6
    assert not together.broken


def test_calls_at_once_share_a_folder(server, tmp_path):
    status, body = server.files["/img-apple-64/1f600.png"]
    server.files["/img-apple-64/1f600.png"] = (status, body, len(body), 0.2)  # slowly
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(server, data_home=tmp_path)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(emoji.data) for emoji in results] == [6] * 3
    assert n_files(tmp_path) == 7


def test_what_cannot_be_asked_for(server, tmp_path):
    with pytest.raises(ValueError, match="begin with http:// or https://, got 'ftp://x'"):
        fetch_emoji(base_url="ftp://x")
    with pytest.raises(ValueError, match="apple, facebook, google, twitter, got 'aple'"):
        fetch(server, vendor="aple")
    with pytest.raises(ValueError, match="several distinct ones, got \\[\\]"):
        fetch(server, vendor=[])
    (tmp_path / "file").touch()
    with pytest.raises(
        OSError, match=r"cannot be stored in .*Pass a data_home that can be written"
    ):
        fetch(server, data_home=tmp_path / "file")
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
