"""Every block of code in the README and the documentation runs and prints what is shown.

The blocks of a file are run in order, in one namespace and one empty folder, without network. A
comment ``.. needs: module, other>=1.2`` begins a part of its own, which is skipped where one of
these is missing, and whose blocks do not see those before it:

- Python, ````` ```python ````` in Markdown and ``.. code-block:: python`` in reStructuredText;
  a ``>>>`` session there is run by doctest;
- lines ``$ emotion-estimators ...`` of ``.. code-block:: console``.

A block followed by a plain one (````` ``` ````` or ``.. code-block:: text``) must print that. One
that cannot be run is marked by a comment before it: ``.. not run: <reason>`` or
``<!-- not run: <reason> -->``, with one of `REASONS`.
"""

import contextlib
import doctest
import io
import re
import shlex
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(
        p
        for p in (ROOT / "docs").rglob("*.rst")
        if not {"_build", "generated", "gallery", "_templates"} & set(p.parts)
    ),
]
REASONS = (
    "needs the network",
    "needs data that is not here",
    "needs other machines",
    "builds this project",
)
# Images drawn with another version of Pillow, and sums of another BLAS, differ a little: this is
# three of the 150 faces, or seven of the 350, that scores are of
NUMBER = re.compile(r"\d+\.\d+")
TOLERANCE = 0.02
# of what an environment of the lowest supported versions, or without extras, may lack
NEEDS = re.compile(r"^\.\. needs: (.+)$", re.MULTILINE)

MARKDOWN = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]*) -->\n+)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
DIRECTIVE = re.compile(
    r"(?:^\.\. not run: (?P<reason>[^\n]*)\n+)?"
    r"^\.\. code-block:: (?P<kind>\w+)\n(?:   :\w+:[^\n]*\n)*\n(?P<body>(?:(?:   [^\n]*)?\n)+)",
    re.MULTILINE,
)


@dataclass
class Block:
    """A block of code, where it begins, why it is not run, and what it prints."""

    kind: str
    code: str
    line: int
    reason: str | None
    printed: str | None = None
    end: int = 0


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in (MARKDOWN if path.suffix == ".md" else DIRECTIVE).finditer(text):
        kind, body = match["kind"], textwrap.dedent(match["body"]).rstrip() + "\n"
        follows = found and not text[found[-1].end : match.start()].strip()
        if kind in ("", "text"):
            if follows and found[-1].kind in ("python", "console"):
                found[-1].printed = body
            continue
        line = text.count("\n", 0, match.start("body")) + 1
        found.append(Block(kind, body, line, match["reason"], end=match.end()))
    return found


def check_printed(got: str, expected: str) -> None:
    got, expected = ("\n".join(map(str.rstrip, t.strip().splitlines())) for t in (got, expected))
    assert NUMBER.sub("#", got) == NUMBER.sub("#", expected), got
    for ours, shown in zip(NUMBER.findall(got), NUMBER.findall(expected), strict=True):
        assert abs(float(ours) - float(shown)) <= TOLERANCE, got


def run_python(block: Block, path: Path, names: dict[str, object]) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        if block.code.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(
                block.code, names, str(path), None, block.line
            )
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            assert runner.run(test, out=sys.stderr.write, clear_globs=False).failed == 0
            names.update(test.globs)
        else:
            # as many empty lines before it as the file has, so that errors name the file's line
            code = compile("\n" * (block.line - 1) + block.code, str(path), "exec")
            exec(code, names)  # noqa: S102 - the documentation's own code
    return output.getvalue()


def run_console(block: Block) -> str:
    printed = ""
    for line in block.code.replace("\\\n", " ").splitlines():
        assert line.startswith("$ emotion-estimators "), f"not run, and not marked: {line}"
        command = [sys.executable, "-m", "emotion_estimators", *shlex.split(line)[2:]]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        printed += process.stdout
    return printed


