"""One word means one thing: the table of parameters in the glossary, and every public signature."""

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from emotion_estimators._sklearn import HasMethods, Interval, StrOptions
from emotion_estimators.cli.arguments import main
from emotion_estimators.model_selection import IterativeStratifiedKFold, multilabel_train_test_split
from emotion_estimators.testing import all_estimators

PAGE = Path(__file__).parents[2] / "docs" / "glossary.rst"
DOORS = ["analysis", "classifiers", "datasets", "inspection", "weights"]
PREFIXES = ("analyze_", "fetch_", "iterate_", "load_", "make_")
OF_THE_DATA = {"X", "y", "Y"}  # the X contract, and what scikit-learn calls the targets


class Row(NamedTuple):
    """What the glossary says of a word."""

    meaning: str
    off: str
    may_be: str


class Parameter(NamedTuple):
    """What a signature, its docstring and its constraints say of a parameter."""

    default: Any
    kind: str
    description: str
    constraint: list[Any] | None


def read_table(page: str) -> dict[str, Row]:
    """Return the rows of the table of parameters."""
    _, _, rest = page.partition("   * - word\n")
    table = re.split(r"\n(?=\S)", rest)[0]
    rows = {}
    for row in table.split("   * - ")[1:]:
        cells = [" ".join(cell.split()) for cell in re.split(r"^     -", row, flags=re.M)]
        rows[cells[0].strip("`")] = Row(*cells[1:])
    return rows


def read_parameters(thing: Any) -> dict[str, Parameter]:
    """Return what is said of each parameter of a class or function."""
    section = re.split(r"^\S.*\n-+$", inspect.cleandoc(thing.__doc__), flags=re.M)[1]
    entries = {}
    for head, text in re.findall(r"^(\S.*)\n((?:    .*\n|\n)*)", section + "\n", flags=re.M):
        names, _, kind = head.partition(" : ")
        for name in names.split(", "):
            entries[name.strip("*")] = kind, " ".join(text.split())
    constraints = getattr(thing, "_parameter_constraints", None)
    constraints = constraints or getattr(thing, "_skl_parameter_constraints", {})
    signature = inspect.signature(thing).parameters.values()
    return {
        p.name: Parameter(p.default, *entries[p.name], constraints.get(p.name))
        for p in signature
        if p.name not in ("self", "cls") and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }


def find_owners() -> Iterator[tuple[str, dict[str, Parameter]]]:
    """Yield each public estimator, factory, loader, analysis and display, and its parameters."""
    for name, estimator in all_estimators():
        yield name, read_parameters(estimator)
    for thing in (IterativeStratifiedKFold, multilabel_train_test_split):
        yield thing.__name__, read_parameters(thing)
    for door in DOORS:
        module = importlib.import_module(f"emotion_estimators.{door}")
        for name in getattr(module, "__all__", dir(module)):
            thing = getattr(module, name)
            if name.startswith(PREFIXES):
                yield name, read_parameters(thing)
            elif name.endswith("Display"):
                makers = [m for m in ("from_estimator", "from_predictions") if hasattr(thing, m)]
                found = [read_parameters(getattr(thing, maker)) for maker in makers]
                yield name, dict(pair for parameters in found for pair in parameters.items())


TABLE = read_table(PAGE.read_text(encoding="utf-8"))
OWNERS = dict(find_owners())
each_owner = pytest.mark.parametrize("owner", OWNERS)


def shared(owner: str) -> Iterator[tuple[str, Parameter, Row]]:
    """Yield the parameters of a class or function that stand in the table, with their rows."""
    for word, parameter in OWNERS[owner].items():
        if word in TABLE:
            yield word, parameter, TABLE[word]


NUMBERS: dict[str, Callable[..., Any]] = {
    "a whole number of 1 or more": partial(Interval, Integral, 1, None, closed="left"),
    "a number of 0 or more": partial(Interval, Real, 0, None, closed="left"),
    "a number above 0": partial(Interval, Real, 0, None, closed="neither"),
    "a number of 0 to 1": partial(Interval, Real, 0, 1, closed="both"),
    "a number of 0 or more, below 1": partial(Interval, Real, 0, 1, closed="left"),
    "a number above 0, below 1": partial(Interval, Real, 0, 1, closed="neither"),
}
KINDS: dict[str, list[Any]] = {
    "None": [None],
    "a DataFrame": [HasMethods("itertuples")],
    "a bool": ["boolean"],
    "a callable": [callable],
    "a dict": [dict],
    "a list": [tuple, list],
    "a module": [HasMethods("state_dict")],
    "a pair": [tuple, list],
    "a path": [str, PathLike],
    "a seed": ["random_state"],
    "a str": [str],
    "a verbosity": ["verbose"],
    "an array": ["array-like"],
} | {words: [interval()] for words, interval in NUMBERS.items()}


def atoms(constraint: list[Any]) -> set[Any]:
    """Return what a constraint allows, in a form that can be compared.

    Of an interval the lower bound of whole numbers is left out: a class may ask for more of them.
    """
    found: set[Any] = set()
    for part in constraint:
        if isinstance(part, StrOptions):
            found |= {f'"{option}"' for option in part.options}
        elif isinstance(part, Interval):
            low = None if part.type is Integral else part.left
            found.add((part.type, low, part.right, part.closed))
        elif isinstance(part, HasMethods):
            found.add(tuple(part.methods))
        else:
            found.add(part)
    return found


