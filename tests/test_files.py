"""Files that are written whole or not at all."""

import errno
import os
import shutil
import stat
import threading
import time

import pytest

from emotion_estimators._files import whole_file


def names(folder):
    return [path.name for path in folder.iterdir()]


def write(path, content, error=None):
    with whole_file(path, what="Answers") as file:
        file.write(content)
        if error is not None:
            raise error


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "answers.bin"
    path.write_bytes(b"old")
    with whole_file(path, what="Answers") as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["answers.bin"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with whole_file(tmp_path / "whole", what="Answers"):
        pass
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "whole")}
    assert modes["plain"] == modes["whole"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt("a bug")])
def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path, error):
    path = tmp_path / "answers.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error), match="a bug"):
        write(path, b"half", error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["answers.bin"]


@pytest.mark.parametrize(
    ("code", "kind", "advice"),
    [
        (errno.ENOSPC, OSError, "Free some space there, or choose another folder"),
        (errno.EROFS, OSError, "Choose a folder that exists and can be written"),
        (errno.EACCES, PermissionError, "Choose a folder that exists and can be written"),
    ],
)
def test_what_the_system_refuses_is_said_with_the_path(tmp_path, monkeypatch, code, kind, advice):
    def refuse(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    path = tmp_path / "answers.bin"
    match = rf"Answers cannot be written \({os.strerror(code)}\)\. {advice}: '.*answers\.bin'"
    with pytest.raises(kind, match=match):
        write(path, b"all")
    assert names(tmp_path) == []


def test_a_folder_that_was_removed_meanwhile(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.setattr(os, "fsync", lambda _: shutil.rmtree(folder))
    with pytest.raises(FileNotFoundError, match=r"Answers cannot be written .* that exists"):
        write(folder / "answers.bin", b"all")


def test_what_a_killed_process_left_is_removed(tmp_path):
    path = tmp_path / "answers[1].bin"
    old, new = (tmp_path / f".{path.name}.{name}.part" for name in ("old", "new"))
    for part in (old, new):
        part.touch()
    an_age_ago = time.time() - 4000
    os.utime(old, (an_age_ago, an_age_ago))
    write(path, b"all")
    assert set(names(tmp_path)) == {path.name, new.name}
    write(tmp_path / ("x" * 255), b"all")  # the longest name there is


def test_writers_at_once_do_not_meet(tmp_path):
    path, n_bytes = tmp_path / "answers.bin", 100_000
    together = threading.Barrier(4)

    def write_often(byte):
        together.wait()
        for _ in range(20):
            write(path, bytes([byte]) * n_bytes)

    writers = [threading.Thread(target=write_often, args=(i,)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    held = path.read_bytes()
    assert held == bytes([held[0]]) * n_bytes
    assert names(tmp_path) == ["answers.bin"]
