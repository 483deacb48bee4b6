"""The figures that the documentation shows come from files that say when, how and where."""

import datetime as dt
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_estimators.analysis import analyze_faces
from emotion_estimators.datasets import load_sample_photograph
from emotion_estimators.inspection import draw_faces

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
FILES = sorted(RESULTS.glob("*.md"))
HEADING = re.compile(
    r"Measured (?P<date>\d{4}-\d\d-\d\d) by `python (?P<script>[\w/]+\.py)[^`]*` "
    r"with emotion-estimators [\w.]+ on .+, \d+ CPUs, \w+, Python [\d.]+\.\n\n"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_says_when_and_by_which_command(path: Path) -> None:
    heading = HEADING.match(path.read_text(encoding="utf-8"))

    assert heading
    assert dt.date.fromisoformat(heading["date"]) <= dt.datetime.now(tz=dt.UTC).date()
    assert (ROOT / heading["script"]).is_file()
    assert Path(heading["script"]).stem == path.stem


def test_the_page_shows_all_of_them() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")

    shown = re.findall(r"^```\{include\} results/(\w+\.md)$", page, re.MULTILINE)

    assert sorted(shown) == [path.name for path in FILES]


def test_make_bench_writes_them() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    bench = makefile.partition("\nbench: ")[2].partition("\n\n")[0]

    written = re.findall(r"\$\(RECORD\)/(\w+)\.md benchmarks/(\w+)\.py", bench)

    assert written
    assert [out for out, _ in written] == [script for _, script in written]
    by_hand = {p.stem for p in FILES if "by `python benchmarks/" in p.read_text(encoding="utf-8")}
    assert by_hand <= {out for out, _ in written}


def test_the_readme_says_what_the_files_say() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Measured")[2]
    rows = re.findall(r"^\| .* \| ([\d.]+.*) \|$", readme, re.MULTILINE)
    known = "\n".join(path.read_text(encoding="utf-8") for path in FILES)

    assert len(rows) >= 5
    assert [figure for figure in rows if f"| {figure} |" not in known] == []


def test_getting_started_says_what_the_extras_bring() -> None:
    page = (ROOT / "docs" / "getting_started.rst").read_text(encoding="utf-8")
    table = page.partition("* - core")[2].partition("\nMeasured")[0]
    rows = re.findall(
        r"^\| `(\w+)` \| (\d+) \| (\d+) \|", (RESULTS / "extras.md").read_text(), re.MULTILINE
    )

    assert len(rows) >= 5
    for extra, packages, size in rows:
        if extra != "all":  # the sum of the others
            (row,) = (row for row in table.split("   * - ") if f"``{extra}``" in row.split("\n")[0])
            numbers = re.findall(r"\d+", row.split("\n", 1)[1])
            assert packages in numbers, extra
            assert size in numbers, extra


def test_a_benchmark_that_is_recorded(tmp_path: Path) -> None:
    script = tmp_path / "small.py"
    lines = ["import sys", r"print('first\n| a |\n|---|\n| 1 |')", "sys.exit(len(sys.argv) - 1)"]
    script.write_text("\n".join(lines))
    record = [sys.executable, str(ROOT / "benchmarks" / "record.py"), str(tmp_path / "small.md")]

    failed = subprocess.run([*record, str(script), "no"], capture_output=True, check=False)
    assert failed.returncode == 1
    assert not (tmp_path / "small.md").exists()
    done = subprocess.run([*record, str(script)], capture_output=True, check=True, text=True)

    assert done.stdout == "first\n| a |\n|---|\n| 1 |\n"
    heading, printed, table = (tmp_path / "small.md").read_text().split("\n\n")
    assert HEADING.match(heading.replace(f"{script}", "small.py") + "\n\n")
    assert printed == "```text\nfirst\n```"
    assert table == "| a |\n|---|\n| 1 |\n"


def test_a_line_of_every_kind_of_machine() -> None:
    record = runpy.run_path(str(ROOT / "benchmarks" / "record.py"))

    line = record["heading"](["benchmarks/hog.py", "--repeats", "3"], dt.date(2026, 11, 29))

    assert HEADING.match(f"{line}\n")


def test_the_picture_of_the_front_page_is_what_comes_out() -> None:
    path = load_sample_photograph()

    drawn = draw_faces(path, analyze_faces([path]))

    shown = np.asarray(Image.open(ROOT / "docs" / "_static" / "photograph.jpg"))
    # JPEG of quality 85; a box one pixel off, or another font, changes less than a hundredth
    assert shown.shape == drawn.shape
    assert np.abs(shown.astype(float) - drawn).mean() < 4