def check_constraint(constraint: list[Any], may_be: str) -> None:
    """Assert that a constraint is what the words of the table say.

    What they give "where" something holds, a class may leave out.
    """
    rest = atoms(constraint)
    for item in re.sub(r" \([^)]*\)", "", may_be).split("; "):
        words, is_optional, _ = item.partition(" where ")
        if words == "a name":
            wanted = {atom for atom in rest if str(atom).startswith('"')}
            assert wanted or is_optional
        elif words.startswith('"'):
            wanted = {words}
        else:
            wanted = atoms(KINDS[words])
        assert wanted <= rest or is_optional, f"{words} is missing"
        rest -= wanted
    assert rest == set(), f"more than {may_be}"


def test_the_table_is_read() -> None:
    assert TABLE["image_shape"].meaning.endswith("one entry may be -1.")
    assert TABLE["warmup"] == Row(
        "Share of the training in which the learning rate rises linearly; then it falls to zero "
        "as a cosine.",
        "None: it stays the same",
        "a number of 0 to 1; None",
    )
    assert TABLE["batch_size"].off == ""
    assert list(TABLE) == sorted(TABLE)
    assert {"HOGTransformer", "make_faces", "fetch_weights", "FacesDisplay"} <= set(OWNERS)
    assert OWNERS["FacesDisplay"]["table"].default is inspect.Parameter.empty


@pytest.mark.parametrize(
    ("constraint", "may_be"),
    [
        (["array-like", None], "a whole number of 1 or more; a pair; None"),
        ([Interval(Integral, 1, None, closed="left"), tuple, list], "a whole number of 1 or more"),
        ([Interval(Real, 0, 1, closed="both")], "a number of 0 to 1; None"),
        ([Interval(Real, 0, 1, closed="both"), None], "a number of 0 to 1; None; a bool"),
        ([Interval(Real, 0, 1, closed="left")], "a number of 0 to 1"),
        ([Integral, None], "a whole number of 1 or more; None"),
        (["boolean"], "a verbosity"),
        ([StrOptions({"auto", "32-true"})], '"auto"; "float32"'),
    ],
)
def test_what_is_no_such_constraint(constraint: list[Any], may_be: str) -> None:
    with pytest.raises(AssertionError, match=r"is missing|more than"):
        check_constraint(constraint, may_be)


def test_what_a_class_may_choose() -> None:
    may_be = 'a whole number of 1 or more; "auto" where the class can choose'
    check_constraint([Interval(Integral, 2, None, closed="left")], may_be)
    check_constraint([Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})], may_be)


def test_what_two_have_stands_in_the_table() -> None:
    counts = Counter(word for words in OWNERS.values() for word in words)
    missing = {word for word, n in counts.items() if n > 1} - TABLE.keys() - OF_THE_DATA
    assert missing == set()


def test_every_word_of_the_table_is_a_parameter() -> None:
    assert TABLE.keys() - {word for words in OWNERS.values() for word in words} == set()


@each_owner
def test_descriptions_begin_with_the_meaning(owner: str) -> None:
    for word, parameter, row in shared(owner):
        assert parameter.description.startswith(row.meaning), word


@each_owner
def test_constraints_are_those_of_the_table(owner: str) -> None:
    for word, parameter, row in shared(owner):
        if parameter.constraint is not None:
            try:
                check_constraint(parameter.constraint, row.may_be)
            except AssertionError as error:
                raise AssertionError(f"{owner}, {word}: {error}") from error


@each_owner
def test_none_is_told_where_it_is_allowed(owner: str) -> None:
    for word, parameter in OWNERS[owner].items():
        allowed = parameter.default is None or None in (parameter.constraint or ())
        allowed |= parameter.constraint == ["random_state"]
        assert ("None" in parameter.kind) == allowed, word


@each_owner
def test_what_is_off_is_off_by_the_value_of_the_table(owner: str) -> None:
    for word, parameter, row in shared(owner):
        values = [repr(ast.literal_eval(o.partition(":")[0])) for o in row.off.split("; ") if o]
        default = parameter.default
        if default is None or default is False or (default == 0 and not isinstance(default, str)):
            assert repr(default).removesuffix(".0") in values, word


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_words_of_the_command_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    options = set(re.findall(r"--([a-z][a-z-]+)", capsys.readouterr().out))
    words = {option.replace("-", "_") for option in options}
    assert {"device", "model", "n_threads"} <= words
    spelled = {re.sub(r"[_-]", "", word): word for word in TABLE}
    # no second spelling of a word, such as --nthreads
    assert {w for w in words if spelled.get(w.replace("_", ""), w) != w} == set()


@pytest.mark.parametrize(
    "estimator",
    [thing for name, thing in all_estimators() if "image_size" in OWNERS.get(name, {})],
)
def test_no_array_passes_for_a_size(estimator: Any) -> None:
    """A constraint that says "array-like" would promise what `fit` then refuses."""
    with pytest.raises(ValueError, match="The 'image_size' parameter of"):
        estimator(image_size=np.array([80, 80])).fit(np.zeros((2, 80, 80), np.uint8))
