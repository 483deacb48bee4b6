"""Emoji from folders: which ones, in which class, and what is missing."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from emotion_estimators.datasets import emoji_class, load_emoji
from emotion_estimators.datasets._emoji_table import HAPPY_EMOJI, SAD_EMOJI
from emotion_estimators.images import read_image


def row(unified, subcategory="face-smiling", category="Smileys & Emotion", lacking=()):
    vendors = ("apple", "google", "twitter", "facebook")
    return {
        "name": f"NAME OF {unified}",
        "unified": unified,
        "image": f"{unified.lower()}.png",
        "category": category,
        "subcategory": subcategory,
        **{f"has_img_{vendor}": vendor not in lacking for vendor in vendors},
    }


ROWS = [
    row("1F62D", "face-concerned"),
    row("1F600"),
    row("1F618", "face-affection"),  # in the ranges of both
    row("263A-FE0F"),  # in neither
    row("1F642"),
    row("1F642-200D-2194-FE0F", "face-neutral-skeptical"),
    row("1F436", "animal-mammal", category="Animals & Nature"),
    row("1F600-FE0F"),
    row("1F9", "face-tongue"),  # as text it would come after 1F600
]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "emoji-data"
    for vendor in ("google", "apple"):
        (root / f"img-{vendor}-64").mkdir(parents=True)
        for one in ROWS:
            Image.new("RGBA", (64, 64)).save(root / f"img-{vendor}-64" / one["image"])
    (root / "emoji.json").write_text(json.dumps(ROWS))
    return root


def test_happy_and_sad_emoji_of_all_vendors(folder):
    emoji = load_emoji(folder)
    expected = [
        ("1F600", "happy"),
        ("1F600-FE0F", "happy"),
        ("1F618", "happy"),
        ("1F62D", "sad"),
        ("1F642", "happy"),
    ]
    assert list(zip(emoji.code_points, emoji.target, strict=True)) == expected * 2
    assert emoji.vendor.tolist() == ["apple"] * 5 + ["google"] * 5
    assert emoji.data.tolist()[0] == str(folder / "img-apple-64" / "1f600.png")
    assert emoji.names[0] == "NAME OF 1F600"
    assert emoji.target_names == ["happy", "sad"]
    assert emoji.missing == []
    assert "10 images of 5 emoji by apple, google" in emoji.DESCR
    assert all(emoji[key].dtype == object for key in ("data", "target", "code_points", "vendor"))


def test_a_sequence_is_its_own_emoji_or_that_of_its_first_code_point(folder):
    joined = "1F642-200D-2194-FE0F"
    assert joined not in load_emoji(folder).code_points
    emoji = load_emoji(folder, sequences="first", vendor="apple")
    assert dict(zip(emoji.code_points, emoji.target, strict=True))[joined] == "happy"
    for sequences in ("separate", "first"):
        emoji = load_emoji(folder, target="subcategory", sequences=sequences)
        classes = dict(zip(emoji.code_points, emoji.target, strict=True))
        assert classes[joined] == "face-neutral-skeptical"


def test_subcategories_of_the_category_alone_sorted_by_numbers(folder):
    emoji = load_emoji(folder, target="subcategory", vendor=["google"])
    assert emoji.code_points.tolist() == [
        "1F9",
        "263A-FE0F",
        "1F600",
        "1F600-FE0F",
        "1F618",
        "1F62D",
        "1F642",
        "1F642-200D-2194-FE0F",
    ]
    assert emoji.target_names == [
        "face-affection",
        "face-concerned",
        "face-neutral-skeptical",
        "face-smiling",
        "face-tongue",
    ]


def test_vendors_keep_the_order_asked_for(folder):
    emoji = load_emoji(folder, vendor=["google", "apple"])
    assert emoji.vendor.tolist() == ["google"] * 5 + ["apple"] * 5
    data, target = load_emoji(folder, vendor="google", return_X_y=True)
    np.testing.assert_array_equal(data, emoji.data[:5])
    np.testing.assert_array_equal(target, emoji.target[:5])


def test_missing_pictures_are_reported_and_left_out(folder):
    (folder / "img-google-64" / "1f62d.png").unlink()
    with pytest.warns(UserWarning, match=r"lacks 1 image, .* img-google-64/1f62d.png") as warned:
        emoji = load_emoji(folder)
    assert warned[0].filename == __file__
    assert emoji.missing == ["img-google-64/1f62d.png"]
    assert len(emoji.data) == 9


def test_pictures_a_vendor_is_known_to_lack_are_listed_without_a_warning(folder):
    (folder / "img-google-64" / "1f62d.png").unlink()
    rows = [row("1F62D", lacking=["google"]) if r["unified"] == "1F62D" else r for r in ROWS]
    (folder / "emoji.json").write_text(json.dumps(rows))
    assert load_emoji(folder).missing == ["img-google-64/1f62d.png"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("[", r"cannot read .*emoji\.json: it is not JSON .*: Expecting value"),
        ("[" * 200_000, r"cannot read .*emoji\.json: it is not JSON .*: nested too deeply"),
        ("{}", "to hold a list, got dict"),
        ("[1]", "row 0 .*expected an object, got 1"),
        (json.dumps([row("1F600"), {**row("1F600"), "name": None}]), "row 1 .*'name', got None"),
        (json.dumps([row("smile")]), "row 0 .*hexadecimal code points.*got 'smile'"),
        (json.dumps([{**row("1F600"), "image": "../1f600.png"}]), "row 0 .*'../1f600.png'"),
        (json.dumps([row("1F600", category="Flags")]), "no emoji of category 'Smileys & Emotion'"),
        (json.dumps([row("1F610")]), "no image of an emoji with a class in .*, of 0 that there"),
        (json.dumps([["x" * 10**6]]), "row 0 .*expected an object, got "),
        (json.dumps([row("x" * 10**6)]), "row 0 .*hexadecimal code points"),
    ],
)
def test_damaged_tables_are_refused(folder, content, match):
    (folder / "emoji.json").write_text(content)
    with pytest.raises(ValueError, match=match) as caught:
        load_emoji(folder)
    assert len(str(caught.value)) < 1000


def test_folders_that_are_not_there(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"img-<vendor>-64.*found no emoji\.json"):
        load_emoji(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"img-twitter-64 .*there: apple, google"):
        load_emoji(folder, vendor=["apple", "twitter"])
    for name in ("apple", "google"):
        (folder / f"img-{name}-64").rename(folder / name)
    with pytest.raises(FileNotFoundError, match="no folder img-<vendor>-64"):
        load_emoji(folder)


@pytest.mark.parametrize("vendor", [[], ["apple", "apple"], "../x", [1]])
def test_vendors_are_distinct_names(folder, vendor):
    with pytest.raises(ValueError, match=r"name like 'apple', or several distinct"):
        load_emoji(folder, vendor=vendor)


def test_kissing_faces_are_in_both_tables_and_happy():
    def spread(ranges):
        return {n for first, last in ranges for n in range(first, last + 1)}

    assert spread(HAPPY_EMOJI) & spread(SAD_EMOJI) == {0x1F617, 0x1F618, 0x1F619}
    for number in spread(HAPPY_EMOJI) | spread(SAD_EMOJI):
        assert emoji_class(number) == ("happy" if number in spread(HAPPY_EMOJI) else "sad")
    assert emoji_class(0x1F5FF) is None
    assert emoji_class(0x1F608) is None


def test_the_real_collection(data_dir):
    emoji = load_emoji(data_dir / "emoji-data")
    assert set(emoji.vendor) == {"apple", "google", "twitter"}
    assert emoji.missing == []
    classes = dict(zip(emoji.code_points, emoji.target, strict=True))
    # by their names in Python's own copy of the Unicode database
    by_name = {unicodedata.name(chr(int(code, 16))): label for code, label in classes.items()}
    assert by_name["LOUDLY CRYING FACE"] == "sad"
    assert by_name["GRINNING FACE"] == by_name["SMILING CAT FACE WITH OPEN MOUTH"] == "happy"
    assert by_name["KISSING FACE"] == "happy"
    assert "NEUTRAL FACE" not in by_name
    assert "SMILING FACE WITH HORNS" not in by_name
    assert len(load_emoji(data_dir / "emoji-data", sequences="first").data) == len(emoji.data) + 6
    assert all(read_image(path).shape == (64, 64, 3) for path in emoji.data)
    corner = {path: read_image(path)[0, 0].tolist() for path in emoji.data}
    assert corner[emoji.data[0]] == [255, 255, 255]  # transparent there
    everything = load_emoji(data_dir / "emoji-data", target="subcategory", vendor="apple")
    assert len(everything.data) == len(set(everything.code_points)) == 169


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "emoji.json").write_text("[]")
    with pytest.raises(FileNotFoundError, match=r"load_emoji expected the folder .*emoji\.json to"):
        load_emoji(tmp_path / "emoji.json")
