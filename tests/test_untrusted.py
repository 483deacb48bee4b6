"""What all readers of untrusted files share: at the limits, and beyond."""

import json
import struct
import zipfile

import pytest

from emotion_estimators._untrusted import Budget, open_zip, read_json
from emotion_estimators.exceptions import WeightsError


def test_a_budget_is_for_all_parts_together():
    budget = Budget("x.pt", max_bytes=100, max_parts=3, error=WeightsError)
    budget.take(n_bytes=60, n_parts=1, what="a")
    budget.take(n_bytes=40, n_parts=2, what="b")
    assert (budget.bytes_left, budget.parts_left) == (0, 0)
    with pytest.raises(WeightsError, match=r"x\.pt: c asks for more .* the 100 bytes that may"):
        budget.take(n_bytes=1, what="c")
    budget = Budget("x.h5", max_bytes=100, max_parts=3, error=ValueError)
    with pytest.raises(ValueError, match=r"x\.h5: d asks for more .* the 3 parts that may"):
        budget.take(n_parts=4, what="d")


def test_json_up_to_its_limits():
    text = json.dumps({"a": [1, {"b": None}], "c": "é[[[["}, ensure_ascii=False)
    n_bytes = len(text.encode())
    assert read_json(text, max_bytes=16 * 8, name="x") == json.loads(text)
    assert read_json(text.encode(), max_bytes=16 * 8, name="x") == json.loads(text)
    long = f'"{"é" * 100}"'
    assert read_json(long, max_bytes=202, name="x") == "é" * 100
    for value in (long, long.encode()):
        with pytest.raises(ValueError, match=r"^x holds more JSON than the 201 bytes"):
            read_json(value, max_bytes=201, name="x")
    with pytest.raises(ValueError, match="lists and objects"):
        read_json(text, max_bytes=n_bytes, name="x")


@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_json_as_deep_as_it_may_be(left, right):
    n_levels = 100 // left.count("[") // 2 if len(left) > 5 else 100
    text = left * n_levels + "0" + right * n_levels
    assert read_json(text, max_bytes=2**14, name="x") == json.loads(text)
    with pytest.raises(ValueError, match="nested too deeply, in more than 100 levels"):
        read_json(f"[{text}]", max_bytes=2**14, name="x")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[" * 50_000, "^x is not JSON that can be read: nested too deeply"),
        ("[]," * 70_000, "more than 65536 lists and objects"),
        ("secret", r"^x is not JSON that can be read: Expecting value: line 1 column 1 \(char 0\)"),
        (b"\xff\xfe", "^x is not JSON that can be read: .* decode"),
        ("1" * 100_000, "^x is not JSON that can be read: Exceeds the limit"),
    ],
)
def test_json_that_is_refused(text, match):
    with pytest.raises(ValueError, match=match) as caught:
        read_json(text, max_bytes=2**20, name="x")
    assert len(str(caught.value)) < 300


def archive_of(path, overlap):
    """Write a zip file of two members; the first may be said to hold the second as well."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ä.png", b"first")
        archive.writestr("b.png", b"second")
        second, first = archive.infolist()[1].header_offset, archive.infolist()[0]
    if overlap:
        content = bytearray(path.read_bytes())
        place = content.index(b"PK\1\2") + 20
        size = struct.unpack_from("<I", content, place)[0] + overlap
        struct.pack_into("<II", content, place, size, size)
        path.write_bytes(content)
        assert first.header_offset < second
    return path


def members_of(path, max_table_bytes=1000):
    with open_zip(path.open("rb", buffering=0), max_table_bytes=max_table_bytes) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def test_members_that_overlap(tmp_path):
    assert list(members_of(archive_of(tmp_path / "a.zip", overlap=0))) == ["ä.png", "b.png"]
    with pytest.raises(zipfile.BadZipFile, match="members overlap"):
        members_of(archive_of(tmp_path / "b.zip", overlap=40))


def test_a_member_over_the_table(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"first")
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2") + 20
    struct.pack_into("<II", content, place, 40, 40)
    path.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="overlap"):
        members_of(path)


def test_a_zip_file_behind_something_else(tmp_path):
    path = archive_of(tmp_path / "a.zip", overlap=0)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert members_of(path)["b.png"] == b"second"


def test_as_long_a_table_as_there_may_be(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}".ljust(60_000, "x"), b"")
    most = 4 * (46 + 60_000)
    assert len(members_of(path, most)) == 4
    with pytest.raises(zipfile.BadZipFile, match=f"table of members is longer than {most - 1} b"):
        members_of(path, most - 1)
