from collections import Counter

import pytest

from emotion_estimators.datasets.folder_files import describe_kinds, find_images


def test_images_of_a_folder_and_what_is_passed_over(tmp_path):
    for name in (
        "b.jpg",
        "a/c.PNG",
        "a/notes.txt",
        "a/b.TXT",
        ".DS_Store",
        "out/x.txt",
        "out/d.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    images, passed_over = find_images(tmp_path, owner="It", leave_out="out/")
    assert images == ["a/c.PNG", "b.jpg"]
    assert passed_over == {".txt": 2, "hidden": 1}
    assert describe_kinds(passed_over) == "2 .txt, 1 hidden."


@pytest.mark.parametrize("n_kinds", [12, 1000])
def test_many_kinds_make_one_short_line(n_kinds):
    kinds = Counter({f".{i}{'x' * 200}\n": n_kinds - i for i in range(n_kinds)})
    text = describe_kinds(kinds)
    assert len(text) < 400
    assert "\n" not in text
    assert f"{sum(range(n_kinds - 8 + 1))} of other kinds." in text


@pytest.mark.parametrize("suffix", [".heic", ".heics", ".heif", ".heifs", ".hif"])
def test_what_reads_photographs_that_cannot_be_read_yet(suffix):
    text = describe_kinds(Counter({suffix: 1}))
    assert text.startswith(f"1 {suffix}. To read HEIC photographs, install pi-heif")
