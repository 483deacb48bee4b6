"""Fetching against a server on this machine; the user's cache is never touched."""

import hashlib
import logging
import multiprocessing
import os
import socket
import threading
import time
from dataclasses import replace

import pytest

from emotion_estimators import _downloads
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.weights import (
    fetch_all,
    fetch_weights,
    file_sha256,
    get_card,
    list_cards,
    registry,
)
from emotion_estimators.weights.registry import find_card

BODY = bytes(range(256)) * 2000
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 512000\n"


@pytest.fixture
def server(http_server):
    http_server.answers = [(200, BODY)]
    return http_server


@pytest.fixture
def card(server, cache, monkeypatch):  # noqa: ARG001 - never without a cache of its own
    card = replace(
        get_card("model_v6_23"),
        name="tested",
        file_name="model.onnx",
        url=server.url,
        sha256=hashlib.sha256(BODY).hexdigest(),
        size=len(BODY),
    )
    monkeypatch.setattr(registry, "_CARDS", (card,))
    return card


def assert_nothing_left(cache):
    assert not cache.exists() or list(cache.iterdir()) == []


def test_a_file_is_downloaded_once_and_silently(server, card, cache, capfd):
    loggers = {name: logging.getLogger(name).level for name in ("emotion_estimators", "root")}
    path = fetch_weights(card.name)
    assert path == cache / "model.onnx"
    assert path.read_bytes() == BODY
    assert fetch_weights(card.name) == path
    assert fetch_all() == {card.name: path}
    assert server.n_requests == 1
    assert list(cache.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")
    assert loggers == {name: logging.getLogger(name).level for name in loggers}


def test_verbose_shows_progress(card, capfd):
    fetch_weights(card.name, verbose=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "model.onnx" in err
    assert "100%" in err


def test_a_shared_cache_can_be_read_by_others(card):
    mask = os.umask(0o022)
    try:
        assert fetch_weights(card.name).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(mask)


def test_a_damaged_file_in_the_cache_is_replaced(server, card, cache):
    cache.mkdir(parents=True)
    (cache / "model.onnx").write_bytes(BODY[:-1])
    assert fetch_weights(card.name).read_bytes() == BODY
    assert server.n_requests == 1


def test_the_data_folder_comes_first(server, card, cache, tmp_path, monkeypatch):
    given = tmp_path / "data" / "weights" / "model.onnx"
    given.parent.mkdir(parents=True)
    given.write_bytes(BODY)
    monkeypatch.setenv("EMOTION_ESTIMATORS_DATA", str(tmp_path / "data"))
    assert fetch_weights(card.name) == given
    assert server.n_requests == 0
    given.write_bytes(POINTER)
    assert fetch_weights(card.name) == cache / "model.onnx"


@pytest.mark.parametrize("offline", ["0", ""])
def test_the_offline_switch(server, card, cache, monkeypatch, offline):
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    with pytest.raises(ConnectionError, match=rf"'tested' are not .*{server.url}.*{cache}"):
        fetch_weights(card.name)
    assert server.n_requests == 0
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", offline)
    path = fetch_weights(card.name)
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    assert fetch_weights(card.name) == path
    path.write_bytes(BODY[:-1])
    with pytest.raises(ConnectionError, match=rf"What lies at {path} has another SHA-256\.$"):
        fetch_weights(card.name)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_that_is_none(server, card, cache, timeout):
    with pytest.raises(
        ValueError, match=f"'tested': expected timeout to be above 0 s, got {timeout}"
    ):
        fetch_weights(card.name, timeout=timeout)
    assert server.n_requests == 0
    assert_nothing_left(cache)
    assert fetch_weights(card.name, timeout=float("inf")).read_bytes() == BODY


@pytest.mark.parametrize(
    ("answer", "error", "match", "n_requests"),
    [
        ((200, BODY[::-1]), WeightsError, "has SHA-256 .*, expected .*Nothing was kept", 1),
        ((200, BODY + b"x"), WeightsError, "sends more than the 512000 bytes", 1),
        ((200, BODY[:99], len(BODY)), ConnectionError, "ended after 99 of 512000 bytes", 3),
        ((200, BODY[:99]), ConnectionError, "ended after 99 of 512000 bytes", 3),
        ((200, POINTER), WeightsError, "Git LFS pointer", 1),
        ((404, b"no"), ConnectionError, "HTTP Error 404: Not Found. Check", 1),
        ((503, b"later"), ConnectionError, "HTTP Error 503: Service Unav", 3),
    ],
    ids=["wrong hash", "too long", "cut off", "short", "LFS pointer", "404", "503"],
)
def test_what_is_not_the_file_leaves_nothing(server, card, cache, answer, error, match, n_requests):
    server.answers = [answer]
    with pytest.raises(error, match=match):
        fetch_weights(card.name)
    assert server.n_requests == n_requests
    assert_nothing_left(cache)
    server.answers = [(200, BODY)]
    assert fetch_weights(card.name).read_bytes() == BODY


@pytest.mark.parametrize("first", [(500, b"no"), (200, BODY[:5000], len(BODY))])
def test_a_failure_of_the_server_is_tried_again(server, card, first):
    server.answers = [first, (200, BODY)]
    assert fetch_weights(card.name).read_bytes() == BODY
    assert server.n_requests == 2


def test_a_slow_server_is_given_up(server, card, cache):
    server.answers = [(200, BODY, len(BODY), 1.0)]
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match=r"cannot be downloaded from .*: timed out"):
        fetch_weights(card.name, timeout=0.05)
    # three times 0.05 s and what a busy machine adds, far from the 3 s of three whole answers
    assert time.perf_counter() - start < 2
    assert_nothing_left(cache)


def test_a_slow_server_is_waited_for(server, card):
    server.answers = [(200, BODY, len(BODY), 0.2)]
    assert fetch_weights(card.name, timeout=30).read_bytes() == BODY
    assert server.n_requests == 1


def test_no_network(card, cache, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/model.onnx"
        monkeypatch.setattr(registry, "_CARDS", (replace(card, url=url),))
        with pytest.raises(ConnectionError, match=rf"{url}.*EMOTION_ESTIMATORS_DATA"):
            fetch_weights(card.name)
    assert_nothing_left(cache)


def test_a_cache_that_cannot_be_written(server, card, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"cannot be stored in .*Set EMOTION_ESTIMATORS_CACHE"):
        fetch_weights(card.name)
    assert server.n_requests == 0


def test_an_interrupted_download_leaves_nothing(card, cache, monkeypatch):
    def interrupt(*_, **__):
        yield BODY[:5000]
        raise KeyboardInterrupt

    monkeypatch.setattr(_downloads, "_pieces", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_weights(card.name)
    assert_nothing_left(cache)


def test_parts_of_killed_downloads_are_removed(card, cache):
    cache.mkdir(parents=True)
    old, new = cache / ".model.onnx.1.part", cache / ".model.onnx.2.part"
    for part in (old, new):
        part.touch()
    os.utime(old, (0, 0))
    fetch_weights(card.name)
    assert not old.exists()
    assert new.exists()


def _fetch_in_process(card, cache, results):
    os.environ["EMOTION_ESTIMATORS_CACHE"] = str(cache.parent)
    registry._CARDS = (card,)
    path = fetch_weights(card.name)
    results.put(hashlib.sha256(path.read_bytes()).hexdigest())


def test_processes_that_fetch_at_once(server, card, cache):
    server.answers = [(200, BODY, len(BODY), 0.3)]  # slow, so that the downloads overlap
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_fetch_in_process, args=(card, cache, results)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [card.sha256] * 3
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert list(cache.iterdir()) == [cache / "model.onnx"]


def test_threads_that_fetch_at_once(server, card, cache):
    server.answers = [(200, BODY, len(BODY), 0.1)]
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(fetch_weights(card.name))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [cache / "model.onnx"] * 4
    assert list(cache.iterdir()) == [cache / "model.onnx"]


def test_a_file_of_unknown_size(server, card, cache, monkeypatch):
    monkeypatch.setattr(registry, "_CARDS", (replace(card, size=None),))
    assert fetch_weights(card.name).read_bytes() == BODY
    (cache / "model.onnx").unlink()
    server.answers = [(200, BODY[:99], len(BODY)), (200, BODY)]  # cut off, then whole
    server.n_requests = 0
    assert fetch_weights(card.name).read_bytes() == BODY
    assert server.n_requests == 2
    (cache / "model.onnx").unlink()
    server.answers = [(200, BODY[:99], len(BODY))]
    server.n_requests = 0
    with pytest.raises(ConnectionError, match=f"the body ended after 99 of {len(BODY)} bytes"):
        fetch_weights(card.name)
    assert server.n_requests == 3
    assert_nothing_left(cache)
    server.answers = [(200, BODY)]


def test_weights_by_task(card, monkeypatch):
    face = replace(card, name="face", task="face embedding")
    monkeypatch.setattr(registry, "_CARDS", (card, face))
    assert list_cards("emotion") == (card,)
    assert list_cards() == (card, face)
    assert get_card("face", task="face embedding") is face
    with pytest.raises(ValueError, match=r"registered weights \(face\), got 'tested'"):
        get_card("tested", task="face embedding")
    assert list(fetch_all("face embedding")) == ["face"]


def test_an_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match=r"registered weights \(.*model_v6_23.*\), got 'v7'"):
        fetch_weights("v7")


def test_file_sha256_sees_that_a_file_changed(tmp_path):
    path = tmp_path / "file"
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        assert file_sha256(path) == hashlib.sha256(content).hexdigest()
        assert file_sha256(path) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("card", list_cards(), ids=lambda card: card.name)
def test_cards_name_a_version_and_are_whole(card):
    assert get_card(card.name) is card
    if card.url is not None:
        assert card.url.startswith("https://")
        parts = card.url.split("/")
        is_commit = any(part.isalnum() and len(part) == 40 for part in parts)
        assert is_commit or parts[-4:-2] == ["releases", "download"]
    assert len(card.sha256) == 64
    assert int(card.sha256, 16) > 0
    assert card.task in ("emotion", "face embedding", "face detection")
    assert len(set(card.labels)) == len(card.labels)
    assert (len(card.labels) >= 2) == (card.task == "emotion")
    assert card.licence
    assert card.training_data_terms


@pytest.mark.parametrize("card", list_cards(), ids=lambda card: card.name)
def test_cards_fit_the_files(card, data_dir):
    path = data_dir / "weights" / card.file_name if card.url else fetch_weights(card.name)
    if not path.is_file():
        pytest.skip(f"the real-data folder lacks {card.file_name}")
    assert file_sha256(path) == card.sha256
    assert card.size in (None, path.stat().st_size)


@pytest.mark.parametrize("precision", get_card("embedded").precisions)
def test_a_file_is_known_by_its_hash_in_each_precision(precision):
    card = get_card("embedded").at(precision)
    assert find_card(card.sha256, "emotion").file_name == card.file_name
    assert find_card(card.sha256, "face embedding") is None