@pytest.fixture
def alone(tmp_path, monkeypatch) -> Iterator[None]:
    """An empty folder, an empty cache, no real data, no display and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EMOTION_ESTIMATORS_DATA", raising=False)
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        here = self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost")
        if not here:
            raise AssertionError(f"a block of the documentation asks for the network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def parts(path: Path) -> list[tuple[list[str], list[Block]]]:
    """Return what each part of a file needs, ``module`` or ``module>=version``, and its blocks."""
    text, found = path.read_text(encoding="utf-8"), blocks(path)
    marks = list(NEEDS.finditer(text))
    ends = [mark.start() for mark in marks] + [len(text)]
    first = [block for block in found if block.end <= ends[0]]
    its = [([], first)] if first else []
    for mark, end in zip(marks, ends[1:], strict=True):
        its.append((mark[1].split(", "), [b for b in found if mark.end() < b.end <= end]))
    return its


PARTS = [
    pytest.param(path, needs, its, id=f"{path.relative_to(ROOT)}:{','.join(needs)}".rstrip(":"))
    for path in FILES
    for needs, its in parts(path)
]


@pytest.mark.parametrize(("path", "needs", "its"), PARTS)
@pytest.mark.usefixtures("alone")
def test_blocks_run_and_print_what_is_shown(path: Path, needs: list[str], its: list[Block]) -> None:
    for need in needs:
        module, _, version = need.partition(">=")
        reason = f"blocks of {path.name} need {need}"
        pytest.importorskip(module, minversion=version or None, reason=reason)
    names: dict[str, object] = {"__name__": "__documentation__"}
    for block in its:
        if block.reason is not None:
            assert block.reason.startswith(REASONS), f"{path}:{block.line}: {block.reason}"
            continue
        if block.kind == "python":
            printed = run_python(block, path, names)
        elif block.kind == "console":
            printed = run_console(block)
        else:
            raise AssertionError(f"{path}:{block.line}: blocks of {block.kind!r} are not run")
        if block.printed is not None:
            check_printed(printed, block.printed)


def test_nothing_is_overlooked() -> None:
    """As many blocks are found as there are marks of them, and most of them are run."""
    found = {path: [b for _, its in parts(path) for b in its] for path in FILES}
    for path, its in found.items():
        text = path.read_text(encoding="utf-8")
        mark = r"^```python$" if path.suffix == ".md" else r"code(?:-block)?:: (?:python|console)"
        assert len(its) == len(re.findall(mark, text, re.MULTILINE)), path
        if path.suffix == ".rst":
            # what `::` at the end of a line, or >>> outside of a directive, would show
            prose = re.sub(r"^ *\.\. .*", "", text, flags=re.MULTILINE)
            assert not re.search(r"::$|^>>>", prose, re.MULTILINE), path
    run = [block for its in found.values() for block in its if block.reason is None]
    shown = [block for block in run if block.printed is not None]
    assert len(found[ROOT / "README.md"]) >= 2
    assert len(run) >= 40
    assert len(shown) >= 30
    assert len(run) >= 0.85 * sum(map(len, found.values()))


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".md"], ids=lambda p: p.name)
def test_what_is_to_be_typed_exists(path: Path) -> None:
    """Plain blocks that are no output are calls of make."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = re.sub(r"```python\n.*?```(\n{1,2}```\n.*?```)?", "", path.read_text(), flags=re.DOTALL)
    typed = [
        line
        for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    assert typed
    for line in typed:
        make, target = line.split()[:2]
        assert make == "make", line
        assert target in targets, line


def test_what_is_needed_begins_a_part(tmp_path) -> None:
    page = tmp_path / "page.rst"
    block = ".. code-block:: python\n\n   {}\n\n"
    page.write_text(
        block.format("1")
        + ".. needs: torch, sklearn>=1.8\n\n"
        + block.format("2")
        + block.format("3")
        + ".. needs: dask\n\n"
        + block.format("4")
    )
    found = [(needs, [b.code.strip() for b in its]) for needs, its in parts(page)]
    assert found == [([], ["1"]), (["torch", "sklearn>=1.8"], ["2", "3"]), (["dask"], ["4"])]


def test_a_wrong_block_fails(tmp_path, monkeypatch) -> None:
    """The runner is not green whatever the blocks do."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.rst"
    page.write_text(
        "Title\n=====\n\n.. code-block:: python\n\n   print(f'{1.04:.2f} one')\n\n"
        ".. code-block:: text\n\n   1.05 one\n\n"
        ".. not run: needs the network\n\n.. code-block:: python\n\n   1 / 0\n\n"
        ".. code-block:: python\n\n   >>> 1 + 1\n   3\n"
    )
    shown, unreachable, session = blocks(page)
    assert unreachable.reason == "needs the network"
    check_printed(run_python(shown, page, {}), shown.printed)
    with pytest.raises(AssertionError, match=r"1\.04 two"):
        check_printed("1.04 two", shown.printed)
    with pytest.raises(AssertionError, match=r"1\.10 one"):
        check_printed("1.10 one", shown.printed)
    with pytest.raises(ZeroDivisionError, match="division"):
        run_python(unreachable, page, {})
    with pytest.raises(AssertionError):
        run_python(session, page, {})
    with pytest.raises(AssertionError, match="not marked"):
        run_console(Block("console", "$ pip install x\n", 1, None))
