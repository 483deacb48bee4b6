"""What the documentation says of the package is whole: names, cards, examples."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from emotion_estimators.weights import get_card, list_cards

DOCS = Path(__file__).parents[2] / "docs"
MODULES = [
    "emotion_estimators",
    "emotion_estimators.analysis",
    "emotion_estimators.classifiers",
    "emotion_estimators.datasets",
    "emotion_estimators.exceptions",
    "emotion_estimators.features",
    "emotion_estimators.images",
    "emotion_estimators.inspection",
    "emotion_estimators.metrics",
    "emotion_estimators.model_selection",
    "emotion_estimators.testing",
    "emotion_estimators.weights",
]


def listed() -> dict[str, str]:
    """Return the names that the reference lists, each with the module it is listed under."""
    found, module = {}, ""
    for line in (DOCS / "api" / "index.rst").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.removeprefix(".. currentmodule:: ")
        elif re.fullmatch(r"   \w+", line):
            found[line.strip()] = module
    return found


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_lists_every_public_name(module: str) -> None:
    package = importlib.import_module(module)
    public = getattr(package, "__all__", dir(package))
    names = {name for name in public if not inspect.ismodule(getattr(package, name))}
    names = {name for name in names if not name.isupper()}  # constants stand in the glossary
    assert names <= set(listed())


def test_what_the_reference_lists_exists() -> None:
    for name, module in listed().items():
        assert hasattr(importlib.import_module(module), name)


@pytest.fixture
def card_texts(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    return importlib.import_module("card_texts")


def test_cards_are_written_out(card_texts) -> None:
    for card in list_cards():
        text = "\n".join(card_texts.lines(card)).replace("\\", "")
        told = [card.name, card.file_name, card.sha256, card.licence, card.training_data]
        told += [card.url or "with the package", card.limits, card.measured_on, *card.labels]
        for figure in (card.published_accuracy, card.measured_accuracy):
            told.append("" if figure is None else f"{figure:.3f}")
        assert [fact for fact in told if fact not in text] == []


def test_the_table_of_models_has_a_row_for_each_card(card_texts) -> None:
    text = "\n".join(card_texts.table_lines(list_cards())).replace("\\", "")
    rows = text.split("\n   * - ")[2:]  # after the heading
    assert len(rows) == len(list_cards()) > 3
    for row, card in zip(rows, list_cards(), strict=True):
        told = [card.name, card.task, card.licence, card.training_data_terms]
        told += [f"{card.size / 1e6:.1f} MB"] if card.size is not None else []
        assert [fact for fact in told if fact not in row] == []
        assert row.count("\n     - ") == len(card_texts.COLUMNS) - 1


def test_accuracies_have_their_true_names(card_texts) -> None:
    embedded, old, faces, detector = map(get_card, ("embedded", "model_v6_23", "vggface2", "yunet"))
    told = [text.replace("\\", "") for text in card_texts.accuracies(embedded)]
    assert len(told) == len(embedded.outputs) == 2
    for text, output in zip(told, embedded.outputs, strict=True):
        name, value = text.rsplit(": ", 1)
        assert name.startswith(f"{output}: ")
        assert (name, float(value)) in {(n, round(v, 3)) for n, v, *_ in embedded.figures}
    (measured, published) = card_texts.accuracies(old)
    assert "FER2013 PublicTest" in measured
    assert published.startswith("published: 0.613 (validation accuracy")
    assert card_texts.accuracies(faces)[0].startswith("published: 0.997 (pairs of LFW")
    assert card_texts.accuracies(detector) == ["not measured"]


@pytest.mark.parametrize("page", ["front.md", "limits.md"])
def test_pages_made_of_the_readme_find_their_sections(page: str) -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    text = (DOCS / page).read_text(encoding="utf-8")
    begin, end = re.findall(r'^:(?:start-after|end-before): "(.*)"$', text, re.MULTILINE)
    assert readme.count(begin) == 1
    assert len(readme.partition(begin)[2].partition(end)[0]) > 500


def test_the_readme_is_short() -> None:
    assert len((DOCS.parent / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_page_is_in_a_table_of_contents() -> None:
    index = (DOCS / "index.rst").read_text(encoding="utf-8")
    pages = {
        str(path.relative_to(DOCS).with_suffix(""))
        for path in [*DOCS.glob("*.rst"), *DOCS.glob("*.md"), *DOCS.glob("guide/*.rst")]
    } - {"index", "front"}
    assert pages <= set(re.findall(r"^   ([\w/]+)$", index, re.MULTILINE))


def test_photographs_of_pages_and_examples_come_with_the_package() -> None:
    """What is tried on a photograph asks for no other package than it needs by itself."""
    pages = [*DOCS.glob("*.rst"), *DOCS.glob("guide/*.rst"), DOCS.parent / "README.md"]
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    examples = (DOCS.parent / "examples").glob("*.py")
    texts |= {path: path.read_text(encoding="utf-8") for path in examples}

    assert [path.name for path, text in texts.items() if "skimage.data" in text] == []
    assert sum("load_sample_photograph" in text for text in texts.values()) > 10
