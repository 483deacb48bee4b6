"""The search box of the built documentation answers the questions that people come with.

`make docs` runs this after the build. The answers are found as Sphinx's own searchtools.js finds
them, with its scores: by the titles of pages and sections, the entries of the index, the names of
objects, and the words of titles and texts.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

HTML = Path(__file__).parents[2] / "docs" / "_build" / "html"
TITLE, TERM, PARTIAL_TITLE, PARTIAL_TERM = 15, 5, 7, 2  # searchtools.js: Scorer
OBJECT, PARTIAL_OBJECT = 11, 6
PRIORITY = {0: 15, 1: 5, 2: -5}

# what is asked, and where the answer is
QUESTIONS = {
    "save": "questions",
    "save a model": "questions",
    "pickle": "questions",
    "confusion matrix": "questions",
    "own folder": "questions",
    "webcam": "questions",
    "bgr": "questions",
    "gpu": "questions",
    "memory": "questions",
    "threads": "questions",
    "reproducibility": "questions",
    "calibration": "questions",
    "thresholds": "questions",
    "citation": "citing",
    "licence": "questions",
    "responsible use": "questions",
    "neutral": "questions",
    "offline": "getting_started",
    "install": "getting_started",
    "which estimator": "which_estimator",
    "original scripts": "original_scripts",
    "camera": "guide/videos",
    "license": "questions",
    "fork": "questions",
    "command line": "guide/photographs",
}


def ask(index: dict[str, Any], query: str) -> list[str]:
    """Return the pages that the search box lists, the best first, each once."""
    main, other = find_entries(index, query)
    results = [*find_titles(index, query), *main]
    results += [*find_objects(index, query), *find_terms(index, query)]
    for listed in (results, other):
        listed.sort(key=lambda result: (-result[0], result[1].lower()))
    return list(dict.fromkeys(index["docnames"][page] for _, _, page in [*results, *other]))


def find_titles(index: dict[str, Any], query: str) -> list[tuple[int, str, int]]:
    """Return score, title and page of titles of which the query is half or more."""
    found = []
    for title, places in index["alltitles"].items():
        if query in title.lower() and len(query) >= len(title) / 2:
            for page, _ in places:
                own = index["titles"][page] == title
                score = int(TITLE * len(query) / len(title) + 0.5) + own
                name = title if own else f"{index['titles'][page]} > {title}"
                found.append((score, name, page))
    return found


def find_entries(
    index: dict[str, Any], query: str
) -> tuple[list[tuple[int, str, int]], list[tuple[int, str, int]]]:
    """Return score, title and page of main entries of the index, such as terms, and of others."""
    main, other = [], []
    for entry, places in index["indexentries"].items():
        if query in entry and len(query) >= len(entry) / 2:
            for page, _, is_main in places:
                score = int(100 * len(query) / len(entry) + 0.5)
                (main if is_main else other).append((score, index["titles"][page], page))
    return main, other


def find_objects(index: dict[str, Any], query: str) -> list[tuple[int, str, int]]:
    """Return score, name and page of functions and classes with the words of the query."""
    found = []
    for word in query.split():
        for prefix, objects in index["objects"].items():
            for page, kind, priority, _, name in objects:
                full = f"{prefix}.{name}" if prefix else name
                haystack = f"{prefix} {name} {index['objnames'][str(kind)][2]} "
                haystack = (haystack + index["titles"][page]).lower()
                others = set(query.split()) - {word}
                if word not in full.lower() or any(other not in haystack for other in others):
                    continue
                last = full.lower().rpartition(".")[2]
                score = OBJECT if last == word else PARTIAL_OBJECT if word in last else 0
                found.append((score + PRIORITY.get(priority, 0), full, page))
    return found


def find_terms(index: dict[str, Any], query: str) -> list[tuple[int, str, int]]:
    """Return score, title and page of pages with all words of the query."""
    stemmer = pytest.importorskip("snowballstemmer", reason="Sphinx brings it").stemmer("english")
    stopwords = set(read_stopwords())
    words = dict.fromkeys(stemmer.stemWord(w) for w in query.split() if w not in stopwords)
    scores: dict[int, dict[str, int]] = {}
    for word in words:
        for kind, whole, partial in (
            ("terms", TERM, PARTIAL_TERM),
            ("titleterms", TITLE, PARTIAL_TITLE),
        ):
            terms = index[kind]
            hits = [(terms[word], whole)] if word in terms else []
            if word not in terms and len(word) > 2:
                hits = [(pages, partial) for term, pages in terms.items() if word in term]
            for pages, score in hits:
                for page in [pages] if isinstance(pages, int) else pages:
                    scores.setdefault(page, {})[word] = score
    needed = (len(words), sum(len(word) > 2 for word in words))
    return [
        (max(of_words.values()), index["titles"][page], page)
        for page, of_words in scores.items()
        if len(of_words) in needed
    ]


def read_stopwords() -> list[str]:
    text = (HTML / "_static" / "language_data.js").read_text(encoding="utf-8")
    listed = re.search(r"stopwords = new Set\((\[.*?\])\)|stopwords = (\[.*?\]);", text, re.DOTALL)
    assert listed
    return json.loads(re.sub(r",\s*\]", "]", listed[1] or listed[2]))


@pytest.fixture(scope="module")
def index() -> dict[str, Any]:
    path = HTML / "searchindex.js"
    if not path.exists():
        pytest.skip("needs the built documentation: make docs")
    return json.loads(path.read_text(encoding="utf-8").removeprefix("Search.setIndex(")[:-1])


@pytest.mark.parametrize(("question", "page"), QUESTIONS.items())
def test_a_question_finds_its_page(index: dict[str, Any], question: str, page: str) -> None:
    assert page in ask(index, question)[:3]


@pytest.mark.parametrize("page", sorted(set(QUESTIONS.values())))
def test_the_page_shows_code(index: dict[str, Any], page: str) -> None:
    assert page in index["docnames"]
    assert 'class="highlight-python' in (HTML / f"{page}.html").read_text(encoding="utf-8")


def test_what_is_nowhere_is_not_found(index: dict[str, Any]) -> None:
    assert ask(index, "xylophone") == []
