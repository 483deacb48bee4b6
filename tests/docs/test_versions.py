"""The switch between versions of the documentation, in a browser."""

import functools
import json
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TWO = [
    {"version": "0.2.0", "url": "../0.2.0/"},
    {"version": "0.1.0", "url": "../0.1.0/"},
]


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """Two versions with a page each, of which one has a second page; served on this machine."""
    box = (DOCS / "_templates" / "sidebar" / "versions.html").read_text(encoding="utf-8")
    script = (DOCS / "_static" / "versions.js").read_text(encoding="utf-8")
    for version, pages in {
        "0.1.0": ["index.html", "guide/faces.html", "guide/old.html"],
        "0.2.0": ["index.html", "guide/faces.html"],
    }.items():
        shown = re.sub(r"\{\{ release\|e \}\}", version, box)
        assert shown.count(version) == 1
        for page in pages:
            file = tmp_path / version / page
            file.parent.mkdir(parents=True, exist_ok=True)
            root = "../" if "/" in page else "./"
            file.write_text(
                f'<html data-content_root="{root}"><link rel="icon" href="data:,"><body>{shown}'
                f"<script>{script}</script>"
            )
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Silent, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser_page():
    playwright = pytest.importorskip("playwright.sync_api", reason="the test drives a browser")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def test_of_two_versions_the_other_one_is_opened(site, browser_page) -> None:
    folder, address = site
    (folder / "versions.json").write_text(json.dumps(TWO))
    browser_page.goto(f"{address}/0.1.0/guide/faces.html")
    select = browser_page.wait_for_selector("#versions select", state="visible")
    assert [o.inner_text() for o in select.query_selector_all("option")] == ["0.2.0", "0.1.0"]
    assert select.evaluate("s => s.selectedOptions[0].text") == "0.1.0"
    select.select_option(label="0.2.0")  # the same page of the other version
    browser_page.wait_for_url(f"{address}/0.2.0/guide/faces.html")

    browser_page.goto(f"{address}/0.1.0/guide/old.html")
    browser_page.wait_for_selector("#versions select", state="visible")
    browser_page.select_option("#versions select", label="0.2.0")  # which has no such page
    browser_page.wait_for_url(f"{address}/0.2.0/")


@pytest.mark.parametrize("listed", [None, TWO[:1], {"version": "0.1.0"}])
def test_without_two_versions_there_is_no_switch(site, browser_page, listed) -> None:
    folder, address = site
    if listed is not None:
        (folder / "versions.json").write_text(json.dumps(listed))
    browser_page.goto(f"{address}/0.1.0/index.html", wait_until="networkidle")
    assert browser_page.locator("#versions").is_hidden()


def test_a_version_that_is_not_listed_is_shown(site, browser_page) -> None:
    folder, address = site
    others = [{"version": "0.2.0", "url": "../0.2.0/"}, {"version": "0.0.9", "url": "../0.0.9/"}]
    (folder / "versions.json").write_text(json.dumps(others))
    browser_page.goto(f"{address}/0.1.0/index.html")
    select = browser_page.wait_for_selector("#versions select", state="visible")
    assert select.evaluate("s => s.selectedOptions[0].text") == "0.1.0"
