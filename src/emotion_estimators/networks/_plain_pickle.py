"""The few instructions of a pickle that a state dict needs, and no others.

Nothing is imported and no code is called: a name becomes a `Name`, a call a `Call` for the
caller to judge. Imports the errors; for `torch_file`.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO

from emotion_estimators.exceptions import WeightsError

__all__ = ["Call", "Name", "PersistentId", "read_pickle"]

_MARK = object()
_MAX_STEPS = 10_000_000  # a state dict of a thousand layers takes some hundred thousand
_VALUES = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names, such as "torch.FloatStorage"."""

    dotted: str


@dataclass(frozen=True, eq=False)
class Call:
    """A call that the pickle asks for, not made."""

    function: Name
    arguments: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class PersistentId:
    """What the pickle says of an object that lies outside it."""

    value: Any


def read_pickle(stream: BinaryIO, source: str) -> Any:
    """Read one pickle of dicts, lists, tuples, numbers and texts from a stream.

    Parameters
    ----------
    stream : binary file
        Left behind the pickle.
    source : str
        For messages.

    Returns
    -------
    value : object
        ``collections.OrderedDict()`` is a dict; other calls are `Call` objects.

    Raises
    ------
    WeightsError
        If it is damaged or has other instructions.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if step > _MAX_STEPS:
                raise WeightsError(f"{source}: holds an absurdly long pickle.")
            if opcode.name == "STOP":
                (value,) = stack
                return value
            _execute(opcode.name, argument, stack, memo)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from None
    except Exception as error:  # a damaged pickle fails in any of its instructions
        raise WeightsError(
            f"{source}: its pickle is damaged ({type(error).__name__}: {error}); fetch the file "
            "again."
        ) from error
    raise WeightsError(f"{source}: its pickle has no end; fetch the file again.")


def _execute(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """Carry out one instruction; the names and what they do are those of Python's pickle."""
    if name in _VALUES:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "MARK":
        stack.append(_MARK)
    elif name in _TUPLES:
        n = _TUPLES[name]
        items = [stack.pop() for _ in range(n)]
        stack.append(tuple(reversed(items)))
    elif name == "TUPLE":
        stack.append(tuple(_pop_to_mark(stack)))
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name in ("SETITEM", "SETITEMS"):
        items = [stack.pop(), stack.pop()][::-1] if name == "SETITEM" else _pop_to_mark(stack)
        # The hash of a tuple of tuples of itself would take for ever.
        if not all(isinstance(key, str | int) for key in items[::2]):
            raise WeightsError("holds a pickle with keys other than texts and numbers.")
        _container(stack, dict).update(zip(items[::2], items[1::2], strict=True))
    elif name in ("APPEND", "APPENDS"):
        items = [stack.pop()] if name == "APPEND" else _pop_to_mark(stack)
        _container(stack, list).extend(items)
    elif name == "GLOBAL":
        module, _, attribute = argument.partition(" ")
        stack.append(Name(f"{module}.{attribute}"))
    elif name == "BINPERSID":
        stack.append(PersistentId(stack.pop()))
    elif name == "REDUCE":
        arguments, function = stack.pop(), stack.pop()
        stack.append(_call(function, arguments))
    elif name == "BUILD":
        # The attribute _metadata that torch gives to a state dict; nothing in it is needed.
        stack.pop()
        _container(stack, dict)
    elif name != "PROTO":
        raise WeightsError(f"holds a pickle with the instruction {name}, which no state dict has.")


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    items.reverse()
    return items


def _container(stack: list[Any], kind: type) -> Any:
    if type(stack[-1]) is not kind:
        raise WeightsError(
            f"holds a pickle that fills a {type(stack[-1]).__name__} as if it were a "
            f"{kind.__name__}."
        )
    return stack[-1]


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        raise WeightsError("holds a pickle that calls what is no name.")
    if function.dotted == "collections.OrderedDict" and not arguments:
        return {}
    return Call(function, arguments)
