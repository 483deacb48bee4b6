"""Tables of multi-label images: every layout that is read, and every fault that is named."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emotion_estimators.datasets import _table, load_multilabel_csv
from emotion_estimators.exceptions import InvalidTableError

TABLE = """Image_Name,Classes,bus,boat,sitar
a.png,bus boat,1,1,0
b.png,,0,0,0
deep/c.png,sitar,0,0,1
d.png,bus,1,0,0
"""
TARGET = [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "deep/c.png", "d.png"):
        Image.new("RGB", (8, 8)).save(images / name)
    return images


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder.parent / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def failures_of(folder: Path, text: str, **options: object) -> list[tuple[int, str]]:
    with pytest.raises(InvalidTableError, match="load_multilabel_csv cannot use") as caught:
        load_multilabel_csv(write(folder, text), folder, **options)
    return caught.value.failures


def test_the_layout(folder):
    table = write(folder, TABLE)
    bunch = load_multilabel_csv(table, folder)
    assert bunch.data.tolist() == [
        str(folder / name) for name in ("a.png", "b.png", "deep/c.png", "d.png")
    ]
    assert bunch.target.tolist() == TARGET
    assert bunch.target.dtype == np.int64
    assert bunch.target_names == ["bus", "boat", "sitar"]
    assert bunch.filenames.tolist() == ["a.png", "b.png", "deep/c.png", "d.png"]
    assert bunch.rows.tolist() == [2, 3, 4, 5]
    assert bunch.ignored_columns == ["Classes"]
    assert "4 images" in bunch.DESCR
    assert "bus 2, boat 1, sitar 1" in bunch.DESCR
    X, Y = load_multilabel_csv(str(table), str(folder), return_X_y=True)
    assert X.tolist() == bunch.data.tolist()
    assert Y.tolist() == TARGET


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TABLE, "utf-8-sig"),
        (TABLE, "utf-16"),
        (TABLE.replace(",", ";"), "utf-8"),
        (TABLE.replace(",", "\t"), "utf-8-sig"),
        (TABLE.replace(",", "|"), "utf-8"),
        (TABLE.replace("\n", "\r\n"), "utf-8"),
        (TABLE.replace("bus boat", '"bus, boat"'), "utf-8"),
        (TABLE.replace(",1", ",1.0").replace(",0", ", 0.0 "), "utf-8"),
        (TABLE.replace(",1", ",True").replace(",0", ",FALSE"), "utf-8"),
    ],
    ids=["BOM", "UTF-16", "semicolon", "tab", "bar", "CRLF", "quotes", "floats", "bools"],
)
def test_dialects_are_read_alike(folder, text, encoding):
    bunch = load_multilabel_csv(write(folder, text, encoding), folder)
    assert bunch.target.tolist() == TARGET
    assert bunch.target_names == ["bus", "boat", "sitar"]


def test_another_encoding_is_an_error_until_it_is_named(folder):
    Image.new("RGB", (8, 8)).save(folder / "é.png")
    table = write(folder, TABLE.replace("a.png", "é.png"), "cp1252")
    with pytest.raises(ValueError, match=r"encoded as utf-8-sig, got the byte 0xe9 in line 2"):
        load_multilabel_csv(table, folder)
    bunch = load_multilabel_csv(table, folder, encoding="cp1252")
    assert bunch.filenames[0] == "é.png"


def test_a_line_break_in_a_cell_does_not_shift_the_rows(folder):
    text = TABLE.replace("bus boat", '"bus\nboat"') + "\ngone.png,,0,0,0\n"
    # as a spreadsheet counts: the broken cell is in one row, the empty line is one
    assert [row for row, _ in failures_of(folder, text)] == [7]


def test_named_columns_set_the_order(folder):
    table = write(folder, TABLE)
    bunch = load_multilabel_csv(table, folder, label_columns=["sitar", "bus"])
    assert bunch.target.tolist() == [[row[2], row[0]] for row in TARGET]
    assert bunch.target_names == ["sitar", "bus"]
    assert bunch.ignored_columns == ["Classes", "boat"]


def test_columns_of_other_numbers_are_no_labels(folder):
    text = "bus,Number,Image_Name\n1,0,a.png\n0,1,b.png\n1,2,d.png\n0,3,deep/c.png\n"
    bunch = load_multilabel_csv(write(folder, text), folder)
    assert bunch.target_names == ["bus"]
    assert bunch.ignored_columns == ["Number"]


@pytest.mark.parametrize("kind", ["int64", "float64", "bool", "Int64", "object", "str"])
def test_a_frame_is_a_table(folder, kind):
    frame = pd.read_csv(write(folder, TABLE))
    labels = ["bus", "boat", "sitar"]
    frame[labels] = frame[labels].astype(kind)
    frame.index = [7, 7, 3, 1]
    bunch = load_multilabel_csv(frame, folder)
    assert bunch.target.tolist() == TARGET
    assert bunch.rows.tolist() == [0, 1, 2, 3]
    assert bunch.ignored_columns == ["Classes"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, ""])
def test_unknown_labels_of_a_frame(folder, missing):
    frame = pd.read_csv(write(folder, TABLE)).astype({"boat": object})
    frame.loc[1, "boat"] = missing
    with pytest.raises(InvalidTableError, match=r"row 1 has no value for 'boat': .*partial_labels"):
        load_multilabel_csv(frame, folder)
    target = load_multilabel_csv(frame, folder, partial_labels=True).target
    np.testing.assert_array_equal(
        target, [[1.0, 1.0, 0.0], [0.0, np.nan, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    )


@pytest.mark.parametrize("word", ["", " ", "NaN", "na", "N/A", "null", "None"])
def test_unknown_labels_of_a_file(folder, word):
    text = TABLE.replace("d.png,bus,1,0,0", f"d.png,bus,1,{word},0")
    assert [row for row, _ in failures_of(folder, text)] == [5]
    target = load_multilabel_csv(write(folder, text), folder, partial_labels=True).target
    assert target.dtype == np.float64
    np.testing.assert_array_equal(target[3], [1.0, np.nan, 0.0])


def test_all_faults_at_once_each_with_its_row(folder):
    text = (
        "Image_Name,bus,boat\n"
        "a.png,1,1\n"
        "gone.png,1,0\n"
        "a.png,0,1\n"
        "b.png,2,maybe\n"
        "d.png,,1\n"
        ",1,0\n"
        "../labels.csv,0,1\n"
        "deep/c.png,1\n"
        "./a.png,1,0\n"
    )
    assert failures_of(folder, text) == [
        (3, f"names 'gone.png': there is no file {folder / 'gone.png'}"),
        (4, "names 'a.png', which row 2 names already"),
        (5, "has '2' for 'bus': expected 0 or 1"),
        (5, "has 'maybe' for 'boat': expected 0 or 1"),
        (6, "has no value for 'bus': expected 0 or 1, or partial_labels=True where it is unknown"),
        (7, "has no file name"),
        (8, "names '../labels.csv', which leads out of the folder"),
        (9, "has 2 cells, the header 3"),
        (10, "names './a.png', which row 2 names already"),
    ]


def test_the_message_counts_on_where_it_stops_naming(folder):
    text = "Image_Name,bus\n" + "".join(f"gone{i}.png,1\n" for i in range(50))
    with pytest.raises(
        InvalidTableError, match=r"cannot use 50 of 50 rows of (?s:.*)and \d+ more \(error.failures"
    ) as e:
        load_multilabel_csv(write(folder, text), folder)
    assert len(e.value.failures) == 50
    assert 5 < str(e.value).count("\n") <= 21
    assert len(str(e.value)) < 1700


@pytest.mark.parametrize(
    "name",
    [
        "../labels.csv",
        "deep/../../labels.csv",
        "..\\labels.csv",
        "/etc/passwd",
        "C:\\a.png",
        "c:a.png",
        "\\\\server\\share\\a.png",
    ],
)
def test_names_that_lead_out(folder, name):
    ((row, reason),) = failures_of(folder, f"Image_Name,bus\na.png,1\n{name},0\n")
    assert row == 3
    assert reason.endswith("which leads out of the folder")


@pytest.mark.parametrize("name", ["deep/../a.png", "./a.png", "deep/./c.png", "..a.png"])
def test_dots_that_stay_inside(folder, name):
    Image.new("RGB", (8, 8)).save(folder / "..a.png")
    bunch = load_multilabel_csv(write(folder, f"Image_Name,bus\n{name},1\n"), folder)
    assert Path(bunch.data[0]).is_file()


def test_a_name_no_system_allows_is_a_missing_file(folder):
    ((_, reason),) = failures_of(folder, f"Image_Name,bus\na.png,1\n{'x' * 5000}.png,0\n")
    assert "there is no file" in reason


def test_a_label_without_positives_is_warned_of(folder):
    table = write(folder, TABLE.replace("0,0,1", "0,0,0"))
    with pytest.warns(UserWarning, match=r"no row of .* with 1 for 'sitar': nothing can be learnt"):
        assert load_multilabel_csv(table, folder).target[:, 2].sum() == 0


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        (TABLE, {"image_column": "File"}, r"there is no column 'File'\nIt has 'Image_Name', 'Cl"),
        (
            TABLE,
            {"label_columns": ["bus", "tram", "ship"]},
            r"there is no column 'tram'\n  there is no column 'ship'",
        ),
        (TABLE, {"label_columns": ["bus", "bus"]}, r"label_columns names 'bus' 2 times"),
        (TABLE, {"label_columns": ["Image_Name"]}, r"names 'Image_Name', the column of the images"),
        (TABLE, {"label_columns": []}, r"expected columns of 0 and 1 in .*, got none among 'Image"),
        (TABLE.replace("boat,sitar", "bus,sitar"), {}, r"column 'bus' is there 2 times"),
        ("Image_Name,bus\n", {}, r"there is no row below the header"),
        ("Image_Name,Classes\na.png,bus\n", {}, r"expected columns of 0 and 1 in .*, got none"),
    ],
)
def test_columns_at_fault(folder, text, options, match):
    with pytest.raises(InvalidTableError, match=match):
        load_multilabel_csv(write(folder, text), folder, **options)


def test_files_and_folders_that_are_not_there(folder):
    with pytest.raises(FileNotFoundError, match=r"load_multilabel_csv found no table at .*nowhere"):
        load_multilabel_csv(folder / "nowhere.csv", folder)
    with pytest.raises(NotADirectoryError, match=r"expected path to be a folder, got .*labels"):
        load_multilabel_csv(write(folder, TABLE), folder.parent / "labels.csv")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("\n\n", r"expected a header in .*, got an empty file"),
        ('Image_Name,bus\n"a.png,1\n', r"cannot read .* as a table: unexpected end of data"),
    ],
)
def test_no_table(folder, text, match):
    with pytest.raises(ValueError, match=match):
        load_multilabel_csv(write(folder, text), folder)


def test_wrong_parameters(folder):
    with pytest.raises(ValueError, match=r"'table' parameter of load_multilabel_csv must be"):
        load_multilabel_csv(3, folder)
    with pytest.raises(ValueError, match=r"'partial_labels' parameter of load_multilabel_csv"):
        load_multilabel_csv(write(folder, TABLE), folder, partial_labels="yes")


@pytest.mark.parametrize(
    "text",
    [
        "Image_Name,boat\n" + ("d/" * 60_000 + "0.png,1\n") * 30,
        "Image_Name,boat\n"
        + "".join(f"{i}.png,{'x' * 500}\n0.png,1\n0.png,1\n" for i in range(40)),
        "Image_Name," + ",".join(["x" * 1000] * 50) + "\n0.png" + ",1" * 50,
        "Image_Name," + ",".join(f"{i}{'x' * 1000}" for i in range(50)) + "\n0.png" + ",2" * 50,
        "Image_Name," + ",".join(f"{i}" for i in range(9000)) + "\n" + "0.png\n" * 5,
    ],
    ids=["deep names", "values", "columns twice", "columns", "short rows"],
)
def test_no_message_is_longer_than_a_screen(folder, text):
    with pytest.raises(InvalidTableError, match=r"load_multilabel_csv (?s:.*) more") as caught:
        load_multilabel_csv(write(folder, text), folder)
    assert len(str(caught.value)) < 1800  # paths of the tests themselves are long


@pytest.mark.parametrize(
    "text", ["x" * 131_073 + ",boat\n0.png,1\n", "Image_Name,b\n" + "x" * 131_073]
)
def test_a_cell_longer_than_any(folder, text):
    match = r"cannot read .*labels\.csv as a table: field larger than field limit"
    with pytest.raises(ValueError, match=match):
        load_multilabel_csv(write(folder, text), folder)


def test_as_large_a_table_as_there_may_be(folder, monkeypatch):
    text = "Image_Name,boat\n" + "".join(
        f"{name},1\n" for name in ("a.png", "b.png", "deep/c.png", "d.png")
    )
    monkeypatch.setattr(_table, "_MAX_BYTES", len(text.encode()))
    monkeypatch.setattr(_table, "_MAX_PARTS", 50)  # five rows of eight and two
    assert len(load_multilabel_csv(write(folder, text), folder).data) == 4
    monkeypatch.setattr(_table, "_MAX_PARTS", 49)
    with pytest.raises(ValueError, match=r"as a table: row 5 asks for more .* the 49 parts"):
        load_multilabel_csv(write(folder, text), folder)
    monkeypatch.setattr(_table, "_MAX_BYTES", len(text.encode()) - 1)
    with pytest.raises(ValueError, match=r"as a table: it asks for more than is left of the \d+ b"):
        load_multilabel_csv(write(folder, text), folder)


def test_a_thousand_labels_take_no_time_with_their_square(folder):
    """A label was searched for among all of them, in every row."""
    names = [f"label {i}" for i in range(3000)]
    text = "\n".join(
        [",".join(["Image_Name", *names]), *("9.png" + ",1" * 3000 for _ in range(100))]
    )
    started = time.process_time()
    with pytest.raises(InvalidTableError, match="cannot use 100 of 100 rows"):
        load_multilabel_csv(write(folder, text), folder)
    assert time.process_time() - started < 3  # 0.4 s; with the square 13 s
