"""The file fer2013.csv as people have it, with the votes beside it, and damaged in every way."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotion_estimators.datasets import fer2013_csv, load_fer2013, load_votes
from emotion_estimators.exceptions import InvalidTableError
from emotion_estimators.labels import VOTE_COLUMNS

USAGES = ["Training", "Training", "PublicTest", "PrivateTest", "Training", "Training", "Training"]
EMOTIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]  # 0..6
FACES = np.random.default_rng(0).integers(0, 256, (7, 48, 48), dtype=np.uint8)


def row(number: int, face: np.ndarray, usage: str, order: str = "epU") -> str:
    cells = {"e": str(number), "p": " ".join(map(str, face.ravel())), "U": usage}
    return ",".join(cells[letter] for letter in order) + "\n"


TEXT = "emotion,pixels,Usage\n" + "".join(
    row(number, face, usage) for number, (face, usage) in enumerate(zip(FACES, USAGES, strict=True))
)
VOTES = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    + "".join(
        f"{usage},fer{n}.png,{n},{10 - n},0,0,0,0,0,0,0,0\n" for n, usage in enumerate(USAGES)
    )
)


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "fer2013.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


def failures_of(path: Path, votes: object = None) -> list[tuple[int, str]]:
    with pytest.raises(InvalidTableError, match=r"^load_fer2013 cannot use") as caught:
        load_fer2013(path, votes)
    return caught.value.failures


def test_faces_labels_and_splits(write):
    bunch = load_fer2013(write(TEXT))
    np.testing.assert_array_equal(bunch.data, FACES)
    assert bunch.data.dtype == np.uint8
    assert bunch.target.tolist() == EMOTIONS
    assert bunch.target.dtype == bunch.usage.dtype == object
    assert bunch.target_names == sorted(EMOTIONS)
    assert bunch.usage.tolist() == USAGES
    assert "votes" not in bunch
    assert "7 faces, grey, of 48 x 48 px: Training 5, PublicTest 1, PrivateTest 1" in bunch.DESCR
    assert "MIT" not in bunch.DESCR
    bunch.data[0, 0, 0] = 1  # can be written


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT + "\n\n",
        TEXT.removesuffix("\n"),
        TEXT.replace(",Usage", ", Usage").replace(",P", ", P"),
        "emotion, Usage, pixels\n"
        + "".join(row(n, FACES[n], USAGES[n], "eUp") for n in range(len(FACES))),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in TEXT.splitlines()),
    ],
    ids=["CRLF", "BOM", "no end", "blanks", "other order", "quotes"],
)
def test_layouts_are_read_alike(write, text):
    bunch, expected = load_fer2013(str(write(text))), load_fer2013(write(TEXT))
    for key in ("data", "target", "usage"):
        np.testing.assert_array_equal(bunch[key], expected[key])


def test_votes_lie_beside(write):
    faces, table = write(TEXT), write(VOTES, "fer2013new.csv")
    bunch = load_fer2013(faces, table)
    assert list(bunch.votes) == list(VOTE_COLUMNS)
    assert bunch.votes["neutral"].tolist() == list(range(7))
    assert "FER+, github.com/microsoft/FERPlus (MIT)" in bunch.DESCR
    frame = load_votes(table)
    pd.testing.assert_frame_equal(load_fer2013(faces, frame).votes, bunch.votes)
    pd.testing.assert_frame_equal(load_fer2013(faces, frame.iloc[:, ::-1]).votes, bunch.votes)


def test_votes_of_other_faces(write):
    faces = write(TEXT)
    with pytest.raises(InvalidTableError, match=r"a row of votes for each face .* got 6 rows in"):
        load_fer2013(faces, write("\n".join(VOTES.split("\n")[:7]), "votes.csv"))
    frame = load_votes(write(VOTES, "votes.csv"))
    with pytest.raises(InvalidTableError, match="got 8 rows in the DataFrame votes and 7 in"):
        load_fer2013(faces, pd.concat([frame, frame.iloc[:1]]))
    with pytest.raises(InvalidTableError, match="expected votes with the columns neutral, happy"):
        load_fer2013(faces, frame.drop(columns="happy"))
    with pytest.raises(
        ValueError, match=r"^load_fer2013 expected votes to be finite .* row 6: -6.0"
    ):
        load_fer2013(faces, -frame)
    swapped = VOTES.replace("PublicTest", "PrivateTest", 1)
    assert failures_of(faces, write(swapped, "votes.csv")) == [
        (4, "is of PublicTest, and its votes are of PrivateTest")
    ]
    ours = frame.rename_axis("file").to_csv()
    with pytest.raises(
        InvalidTableError, match=r"expected FER\+'s table.*load_votes finds the votes"
    ):
        load_fer2013(faces, write(ours, "votes.csv"))
    with pytest.raises(FileNotFoundError, match=r"^load_fer2013 found no table at"):
        load_fer2013(faces, "gone.csv")


def face(first: str = "7", n: int = 48 * 48) -> str:
    """Return the pixels of a face of which the first one is given."""
    return " ".join([first, *["7"] * (n - 1)])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"1,{face(n=2303)},Training", "has 2303 pixels: expected 2304 (48 x 48)"),
        (f"1,{face(n=2305)},Training", "has 2305 pixels: expected 2304 (48 x 48)"),
        (f"1,{face('256')},Training", "has a pixel of 256: expected integers in 0..255"),
        (f"1,{face('9' * 30)},Training", "has a pixel of 9223"),
        (f"1,{face('-1')},Training", "has '-1 7 7"),
        (f"1,{face('1.5')},Training", "has '1.5 7 7"),
        ("1," + face("\uff11") + ",Training", "has '\uff11 7 7"),  # a one, but no ASCII
        ("1,,Training", "has '' for its pixels: expected 2304 integers in 0..255"),
        (f"7,{face()},Training", "has the emotion '7': expected an integer in 0..6"),
        (f"happy,{face()},Training", "has the emotion 'happy': expected an integer in 0..6"),
        (f"1,{face()},Test", "has the Usage 'Test': expected one of Training, PublicTest, Priv"),
        (f"1,{face()}", "has 2 cells, the header 3"),
        (f"1,{face()},Training,", "has 4 cells, the header 3"),
    ],
)
def test_rows_at_fault(write, line, reason):
    lines = TEXT.splitlines()
    lines[2] = line
    ((number, said),) = failures_of(write("\n".join(lines)))
    assert number == 3
    assert said.startswith(reason)


def test_an_interrupted_download(write):
    ((number, reason),) = failures_of(write(TEXT[:-4000]))
    assert (number, reason) == (8, "has 2 cells, the header 3")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "expected a header in .*, got an empty file"),
        ("emotion,pixels,Usage\n", "found no row below the header"),
        ("emotion,pixels\n3,1 2 3\n", "columns emotion, pixels, Usage, got 'emotion', 'pixels'"),
        ("emotion,pixels,Usage,Usage\n", "columns emotion, pixels, Usage, got .*'Usage', 'Usage'"),
        ("<!DOCTYPE html>\n<p>", "got '<!DOCTYPE html>'"),
        ("a" * 60_000 + "\n", "columns emotion, pixels, Usage, got 'a*[.]{3}"),
    ],
)
def test_other_files(write, text, match):
    with pytest.raises(InvalidTableError, match=f"^load_fer2013 .*{match}") as caught:
        load_fer2013(write(text))
    assert len(str(caught.value)) < 1500


def test_a_quotation_mark_that_is_not_closed(write):
    with pytest.raises(ValueError, match=r"^load_fer2013 cannot read row 3 of .*: unexpected end"):
        load_fer2013(write(TEXT.splitlines()[0] + "\n0," + '1,Training\n"' + "a,b\n" * 9))
    with pytest.raises(
        ValueError, match=r"^load_fer2013 cannot read row 2 of .*: field larger than"
    ):
        load_fer2013(write(TEXT.splitlines()[0] + '\n"' + "a,b\n" * 99_999))


def test_files_made_to_fill_the_memory(write, tmp_path, monkeypatch):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:  # zeros that take no room on the disk
        file.truncate(2**30)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ValueError, match="expected lines of 65536 characters at most"):
        load_fer2013(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    assert time.perf_counter() - start < 5
    with path.open("ab") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(ValueError, match="more than is left of the 1073741824 bytes"):
        load_fer2013(path)
    monkeypatch.setattr(fer2013_csv, "_MAX_ROWS", 50)
    with pytest.raises(ValueError, match=r"^load_fer2013 cannot read .*: row 51 asks for"):
        load_fer2013(write(TEXT.splitlines()[0] + "\n" + "0,1,Training\n" * 100))
    with pytest.raises(FileNotFoundError, match=r"^load_fer2013 found no file at"):
        load_fer2013(tmp_path)


def test_many_faults_are_a_short_message(write):
    with pytest.raises(
        InvalidTableError, match=r"(?s)30 of 30 rows.*row 2 has 1 .*and \d+ more"
    ) as caught:
        load_fer2013(write(TEXT.splitlines()[0] + "\n" + "0,1,Training\n" * 30))
    assert len(str(caught.value)) < 1600
    assert len(caught.value.failures) == 30
