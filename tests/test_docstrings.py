"""Docstrings follow numpydoc and say what the signatures say."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

import emotion_estimators

# numpydoc's order; Attributes follow Parameters, as in scikit-learn
ORDER = [
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
]
# the modules that users import from
DOORS = [
    "emotion_estimators",
    "emotion_estimators.analysis",
    "emotion_estimators.classifiers",
    "emotion_estimators.datasets",
    "emotion_estimators.exceptions",
    "emotion_estimators.features",
    "emotion_estimators.images",
    "emotion_estimators.inspection",
    "emotion_estimators.labels",
    "emotion_estimators.metrics",
    "emotion_estimators.model_selection",
    "emotion_estimators.testing",
]


def named(module_name: str) -> Iterator[tuple[str, Any]]:
    """Yield classes and functions of a module, and the public methods of its classes."""
    module = importlib.import_module(module_name)
    for name in getattr(module, "__all__", dir(module)):
        thing = getattr(module, name)
        if not getattr(thing, "__module__", "").startswith("emotion_estimators"):
            continue
        yield f"{module_name}.{name}", thing
        for method, function in vars(thing).items() if inspect.isclass(thing) else ():
            plain = getattr(function, "__func__", function)  # of a class method
            if not method.startswith("_") and inspect.isfunction(plain):
                yield f"{module_name}.{name}.{method}", plain


PUBLIC = dict(pair for door in DOORS for pair in named(door))
EVERYTHING = PUBLIC | {
    name: thing
    for info in pkgutil.walk_packages(emotion_estimators.__path__, "emotion_estimators.")
    for name, thing in named(info.name)
}


def each(things: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("thing", things.values(), ids=things)


def sections(thing: Any) -> dict[str, str]:
    """Return the sections of a docstring, in order, by title."""
    parts = re.split(r"^(\S.*)\n-+$", inspect.cleandoc(thing.__doc__ or ""), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> list[tuple[str, str]]:
    """Return names and types of the entries of a section, one for each name."""
    heads = [line.partition(" : ") for line in section.splitlines() if re.match(r"\S", line)]
    return [(name.strip(" *"), kind) for names, _, kind in heads for name in names.split(",")]


def parameters(thing: Any) -> list[inspect.Parameter]:
    signature = inspect.signature(thing).parameters.values()
    return [p for p in signature if p.name not in ("self", "cls")]


def has_own_signature(thing: Any) -> bool:
    """Errors without an ``__init__`` and dataclasses have none that they wrote."""
    return not inspect.isclass(thing) or (
        "__init__" in vars(thing) and not hasattr(thing, "__dataclass_fields__")
    )


def test_there_is_something_to_look_at() -> None:
    assert {
        "emotion_estimators.HOGTransformer",
        "emotion_estimators.HOGTransformer.transform",
        "emotion_estimators.datasets.make_faces",
        "emotion_estimators.inspection.PredictionDisplay.from_estimator",
        "emotion_estimators.testing.check_image_estimator",
    } <= set(PUBLIC)
    assert "emotion_estimators.validation.check_images" in EVERYTHING
    assert next(iter(sections(emotion_estimators.HOGTransformer))) == "Parameters"
    assert entries("a, *b : int, default=3\n    Of c : d.\n") == [
        ("a", "int, default=3"),
        ("b", "int, default=3"),
    ]


@each(EVERYTHING)
def test_sections_are_known_and_in_order(thing: Any) -> None:
    titles = list(sections(thing))
    assert titles == [title for title in ORDER if title in titles]


@each(EVERYTHING)
def test_parameters_and_defaults_are_those_of_the_signature(thing: Any) -> None:
    documented = sections(thing)
    if not has_own_signature(thing) or not documented.keys() & {"Parameters", "Returns", "Raises"}:
        return
    told = entries(documented.get("Parameters", ""))
    if told and told[0][1] == "":  # "images, dtype, n_threads" and below it "As in ..."
        told = [(name, "") for name, _ in told]
    assert [name for name, _ in told] == [p.name for p in parameters(thing)]
    for (_, kind), parameter in zip(told, parameters(thing), strict=True):
        default = re.search(r"default=(.+)$", kind)
        if default:
            assert ast.literal_eval(default[1]) == parameter.default, parameter


@each(PUBLIC)
def test_what_users_call_is_documented_whole(thing: Any) -> None:
    documented = sections(thing)
    assert (thing.__doc__ or "").strip()
    if not has_own_signature(thing):
        return
    for (_, kind), parameter in zip(
        entries(documented.get("Parameters", "")), parameters(thing), strict=True
    ):
        optional = parameter.default is not inspect.Parameter.empty
        # `y : None` is scikit-learn's word for an argument that is ignored
        assert optional == ("default=" in kind or kind == "None"), parameter
        assert parameter.default is not None or "None" in kind, parameter
    if inspect.isclass(thing):
        return
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))
    nodes = list(ast.walk(ast.parse(source)))
    if any(isinstance(node, ast.Raise) and node.exc is not None for node in nodes):
        assert "Raises" in documented
    if any(isinstance(node, ast.Yield) for node in nodes):
        assert "Yields" in documented
    elif any(isinstance(node, ast.Return) and node.value is not None for node in nodes):
        assert "Returns" in documented


def is_imported_by_name(thing: Any) -> bool:
    if inspect.isclass(thing):
        return not issubclass(thing, Exception)
    return thing.__qualname__ == thing.__name__  # no method


@each({name: thing for name, thing in PUBLIC.items() if is_imported_by_name(thing)})
def test_what_users_import_has_an_example(thing: Any) -> None:
    assert ">>> " in sections(thing).get("Examples", "")
