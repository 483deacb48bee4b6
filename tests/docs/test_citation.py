"""How to cite stands in ``CITATION.cff`` only, and is shown as it says."""

import importlib
from pathlib import Path

import pytest

import emotion_estimators

ROOT = Path(__file__).parents[2]


@pytest.fixture
def citation(monkeypatch):
    pytest.importorskip("yaml", reason="CITATION.cff is YAML")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    return importlib.import_module("citation")


def test_the_project_is_cited_with_its_version(citation) -> None:
    fields = citation.read()
    assert fields["version"] == emotion_estimators.__version__
    for text in (citation.sentence(fields), citation.bibtex(fields).replace(r"\_", "_")):
        for fact in (fields["title"], fields["version"], fields["authors"][0]["name"]):
            assert fact in text


def test_people_dates_and_addresses_are_told(citation, tmp_path) -> None:
    file = tmp_path / "CITATION.cff"
    file.write_text(
        "title: A_b\nversion: 1.2\ndate-released: 2027-01-31\ndoi: 10.1/x\n"
        "authors:\n- given-names: Ada\n  family-names: Lovelace\n- name: The group\n"
    )
    fields = citation.read(file)
    assert citation.sentence(fields) == (
        "Ada Lovelace, The group (2027). A_b. Version 1.2, software. 10.1/x"
    )
    assert citation.bibtex(fields) == (
        "@software{emotion_estimators,\n"
        "  author = {Ada Lovelace and {The group}},\n"
        "  title = {{A\\_b}},\n"
        "  year = {2027},\n"
        "  version = {1.2},\n"
        "  doi = {10.1/x},\n"
        "}"
    )
