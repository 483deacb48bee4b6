"""What stands beside the package: the Makefile, continuous integration, forms of issues."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import emotion_estimators

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"


def load(path):
    yaml = pytest.importorskip("yaml", reason="reads the files of continuous integration")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_make_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    told = re.findall(r'^\t@echo "make ([\w-]+) +\S.*"$', makefile, re.MULTILINE)
    assert told == [name for name in targets if name != "help"]
    for name in targets:
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def check_schema(schema, *paths):
    pytest.importorskip("check_jsonschema", reason="knows the schemas")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_are_as_their_schema_asks():
    check_schema("vendor.github-workflows", *sorted((GITHUB / "workflows").glob("*.yml")))


def test_forms_of_issues_are_as_their_schema_asks():
    forms = set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
    settings = {form for form in forms if form.stem == "config"}
    check_schema("vendor.github-issue-config", *settings)
    check_schema("vendor.github-issue-forms", *(forms - settings))


def test_workflows_run_what_is_claimed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = " ".join(project["classifiers"])
    versions = re.findall(r"Python :: (3\.\d+)", named)
    assert project["requires-python"] == f">={versions[0]}"
    workflow = load(GITHUB / "workflows" / "test.yml")
    for job in ("test", "install"):
        assert workflow["jobs"][job]["strategy"]["matrix"]["python"] == [versions[0], versions[-1]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([\w-]+)", json.dumps(workflow)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_before_a_commit_runs_what_make_lint_runs():
    """One source of tools and their versions: the environment of the Makefile."""
    settings = load(ROOT / ".pre-commit-config.yaml")
    (repository,) = settings["repos"]
    assert repository["repo"] == "local"
    assert [(hook["entry"], hook["language"]) for hook in repository["hooks"]] == [
        ("make lint", "system")
    ]


def test_a_release_is_of_the_version_that_is_told():
    version = emotion_estimators.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]


def test_how_a_change_gets_in_is_a_screen():
    page = (ROOT / "docs" / "how_a_change_gets_in.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 25
