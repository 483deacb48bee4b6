"""Fetching FER+'s table from a server on this machine; the file is a small one of the same form."""

import hashlib

import pandas as pd
import pytest

from emotion_estimators.datasets import (
    clear_data_home,
    fetch_votes,
    get_data_home,
    load_votes,
    votes_download,
)
from emotion_estimators.exceptions import DownloadError

TABLE = b"""\
Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF
Training,fer0000000.png,1,9,0,0,0,0,0,0,0,0
PublicTest,fer0000001.png,0,0,0,10,0,0,0,0,0,0
"""


@pytest.fixture
def server(http_server, cache_home, monkeypatch):  # noqa: ARG001 - with a cache of its own
    monkeypatch.setattr(votes_download, "_SIZE", len(TABLE))
    monkeypatch.setattr(votes_download, "_SHA256", hashlib.sha256(TABLE).hexdigest())
    http_server.answers = [(200, TABLE)]
    return http_server


def test_the_table_is_downloaded_once_and_silently(server, cache_home, capfd):
    votes = fetch_votes(url=server.url)
    path = cache_home / "ferplus" / "fer2013new.csv"
    assert path.read_bytes() == TABLE
    pd.testing.assert_frame_equal(votes, load_votes(path))
    assert fetch_votes(["FER2013Valid/fer0000001.png"], url=server.url)["sad"].tolist() == [10]
    assert server.n_requests == 1
    assert capfd.readouterr() == ("", "")


def test_a_damaged_file_is_downloaded_again(server, tmp_path):
    path = tmp_path / "ferplus" / "fer2013new.csv"
    path.parent.mkdir()
    for content in (TABLE[:-1], TABLE.replace(b"9", b"8")):
        path.write_bytes(content)
        fetch_votes(url=server.url, data_home=tmp_path)
        assert path.read_bytes() == TABLE
    assert server.n_requests == 2


def test_what_is_fetched_can_be_deleted(server, tmp_path):
    fetch_votes(url=server.url, data_home=tmp_path)
    (tmp_path / "mine").touch()
    clear_data_home(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["mine"]


def test_half_a_file_is_tried_again(server):
    server.answers = [(200, TABLE[:50]), (503, b""), (200, TABLE)]
    assert len(fetch_votes(url=server.url)) == 2
    assert server.n_requests == 3


def test_another_file_is_refused(server):
    server.answers = [(200, TABLE.replace(b"9", b"8"))]
    with pytest.raises(
        DownloadError, match=r"(?s)^fetch_votes: what http.* has SHA-256 .*expected"
    ):
        fetch_votes(url=server.url)
    server.answers = [(200, TABLE + b"more")]
    with pytest.raises(DownloadError, match=f"sends more than the {len(TABLE)} bytes"):
        fetch_votes(url=server.url)
    assert not (get_data_home() / "ferplus" / "fer2013new.csv").exists()


def test_offline(server, monkeypatch):
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    with pytest.raises(
        ConnectionError, match=r"^fetch_votes does not find .* load_votes takes a fi"
    ):
        fetch_votes(url=server.url)
    assert server.n_requests == 0


def test_the_address_is_that_of_the_commit_named_on_the_card():
    assert votes_download._URL == (
        "https://raw.githubusercontent.com/microsoft/FERPlus/"
        "ae2128abf776409c93e50cf7c9d87180673314e6/fer2013new.csv"
    )
    with pytest.raises(ValueError, match=r"^fetch_votes expected url to begin with http"):
        fetch_votes(url="ftp://server/file")
