import os
import struct
import tracemalloc
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from emotion_estimators.datasets import load_image_folder
from emotion_estimators.images import formats, read_image
from emotion_estimators.labels import EMOTIONS


def write_images(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), len(name)).save(root / name)
    return root


def zip_of(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    names = ["sad/2.png", "sad/10.png", "Anger/a.jpg", "happiness/deep/b.PNG", "happy/c.bmp"]
    return write_images(tmp_path / "faces", names)


def test_paths_and_canonical_labels_in_a_fixed_order(faces):
    bunch = load_image_folder(faces)
    assert bunch.filenames.tolist() == [
        "Anger/a.jpg",
        "happiness/deep/b.PNG",
        "happy/c.bmp",
        "sad/10.png",
        "sad/2.png",
    ]
    assert bunch.target.tolist() == ["angry", "happy", "happy", "sad", "sad"]
    assert bunch.target_names == ["angry", "happy", "sad"]
    assert bunch.data.tolist() == [str(faces / name) for name in bunch.filenames]
    assert bunch.ignored == []


def test_folder_names_as_they_are(faces):
    target = load_image_folder(faces, target="folders").target
    assert target.tolist() == ["Anger", "happiness", "happy", "sad", "sad"]


def test_return_X_y_is_data_and_target(faces):  # noqa: N802 - the name of the parameter
    bunch = load_image_folder(faces)
    X, y = load_image_folder(faces, return_X_y=True)
    assert X.tolist() == bunch.data.tolist()
    assert y.tolist() == bunch.target.tolist()


def test_a_zip_holds_the_same_images_as_its_folder(faces, tmp_path):
    folder, archive = load_image_folder(faces), load_image_folder(zip_of(faces, tmp_path / "z.zip"))
    assert archive.filenames.tolist() == folder.filenames.tolist()
    assert archive.target.tolist() == folder.target.tolist()
    assert archive.data.tolist() == [Path(path).read_bytes() for path in folder.data]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_lone_folder_of_folders_is_entered(tmp_path, zipped):
    root = write_images(tmp_path / "root", ["data/train/sad/1.png", "data/train/happy/1.png"])
    source = zip_of(root, tmp_path / "z.zip") if zipped else root
    bunch = load_image_folder(source)
    assert bunch.filenames.tolist() == ["data/train/happy/1.png", "data/train/sad/1.png"]
    assert bunch.target.tolist() == ["happy", "sad"]


def test_links_to_folders_are_followed_and_those_to_above_are_not(faces, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    for name in ("sad", "happy"):
        (links / name).symlink_to(faces / name, target_is_directory=True)
    (faces / "sad" / "up").symlink_to(faces, target_is_directory=True)
    bunch = load_image_folder(links)
    names = ["happy/c.bmp", "sad/10.png", "sad/2.png"]
    looped = ["sad/up/Anger/a.jpg", "sad/up/happiness/deep/b.PNG", "sad/up/happy/c.bmp"]
    assert bunch.filenames.tolist() == names + looped
    assert load_image_folder(faces).target.tolist() == ["angry", "happy", "happy", "sad", "sad"]


def test_a_single_class_is_a_class_and_not_entered(tmp_path):
    root = write_images(tmp_path / "root", ["sad/1.png"])
    assert load_image_folder(root).target.tolist() == ["sad"]


@pytest.mark.parametrize("zipped", [False, True])
def test_files_left_out_are_counted_by_kind(faces, tmp_path, zipped, monkeypatch):
    monkeypatch.setattr(formats, "_has_pi_heif", lambda: False)
    (faces / "sad" / "Thumbs.db").write_bytes(b"x")
    (faces / "notes.txt").write_text("x")
    (faces / "sad" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (faces / "sad" / "._2.png").write_bytes(b"x")
    source = zip_of(faces, tmp_path / "z.zip") if zipped else faces
    words = (
        r"left out 4 files .* the first of them notes\.txt: "
        r"(?=.*1 \.db)(?=.*1 \.txt)(?=.*1 hidden).*1 \.heic.* HEIC photographs, install pi-heif"
    )
    with pytest.warns(UserWarning, match=words):
        bunch = load_image_folder(source)
    assert bunch.ignored == ["notes.txt", "sad/._2.png", "sad/Thumbs.db", "sad/phone.HEIC"]
    assert len(bunch.data) == 5


def test_a_hidden_folder_is_one_thing_left_out(faces):
    (faces / ".cache").mkdir()
    (faces / ".cache" / "x.png").write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"left out 1 file .*: 1 hidden\."):
        assert load_image_folder(faces).ignored == [".cache"]


@pytest.mark.parametrize("zipped", [False, True])
def test_all_that_can_be_read_is_taken_by_suffix_or_first_bytes(tmp_path, zipped):
    kinds = {"a.jfif": "jpeg", "b.jpe": "jpeg", "c.mpo": "jpeg", "d.jp2": "jpeg2000"}
    kinds |= {"e.TGA": "tga", "f": "jpeg", "g": "png", "h": "tiff", "i.pbm": "ppm"}
    kinds |= {"j.avif": "avif"} if features.check("avif") else {}
    root = tmp_path / "root"
    (root / "sad").mkdir(parents=True)
    for name, kind in kinds.items():
        Image.new("RGB", (8, 8)).save(root / "sad" / name, kind)
    source = zip_of(root, tmp_path / "z.zip") if zipped else root
    bunch = load_image_folder(source)
    assert bunch.filenames.tolist() == [f"sad/{name}" for name in sorted(kinds)]
    assert {read_image(item).shape for item in bunch.data} == {(8, 8, 3)}


def test_a_file_without_a_suffix_that_is_no_image_is_left_out(faces):
    (faces / "sad" / "README").write_text("not an image")
    (faces / "sad" / "empty").touch()
    os.mkfifo(faces / "sad" / "pipe")
    with pytest.warns(UserWarning, match=r"left out 3 files .*: 3 without a suffix\."):
        assert len(load_image_folder(faces).data) == 5


def test_an_empty_class_folder_is_reported(faces):
    (faces / "fear").mkdir()
    with pytest.warns(UserWarning, match="no image in the class folders fear"):
        bunch = load_image_folder(faces)
    assert bunch.target_names == ["angry", "happy", "sad"]


def test_a_folder_that_names_no_emotion_is_named(faces):
    write_images(faces, ["hungry/1.png"])
    with pytest.raises(ValueError, match=r"class folder 'hungry' .* names no emotion"):
        load_image_folder(faces)


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no folder or zip file at .*nowhere"):
        load_image_folder(tmp_path / "nowhere")


def test_a_file_that_is_no_zip(tmp_path):
    (tmp_path / "faces.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match=r"expected a folder or a zip file, got the file .*rar"):
        load_image_folder(tmp_path / "faces.rar")
    (tmp_path / "faces.zip").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0"
    )
    with pytest.raises(
        ValueError, match=r"got the file .*faces.zip: it looks like a Git LFS pointer"
    ):
        load_image_folder(tmp_path / "faces.zip")


def test_no_class_folder(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    with pytest.raises(ValueError, match="one folder for each class, got none"):
        load_image_folder(tmp_path)


def test_no_image_at_all(tmp_path):
    (tmp_path / "sad").mkdir()
    (tmp_path / "happy").mkdir()
    with (
        pytest.warns(UserWarning, match="no image in the class folders happy, sad"),
        pytest.raises(ValueError, match="no image in the class folders of"),
    ):
        load_image_folder(tmp_path)


def test_a_damaged_zip_entry_is_named(faces, tmp_path):
    path = zip_of(faces, tmp_path / "z.zip")
    content = bytearray(path.read_bytes())
    start = content.index((faces / "sad" / "2.png").read_bytes())
    content[start + 20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read sad/2.png in .*Bad CRC"):
        load_image_folder(path)


def test_a_zip_entry_that_claims_to_be_huge_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sad/1.png", bytes(2**28 + 1))
    with pytest.raises(ValueError, match=r"refuses sad/1.png .* claims 268435457 bytes"):
        load_image_folder(path)


def test_a_zip_of_many_entries_that_are_large_together_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(9):
            archive.writestr(f"happy/{i}.png", bytes(2**25))
    with pytest.raises(
        ValueError, match=r"bomb\.zip: one of its images asks for more than is left of the \d+ b"
    ):
        load_image_folder(path)


def test_zip_entries_that_overlap(faces, tmp_path):
    path = zip_of(faces, tmp_path / "z.zip")
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2") + 20
    (size,) = struct.unpack_from("<I", content, place)
    struct.pack_into("<II", content, place, size + 200, size + 200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read the zip file .*z\.zip: members overlap"):
        load_image_folder(path)


@pytest.mark.filterwarnings("ignore:load_image_folder left out")
@pytest.mark.parametrize("hidden", ["", "__MACOSX/"])
def test_as_deep_a_zip_entry_as_there_may_be(tmp_path, hidden):
    path = tmp_path / "z.zip"

    def write(n_folders):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("happy/0.png", b"")
            archive.writestr(hidden + "deep/" + "a/" * (n_folders - 1) + "0.png", b"")

    write(31 - len(hidden) // 9)
    with pytest.warns(UserWarning, match="1 hidden") if hidden else nullcontext():
        faces = load_image_folder(path, target="folders")
    assert len(faces.data) == (1 if hidden else 2)
    write(3000)
    with pytest.raises(ValueError, match=r"refuses '.{60}' in .*it lies in more than 31 folders"):
        load_image_folder(path, target="folders")


def test_a_zip_of_too_many_folders(tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2600):  # 78,000 folders, whose names have 1 kB each
            archive.writestr(f"a/{number}" + f"/{'x' * 66}" * 28 + "/0.png", b"")
    with pytest.raises(ValueError, match=r"one of its folders asks for more than is left"):
        load_image_folder(path, target="folders")


def test_of_two_zip_entries_of_one_name_the_last_counts(tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/0.png", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("happy/0.png", b"second")
    assert load_image_folder(path).data.tolist() == [b"second"]


def test_a_zip_entry_that_is_larger_than_it_claims_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("happy/0.png", bytes(2**27))
    content = bytearray(path.read_bytes())
    claim = content.rindex(struct.pack("<I", 2**27))  # in the directory, which zipfile believes
    content[claim : claim + 4] = struct.pack("<I", 1000)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"cannot read happy/0\.png in .*bomb\.zip: Bad CRC-32"):
        load_image_folder(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22  # 1000 bytes are asked for, and unpacked in pieces of 64 KiB


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(faces, tmp_path, kind):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.write(faces / "sad" / "2.png", "sad/2.png")
    with pytest.raises(ValueError, match=r"sad/2\.png in .* neither stored nor deflated"):
        load_image_folder(path)


def test_a_zip_entry_without_a_name_is_passed_over(faces, tmp_path):
    path = zip_of(faces, tmp_path / "z.zip")
    expected = load_image_folder(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"nobody's")
    assert load_image_folder(path).filenames.tolist() == expected.filenames.tolist()


def test_a_zip_without_a_readable_directory(faces, tmp_path):
    path = zip_of(faces, tmp_path / "z.zip")
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")
    path.write_bytes(content[:directory] + b"none" + content[directory + 4 :])
    with pytest.raises(ValueError, match=r"cannot read the zip file .*z\.zip: Bad magic number"):
        load_image_folder(path)


def test_bad_parameter():
    with pytest.raises(ValueError, match="'target' parameter of load_image_folder"):
        load_image_folder(".", target="numbers")


def test_real_faces(data_dir):
    bunch = load_image_folder(data_dir / "facial_emotions" / "test")
    assert bunch.data.shape == (3589,)
    assert bunch.target_names == list(EMOTIONS)
    names, counts = np.unique(bunch.target.astype(str), return_counts=True)
    # counts of FER2013's PublicTest split, as published
    published = [467, 56, 496, 895, 607, 653, 415]
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == dict(
        zip(EMOTIONS, published, strict=True)
    )


def test_folders_that_link_to_each_other_are_refused(tmp_path):
    # each order in which the links can be followed is a path of its own: 12! of them
    names = [f"folder{number}" for number in range(12)]
    for name in names:
        (tmp_path / name).mkdir()
        for other in set(names) - {name}:
            (tmp_path / name / other).symlink_to(tmp_path / other, target_is_directory=True)
    with pytest.raises(ValueError, match=r"^load_image_folder was led by links .*Remove links"):
        load_image_folder(tmp_path, target="folders")


def test_deep_folders_take_time_in_proportion(tmp_path, monkeypatch):
    depth = 400
    deepest = tmp_path.joinpath("happy", *["a"] * depth)
    deepest.mkdir(parents=True)
    write_images(tmp_path, ["sad/0.png"])
    (deepest / "0.png").touch()
    asked = []
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path, **_: asked.append(path) or lstat(path))
    assert len(load_image_folder(tmp_path).filenames) == 2
    assert len(asked) < 10 * depth


def test_many_classes_may_link_to_one_folder(tmp_path):
    write_images(tmp_path, ["pool/0.png", *(f"root/class{number}/0.png" for number in range(120))])
    for folder in (tmp_path / "root").iterdir():
        (folder / "more").symlink_to(tmp_path / "pool", target_is_directory=True)
    assert len(load_image_folder(tmp_path / "root", target="folders").filenames) == 240


def test_folders_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    write_images(tmp_path, ["happy/0.png", "sad/0.png"])
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "sad":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        PermissionError, match=r"^load_image_folder cannot read the folder .*sad: Permission denied"
    ):
        load_image_folder(tmp_path)
