"""A report in a real browser: filtered, sorted, by keyboard, on a telephone, in the dark."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from emotion_estimators import FaceCropper
from emotion_estimators.analysis import analyze_faces, iterate_video
from emotion_estimators.inspection import write_evaluation_report, write_faces_report

REQUIRED = "EMOTION_ESTIMATORS_BROWSER_TESTS"  # set: what is missing is a failure
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESKTOP = (390, 844), (1280, 900)
HOSTILE = ["<img src=x onerror=document.title='owned'>.png", "'\"><script>alert(1)<b>.png"]

# of all words that are seen: color, background and what they stand in, where they are hard to read
CONTRAST = """
() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const [r, g, b, a = 1] = numbers(getComputedStyle(element).backgroundColor);
    if (a === 1) return [r, g, b];
    const below = behind(element.parentElement);
    return [r, g, b].map((v, i) => a * v + (1 - a) * below[i]);
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, script")) continue;
    if (!element.checkVisibility()) continue;
    const pair = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) poor.push([walker.currentNode.data, ratio]);
  }
  return poor;
}
"""


@pytest.fixture(scope="module")
def chromium():
    """Return Chromium of the system, driven by playwright, or skip."""
    is_required = bool(os.environ.get(REQUIRED))
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        assert not is_required, f"{REQUIRED} is set, and there is no {' or '.join(BROWSERS)}"
        pytest.skip("needs Chromium, and there is none")
    if is_required:
        import playwright.sync_api
    else:
        pytest.importorskip("playwright.sync_api", reason="drives the browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=120_000
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Return a function that opens a page; all that goes wrong in it fails the test."""
    contexts, faults, asked, opened = [], [], [], set()

    def visit(path, size=DESKTOP, *, scheme="light", **options):
        viewport = dict(zip(("width", "height"), size, strict=True))
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        opened.add(path.as_uri())
        page.goto(path.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert faults == []
    outside = {url for url in asked if not url.startswith("data:image/jpeg")}
    assert outside == opened  # the pages themselves


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("photographs")


@pytest.fixture(scope="module")
def table(folder):
    """Return the table of twelve photographs of two faces each, and of one without."""

    def find(photo):
        return [[5, 20, 30, 30], [70, 25, 40, 40]] if photo.any() else None

    rng = np.random.default_rng(0)
    names = [*HOSTILE, *(f"{i:02}.png" for i in range(10)), "nobody.png"]
    paths = [folder / name for name in names]
    for path in paths[:-1]:
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(path)
    Image.new("RGB", (120, 90)).save(paths[-1])
    cropper = FaceCropper(detector=find, image_size=48)
    table = analyze_faces([str(path) for path in [*paths, folder / "lost.png"]], cropper=cropper)
    # of noise a model says one thing: let there be two
    is_other = (table["row"] % 3 == 0) & (table["status"] == "face")
    table.loc[is_other, "emotion"] = "happy"
    table.loc[is_other, "certainty"] = table.loc[is_other, "emotion_happy"]
    return table


@pytest.fixture(scope="module")
def report(table, folder):
    path = folder / "report.html"
    write_faces_report(table, path)
    return path


@pytest.fixture(scope="module")
def evaluation(folder):
    rng = np.random.default_rng(0)
    path = folder / "evaluation.html"
    classes = ["angry", "happy", "sad"]
    X = rng.integers(0, 256, (40, 48, 48), dtype=np.uint8)
    proba = rng.dirichlet([1, 1, 1], 40)
    write_evaluation_report(rng.choice(classes, 40), proba, classes, path, X=X)
    return path


@pytest.fixture(scope="module")
def video(folder):
    frames = np.random.default_rng(0).integers(0, 256, (30, 60, 80, 3), dtype=np.uint8)
    cropper = FaceCropper(detector=lambda _: [[5, 5, 20, 20]], image_size=48)
    path = folder / "video.html"
    rows = [row for rows in iterate_video(frames, cropper=cropper) for row in rows]
    write_faces_report(rows, path)
    return path


def shown_rows(page):
    return page.locator("#face-table tbody tr:visible")


def test_it_filters(report, table, visit):
    page = visit(report)
    faces = table[table["status"] == "face"]
    status, rows = page.get_by_role("status"), shown_rows(page)
    assert page.title() == "Faces in 14 photographs"
    assert rows.count() == len(faces) == 24
    assert status.inner_text() == "24 of 24 faces are shown."
    assert page.locator("figure:visible").count() == 13
    page.get_by_label("Emotion", exact=True).select_option("happy")
    n_happy = int((faces["emotion"] == "happy").sum())
    assert rows.count() == n_happy
    assert page.locator("figure:visible").count() == n_happy // 2
    assert status.inner_text().startswith(f"{n_happy} of 24 faces are shown")
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.getElementById('shown').textContent.startsWith('24')")
    limit = round(float(faces["certainty"].median()), 2)
    page.get_by_label("Certainty from").fill(str(limit))
    assert rows.count() == int((faces["certainty"] >= limit).sum())
    page.get_by_label("to", exact=True).fill(str(limit))
    assert rows.count() == 0
    page.get_by_label("to", exact=True).fill("1")
    page.get_by_label("Certainty from").fill("")
    page.get_by_label("Name contains").fill("ONERROR")
    assert rows.count() == 2


def test_it_sorts_by_keyboard_too(report, table, visit):
    page = visit(report)
    faces = table[table["status"] == "face"]
    heading = page.get_by_role("columnheader", name="Certainty")
    cells = page.locator("#face-table td.certainty")
    assert heading.get_attribute("aria-sort") is None
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    falling = [float(text) for text in cells.all_inner_texts()]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] == pytest.approx(faces["certainty"].max(), abs=5e-4)  # three decimals
    page.keyboard.press("Space")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in cells.all_inner_texts()] == sorted(falling)
    page.get_by_role("columnheader", name="Emotion").get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
    emotions = page.locator("#face-table td.emotion").all_inner_texts()
    assert emotions == sorted(faces["emotion"])
    # the focus is seen, and comes to the content first
    page.goto(report.as_uri())
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    assert page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_faces_and_photographs_lead_to_each_other(report, visit):
    page = visit(report)
    page.locator("#f3-1 a").click()
    assert page.evaluate("location.hash") == "#p3"
    page.get_by_label("Emotion", exact=True).select_option("happy")
    page.evaluate("location.hash = '#f4-1'")  # which is not happy
    page.wait_for_function("!document.getElementById('f4-1').hidden")
    names = page.locator("figure img").evaluate_all("images => images.map((i) => i.alt)")
    assert len(names) == 13
    assert "nobody.png, in which no face was found" in names
    loaded = page.locator("img").evaluate_all("images => images.every((i) => i.naturalWidth > 0)")
    assert loaded


def test_names_stay_names(report, visit):
    page = visit(report)
    assert page.title() == "Faces in 14 photographs"
    assert page.locator("script").count() == 1
    for name in HOSTILE:
        assert page.get_by_role("rowheader", name=name).count() == 2


def test_without_javascript_all_is_there(report, visit):
    page = visit(report, java_script_enabled=False)
    assert shown_rows(page).count() == 24
    assert page.locator("figure:visible").count() == 13
    assert page.locator("form:visible").count() == page.locator("thead button").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("kind", ["report", "evaluation", "video"])
def test_it_can_be_read(kind, size, scheme, request, visit, tmp_path):
    page = visit(request.getfixturevalue(kind), size, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]  # nothing sticks out
    assert page.evaluate(CONTRAST) == []
    # what is laid out as cards on a telephone is still a table to those who cannot see it
    if kind != "evaluation":
        rows = page.get_by_role("table", name="Faces in the order").get_by_role("row").count()
        assert rows == 1 + {"report": 24, "video": 30}[kind]
    page.screenshot(path=tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.std() > 10  # there is something on it
    assert (np.median(pixels) > 128) == (scheme == "light")
