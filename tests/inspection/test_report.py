"""Reports: what stands in them, that they ask for nothing, and that names stay names."""

import base64
import hashlib
import io
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.analysis import analyze_faces, iterate_faces, iterate_video
from emotion_estimators.inspection import write_evaluation_report, write_faces_report
from emotion_estimators.inspection.report import faces_report, figures, totals
from emotion_estimators.inspection.report.marks import shared_folder
from emotion_estimators.inspection.report.page import element, to_html
from emotion_estimators.labels import EMOTIONS

VOID = {"meta", "img", "input", "link", "br", "hr", "wbr", "base"}
HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(2)</script>.png',
    "</style><svg onload=alert(3)>.png",
    "</title>\u2028\u202egnp.png",
    "&lt;b&gt;&amp;.png",
    "' autofocus onfocus='alert(4).png",
]


class Reader(HTMLParser):
    """Reads a page as a browser does: elements with their attributes, and texts by element."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.stack, self.texts = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag  # all are closed in order

    def handle_data(self, data):
        self.texts.append((self.stack[-1] if self.stack else "", data))

    def of(self, tag, **wanted):
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and all(attrs.get(key.rstrip("_")) == wanted[key] for key in wanted)
        ]

    @property
    def text(self):
        shown = (data for tag, data in self.texts if tag not in ("style", "script"))
        return " ".join("".join(shown).split())


def read(path):
    reader = Reader(path.read_text(encoding="utf-8"))
    assert reader.stack == []
    return reader


def picture_of(url):
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (60, 80, 3), dtype=np.uint8) for _ in range(3)]
    return [*images, np.zeros((300, 600, 3), np.uint8)]


@pytest.fixture(scope="module")
def cropper():
    def find(photo):
        return [[5, 6, 20, 24], [40, 10, 30, 30]] if photo.any() else None

    return FaceCropper(detector=find, image_size=48)


@pytest.fixture
def written(photos, cropper, tmp_path):
    """Return a report of three photographs, one without a face and one that is not there."""
    table = analyze_faces([*photos, "lost.png"], cropper=cropper)
    path = tmp_path / "report.html"
    write_faces_report(table, path, X=[*photos, "lost.png"], settings={"Made for": "a test"})
    return table, path


def test_a_table_that_was_sorted_is_the_same_report(written, photos, tmp_path):
    table, path = written
    shuffled = table.sort_values("certainty", ascending=False)
    write_faces_report(shuffled, tmp_path / "other.html", X=[*photos, "lost.png"])
    one, other = read(path), read(tmp_path / "other.html")
    assert "Faces in 5 photographs" in other.text
    assert "Photographs5Faces6Without a face1Not read1" in other.text
    assert [figure["id"] for figure in one.of("figure")] == [
        figure["id"] for figure in other.of("figure")
    ]
    pictures = [sorted(img["src"] for img in page.of("img")) for page in (one, other)]
    assert pictures[0] == pictures[1]


def test_rows_as_they_are_yielded(photos, cropper, tmp_path):
    rows = list(iterate_faces(photos, cropper=cropper))
    pages = []
    for name, given in (
        ("a.html", rows),
        ("b.html", iter(rows)),
        ("c.html", [*itertools.chain(*rows)]),
    ):
        write_faces_report(given, tmp_path / name, X=photos)
        pages.append(read(tmp_path / name).of("tr", role="row"))
    assert pages[0] == pages[1] == pages[2]
    for table in ("faces.csv", [3]):
        with pytest.raises(ValueError, match="expected a DataFrame or rows as of iterate_faces"):
            write_faces_report(table, tmp_path / "report.html")


def test_photographs_in_another_order_are_not_taken_for_those_of_the_table(
    photos, cropper, tmp_path
):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for photo, path in zip(photos, paths, strict=False):
        Image.fromarray(photo).save(path)
    table = analyze_faces(paths, cropper=cropper)
    for X, n in ((paths, 2), (paths[::-1], 0), (photos[:2], 2)):
        write_faces_report(table, tmp_path / "report.html", X=X)
        text = read(tmp_path / "report.html").text
        assert text.count("it is not among the photographs that were given") == 2 - n


def test_what_a_report_of_photographs_says(written):
    table, path = written
    page = read(path)
    text = page.text
    assert "Faces in 5 photographs" in text
    assert "Photographs5Faces6Without a face1Not read1" in text
    assert "lost.png" in text
    assert "No such file" in text
    for said in ("Made for", "a test", "SHA-256", "not what somebody feels", "FER2013"):
        assert said in text
    faces = table[table["status"] == "face"]
    rows = page.of("tr", role="row")[1:]
    assert [row["data-emotion"] for row in rows] == faces["emotion"].tolist()
    assert_allclose(
        [float(row["data-certainty"]) for row in rows], faces["certainty"], rtol=1e-5
    )  # six digits are written
    for emotion, n in faces["emotion"].value_counts().items():
        assert f"{emotion}{n}{100 * n / 6:.1f} %" in text


def test_pictures_and_boxes_are_those_of_the_table(written, photos):
    table, path = written
    page = read(path)
    alts = [img["alt"] for img in page.of("img")]
    assert alts[:6] == ["face 0", "face 1"] * 3
    assert alts[6:] == [f"photograph {i}, with 2 numbered faces" for i in range(3)] + [
        "photograph 3, in which no face was found"
    ]
    pictures = [picture_of(img["src"]) for img in page.of("img")]
    assert [picture.size for picture in pictures[6:]] == [(80, 60)] * 3 + [(180, 90)]
    # JPEG at this quality changes noise, not its mean
    for picture, photo in zip(pictures[6:9], photos, strict=False):
        assert_allclose(np.asarray(picture).mean(), photo.mean(), atol=3)
    boxes = [rect for rect in page.of("rect") if rect["class"].startswith("box")]
    drawn = [[float(rect[name]) for name in ("x", "y", "width", "height")] for rect in boxes]
    expected = table[table["status"] == "face"][["x", "y", "width", "height"]].to_numpy()
    assert_allclose(drawn, expected)  # these photographs are as small as their copies
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    links = {attrs["href"][1:] for attrs in page.of("a")}
    assert links <= ids
    assert len(ids) == sum("id" in attrs for _, attrs in page.elements)


def test_a_large_photograph_is_made_small_and_its_faces_stay_sharp(tmp_path):
    photo = np.zeros((1200, 2400, 3), np.uint8)
    photo[300:340, 600:640] = 255
    cropper = FaceCropper(detector=lambda _: [[600, 300, 40, 40]], max_size=None)
    rows = next(iterate_faces([photo], cropper=cropper))
    write_faces_report(rows, tmp_path / "report.html", X=[photo])
    page = read(tmp_path / "report.html")
    face, whole = (picture_of(img["src"]) for img in page.of("img"))
    assert whole.size == (240, 120)
    (box,) = (rect for rect in page.of("rect") if rect["class"].startswith("box"))
    assert [box[name] for name in ("x", "y", "width", "height")] == ["60", "30", "4", "4"]
    crop = np.asarray(face.convert("L"))
    assert crop.shape == (52, 52)  # the box and its margins, in the pixels of the photograph
    assert crop[26, 26] > 240
    assert crop[1, 1] < 15


@pytest.mark.parametrize("suffix", ["photographs", "evaluation"])
def test_the_page_asks_for_nothing(suffix, written, tmp_path, photos):
    path = written[1]
    if suffix == "evaluation":
        path = tmp_path / "evaluation.html"
        proba = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
        write_evaluation_report(["a", "a", "b"], proba, ["a", "b"], path, X=photos[:3])
    page = read(path)
    for _, attrs in page.elements:
        for name, value in attrs.items():
            assert not name.startswith("on")
            assert name != "style"  # the policy forbids it
            if name in ("src", "href", "action", "data", "srcset", "poster", "xlink:href"):
                assert value.startswith(("data:image/jpeg;base64,", "#"))
    assert page.of("link") == page.of("iframe") == page.of("base") == []
    (policy,) = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.split(None, 1) for rule in policy["content"].split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("style", "script"):
        (text,) = (data for name, data in page.texts if name == tag)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
        assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttp|innerHTML|eval\(", text)


def test_names_stay_names(photos, cropper, tmp_path):
    rows = [row for rows in iterate_faces(photos[:1] * 6, cropper=cropper) for row in rows]
    for row in rows:
        row["image"] = HOSTILE[row["row"]]
        row["emotion"] = "</td><script>alert(5)</script>" if row["row"] == 0 else row["emotion"]
    rows.append(dict.fromkeys(rows[0]) | {"row": 6, "image": HOSTILE[0], "status": "unreadable"})
    rows[-1]["problem"] = "<script>alert(6)</script>"
    path = tmp_path / "report.html"
    write_faces_report(rows, path, X=photos[:1] * 6, settings={HOSTILE[0]: HOSTILE[1]})
    page = read(path)
    assert len(page.of("script")) == 1
    assert len(page.of("style")) == len(page.of("title")) == 1
    assert all("autofocus" not in attrs for _, attrs in page.elements)
    assert all(img["src"].startswith("data:") for img in page.of("img"))
    names = {data for tag, data in page.texts if tag == "bdi"}
    assert set(HOSTILE[:3]) | set(HOSTILE[4:]) <= names
    assert r"</title>\u2028\u202egnp.png" in names  # what turns lines around is written out
    assert "</td><script>alert(5)</script>" in page.text
    assert "<script>alert(6)</script>" in page.text


def test_without_thumbnails_no_photograph_is_read(cropper, photos, tmp_path, monkeypatch):
    rows = [row for rows in iterate_faces(photos, cropper=cropper) for row in rows]
    monkeypatch.setattr(faces_report, "make_thumbnail", None)
    write_faces_report(rows, tmp_path / "report.html", X=photos, thumbnails=False)
    page = read(tmp_path / "report.html")
    assert page.of("img") == page.of("figure") == []
    assert "Photographs and faces were left out of this report." in page.text
    assert len(page.of("tr", role="row")) == 7


def test_what_a_report_lacks_is_said(cropper, photos, tmp_path, monkeypatch):
    rows = [row for rows in iterate_faces(photos, cropper=cropper) for row in rows]
    rows[0]["image"] = rows[1]["image"] = str(tmp_path / "gone.png")
    monkeypatch.setattr(faces_report, "_MOST_FACES", 3)
    monkeypatch.setattr(faces_report, "_MOST_PHOTOGRAPHS", 3)
    monkeypatch.setattr(figures, "_MOST_NAMES", 2)
    write_faces_report(rows, tmp_path / "report.html")
    text = read(tmp_path / "report.html").text
    assert "These are the first 4 faces; the totals are of all." in text  # of whole photographs
    assert "4 photographs are not shown" in text
    assert "cannot be read any more: cannot be opened: No such file" in text
    assert "it is not among the photographs that were given" in text


def test_more_names_than_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(totals, "_MOST_NAMES", 2)
    rows = [rows[0] for rows in iterate_faces([f"no{i}.png" for i in range(5)])]
    write_faces_report(rows, tmp_path / "report.html")
    text = read(tmp_path / "report.html").text
    assert "no1.png" in text
    assert "no2.png" not in text
    assert "3 more are named in the table." in text
    assert "No face was found." in text


def test_an_empty_table(tmp_path):
    write_faces_report([], tmp_path / "report.html")
    assert "Faces in 0 photographs" in read(tmp_path / "report.html").text
    write_faces_report(analyze_faces([]), tmp_path / "report.html")
    assert "Faces in 0 photographs" in read(tmp_path / "report.html").text


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match=r"expected the table of analyze_faces .*status.*missing"):
        write_faces_report(pd.DataFrame({"row": [0], "image": ["a"]}), path)
    assert not path.exists()


def test_a_report_is_whole_or_not_there(cropper, photos, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("an older one")
    rows = next(iterate_faces(photos, cropper=cropper))

    def fail(*_):
        raise RuntimeError("stopped")

    monkeypatch.setattr(faces_report, "write_about", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        write_faces_report(rows, path, X=photos)
    assert path.read_text() == "an older one"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.fixture(scope="module")
def video_rows():
    """Return the rows of 40 frames of two people, of whom one leaves for ten frames."""

    def find(frame):
        return [[5, 5, 20, 20], [50, 5, 20, 20]][: int(frame[0, 0, 0])]

    rng = np.random.default_rng(0)
    frames = rng.integers(3, 256, (40, 60, 80, 3), dtype=np.uint8)
    frames[:, 0, 0, 0] = 2
    frames[15:25, 0, 0, 0] = 1
    frames[39, 0, 0, 0] = 0
    cropper = FaceCropper(detector=find, image_size=48)
    return list(iterate_video(frames, frame_rate=10, cropper=cropper, max_gap=2))


def test_a_video_has_bands_and_rows(video_rows, tmp_path):
    rows = [row for rows in video_rows for row in rows]
    write_faces_report(rows, tmp_path / "report.html")
    page = read(tmp_path / "report.html")
    assert "Faces in 40 frames" in page.text
    assert page.of("img") == []
    assert len(page.of("tr", role="row")) == 1 + 39 + 29
    tracks = {row["track"] for row in rows if row["status"] == "face"}
    assert tracks == {0, 1}
    paths = [attrs["d"] for attrs in page.of("path")]
    assert len(paths) == 2 * len(EMOTIONS)
    assert [d.count("M") for d in paths] == [1] * 7 + [2] * 7  # a gap begins a shape of its own
    assert re.search(r"0\.0 to 3\.8 s ?39", page.text)
    # the bands of a frame fill the height: the first begins below, the last ends on top
    first = [float(d[1:].split("H")[0].split()[1]) for d in paths[:7]]
    assert first[0] == 34.0
    assert first == sorted(first, reverse=True)


def test_the_longest_tracks_are_drawn(video_rows, tmp_path, monkeypatch):
    from emotion_estimators.inspection.report import timelines

    monkeypatch.setattr(timelines, "_MOST_TRACKS", 1)
    table = pd.DataFrame([row for rows in video_rows for row in rows])
    write_faces_report(table, tmp_path / "report.html")
    page = read(tmp_path / "report.html")
    assert "1 shorter tracks are in the table of faces only." in page.text
    assert len(page.of("path")) == 7


def test_what_a_report_of_an_evaluation_says(tmp_path, photos):
    y = ["happy", "sad", "sad", "happy"]
    proba = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
    path = tmp_path / "report.html"
    write_evaluation_report(y, proba, ["happy", "sad"], path, X=photos)
    page = read(path)
    text = page.text
    assert "Evaluation on 4 images" in text
    assert "Accuracy0.500" in text
    assert "Of 2 mistakes, the 2 of which the classifier was surest." in text
    # the surest mistake comes first
    assert [img["alt"] for img in page.of("img")] == [
        "image 3: happy, taken for sad", "image 2: sad, taken for happy",
    ]  # fmt: skip
    assert len(page.of("circle")) == 4  # bins with images
    cells = [attrs["class"] for attrs in page.of("td") if attrs.get("class", "")[:1] == "h"]
    assert cells == ["h5 right", "h5", "h5", "h5 right"]
    write_evaluation_report(y, proba, ["happy", "sad"], path, X=photos, thumbnails=False)
    assert read(path).of("img") == []
    write_evaluation_report(["a", "b"], [[0.8, 0.2], [0.1, 0.9]], ["a", "b"], path)
    assert "No image was taken for another class." in read(path).text
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        write_evaluation_report(y, proba, ["happy", "sad"], path, X=photos[:2])


def test_a_classifier_of_ones_own_has_no_card(photos, cropper, tmp_path):
    from sklearn.dummy import DummyClassifier

    own = DummyClassifier(strategy="uniform").fit(np.zeros((4, 1)), ["a", "b", "b", "b"])
    rows = next(iterate_faces(photos, cropper=cropper, classifier=own))
    write_faces_report(rows, tmp_path / "report.html", X=photos, classifier=own)
    text = read(tmp_path / "report.html").text
    assert "There is no card of this model" in text
    assert "DummyClassifier(strategy='uniform')" in text
    write_faces_report([], tmp_path / "report.html", classifier=PretrainedEmotionClassifier())
    assert "There is no card of this model" not in read(tmp_path / "report.html").text


def test_what_the_embedded_model_cannot_have_said_is_not_ascribed_to_it(photos, cropper, tmp_path):
    from sklearn.dummy import DummyClassifier

    own = DummyClassifier(strategy="uniform").fit(np.zeros((4, 1)), ["a", "b", "b", "b"])
    path = tmp_path / "report.html"
    write_faces_report(next(iterate_faces(photos, cropper=cropper, classifier=own)), path, X=photos)
    assert "There is no card of this model" in read(path).text
    assert "PretrainedEmotionClassifier" not in read(path).text
    write_evaluation_report(["a", "b"], [[0.8, 0.2], [0.1, 0.9]], ["a", "b"], path)
    assert "There is no card of this model" in read(path).text
    write_faces_report(next(iterate_faces(photos, cropper=cropper)), path, X=photos)
    assert "PretrainedEmotionClassifier()" in read(path).text


def test_elements_escape_what_they_hold():
    made = element("p", "a<b", [element("b", "&"), "c>", None], title='"<', hidden=True, id=None)
    assert to_html(made) == b'<p title="&quot;<" hidden="">a&lt;b<b>&amp;</b>c&gt;</p>'
    assert to_html(element("p", "\x00\x1b\u202e\u2028")) == rb"<p>\x00\x1b\u202e\u2028</p>"


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["a/b/c.png", "a/b/d/e.png"], "a/b/"),
        (["/x/ab/c", "/x/ac/d"], "/x/"),
        (["a.png", "b/c.png"], ""),
        ([r"C:\x\a", r"C:\x\y\b"], "C:\\x\\"),
        (["/a", "/b"], "/"),
    ],
)
def test_the_folder_of_all_files(paths, folder):
    shared = None
    for path in paths:
        shared = shared_folder(shared, path)
    assert shared == folder
